"""Adding an arm to params.yaml as text, so that comments and layout stay as the user has them."""

import os
import shutil
from pathlib import Path
from typing import Any

import yaml

from holdfast.common import section
from holdfast.common.errors import UserError
from holdfast.params.validation import validate


def arm_text(name: str, arm: dict[str, Any], comment: str = "", indent: int = 2, step: int = 2) -> str:
    """The lines of an entry of `arms`."""
    body = yaml.safe_dump(arm, sort_keys=False, allow_unicode=True, width=10**6, default_flow_style=None)
    lines = [f"{name}:{f' # {comment}' if comment else ''}", *(" " * step + line for line in body.splitlines())]
    return "".join(f"{' ' * indent}{line}\n" for line in lines)


def with_arm(text: str, name: str, arm: dict[str, Any], comment: str) -> str:
    """The text of params.yaml with one more arm, after the last one. Everything else stays as it is, byte by byte."""
    root = yaml.compose(text)
    assert isinstance(root, yaml.MappingNode)
    arms = next(value for key, value in root.value if key.value == "arms")
    if arms.flow_style:
        at = arms.end_mark.index - 1  # of the closing brace
        comma = "" if text[:at].rstrip().endswith((",", "{")) else ", "
        flow = yaml.safe_dump(arm, sort_keys=False, allow_unicode=True, width=10**6, default_flow_style=True).strip()
        return f"{text[:at]}{comma}{name}: {flow}{text[at:]}"
    indent = arms.value[0][0].start_mark.column
    inner = arms.value[-1][1]
    step = 2 if inner.flow_style else max(1, inner.value[0][0].start_mark.column - indent)
    end = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines(keepends=True)
    line = _end(inner)
    if lines[line - 1 :] and not lines[line - 1].endswith("\n"):
        lines[line - 1] += end
    lines.insert(line, arm_text(name, arm, comment, indent, step).replace("\n", end))
    return "".join(lines)


def _end(node: yaml.Node) -> int:
    """The number of lines up to the end of the node's last value; its own end mark is that of the comments after it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(node, yaml.MappingNode) else last)
    return node.end_mark.line + (node.end_mark.column > 0)  # type: ignore[no-any-return]


def add_arm(name: str, arm: dict[str, Any], comment: str, path: str = section.PARAMS_FILE) -> None:
    """Add the arm to params.yaml, which is replaced as a whole once the new text has been checked.

    Raises UserError, and leaves the file as it is, where the text cannot be extended or the result is not valid.
    """
    target = Path(os.path.realpath(path))
    with target.open(encoding="utf-8", newline="") as file:
        text = file.read()
    before, by_hand = section.load(path), f"add it yourself:\narms:\n{arm_text(name, arm)}"
    if name in before["arms"]:
        raise UserError(f"{path}: arms.{name}: is there already, with other settings; rename it")
    aside = target.with_name(f"{target.name}.new")
    with aside.open("w", encoding="utf-8", newline="") as file:
        file.write(with_arm(text, name, arm, comment))
        file.flush()
        os.fsync(file.fileno())
    try:
        if section.load(str(aside)) != before | {"arms": before["arms"] | {name: arm}}:
            raise UserError("the layout of `arms` is not understood")
        validate(str(aside))
    except UserError as error:
        aside.unlink()
        raise UserError(f"{path}: is as it was, because the arm cannot be added ({error}); {by_hand}") from error
    shutil.copymode(target, aside)
    aside.replace(target)
