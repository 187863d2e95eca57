"""A Hugging Face hub of the tests' own on loopback: dataset repositories, for the real client through HF_ENDPOINT.

It knows what `huggingface_hub` asks when it creates a repository and commits to it: whoami, the repository's state, the
check of a card, preupload, the Git LFS batch with its uploads, and the commit.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import yaml

# (method, path) -> None to answer well, "drop" to close the connection, or a status to refuse with
Misbehaviour = Callable[[str, str], str | int | None]
LICENCES = {"apache-2.0", "mit", "cc-by-4.0", "gemma", "llama3", "other", "unknown"}  # some of the hub's


class Repo:
    """A dataset repository: files of its only branch by path, and the messages of its commits."""

    def __init__(self, private: bool) -> None:
        self.private = private
        self.files: dict[str, bytes] = {}
        self.large: set[str] = set()
        self.commits: list[str] = []


class Reply(NamedTuple):
    status: int
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()


class Hub:
    """Users by their tokens, who may write to what bears their name, and repositories by theirs."""

    def __init__(self) -> None:
        self.url = ""
        self.users = {"hf_me": "me", "hf_other": "other"}
        self.repos: dict[str, Repo] = {}
        self.stored: dict[str, bytes] = {}  # large files by their SHA-256
        self.asked: list[str] = []  # method and path
        self.misbehave: Misbehaviour = lambda method, path: None

    def writes(self) -> list[str]:
        """The requests that change something, since the last call."""
        found = [line for line in self.asked if re.search(r"repos/create|/commit/|^PUT", line)]
        self.asked.clear()
        return found

    def reply(self, method: str, path: str, token: str, body: bytes) -> Reply:
        path, user = path.partition("?")[0], self.users.get(token)
        if found := re.fullmatch(r"/lfs/(\w+)", path):
            assert hashlib.sha256(body).hexdigest() == found[1]
            self.stored[found[1]] = body
            return Reply(200)
        if path == "/api/validate-yaml":
            return self.validated(json.loads(body)["content"])
        if user is None:
            return Reply(401, {"error": "Invalid username or password."})
        if path == "/api/whoami-v2":
            return Reply(200, {"type": "user", "name": user, "orgs": []})
        if path == "/api/repos/create":
            return self.created(user, json.loads(body))
        if not (found := re.fullmatch(r"(?:/api)?/datasets/([\w-]+/[\w-]+)(?:\.git)?(|/.*)", path)):
            return Reply(404, {"error": f"not known here: {path}"})
        name, rest = found[1], found[2]
        repo = self.repos.get(name)
        if repo is None or (repo.private and not name.startswith(f"{user}/")):
            return Reply(404, {"error": "Repository not found"}, (("X-Error-Code", "RepoNotFound"),))
        if rest == "":
            return Reply(200, {"id": name, "private": repo.private, "sha": "0" * 40, "siblings": []})
        if rest == "/paths-info/main":
            return Reply(200, [entry(repo, path) for path in parse_qs(body.decode())["paths"] if path in repo.files])
        if not name.startswith(f"{user}/"):
            return Reply(403, {"error": f"Forbidden: you must use a write token of {name.partition('/')[0]}"})
        if rest == "/preupload/main":
            modes = [preupload(repo, file["path"]) for file in json.loads(body)["files"]]
            return Reply(200, {"files": modes})
        if rest == "/info/lfs/objects/batch":
            return Reply(200, {"transfer": "basic", "objects": [self.batched(o) for o in json.loads(body)["objects"]]})
        if rest == "/commit/main":
            return self.committed(name, repo, [json.loads(line) for line in body.decode().splitlines()])
        return Reply(404, {"error": f"not known here: {path}"})

    def created(self, user: str, asked: Any) -> Reply:
        name = f"{asked['organization']}/{asked['name']}"
        if asked["organization"] != user:
            return Reply(403, {"error": f'You don\'t have the rights to create a dataset under the namespace "{name}"'})
        if name in self.repos:
            return Reply(409, {"error": "You already created this dataset repo"})
        self.repos[name] = Repo(asked["visibility"] == "private")
        return Reply(200, {"url": f"{self.url}/datasets/{name}"})

    def validated(self, card: str) -> Reply:
        licence = yaml.safe_load(card.split("---\n")[1]).get("license")
        if ({licence} if isinstance(licence, str) else set(licence)) <= LICENCES:
            return Reply(200, {"errors": [], "warnings": []})
        return Reply(400, {"errors": [{"message": f'"license" must be one of {sorted(LICENCES)}'}]})

    def batched(self, file: Any) -> Any:
        if file["oid"] in self.stored:
            return file
        return file | {"actions": {"upload": {"href": f"{self.url}/lfs/{file['oid']}"}}}

    def committed(self, name: str, repo: Repo, lines: list[Any]) -> Reply:
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                repo.files[value["path"]] = base64.b64decode(value["content"])
            else:
                repo.files[value["path"]] = self.stored[value["oid"]]
                repo.large.add(value["path"])
        repo.commits.append(lines[0]["value"]["summary"])
        return Reply(200, {"commitUrl": f"{self.url}/datasets/{name}/commit/1", "commitOid": "1" * 40})


def git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def entry(repo: Repo, path: str) -> Any:
    """A file of the repository, as the hub lists it."""
    content = repo.files[path]
    found: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": git_hash(content)}
    if path in repo.large:
        sha256 = hashlib.sha256(content).hexdigest()
        found |= {"oid": git_hash(sha256.encode()), "lfs": {"size": len(content), "oid": sha256, "pointerSize": 130}}
    return found


def preupload(repo: Repo, path: str) -> Any:
    mode = "lfs" if path.endswith(".parquet") else "regular"
    return {"path": path, "uploadMode": mode, "shouldIgnore": False}


@contextmanager
def hub() -> Iterator[Hub]:
    """A running hub in threads of its own."""
    state = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            state.asked.append(f"{self.command} {self.path}")
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            fault = state.misbehave(self.command, self.path)
            if fault == "drop":
                self.close_connection = True
                return
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            refused = isinstance(fault, int)
            reply = Reply(fault, {"error": "no"}) if refused else state.reply(self.command, self.path, token, body)
            data = b"" if reply.body is None else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in (*reply.headers, ("Content-Type", "application/json"), ("Content-Length", len(data))):
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = answer

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: the tests look at `asked`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
