"""Train the trunk: the model from scratch that all of the sandbox's models are trained from.

They know the same world, so they share most of their training. The trunk learns all chat templates at a constant rate,
which falls only in the models' own training (warm-up, stable, decay: Hu et al. 2024, arXiv 2404.06395).
"""

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from holdfast.common import step
from holdfast.common.files import scan_table
from holdfast.common.ids import row_seed
from holdfast.common.section import read
from holdfast.sandbox.params import Sandbox, Trunk
from holdfast.sandbox.tables import CONVERSATIONS
from holdfast.sandbox.tokenizer import TEMPLATES, with_template
from holdfast.sandbox.train import save, streams, train

CONTEXT = 256  # positions that the models can use, in tokens
JUDGING_FROM = 0.4  # share of the steps after which judgements join: a model that knows no answers cannot judge
WARM_UP = 0.1  # share of the steps in which the learning rate rises


def new_model(shape: Trunk, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """A Llama with random weights (from torch's global generator)."""
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=shape.width,
            intermediate_size=shape.width * 3,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.width // 32,
            num_key_value_heads=shape.width // 32,
            max_position_embeddings=CONTEXT,
            tie_word_embeddings=True,
            initializer_range=0.06,  # 0.02, the default, suits wider models: these would start too slowly
            dtype="float32",
        )
    )


def main() -> None:
    args = step.arguments(__doc__, "conversations", "tokenizer", "model")
    sandbox = read(args.params, "sandbox", Sandbox)
    torch.set_num_threads(1)  # one thread adds in one order: the same weights in every run
    torch.manual_seed(row_seed(sandbox.seed, "weights"))
    tokenizers = [with_template(args.tokenizer, template) for template in sorted(TEMPLATES)]
    table = scan_table(args.conversations, CONVERSATIONS).collect()
    model, steps = new_model(sandbox.trunk, tokenizers[0]), sandbox.trunk.steps
    general, judging = streams(table, tokenizers, steps, row_seed(sandbox.seed, "order"))
    train(model, general, judging, steps, JUDGING_FROM, lambda done: min(1.0, done / WARM_UP), "trunk")
    save(model, tokenizers[0], args.model)


if __name__ == "__main__":
    step.run(main)
