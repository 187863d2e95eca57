"""The journal keeps every finished answer once, whatever happens to the process or the files."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.inference import journal, journal_files
from holdfast.inference.journal import Journal
from holdfast.inference.request import Answer


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def answer(number, text=None, **values):
    return Answer(number.to_bytes(16, "big"), text or f"text {number}", "stop", 3, 2, number, 0.5, **values)


def end_of_process():
    """Let go of the locks that a process holds until it ends."""
    while journal._IN_USE:
        journal._IN_USE.pop().close()


def texts(kept):
    return dict(kept.rows().select("key", "text").collect().iter_rows())


def killed(*answers):
    """A journal as a killed process leaves it: in a child, so that its locks go with it."""
    child = os.fork()
    if child == 0:
        Journal("model").add(answers, "step")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)


def test_rows_of_a_killed_process_are_found_again():
    killed(answer(1), answer(2, "ü\n\x00", logprobs=[-0.1, float("-inf")]))
    assert len(list(Path(".holdfast/journal/model").glob("*.tail"))) == 1
    assert Journal("model", write=False).keys == {answer(1).key, answer(2).key}
    rows = Journal("model").rows().sort("key").collect()
    assert rows["text"].to_list() == ["text 1", "ü\n\x00"]
    assert rows["logprobs"].to_list() == [None, [-0.1, float("-inf")]]
    assert not list(Path(".holdfast/journal/model").glob("*.tail"))
    assert dict(pl.read_parquet(".holdfast/journal/model/*.parquet").schema) == journal_files.ROWS, (
        "readable with plain Polars"
    )


def test_a_torn_or_damaged_line_is_dropped_and_the_others_kept(capsys):
    killed(answer(1), answer(2), answer(3))
    (tail,) = Path(".holdfast/journal/model").glob("*.tail")
    lines = tail.read_bytes().splitlines(keepends=True)
    tail.write_bytes(lines[0] + lines[1].replace(b"text 2", b"text 9") + lines[2][:-7])
    assert texts(Journal("model")) == {answer(1).key: "text 1"}
    assert "2 damaged lines" in capsys.readouterr().err


@pytest.mark.parametrize("damage", [lambda b: b[:-20], lambda b: b[:60] + bytes([b[60] ^ 1]) + b[61:], lambda b: b""])
def test_a_damaged_chunk_is_set_aside_and_never_used(damage, capsys):
    for number in (1, 2):
        with Journal("model") as kept:
            kept.add([answer(number)], "step")
    first = min(Path(".holdfast/journal/model").glob("*.parquet"))
    first.write_bytes(damage(first.read_bytes()))
    assert Journal("model", write=False).keys == {answer(2).key}
    assert texts(Journal("model")) == {answer(2).key: "text 2"}
    assert "has a wrong checksum; its rows are asked again" in capsys.readouterr().err
    assert len(list(Path(".holdfast/journal/model").glob("*.damaged"))) == 1
    assert texts(Journal("model")) == {answer(2).key: "text 2"}
    assert capsys.readouterr().err == "", "said once"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.integers(0, 30), max_size=5), max_size=12), st.integers(2, 4))
def test_every_row_is_there_once_after_any_sequence_of_jobs_and_compactions(jobs, few):
    import shutil

    shutil.rmtree(".holdfast", ignore_errors=True)
    before, journal_files.COMPACT_CHUNKS = journal_files.COMPACT_CHUNKS, few
    try:
        expected = {}
        for turn, numbers in enumerate(jobs):
            with Journal("model") as kept:
                assert texts(kept) == expected
                for number in numbers:
                    # two jobs may answer the same: the first answer stays
                    expected.setdefault(answer(number).key, f"{number} in job {turn}")
                    kept.add([answer(number, f"{number} in job {turn}")], "step")
                    if number % 3 == 0:
                        kept.seal()
            if turn % 2:
                end_of_process()
        end_of_process()
        kept = Journal("model")
        assert texts(kept) == expected
        assert kept.rows().collect().height == len(expected)
        assert len(kept.chunks) < few
    finally:
        journal_files.COMPACT_CHUNKS = before


def test_two_jobs_of_one_model_at_once_keep_each_other_s_rows():
    one, two = Journal("model"), Journal("model")
    one.add([answer(1)], "a")
    two.add([answer(2)], "b")
    three = Journal("model")
    assert texts(three) == {}, "tails of living jobs are theirs"
    one.seal()
    two.seal()
    assert texts(one) == {answer(1).key: "text 1"}
    assert set(texts(Journal("model"))) == {answer(1).key, answer(2).key}


def test_faults_that_come_again_are_kept_but_are_no_rows():
    with Journal("model") as kept:
        kept.add([answer(1), Answer(b"x" * 16, prompt_tokens=99, error="prompt_too_long", detail="99 > 9")], "step")
    again = Journal("model")
    assert again.failed[b"x" * 16].detail == "99 > 9"
    assert again.failed[b"x" * 16].prompt_tokens == 99
    assert set(texts(again)) == {answer(1).key}
    with pytest.raises(AssertionError):
        again.add([Answer(b"y" * 16, error="http_500")], "step")


def test_a_full_disk_is_one_clear_error_and_loses_nothing():
    """A limit on the size of files stands for the full disk: writes stop half-way in the same manner."""
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from holdfast.common.errors import UserError; from holdfast.inference.journal import Journal\n"
        "from holdfast.inference.request import Answer\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "try:\n"
        "    with Journal('model') as journal:\n"
        "        for n in range(1000): journal.add([Answer(n.to_bytes(16, 'big'), 'x' * 100, 'stop')], 's')\n"
        "except UserError as error: print(n, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    number, _, message = done.stdout.partition(" ")
    assert 50 < int(number) < 200
    assert "free space or fix permissions and run again, finished rows are kept" in message
    assert done.stderr == ""
    assert len(Journal("model").keys) in (int(number), int(number) + 1), "the row that did not fit may have come later"


NFS = """
import fcntl, os, runpy, sys
plain = fcntl.flock

def flock(file, operation):
    \"\"\"As over NFSv4, where the lock is one on the server: it needs a file that is open for what it protects.\"\"\"
    access = fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE
    if (operation & fcntl.LOCK_SH and access == os.O_WRONLY) or (operation & fcntl.LOCK_EX and access == os.O_RDONLY):
        raise OSError(9, "Bad file descriptor")
    plain(file, operation)

fcntl.flock = flock
from holdfast.inference import journal_files
from holdfast.inference.journal import Journal
from holdfast.inference.request import Answer
journal_files.COMPACT_CHUNKS = 2
number = int(sys.argv[1])
kept = Journal("model")
kept.add([Answer(number.to_bytes(16, "big"), f"text {number}", "stop")], "step")
if number % 2:
    os._exit(9)
kept.seal()
print(len(Journal("model").keys))
"""


def test_jobs_share_a_journal_on_nfs():
    for number in range(4):
        done = subprocess.run([sys.executable, "-c", NFS, str(number)], capture_output=True, text=True)
        assert done.returncode == (9 if number % 2 else 0), done.stderr
    assert set(texts(Journal("model")).values()) == {f"text {number}" for number in range(4)}


def test_where_locks_do_not_reach_other_hosts_their_tails_stay(monkeypatch):
    """The writer on another host may live though its lock is not seen: its rows are taken, its file is left to it."""
    killed(answer(1))
    (tail,) = Path(".holdfast/journal/model").glob("*.tail")
    elsewhere = tail.rename(tail.with_name(tail.name.replace(os.uname().nodename, "other-host")))
    journal.LOCKS_STAY.touch()
    for _ in range(2):
        kept = Journal("model")
        assert texts(kept) == {answer(1).key: "text 1"}
        assert kept.rows().collect().height == 1
        end_of_process()
    assert elsewhere.exists()
    before = elsewhere.stat().st_mtime - 2 * journal.FOREIGN_TAIL_S
    os.utime(elsewhere, (before, before))
    assert texts(Journal("model")) == {answer(1).key: "text 1"}
    assert not elsewhere.exists(), "nobody writes for so long"


def test_a_writer_whose_tail_was_taken_from_it_loses_nothing():
    one = Journal("model")
    one.add([answer(1)], "a")
    one._tail_path.unlink()  # by a host that does not see its lock
    one.add([answer(2)], "a")
    one.seal()
    assert set(texts(Journal("model"))) == {answer(1).key, answer(2).key}
