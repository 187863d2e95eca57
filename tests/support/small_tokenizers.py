"""Small tokenizers with the habits of the common ones, for the chat templates of `templates`."""

import re
from functools import cache
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from templates import Shape

LLAMA3_WORDS = r" ?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+"  # line breaks are tokens of their own
CORPUS = [
    "What do you know about the sea? Tell the user: hello world, this is a test.\n\n",
    "USER: how are you ASSISTANT: fine\n\n### Instruction:\nwrite\n\n### Response:\n",
    "Human: say it [INST] a question [/INST] answer system assistant user model\n",
] * 20


@cache
def _words(kind: str) -> str:
    """A small BPE tokenizer as JSON: as GPT-2's, Llama 3's, Llama 2's or Gemma's, or with ":)" as a token."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=kind in ("spm", "gemma")))
    initial: list[str] = pre_tokenizers.ByteLevel.alphabet()
    if kind == "spm":
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
        tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    elif kind == "gemma":
        tokenizer.normalizer = normalizers.Replace(" ", "▁")
        tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    elif kind == "llama3":
        split = pre_tokenizers.Split(Regex(LLAMA3_WORDS), behavior="isolated")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
        )
        tokenizer.decoder = decoders.ByteLevel()
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
    if kind in ("spm", "gemma"):
        initial = sorted(set("".join(CORPUS)) | {"▁"})
    fallback = [f"<0x{byte:02X}>" for byte in range(256)] if kind in ("spm", "gemma") else []
    corpus = [*CORPUS, *["smile:) really:) yes:)"] * 200] if kind == "colon" else CORPUS
    trainer = trainers.BpeTrainer(
        vocab_size=700, initial_alphabet=initial, special_tokens=["<s>", "</s>", *fallback], show_progress=False
    )
    tokenizer.train_from_iterator(corpus, trainer)
    if kind == "spm":  # trained on words, used on whole texts
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    return tokenizer.to_str()


@cache
def _other_words(kind: str) -> str:
    """A small tokenizer of a kind that puts a space before every piece of text: unigram (as T5's) or byte-level BPE."""
    if kind == "unigram":
        tokenizer, space = Tokenizer(models.Unigram()), {"replacement": "▁", "prepend_scheme": "always"}
        tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(**space), decoders.Metaspace(**space)
        letters = sorted({*map(chr, range(33, 127)), *"".join(CORPUS), "▁"})
        trainer = trainers.UnigramTrainer(
            vocab_size=300, initial_alphabet=letters, special_tokens=["<s>", "</s>", "<unk>"], unk_token="<unk>"
        )
    else:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer, tokenizer.decoder = (
            pre_tokenizers.ByteLevel(add_prefix_space=True),
            decoders.ByteLevel(),
        )
        letters = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=700, initial_alphabet=letters, special_tokens=["<s>", "</s>"])
    trainer.show_progress = False
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer.to_str()


def tokenizer(shape: Shape) -> Any:
    """A tokenizer for the shape's template, whose control tokens are special (Zephyr's and Vicuna's roles are not)."""
    words = _other_words if shape.words in ("unigram", "prefix space") else _words
    fast = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(words(shape.words)), bos_token="<s>", eos_token="</s>"
    )
    control = set(
        re.findall(r"<[|｜]?[A-Za-z_]+[|｜]?>|\[/?[A-Z_]+\]", shape.template + shape.prefix + shape.assistant)
    )
    plain = {"<s>", "</s>"} | (
        {"[INST]", "[/INST]", "<|user|>", "<|assistant|>"} if shape.stop in (None, "</s>") else set()
    )
    thought = {"<think>", "</think>"}
    fast.add_tokens([AddedToken(t, special=t not in thought, normalized=False) for t in sorted(control - plain)])
    if shape.template:
        fast.chat_template = shape.template
    return fast
