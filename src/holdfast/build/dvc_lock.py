"""dvc.lock: what DVC recorded of each stage's last build. Read and written stage by stage, in DVC's own format."""

import re
from pathlib import Path
from typing import Any, ClassVar

import yaml

from holdfast.build.atomic import replace_text
from holdfast.common.errors import UserError

PATH = Path("dvc.lock")
HEAD = "schema: '2.0'\nstages:\n"
_STAGE = re.compile(r"^  (?=\S)", re.MULTILINE)

Entry = dict[str, Any]  # cmd, deps, params, outs


class Yaml12(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """PyYAML's fast loader with the scalars of YAML 1.2, which DVC writes: `yes` and `12:30` are text there."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[Any]]] = {}


def _int(loader: Any, node: Any) -> int:
    return int(node.value, 0 if node.value.lstrip("+-")[:2] in ("0x", "0o", "0b") else 10)


_INT = r"[-+]?(?:0b[01]+|0o[0-7]+|0x[0-9a-fA-F]+|[0-9]+)"
_EXPONENT = r"(?:[eE][-+]?[0-9]+)"
_FLOAT = (
    rf"[-+]?(?:[0-9]+\.[0-9]*{_EXPONENT}?|[0-9]+{_EXPONENT}|\.[0-9]+{_EXPONENT}?|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)"
)
for _tag, _pattern, _first in [
    ("bool", "true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    ("int", _INT, [*"-+0123456789"]),
    ("float", _FLOAT, [*"-+.0123456789"]),
    ("null", "~|null|Null|NULL|", [*"~nN", ""]),
]:
    Yaml12.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)
Yaml12.add_constructor("tag:yaml.org,2002:int", _int)


class DvcLock:
    """The entries of dvc.lock by stage. A changed entry is rewritten alone: the text of the others stays as it is."""

    def __init__(self) -> None:
        """Raises UserError when the file is not valid YAML."""
        self.read()

    def read(self) -> None:
        self.seen = _signature()
        text = PATH.read_text(encoding="utf-8") if PATH.exists() else HEAD
        try:
            self.entries: dict[str, Entry] = (yaml.load(text, Yaml12) or {}).get("stages") or {}
        except (yaml.YAMLError, AttributeError) as error:
            raise UserError(
                f"{PATH}: not valid YAML, perhaps after a merge: {error}; `git checkout -- {PATH}` restores it"
            ) from error
        head, *parts = _STAGE.split(text.partition("\nstages:\n")[2] or "")
        self.texts = {part.partition(":")[0]: part for part in parts}
        plain = set(self.texts) == set(self.entries) and not head.strip()
        if not plain:  # another layout than DVC's
            self.texts = {name: _text(name, entry) for name, entry in self.entries.items()}

    def put(self, name: str, entry: Entry) -> None:
        """Record the entry, on disk too, beside what others may have changed there."""
        if _signature() != self.seen:
            self.read()
        if self.entries.get(name) == entry:
            return
        self.entries[name], self.texts[name] = entry, _text(name, entry)
        replace_text(PATH, HEAD + "".join(f"  {text}" for text in self.texts.values()))
        self.seen = _signature()


def _signature() -> tuple[int, int] | None:
    return (found.st_mtime_ns, found.st_size) if PATH.exists() and (found := PATH.stat()) else None


def _text(name: str, entry: Entry) -> str:
    """As DVC writes it, without the indentation of the first line."""
    from dvc.utils.serialize import dumps_yaml

    return dumps_yaml({"stages": {name: entry}}).removeprefix("stages:\n").removeprefix("  ")
