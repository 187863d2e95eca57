"""Requests as token ids, for engines that run in this process: chat template, special tokens, first-token texts."""

import datetime
import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from holdfast.chat.answer_text import answer_frame, answer_opening
from holdfast.chat.control_tokens import added_tokens, message_control_tokens
from holdfast.chat.dates import FIXED_DATE
from holdfast.chat.template import Refused, Template, load_tokenizer
from holdfast.common.errors import UserError, first_line
from holdfast.inference.model_files import pinned
from holdfast.inference.params import Model
from holdfast.inference.request import Request


class _Choices(NamedTuple):
    """Token ids that follow a prompt: those before each of some texts, and one for each text."""

    opening: list[int]
    tokens: list[int]


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
        self._choices: dict[tuple[tuple[str, ...], bool], _Choices] = {}

    @classmethod
    def of(cls, name: str, model: Model) -> "Renderer":
        """The renderer of a model that runs in this process. Raises UserError when its tokenizer cannot be loaded."""
        model = pinned(name, model)
        arguments = model.engine_args
        return cls(
            name,
            arguments.get("tokenizer") or model.path,
            arguments.get("tokenizer_revision") if arguments.get("tokenizer") else model.revision,
            trust_remote_code=bool(arguments.get("trust_remote_code")),
            chat_template=model.chat_template,
        )

    def prompt_ids(self, request: Request) -> list[int] | str:
        """The exact prompt, or why the template refuses the messages. Raises UserError if there is no template."""
        if request.prompt_ids is not None:
            ids = list(request.prompt_ids)
        else:
            assert request.messages
            try:
                ids = self._ids(request.messages, request.rendering)
            except Refused as error:  # no system role, roles that do not alternate, …
                return first_line(error)
        return ids + (self._choice(request, ids).opening if request.logprobs_of else [])

    def answer_ids(self, request: Request) -> tuple[list[int], int] | str:
        """The conversation with its last message, up to the end of that turn, and how many tokens at its end are that
        message; or why the template refuses it. Raises UserError if there is no template."""
        assert request.messages
        assert request.messages[-1][0] == "assistant"
        try:
            asked = self._ids(request.messages[:-1], request.rendering)
            whole = self._ids(request.messages, request.rendering, opening=False)
        except Refused as error:
            return first_line(error)
        ends = set(self.stop_ids(request))
        last = next((i for i in reversed(range(len(whole))) if whole[i] in ends), len(whole) - 1)
        whole = whole[: last + 1]
        same = next((i for i, (a, b) in enumerate(zip(asked, whole, strict=False)) if a != b), min(len(asked), last))
        return whole, len(whole) - max(same, 1)  # nothing tells how likely the first token of all is

    def stop_ids(self, request: Request) -> list[int]:
        """Tokens that end the answer besides the model's own: the request's, and what closes an assistant's turn.

        Some models' generation settings name only the end of the text there.
        """
        if request.messages and self._turn_end is None:
            end = answer_frame(Template(self.tokenizer)).end
            self._turn_end = [] if end is None else [added_tokens(self.tokenizer)[end]]
        return [*request.stop_ids, *((self._turn_end or []) if request.messages else [])]

    def first_tokens(self, request: Request) -> list[int]:
        """The token of each of the request's `logprobs_of`, where the request was rendered with `prompt_ids`."""
        return self._choices[request.logprobs_of, request.messages is None].tokens

    def opening(self, rendering: str | None = None) -> str:
        """The text that the chat template has before an answer; "" where it has none or refuses the rendering."""
        try:
            return answer_opening(self.template(rendering))
        except Refused:
            return ""

    def _choice(self, request: Request, ids: list[int]) -> "_Choices":
        """How the request's `logprobs_of` continue a prompt: after the text that the template has before an answer.

        Raises UserError when one of them is not one token there, or two share a token.
        """
        texts, known = request.logprobs_of, (request.logprobs_of, request.messages is None)
        if known not in self._choices:
            prompt = str(self.tokenizer.decode(ids, skip_special_tokens=False))
            before = self._encode(prompt)
            opened = prompt + (self.opening(request.rendering) if request.messages else "")
            after = [self._encode(opened + text) for text in texts]
            for text, found in zip(texts, after, strict=True):
                alone = str(self.tokenizer.decode(found[-1:])).strip() == text.strip()
                if found[: len(before)] != before or found[:-1] != after[0][:-1] or not alone:
                    raise UserError(
                        f"model {self.name}: {text!r} is not one token at the start of an answer, so its probability "
                        "cannot be read; set score.method: parse"
                    )
            tokens = [found[-1] for found in after]
            if len(set(tokens)) < len(tokens):
                raise UserError(f"model {self.name}: the texts {', '.join(texts)} do not begin with different tokens")
            self._choices[known] = _Choices(after[0][len(before) : -1], tokens)
        return self._choices[known]

    def _ids(self, messages: Sequence[tuple[str, str]], rendering: str | None, opening: bool = True) -> list[int]:
        if not any(self._control.search(content) for _, content in messages):
            return self._encode(self._render(messages, rendering, opening))
        # A message spells a control token. Mark these spots, render, and encode them as plain text.
        spelled: list[str] = []
        fence = next(c for c in map(chr, range(0xE000, 0xF8FF)) if not any(c in content for _, content in messages))

        def marked(match: re.Match[str]) -> str:
            spelled.append(match.group())
            return f"{fence}{len(spelled) - 1}{fence}"

        plain = [(role, self._control.sub(marked, content)) for role, content in messages]
        rendered = self._render(plain, rendering, opening)
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
