"""What `holdfast publish` can publish: the mixture of an arm, and the preference pairs of a selection."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from holdfast.build import staleness
from holdfast.build.stages import downstream, makers
from holdfast.cli.hub_repository import Content
from holdfast.cli.published_card import published_card
from holdfast.cli.show_pairs import is_pairs
from holdfast.common.errors import UserError
from holdfast.common.files import read_json, scan_table
from holdfast.common.wording import counted
from holdfast.params.names import nearest
from holdfast.params.schema import Params
from holdfast.steps.preferences.tables import PREFERENCES

DATA = {"train.jsonl": "train_rows", "val.jsonl": "val_rows", "train.parquet": "train_rows", "val.parquet": "val_rows"}
Part = tuple[str, str, int, Any]  # key in params.yaml, what it is, rows, and its section with the licence


class Publication(NamedTuple):
    """What is published, and where."""

    argument: str  # as the user named it
    title: str  # `Mixture rehearsed`
    about: str  # how much it is
    repository: str
    public: bool
    files: dict[str, Content]
    rows: dict[str, int]  # of its files
    parts: list[Part]  # what is in it


def publication(what: str, repository: str, public: bool, params: Params) -> Publication:
    """Of an arm's mixture, or of a file of pairs. Raises UserError where there is none that is up to date."""
    if is_pairs(what):
        file = Path(what).with_suffix(".jsonl")
        check_current(str(file))
        return pairs(file, repository, public, params)
    check_has_mixture(what, params)
    check_current(f"data/mix/{what}/train.jsonl")
    return mixture(what, repository, public, params)


def check_has_mixture(arm: str, params: Params) -> None:
    """Raises UserError for an arm that is not defined or has no mixture."""
    if arm not in params.arms:
        raise UserError(f"params.yaml: has no arm {arm}{nearest(arm, params.arms)}")
    if arm in params.merged_arms:
        behind = ", ".join(params.merged_arms[arm].merge)
        raise UserError(f"arm {arm} is an average of models and has no mixture; publish the mixture of {behind}")
    if arm in params.aligned_arms:
        chosen = params.aligned_arms[arm].preferences
        raise UserError(
            f"arm {arm} is trained on preference pairs and has no mixture; publish data/preferences/"
            f"{chosen.selection}.jsonl, or the mixture of {chosen.arm}"
        )


def mixture(arm: str, repository: str, public: bool, params: Params) -> Publication:
    """An arm's mixture."""
    folder = Path("data/mix", arm)
    summary = read_json(folder / "summary.json")
    licences = {licence for source in summary["sources"] for licence in source["licences"]}
    paths = [summary["base"], *(source.path for source in params.sources.values() if source.path)]
    local = "`rejected.parquet` and `contamination.parquet` stay"
    text = (folder / "README.md").read_text(encoding="utf-8")
    card = published_card(text, repository, licences, paths, 'load_dataset("path/to/this/folder")', local)
    return Publication(
        arm,
        f"Mixture {arm}",
        f"{counted(summary['train_rows'], 'row')} to train on, {summary['val_rows']:,} to validate with",
        repository,
        public,
        {"README.md": card.encode(), **{name: str(folder / name) for name in DATA}},
        {name: summary[key] for name, key in DATA.items()},
        list(parts_of_mixture(summary, params)),
    )


def pairs(file: Path, repository: str, public: bool, params: Params) -> Publication:
    """The preference pairs in `file`, data/preferences/<selection>.jsonl."""
    table = scan_table(file.with_suffix(".parquet"), PREFERENCES).collect()
    text = file.with_suffix(".md").read_text(encoding="utf-8")
    licences = {one for side in ("chosen", "rejected") for one in table[f"licence_{side}"].drop_nulls()}
    loading, local = f'load_dataset("json", data_files="{file.name}"', f"`{file.stem}.rejected.parquet` stays"
    card = published_card(text, repository, licences, [], loading, local)
    written: dict[str, int] = {}
    for side in ("chosen", "rejected"):
        for model in table[f"model_{side}"]:
            written[model] = written.get(model, 0) + 1
    names = (file.name, file.with_suffix(".parquet").name)
    return Publication(
        str(file),
        f"Preference pairs {file.stem}",
        counted(table.height, "pair"),
        repository,
        public,
        {"README.md": card.encode(), **{name: str(file.with_name(name)) for name in names}},
        dict.fromkeys(names, table.height),
        list(committee(written, params)),
    )


def check_current(path: str) -> None:
    """Raises UserError when a file is not built, or not from today's parameters, data and code."""
    versions, changes = staleness.look()
    stage = makers(versions.stages).get(path)
    if stage is None:
        raise UserError(
            f"{path}: no job writes it; `holdfast publish` takes an arm, or pairs of preferences.selections"
        )
    if stage in downstream(versions.stages, changes):
        fault = "is out of date (`holdfast plan` says why)" if Path(path).exists() else "is not built yet"
        raise UserError(f"{path}: {fault}; build it with `snakemake --cores all {path}`")


def parts_of_mixture(summary: Any, params: Params) -> Iterator[tuple[str, str, int, Any]]:
    """Each source and model behind the rows: key in params.yaml, what it is, rows, and its section with the licence."""
    rows: dict[str, int] = {}
    written: dict[str, int] = {}
    for found in summary["sources"]:
        rows[found["source"]] = rows.get(found["source"], 0) + found["train_rows"] + found["val_rows"]
        for model, count in found["models"].items():
            written[model] = written.get(model, 0) + count
    for name in rows:
        if name in params.sources and params.sources[name].path:
            yield f"sources.{name}", f"source {name}", rows[name], params.sources[name]
    if any(name not in params.sources or params.sources[name].selection for name in rows):
        yield from committee(written, params)


def committee(written: Mapping[str, int], params: Params) -> Iterator[Part]:
    """The models behind answers; `written`: how many are of each."""
    roles: dict[str, list[str]] = {params.base: ["wrote the instructions"]}
    for name in params.generate.models:
        roles.setdefault(name, []).append("answers")
    for name in params.score.judges:
        roles.setdefault(name, []).append("judge")
    for name, did in roles.items():
        yield f"models.{name}", f"model {name} ({', '.join(did)})", written.get(name, 0), params.models[name]
