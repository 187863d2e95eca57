"""The chain at the paper's size without models: envs/in-env dev python bench/paper_size.py [INSTRUCTIONS] [--endpoint]

INSTRUCTIONS (default 100,000) are sampled, cleaned, answered three times by each of three models, and every answer is
scored by three judges: 900,000 answers and 2.7 million scores. A model here answers at once, within the job, so what is
measured is Holdfast's part of each step: requests and their keys, the journal, the tables. With `--endpoint` the model
`two` is asked over HTTP, from a server process that answers at once. Prints for every step CPU seconds, time and the
most memory (proportional set size over its processes), then the size of the journal.
"""

import argparse
import itertools
import os
import random
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests/support"))

import clean
import mix
import yaml

from holdfast.inference.request import Answer, Request
from server import served

MODELS = ("base", "one", "two")
SENTENCES = 4_000
DUPLICATES = 1.2  # samples for each instruction that is wanted: `clean` drops some


class Instant:
    """An engine (holdfast.inference.engines.Engine) that answers at once, from the request's seed."""

    def __init__(self) -> None:
        rng = random.Random(0)
        words = ["".join(rng.choices("etaoinshrdlu", k=rng.randint(2, 9))) for _ in range(5_000)]
        self.sentences = [" ".join(rng.choices(words, k=20)).capitalize() + "." for _ in range(SENTENCES)]
        written = Path("instructions.txt")
        self.instructions = iter(written.read_text().splitlines() if written.exists() else ())

    def answers(self, requests: Iterator[tuple[bytes, Request]]) -> Iterator[list[Answer]]:
        while some := list(itertools.islice(requests, 256)):
            yield [self.answer(*one) for one in some]

    def text(self, rng: random.Random) -> str:
        return " ".join(self.sentences[rng.randrange(SENTENCES)] for _ in range(rng.randint(4, 9)))

    def answer(self, key: bytes, request: Request) -> Answer:
        rng = random.Random(request.seed)
        if request.logprobs_of:  # a judge
            return Answer(key, "4", "stop", 700, 1, request.seed, 0.1, [-9.0, -6.0, -3.0, -0.2, -2.0 - rng.random()])
        if request.messages is None:  # an instruction
            return Answer(key, next(self.instructions), "stop", 10, 30, request.seed, 0.1)
        return Answer(key, self.text(rng), "stop", 60, 220, request.seed, 0.1)


@contextmanager
def start(_name: str, _model: Any) -> Iterator[Instant]:
    yield Instant()


def serve() -> None:
    """Answer and judge at once over HTTP, until killed; the first line printed is the address."""
    instant = Instant()

    with served() as server:

        def answer(body: dict[str, Any]) -> str:
            for memory in (server.tries, server.answered, server.headers):  # a test's, which would grow with the rows
                memory.clear()
            return "4" if body.get("logprobs") else instant.text(random.Random(body["seed"]))

        server.answer = answer
        print(server.url, flush=True)
        sys.stdin.read()


def prepare(folder: Path, instructions: int, url: str | None) -> None:
    """Tokenizer, domain rows, suite, instructions and params.yaml."""
    mix.make(folder, 120_000)
    (folder / "base/config.json").write_text("{}")  # the weights of a model that needs none
    samples = round(instructions * DUPLICATES)
    found, _ = clean.texts(samples)
    (folder / "instructions.txt").write_text("\n".join(found))
    (folder / "rubric.md").write_text("Judge how good the answer is.\n")
    models: dict[str, dict[str, Any]] = {
        name: {"path": "./base", "engine": "vllm", "engine_args": {"max_model_len": 8_000 + number}, "licence": "MIT"}
        for number, name in enumerate(MODELS)
    }
    if url:
        models["two"] = {"path": "two", "engine": "openai", "url": url, "licence": "MIT"}
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params |= {"models": models, "seed": {"samples": samples}}
    params |= {"reconstruct": {}, "clean": {}, "generate": {"samples": 3, "models": {name: {} for name in MODELS}}}
    params |= {"score": {"rubric": "rubric.md", "judges": {name: {} for name in MODELS}}}
    params |= {"filter": {"selected": {}}, "evaluate": {"suites": {"suite": {"path": "suite.jsonl"}}}}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))


@contextmanager
def endpoint() -> Iterator[str]:
    """The address of a server process (`serve`), which ends with the context."""
    words = [sys.executable, __file__, "serve"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        assert url, "the server did not start"
        yield url
        server.stdin.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("instructions", nargs="?", type=int, default=100_000)
    parser.add_argument("--endpoint", action="store_true")
    args = parser.parse_args()
    source = Path(__file__).parents[1] / "src"
    with tempfile.TemporaryDirectory() as name, endpoint() if args.endpoint else nullcontext() as url:
        folder = Path(name)
        prepare(folder, args.instructions, url)

        def step(name: str, module: str, *words: str) -> None:
            mix.run(name, [__file__, "step", f"holdfast.steps.{module}", *words], folder, source)

        model = ["--params", "random_seed,base,models.base"]
        step("seed", "seed", *model[:1], f"{model[1]},seed", "--prompts", "prompts.parquet")
        words = ["--prompts", "prompts.parquet", "--samples", "samples.parquet"]
        step("reconstruct", "reconstruct", *model[:1], f"{model[1]},reconstruct", *words)
        words += ["--harness", "--instructions", "instructions.parquet", "--rejected", "rejected.parquet"]
        words += ["--contamination", "contamination.parquet", "--metrics", "clean_metrics.json"]
        step("clean", "clean", "--params", "random_seed,evaluate.suites.suite.path", *words)
        for each in MODELS:
            words = ["--params", f"random_seed,base,generate,models.{each},models.base", "--model", each]
            words += ["--base", "./base", "--instructions", "instructions.parquet"]
            words += ["--generations", f"generate_{each}.parquet", "--rejected", f"rejected_{each}.parquet"]
            step(f"generate {each}", "generate", *words)
        shared = ["--instructions", "instructions.parquet"]
        shared += ["--generations", *(f"generate_{each}.parquet" for each in MODELS)]
        for each in MODELS:
            words = ["--params", f"random_seed,score,models.{each}", "--judge", each, "--rubric", "rubric.md", *shared]
            step(f"score {each}", "score", *words, "--scores", f"score_{each}.parquet")
        shared += ["--scores", *(f"score_{each}.parquet" for each in MODELS)]
        chosen = ["--selected", "data/filter/selected.parquet", "--rejected", "rejected_selected.parquet"]
        step("filter", "filter", "--params", "random_seed,filter.selected", "--selection", "selected", *shared, *chosen)
        words = [
            "--params",
            "random_seed",
            *shared,
            *chosen,
            "--all-scores",
            "all_scores.parquet",
            "--metrics",
            "filter.json",
        ]
        step("judge_statistics", "filter.judge_statistics", *words)
        keys = "random_seed,mix,train.sequence_len,arms.a,sources.domain,models.base.licence"
        words = ["--params", keys, "--arm", "a", "--base", "./base", "--suites", "suite.jsonl", "--harness"]
        step("mix", "mix", *words, "--out", "mix-out")
        journal = sum(file.stat().st_size for file in (folder / ".holdfast/journal").rglob("*") if file.is_file())
        print(f"journal: {journal / 2**30:.2f} GiB", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve()
    elif sys.argv[1:2] == ["step"]:
        from holdfast.inference import engines

        engines.ENGINES["vllm"] = "paper_size"
        sys.argv = sys.argv[2:]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=False)
    else:
        os.environ["PYTHONPATH"] = str(Path(__file__).parent)
        main()
