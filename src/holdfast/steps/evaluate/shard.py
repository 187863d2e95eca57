"""evaluate.shard: one model's answers to one shard of the suites' items, left in the journal."""

from holdfast.common.processes import in_own_process
from holdfast.common.section import read
from holdfast.common.step import arguments, run
from holdfast.inference.arm_models import read_arm_model
from holdfast.inference.shards import Shard, write_shard
from holdfast.steps.evaluate.asking import ask_items
from holdfast.steps.evaluate.harness import ask_harness
from holdfast.steps.evaluate.params import Evaluate, HarnessSuite
from holdfast.steps.evaluate.requests import questions


def main() -> None:
    """Ask; a judge's requests need all answers, so they are left to the job that puts the shards together."""
    args = arguments(__doc__, "arm", "model", "shard", "done")
    model, shard = read_arm_model(args.params, args.model), Shard.parse(args.shard)
    evaluate = read(args.params, "evaluate", Evaluate)
    answers = []
    if asked := questions(evaluate):
        answers.append(ask_items(args.arm, model, evaluate, asked, shard))
    for name, suite in sorted(evaluate.suites.items()):
        if isinstance(suite, HarnessSuite):
            answers.append(in_own_process(f"evaluate.suites.{name}", ask_harness, args.arm, model, name, suite, shard))
    write_shard(shard, answers, args.done)


if __name__ == "__main__":
    run(main)
