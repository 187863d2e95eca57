"""score: one judge scores every candidate answer."""

import polars as pl

from holdfast.common.files import write_table
from holdfast.common.step import arguments, run
from holdfast.common.tables import SCORES
from holdfast.steps.score.judging import judge_all


def main() -> None:
    args = arguments(__doc__, "judge", "rubric", "instructions", "scores", many=("generations",))
    asked = judge_all(args, args.scores)
    table = (
        asked.candidates.join(
            pl.concat(asked.answers), left_on="asked_id", right_on="id", how="left", maintain_order="left"
        )
        .with_columns(
            judge=pl.lit(args.judge),
            method=pl.lit(asked.method),
            raw=pl.coalesce(pl.format("{}: {}", "error", pl.col("detail").fill_null("")), "text"),
            request_key=pl.when(pl.col("error").is_null()).then("request_key"),
        )
        .select(list(SCORES))
    )
    assert table["status"].null_count() == 0, "a candidate was not judged"
    write_table(table, args.scores, SCORES)
    counts = dict(table["status"].value_counts().sort("status").iter_rows())
    print(f"score {args.judge}: " + ", ".join(f"{n:,} {status}" for status, n in counts.items()), flush=True)


if __name__ == "__main__":
    run(main)
