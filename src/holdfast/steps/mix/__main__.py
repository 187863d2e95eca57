"""mix: the training and validation data of one arm."""

import re
from pathlib import Path

import polars as pl

from holdfast.chat.control_tokens import message_control_tokens
from holdfast.chat.template import Template, load_tokenizer
from holdfast.common.arm_file import file_of
from holdfast.common.files import digest, write_json, write_table, write_text
from holdfast.common.section import optional, read, value
from holdfast.common.step import arguments, run
from holdfast.common.tables import MIX_CONTAMINATION, MIX_REJECTED
from holdfast.common.wording import counted
from holdfast.inference.model_files import pinned_loading
from holdfast.steps.mix import mixture
from holdfast.steps.mix.arrangement import arrangements
from holdfast.steps.mix.contamination import (
    counts_by_suite,
    drop_contaminated,
    load_items,
    mark_not_drawn,
    reporting_sources,
    warn,
)
from holdfast.steps.mix.control_tokens import drop_control_tokens
from holdfast.steps.mix.dataset_card import card
from holdfast.steps.mix.lengths import measure
from holdfast.steps.mix.outputs import DATE, rejected_rows, summarise, write
from holdfast.steps.mix.params import MIXTURE, REHEARSAL, Arm, Mix, Source, size_source
from holdfast.steps.mix.sources import load_file, load_selection
from holdfast.text.params import Contamination

_LICENCE = re.compile(r"models\.[^.]+\.licence")


def used_sources(params: str, arm: Arm) -> dict[str, Source]:
    """The arm's sources, by name; `rehearsal` needs no definition."""
    known = {"rehearsal": Source.model_validate(REHEARSAL)}
    return {
        name: known[name]
        if optional(params, f"sources.{name}") is None and name in known
        else read(params, f"sources.{name}", Source)
        for name in arm.sources
    }


def compared_with(params: str) -> Contamination:
    """How rows are compared with suites: as in `clean`."""
    return read(params, "clean.contamination", Contamination)


def load(sources: dict[str, Source], params: str, mix: Mix) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows of all sources (MIXABLE), and the malformed ones (MIX_REJECTED)."""
    licences = {key.split(".")[1]: value(params, key) for key in params.split(",") if _LICENCE.fullmatch(key)}
    rows, malformed = [], [pl.DataFrame(schema=MIX_REJECTED)]
    for name, source in sources.items():
        if source.path is None:
            rows.append(load_selection(name, source.data, licences))
        else:
            good, bad = load_file(name, source, source.data, mix.max_bad_share)
            rows.append(good)
            malformed.append(bad)
    return pl.concat(rows), pl.concat(malformed)


def sequence_len(declared: str, arm: str) -> int:
    """The arm's training context in tokens."""
    own = optional(declared, f"arms.{arm}.train.sequence_len", None, file_of(arm))
    return value(declared, "train.sequence_len") if own is None else own  # type: ignore[no-any-return]


def main() -> None:
    args = arguments(__doc__, "arm", "base", "out", many=("suites", "harness"))
    arm, mix = read(args.params, f"arms.{args.arm}", Arm, file_of(args.arm)), read(args.params, "mix", Mix)
    seed, limit = value(args.params, "random_seed"), sequence_len(args.params, args.arm)
    size_from, sources = size_source(args.arm, arm, mix), used_sources(args.params, arm)
    compared = compared_with(args.params)
    folder = Path(args.out)

    kept, malformed = load(sources, args.params, mix)
    rejected = [malformed]
    arranged = arrangements(kept, sources, seed)
    kept, dropped = mixture.drop_duplicates(kept, sorted(arm.sources, key=lambda name: (name != size_from, name)))
    rejected.append(rejected_rows(dropped))
    items, reporting = load_items(args.suites, args.harness, compared), reporting_sources(sources, size_from)
    kept, dropped, found = drop_contaminated(kept, items, compared.ngram, reporting)
    rejected.append(rejected_rows(dropped))
    kept = kept.drop("questions", "content_key")  # a third of the memory, not read below
    template = Template(load_tokenizer(args.base, **pinned_loading(args.params, args.base)), date=DATE)
    kept, dropped = drop_control_tokens(kept, message_control_tokens(template))
    rejected.append(rejected_rows(dropped))
    kept, dropped = measure(kept, template, limit, mix.too_long)
    rejected.append(rejected_rows(dropped))

    for (source, reason), some in pl.concat(rejected).group_by("source", "reason", maintain_order=True):
        example = "".join(some["detail"].drop_nulls().head(1))
        print(
            f"mix {args.arm}: {source}: {counted(len(some), 'row')} rejected: {reason}, such as: {example}", flush=True
        )
    parts = mixture.allocate(kept, args.arm, arm, size_from, {name: source.slices for name, source in sources.items()})
    drawn = [mixture.draw(kept, part, arm.unit, mix.validation, seed, arranged.get(part.source)) for part in parts]
    train = mixture.shuffled(pl.concat([t for t, _ in drawn]), seed)
    val = mixture.shuffled(pl.concat([v for _, v in drawn]), seed)
    left = kept.join(pl.concat([train, val]), on="row_id", how="anti")
    unused = "more rows than the arm's share needs"
    rejected.append(rejected_rows(left.with_columns(reason=pl.lit("not_drawn"), detail=pl.lit(unused))))
    lost = pl.concat(rejected).sort("source", "reason", "row_id", "origin")
    found = mark_not_drawn(found, pl.concat([train, val]))

    write(train, folder, "train")
    write(val, folder, "val")
    write_table(lost, folder / "rejected.parquet", MIX_REJECTED)
    write_table(found, folder / "contamination.parquet", MIX_CONTAMINATION)
    counts = summarise(parts, train, val, lost) | {"contamination": counts_by_suite(found)}
    summary = {"arm": args.arm, "base": args.base, "unit": arm.unit, "shortage": arm.shortage, **counts}
    write_json(summary, folder / "summary.json")
    files = ["train.jsonl", "val.jsonl", "train.parquet", "val.parquet", "rejected.parquet", "contamination.parquet"]
    checksums = {file: digest(str(folder / file)) for file in files}
    settings = {
        "arm": {key: getattr(arm, key) for key in MIXTURE},
        "mix": mix.model_dump(),
        "random_seed": seed,
        "sequence_len": limit,
    }
    settings["contamination"] = {"ngram": compared.ngram, "benchmarks": compared.benchmarks, "fields": compared.fields}
    settings["sources"] = {name: source.model_dump(exclude_defaults=True) for name, source in sources.items()}
    inputs = {source.data: digest(source.data) for source in sources.values()}
    write_text(card(summary, settings, checksums, inputs), folder / "README.md")
    shares = ", ".join(f"{s['source']} {s['share_of_rows']:.1%}" for s in summary["sources"])
    print(
        f"mix {args.arm}: {counted(train.height, 'row')} to train on, {val.height:,} to validate with"
        f" ({shares} of rows)",
        flush=True,
    )
    warn(args.arm, found, args.out)


if __name__ == "__main__":
    run(main)
