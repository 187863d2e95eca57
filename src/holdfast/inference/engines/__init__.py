"""What runs a model: vllm, openai (an endpoint) or transformers, behind one small interface."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from holdfast.common.gpus import own_gpus
from holdfast.inference.params import Model
from holdfast.inference.request import Answer, Request


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
    engine: AbstractContextManager[Engine]
    if model.engine == "openai":
        from holdfast.inference.engines.openai import endpoint

        engine = endpoint(name, model)
    elif model.engine == "transformers":
        from holdfast.inference.engines.transformers import loaded

        engine = loaded(name, model)
    else:
        from holdfast.inference.engines.vllm import started

        engine = started(name, model)
    with own_gpus(model.gpus), engine as ready:
        yield ready
