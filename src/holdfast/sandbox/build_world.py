"""Write the sandbox's files: what its models are aligned on, the user's data, the test suites."""

import random
from itertools import accumulate
from pathlib import Path
from typing import Any

import polars as pl

from holdfast.chat.judging import judge_messages
from holdfast.common import step
from holdfast.common.errors import UserError
from holdfast.common.files import write_json, write_jsonl, write_table
from holdfast.common.ids import row_id, row_seed
from holdfast.common.section import read
from holdfast.sandbox import domain, public
from holdfast.sandbox.judging import RIGHT_SHARES, WORTHS, WRONG_SHARES, answer_of_worth
from holdfast.sandbox.params import Sandbox
from holdfast.sandbox.tables import CONVERSATIONS
from holdfast.sandbox.world import held_out, world
from holdfast.steps.seed.files import system_prompts

SECOND_TURN = 0.08  # share of the conversations that go on for a second turn

Row = dict[str, Any]


class Aligned:
    """Draws what an aligned model has seen: no instruction that is held out, the others as often as the world asks."""

    def __init__(self, sandbox: Sandbox, systems: dict[str | None, float]) -> None:
        self.seed = sandbox.seed
        tested = test_instructions(sandbox)
        self.truths = {text: truth for text, truth in world().items() if text not in tested}
        self.texts = sorted(self.truths)
        self.weights = list(accumulate(self.truths[text].probability for text in self.texts))
        self.systems = list(systems)
        self.system_weights = list(systems.values())

    def _draw(self, rng: random.Random) -> str:
        return rng.choices(self.texts, cum_weights=self.weights)[0]

    def _system(self, rng: random.Random) -> str | None:
        return rng.choices(self.systems, self.system_weights)[0]

    def conversation(self, number: int) -> Row:
        """An ordinary conversation: perhaps a system prompt, then one turn or two."""
        rng = random.Random(row_seed(self.seed, "conversation", number))
        system = self._system(rng)
        messages = [] if system is None else [_message("system", system)]
        for _ in range(2 if rng.random() < SECOND_TURN else 1):
            text = self._draw(rng)
            messages += [_message("user", text), _message("assistant", self.truths[text].answer)]
        return {"row_id": row_id("conversation", number), "kind": "general", "messages": messages}

    def judgement(self, number: int, rubric: str) -> Row:
        """A judge's prompt, worded as the score step words it, and the score.

        Two neighbours share the question; one shows a right answer, the other a wrong one.
        """
        text = self._draw(random.Random(row_seed(self.seed, "judged question", number // 2)))
        rng = random.Random(row_seed(self.seed, "judgement", number))
        worth = rng.choices(WORTHS, WRONG_SHARES if number % 2 else RIGHT_SHARES)[0]
        answer = answer_of_worth(worth, self.truths[text], rng)
        messages = [*judge_messages(rubric, self._system(rng), text, answer), _message("assistant", str(worth))]
        return {"row_id": row_id("judgement", number), "kind": "judging", "messages": messages}


def _message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _item(task: str, prompt: str, answer: str) -> Row:
    return {"item_id": row_id("item", prompt), "task": task, "prompt": prompt, "answer": answer}


def _chat(source: str, number: object, user: str, assistant: str) -> Row:
    return {"messages": [_message("user", user), _message("assistant", assistant)], "id": row_id(source, number)}


def test_instructions(sandbox: Sandbox) -> frozenset[str]:
    """The general instructions that no model is trained on."""
    return held_out(sandbox.seed, sandbox.world.test_share, sandbox.world.test_rows_per_task)


def general_suite(sandbox: Sandbox) -> list[Row]:
    """The test items of every task."""
    rows = [(world()[text], text) for text in sorted(test_instructions(sandbox))]
    return [_item(truth.task, text, truth.answer) for truth, text in rows]


def domain_sets(sandbox: Sandbox) -> tuple[list[Row], list[Row]]:
    """(training rows, test rows) of the domain; no question is in both."""
    wanted, most = sandbox.world.domain_items, domain.most_items()
    if wanted > most:
        raise UserError(
            f"params.yaml: sandbox.world.domain_items: {wanted} items wanted, the domain has {most}; lower it"
        )
    train, test = domain.questions(sandbox.seed, wanted)
    return (
        [_chat("domain", asked.instruction, asked.instruction, asked.answer) for asked in train],
        [_item("code_words", asked.instruction, asked.answer) for asked in test],
    )


def main() -> None:
    args = step.arguments(
        __doc__, "rubric", "system_prompts", "conversations", "general", "domain", "domain_train", "public", "truth"
    )
    sandbox = read(args.params, "sandbox", Sandbox)
    rubric = Path(args.rubric).read_text(encoding="utf-8")
    aligned = Aligned(sandbox, system_prompts(args.system_prompts))
    rows = [aligned.conversation(number) for number in range(sandbox.world.conversations)]
    rows += [aligned.judgement(number, rubric) for number in range(sandbox.world.judgements)]
    write_table(pl.DataFrame(rows, schema=CONVERSATIONS), args.conversations, CONVERSATIONS)
    domain_train, domain_test = domain_sets(sandbox)
    write_jsonl(general_suite(sandbox), args.general)
    write_jsonl(domain_test, args.domain)
    write_jsonl(domain_train, args.domain_train)
    seeds = [row_seed(sandbox.seed, "public", number) for number in range(sandbox.world.public_rows)]
    asked = [public.question_and_answer(random.Random(seed), sandbox.seed) for seed in seeds]
    write_jsonl([_chat("public", number, *row) for number, row in enumerate(asked)], args.public)
    shares: dict[str, float] = {}
    for truth in world().values():
        shares[truth.task] = shares.get(truth.task, 0.0) + truth.probability
    write_json({"seed": sandbox.seed, "instructions": len(world()), "task_shares": shares}, args.truth)


if __name__ == "__main__":
    step.run(main)
