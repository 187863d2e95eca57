"""Templates that tell turns by control tokens of their own."""

from templates.blocks import (
    ALTERNATE,
    DATE,
    END,
    FI,
    HEAD,
    LLAMA3,
    LLAMA3_OPENING,
    LLAMA3_USER,
    LOOP,
    NO_SYSTEM,
    OPEN,
    TAKE_SYSTEM,
    Shape,
)

CONTROL_SHAPES = {
    "llama3": Shape(HEAD + LLAMA3, "<s>" + LLAMA3_USER, "<|eot_id|>", LLAMA3_OPENING, words="llama3"),
    "llama3_gpt2_words": Shape(HEAD + LLAMA3, "<s>" + LLAMA3_USER, "<|eot_id|>", LLAMA3_OPENING),
    "llama3_dated": Shape(
        HEAD
        + "<|start_header_id|>system<|end_header_id|>\n\nToday: "
        + DATE
        + "\n\n{% if messages[0].role == 'system' %}{{ messages[0].content }}"
        "{% set messages = messages[1:] %}{% endif %}<|eot_id|>" + LLAMA3,
        "<s><|start_header_id|>system<|end_header_id|>\n\nToday: 05 Mar 2024\n\n<|eot_id|>" + LLAMA3_USER,
        "<|eot_id|>",
        LLAMA3_OPENING,
        words="llama3",
    ),
    "llama3_always_opens": Shape(  # whether asked to or not
        HEAD + LOOP + LLAMA3.split(LOOP)[1].split(OPEN)[0] + LLAMA3_OPENING + "{{ '' }}",
        "<s>" + LLAMA3_USER,
        "<|eot_id|>",
        LLAMA3_OPENING,
        words="llama3",
    ),
    "llama4": Shape(  # contents as text or as parts
        HEAD
        + LOOP
        + "<|header_start|>{{ m.role }}<|header_end|>\n\n{% if m.content is string %}{{ m.content }}{% else %}"
        "{% for p in m.content %}{% if p.type == 'text' %}{{ p.text }}{% endif %}{% endfor %}{% endif %}<|eot|>"
        + END
        + OPEN
        + "<|header_start|>assistant<|header_end|>\n\n"
        + FI,
        "<s><|header_start|>user<|header_end|>\n\n",
        "<|eot|>",
        "<|header_start|>assistant<|header_end|>\n\n",
        words="llama3",
    ),
    "mistral_v3": Shape(  # control tokens, system text in the last user's turn
        HEAD + TAKE_SYSTEM + LOOP + "{% if m.role == 'user' %}[INST] {% if loop.last and sys %}"
        "{{ sys ~ '\n\n' }}{% endif %}{{ m.content }}[/INST]"
        "{% else %} {{ m.content }}{{ eos_token }}{% endif %}" + END,
        "<s>[INST]",
        "[/INST]",
        "[/INST]",
        boundary=" ",
        words="spm",
    ),
    "mistral_tekken": Shape(
        HEAD + LOOP + "{% if m.role == 'user' %}[INST]{{ m.content }}[/INST]"
        "{% elif m.role == 'system' %}[SYSTEM_PROMPT]{{ m.content }}"
        "[/SYSTEM_PROMPT]{% else %}{{ m.content }}{{ eos_token }}{% endif %}" + END,
        "<s>[INST]",
        "[/INST]",
        "[/INST]",
        words="llama3",
    ),
    "gemma": Shape(
        HEAD
        + NO_SYSTEM
        + LOOP
        + "<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content | trim }}<end_of_turn>\n"
        + END
        + OPEN
        + "<start_of_turn>model\n"
        + FI,
        "<s><start_of_turn>user\n",
        "<end_of_turn>",
        "<start_of_turn>model\n",
        words="gemma",
        system=False,
    ),
    "gemma3": Shape(  # system text before the first user's
        HEAD + TAKE_SYSTEM + LOOP + ALTERNATE + "<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n"
        "{{ sys ~ '\n\n' if loop.first and sys else '' }}"
        "{{ m.content | trim }}<end_of_turn>\n" + END + OPEN + "<start_of_turn>model\n" + FI,
        "<s><start_of_turn>user\n",
        "<end_of_turn>",
        "<start_of_turn>model\n",
        words="gemma",
    ),
    "phi3": Shape(
        LOOP + "<|{{ m.role }}|>\n{{ m.content }}<|end|>\n" + END + OPEN + "<|assistant|>\n" + FI,
        "<|user|>\n",
        "<|end|>",
        "<|assistant|>\n",
        words="gemma",
    ),
    "deepseek_r1": Shape(  # the opening of the assistant's turn is what ends the user's; then a thought begins
        HEAD
        + LOOP
        + "{% if m.role == 'user' %}<｜User｜>{{ m.content }}{% elif m.role == 'assistant' %}<｜Assistant｜>"
        "{{ m.content.split('</think>')[-1] }}{{ eos_token }}{% else %}{{ m.content }}{% endif %}"
        + END
        + OPEN
        + "<｜Assistant｜><think>\n"
        + FI,
        "<s><｜User｜>",
        "<｜Assistant｜>",
        "<｜Assistant｜><think>\n",
    ),
    "command_r": Shape(
        HEAD + LOOP + "<|START_OF_TURN_TOKEN|>"
        "{{ {'user': '<|USER_TOKEN|>', 'system': '<|SYSTEM_TOKEN|>'}.get(m.role, '<|CHATBOT_TOKEN|>') }}"
        "{{ m.content.strip() }}<|END_OF_TURN_TOKEN|>" + END + OPEN + "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>" + FI,
        "<s><|START_OF_TURN_TOKEN|><|USER_TOKEN|>",
        "<|END_OF_TURN_TOKEN|>",
        "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
    ),
    "command_a": Shape(  # always opens the assistant's turn, which has a frame inside
        HEAD
        + LOOP
        + "<|START_OF_TURN_TOKEN|>{% if m.role == 'assistant' %}<|CHATBOT_TOKEN|><|START_RESPONSE|>{{ m.content }}"
        "<|END_RESPONSE|>{% else %}<|{{ m.role | upper }}_TOKEN|>{{ m.content }}{% endif %}<|END_OF_TURN_TOKEN|>"
        + END
        + "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
        "<s><|START_OF_TURN_TOKEN|><|USER_TOKEN|>",
        "<|END_OF_TURN_TOKEN|>",
        "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
    ),
    "command_a_opens_twice": Shape(  # always opens the assistant's turn, and its response where that is asked for
        HEAD
        + LOOP
        + "<|START_OF_TURN_TOKEN|>{% if m.role == 'assistant' %}<|CHATBOT_TOKEN|><|START_RESPONSE|>{{ m.content }}"
        "<|END_RESPONSE|>{% else %}<|{{ m.role | upper }}_TOKEN|>{{ m.content }}{% endif %}<|END_OF_TURN_TOKEN|>"
        + END
        + "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>"
        + OPEN
        + "<|START_RESPONSE|>"
        + FI,
        "<s><|START_OF_TURN_TOKEN|><|USER_TOKEN|>",
        "<|END_OF_TURN_TOKEN|>",
        "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|><|START_RESPONSE|>",
    ),
    "granite": Shape(
        LOOP
        + "<|start_of_role|>{{ m.role }}<|end_of_role|>{{ m.content }}<|end_of_text|>\n"
        + END
        + OPEN
        + "<|start_of_role|>assistant<|end_of_role|>"
        + FI,
        "<|start_of_role|>user<|end_of_role|>",
        "<|end_of_text|>",
        "<|start_of_role|>assistant<|end_of_role|>",
    ),
    "olmo": Shape(  # user's turn ends with a line break only: the next role's token stops it
        HEAD + LOOP + "<|{{ m.role }}|>\n{{ m.content }}\n" + END + OPEN + "<|assistant|>\n" + FI,
        "<s><|user|>\n",
        "<|assistant|>",
        "<|assistant|>\n",
    ),
    "harmony": Shape(
        "<|start|>system<|message|>Date: "
        + DATE
        + "<|end|>"
        + LOOP
        + "<|start|>{{ 'developer' if m.role == 'system' else m.role }}"
        "{{ '<|channel|>final' if m.role == 'assistant' else '' }}<|message|>{{ m.content }}"
        "{{ '<|return|>' if m.role == 'assistant' and loop.last else '<|end|>' }}"
        + END
        + OPEN
        + "<|start|>assistant"
        + FI,
        "<|start|>system<|message|>Date: 05 Mar 2024<|end|><|start|>user<|message|>",
        "<|end|>",
        "<|start|>assistant",
        words="llama3",
    ),
}
