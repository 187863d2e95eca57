"""mix: one arm's training and validation data."""

from pathlib import Path

import polars as pl

from holdfast.chat.template import Template, load_tokenizer
from holdfast.common.files import digest, replacing, write_json, write_table
from holdfast.common.section import read, value
from holdfast.common.step import arguments, run
from holdfast.common.tables import MIX_REJECTED
from holdfast.inference.params import how_loaded
from holdfast.steps.mix import mixture
from holdfast.steps.mix.dataset_card import card
from holdfast.steps.mix.lengths import measure
from holdfast.steps.mix.outputs import DATE, rejected_rows, summarise, write
from holdfast.steps.mix.params import REHEARSAL, Arm, Mix, Source, size_source
from holdfast.steps.mix.sources import evaluation_items, load_file, load_selection


def defined(params: str, key: str) -> bool:
    """Whether `key` is among the declared keys: rules declare optional ones only where params.yaml has them."""
    return key in params.split(",")


def used_sources(params: str, arm: Arm) -> dict[str, Source]:
    """The arm's sources, by name; `rehearsal` needs no definition."""
    found = {name: f"sources.{name}" for name in arm.sources}
    builtin = Source.model_validate(REHEARSAL)
    return {
        name: builtin if name == "rehearsal" and not defined(params, key) else read(params, key, Source)
        for name, key in found.items()
    }


def main() -> None:
    args = arguments(__doc__, "arm", "base", "out", many=("suites",))
    arm, mix = read(args.params, f"arms.{args.arm}", Arm), read(args.params, "mix", Mix)
    seed, limit = value(args.params, "random_seed"), value(args.params, "train.sequence_len")
    whole, sources = size_source(args.arm, arm, mix), used_sources(args.params, arm)
    keys = args.params.split(",")
    licences = {
        key.split(".")[1]: value(args.params, key)
        for key in keys
        if key.endswith(".licence") and key.startswith("models.")
    }

    loaded, rejected = [], []
    for name, source in sources.items():
        if source.path is not None:
            rows, bad = load_file(name, source, source.data, mix.max_bad_share)
            rejected.append(bad)
        else:
            rows = load_selection(name, source.data, licences)
        loaded.append(rows)
    precedence = sorted(arm.sources, key=lambda name: (name != whole, name))
    kept, dropped = mixture.drop_duplicates(pl.concat(loaded), precedence)
    rejected.append(rejected_rows(dropped))
    kept, dropped = mixture.drop_evaluation(kept, evaluation_items(args.suites))
    rejected.append(rejected_rows(dropped))
    template = Template(load_tokenizer(args.base, **how_loaded(args.params)), date=DATE)
    kept, dropped = measure(kept, template, limit, mix.too_long)
    rejected.append(rejected_rows(dropped))

    for (source, reason), some in pl.concat(rejected).group_by("source", "reason", maintain_order=True):
        example = "".join(some["detail"].drop_nulls().head(1))
        print(f"mix {args.arm}: {source}: {len(some)} rows rejected: {reason}, such as: {example}", flush=True)
    strata = mixture.plan(kept, args.arm, arm, whole, {name: source.slices for name, source in sources.items()})
    drawn = [mixture.draw(kept, stratum, arm.unit, mix.validation, seed) for stratum in strata]
    train = mixture.shuffled(pl.concat([t for t, _ in drawn]), seed)
    val = mixture.shuffled(pl.concat([v for _, v in drawn]), seed)
    left = kept.join(pl.concat([train, val]), on="row_id", how="anti")
    rejected.append(
        rejected_rows(
            left.with_columns(reason=pl.lit("not_drawn"), detail=pl.lit("more rows than the arm's share needs"))
        )
    )
    lost = pl.concat(rejected).sort("source", "reason", "row_id", "origin")

    folder = Path(args.out)
    write(train, folder, "train")
    write(val, folder, "val")
    write_table(lost, folder / "rejected.parquet", MIX_REJECTED)
    counts = summarise(strata, train, val, lost)
    summary = {"arm": args.arm, "base": args.base, "unit": arm.unit, "shortage": arm.shortage, **counts}
    write_json(summary, folder / "summary.json")
    files = ["train.jsonl", "val.jsonl", "train.parquet", "val.parquet", "rejected.parquet"]
    checksums = {file: digest(str(folder / file)) for file in files}
    settings = {"arm": arm.model_dump(), "mix": mix.model_dump(), "random_seed": seed, "sequence_len": limit}
    settings["sources"] = {name: source.model_dump(exclude_defaults=True) for name, source in sources.items()}
    with replacing(folder / "README.md") as aside:
        inputs = {source.data: digest(source.data) for source in sources.values()}
        aside.write_text(card(summary, settings, checksums, inputs), encoding="utf-8")
    shares = ", ".join(f"{s['source']} {s['share_of_rows']:.1%}" for s in summary["sources"])
    print(
        f"mix {args.arm}: {train.height} rows to train on, {val.height} to validate with ({shares} of rows)", flush=True
    )


if __name__ == "__main__":
    run(main)
