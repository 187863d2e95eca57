"""score.shard: one judge's scores of one shard of the candidates, left in the journal."""

from holdfast.common.step import arguments, run
from holdfast.inference.shards import Shard, write_shard
from holdfast.steps.score.judging import judge_all


def main() -> None:
    args = arguments(__doc__, "judge", "rubric", "instructions", "shard", "earlier", "done", many=("generations",))
    shard = Shard.parse(args.shard)
    write_shard(shard, judge_all(args, args.earlier, shard).answers, args.done)


if __name__ == "__main__":
    run(main)
