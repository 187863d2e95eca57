"""What runs a model: vllm, openai (an endpoint) or transformers, behind one small interface."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from holdfast.params.models import Model
from holdfast.request import Answer, Request


class Engine(Protocol):
    """A model that is ready to answer."""

    def answers(self, requests: Iterator[tuple[bytes, Request]]) -> Iterator[list[Answer]]:
        """Answer keyed requests in any order, in lists as they finish; takes more only when there is room for more.

        A request that fails for good gets an answer with `error`. Raises UserError when the engine itself fails.
        """
        ...


def start(name: str, model: Model) -> AbstractContextManager[Engine]:
    """Load `model`; leaving the context frees what it holds. Raises UserError when it cannot be loaded."""
    if model.engine == "openai":
        from holdfast.engines.openai import endpoint

        return endpoint(name, model)
    if model.engine == "transformers":
        from holdfast.engines.transformers import loaded

        return loaded(name, model)
    from holdfast.engines.vllm import started

    return started(name, model)
