"""Records each job's versions with DVC as soon as the job has ended, in Snakemake's main process.

Snakemake's log events tell when a job starts and ends. A handler is called at once, in the scheduler's own thread:
a job's order is written before the job is started, and its outputs are recorded before any job that reads them is.
"""

import atexit
import logging
import os
import shlex
from logging import LogRecord
from typing import Any

from snakemake.logging import logger
from snakemake.settings.enums import Quietness
from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_logger_plugins.common import LogEvent

from holdfast.build import job_files
from holdfast.build.job_files import Order, Result
from holdfast.build.live_jobs import stage_of
from holdfast.build.ownership import BUILD, Build, stop_earlier_jobs
from holdfast.build.parameters import params_of, parse, values_of
from holdfast.build.polling import ask_when_a_job_ends
from holdfast.build.stages import Stage
from holdfast.build.versions import Versions
from holdfast.common.errors import UserError


def report_every_job(workflow: Any) -> None:
    """Have Snakemake report each finished job, also with `--quiet`. To be called while the Snakefile is read."""
    settings = workflow.output_settings
    if settings.quiet and not settings.dryrun:
        settings.quiet = set(settings.quiet) - {Quietness.PROGRESS, Quietness.ALL}


def start(versions: Versions, workflow: Any) -> Build:
    """Begin a build: take the checkout, stop what is left of an earlier build, and record each job from now on.

    Raises UserError when another build runs.
    """
    build = Build("snakemake")
    atexit.register(build.end)  # not after a kill: then the next build finds that its process is gone
    stop_earlier_jobs(build.owner.build, logger.warning)
    os.environ[BUILD] = build.owner.build  # for the jobs
    logger.addHandler(Recorder(versions, build.owner.build, workflow))
    return build


class Recorder(logging.Handler):
    """Attached to Snakemake's logger for one build."""

    def __init__(self, versions: Versions, build: str, workflow: Any) -> None:
        super().__init__()
        self.versions, self.build, self.workflow = versions, build, workflow
        self.stages: dict[int, str] = {}  # by Snakemake's number of the job

    def emit(self, record: LogRecord) -> None:
        """Raises WorkflowError, by which Snakemake stops the other jobs, when a job cannot be recorded."""
        event: Any = getattr(record, "event", None)
        try:
            if event is LogEvent.JOB_INFO and (stage := stage_of(record.shellcmd)):  # type: ignore[attr-defined]
                self.stages[record.jobid] = stage  # type: ignore[attr-defined]
                job_files.write_order(stage, self.order(stage))
                ask_when_a_job_ends(self.workflow)
            elif event is LogEvent.JOB_FINISHED and record.job_id in self.stages:  # type: ignore[attr-defined]
                self.finished(self.stages[record.job_id])  # type: ignore[attr-defined]
        except (UserError, OSError) as error:
            raise WorkflowError(str(error)) from error

    def order(self, stage: str) -> Order:
        description = self.versions.stages[stage]
        return Order(
            self.build,
            shlex.split(description["cmd"])[2:],
            job_files.states(description["deps"]),
            job_files.read_params(params_of(description)),
            description["outs"],
            self.versions.earlier(stage),
        )

    def finished(self, stage: str) -> None:
        result = job_files.read_result(stage)
        if result is None or result.order.build != self.build:
            return  # `snakemake --touch` says that jobs have finished that were not started
        if fault := changed_inputs(self.versions, stage, result):
            raise UserError(f"{stage}: {fault} while it ran; its outputs are not recorded; run the same command again")
        record(self.versions, stage, result)


def record(versions: Versions, stage: str, result: Result) -> None:
    """Record the outputs, with the parameters that the job ran with."""
    versions.record(stage, _values(versions.stages[stage], result.order.params))
    job_files.forget(stage)


def changed_inputs(versions: Versions, stage: str, result: Result) -> str:
    """What changed of the job's inputs between its order and now, or its start for parameters; empty if nothing did."""
    order, description = result.order, versions.stages[stage]
    changed = [path for path, before in order.deps.items() if job_files.state(path) != before]
    for path, text in order.params.items():
        if result.params.get(path) == job_files.digest(text):
            continue
        # edited while the job waited for its turn: what it found is known only if that is the text now
        now = job_files.read_params([path])[path]
        known = result.params.get(path) == job_files.digest(now)
        if not known or _values(description, order.params) != _values(description, order.params | {path: now}):
            changed.append(path)
    return f"{', '.join(changed)} changed" if changed else ""


def _values(stage: Stage, texts: dict[str, str]) -> dict[str, dict[str, Any]]:
    return values_of(stage, {path: parse(text) for path, text in texts.items()})


def adopt(versions: Versions) -> list[str]:
    """Record the jobs that ended well after the build that started them had died; the names of their stages."""
    adopted = []
    for path in sorted(job_files.RESULTS.glob("[!.]*")):
        stage, result = path.name, job_files.read_result(path.name)
        description = versions.stages.get(stage)
        if (
            result is not None
            and description is not None
            and shlex.split(description["cmd"])[2:] == result.order.words
            and not changed_inputs(versions, stage, result)
            and set(result.outs) == set(description["outs"])
            and all(job_files.as_left(before, job_files.state(out)) for out, before in result.outs.items())
        ):
            record(versions, stage, result)
            adopted.append(stage)
        job_files.forget(stage)
    return adopted
