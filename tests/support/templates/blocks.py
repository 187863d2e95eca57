"""What a template is made of, and what must come out of it."""

from typing import NamedTuple


class Shape(NamedTuple):
    """A template and what must come out of it; `refused` is a part of the reason where nothing may."""

    template: str
    prefix: str = ""
    stop: str | None = None  # the special token that ends the turn; None: plain text does
    assistant: str = ""
    boundary: str = ""
    stop_text: str | None = None
    words: str = "gpt2"  # gpt2 | llama3 | spm | gemma
    refused: str = ""
    system: bool | None = True  # whether a system message can be given


HEAD = "{{ bos_token }}"
LOOP = "{% for m in messages %}"
END = "{% endfor %}"
OPEN = "{% if add_generation_prompt %}"
FI = "{% endif %}"
ALTERNATE = (
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('turns must alternate') }}{% endif %}"
)
NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('no system role here') }}{% endif %}"
TAKE_SYSTEM = (
    "{% if messages[0].role == 'system' %}{% set sys = messages[0].content %}{% set messages = messages[1:] %}"
    "{% else %}{% set sys = '' %}{% endif %}"
)
CHATML = LOOP + "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n" + END + OPEN + "<|im_start|>assistant\n" + FI
LLAMA3 = (
    LOOP
    + "<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}<|eot_id|>"
    + END
    + OPEN
    + "<|start_header_id|>assistant<|end_header_id|>\n\n"
    + FI
)
LLAMA3_USER = "<|start_header_id|>user<|end_header_id|>\n\n"
LLAMA3_OPENING = "<|start_header_id|>assistant<|end_header_id|>\n\n"
DATE = "{{ strftime_now('%d %b %Y') if strftime_now is defined else '01 Jan 2024' }}"
