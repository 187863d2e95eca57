"""preferences: pairs of a preferred and a rejected answer from one selection of the filter step.

Writes data/preferences/<selection>.jsonl and .parquet (columns of `PREFERENCES`), the instructions without a
pair (<selection>.rejected.parquet) and a dataset card (<selection>.md).
"""

import json
import os

from holdfast.common.errors import UserError
from holdfast.common.files import digest, replacing, scan_table, write_table, write_text
from holdfast.common.section import read, value
from holdfast.common.step import arguments, run
from holdfast.common.tables import REJECTED_CANDIDATES, SELECTED
from holdfast.common.wording import counted
from holdfast.steps.preferences.card import card
from holdfast.steps.preferences.pairing import choose, written_out
from holdfast.steps.preferences.params import Preferences
from holdfast.steps.preferences.tables import PREFERENCES, PREFERENCES_REJECTED

_AT_ONCE = 10_000
REPAIRS = {  # by the first of these reasons that there is, when there is no pair
    "small_margin": "lower preferences.min_margin",
    "one_answer": "raise generate.samples, or let more models or candidates into the selection",
    "not_selected": "read the selection's rejected.parquet",
}


def write_lines(table: str, path: str) -> None:
    """Write the Parquet file `table` (PREFERENCES) as JSONL, part by part."""
    with replacing(path) as aside, aside.open("w", encoding="utf-8") as file:
        for some in scan_table(table, PREFERENCES).collect_batches(chunk_size=_AT_ONCE, maintain_order=True):
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in some.iter_rows(named=True))


def licences(params: str) -> dict[str, str | None]:
    """The licence of each model whose `models.<name>.licence` is declared."""
    keys = [key for key in params.split(",") if key.startswith("models.") and key.endswith(".licence")]
    return {key.split(".")[1]: value(params, key) for key in keys}


def main() -> None:
    args = arguments(__doc__, "selection", "selected", "others", "pairs", "table", "rejected", "card")
    least = read(args.params, "preferences", Preferences).min_margin
    seed, licence_of = value(args.params, "random_seed"), licences(args.params)
    selected, others = scan_table(args.selected, SELECTED), scan_table(args.others, REJECTED_CANDIDATES)
    chosen, lost = choose(selected, others, least, seed)
    reasons = lost["reason"].value_counts().sort("count", "reason", descending=[True, False])
    if chosen.is_empty():
        counts = ", ".join(f"{n:,} {reason}" for reason, n in reasons.iter_rows())
        repair = next(text for reason, text in REPAIRS.items() if reason in reasons["reason"])
        raise UserError(f"preferences: {args.selection} gives no pair: {counts}; {repair}")
    write_table(written_out(chosen, selected, others, licence_of), args.table, PREFERENCES)
    write_lines(args.table, args.pairs)
    write_table(lost, args.rejected, PREFERENCES_REJECTED)
    files = {os.path.basename(path): digest(path) for path in (args.pairs, args.table, args.rejected)}
    inputs = {path: digest(path) for path in (args.selected, args.others)}
    settings = {"min_margin": least, "random_seed": seed, "selection": args.selection}
    write_text(card(chosen, lost, licence_of, settings, files, inputs), args.card)
    mean = float(chosen["margin"].to_numpy().mean())
    print(
        f"preferences {args.selection}: {counted(chosen.height, 'pair')}, mean margin {mean:.2f};"
        f" {counted(lost.height, 'instruction')} without one",
        flush=True,
    )


if __name__ == "__main__":
    run(main)
