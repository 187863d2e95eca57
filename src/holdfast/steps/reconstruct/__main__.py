"""reconstruct: sample user turns from the base model, which continues its pre-query prefix."""

from holdfast.chat.template import eos_ids, load_tokenizer
from holdfast.common.errors import UserError
from holdfast.common.files import scan_table, write_table
from holdfast.common.section import read, value
from holdfast.common.step import arguments, run
from holdfast.common.tables import PROMPTS, SAMPLES
from holdfast.common.wording import counted
from holdfast.inference.ask import ask
from holdfast.inference.failures import Failures
from holdfast.inference.fingerprint import read_model
from holdfast.inference.model_files import pinned
from holdfast.steps.reconstruct.conversations import Conversations, extend
from holdfast.steps.reconstruct.params import Reconstruct
from holdfast.steps.reconstruct.samples import first_turns, requests


def main() -> None:
    args = arguments(__doc__, "prompts", "samples")
    base = value(args.params, "base")
    model = read_model(args.params, base).without_template()
    random_seed = value(args.params, "random_seed")
    settings = read(args.params, "reconstruct", Reconstruct)
    prompts = scan_table(args.prompts, PROMPTS).sort("prompt_id").collect()
    if settings.multi_turn.share > 0 and "template" not in prompts["kind"]:
        raise UserError(
            "params.yaml: reconstruct.multi_turn.share: a base model without a chat template cannot be sampled for"
            " conversations; set it to 0"
        )
    model = pinned(base, model)
    total = int(prompts["samples"].sum())
    asking = requests(prompts, settings.sampling, random_seed)
    failures = Failures(f"reconstruct {base}", total, model.max_failed_share)
    answers = ask(base, model, asking, total, step="reconstruct", output=args.samples, failures=failures).collect()
    samples = first_turns(prompts, answers)
    if settings.multi_turn.share > 0:
        trusted = bool(model.engine_args.get("trust_remote_code"))
        tokenizer = load_tokenizer(model.path, model.revision, trust_remote_code=trusted)
        eos = eos_ids(tokenizer, model.path)
        conversations = Conversations(prompts, tokenizer, eos, settings.multi_turn, settings.sampling, random_seed)
        samples = extend(samples, conversations, base, model, failures)
    write_table(samples, args.samples, SAMPLES)
    print(f"reconstruct: {counted(len(samples), 'sample')}", flush=True)


if __name__ == "__main__":
    run(main)
