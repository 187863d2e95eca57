"""What `holdfast.inference.ask` costs beside bare vLLM, whether its memory grows, and how it takes a bad server.

    envs/in-env inference python bench/inference.py throughput   # 5,000 requests: a whole job against vllm.LLM.generate
    envs/in-env inference python bench/inference.py journal      # seconds that the journal takes for 100,000 rows
    envs/in-env inference python bench/inference.py memory       # peak memory of 5,000 and of 100,000 rows
    envs/in-env inference python bench/inference.py server       # 10,000 requests to a server that misbehaves

Every job is a process of its own on a tiny model of random weights, one thread. Wall times are of whole processes, with
imports and the engine's start; on a busy machine look at the CPU times.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests/support")]
SETTINGS = {"temperature": 1.0, "top_p": 0.98, "max_tokens": 13}
ARGUMENTS = {"max_model_len": 256}


def prompts(rows: int) -> list[tuple[int, ...]]:
    """Distinct prompts of 24 tokens."""
    return [(1, 2, *(10 + (row >> shift) % 200 for shift in range(22))) for row in range(rows)]


def bare(model: str, rows: int, max_tokens: int) -> None:
    """vllm.LLM.generate on the same requests."""
    from vllm import LLM, SamplingParams

    from holdfast.inference.engines.vllm import CPU_DEFAULTS

    llm = LLM(model=model, **CPU_DEFAULTS, **ARGUMENTS, seed=0)
    given = [{"prompt_token_ids": list(ids)} for ids in prompts(rows)]
    settings = SETTINGS | {"max_tokens": max_tokens}
    sampling = [SamplingParams(**settings, seed=row, skip_special_tokens=False) for row in range(rows)]
    llm.generate(given, sampling, use_tqdm=False)


def job(model: str, rows: int, max_tokens: int) -> None:
    """The same through `ask`, the answers written as a table."""
    from holdfast.inference.ask import Request, ask
    from holdfast.inference.params import Model, Sampling

    sampling = Sampling(**SETTINGS | {"max_tokens": max_tokens})
    asked = (Request(str(row), ids, None, row, sampling) for row, ids in enumerate(prompts(rows)))
    ask("tiny", Model(path=model, engine_args=ARGUMENTS), asked, rows, step="bench").sink_parquet("answers.parquet")


def measured(what: str, rows: int, max_tokens: int) -> dict[str, float]:
    """Wall and CPU seconds and peak memory (MB) of one run in a fresh folder and process."""
    from models import tiny_model

    with tempfile.TemporaryDirectory() as folder:
        before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        command = [sys.executable, __file__, "run", what, str(tiny_model()), str(rows), str(max_tokens)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr[-3000:])
        wall, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall_s": round(wall, 1), "cpu_s": round(cpu, 1), "peak_mb": float(done.stdout.splitlines()[-1])}


def throughput(rows: int = 5000, repeats: int = 3) -> None:
    """Whole-job rows/s of `ask` as a share of bare vLLM's, by the fastest of the repeats."""
    found: dict[str, list[dict[str, float]]] = {"bare": [], "job": []}
    for _ in range(repeats):
        for what, runs in found.items():
            runs.append(measured(what, rows, 13))
            print(what, runs[-1], flush=True)
    for unit in ("wall_s", "cpu_s"):
        bare_s, job_s = (min(run[unit] for run in found[what]) for what in ("bare", "job"))
        print(f"{unit}: bare {bare_s}, job {job_s}; the job has {bare_s / job_s:.3f} of bare vLLM's rows/s")


def journal(rows: int = 100_000) -> None:
    """Seconds for keeping and reading back rows of 500 characters, and per row."""
    import os

    from holdfast.inference.journal import Journal
    from holdfast.inference.request import Answer

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        answers = [Answer(n.to_bytes(16, "big"), f"{n} word " * 60, "stop", 20, 100, n, 0.1) for n in range(rows)]
        begun = time.process_time(), time.monotonic()
        with Journal("bench") as kept:
            for at in range(0, rows, 16):
                kept.add(answers[at : at + 16], "bench")
        cpu, wall = time.process_time() - begun[0], time.monotonic() - begun[1]
        print(f"kept {rows} rows in {wall:.2f} s (CPU {cpu:.2f} s), {1e6 * cpu / rows:.0f} µs of CPU a row")
        begun_s = time.monotonic()
        print(f"opened {len(Journal('bench').keys)} rows in {time.monotonic() - begun_s:.2f} s")
        os.chdir(ROOT)


def memory() -> None:
    """Peak memory of jobs with 5,000 and with 100,000 short rows."""
    few, many = measured("job", 5000, 2), measured("job", 100_000, 2)
    print("5,000 rows", few, "\n100,000 rows", many, f"\nratio of peaks {many['peak_mb'] / few['peak_mb']:.3f}")


def server(rows: int = 10_000) -> None:
    """Rows asked of a server with 5 % drops, 5 % 429, 2 % 500 and some garbage."""
    import os

    from holdfast.inference.ask import Request, ask
    from holdfast.inference.params import Model, Sampling
    from server import often_wrong, served

    with tempfile.TemporaryDirectory() as folder, served(often_wrong()) as bad:
        os.chdir(folder)
        asked = [Request(str(n), None, (("user", f"question {n}"),), n, Sampling(max_tokens=8)) for n in range(rows)]
        begun = time.monotonic()
        model = Model(path="m", engine="openai", url=bad.url, concurrency=64)
        answers = ask("m", model, asked, rows, step="bench").collect()
        wall = time.monotonic() - begun
        print(f"{rows} rows, {sum(bad.tries.values())} tries, {wall:.0f} s, {rows / wall:.0f} rows/s")
        print(f"rows answered once: {sum(n == 1 for n in bad.answered.values())}, rows with an error: ", end="")
        print(answers["error"].count(), json.dumps(sorted(set(bad.answered.values()))))
        os.chdir(ROOT)


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        {"bare": bare, "job": job}[sys.argv[2]](sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    elif sys.argv[1:2] and sys.argv[1] in ("throughput", "journal", "memory", "server"):
        {"throughput": throughput, "journal": journal, "memory": memory, "server": server}[sys.argv[1]](
            *map(int, sys.argv[2:])
        )
    else:
        sys.exit(__doc__)
