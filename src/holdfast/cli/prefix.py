"""`holdfast prefix MODEL`: the pre-query prefix of a model, and what ends the user's turn."""

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
from holdfast.inference.model_files import pinned_revision
from holdfast.steps.seed.files import examples
from holdfast.steps.seed.params import Seed
from holdfast.steps.seed.prompts import prefix_of_examples

_CHARACTERS_SHOWN = 240  # of a text, before it is folded


_TOKENS_SHOWN = 24


_LIGHT_BYTES = 2_000_000_000  # weights that any machine can load for three samples


def command(subparsers: Any) -> None:
    """Add `prefix` to the command line."""
    parser = subparsers.add_parser(
        "prefix", help="show the prompt from which a model writes instructions, and the tokens that end them"
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        type=_folder,
        help="a name in params.yaml, a folder with a tokenizer, or a Hugging Face id",
    )
    parser.add_argument("--system", metavar="TEXT", help="system message (default: none)")
    parser.add_argument(
        "--date",
        type=datetime.date.fromisoformat,
        metavar="YYYY-MM-DD",
        help="date for chat templates that print one (default: today)",
    )
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="KEY=JSON",
        help="variable for the chat template, for example enable_thinking=true",
    )
    parser.add_argument(
        "--samples",
        type=int,
        metavar="N",
        help="sample N instructions (default: 3 if the weights are under 2 GB, else 0)",
    )
    parser.add_argument("--json", action="store_true", help="print the fields as JSON, or the reason under `refused`")
    parser.set_defaults(run=show)


def show(arguments: argparse.Namespace) -> int:
    """Print the prefix; the exit status is 1 if it is refused (with --json: 0, the reason is in `refused`)."""
    name, path, branch, trusted = _model(arguments.model)
    revision = pinned_revision(path, branch)
    tokenizer = load_tokenizer(path, revision, trust_remote_code=trusted)
    before = [] if arguments.system is None else [{"role": "system", "content": arguments.system}]
    template = Template(tokenizer, _options(arguments.option), arguments.date)
    try:
        prefix = _from_examples(name, template, eos_ids(tokenizer, path)) or derive(
            template, before, eos_ids(tokenizer, path)
        )
    except Refused as error:
        hint = "" if tokenizer.chat_template else "seed.examples (instructions as a prompt) or "
        if arguments.json:
            print(json.dumps({"model": path, "refused": str(error)}, ensure_ascii=False))
            return 0
        raise UserError(f"{path}: no pre-query prefix: {error}; set {hint}seed.prefix in params.yaml") from error
    if arguments.json:
        tokens = tokenizer.convert_ids_to_tokens(prefix.prefix_ids)
        print(json.dumps({"model": path} | prefix._asdict() | {"prefix_tokens": tokens}, ensure_ascii=False))
        return 0
    print(described(tokenizer, prefix))
    if (count := _affordable(path) if arguments.samples is None else arguments.samples) > 0:
        print(_samples(name, path, revision, prefix, count))
    return 0


def _from_examples(name: str, template: Template, eos: list[int]) -> Prefix | None:
    """A prompt of example instructions, where the base model has no chat template and `seed.examples` is set."""
    values = load()
    seed = values.get("seed") or {}
    if template.tokenizer.chat_template or name != values.get("base") or not seed.get("examples"):
        return None
    shown = seed.get("examples_per_prompt", Seed.model_fields["examples_per_prompt"].default)
    prefix = prefix_of_examples(template, eos, examples(seed["examples"])[:shown])
    return prefix._replace(
        notes=[f"the model has no chat template: it continues {shown} examples of {seed['examples']}"]
    )


def described(tokenizer: Any, prefix: Prefix) -> str:
    """The prefix for a person: a line for each part, white space visible, long texts folded, then the notes."""
    stops = [*_tokens(tokenizer, prefix.stop_ids), *([visible(prefix.stop_text)] if prefix.stop_text else [])]
    tokens = _tokens(tokenizer, prefix.prefix_ids)
    if len(tokens) > _TOKENS_SHOWN:
        left_out = f"… {len(tokens) - _TOKENS_SHOWN:,} more tokens …"
        tokens = [*tokens[: _TOKENS_SHOWN // 2], left_out, *tokens[-_TOKENS_SHOWN // 2 :]]
    lines = [
        ("prefix", folded(visible(prefix.prefix_text))),
        ("tokens", " ".join(tokens)),
        ("stops at", " ".join(stops)),
        ("followed by", folded(visible(prefix.suffix_text))),
        ("assistant", folded(visible(prefix.assistant_text))),
        *(("note", note) for note in prefix.notes),
    ]
    if prefix.boundary:
        lines.insert(
            2, ("then", f"{visible(prefix.boundary)}, which the model writes itself as part of its first token")
        )
    return "\n".join(f"{name:11} {text}" for name, text in lines)


def _tokens(tokenizer: Any, ids: list[int]) -> list[str]:
    """Each token as the vocabulary spells it, with its id."""
    return [f"{token}({token_id})" for token, token_id in zip(tokenizer.convert_ids_to_tokens(ids), ids, strict=True)]


def folded(text: str) -> str:
    """`text` without its middle where it is long: a system prompt, mostly."""
    left_out = len(text) - _CHARACTERS_SHOWN
    if left_out <= 0:
        return text
    half = _CHARACTERS_SHOWN // 2
    return f"{text[:half]} … {left_out:,} more characters (--json shows all) … {text[-half:]}"


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
    """3 where the inference environment is built and the weights are small, else 0."""
    weights = sum(file.stat().st_size for file in Path(path).glob("*.safetensors"))
    if not 0 < weights < _LIGHT_BYTES:
        return 0
    found = subprocess.run(["envs/in-env", "--built", "inference"], capture_output=True, text=True)
    return 3 if found.returncode == 0 else 0


def _samples(name: str, path: str, revision: str | None, prefix: Prefix, count: int) -> str:
    asked = {"name": name, "path": path, "revision": revision, "count": count} | prefix._asdict()
    words = ["envs/in-env", "inference", "python", "-m", "holdfast.cli.prefix_samples"]
    done = subprocess.run(words, input=json.dumps(asked), capture_output=True, text=True)
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr)
        return "no samples: the engine failed, see the messages above"
    texts = json.loads(done.stdout.splitlines()[-1])
    return "\n".join(f"sample {n:<3} {visible(text)}" for n, text in enumerate(texts, 1))
