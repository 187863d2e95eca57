"""Columns and fields of TRL's, Axolotl's and other formats that training would ignore, but that change what a row
means.

Sources: TRL's "Dataset formats and types", Axolotl's "Dataset formats" (conversation, instruction tuning, preference,
stepwise, multimodal), OpenAI's fine-tuning format (`weight`), ms-swift's (`loss`).
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class Unsupported(NamedTuple):
    """One such column or field of a row: what it is, and what to do."""

    what: str
    repair: str


_MEDIA = ("image", "images", "audio", "audios", "video", "videos", "pixel_values")
_REJECTED = ("rejected", "rejected_response")
_MASKS = ("completion_mask", "assistant_masks", "loss_mask")
_SYSTEM = ("system_prompt", "system_message")
_GIVEN = ("input", "context", "article", "passage", "document", "choices", "options")
_CORRECTED = ("reflection", "corrected")

_TRAINED_WHOLE = "every answer is trained on whole, and nothing else; remove these rows or the field"
_WITHOUT_MEDIA = "the answer would be learnt without it, as only text is trained on; remove these rows"


def unsupported_columns(
    row: Mapping[str, Any], shape: str, needed: tuple[str, ...], used: Mapping[str, str], source: str
) -> Iterator[Unsupported]:
    """The unsupported ones of the row's columns. `needed` are those of its shape, the answer last; `used` are all that
    are used: our name -> the file's."""
    for column in row.keys() - set(used.values()):
        name, value = column.lower(), row[column]
        if name == "label":
            if _is_false(value, shape):
                yield Unsupported(
                    f"{column} is false",
                    "it marks a bad answer (KTO); keep the rows with a true label, drop the column",
                )
        elif not _is_empty(value) and (repair := _repair(name, column, row, shape, needed, used, source)):
            yield Unsupported(f"{column} is not empty", repair)


def _repair(
    name: str,
    column: str,
    row: Mapping[str, Any],
    shape: str,
    needed: tuple[str, ...],
    used: Mapping[str, str],
    source: str,
) -> str | None:
    """What to do about a column that changes the meaning of a row; None for one that does not."""
    mapping, answered = f"sources.{source}.columns", needed[-1]
    single = shape not in ("messages", "conversations")
    if name in _MEDIA:
        return _WITHOUT_MEDIA
    if name in _REJECTED and not {"chosen", "chosen_response"} & set(used.values()):
        return f"of a pair of answers one is bad (DPO); name the good one, {mapping}: {{{answered}: chosen}}"
    if name in _MASKS:
        return "it masks tokens, but every answer is trained on whole; remove these rows, or drop the column"
    if name == "chat_template_kwargs":
        return "it changes what the chat template writes; remove these rows, or drop the column"
    if name in _SYSTEM and not row.get(used.get("system", "")):
        return f"the answer would be learnt without it; set {mapping} to {{system: {column}}}, or drop the column"
    if name == "functions" and not row.get(used.get("tools", "")):
        return f"the calls would be learnt without it; set {mapping} to {{tools: {column}}}, or drop the column"
    if name == "documents" or (single and name in _GIVEN):
        texts = f"{{instruction: {used[needed[0]]}, input: {column}, output: {used[answered]}}}"
        put = f"set {mapping} to {texts}" if single else "put it into the messages"
        return f"the answer would be learnt without it; {put}, or drop the column"
    if single and name == "history":
        return "the earlier turns would be lost; give whole conversations in `messages`, or drop the column"
    if single and name in _CORRECTED and "corrected" not in used.values():
        return f"it corrects the answer; set {mapping} to {{{answered}: corrected}}, or drop the column"
    return None


def _is_false(label: Any, shape: str) -> bool:
    """Whether a label says that the answer is bad. Numbers do in KTO's shape only: elsewhere they may name a class."""
    texts = ("false", "0", "0.0") if shape == "prompt_completion" else ("false",)
    return str(label).lower() in texts


def _is_empty(value: Any) -> bool:
    if isinstance(value, str):  # CSV has lists as text
        return value.strip().lower() in ("", "[]", "{}", "null", "none", "false")
    return value is None or value is False or (isinstance(value, list | dict) and not value)


def unsupported_field(message: Mapping[str, Any], role: str) -> Unsupported | None:
    """The first unsupported field of a message; `role` is system, user, assistant or tool."""
    trained = role == "assistant"
    for name in ("train", "training", "loss", "weight"):
        value = message.get(name)
        if value is None or (name == "weight" and not trained):
            continue
        if str(value).lower() not in (("true", "1", "1.0") if trained else ("false", "0", "0.0")):
            return Unsupported(f"{name} of {role} is {str(value).lower()}", _TRAINED_WHOLE)
    for name in ("train_detail", "training_detail"):
        if not _is_empty(message.get(name)):
            return Unsupported(f"{name} is not empty", _TRAINED_WHOLE)
    for name in _MEDIA:
        if not _is_empty(message.get(name)):
            return Unsupported(f"{name} of {role} is not empty", _WITHOUT_MEDIA)
    return None
