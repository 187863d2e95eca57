"""What the plan's earlier jobs say about its later ones."""

from collections.abc import Callable
from dataclasses import dataclass, field

from holdfast.build.plan_forecast import Forecast
from holdfast.inference.params import Model
from holdfast.params.schema import Params

TEMPLATE_TOKENS = 32  # what a chat template and the judge's tags put around a text
Arguments = dict[str, list[str]]


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

    def there(self, model: Model) -> bool:
        return model.folder is None or self.known(model.folder)
