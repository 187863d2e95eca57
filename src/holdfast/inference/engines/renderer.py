"""Requests as token ids, for engines that run in this process: chat template, special tokens, first-token texts."""

import datetime
import json
import re
from collections.abc import Sequence
from typing import Any

from holdfast.chat.answer_text import answer_frame
from holdfast.chat.control_tokens import added_tokens, message_control_tokens
from holdfast.chat.dates import FIXED_DATE
from holdfast.chat.template import Refused, Template, load_tokenizer
from holdfast.common.errors import UserError, first_line
from holdfast.inference.model_files import pinned
from holdfast.inference.params import Model
from holdfast.inference.request import Request


class Renderer:
    """Turns requests into prompt token ids with one model's tokenizer; `arguments` as `load_tokenizer` takes them."""

    def __init__(self, name: str, path: str, revision: str | None, **arguments: Any) -> None:
        self.name = name
        try:
            self.tokenizer = load_tokenizer(path, revision, **arguments)
        except UserError as error:
            raise UserError(f"model {name}: {error}") from error
        self._templates: dict[str | None, Template] = {}
        control = sorted(message_control_tokens(Template(self.tokenizer)), key=len, reverse=True)
        self._anchor = control[0] if control else ""  # one token, whatever follows it
        self._control = re.compile("|".join(map(re.escape, control)) or r"(?!)")
        self._turn_end: list[int] | None = None
        self._first_tokens: dict[tuple[str, ...], list[int]] = {}

    @classmethod
    def of(cls, name: str, model: Model) -> "Renderer":
        """The renderer of a model that runs in this process. Raises UserError when its tokenizer cannot be loaded."""
        arguments, model = model.engine_args, pinned(name, model)
        return cls(
            name,
            arguments.get("tokenizer") or model.path,
            # a tokenizer of another repository does not have the model's commit
            arguments.get("tokenizer_revision") or (None if arguments.get("tokenizer") else model.revision),
            trust_remote_code=bool(arguments.get("trust_remote_code")),
            chat_template=model.chat_template,
        )

    def prompt_ids(self, request: Request) -> list[int] | str:
        """The exact prompt, or why the template refuses the messages. Raises UserError if there is no template."""
        if request.prompt_ids is not None:
            return list(request.prompt_ids)
        assert request.messages
        try:
            return self._ids(request.messages, request.rendering)
        except Refused as error:  # no system role, roles that do not alternate, …
            return first_line(error)

    def stop_ids(self, request: Request) -> list[int]:
        """Tokens that end the answer besides the model's own: the request's, and what closes an assistant's turn.

        Some models' generation settings name only the end of the text there.
        """
        if request.messages and self._turn_end is None:
            end = answer_frame(Template(self.tokenizer)).end
            self._turn_end = [] if end is None else [added_tokens(self.tokenizer)[end]]
        return [*request.stop_ids, *((self._turn_end or []) if request.messages else [])]

    def first_tokens(self, texts: tuple[str, ...], request: Request) -> list[int]:
        """For each text the one token by which an answer to this prompt begins with it.

        Raises UserError when a text is not one token there, or two texts share one.
        """
        if texts not in self._first_tokens:
            ids = self.prompt_ids(request)
            assert not isinstance(ids, str), "the prompt was rendered before"
            prompt = str(self.tokenizer.decode(ids, skip_special_tokens=False))
            before = self._encode(prompt)
            found = []
            for text in texts:
                after = self._encode(prompt + text)
                if after[: len(before)] != before or len(after) != len(before) + 1:
                    raise UserError(
                        f"model {self.name}: {text!r} is not one token at the start of an answer, so its probability "
                        "cannot be read; set score.method: parse"
                    )
                found.append(after[-1])
            if len(set(found)) < len(found):
                raise UserError(f"model {self.name}: the texts {', '.join(texts)} do not begin with different tokens")
            self._first_tokens[texts] = found
        return self._first_tokens[texts]

    def _ids(self, messages: Sequence[tuple[str, str]], rendering: str | None) -> list[int]:
        if not any(self._control.search(content) for _, content in messages):
            return self._encode(self._render(messages, rendering))
        # A message spells a control token. Mark these spots, render, and encode them as plain text.
        spelled: list[str] = []
        fence = next(c for c in map(chr, range(0xE000, 0xF8FF)) if not any(c in content for _, content in messages))

        def marked(match: re.Match[str]) -> str:
            spelled.append(match.group())
            return f"{fence}{len(spelled) - 1}{fence}"

        rendered = self._render([(role, self._control.sub(marked, content)) for role, content in messages], rendering)
        ids: list[int] = []
        for i, part in enumerate(re.split(f"{fence}(\\d+){fence}", rendered)):
            token = spelled[int(part)] if i % 2 else ""
            for piece in (token[:1], token[1:]) if token else (part,):  # cut in two, it is not recognised
                ids += self._encode_inside(piece) if ids else self._encode(piece)
        return ids

    def _render(self, messages: Sequence[tuple[str, str]], rendering: str | None = None, opening: bool = True) -> str:
        if not self.tokenizer.chat_template:
            raise UserError(
                f"model {self.name}: its tokenizer has no chat template, so it cannot be asked with messages; set "
                f"models.{self.name}.chat_template to a Jinja file, or leave the model out of the committee"
            )
        chat = [{"role": role, "content": content} for role, content in messages]
        return self.template(rendering).text(chat, opening)

    def template(self, rendering: str | None) -> Template:
        """The chat template with what a request's `rendering` gives it. Raises Refused as `Template.fitted`."""
        if rendering not in self._templates:
            options, date = json.loads(rendering or "{}"), datetime.date.fromisoformat(FIXED_DATE)
            self._templates[rendering] = Template(self.tokenizer, options, date).fitted()
        return self._templates[rendering]

    def _encode_inside(self, text: str) -> list[int]:
        """As `_encode`, for a piece from inside a text: some tokenizers put a space in front of a whole one."""
        return self._encode(self._anchor + text)[1:]

    def _encode(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])
