"""`holdfast prefix MODEL`: what a model has seen when its user starts to write, for a person to look at."""

import argparse
import datetime
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from holdfast.chat.prequery import Prefix, derive
from holdfast.chat.template import Refused, Template, eos_ids, load_tokenizer
from holdfast.common.errors import UserError
from holdfast.common.section import load

_LIGHT_BYTES = 2_000_000_000  # weights that any machine can load for three samples


def command(subparsers: Any) -> None:
    """Add `prefix` to the command line."""
    parser = subparsers.add_parser("prefix", help="show a model's pre-query prefix, stops and assistant opening")
    parser.add_argument(
        "model", type=_folder, help="folder with a tokenizer, a name in params.yaml, or a Hugging Face id"
    )
    parser.add_argument("--system", help="system message (default: none)")
    parser.add_argument("--date", type=datetime.date.fromisoformat, help="for templates with a date (default: today)")
    parser.add_argument("--option", action="append", default=[], metavar="KEY=JSON", help="e.g. enable_thinking=true")
    parser.add_argument("--samples", type=int, help="instructions to draw (default: 3 where it costs little)")
    parser.add_argument("--json", action="store_true", help="the fields as JSON, or `refused`")
    parser.set_defaults(run=show)


def show(arguments: argparse.Namespace) -> int:
    """Print the prefix; the exit status is 1 if it is refused (with --json: 0, the reason is in `refused`)."""
    name, path, revision, trusted = _model(arguments.model)
    tokenizer = load_tokenizer(path, revision, trust_remote_code=trusted)
    before = [] if arguments.system is None else [{"role": "system", "content": arguments.system}]
    template = Template(tokenizer, _options(arguments.option), arguments.date)
    try:
        prefix = derive(template, before, eos_ids(tokenizer, path))
    except Refused as error:
        hint = "set seed.prefix by hand" if tokenizer.chat_template else "set seed.examples (in-context route)"
        if arguments.json:
            print(json.dumps({"model": path, "refused": str(error)}, ensure_ascii=False))
            return 0
        raise UserError(f"{path}: no pre-query prefix: {error}; {hint} or seed.prefix in params.yaml") from error
    if arguments.json:
        print(json.dumps({"model": path} | prefix._asdict(), ensure_ascii=False))
        return 0
    print(described(tokenizer, prefix))
    if (count := _affordable(path) if arguments.samples is None else arguments.samples) > 0:
        print(_samples(name, path, prefix, count))
    return 0


def described(tokenizer: Any, prefix: Prefix) -> str:
    """The prefix for a person, with white space visible."""
    stops = " ".join(f"{tokenizer.convert_ids_to_tokens(stop)} ({stop})" for stop in prefix.stop_ids)
    lines = [
        ("prefix", visible(prefix.prefix_text)),
        ("as tokens", " ".join(map(str, prefix.prefix_ids))),
        ("stops at", " ".join(filter(None, [stops, visible(prefix.stop_text) if prefix.stop_text else ""]))),
        ("after it", visible(prefix.suffix_text)),
        ("assistant", visible(prefix.assistant_text)),
    ]
    if prefix.boundary:
        lines.insert(2, ("then", f"{visible(prefix.boundary)}, which the model writes itself, inside a token"))
    return "\n".join(f"{name:10} {text}" for name, text in lines)


def visible(text: str) -> str:
    """`text` on one line, with spaces at its ends, line breaks and tabs shown."""
    inner = text.strip(" ")
    at = text.find(inner) if inner else len(text)
    text = "␣" * at + inner + "␣" * (len(text) - at - len(inner))
    return text.replace("\n", "⏎").replace("\t", "⇥")


def _folder(word: str) -> str:
    return str(Path(word).resolve()) if Path(word).is_dir() else word


def _model(word: str) -> tuple[str, str, str | None, bool]:
    """(name, path, revision, whether its own code may run) of what the user named."""
    models = load().get("models") or {}
    by_path = {
        str(Path(m["path"]).resolve()): name for name, m in models.items() if isinstance(m, dict) and "path" in m
    }
    name = word if word in models else by_path.get(word, "")
    if not name:
        return "", word, None, False
    model = models[name]
    trusted = bool(model.get("engine_args", {}).get("trust_remote_code"))
    return name, model["path"], model.get("revision"), trusted


def _options(words: list[str]) -> dict[str, Any]:
    options = {}
    for word in words:
        key, _, text = word.partition("=")
        try:
            options[key] = json.loads(text)
        except ValueError as error:
            raise UserError(f"--option {word}: expected KEY=JSON, such as enable_thinking=true") from error
    return options


def _affordable(path: str) -> int:
    """3 where an engine is at hand and the weights are small, else 0."""
    weights = sum(file.stat().st_size for file in Path(path).glob("*.safetensors"))
    if not 0 < weights < _LIGHT_BYTES:
        return 0
    found = subprocess.run(["envs/in-env", "--path", "inference"], capture_output=True, text=True)
    return 3 if found.returncode == 0 and Path(found.stdout.strip()).is_dir() else 0


def _samples(name: str, path: str, prefix: Prefix, count: int) -> str:
    asked = {"name": name, "path": path, "count": count} | prefix._asdict()
    words = ["envs/in-env", "inference", "python", "-m", "holdfast.cli.prefix_samples"]
    done = subprocess.run(words, input=json.dumps(asked), capture_output=True, text=True)
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr)
        return "no samples: the engine failed, see above"
    texts = json.loads(done.stdout.splitlines()[-1])
    return "\n".join(f"sample {n:<3} {visible(text)}" for n, text in enumerate(texts, 1))
