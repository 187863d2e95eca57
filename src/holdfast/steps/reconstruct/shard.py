"""reconstruct.shard: one shard of the samples from the base model, left in the journal."""

from holdfast.common.step import arguments, run
from holdfast.inference.shards import Shard, write_shard
from holdfast.steps.reconstruct.sampling import sample_all


def main() -> None:
    args = arguments(__doc__, "prompts", "shard", "earlier", "done")
    shard = Shard.parse(args.shard)
    write_shard(shard, [sample_all(args, args.earlier, shard)], args.done)


if __name__ == "__main__":
    run(main)
