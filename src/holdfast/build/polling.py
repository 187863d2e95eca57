"""When Snakemake asks a cluster's scheduler about its jobs: soon after one has ended, not minutes later.

Executors ask at intervals, which grow while nothing ends (the SLURM executor's up to 180 s). A job that ends well
leaves its result in the checkout, which is seen at once. Between two questions jobs that will never start are named.
"""

import asyncio
import time
from typing import Any

from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

from holdfast.build.job_files import RESULTS
from holdfast.build.waiting_jobs import WaitingJobs

LOOK_S = 2.0
AGAIN_S = 5.0  # between questions about a job that left its result, and whose end the scheduler does not know yet


def ask_when_a_job_ends(workflow: Any) -> None:
    """Have the executor end its waiting when a job has left its result. To be called when a job is submitted."""
    executor = getattr(workflow.scheduler, "_executor", None)
    if isinstance(executor, RemoteExecutor) and "sleep" not in vars(executor):
        waiting = WaitingJobs()
        vars(executor)["sleep"] = lambda: wait(executor, waiting)


async def wait(executor: Any, waiting: WaitingJobs) -> None:
    """Until the executor's next status check is due, or a job has left its result."""
    begun = time.monotonic()
    due = executor.next_seconds_between_status_checks
    await asyncio.to_thread(waiting.look, list(executor.active_jobs), begun)
    while (waited := time.monotonic() - begun) < due:
        if waited >= min(AGAIN_S, due) and any(RESULTS.glob("[!.]*")):
            return
        await asyncio.sleep(min(LOOK_S, due - waited))
