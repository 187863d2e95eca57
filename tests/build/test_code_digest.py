"""A job is stale when the algorithm of its code changed, and not when only texts for people did."""

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.build.code_digest import NO_EFFECT, closure, code_digest
from holdfast.build.dvc_file import code_modules
from holdfast.build.jobs import list_jobs
from toy_project import ROOT

PACKAGE = ROOT / "src/holdfast"


@pytest.fixture(scope="module")
def entries() -> list[tuple[str, ...]]:
    """What the rules name after `--code`, each combination once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return sorted({tuple(code_modules(job.shell)) for job in list_jobs()})


def test_texts_for_people_make_no_job_stale(entries: list[tuple[str, ...]], tmp_path: Path) -> None:
    reworded = 0
    for path in modules():
        tree = ast.parse(path.read_bytes())
        writer = Rewording()
        copy = tmp_path / "holdfast" / path.relative_to(PACKAGE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text("# a comment\n" + ast.unparse(ast.fix_missing_locations(writer.visit(tree))))
        reworded += writer.changed
    assert reworded > 1000, "messages, docstrings, descriptions and annotations of all modules"
    for names in entries:
        assert digest(names, tmp_path) == digest(names, ROOT / "src"), names


@pytest.mark.parametrize(
    "module",
    ["holdfast.common.ids", "holdfast.chat.template", "holdfast.steps.filter.selection", "holdfast.sandbox.words"],
)
def test_an_algorithm_makes_exactly_the_jobs_stale_that_run_it(
    entries: list[tuple[str, ...]], module: str, tmp_path: Path
) -> None:
    shutil.copytree(PACKAGE, tmp_path / "holdfast", ignore=shutil.ignore_patterns("__pycache__"))
    path = tmp_path.joinpath(*module.split(".")).with_suffix(".py")
    tree = ast.parse(path.read_bytes())
    Other().visit(tree)
    path.write_text(ast.unparse(ast.fix_missing_locations(tree)))
    stale = {names for names in entries if digest(names, tmp_path) != digest(names, ROOT / "src")}
    runs = {names for names in entries if module in closure(*names, source=str(ROOT / "src"))}
    assert stale == runs
    assert stale
    assert stale != set(entries) or module == "holdfast.common.ids"


def test_only_modules_that_write_nothing_are_left_out(entries: list[tuple[str, ...]]) -> None:
    for name in NO_EFFECT:
        assert (ROOT / "src" / name.replace(".", "/")).with_suffix(".py").is_file(), f"{name} has moved"
    assert not any(name.startswith("holdfast.steps.") for name in NO_EFFECT)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("def f(a):\n    return a + 1\n", "def f(a):\n    return a + 2\n"),
        ("from enum import A, B\n", "from enum import A, C\n"),
        ("raise ValueError('bad')\n", "raise ValueError('worse')\n"),  # may be caught and stored, unlike a UserError
        ("print('row', file=table)\n", "print('column', file=table)\n"),
        ("class P(Section):\n    a: int = 1\n", "class P(Section):\n    a: int = 2\n"),
        ("class P(Section):\n    a: int = 1\n", "class P(Section):\n    a: float = 1\n"),
        ("detail = f'{n} rows'\n", "detail = f'{n} lines'\n"),  # a text in a table is data
    ],
)
def test_what_counts(one: str, other: str, tmp_path: Path) -> None:
    assert of(one, tmp_path / "one") != of(other, tmp_path / "other")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("def f(a):\n    return a\n", 'def f(a: int) -> int:\n    """Says what."""\n    return a  # why\n'),
        ("raise UserError('bad')\n", "raise UserError(f'bad: {why}') from error\n"),
        ("print('5 rows')\n", "print(f'{n} rows', flush=True)\n"),
        ("x = 1\n", "x = 1\nprint('done', file=sys.stderr)\n"),
        ("assert x\n", "assert x, 'our own fault'\n"),
        ("import json\nimport os\n", "import os\nimport json\n"),
        (
            "class P(Section):\n    a: int = Field(1)\n",
            "class P(Section):\n    a: int = Field(1, description='rows')\n",
        ),
        ("def explain(e):\n    return 1\n", "def explain(e):\n    return f'{e}!'\n"),
        ("if x:\n    y = 1\n", "if (x):\n\n    y = 1\n"),
    ],
)
def test_what_does_not_count(one: str, other: str, tmp_path: Path) -> None:
    assert of(one, tmp_path / "one") == of(other, tmp_path / "other")


def of(text: str, source: Path) -> str:
    (source / "holdfast").mkdir(parents=True)
    (source / "holdfast/__init__.py").write_text("")
    (source / "holdfast/a.py").write_text(text)
    return code_digest("holdfast.a", source=str(source))


def digest(names: tuple[str, ...], source: Path) -> tuple[str, ...]:
    return tuple(code_digest(name, source=str(source)) for name in names)


def modules() -> Iterator[Path]:
    return (path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)


class Rewording(ast.NodeTransformer):
    """Other words in everything that is written for people."""

    def __init__(self) -> None:
        self.changed = 0

    def visit_Module(self, node: ast.Module) -> ast.Module:
        return self.documented(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        return self.documented(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        if node.returns is not None:
            node.returns = self.word()
        return self.documented(node)

    def visit_arg(self, node: ast.arg) -> ast.arg:
        if node.annotation is not None:
            node.annotation = self.word()
        return node

    def visit_Raise(self, node: ast.Raise) -> ast.Raise:
        self.generic_visit(node)
        if isinstance(node.exc, ast.Call) and getattr(node.exc.func, "id", "") == "UserError":
            node.exc.args = [self.word()]
        return node

    def visit_Assert(self, node: ast.Assert) -> ast.Assert:
        self.generic_visit(node)
        node.msg = self.word()
        return node

    def visit_Call(self, node: ast.Call) -> ast.Call:
        self.generic_visit(node)
        for keyword in node.keywords:
            if keyword.arg in ("description", "help") and isinstance(keyword.value, ast.Constant):
                keyword.value = self.word()
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.Expr:
        self.generic_visit(node)
        call = node.value
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "print":
            to = [ast.unparse(keyword.value) for keyword in call.keywords if keyword.arg == "file"]
            if to in ([], ["sys.stderr"]):
                call.args = [self.word()]
        return node

    def word(self) -> ast.Constant:
        self.changed += 1
        return ast.Constant("other words")

    def documented(
        self, node: ast.Module | ast.ClassDef | ast.FunctionDef
    ) -> "ast.Module | ast.ClassDef | ast.FunctionDef":
        first = node.body[0] if node.body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            first.value = self.word()
        self.generic_visit(node)
        return node


class Other(ast.NodeTransformer):
    """Another result: of the first function that returns one, else one name more."""

    done = False

    def visit_Module(self, node: ast.Module) -> ast.Module:
        self.generic_visit(node)
        if not self.done:
            node.body.append(ast.parse("ADDED = 1").body[0])
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        return node if node.name.strip("_").startswith("explain") else self.generic_visit(node)  # type: ignore[return-value]

    def visit_Return(self, node: ast.Return) -> ast.Return:
        if node.value is not None and not self.done:
            self.done = True
            node.value = ast.Tuple([node.value, ast.Constant(1)])
        return node
