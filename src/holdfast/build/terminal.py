"""What `snakemake` prints during a build: a live table, or one line a job; docs/terminal.md describes it.

A handler for Snakemake's log events, as its logger plugins have. rules/common.smk attaches it; why not `--logger` is in
docs/decisions/terminal.md.
"""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from logging import LogRecord
from typing import Any

from rich.live import Live
from rich.text import Text
from snakemake.common import NOTHING_TO_BE_DONE_MSG
from snakemake.logging import DefaultFormatter, logger
from snakemake.settings.enums import Quietness
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from holdfast.build import job_output
from holdfast.build.jobs import LISTING
from holdfast.build.live_jobs import STYLES, Jobs, JobTable, RunningJob, VisibleCursor
from holdfast.build.scheduler_errors import explain
from holdfast.common.errors import UserError
from holdfast.common.progress import OUTPUT
from holdfast.common.wording import counted, duration

SNAKEMAKES_OWN = "DefaultStreamHandler"  # the name of its handler for the terminal
TAIL = 20  # lines of a failed job's log, where the job itself could not show them
INTERRUPTED = "Terminating processes on user request"
SHOWN = (NOTHING_TO_BE_DONE_MSG, "Trying to restart job", "Will exit after finishing currently running jobs")
# said of every failed job besides what the job said: its command, and that there are messages
REPEATED = ("CalledProcessError", "Exiting because a job execution failed", "At least one job did not complete")
# advice that does not apply: params.yaml demands ./ before a folder that would else be read as a Hugging Face id
UNWANTED = ("Assuming unrestricted shared filesystem", "Relative file path './")
KEPT = "Finished jobs and answered rows are kept."


def attach(workflow: Any, result: Callable[[], str]) -> None:
    """Put a `Terminal` in the place of Snakemake's own output, in Snakemake's main process.

    Not with `--verbose` or `--debug-dag`, nor when `--logger` names a plugin that writes to the terminal.
    `result()` is what a build that made the report shows at its end.
    """
    settings = workflow.output_settings
    own = next((handler for handler in logger.handlers if handler.name == SNAKEMAKES_OWN), None)
    if own is None or LISTING in os.environ or settings.verbose or settings.debug_dag:
        return
    logger.removeHandler(own)
    logger.addHandler(Terminal(workflow, own, result))


@contextmanager
def reporting() -> Iterator[None]:
    """Inside, a UserError or Ctrl-C ends Snakemake with a message and no traceback."""
    try:
        yield
    except UserError as error:
        logger.error(f"error: {error}")
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


class Terminal(LogHandlerBase):
    """Shows a build. Before it starts, and for `snakemake --list` and the like, Snakemake's own handler is at work."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def __init__(self, workflow: Any, own: logging.Handler, result: Callable[[], str]) -> None:
        self.workflow, self.own, self.result = workflow, own, result
        settings = workflow.output_settings
        super().__init__(settings, None)
        self.setFormatter(DefaultFormatter(settings.quiet))
        self.dryrun, self.quiet = settings.dryrun, bool(settings.quiet)
        self.silent = Quietness.ALL in (settings.quiet or ())
        self.console = VisibleCursor(
            file=sys.stdout if settings.dryrun else sys.stderr, highlight=False, no_color=settings.nocolor or None
        )
        self.jobs = Jobs()
        self.failed: list[RunningJob] = []
        self.live: Live | None = None
        self.started = self.interrupted = self.faulty = self.finished = False

    def emit(self, record: LogRecord) -> None:
        try:
            event = getattr(record, "event", None)
            self.faulty |= record.levelno >= logging.ERROR
            if any(text in record.getMessage() for text in UNWANTED):
                return
            if event is LogEvent.WORKFLOW_STARTED:
                self.started = True
                os.environ[OUTPUT] = str(job_output.FOLDER)  # for the jobs
                self.jobs.targets = {rule.name for rule in self.workflow.rules if not rule.output}
            elif self.started:
                getattr(self, f"on_{event}" if event else "on_message", self.on_other)(record)
            else:
                self.own.handle(record)
        except Exception:
            self.handleError(record)

    def on_run_info(self, record: Any) -> None:
        self.jobs.expect(record.stats)
        if self.live is None and self.watched():
            self.live = Live(JobTable(self.jobs), console=self.console, refresh_per_second=2, transient=True)
            self.live.start()

    def watched(self) -> bool:
        """Is there a terminal on which the cursor can move, and someone who looks at it?"""
        ci = os.environ.get("CI", "").lower() not in ("", "0", "false")
        terminal = sys.stderr.isatty() and sys.stdout.isatty() and not self.console.is_dumb_terminal
        return terminal and not (ci or self.quiet or self.dryrun)

    def on_job_info(self, record: Any) -> None:
        job = RunningJob.of(record)
        if job is None:
            return
        if not self.dryrun:
            job_output.clear(job.name)
            self.jobs.start(record.jobid, job)
        elif not self.quiet:
            self.say(f"{job.name}: {', '.join(record.output)}")
        if self.common_settings.printshellcmds:
            self.say(f"Reason for {job.name}: {record.reason}")

    def on_shellcmd(self, record: Any) -> None:
        if self.common_settings.printshellcmds and record.shellcmd:
            self.say(record.getMessage())

    def on_job_finished(self, record: Any) -> None:
        self.finish(record.job_id)

    def finish(self, number: int) -> None:
        """Count a job that ended well, and show what it printed besides its progress."""
        job = self.jobs.running.get(number)
        if job is None:  # a target such as `all`
            return
        state = "reused" if job.was_reused() else "done"
        self.jobs.end(number, state)
        self.finished |= job.rule == "report"
        said = [job_output.without_name(line, job.name) for line in job_output.messages(job.name)]
        warnings = [line for line in said if line.startswith("WARNING")]
        if not self.quiet:
            *before, last = [line for line in said if line not in warnings] or [""]
            self.show(job, state, last, *(f"    {line}" for line in before))
        for line in dict.fromkeys(warnings):
            self.say(line, "yellow")

    def on_job_error(self, record: Any) -> None:
        job = self.jobs.end(record.jobid, "stopped" if self.interrupted else "failed")
        if self.interrupted or job is None:
            return
        self.failed.append(job)
        lines = job_output.messages(job.name) or job.log_tail(TAIL)
        scheduler = explain(record.rule_msg or "", record.log[len(job.logs) :], tail=not lines)
        self.show(job, "failed", "", *lines, *scheduler)

    def on_error(self, record: LogRecord) -> None:
        text = record.getMessage()
        if not any(part in text for part in REPEATED):
            self.say(text, "red")

    def on_message(self, record: LogRecord) -> None:
        text = record.getMessage()
        self.interrupted |= text.startswith(INTERRUPTED)
        if text.startswith(SHOWN):
            self.say(text)
            self.finished |= text.startswith(NOTHING_TO_BE_DONE_MSG) and not self.workflow.dag_settings.targets
        elif record.levelno >= logging.WARNING and not text.startswith(REPEATED):
            self.say(text, "red" if record.levelno >= logging.ERROR else "yellow")

    def on_other(self, record: LogRecord) -> None:
        if record.levelno >= logging.ERROR:
            self.say(self.format(record), "red")

    def show(self, job: RunningJob, state: str, text: str, *below: str) -> None:
        """One line for a job that has ended, and what else it printed."""
        ended, total = self.jobs.ended.total(), self.jobs.total
        line = Text(f"[{ended:>{len(str(total))}}/{total}] ")
        line.append(f"{state:<6} ", STYLES[state])
        took = "" if state == "reused" else duration(job.seconds())
        line.append(f"{job.name:<24} {took:>9}  {text}".rstrip())
        self.console.print(Text("\n").join([line, *map(Text, below)]), soft_wrap=True)

    def say(self, text: str, style: str = "") -> None:
        self.console.print(Text(text, style), soft_wrap=True)

    def close(self) -> None:
        """Called by Snakemake at the end, whatever the end: the table goes, the outcome is said."""
        if self.live is not None:
            self.live.stop()
        if self.started:
            self.started = False
            self.conclude()
        self.own.close()
        super().close()

    def conclude(self) -> None:
        """The last lines: how many jobs ended how, what to do about failures, what came out."""
        jobs = self.jobs
        if self.dryrun:
            if jobs.total:
                self.say(f"{counted(jobs.total, 'job')} would run; `holdfast plan` says why, and what they cost")
            return
        if jobs.total and not (self.quiet and jobs.ended.total() == jobs.total and not self.failed):
            self.say(f"{jobs.counts(waiting='not started')}, in {jobs.took()}", "bold")
        if self.failed:
            logs = ", ".join(log for job in self.failed for log in job.logs)
            self.say(f"Log: {logs}. Mend the cause and run the same command again. {KEPT}")
        elif self.interrupted:
            self.say(f"Stopped. Run the same command again to go on. {KEPT}")
        elif self.finished and not self.silent and (text := self.result()):
            self.say("\n" + text)
