"""Which files of the package a module runs: its import closure, read from the syntax, nothing is executed."""

import ast
from functools import cache
from pathlib import Path

PACKAGE = "holdfast"


@cache
def closure(module: str, source: str = "src") -> tuple[str, ...]:
    """Paths (sorted, relative to the project's root) of `module` and of every module of the package that it imports.

    Imports inside functions count too; empty files do not. Raises FileNotFoundError when `module` does not exist.
    """
    start = _file(module, source)
    if start is None:
        raise FileNotFoundError(f"{source}/{module.replace('.', '/')}.py")
    found: set[Path] = set()
    waiting = [start]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += [file for name in _imported(path) if (file := _file(name, source))]
    return tuple(sorted(str(path) for path in found if path.stat().st_size))


def _file(module: str, source: str) -> Path | None:
    path = Path(source, *module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


@cache
def _imported(path: Path) -> tuple[str, ...]:
    """Dotted names that may be modules of the package, the packages above them included."""
    names = set()
    for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.ImportFrom):
            raise SyntaxError(f"{path}:{node.lineno}: relative import; write it out, so that the job's files are known")
    inside = {name for name in names if name.split(".")[0] == PACKAGE}
    return tuple(sorted({".".join(name.split(".")[:n]) for name in inside for n in range(1, name.count(".") + 2)}))
