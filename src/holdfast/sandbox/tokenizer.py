"""One tokenizer for the sandbox's models (byte-level BPE), and the chat templates that they are taught with."""

import json
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from holdfast.common import step
from holdfast.common.files import replacing, scan_table
from holdfast.common.section import read
from holdfast.sandbox.params import Sandbox
from holdfast.sandbox.tables import CONVERSATIONS

PAD = "<|pad|>"
# A number never takes the space before it: so it is the same token in a question and in an answer. Tags stay whole.
PIECES = r"</?[a-z]+>\n?| ?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SPECIAL = {  # (begin of text, end of turn)
    "llama3": ("<|begin_of_text|>", "<|eot_id|>"),
    "chatml": (None, "<|im_end|>"),
}
SPECIAL_TOKENS = [
    PAD,
    "<|begin_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "<|im_start|>",
    "<|im_end|>",
]
TEMPLATES = {
    "llama3": (
        "{{ bos_token }}{% for message in messages %}<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n"
        "{{ message['content'] | trim }}<|eot_id|>{% endfor %}"
        "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
    ),
    "chatml": (
        "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
        "{{ message['content'] }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    ),
}


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """A byte-level BPE tokenizer with the special tokens of every template; `vocabulary` counts all tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def with_template(path: str, template: str) -> PreTrainedTokenizerFast:
    """The tokenizer at `path` as a model with this chat template has it."""
    tokenizer = Tokenizer.from_file(path)
    begin, end = SPECIAL[template]
    if begin is not None:
        pair = [(begin, tokenizer.token_to_id(begin))]
        tokenizer.post_processor = processors.TemplateProcessing(single=f"{begin} $A", special_tokens=pair)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=begin,
        eos_token=end,
        pad_token=PAD,
        chat_template=TEMPLATES[template],
        model_max_length=256,
        clean_up_tokenization_spaces=False,
    )


def main() -> None:
    args = step.arguments(__doc__, "conversations", "tokenizer", many=("texts",))
    vocabulary = read(args.params, "sandbox", Sandbox).vocabulary
    messages = scan_table(args.conversations, CONVERSATIONS).select("messages").collect()["messages"]
    # a real tokenizer knows more words than its model was aligned on: those of the user's data too
    other = [json.loads(line)["messages"] for path in args.texts for line in Path(path).read_text().splitlines()]
    turns = (f"{turn['role']}\n\n{turn['content']}" for row in chain(messages.to_list(), other) for turn in row)
    with replacing(args.tokenizer) as aside:
        train_tokenizer(turns, vocabulary).save(str(aside))


if __name__ == "__main__":
    step.run(main)
