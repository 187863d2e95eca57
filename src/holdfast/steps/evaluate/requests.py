"""The requests of the item suites, equal for the base model and all arms, and the requests to judges."""

from collections.abc import Iterator

from holdfast.chat.judging import RATINGS, judge_messages
from holdfast.common.ids import row_id
from holdfast.inference.ask import Request
from holdfast.inference.params import Sampling
from holdfast.steps.evaluate.params import Evaluate, HarnessSuite, ItemSuite, JudgeSuite
from holdfast.steps.evaluate.suites import LETTERS, Item, load_items, question

SEED = 0  # greedy by default; with a temperature every model draws from the same seed
Questions = dict[str, tuple[str, ItemSuite | JudgeSuite, Item]]


def questions(evaluate: Evaluate) -> Questions:
    """(suite, its parameters, item) of every item of the item suites, by request id."""
    return {
        row_id("evaluate", name, item.item_id): (name, suite, item)
        for name, suite in sorted(evaluate.suites.items())
        if not isinstance(suite, HarnessSuite)
        for item in load_items(suite.path, name, suite.kind)
    }


def requests(asked: Questions, sampling: Sampling) -> Iterator[Request]:
    """One request for each question; multiple choice asks for the log-probabilities of the letters."""
    for request_id, (_, suite, item) in asked.items():
        bound = 1 if suite.kind == "multiple_choice" else suite.max_tokens or sampling.max_tokens
        yield Request(
            id=request_id,
            prompt_ids=None,
            messages=question(item),
            seed=SEED,
            sampling=sampling.model_copy(update={"max_tokens": bound}),
            stop_ids=(),
            logprobs_of=tuple(LETTERS[: len(item.choices)]),
        )


def judge_requests(asked: Questions, answers: dict[str, str], judge: str, rubrics: dict[str, str]) -> Iterator[Request]:
    """One request to `judge` for each answer to the suites that it grades. `rubrics`: text by suite."""
    for request_id, (name, suite, item) in asked.items():
        if isinstance(suite, JudgeSuite) and suite.judge == judge and request_id in answers:
            system = next((content for role, content in item.messages if role == "system"), None)
            earlier = [turn for turn in item.messages[:-1] if turn[0] != "system"]
            prompt = judge_messages(
                rubrics[name], system, item.messages[-1][1], answers[request_id], method="expected", earlier=earlier
            )
            yield Request(
                id=request_id,
                prompt_ids=None,
                messages=tuple((turn["role"], turn["content"]) for turn in prompt),
                seed=SEED,
                sampling=Sampling(temperature=0.0, max_tokens=1),
                stop_ids=(),
                logprobs_of=RATINGS,
            )
