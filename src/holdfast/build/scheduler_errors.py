"""Why a cluster's scheduler ended a job: what its log says, and which setting to raise."""

import re
from collections.abc import Iterable
from pathlib import Path

TAIL = 20
_SCHEDULERS = re.compile(r"(slurmstepd|srun|sbatch): ")
_PLUGIN = re.compile(r"SLURM-job '(?P<job>[^']+)' failed.*?'(?P<state>[A-Z_]+)'", re.DOTALL)
_CAUSES = {
    "memory": re.compile(r"OUT_OF_MEMORY|oom[-_ ]kill|Out Of Memory", re.IGNORECASE),
    "runtime": re.compile(r"TIMEOUT|DUE TO TIME LIMIT"),
    "node": re.compile(r"CPU count per node can not be satisfied|Requested node configuration is not available"),
}
_ADVICE = {
    "memory": "It used more memory than it had asked for: raise mem_mb",
    "runtime": "It ran longer than it had asked for: raise runtime, in minutes",
    "node": "It asked for more than any node has: lower cpus_per_task, mem_mb or gpu",
}
_WHERE = " (models.<name>.resources or train.resources in params.yaml, or the profile)"


def explain(message: str, logs: Iterable[str], tail: bool) -> list[str]:
    """Lines for a failed job: Snakemake's message, the scheduler's lines in its log files, and what to do.

    With `tail` the end of the log is shown whatever it says: the job left nothing else.
    """
    message = message.partition("    sbatch call:")[0].rstrip()  # hundreds of words that no one reads
    found = _PLUGIN.search(message)
    lines = [f"SLURM job {found['job']}: {found['state']}"] if found else [message] if message else []
    for log in filter(lambda log: Path(log).is_file(), logs):
        text = Path(log).read_text(encoding="utf-8", errors="replace").splitlines()
        shown = text if tail else list(filter(_SCHEDULERS.match, text))
        if shown:
            lines += [f"the end of {log}:", *shown[-TAIL:]]
    said = "\n".join([message, *lines])
    return lines + [_ADVICE[cause] + _WHERE for cause, pattern in _CAUSES.items() if pattern.search(said)]
