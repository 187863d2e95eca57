"""Outputs appear whole or not at all, and the same rows are the same bytes."""

import os
import subprocess
import sys

import polars as pl
import pytest

from holdfast.common.errors import UserError
from holdfast.common.files import scan_table, write_table

FULL_DISK = """
import os, resource
import polars as pl
from holdfast.common.errors import UserError
from holdfast.common.files import write_table
frame = pl.DataFrame({"a": [os.urandom(50).hex() for _ in range(20_000)]})
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))  # stops writes half-way, as a full disk does
for rows in (frame, frame.lazy()):
    try:
        write_table(rows, "table.parquet", {"a": pl.String})
    except UserError as error:
        print(error, sorted(os.listdir(".")))
"""


def test_a_full_disk_leaves_nothing_and_is_one_message(tmp_path):
    done = subprocess.run([sys.executable, "-c", FULL_DISK], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.count("table.parquet: cannot be written: ") == 2
    assert done.stdout.count("[]") == 2


@pytest.mark.parametrize("threads", ["1", "3"])
def test_rows_are_the_same_bytes_with_any_number_of_threads(threads, tmp_path):
    frame = pl.DataFrame({"a": range(150_000), "b": [f"row {n % 977}" for n in range(150_000)]})
    write_table(frame.lazy(), tmp_path / "here.parquet", {"a": pl.Int64, "b": pl.String})
    code = (
        "import polars as pl; from holdfast.common.files import write_table; assert pl.thread_pool_size() == %s\n"
        "lazy = pl.scan_parquet('here.parquet').with_columns(pl.col('a') + 0)\n"
        "write_table(lazy, 'there.parquet', {'a': pl.Int64, 'b': pl.String})\n"
    )
    environ = os.environ | {"POLARS_MAX_THREADS": threads}
    subprocess.run([sys.executable, "-c", code % threads], cwd=tmp_path, env=environ, check=True)
    assert (tmp_path / "here.parquet").read_bytes() == (tmp_path / "there.parquet").read_bytes()


def test_a_table_that_is_not_one_is_named(tmp_path):
    path = tmp_path / "table.parquet"
    with pytest.raises(UserError, match="not a readable Parquet file"):
        scan_table(path, {"a": pl.Int64})
    pl.DataFrame({"a": range(1000)}).write_parquet(path)
    with pytest.raises(UserError, match="column 'b' is missing, expected Int64; build it again"):
        scan_table(path, {"a": pl.Int64, "b": pl.Int64})
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(UserError, match="not a readable Parquet file"):
        scan_table(path, {"a": pl.Int64})
