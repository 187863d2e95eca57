"""What runs a model: one module per engine, listed in ENGINES.

A new engine is a module with a function `start(name, model)` like the one here, an entry in ENGINES, and its name in
`Model.engine` (`holdfast.inference.params`).
"""

import importlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from holdfast.common.gpus import own_gpus
from holdfast.inference.params import Model
from holdfast.inference.request import Answer, Request

ENGINES = {  # module by name; imported when it is needed, as each is in another environment
    "vllm": "holdfast.inference.engines.vllm",
    "openai": "holdfast.inference.engines.openai",
    "transformers": "holdfast.inference.engines.transformers",
}


class Engine(Protocol):
    """A model that is ready to answer."""

    def answers(self, requests: Iterator[tuple[bytes, Request]]) -> Iterator[list[Answer]]:
        """Answer keyed requests in any order, in lists as they finish; takes more only when there is room for more.

        A request that fails for good gets an answer with `error`. Raises UserError when the engine itself fails.
        """
        ...


@contextmanager
def start(name: str, model: Model) -> Iterator[Engine]:
    """Load `model` on GPUs of its own; leaving frees what it holds. Raises UserError when it cannot be loaded."""
    engine: AbstractContextManager[Engine] = importlib.import_module(ENGINES[model.engine]).start(name, model)
    with own_gpus(model.gpus), engine as ready:
        yield ready
