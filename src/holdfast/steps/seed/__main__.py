"""seed: the prompts from which the base model is sampled."""

from holdfast.chat.template import Refused, Template, eos_ids, load_tokenizer
from holdfast.common.errors import UserError
from holdfast.common.files import write_table
from holdfast.common.section import read, value
from holdfast.common.step import arguments, run
from holdfast.common.tables import PROMPTS
from holdfast.common.wording import counted
from holdfast.inference.model_files import pinned_loading
from holdfast.steps.seed.params import Seed
from holdfast.steps.seed.prompts import example_prompts, table, template_prompts


def main() -> None:
    args = arguments(__doc__, "prompts")
    base = value(args.params, "base")
    path = value(args.params, f"models.{base}.path")
    seed = read(args.params, "seed", Seed)
    # the tokenizer's own template, with which the model was trained, or none
    loaded = pinned_loading(args.params, path) | {"chat_template": None}
    template = Template(load_tokenizer(path, **loaded))
    eos = eos_ids(template.tokenizer, path)
    if template.tokenizer.chat_template or seed.prefix:
        try:
            rows = list(template_prompts(template, eos, seed, seed.prefix, seed.samples))
        except Refused as error:
            raise UserError(
                f"{path}: no pre-query prefix: {error}. Change seed.system_prompts or seed.slices, or set"
                " seed.prefix by hand (text, stops, assistant)"
            ) from error
    else:
        rows = list(example_prompts(template, eos, seed, seed.samples, value(args.params, "random_seed")))
    for note in sorted({note for row in rows for note in row.pop("notes")}):
        print(f"seed: note: {note}", flush=True)
    prompts = table(rows)
    write_table(prompts, args.prompts, PROMPTS)
    print(f"seed: {counted(len(prompts), 'prompt')} for {counted(int(prompts['samples'].sum()), 'sample')}", flush=True)


if __name__ == "__main__":
    run(main)
