"""filter: keep the best answer to each instruction.

Each entry of `filter` in params.yaml is a selection: data/filter/<name>.parquet (columns of `tables.SELECTED`) with its
data/filter/<name>.rejected.parquet. The built-in source `rehearsal` reads `selected`; a source with `selection: own`
reads data/filter/own.parquet. Selections share all generations and scores, so an ablation ladder needs no further
model calls:

  {models: [base], samples: 1, judges: []}    1 x 1, not filtered
  {models: [base], judges: [base]}            1 x L, filtered by itself
  {judges: []}                                a random candidate of K x L
  {}                                          K x L, filtered by the committee
"""

from holdfast.common.errors import UserError
from holdfast.common.files import scan_table, scan_tables, write_table
from holdfast.common.section import read, value
from holdfast.common.step import arguments, run
from holdfast.common.tables import GENERATIONS, INSTRUCTIONS, REJECTED_CANDIDATES, SCORES, SELECTED
from holdfast.steps.filter.params import Selection
from holdfast.steps.filter.selection import select


def main() -> None:
    args = arguments(__doc__, "selection", "instructions", "selected", "rejected", many=("generations", "scores"))
    how = read(args.params, f"filter.{args.selection}", Selection)
    instructions = scan_table(args.instructions, INSTRUCTIONS)
    generations = scan_tables(args.generations, GENERATIONS)
    scores = [scan_table(path, SCORES) for path in args.scores]
    try:
        selected, rejected = select(instructions, generations, scores, how, value(args.params, "random_seed"))
    except UserError as error:
        raise UserError(f"filter.{args.selection}: {error}") from error
    write_table(selected, args.selected, SELECTED)
    write_table(rejected, args.rejected, REJECTED_CANDIDATES)


if __name__ == "__main__":
    run(main)
