"""What will the model see? One mixture per arm: sources in the arm's shares, cleaned, split and shuffled."""

import datetime
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from holdfast import mixture
from holdfast.dataset_card import card
from holdfast.files import digest, replacing, write_json, write_table
from holdfast.lengths import measure
from holdfast.params.arms import Arm
from holdfast.params.mix import Mix, used_whole
from holdfast.params.models import how_loaded
from holdfast.params.section import read, value
from holdfast.params.seed import FIXED_DATE
from holdfast.params.sources import REHEARSAL, Source
from holdfast.sources import evaluation_items, load_file, load_selection
from holdfast.step import arguments, run
from holdfast.tables import MIX_REJECTED, MIXABLE
from holdfast.template import Template, load_tokenizer

ROW = (
    "messages",
    "tools",
    "source",
    "row_id",
    "slice",
    "instruction_id",
    "model",
    "score",
    "licence",
    "tokens",
    "truncated",
)
DATE = datetime.date.fromisoformat(FIXED_DATE)


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


def written(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows (MIXABLE) as they are written: `messages` first, and `tools` only where some row of the mixture has them."""
    names = [name for name in ROW if name != "tools" or rows["tools"].is_not_null().any()]
    return [
        {name: json.loads(row["conversation"]) if name == "messages" else row[name] for name in names}
        for row in rows.iter_rows(named=True)
    ]


def summarise(
    strata: Iterable[mixture.Stratum], train: pl.DataFrame, val: pl.DataFrame, rejected: pl.DataFrame
) -> dict[str, Any]:
    """Counts of the mixture as it came out, per stratum and altogether."""
    both = pl.concat([train, val])
    sources = []
    for s in strata:
        own = pl.col("source") == s.source
        own = own if s.slice is None else own & (pl.col("slice") == s.slice)
        here, learnt = both.filter(own), train.filter(own)
        sources.append(
            {
                **{"source": s.source, "slice": s.slice, "share": s.share},
                "share_of_rows": here.height / both.height,
                "share_of_tokens": int(here["tokens"].sum()) / int(both["tokens"].sum()),
                **{
                    "available": s.available,
                    "asked": s.size,
                    "train_rows": learnt.height,
                    "val_rows": val.filter(own).height,
                },
                "repeated_rows": learnt.filter(pl.col("copy") > 0).height,
                "train_tokens": int(learnt["tokens"].sum()),
                "truncated_rows": learnt.filter("truncated").height,
                "licences": sorted(here["licence"].drop_nulls().unique()),
                "models": dict(
                    here.filter(pl.col("model").is_not_null()).group_by("model").len().sort("model").iter_rows()
                ),
            }
        )
    reasons: dict[str, dict[str, int]] = {}
    for source, reason, n in rejected.group_by("source", "reason").len().sort("source", "reason").iter_rows():
        reasons.setdefault(source, {})[reason] = n
    sizes = {"train_rows": train.height, "val_rows": val.height, "train_tokens": int(train["tokens"].sum())}
    return {**sizes, "sources": sources, "rejected": reasons}


def _rejected(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.rename({"conversation": "text"}).select(list(MIX_REJECTED))


def _write(rows: pl.DataFrame, folder: Path, name: str) -> None:
    lines = written(rows)
    with replacing(folder / f"{name}.jsonl") as aside:
        aside.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    frame = (
        pl.DataFrame(lines, infer_schema_length=None) if lines else pl.DataFrame(schema=dict.fromkeys(ROW, pl.String))
    )
    kinds = pl.Schema({name: MIXABLE[name] for name in frame.columns if name in MIXABLE})
    with replacing(folder / f"{name}.parquet") as aside:
        frame.cast(kinds).write_parquet(aside, compression="zstd")


def main() -> None:
    args = arguments(__doc__, "arm", "base", "out", many=("suites",))
    arm, mix = read(args.params, f"arms.{args.arm}", Arm), read(args.params, "mix", Mix)
    seed, limit = value(args.params, "random_seed"), value(args.params, "train.sequence_len")
    whole, sources = used_whole(args.arm, arm, mix), used_sources(args.params, arm)
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
    rejected.append(_rejected(dropped))
    kept, dropped = mixture.drop_evaluation(kept, evaluation_items(args.suites))
    rejected.append(_rejected(dropped))
    template = Template(load_tokenizer(args.base, **how_loaded(args.params)), date=DATE)
    kept, dropped = measure(kept, template, limit, mix.too_long)
    rejected.append(_rejected(dropped))

    for (source, reason), some in pl.concat(rejected).group_by("source", "reason", maintain_order=True):
        example = "".join(some["detail"].drop_nulls().head(1))
        print(f"mix {args.arm}: {source}: {len(some)} rows rejected: {reason}, such as: {example}", flush=True)
    strata = mixture.plan(kept, args.arm, arm, whole, {name: source.slices for name, source in sources.items()})
    drawn = [mixture.draw(kept, stratum, arm.by, mix.validation, seed) for stratum in strata]
    train = mixture.shuffled(pl.concat([t for t, _ in drawn]), seed)
    val = mixture.shuffled(pl.concat([v for _, v in drawn]), seed)
    left = kept.join(pl.concat([train, val]), on="row_id", how="anti")
    rejected.append(
        _rejected(left.with_columns(reason=pl.lit("not_drawn"), detail=pl.lit("more rows than the arm's share needs")))
    )
    lost = pl.concat(rejected).sort("source", "reason", "row_id", "origin")

    folder = Path(args.out)
    _write(train, folder, "train")
    _write(val, folder, "val")
    write_table(lost, folder / "rejected.parquet", MIX_REJECTED)
    counts = summarise(strata, train, val, lost)
    summary = {"arm": args.arm, "base": args.base, "by": arm.by, "shortage": arm.shortage, **counts}
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
