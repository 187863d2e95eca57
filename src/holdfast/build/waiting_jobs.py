"""Jobs that wait at SLURM for what the cluster does not have: it is said, because they would wait for ever."""

import subprocess
from typing import Any

from snakemake.logging import logger

# squeue's reasons that no amount of waiting takes away (man squeue, JOB REASON CODES)
NEVER = frozenset(
    ("PartitionConfig", "BadConstraints", "PartitionNodeLimit", "PartitionTimeLimit", "AccountNotAllowed", "InvalidQOS")
)
FIRST_S, AGAIN_S = 15.0, 120.0
ASKED = ("cpus_per_task", "mem_mb", "runtime", "gpu", "gpus", "slurm_partition")


class WaitingJobs:
    """The jobs of one executor that have been reported."""

    def __init__(self) -> None:
        self.reported: set[str] = set()
        self.due = 0.0

    def look(self, active: list[Any], now: float) -> None:
        """Warn of each job among `active` (SubmittedJobInfo) that will not start. `now`: seconds, monotonic."""
        if not self.due:
            self.due = now + FIRST_S
        waiting = {info.external_jobid: info.job for info in active if info.external_jobid not in self.reported}
        if now < self.due or not waiting:
            return
        self.due = now + AGAIN_S
        for job_id, reason in pending_jobs():
            if job_id in waiting and reason in NEVER:
                self.reported.add(job_id)
                logger.warning(sentence(waiting[job_id], job_id, reason))


def pending_jobs() -> list[tuple[str, str]]:
    """(job id, reason) of this user's jobs that wait, by squeue; none where it cannot tell."""
    command = ["squeue", "--me", "--noheader", "--states", "PD", "--format", "%i %r"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [(words[0], words[1]) for line in said.splitlines() if len(words := line.split(maxsplit=1)) == 2]


def sentence(job: Any, job_id: str, reason: str) -> str:
    """What this job has asked for, and where to lower it."""
    asked = ", ".join(f"{name} {job.resources[name]}" for name in ASKED if job.resources.get(name))
    return (
        f"WARNING: {job.name}: SLURM job {job_id} waits, and will not start: {reason}. It asked for {asked}; ask for"
        f" what the cluster has: in the profile (set-resources: {job.name}) or in models.<name>.resources and"
        f" train.resources in params.yaml, then stop this build and run it again"
    )
