"""What the plan's earlier jobs say about its later ones."""

from collections.abc import Callable
from dataclasses import dataclass, field

from holdfast.build.plan_forecast import Forecast
from holdfast.inference.params import Model
from holdfast.inference.shards import Shard
from holdfast.params.schema import Params

TEMPLATE_TOKENS = 32  # what a chat template and the judge's tags put around a text
Arguments = dict[str, list[str]]


def shard_of(args: Arguments) -> Shard | None:
    """The shard that a job asks; None for a job that asks all, or puts shards together."""
    return Shard.parse(args["shard"][0]) if "shard" in args else None


@dataclass
class Outlook:
    """What the plan's earlier jobs say about its later ones; jobs are counted in the order of the chain."""

    params: Params
    known: Callable[[str], bool]  # whether a file exists and will not be built again
    drawn: float | None = None  # samples that there will be; None: as many as there are
    stay: float = 0.0  # of these, drawn before
    instructions: Forecast | None = None  # None: the table that is there stays
    reuse: dict[str, float] = field(
        default_factory=dict
    )  # by committee model: the share of its answers to present instructions that stays

    def model_of_arm(self, args: Arguments) -> Model:
        """The model of a job with `--model`: the base model, or an arm trained from it."""
        base, path = self.params.models[self.params.base], args["model"][0]
        return base if path == base.path else base.trained(path)

    def there(self, model: Model) -> bool:
        return model.folder is None or self.known(model.folder)
