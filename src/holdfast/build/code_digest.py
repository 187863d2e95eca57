"""One digest of the code that decides a job's output. DVC watches it like a parameter.

The digest covers the modules that a job imports, as syntax trees without what cannot change an output: comments,
layout, docstrings, type annotations of functions and variables, descriptions of parameters, and the texts of user
errors, assertions and progress lines. Editing those makes no job stale; editing the algorithm does.
"""

import ast
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar

PACKAGE = "holdfast"
DESCRIBED = ("Field", "ArgumentParser", "add_parser", "add_argument")  # `description` and `help` are texts
_Body = TypeVar("_Body", ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
# Modules that decide whether and when a job ends, never what it writes.
NO_EFFECT = frozenset(
    {
        "holdfast.common.errors",
        "holdfast.common.gpus",  # which GPUs a job gets
        "holdfast.common.hub",  # hints in messages
        "holdfast.common.locks",
        "holdfast.common.processes",  # signals and child processes
        "holdfast.common.progress",
        "holdfast.common.wording",  # numbers in messages
        "holdfast.inference.failures",  # how many failed rows a step may have
        "holdfast.inference.journal",  # how answers are stored; a row is found by its request's key only
        "holdfast.inference.journal_files",
        "holdfast.inference.recorded",
        "holdfast.inference.token_estimate",
    }
)


@cache
def code_digest(*modules: str, source: str = "src") -> str:
    """12 hex digits for the given modules and everything of the package that they import, at any depth.

    Raises FileNotFoundError when a module does not exist.
    """
    digest = blake2b(digest_size=6)
    for name in closure(*modules, source=source):
        digest.update(f"{name}\0{_normalised(_file(name, source))}\0".encode())
    return digest.hexdigest()


@cache
def closure(*modules: str, source: str = "src") -> tuple[str, ...]:
    """Names (sorted) of the given modules and of those that they import, without those that affect no output.

    Imports inside functions count too, and so do modules named in a string, such as a plugin's. Packages count as their
    `__init__.py`, a package given to run as its `__main__.py` as well.
    """
    waiting = []
    for module in modules:
        if not _exists(module, source):
            raise FileNotFoundError(f"{source}/{module.replace('.', '/')}.py")
        waiting += [name for name in (module, f"{module}.__main__") if _exists(name, source)]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in found and name not in NO_EFFECT:
            found.add(name)
            waiting += [other for other in _imported(_file(name, source)) if _exists(other, source)]
    return tuple(sorted(found))


def _exists(module: str, source: str) -> bool:
    return _find(module, source) is not None


def _find(module: str, source: str) -> Path | None:
    path = Path(source, *module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def _file(module: str, source: str) -> Path:
    path = _find(module, source)
    assert path is not None
    return path


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes(), str(path))


@cache
def _imported(path: Path) -> tuple[str, ...]:
    """Dotted names that may be modules of the package, the packages above them included."""
    names = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.ImportFrom):
            raise SyntaxError(
                f"{path}:{node.lineno}: relative import; write the whole name, so that it can be followed"
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(f"{PACKAGE}."):
            names.add(node.value)
    inside = {name for name in names if name.split(".")[0] == PACKAGE}
    return tuple(sorted({".".join(name.split(".")[:n]) for name in inside for n in range(1, name.count(".") + 2)}))


@cache
def _normalised(path: Path) -> str:
    tree = _Normaliser().visit(ast.parse(path.read_bytes(), str(path)))
    imports = sorted(ast.dump(node) for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom))
    rest = [ast.dump(node) for node in tree.body if not isinstance(node, ast.Import | ast.ImportFrom)]
    return "\n".join(imports + rest)


class _Normaliser(ast.NodeTransformer):
    """Takes out of a syntax tree what cannot change an output. The result is for `ast.dump` only."""

    def visit_Module(self, node: ast.Module) -> ast.Module:
        return self._without_docstring(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
        typed = not bases & {"NamedTuple", "Protocol"}  # in other classes annotations matter: pydantic reads them
        node.body = [_field(child, typed) if isinstance(child, ast.AnnAssign) else child for child in node.body]
        return self._without_docstring(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.returns = None
        if node.name.strip("_").partition("_")[0] == "explain":  # by convention such functions only word messages
            node.body = []
        return self._without_docstring(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AsyncFunctionDef:
        node.returns = None
        return self._without_docstring(node)

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt | None:
        self.generic_visit(node)
        return None if node.value is None else ast.Assign(targets=[node.target], value=node.value)

    def visit_If(self, node: ast.If) -> ast.stmt | None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return None
        self.generic_visit(node)
        return node

    def visit_Raise(self, node: ast.Raise) -> ast.Raise:
        if isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name) and node.exc.func.id == "UserError":
            return ast.Raise(exc=node.exc.func)  # the job fails and writes nothing, whatever the text is
        self.generic_visit(node)
        return node

    def visit_Assert(self, node: ast.Assert) -> ast.Assert:
        self.generic_visit(node)
        node.msg = None
        return node

    def visit_Call(self, node: ast.Call) -> ast.Call:
        self.generic_visit(node)
        if getattr(node.func, "id", getattr(node.func, "attr", "")) in DESCRIBED:
            node.keywords = [keyword for keyword in node.keywords if keyword.arg not in ("description", "help")]
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.stmt | None:
        call = node.value
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "print":
            to = [ast.unparse(keyword.value) for keyword in call.keywords if keyword.arg == "file"]
            if to in ([], ["sys.stderr"]):
                return None
        self.generic_visit(node)
        return node

    def _without_docstring(self, node: _Body) -> _Body:
        if node.body and isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant):
            node.body = node.body[1:]
        self.generic_visit(node)
        return node


def _field(node: ast.AnnAssign, typed: bool) -> ast.stmt:
    """A field of a class as an expression: its name, its annotation if `typed`, its default."""
    parts = [node.target, *([node.annotation] if typed else []), *([node.value] if node.value else [])]
    return ast.Expr(ast.Tuple(parts))
