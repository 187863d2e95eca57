"""Templates of the ChatML kind: a token, the role, a line break, the text, a token."""

from templates.blocks import CHATML, DATE, END, FI, LOOP, OPEN, Shape

CHATML_SHAPES = {
    "chatml": Shape(CHATML, "<|im_start|>user\n", "<|im_end|>", "<|im_start|>assistant\n"),
    "chatml_default_system": Shape(
        "{% if messages[0].role != 'system' %}<|im_start|>system\nYou help.<|im_end|>\n{% endif %}" + CHATML,
        "<|im_start|>system\nYou help.<|im_end|>\n<|im_start|>user\n",
        "<|im_end|>",
        "<|im_start|>assistant\n",
    ),
    "chatml_open_last_turn": Shape(  # closes the last turn only when the assistant's is opened
        LOOP + "<|im_start|>{{ m.role }}\n{{ m.content }}"
        "{% if not loop.last or add_generation_prompt %}<|im_end|>\n{% endif %}"
        + END
        + OPEN
        + "<|im_start|>assistant\n"
        + FI,
        "<|im_start|>user\n",
        "<|im_end|>",
        "<|im_start|>assistant\n",
    ),
    "chatml_no_think": Shape(  # an empty thought unless thinking is asked for
        CHATML
        + OPEN
        + "{% if enable_thinking is not defined or not enable_thinking %}<think>\n\n</think>\n\n{% endif %}"
        + FI,
        "<|im_start|>user\n",
        "<|im_end|>",
        "<|im_start|>assistant\n<think>\n\n</think>\n\n",
    ),
    "chatml_tools": Shape(
        "{% if tools %}<|im_start|>system\nTools: {{ tools | tojson }}<|im_end|>\n{% endif %}" + CHATML,
        "<|im_start|>user\n",
        "<|im_end|>",
        "<|im_start|>assistant\n",
    ),
    "chatml_sep": Shape(
        LOOP
        + "<|im_start|>{{ m.role }}<|im_sep|>{{ m.content }}<|im_end|>"
        + END
        + OPEN
        + "<|im_start|>assistant<|im_sep|>"
        + FI,
        "<|im_start|>user<|im_sep|>",
        "<|im_end|>",
        "<|im_start|>assistant<|im_sep|>",
    ),
    "parts_only": Shape(  # of a vision model
        LOOP + "<|im_start|>{{ m.role }}\n{% for p in m.content %}"
        "{% if p.type == 'text' %}{{ p.text }}{% else %}<image>{% endif %}"
        "{% endfor %}<|im_end|>\n" + END + OPEN + "<|im_start|>assistant\n" + FI,
        "<|im_start|>user\n",
        "<|im_end|>",
        "<|im_start|>assistant\n",
    ),
    "smollm_dated": Shape(
        "<|im_start|>system\nKnowledge of "
        + DATE
        + ". Mode: {{ '/think' if enable_thinking else '/no_think' }}<|im_end|>\n{% if messages[0].role == 'system' %}"
        "{% set messages = messages[1:] %}{% endif %}" + CHATML,
        "<|im_start|>system\nKnowledge of 05 Mar 2024. Mode: /no_think<|im_end|>\n<|im_start|>user\n",
        "<|im_end|>",
        "<|im_start|>assistant\n",
        system=None,  # dropped in silence
    ),
    "refuses_lone_user": Shape(  # a training template: the last turn must be the assistant's
        "{% if messages[-1].role != 'assistant' %}{{ raise_exception('the last turn must be an answer') }}{% endif %}"
        + CHATML,
        "<|im_start|>user\n",
        "<|im_end|>",
        "<|im_start|>assistant\n",
    ),
    "flags_after_the_text": Shape(
        LOOP
        + "<|im_start|>{{ m.role }}\n{{ m.content }}{{ ' /no_think' if m.role == 'user' else '' }}<|im_end|>\n"
        + END
        + OPEN
        + "<|im_start|>assistant\n"
        + FI,
        "<|im_start|>user\n",
        "<|im_end|>",
        "<|im_start|>assistant\n",
        stop_text=" /no_think",
    ),
}
