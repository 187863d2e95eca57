"""generate: the answers of one committee model to every instruction."""

import polars as pl

from holdfast.chat.control_tokens import message_control_tokens
from holdfast.chat.template import Template, load_tokenizer
from holdfast.common.files import scan_table, write_table
from holdfast.common.section import value
from holdfast.common.step import arguments, run
from holdfast.common.tables import GENERATIONS, INSTRUCTIONS, REJECTED_GENERATIONS
from holdfast.inference.answer_text import renderer_of, without_template_text
from holdfast.inference.model_files import pinned_loading
from holdfast.steps.generate.asking import ask_all
from holdfast.steps.generate.candidates import answered, candidates, split


def main() -> None:
    args = arguments(__doc__, "model", "base", "instructions", "generations", "rejected")
    asked = ask_all(args, args.generations)
    base_tokens = message_control_tokens(base_template(args.params, args.base))
    instructions = scan_table(args.instructions, INSTRUCTIONS)
    rows = candidates(instructions, args.model, asked.samples)
    renderings = instructions.select(pl.col("rendering").unique()).collect()["rendering"]
    renderer = renderer_of(args.model, asked.model)
    found = without_template_text(answered(rows, asked.answers), renderer, renderings)
    own_tokens = message_control_tokens(Template(renderer.tokenizer)) if renderer else []
    kept, rejected = split(found, {*base_tokens, *own_tokens})
    write_table(kept, args.generations, GENERATIONS)
    write_table(rejected, args.rejected, REJECTED_GENERATIONS)


def base_template(params: str, path: str) -> Template:
    """The chat template of the base model, which is trained on the answers."""
    own = f"models.{value(params, 'base')}."
    loading = pinned_loading(",".join(key for key in params.split(",") if key.startswith(own)), path)
    return Template(load_tokenizer(path, **loading))


if __name__ == "__main__":
    run(main)
