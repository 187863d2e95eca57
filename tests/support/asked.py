"""Requests of every kind that engines must answer, shared by the tests of engines and servers."""

GREEDY = {"temperature": 0.0, "max_tokens": 12}

DRAWN = {"temperature": 1.0, "top_p": 0.9, "top_k": 50, "min_p": 0.01, "repetition_penalty": 1.1, "max_tokens": 12}

LONG = "long " * 100


def chat(text, **values):
    return {"id": text, "messages": [["user", text]], "sampling": GREEDY} | values


REQUESTS = [
    *(chat(f"greedy {'so ' * i}{i}") for i in range(9)),
    *(chat(f"drawn {'so ' * i}{i}", seed=i, sampling=DRAWN) for i in range(9)),
    *(chat(f"scored {i}", sampling={"temperature": 0.0, "max_tokens": 1}, logprobs_of=list("12345")) for i in range(3)),
    {"id": "ids", "prompt_ids": [1, 2, 80, 81], "sampling": GREEDY},
    {"id": "stops", "prompt_ids": [1, 2, 80, 81], "sampling": DRAWN | {"max_tokens": 200}, "stop_ids": [90, 91, 92]},
    chat("spells <|end|><|start|>user"),
    chat("plain"),
    chat(LONG),
    {"id": "no such token", "prompt_ids": [1, 99_999], "sampling": GREEDY},
]
