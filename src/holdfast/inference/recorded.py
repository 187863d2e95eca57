"""The version of an output that DVC recorded last: DVC deletes outputs before a stage runs, its cache keeps them."""

import hashlib
import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import yaml

CACHE = "HOLDFAST_DVC_CACHE"  # in the environment of a build's jobs: DVC's cache folder
LOCK = Path("dvc.lock")
IN_ENV = Path(__file__).resolve().parents[3] / "envs/in-env"


def recorded_stages() -> dict[str, Any]:
    """What dvc.lock says of each stage's last build, by stage; empty where there is no dvc.lock that can be read."""
    try:
        lock = yaml.load(LOCK.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}
    except (OSError, yaml.YAMLError):
        return {}
    return lock.get("stages") or {}


def recorded_version(output: str) -> Path | None:
    """The cached file that dvc.lock records for the path `output`, if it is there and its content is intact."""
    for stage in recorded_stages().values():
        for out in stage.get("outs", ()):
            if out.get("path") == output and "md5" in out:
                path = _cache(Path.cwd()) / "files" / "md5" / out["md5"][:2] / out["md5"][2:]
                return path if path.is_file() and _md5(path) == out["md5"] else None
    return None


def earlier_rows(output: str, text_column: str) -> pl.LazyFrame | None:
    """Answers kept in the recorded version of a table, or None when there is none or it has no `request_key`.

    Columns key, text, finish_reason, prompt_tokens, output_tokens, seed, logprobs.
    """
    path = recorded_version(output)
    if path is None:
        return None
    table = pl.scan_parquet(path, glob=False)
    columns = table.collect_schema().names()
    if not {"request_key", "finish_reason", "prompt_tokens", "output_tokens", text_column} <= set(columns):
        return None
    raw = pl.col(text_column)
    if "template_before" in columns:  # the table has the answer without its template's text
        raw = pl.concat_str("template_before", raw, "template_after")
    answered = pl.col("request_key").is_not_null() & (pl.col("finish_reason") != "error")  # a failure is asked again
    return table.filter(answered).select(
        pl.col("request_key").str.decode("hex").alias("key"),
        raw.alias("text"),
        "finish_reason",
        "prompt_tokens",
        "output_tokens",
        "seed" if "seed" in columns else pl.lit(0, pl.Int64).alias("seed"),
        "logprobs" if "logprobs" in columns else pl.lit(None, pl.List(pl.Float64)).alias("logprobs"),
    )


@cache
def _cache(project: Path) -> Path:
    """The cache folder of a DVC project, by DVC's own configuration: system, user, repository and local.

    Where no build has said it, DVC is asked in the core environment: those that ask models do not have it.
    """
    if CACHE in os.environ:
        return Path(os.environ[CACHE])
    command = [str(IN_ENV), "core", "dvc", "cache", "dir"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return Path(done.stdout.strip()) if done.returncode == 0 else project / ".dvc/cache"


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()
