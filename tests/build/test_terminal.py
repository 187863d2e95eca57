"""What a build shows: in a terminal, in a pipe, when a job fails, when it is stopped, when it is killed."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.common.progress import is_transient, progress_line, short_progress
from toy_project import Project

ONE_JOB = ("snakemake", "data/filter/selected.txt")
SPEAKING = """
import os, sys, time
from pathlib import Path
from holdfast.toy import common
from holdfast.common.progress import Progress
args = common.arguments("selected", many=("generations",))
print("filter: starting something for the test …", flush=True)
progress = Progress("filter", 400)
for _ in range(4):
    time.sleep(1.1)
    progress.add(asked=100)
while Path(os.environ["TOY_FOLDER"], "hang").exists():
    time.sleep(0.1)
print("filter: 3 rows rejected: not_wanted")
print("WARNING: filter: the data is odd")
print("WARNING: 'data/x' is empty.")
print("filter: 40 rows kept", flush=True)
common.write(args.selected, ["x y"] * 40)
"""
workflow = pytest.mark.workflow


def speaking(project: Project) -> None:
    """Make the step `filter` report its progress, as steps that ask a model do."""
    (project.folder / "src/holdfast/toy/filter.py").write_text(SPEAKING)


class Terminal:
    """A command in a pseudo-terminal of its own, and everything that it printed there."""

    def __init__(self, project: Project, *command: str, columns: int = 100, **environment: str) -> None:
        self.text = ""
        self.pid, self.fd = pty.fork()
        if not self.pid:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            os.chdir(project.folder)
            kept = {
                key: value
                for key, value in project.environment().items()
                if key not in ("CI", "NO_COLOR", "COLUMNS", "LINES")
            }
            os.execvpe(command[0], command, kept | {"TERM": "xterm-256color"} | environment)

    def read(self, until: Callable[[str], object], seconds: float = 120) -> str:
        """All output so far, as soon as `until` holds for it or the terminal is closed."""
        deadline = time.monotonic() + seconds
        while not until(self.text):
            assert time.monotonic() < deadline, self.text
            try:
                if select.select([self.fd], [], [], 0.2)[0]:
                    self.text += os.read(self.fd, 65536).decode(errors="replace")
            except OSError:  # closed at the other end
                break
        return self.text

    def end(self) -> int:
        """The exit status, once everything is read."""
        self.read(lambda _: False)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def settings(self) -> list[object]:
        return termios.tcgetattr(self.fd)


def plain(text: str) -> str:
    """The lines that were drawn, one after the other; a table is drawn again and again."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r\n", "\n").replace("\r", "\n")


def ended(text: str) -> dict[str, str]:
    """How each job ended, by its line in the output."""
    return {job: state for state, job in re.findall(r"^\[ *\d+/\d+\] (\w+) +(\S+)", plain(text), re.MULTILINE)}


@workflow
def test_a_live_table_with_rows_rate_and_time_left(toy: Project) -> None:
    speaking(toy)
    build = Terminal(toy, "snakemake")
    text = plain(build.read(lambda text: "300/400" in text))
    assert re.search(r"running filter +(under )?\d+ s starting something", text)
    assert re.search(r"running filter +\d+ s \d+ %, \d+ s left, \d+/400 rows, \d+ rows/s", text)
    assert "waiting train ×2, report" in text
    assert "0 of 4 jobs done, 1 running, 3 waiting" in text
    assert build.end() == 0
    text = plain(build.text)
    assert ended(text)["filter"] == "done"
    assert re.search(r"done +filter .* 40 rows kept$", text, re.MULTILINE)
    assert "    3 rows rejected: not_wanted" in text
    assert "WARNING: filter: the data is odd" in text
    assert "is empty" not in text
    assert "Checking cache" not in text, "DVC's progress bars"
    assert "metadata" not in text
    assert "\x1b[?25l" not in build.text, "a hidden cursor stays hidden after a kill -9"
    assert re.search(r"base +not measured", text.split("jobs done, in")[1]), "the report's table comes last"
    assert "holdfast plan" in text.splitlines()[-1]


@workflow
def test_one_line_a_job_in_a_pipe(toy: Project) -> None:
    speaking(toy)
    done = toy.snakemake()
    assert "\x1b" not in done.stderr
    assert ended(done.stderr) == {"filter": "done", "train-mixed": "done", "train-plain": "done", "report": "done"}
    lines = done.stderr.splitlines()
    assert len([line for line in lines if "filter" in line]) == 2  # its own and the warning
    assert "400 rows" not in done.stderr
    assert (toy.folder / ".holdfast/output/filter").read_text().count("/400 rows") >= 3, "progress is in the file"
    toy.set_params(toy.params() | {"filter": {"threshold": 0.25}})
    again = toy.snakemake()
    assert ended(again.stderr)["train-mixed"] == "reused", "the same selection was made"
    assert "1 of 4 jobs done, 3 reused" in again.stderr


@workflow
def test_a_path_with_dot_slash_is_no_warning(toy: Project) -> None:
    """params.yaml demands ./ before a model's folder; Snakemake advises against it, for every job that reads it."""
    rules = toy.folder / "rules/toy.smk"
    rules.write_text(rules.read_text().replace('"data/seed/prompts.txt"', '"./data/seed/prompts.txt"'))
    done = toy.snakemake()
    assert "starts with" not in done.stderr


@workflow
def test_quiet_shows_faults_and_the_outcome(toy: Project) -> None:
    speaking(toy)
    quiet = toy.snakemake("--quiet").stderr
    assert not ended(quiet)
    assert "WARNING: filter: the data is odd" in quiet
    assert re.search(r"base +not measured", quiet)
    toy.set_params(toy.params() | {"filter": {"threshold": 0.25}})
    assert len(toy.snakemake("--quiet", "all").stderr.splitlines()) == 2  # the profile, the step's warning
    (toy.outside / "fail-reconstruct").touch()
    toy.set_params(toy.params() | {"random_seed": 8})
    done = toy.snakemake("--quiet", "all", check=False)
    assert done.returncode == 1
    assert "reconstruct: failed on demand" in done.stderr


@workflow
@pytest.mark.parametrize("terminal", [True, False])
def test_a_failing_job_loses_nothing(toy: Project, terminal: bool) -> None:
    fault = "".join(f"print('message {n}', file=sys.stderr)\n" for n in range(15)) + "raise SystemExit('the fault')\n"
    (toy.folder / "src/holdfast/toy/filter.py").write_text("import sys\nprint('said aloud')\n" + fault)
    if terminal:
        build = Terminal(toy, "snakemake")
        assert build.end() == 1
        text = plain(build.text)
    else:
        done = toy.snakemake(check=False)
        assert done.returncode == 1
        text = done.stderr
    assert ended(text) == {"filter": "failed"}
    messages = "".join(f"message {n}\n" for n in range(15))
    assert f"said aloud\nfilter failed (status 1); the end of logs/filter.log:\n{messages}the fault\n" in text
    assert "0 of 4 jobs done, 1 failed, 3 not started" in text
    assert "Log: logs/filter.log. Mend the cause and run the same command again." in text
    assert "holdfast.toy.filter" not in text, "the command is not repeated"
    assert terminal or len(text.splitlines()) < 25


@workflow
def test_what_snakemake_knows_is_one_flag_away(toy: Project) -> None:
    toy.set_params(toy.params() | {"filter": {"threshold": 0.3}})
    said = toy.snakemake("--printshellcmds").stderr
    assert "Reason for filter: Updated input files: .holdfast/stamps/filter" in said
    assert "Shell command: exec envs/job filter --env envs/core.txt" in said
    toy.set_params(toy.params() | {"filter": {"threshold": 0.4}})
    said = toy.snakemake("--verbose").stderr
    assert "    input: data/generate/base.txt, data/generate/scholar.txt" in said
    assert toy.snakemake("--list").stdout.split() >= ["all"]
    said = toy.snakemake("--dry-run").stdout
    assert said.splitlines() == ["Nothing to be done (all requested files are present and up to date)."]


def start_hanging(toy: Project, **options: str) -> Terminal:
    (toy.outside / "hang-filter").touch()
    toy.set_params(toy.params() | {"filter": {"threshold": 0.3}})
    build = Terminal(toy, "snakemake", **options)
    build.read(lambda text: "running" in text and (toy.outside / "ran").exists())
    return build


@workflow
def test_ctrl_c_leaves_the_terminal_as_it_was(toy: Project) -> None:
    toy.ran()
    build = start_hanging(toy)
    before = build.settings()
    os.write(build.fd, b"\x03")
    assert build.end() == 1
    text = plain(build.text)
    assert "Stopped. Run the same command again to go on." in text.splitlines()[-1]
    assert "0 of 4 jobs done, 1 stopped, 3 not started" in text
    assert "Traceback" not in text
    assert build.text.count("\x1b[?25l") <= build.text.count("\x1b[?25h")
    (toy.outside / "hang-filter").unlink()
    again = Terminal(toy, "snakemake")
    assert again.settings() == before
    assert again.end() == 0


@workflow
def test_a_killed_build_leaves_the_cursor_and_its_jobs_end(toy: Project) -> None:
    toy.ran()
    build = start_hanging(toy)
    os.kill(build.pid, signal.SIGKILL)
    assert build.end() == -9
    assert "\x1b[?25l" not in build.text
    assert "\x1b[?1049h" not in build.text
    deadline = time.monotonic() + 60
    while subprocess.run(["pgrep", "-r", "DRST", "-s", str(build.pid)], capture_output=True).stdout:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    (toy.outside / "hang-filter").unlink()
    assert ended(toy.snakemake().stderr)["filter"] == "done"


@workflow
@pytest.mark.parametrize(
    ("environment", "live", "coloured"),
    [({"NO_COLOR": "1"}, True, False), ({"TERM": "dumb"}, False, False), ({"CI": "true"}, False, True)],
)
def test_what_the_environment_asks_for(toy: Project, environment: dict[str, str], live: bool, coloured: bool) -> None:
    toy.set_params(toy.params() | {"filter": {"threshold": 0.3}})
    build = Terminal(toy, *ONE_JOB, **environment)
    assert build.end() == 0
    assert ended(build.text)["filter"] in ("done", "reused")
    assert ("\x1b[2K" in build.text) == live
    assert bool(re.search(r"\x1b\[(\d+;)*3[0-7]m", build.text)) == coloured


@workflow
def test_sixty_columns(toy: Project) -> None:
    speaking(toy)
    build = Terminal(toy, *ONE_JOB, columns=60)
    assert build.end() == 0
    rows = [line for line in plain(build.text).splitlines() if line.startswith(("running ", "waiting "))]
    assert rows
    assert max(map(len, rows)) <= 60, "a row that wraps cannot be drawn again in its place"
    assert any(re.match(r"running filter +\d+ s +\d+ %, \d+ s left", row) for row in rows)


@given(
    st.integers(0, 10**9),
    st.integers(1, 10**9),
    st.just(0.0) | st.floats(1e-6, 1e6),
    st.sampled_from(["rows", "steps"]),
)
def test_progress_lines_are_read_as_they_are_written(done: int, total: int, per_s: float, unit: str) -> None:
    line = progress_line("generate base", done, total, unit, per_s, "loss 0.5")
    assert is_transient(line)
    short = short_progress(line)
    assert short is not None
    assert short.startswith(f"{100 * done // total} %")
    assert f"{done:,}/{total:,} {unit}" in short
    assert (" left" in short.split(", ")[1]) == (per_s > 0)
    assert short.endswith("loss 0.5")


@pytest.mark.parametrize(
    "line",
    [
        "generate base: 1,200 rows done, 200 reused, 1,000 asked in 35 s",
        "clean: 20 samples, 12 instructions; rejected: 3/4 of them",
        "mix a: domain: 3 rows rejected: too_long, such as: What about …",
        "WARNING: mix a: 5 rows hold items",
        "",
    ],
)
def test_other_lines_are_results(line: str) -> None:
    assert not is_transient(line)


def test_what_every_start_of_snakemake_imports_is_light() -> None:
    """rules/common.smk imports these; scipy, pandas or transformers would add their time to every command and job."""
    code = (
        "import sys; from holdfast.build import ownership, recorder, staleness, terminal; import holdfast.cli.summary;"
    )
    code += " print({'scipy', 'pandas', 'transformers', 'torch', 'dvc'} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "set()", said.stdout
