"""Holdfast beside what users would run instead: the same models, prompts, sampling and judging, one after the other.

    envs/in-env inference python bench/peers.py MODELS [--instructions N] [--distilabel PYTHON]

MODELS is the folder `models/sandbox` of a built sandbox. The base model samples N instructions from its pre-query
prefix; N given instructions (default 5,000) are answered three times by each of three models, and every answer is
scored by three judges, with the expected score of the next token. Measured are wall and CPU seconds of whole processes,
one for each model and step, with imports and the engine's start:

  Holdfast      python -m holdfast.steps.reconstruct, generate, score
  scripts       what a practitioner writes: vllm.LLM.generate for each step, JSONL between them; nothing survives a kill
  distilabel    TextGeneration over `vllm serve`, for answers and for scores as text; it has no instructions to sample,
                because its MagpieGenerator does not work over an endpoint. PYTHON is that of an environment with
                `distilabel[openai]==1.5.3` and requests (none of Holdfast's)

Last, Holdfast is killed (SIGKILL) at half of its time and started again.
"""

import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import polars as pl
import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src")]
COMMITTEE = ("base", "novice", "scholar")
SAMPLES = 3
ENGINE = {"dtype": "float32", "max_model_len": 256, "enforce_eager": True, "enable_chunked_prefill": False}
ASKING = {"temperature": 1.0, "top_p": 0.98, "max_tokens": 48}
ANSWERING = {"temperature": 0.5, "top_p": 0.95, "max_tokens": 32}
PORT = 18_765
SCRIPT = """
import json, sys
from vllm import LLM, SamplingParams
step, model, engine, sampling, given, written = sys.argv[1], *map(json.loads, sys.argv[2:5]), *sys.argv[5:]
llm = LLM(model=model, seed=0, **engine)
rows = [json.loads(line) for line in open(given)]
if step == "reconstruct":
    prompts = [{"prompt_token_ids": row["ids"]} for row in rows]
else:
    talks = [[{"role": "user", "content": row["prompt"]}] for row in rows]
    ids = llm.get_tokenizer().apply_chat_template(talks, add_generation_prompt=True, tokenize=True)["input_ids"]
    prompts = [{"prompt_token_ids": each} for each in ids]
settings = SamplingParams(**sampling)
with open(written, "w") as file:
    for row, done in zip(rows, llm.generate(prompts, settings, use_tqdm=False)):
        for one in done.outputs:
            found = {k: v.logprob for k, v in one.logprobs[0].items()} if step == "score" else one.text
            file.write(json.dumps({"instruction": row.get("prompt"), "found": found}) + "\\n")
"""
DISTILABEL = """
import json, sys
from distilabel.models import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import TextGeneration
model, sampling, samples, url, given, written = *map(json.loads, sys.argv[1:5]), *sys.argv[5:]
rows = [{"instruction": json.loads(line)["prompt"]} for line in open(given)]
with Pipeline(name="peer", cache_dir="distilabel-cache") as pipeline:
    load = LoadDataFromDicts(data=rows, batch_size=200)
    llm = OpenAILLM(model=model, base_url=url, api_key="none", timeout=600, generation_kwargs=sampling)
    load >> TextGeneration(llm=llm, num_generations=samples, input_batch_size=200)
if __name__ == "__main__":
    found = pipeline.run(use_cache=False)["default"]["train"]
    with open(written, "w") as file:
        for row in found:
            file.write(json.dumps({"instruction": row["instruction"], "found": row["generation"]}) + "\\n")
"""


class Clock:
    """Wall and CPU seconds of the commands run through it."""

    def __init__(self, name: str) -> None:
        self.name, self.wall_s, self.cpu_s = name, 0.0, 0.0

    def run(self, *words: str, **given: object) -> None:
        begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        with open(f"{self.name}.log", "a") as log:
            subprocess.run(words, check=True, stdout=log, stderr=log, **given)  # type: ignore[call-overload]
        after, wall_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - begun
        self.wall_s += wall_s
        self.cpu_s += after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def said(self) -> str:
        return f"{self.name}: {self.wall_s:.0f} s, {self.cpu_s:.0f} s of CPU"


def prepare(folder: Path, models: Path, instructions: int) -> None:
    """Models, params.yaml, seed prompts, instructions as Holdfast reads them and as JSONL."""
    from holdfast.common.tables import INSTRUCTIONS

    for name in COMMITTEE:
        shutil.copytree(models / name, folder / name)
    every = {name: {"path": f"./{name}", "engine_args": ENGINE, "licence": "MIT"} for name in COMMITTEE}
    params = {"random_seed": 0, "base": "base", "models": every, "seed": {"samples": instructions}}
    params |= {"reconstruct": {"sampling": ASKING}}
    params |= {"generate": {"samples": SAMPLES, "sampling": ANSWERING, "models": {name: {} for name in COMMITTEE}}}
    params |= {"score": {"rubric": "rubric.md", "judges": {name: {} for name in COMMITTEE}}}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    shutil.copy(ROOT / "data/seed/sandbox/rubric.md", folder)
    things = (models.parents[1] / "data/sandbox/general.jsonl").read_text().splitlines()
    asked = [json.loads(line)["prompt"] for line in things]
    texts = [f"{asked[number % len(asked)]} {number // len(asked)}" for number in range(instructions)]
    rows = [
        dict.fromkeys(INSTRUCTIONS) | {"instruction_id": f"{n:06}", "messages": [{"role": "user", "content": text}]}
        for n, text in enumerate(texts)
    ]
    pl.DataFrame(rows, schema=INSTRUCTIONS).write_parquet(folder / "instructions.parquet")
    (folder / "instructions.jsonl").write_text("".join(json.dumps({"prompt": text}) + "\n" for text in texts))


def holdfast_jobs() -> list[list[str]]:
    """The commands of Holdfast's steps, in their order."""
    jobs = []
    words = ["reconstruct", "--params", "random_seed,base,models.base,reconstruct"]
    jobs.append([*words, "--prompts", "prompts.parquet", "--samples", "samples.parquet"])
    for name in COMMITTEE:
        words = ["generate", "--params", f"random_seed,base,generate,models.base,models.{name}", "--model", name]
        words += ["--base", "./base", "--instructions", "instructions.parquet"]
        jobs.append([*words, "--generations", f"{name}.parquet", "--rejected", f"{name}.rejected.parquet"])
    for name in COMMITTEE:
        words = ["score", "--params", f"random_seed,score,models.{name}", "--judge", name, "--rubric", "rubric.md"]
        words += ["--instructions", "instructions.parquet", "--generations", *(f"{each}.parquet" for each in COMMITTEE)]
        jobs.append([*words, "--scores", f"scores_{name}.parquet"])
    return [[sys.executable, "-m", f"holdfast.steps.{job[0]}", *job[1:]] for job in jobs]


def holdfast() -> Clock:
    clock = Clock("Holdfast")
    for job in holdfast_jobs():
        clock.run(*job)
    return clock


def judge_prompts(answers: list[str]) -> None:
    """judging.jsonl: a judge's prompt for each row of the given files of answers."""
    from holdfast.chat.judging import judge_messages

    rubric = Path("rubric.md").read_text()
    with open("judging.jsonl", "w") as file:
        for path in answers:
            for line in Path(path).read_text().splitlines():
                row = json.loads(line)
                talk = judge_messages(rubric, None, row["instruction"], row["found"] or "")
                file.write(json.dumps({"prompt": talk[0]["content"]}) + "\n")


def scripts() -> Clock:
    clock = Clock("scripts")
    Path("script.py").write_text(SCRIPT)

    def step(what: str, model: str, sampling: dict[str, object], given: str, written: str) -> None:
        words = [what, json.dumps(f"./{model}"), json.dumps(ENGINE), json.dumps(sampling), given, written]
        clock.run(sys.executable, "script.py", *words)

    prompts = pl.read_parquet("prompts.parquet")
    with open("prefix.jsonl", "w") as file:
        for row in prompts.iter_rows(named=True):
            file.writelines([json.dumps({"ids": row["prefix_ids"]}) + "\n"] * row["samples"])
    stop = {"stop_token_ids": prompts["stop_ids"][0].to_list()}
    step("reconstruct", "base", ASKING | stop, "prefix.jsonl", "samples.jsonl")
    for name in COMMITTEE:
        step("generate", name, ANSWERING | {"n": SAMPLES}, "instructions.jsonl", f"script_{name}.jsonl")
    judge_prompts([f"script_{name}.jsonl" for name in COMMITTEE])
    for name in COMMITTEE:
        judging = {"temperature": 0.0, "max_tokens": 1, "logprobs": 20}
        step("score", name, judging, "judging.jsonl", f"script_scores_{name}.jsonl")
    return clock


def distilabel(python: str) -> Clock:
    """Answers and scores; the server's CPU seconds count when it has ended."""
    clock = Clock("distilabel")
    Path("distilabel_peer.py").write_text(DISTILABEL)

    def step(model: str, sampling: dict[str, object], samples: int, given: str, written: str) -> None:
        limits = ["--dtype", "float32", "--max-model-len", "256", "--enforce-eager", "--no-enable-chunked-prefill"]
        begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        with open("server.log", "a") as log:
            served = [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]  # `vllm serve` fails on the CPU wheel
            words = [*served, "--model", f"./{model}", "--port", str(PORT), *limits]
            server = subprocess.Popen(words, stdout=log, stderr=log)
        url = f"http://127.0.0.1:{PORT}"
        while True:
            try:
                urllib.request.urlopen(f"{url}/health", timeout=1)
                break
            except OSError:
                assert server.poll() is None, Path("server.log").read_text()[-2000:]
                time.sleep(0.2)
        words = [*map(json.dumps, (f"./{model}", sampling, samples, f"{url}/v1")), given, written]
        with open("distilabel.log", "a") as log:
            subprocess.run(
                [python, "distilabel_peer.py", *words],
                check=True,
                stdout=log,
                stderr=log,
                env=os.environ | {"PYTHONPATH": ""},
            )
        server.send_signal(signal.SIGINT)
        server.wait()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        clock.wall_s += time.monotonic() - begun
        clock.cpu_s += after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    answering = {"temperature": 0.5, "top_p": 0.95, "max_new_tokens": 32}
    for name in COMMITTEE:
        step(name, answering, SAMPLES, "instructions.jsonl", f"peer_{name}.jsonl")
    judge_prompts([f"peer_{name}.jsonl" for name in COMMITTEE])
    for name in COMMITTEE:
        step(name, {"temperature": 0.0, "max_new_tokens": 1}, 1, "judging.jsonl", f"peer_scores_{name}.jsonl")
    return clock


def killed_at_half(whole_s: float) -> float:
    """Seconds to finish after a kill at half of the time."""
    shutil.rmtree(".holdfast")
    for table in ("samples", *COMMITTEE, *(f"scores_{name}" for name in COMMITTEE)):
        Path(f"{table}.parquet").unlink()
    left = holdfast_jobs()
    begun = time.monotonic()
    while left:
        with open("killed.log", "a") as log:
            process = subprocess.Popen(left[0], stdout=log, stderr=log)
            try:
                assert process.wait(max(0.1, begun + whole_s / 2 - time.monotonic())) == 0
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                break
        left.pop(0)
    begun = time.monotonic()
    clock = Clock("again")
    for job in left:
        clock.run(*job)
    return time.monotonic() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path)
    parser.add_argument("--instructions", type=int, default=5_000)
    parser.add_argument("--distilabel", help="Python of an environment with distilabel")
    args = parser.parse_args()
    models = args.models.resolve()
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder), models, args.instructions)
        os.chdir(folder)
        seed = ["-m", "holdfast.steps.seed", "--params", "random_seed,base,seed,models.base.path"]
        subprocess.run([sys.executable, *seed, "--prompts", "prompts.parquet"], check=True)
        ours = holdfast()
        print(ours.said(), flush=True)
        plain = scripts()
        share = f"{plain.wall_s / ours.wall_s:.2f} by wall clock, {plain.cpu_s / ours.cpu_s:.2f} by CPU"
        print(f"{plain.said()}; Holdfast has {share} of the scripts' speed", flush=True)
        if args.distilabel:
            peer = distilabel(args.distilabel)
            share = f"{peer.wall_s / ours.wall_s:.2f} by wall clock, {peer.cpu_s / ours.cpu_s:.2f} by CPU"
            print(f"{peer.said()} without instructions; Holdfast has {share} of its speed", flush=True)
        again_s = killed_at_half(ours.wall_s)
        print(f"killed at half: {again_s:.0f} s to finish, {again_s / ours.wall_s:.2f} of the whole", flush=True)


if __name__ == "__main__":
    main()
