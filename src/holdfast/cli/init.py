"""`holdfast init`: write params.yaml for one's own model and data, after a look at both."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from holdfast.build import plan
from holdfast.cli import init_choices as choices
from holdfast.cli.init_looks import BaseModel, Domain, local_path, look_at_domain, look_at_gpus, look_at_model
from holdfast.common.errors import UserError
from holdfast.common.files import write_jsonl, write_text
from holdfast.common.wording import counted
from holdfast.params.validation import validate
from holdfast.steps.evaluate.suites import load_items
from holdfast.steps.mix.shapes import ANY_SHAPE, SHAPES

PARAMS = Path("params.yaml")
NEXT = """
Next:
  holdfast prefix base     the prompt that the model continues
  holdfast pilot           a small sample, to read"""
OWN = Path("data/own")  # rows that are set apart from the domain file


def command(subparsers: Any) -> None:
    """Add `init` to the command line."""
    parser = subparsers.add_parser(
        "init", help="write params.yaml for your own model and data, with a reason for each setting"
    )
    parser.add_argument("--base", metavar="MODEL", help="the model to fine-tune: a folder or a Hugging Face id")
    parser.add_argument("--domain", metavar="FILE", help="your data: JSONL, JSON, CSV, Parquet or a `datasets` folder")
    parser.add_argument(
        "--column", action="append", default=[], metavar="NAME=YOURS",
        help="a column of your file under Holdfast's name, for example --column question=Subject --column answer=Reply",
    )  # fmt: skip
    parser.add_argument(
        "--committee", action="append", default=[], metavar="NAME=MODEL",
        help="a further model that answers and judges: a folder, a Hugging Face id, or MODEL@URL at an endpoint",
    )  # fmt: skip
    parser.add_argument(
        "--suite", action="append", default=[], metavar="NAME=FILE",
        help="test items (prompt, answer); the suite `domain` measures your domain, others general ability",
    )  # fmt: skip
    parser.add_argument("--gpus", type=int, help="GPUs to use (default: those of this machine)")
    parser.add_argument("--gpu-memory-gb", type=float, help="memory of one GPU (default: that of this machine's)")
    parser.add_argument("--samples", type=int, help="instructions to sample (default: by the size of your data)")
    parser.set_defaults(run=main)


def main(arguments: argparse.Namespace) -> None:
    """Write params.yaml, keep the old one, print the plan. Raises UserError when something cannot be used."""
    base = look_at_model(told(arguments.base, "--base", "Model to fine-tune (a folder or a Hugging Face id)"))
    data = told(arguments.domain, "--domain", "File with your data")
    domain = look_at_domain(data, columns(arguments.column), base.tokenizer)
    for fault in domain.faulty[:5]:
        print(f"{domain.path} {fault}")
    if warning := choices.rubric_warning(base):
        print(f"WARNING: {warning}")
    text, files = chosen(arguments, base, domain)
    for path, rows in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_jsonl(rows, path)
        print(f"{path}: {counted(len(rows), 'row')}, from {domain.path}")
    aside = PARAMS.with_name("params.yaml.new")
    write_text(text, aside)
    try:
        validate(str(aside))
    except UserError as error:
        raise UserError(f"{error}\n{aside} is left for you to correct; params.yaml is as it was") from error
    if kept := keep_old():
        print(f"{kept}: your earlier params.yaml")
    aside.replace(PARAMS)
    print("params.yaml: written, with the reasons; read it before you build\n")
    plan.main(argparse.Namespace(json=False, gpus=arguments.gpus))
    print(NEXT)


def told(given: str | None, flag: str, question: str) -> str:
    """The flag's value, or the answer to the question at a terminal."""
    if given:
        return given
    if not sys.stdin.isatty():
        raise UserError(f"{flag} is missing")
    answer = input(f"{question}: ").strip()
    if not answer:
        raise UserError(f"{flag} is missing")
    return answer


def keep_old() -> Path | None:
    """Rename params.yaml to the next free params.yaml.old, params.yaml.old2, …"""
    if not PARAMS.exists():
        return None
    number = 1
    while (kept := PARAMS.with_name(f"params.yaml.old{number if number > 1 else ''}")).exists():
        number += 1
    PARAMS.rename(kept)
    return kept


def pair(text: str, flag: str) -> tuple[str, str]:
    name, equals, found = text.partition("=")
    if not equals or not name.isidentifier() or name != name.lower() or not found:
        raise UserError(f"{flag} {text}: NAME=… is expected, with a name of a to z, 0 to 9 and _")
    return name, found


def columns(given: list[str]) -> dict[str, str]:
    """Holdfast's names of columns -> the file's. Raises UserError for a name that no form of rows has."""
    known = [
        *dict.fromkeys(name for shape in SHAPES.values() for name in (*shape.columns, *shape.optional)),
        *ANY_SHAPE,
    ]
    found = {}
    for text in given:
        name, _, theirs = text.partition("=")
        if name not in known or not theirs:
            raise UserError(f"--column {text}: NAME=YOURS is expected, where NAME is one of {', '.join(known)}")
        found[name] = theirs
    return found


def chosen(
    arguments: argparse.Namespace, base: BaseModel, domain: Domain
) -> tuple[str, dict[Path, list[dict[str, Any]]]]:
    """The text of params.yaml, and the files that go with it."""
    memories = look_at_gpus()
    gpus = len(memories) if arguments.gpus is None else arguments.gpus
    memory_gb = arguments.gpu_memory_gb or min(memories, default=80.0)
    committee = []
    for name, where in (pair(text, "--committee") for text in arguments.committee):
        model, at, url = where.partition("@")
        committee.append({"name": name, "path": model if at else local_path(model), "url": url})
    suites, files = suites_of(arguments.suite, domain)
    train_file = next((str(path) for path in files if path.stem.endswith("train")), domain.path)
    rows = len(files.get(Path(train_file), domain.rows))
    context, answer, sequence = choices.lengths(base, domain)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["quoted"] = lambda text: json.dumps(str(text), ensure_ascii=False)
    text = environment.get_template("init.yaml.j2").render(
        base=base,
        domain=domain,
        gpus=gpus,
        memory_gb=memory_gb,
        context=context,
        answer=answer,
        sequence=sequence,
        parallel=choices.tensor_parallel(base, gpus, memory_gb),
        adapter=choices.adapter(base, gpus, memory_gb),
        samples=choices.samples(rows, arguments.samples),
        committee=committee,
        names=["base", *(model["name"] for model in committee)],
        endpoints=any(model["url"] for model in committee),
        train_file=train_file,
        suites=suites,
        general=any(suite["measures"] == "general" for suite in suites),
    )
    return text, files


def suites_of(given: list[str], domain: Domain) -> tuple[list[dict[str, str]], dict[Path, list[dict[str, Any]]]]:
    """The suites; without one for the domain, a part of the domain's rows is set apart for it."""
    suites, files = [], {}
    for name, path in (pair(text, "--suite") for text in given):
        load_items(path, name, "normalised")
        measures = "domain" if name == "domain" else "general"
        suites.append(
            {"name": name, "path": path, "kind": "normalised", "measures": measures, "why": "texts are compared"}
        )
    if not any(suite["measures"] == "domain" for suite in suites):
        kept, apart = choices.held_out(domain)
        if not apart:
            raise UserError(
                f"{domain.path}: too few rows with one question and one answer to set some apart for a test; give"
                " --suite domain=FILE"
            )
        files[OWN / "domain_train.jsonl"] = [{"messages": row} for row in kept]
        files[OWN / "domain_suite.jsonl"] = [{"messages": row[:-1], "answer": row[-1]["content"]} for row in apart]
        short = sorted(len(str(row[-1]["content"])) for row in apart)[len(apart) // 2] <= choices.SHORT_ANSWER
        suites.append({
            "name": "domain", "path": str(OWN / "domain_suite.jsonl"), "measures": "domain",
            "kind": "normalised" if short else "judge",
            "why": "short answers, compared as texts" if short else "long answers, graded by a model",
        })  # fmt: skip
    return suites, files
