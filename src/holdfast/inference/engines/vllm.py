"""vLLM in this process: requests stream in as others finish, so the batch stays full."""

import dataclasses
import difflib
import errno
import gc
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from holdfast.common.errors import UserError, first_line
from holdfast.inference.engines.renderer import Renderer
from holdfast.inference.params import Model
from holdfast.inference.request import Answer, Request

# On a CPU: compiling costs minutes and gains nothing for small models, and chunked prefill kills an engine whose
# requests carry seeds ("CPU Generator does not use offset") as soon as prompts scheduled together pass 4,096 tokens.
CPU_DEFAULTS = {"dtype": "float32", "enforce_eager": True, "enable_chunked_prefill": False}


DEFAULTS = {"seed": 0, "disable_log_stats": True}


class VllmEngine:
    """A loaded model; see `holdfast.inference.engines.Engine`."""

    def __init__(self, name: str, model: Model) -> None:
        from vllm.engine.arg_utils import EngineArgs
        from vllm.platforms import current_platform
        from vllm.v1.engine.llm_engine import LLMEngine

        check_arguments(name, model.engine_args, {f.name for f in dataclasses.fields(EngineArgs)})
        defaults = DEFAULTS | (CPU_DEFAULTS if current_platform.is_cpu() else {})
        arguments: dict[str, Any] = defaults | model.engine_args
        self.renderer = Renderer.of(name, model)
        gc.freeze()  # vLLM collects garbage several times while it starts; what was imported stays
        self.engine = LLMEngine.from_engine_args(EngineArgs(model=model.path, revision=model.revision, **arguments))
        self.context = self.engine.model_config.max_model_len
        # enough waiting that a finished request is replaced at once, few enough that memory does not grow with the job
        self.window = 2 * self.engine.vllm_config.scheduler_config.max_num_seqs

    def answers(self, requests: Iterator[tuple[bytes, Request]]) -> Iterator[list[Answer]]:
        """See `holdfast.inference.engines.Engine`."""
        running: dict[str, tuple[Request, float, int]] = {}
        exhausted = False
        while True:
            refused = []
            while not exhausted and len(running) < self.window:
                item = next(requests, None)
                if item is None:
                    exhausted = True
                else:
                    answer = self._add(*item, running)
                    if answer is not None:
                        refused.append(answer)
            if refused:
                yield refused
            if not running:
                if exhausted:
                    return
                continue
            finished = [output for output in self.engine.step() if output.finished]
            if finished:
                yield [self._answer(output, *running.pop(output.request_id)) for output in finished]

    def _add(self, key: bytes, request: Request, running: dict[str, tuple[Request, float, int]]) -> Answer | None:
        from vllm.exceptions import VLLMClientError
        from vllm.inputs import tokens_input

        rendered = self.renderer.answer_ids(request) if request.answer_logprob else self.renderer.prompt_ids(request)
        if isinstance(rendered, str):
            return Answer(key, error="template_refused", detail=rendered)
        ids, told = rendered if isinstance(rendered, tuple) else (rendered, 0)
        if len(ids) >= self.context:
            return Answer(
                key,
                prompt_tokens=len(ids),
                error="prompt_too_long",
                detail=f"{len(ids)} tokens do not fit a context of {self.context}",
            )
        try:
            self.engine.add_request(key.hex(), tokens_input(ids), self._sampling(request))
        except (VLLMClientError, ValueError) as error:  # an unknown token, or settings that do not go together
            return Answer(key, prompt_tokens=len(ids), error="refused", detail=first_line(error))
        running[key.hex()] = (request, time.monotonic(), told)
        return None

    def _sampling(self, request: Request) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        s = request.sampling
        return SamplingParams(
            temperature=s.temperature,
            top_p=s.top_p,
            top_k=s.top_k or 0,
            min_p=s.min_p or 0.0,
            repetition_penalty=s.repetition_penalty or 1.0,
            max_tokens=s.max_tokens,
            seed=request.seed if s.temperature else None,
            stop_token_ids=self.renderer.stop_ids(request),
            stop=request.stop_text,
            logprobs=0 if request.own_logprob else None,
            prompt_logprobs=0 if request.answer_logprob else None,
            logprob_token_ids=self.renderer.first_tokens(request) if request.logprobs_of else None,
            skip_special_tokens=False,  # a special token in the middle of a text is a fault that must be seen
            output_kind=RequestOutputKind.FINAL_ONLY,
        )

    def _answer(self, output: Any, request: Request, begun: float, told: int) -> Answer:
        """`told`: so many tokens at the end of the prompt are an answer whose log-probability is wanted."""
        if told:
            told_ids = output.prompt_token_ids[-told:]
            found = sum(at[token].logprob for at, token in zip(output.prompt_logprobs[-told:], told_ids, strict=True))
            return Answer(
                key=bytes.fromhex(output.request_id),
                finish_reason="stop",
                prompt_tokens=len(output.prompt_token_ids) - told,
                output_tokens=told,
                seed=request.seed,
                time_s=round(time.monotonic() - begun, 6),
                logprobs=[found],
            )
        said = output.outputs[0]
        logprobs = None
        if request.logprobs_of:
            first = said.logprobs[0]
            logprobs = [first[token].logprob for token in self.renderer.first_tokens(request)]
        elif request.own_logprob:
            logprobs = [sum(at[token].logprob for at, token in zip(said.logprobs, said.token_ids, strict=True))]
        return Answer(
            key=bytes.fromhex(output.request_id),
            text=said.text,
            finish_reason=said.finish_reason,
            prompt_tokens=len(output.prompt_token_ids),
            output_tokens=len(said.token_ids),
            seed=request.seed,
            time_s=round(time.monotonic() - begun, 6),
            logprobs=logprobs,
        )


def check_arguments(name: str, given: dict[str, Any], known: set[str]) -> None:
    """Raise UserError for an engine argument that does not exist, naming the nearest that does."""
    for key in given:
        if key in ("model", "revision"):
            raise UserError(
                f"params.yaml: models.{name}.engine_args.{key}: set models.{name}.{key.replace('model', 'path')}"
            )
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise UserError(f"params.yaml: models.{name}.engine_args.{key}: vLLM has no such argument{hint}")


@contextmanager
def start(name: str, model: Model) -> Iterator[VllmEngine]:
    """A loaded engine. Raises UserError when it cannot be loaded or breaks while running."""
    try:
        engine = VllmEngine(name, model)
    except UserError:
        raise
    except Exception as error:  # vLLM and its backends raise whatever they raise; the log has vLLM's messages
        raise UserError(explain(name, model, error)) from error
    try:
        yield engine
    except UserError:
        raise
    except Exception as error:
        theirs = type(error).__module__.partition(".")[0] in ("vllm", "torch", "zmq")
        if not theirs and not isinstance(error, RuntimeError | MemoryError | OSError):
            raise
        raise UserError(explain(name, model, error)) from error
    finally:
        engine.engine.engine_core.shutdown()


def explain(name: str, model: Model, error: BaseException) -> str:
    """A message with a repair for what goes wrong when an engine starts or runs."""
    text = " ".join(str(error).split())[:400] or type(error).__name__
    kind = type(error).__name__
    if (
        isinstance(error, MemoryError)
        or "OutOfMemory" in kind
        or any(
            clue in text.lower() for clue in ("out of memory", "available memory", "kv cache", "can't allocate memory")
        )
    ):
        repair = (
            "out of memory: lower engine_args.max_model_len, max_num_seqs or gpu_memory_utilization, raise "
            "tensor_parallel_size, or on a CPU set VLLM_CPU_KVCACHE_SPACE (GiB)"
        )
    elif isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        repair = "a port is taken: stop the other process or set VLLM_PORT to a free one"
    else:
        repair = f"check {model.path} and models.{name}.engine_args; vLLM's messages are in the log above"
    print(f"{kind}: {text}", file=sys.stderr, flush=True)
    return f"model {name}: vLLM failed: {text} ({repair})"
