"""An OpenAI-compatible endpoint of the tests' own, which answers at once and misbehaves as told."""

import asyncio
import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from holdfast.inference.params import Model, Sampling
from holdfast.inference.request import Request

# (request body, number of this try at it from 1) -> None to answer well, "drop", "hang", or (status, headers, body)
Misbehaviour = Callable[[dict[str, Any], int], str | tuple[int, dict[str, str], str] | None]


class Server:
    """Counts what it was asked and what it answered, by the prompt's text."""

    def __init__(self, misbehave: Misbehaviour) -> None:
        self.misbehave = misbehave
        self.answer: Callable[[dict[str, Any]], str | None] = lambda body: None  # None: the usual text
        self.top_tokens: Sequence[str] = "12345"  # the likeliest first tokens of every answer
        self.url = ""
        self.tries: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.headers: list[dict[str, str]] = []
        self.in_flight = self.most_in_flight = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                headers = {}
                while (header := (await reader.readline()).decode().strip()) != "":
                    name, _, value = header.partition(":")
                    headers[name.lower()] = value.strip()
                body = json.loads(await reader.readexactly(int(headers.get("content-length", 0))))
                self.headers.append(headers)
                self.in_flight += 1
                self.most_in_flight = max(self.most_in_flight, self.in_flight)
                await asyncio.sleep(0)
                reply = self.reply(line.split()[1].decode(), body)
                if reply == b"":
                    await asyncio.sleep(3600)
                self.in_flight -= 1
                if reply is None:
                    break
                writer.write(reply)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client or the test is done with us
        finally:
            writer.close()

    def reply(self, path: str, body: dict[str, Any]) -> bytes | None:
        prompt = body["messages"][-1]["content"] if "messages" in body else str(body["prompt"])
        self.tries[prompt] += 1
        fault = self.misbehave(body, self.tries[prompt])
        if fault in ("drop", "hang"):
            return None if fault == "drop" else b""
        if isinstance(fault, tuple):
            return http(*fault)
        self.answered[prompt] += 1
        text = self.answer(body) or f"answer {body.get('seed')} to {prompt}"
        top = [{"token": t, "logprob": -1.0 - i} for i, t in enumerate(self.top_tokens)]
        choice: dict[str, Any] = {"finish_reason": "stop", "index": 0}
        choice |= {"message": {"role": "assistant", "content": text}} if "messages" in body else {"text": text}
        if body.get("logprobs"):
            choice["logprobs"] = {"content": [{"top_logprobs": top}]}
        usage = {"prompt_tokens": len(prompt.split()), "completion_tokens": len(text.split())}
        return http(200, {}, json.dumps({"choices": [choice], "usage": usage}))


def http(status: int, headers: dict[str, str], body: str) -> bytes:
    """A response, whole."""
    lines = "".join(f"{k}: {v}\r\n" for k, v in headers.items())
    data = body.encode()
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(data)}\r\n{lines}\r\n".encode() + data


def often_wrong(seed: int = 0) -> Misbehaviour:
    """5 % of the tries are dropped, 5 % get 429, 2 % get 500, a few get garbage."""
    chance = random.Random(seed)

    def misbehave(body: dict[str, Any], attempt: int) -> str | tuple[int, dict[str, str], str] | None:
        draw = chance.random()
        if draw < 0.05:
            return "drop"
        if draw < 0.10:
            return 429, {"Retry-After": "0"}, '{"error": "slow down"}'
        if draw < 0.12:
            return 500, {}, "oops"
        if draw < 0.125:
            return 200, {}, "<html>not JSON</html>"
        return None

    return misbehave


@contextmanager
def served(misbehave: Misbehaviour = lambda body, attempt: None) -> Iterator[Server]:
    """A running server in a thread of its own."""
    server = Server(misbehave)
    ready, loop, stop = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def listen() -> None:
        listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1"
        ready.set()
        await stop.wait()

    def run() -> None:
        loop.run_until_complete(listen())
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left))
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    ready.wait()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


SAMPLING = Sampling(max_tokens=8)


def model(server: Server, **settings: Any) -> Model:
    return Model(path="m", engine="openai", url=server.url, **settings)


def questions(count: int, start: int = 0, sampling: Sampling = SAMPLING) -> list[Request]:
    return [Request(f"r{i}", None, (("user", f"question {i}"),), i, sampling) for i in range(start, start + count)]


def only(number: int, *fault: Any) -> Misbehaviour:
    """The fault for one question alone; the others, and a test of the endpoint, are answered."""
    return lambda body, attempt: fault if body["messages"][0]["content"] == f"question {number}" else None
