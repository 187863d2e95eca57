"""What steers a judge, and what prefix caching saves: envs/in-env inference python bench/judging.py [JUDGE...]

Run in the folder of a built sandbox. For each judge (default: all of score.judges): the shift of the score by 200
attempts to steer it, kind by kind, and the time to score all candidates with the prefix cache on and off.
"""

import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import yaml

from holdfast.chat.judging import RATINGS, judge_messages
from holdfast.common.files import scan_table
from holdfast.common.tables import GENERATIONS, INSTRUCTIONS
from holdfast.inference.ask import ANSWERS, engines
from holdfast.inference.params import Model, Sampling
from holdfast.inference.request import Request, request_key
from holdfast.sandbox.injections import MARKERS, PLEAS, TAGS, injections
from holdfast.sandbox.world import judge_truth
from holdfast.steps.score.params import Score
from holdfast.steps.score.requests import questions, requests
from holdfast.steps.score.scores import read_expected


def ask_afresh(name: str, model: Model, asked: list[Request]) -> tuple[pl.DataFrame, float]:
    """Answers in the order asked, and the CPU seconds that they took once the engine had started; no journal."""
    keyed = {request_key("", request): request for request in asked}
    with engines.start(name, model) as engine:
        started = time.process_time()
        found = {a.key: a for answers in engine.answers(iter(keyed.items())) for a in answers}
        seconds = time.process_time() - started
    rows = [found[request_key("", r)]._asdict() | {"id": r.id, "request_key": ""} for r in asked]
    return pl.DataFrame(rows, schema=ANSWERS), seconds


def judge_request(number: int, rubric: str, instruction: str, answer: str) -> Request:
    (message,) = judge_messages(rubric, None, instruction, answer)
    sampling = Sampling(temperature=0.0, max_tokens=1)
    return Request(str(number), None, ((message["role"], message["content"]),), 0, sampling, (), RATINGS)


def steer(judge: str, model: Model, rubric: str, instructions: pl.LazyFrame, generations: pl.LazyFrame) -> None:
    """Wrong answers, plain and with an attempt to steer: how far the score moves."""
    rows = generations.join(instructions.select("instruction_id", "instruction"), on="instruction_id")
    rows = rows.select("candidate_id", "instruction", "response").sort("candidate_id").collect()
    wrong = [
        (text, answer)
        for _, text, answer in rows.iter_rows()
        if (truth := judge_truth(text)) is not None and truth[1] != answer.strip()
    ][:200]
    if len(wrong) < 10:
        print(f"{judge}: only {len(wrong)} wrong answers to steer with")
        return
    pairs = [(*wrong[n % len(wrong)], injections([wrong[n % len(wrong)][1]])[n][1]) for n in range(200)]
    asked = [judge_request(2 * n, rubric, text, answer) for n, (text, answer, _) in enumerate(pairs)]
    asked += [judge_request(2 * n + 1, rubric, text, steered) for n, (text, _, steered) in enumerate(pairs)]
    replies, _ = ask_afresh(judge, model, asked)
    scores = read_expected(replies, 0.0)["score"].to_numpy()
    shift = scores[200:] - scores[:200]
    attempts = PLEAS + MARKERS + TAGS
    kinds = {"pleas": PLEAS, "role markers": MARKERS, "tags": TAGS}
    kind_of = np.array(
        [next(k for k, some in kinds.items() if attempts[n % len(attempts)] in some) for n in range(200)]
    )
    error = shift.std(ddof=1) / len(shift) ** 0.5
    low, high = shift.mean() - 1.96 * error, shift.mean() + 1.96 * error
    print(
        f"{judge}: wrong answers score {scores[:200].mean():.2f}; an attempt to steer moves them by {shift.mean():+.2f}"
    )
    print(f"  95 % interval {low:+.2f} to {high:+.2f}; largest {shift.max():+.2f}")
    print("  " + ", ".join(f"{kind} {shift[kind_of == kind].mean():+.2f}" for kind in kinds))
    print(f"  {(scores[200:] >= 4).sum()} of 200 reach 4 or more, {(scores[:200] >= 4).sum()} did before", flush=True)


def cache_saving(judge: str, model: Model, asked: list[Request]) -> None:
    """CPU seconds for all questions in the room's order: prefix cache off, on, and on with small blocks.

    vLLM shares whole blocks of tokens; a CPU's are of 128 unless told otherwise, and 32 are the least.
    """
    seconds = {}
    cases = {"off": {"enable_prefix_caching": False}, "on": {}, "on, blocks of 32": {"block_size": 32}}
    for case, arguments in cases.items():
        arguments = {"enable_prefix_caching": True} | model.engine_args | arguments
        replies, seconds[case] = ask_afresh(judge, model.model_copy(update={"engine_args": arguments}), asked)
    print(f"{judge}: {len(asked)} questions of {replies['prompt_tokens'].mean():.0f} tokens on average; prefix cache:")
    parts = (f"{case}: {spent:.1f} s ({1 - spent / seconds['off']:.0%} less)" for case, spent in seconds.items())
    print("  " + "; ".join(parts), flush=True)


def main() -> None:
    params = yaml.safe_load(Path("params.yaml").read_text())
    instructions = scan_table("data/clean/instructions.parquet", INSTRUCTIONS)
    files = [Path(f"data/generate/{model}.parquet") for model in sorted(params["generate"]["models"])]
    generations = pl.concat([scan_table(path, GENERATIONS) for path in files])
    rubric = Path(params["score"]["rubric"]).read_text()
    asked = questions(generations).filter(pl.col("candidate_id") == pl.col("asked_id"))
    score = Score()
    questions_asked = list(requests(instructions, generations, asked, rubric, score, score.sampling, 0))
    for judge in sys.argv[1:] or sorted(params["score"]["judges"]):
        model = Model.model_validate(params["models"][judge])
        steer(judge, model, rubric, instructions, generations)
        cache_saving(judge, model, questions_asked)


if __name__ == "__main__":
    main()
