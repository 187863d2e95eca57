"""A model's tokenizer and chat template: loading both from a folder, rendering, tokenising as in training."""

import datetime
import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

# Transformers warns at import that torch is missing; tokenizers and Jinja do not need it.
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")


from jinja2 import TemplateSyntaxError
from transformers import AutoTokenizer

from holdfast.common.errors import UserError
from holdfast.common.hub import offline_hint

Message = dict[str, Any]
_PROBE = "probe qzx"


class Refused(UserError):
    """The chat template cannot render a conversation, or no prefix can be derived from it; the message says why."""


@dataclass(frozen=True)
class Template:
    """A chat template with the settings that every rendering shares.

    `options` go to the template by name (`tools`, `enable_thinking`, …). `date` is what a template that asks for
    today's date gets; None is today. `parts` writes contents as `[{"type": "text", "text": …}]`.
    """

    tokenizer: Any
    options: dict[str, Any] = field(default_factory=dict)
    date: datetime.date | None = None
    parts: bool = False

    def text(self, messages: list[Message], opening: bool) -> str:
        """The conversation as text; with `opening`, the assistant's next turn is opened. Raises Refused."""
        options = dict(self.options)
        if self.date is not None:
            moment = datetime.datetime.combine(self.date, datetime.time())
            options["strftime_now"] = moment.strftime
        written = [_in_parts(m) for m in messages] if self.parts else messages
        try:
            return self.tokenizer.apply_chat_template(written, tokenize=False, add_generation_prompt=opening, **options)
        except TemplateSyntaxError as error:
            raise Refused(f"the chat template is not valid Jinja: line {error.lineno}: {error.message}") from error
        except Exception as error:  # a template is third-party code and may raise anything
            roles = ", ".join(m["role"] for m in messages)
            raise Refused(
                f"the chat template refuses the conversation ({roles}): {error or type(error).__name__}"
            ) from error

    def ids(self, text: str) -> list[int]:
        """`text` as tokens, special tokens recognised and none added: what `apply_chat_template` does."""
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def with_parts(self) -> "Template":
        """The same template with contents written as lists of parts."""
        return replace(self, parts=True)

    def fitted(self) -> "Template":
        """This template with contents in the form that it renders, text or parts; some ignore the other form silently.

        Found by rendering a few short conversations. A template that refuses all of them is returned unchanged. Raises
        Refused if it renders one without the user's text, and if there is no template.
        """
        if not self.tokenizer.chat_template:
            raise Refused("the tokenizer has no chat template; set models.<name>.chat_template to a Jinja file")
        user, answer = {"role": "user", "content": _PROBE}, {"role": "assistant", "content": "answer"}
        rendered = False
        for way in (self, self.with_parts()):
            for talk in ([user], [user, answer], [{"role": "system", "content": "system"}, user]):
                try:
                    text = way.text(talk, opening=talk[-1] is user)
                except Refused:
                    continue
                if _PROBE in text:
                    return way
                rendered = True
        if rendered:
            raise Refused("the chat template leaves out or changes the user's text, given as text or as parts")
        return self


def _in_parts(message: Message) -> Message:
    text = message.get("content")
    return message | {"content": [{"type": "text", "text": text}]} if isinstance(text, str) else message


def load_tokenizer(
    path: str, revision: str | None = None, *, trust_remote_code: bool = False, chat_template: str | None = None
) -> Any:
    """The tokenizer of a model folder (or of a Hugging Face id that is in the local cache or can be fetched).

    Code that comes with it runs only with `trust_remote_code`. `chat_template` is a Jinja file that replaces
    its chat template. Raises UserError when either cannot be loaded.
    """
    if path.startswith(("/", "./", "../", "models/")) and not Path(path).is_dir():
        raise UserError(f"{path}: no such folder; give a folder with a tokenizer, or a Hugging Face id")
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, revision=revision, trust_remote_code=trust_remote_code)
    except Exception as error:  # broken files raise anything, from KeyError to a panic in Rust
        reason = str(error).strip().splitlines() or [type(error).__name__]
        repair = "" if Path(path).is_dir() else offline_hint()
        raise UserError(
            f"{path}: its tokenizer cannot be loaded ({reason[0][:300]}){repair or '; check its tokenizer files'}"
        ) from error
    if chat_template is not None:
        try:
            tokenizer.chat_template = Path(chat_template).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{chat_template}: not readable as a chat template ({error})") from error
    elif not tokenizer.chat_template and (template := _processor_template(Path(path))):
        tokenizer.chat_template = template
    return tokenizer


def _processor_template(folder: Path) -> str | None:
    """The template of a multimodal model's processor, for folders where the tokenizer has none."""
    file = folder / "chat_template.json"
    if not file.is_file():
        return None
    try:
        found = json.loads(file.read_text(encoding="utf-8"))["chat_template"]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise UserError(f"{file}: expected a JSON object with the key chat_template") from error
    return found if isinstance(found, str) else None


def eos_ids(tokenizer: Any, path: str) -> list[int]:
    """Tokens that end a generation: the tokenizer's and those of `generation_config.json` where there is one."""
    found = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    file = Path(path) / "generation_config.json"
    if file.is_file():
        try:
            more = json.loads(file.read_text(encoding="utf-8")).get("eos_token_id")
        except (ValueError, AttributeError, OSError) as error:
            raise UserError(f"{file}: not a JSON object") from error
        found += more if isinstance(more, list) else [] if more is None else [more]
    return list(dict.fromkeys(found))
