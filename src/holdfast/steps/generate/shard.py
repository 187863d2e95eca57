"""generate.shard: the answers of one committee model to one shard of the instructions, left in the journal."""

from holdfast.common.step import arguments, run
from holdfast.inference.shards import Shard, write_shard
from holdfast.steps.generate.asking import ask_all


def main() -> None:
    args = arguments(__doc__, "model", "instructions", "shard", "earlier", "done")
    shard = Shard.parse(args.shard)
    write_shard(shard, [ask_all(args, args.earlier, shard).answers], args.done)


if __name__ == "__main__":
    run(main)
