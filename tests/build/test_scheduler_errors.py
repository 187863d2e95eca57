"""Messages for jobs that a cluster's scheduler ended."""

from pathlib import Path

from holdfast.build.scheduler_errors import explain

PLUGIN = (
    "SLURM-job '{}' failed, SLURM status is: '{}'. Detailed failure reason unavailable (status command is not"
    " 'sacct').For further error details see the cluster/cloud log and the log files of the involved rule(s)."
)
MEMORY = "slurmstepd: error: Detected 1 oom-kill event(s) in StepId=7.0. Some of your processes may have been killed"


def test_memory_is_named_with_the_setting_to_raise(tmp_path: Path) -> None:
    log = tmp_path / "7.log"
    log.write_text(f"Building DAG of jobs...\n{MEMORY}\nExiting\n")
    told = explain(PLUGIN.format(7, "FAILED"), [str(log)], tail=False)
    assert told[:3] == ["SLURM job 7: FAILED", f"the end of {log}:", MEMORY]
    assert "raise mem_mb (models.<name>.resources" in told[3]


def test_time_is_named_with_the_setting_to_raise(tmp_path: Path) -> None:
    told = explain(PLUGIN.format("7_1", "TIMEOUT"), [str(tmp_path / "missing.log")], tail=True)
    assert told[0] == "SLURM job 7_1: TIMEOUT"
    assert "raise runtime, in minutes" in told[1]
    assert len(told) == 2


def test_a_job_that_left_nothing_else_shows_the_schedulers_log(tmp_path: Path) -> None:
    log = tmp_path / "7.log"
    log.write_text("\n".join(f"line {number}" for number in range(30)))
    assert explain("", [str(log)], tail=True) == [f"the end of {log}:", *(f"line {n}" for n in range(10, 30))]
    assert explain("the message", [], tail=True) == ["the message"]


def test_a_request_that_no_node_meets_is_named_without_the_command() -> None:
    message = (
        "SLURM sbatch failed. The error message was 'sbatch: error: CPU count per node can not be satisfied\n"
        "sbatch: error: Batch job submission failed: Requested node configuration is not available'.\n"
        "    sbatch call:\n        sbatch --parsable --wrap='a very long command'\n"
    )
    told = explain(message, [], tail=True)
    assert told[-1].startswith("It asked for more than any node has: lower cpus_per_task, mem_mb or gpu")
    assert "very long" not in " ".join(told)
    assert "CPU count per node" in told[0]
