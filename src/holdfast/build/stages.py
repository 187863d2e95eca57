"""The stages of dvc.yaml, how they depend on one another, and their outputs."""

from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from holdfast.build import dvc_file

Stage = Mapping[str, Any]


def load_stages() -> dict[str, Stage]:
    """The stages of dvc.yaml, each with `cmd`, `deps`, `outs` and, where it reads any, `params`."""
    import yaml

    with open(dvc_file.DVC_FILE, encoding="utf-8") as file:
        return yaml.load(file, getattr(yaml, "CSafeLoader", yaml.SafeLoader))["stages"]


def makers(stages: Mapping[str, Stage]) -> dict[str, str]:
    """The stage that makes each output."""
    return {out: name for name, stage in stages.items() for out in stage["outs"]}


def upstream(stage: Stage, maker: Mapping[str, str]) -> list[str]:
    """The stages that make this one's inputs."""
    return [maker[dep] for dep in stage["deps"] if dep in maker]


def in_order(stages: Mapping[str, Stage]) -> list[str]:
    """The names of the stages, each after those that make its inputs."""
    maker = makers(stages)
    return [*TopologicalSorter({name: upstream(stage, maker) for name, stage in stages.items()}).static_order()]


def downstream(stages: Mapping[str, Stage], names: Iterable[str]) -> set[str]:
    """The stages in `names` and all that follow from them."""
    maker = makers(stages)
    reached = {name for name in names if name in stages}
    for name in in_order(stages):
        if any(other in reached for other in upstream(stages[name], maker)):
            reached.add(name)
    return reached


def needed(stages: Mapping[str, Stage], names: Iterable[str]) -> list[str]:
    """The stages in `names` and all that they follow from, each after those that make its inputs."""
    maker, found = makers(stages), set(names)
    order = in_order(stages)
    for name in reversed(order):
        if name in found:
            found.update(upstream(stages[name], maker))
    return [name for name in order if name in found]


def only_outputs_changed(found: list[Any]) -> bool:
    """Whether DVC's status of a stage says that outputs are missing or altered, and nothing else."""
    return bool(found) and all(isinstance(change, dict) and set(change) == {"changed outs"} for change in found)


def remove_dangling(outs: Iterable[str]) -> int:
    """Remove links to nothing from a stage's outputs; how many there were.

    With symbolic links DVC checks out what its cache lacks all the same, and then cannot read it.
    """
    found = [path for out in map(Path, outs) for path in (out, *(out.rglob("*") if out.is_dir() else ()))]
    dangling = [path for path in found if path.is_symlink() and not path.exists()]
    for path in dangling:
        path.unlink()
    return len(dangling)
