"""Values that YAML 1.1 (Snakemake) and YAML 1.2 (DVC) read differently."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from holdfast.common.errors import UserError


def yaml_faults(path: Path, read_as_1_1: Any) -> Iterator[tuple[str, str]]:
    """(key, fault) of values that Snakemake (YAML 1.1) and DVC (YAML 1.2) read differently: 2e-4, yes, off, 010."""
    try:
        read_as_1_2 = YAML(typ="safe", pure=True).load(path)
    except YAMLError as error:
        raise UserError(f"{path}: not valid YAML 1.2, which DVC reads: {error}") from error
    for key, one, two in differences(read_as_1_1, read_as_1_2):
        meant = [plain(value) for value in (two, one) if not isinstance(value, str)]
        repair = f"write {meant[0]}, or quote it if text is meant" if meant else "quote it"
        yield key, f"Snakemake reads {one!r} here and DVC {two!r}; {repair}"


def plain(value: Any) -> str:
    """A spelling of a scalar that both versions of YAML read alike."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and math.isfinite(value):
        text = repr(value)
        return text if "." in text else text.replace("e", ".0e")
    return str(value)


def differences(one: Any, two: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two readings of the same YAML differ in value or type: dotted key and both values."""
    if isinstance(one, Mapping) and isinstance(two, Mapping):
        for (name, value), (other_name, other) in zip(one.items(), two.items(), strict=True):
            below = f"{key}.{name}".strip(".")
            if (type(name), name) != (type(other_name), other_name):
                yield f"{below} (as a key)", name, other_name
            yield from differences(value, other, below)
    elif isinstance(one, list) and isinstance(two, list):
        for number, (value, other) in enumerate(zip(one, two, strict=True)):
            yield from differences(value, other, f"{key}[{number}]")
    elif type(one) is not type(two) or (one != two and not (one != one and two != two)):
        yield key, one, two
