"""The jobs of the Snakefile, as Snakemake itself lists them."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from holdfast.common.errors import UserError

SOURCE = Path(__file__).resolve().parents[2]  # the folder that holds this package
LISTING = "HOLDFAST_LISTING"  # set while Snakemake only lists the jobs


class Job(NamedTuple):
    """One job of Snakemake's graph. Paths are relative to the project's root."""

    rule: str
    inputs: list[str]
    outputs: list[str]
    shell: str


def list_jobs() -> list[Job]:
    """Every job of the target `all`, from a forced dry run of Snakemake in a process of its own."""
    environment = dict(os.environ, **{LISTING: "1"})
    environment.pop("DVC_STAGE", None)
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(SOURCE), environment.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "holdfast.build.jobs"],
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise UserError(f"Snakefile: the graph cannot be built:\n{done.stderr.strip()}")
    return [Job(**job) for job in json.loads(done.stdout)]


def _dry_run() -> list[dict[str, Any]]:
    """What Snakemake reports about each job (public interfaces: `snakemake.api` and the logger plugins' events)."""
    from snakemake.api import SnakemakeApi
    from snakemake.logging import logger
    from snakemake.settings.enums import Quietness
    from snakemake.settings.types import DAGSettings, ExecutionSettings, OutputSettings, ResourceSettings
    from snakemake_interface_logger_plugins.common import LogEvent

    found: list[dict[str, Any]] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.ERROR:
                print(record.getMessage(), file=sys.stderr)
            elif getattr(record, "event", None) is LogEvent.JOB_INFO and record.shellcmd is not None:  # type: ignore[attr-defined]
                found.append(
                    {
                        "rule": record.rule_name,  # type: ignore[attr-defined]
                        "inputs": list(record.input),  # type: ignore[attr-defined]
                        "outputs": list(record.output),  # type: ignore[attr-defined]
                        "shell": record.shellcmd.strip(),  # type: ignore[attr-defined]
                    }
                )

    # a forced run refuses read-only outputs (DVC's links), but a dry run writes nothing
    os.access = lambda *_, **__: True
    try:
        with SnakemakeApi(OutputSettings(quiet={Quietness.ALL}, keep_logger=True)) as api:
            logger.addHandler(Listener())
            workflow = api.workflow(resource_settings=ResourceSettings(cores=1), snakefile=Path("Snakefile"))
            dag = workflow.dag(DAGSettings(forceall=True))
            # also after a killed build, and beside a running one
            settings = ExecutionSettings(ignore_incomplete=True, lock=False)
            dag.execute_workflow(pseudo_executor="dryrun", execution_settings=settings)
    except Exception as error:  # Snakemake formats its own: file, line, message
        api.print_exception(error)
        sys.exit(1)
    return found


if __name__ == "__main__":
    print(json.dumps(_dry_run()))
