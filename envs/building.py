"""The slow half of in-env: build an environment, or compile its list of pins. Standard library only."""

import ast
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time

UV = "uv==0.13.8"
SIZES = {
    "core": "about 1.3 GB",
    "dev": "about 1.4 GB",
    "inference": "about 3.2 GB",
    "training": "about 2.7 GB",
    "inference-gpu": "many GB",
    "training-gpu": "many GB",
}
HERE = os.path.dirname(os.path.realpath(__file__))
# pip's options, the variables by which uv knows them, and how uv separates several values
PIP_TO_UV = {
    "find-links": ("UV_FIND_LINKS", ","),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "cert": ("SSL_CERT_FILE", " "),
    "proxy": ("ALL_PROXY", " "),
    "timeout": ("UV_HTTP_TIMEOUT", " "),
    "default-timeout": ("UV_HTTP_TIMEOUT", " "),
}
PIP_SAYS = """
import subprocess, sys
from pip._internal.models.index import PyPI
print("global.index-url=%r" % PyPI.simple_url, flush=True)
sys.exit(subprocess.call([sys.executable, "-m", "pip", "config", "list"]))
"""
# begins as a shell script, because a folder's name may have blanks or be too long for a #! line
HOLDFAST = """#!/bin/sh
'''exec' "{python}" "$0" "$@"
' '''
import os, sys
here = os.getcwd()
while not os.path.isdir(os.path.join(here, "src", "holdfast")) and here != os.path.dirname(here):
    here = os.path.dirname(here)
sys.path.append(os.path.join(here, "src"))  # after PYTHONPATH, which wins
try:
    from holdfast.cli import main
except ModuleNotFoundError as error:
    if error.name not in ("holdfast", "holdfast.cli"):
        raise
    sys.exit("holdfast: run this inside a checkout of the project (no src/holdfast here or above)")
sys.exit(main())
"""


def say(text):
    print("holdfast:", text, file=sys.stderr, flush=True)


def once(path, marker, make):
    """Call make(lock) to fill the folder, unless its marker, which is written last, says that it is finished.

    The installing processes hold the lock too: if this one is killed, the next waits for them, then starts over."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another process that builds {os.path.basename(path)} …")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(marker):
            return
        shutil.rmtree(path, ignore_errors=True)
        try:
            make(lock.fileno())
            open(marker, "w").close()
        except BaseException:
            shutil.rmtree(path, ignore_errors=True)
            raise


def call(command, what, lock=None, env=None):
    """Run a command quietly; if it fails, show the end of what it printed and stop."""
    done = subprocess.run(
        command,
        env=env,
        pass_fds=[lock] if lock is not None else [],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode:
        print(*done.stdout.splitlines()[-30:], sep="\n", file=sys.stderr)
        sys.exit(f"holdfast: {what} failed (exit {done.returncode}); the end of its output is above")


def uv(cache):
    """The bin folder of our own pinned uv, installed with plain pip once."""
    path = os.path.join(cache, UV.replace("==", "-"))
    marker = os.path.join(path, ".holdfast-done")

    def make(lock):
        call([sys.executable, "-m", "venv", path], "making a venv for uv", lock)
        call([f"{path}/bin/python", "-m", "pip", "install", "--quiet", UV], f"installing {UV} with pip", lock)

    if not os.path.exists(marker):
        once(path, marker, make)
    return os.path.join(path, "bin")


def uv_environment(name, tools):
    """uv does not read pip's configuration: hand it over through the environment (what the user set for uv wins)."""
    listed = subprocess.run([f"{tools}/python", "-c", PIP_SAYS], stdout=subprocess.PIPE, text=True, check=True).stdout
    options = {}
    for section in ("global", "install", ":env:"):  # pip's own order, the last one wins
        for line in listed.splitlines():
            if line.startswith(section + ".") and "=" in line:
                key, value = line[len(section) + 1 :].split("=", 1)
                options[key] = str(ast.literal_eval(value))
    gpu = name.endswith("-gpu")
    if gpu:  # a local CPU build of torch counts as newer than the CUDA build of the same version
        options.pop("find-links", None)
    env = dict(os.environ, UV_NO_CONFIG="1", UV_PYTHON_DOWNLOADS="never")
    for key, (variable, separator) in PIP_TO_UV.items():
        if options.get(key):
            env.setdefault(variable, separator.join(options[key].split()))
    # Of a version that several indexes hold, pip weighs all files, uv only those of the first: so the main one first.
    *others, last = [options["index-url"], *options.get("extra-index-url", "").split()]
    if not {"UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL"} & env.keys():
        env.update({"UV_DEFAULT_INDEX": last}, **({"UV_INDEX": " ".join(others)} if others else {}))
    env.setdefault("UV_COMPILE_BYTECODE_TIMEOUT", "1800")  # seconds a file; uv's 60 are too few on a busy machine
    env.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")  # as pip looks through several indexes
    if options.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        env.setdefault("UV_NO_INDEX", "1")
    if not gpu and not others and "find-links" not in options:
        env.setdefault("UV_TORCH_BACKEND", "cpu")  # nobody told pip where CPU builds of torch are: uv knows
    return env


def build(name, path, marker):
    def make(lock):
        started = time.monotonic()
        say(f"building environment {name} ({SIZES.get(name, 'small')}, once per machine) …")
        tools = uv(os.path.dirname(path))
        env = uv_environment(name, tools)
        base = getattr(sys, "_base_executable", sys.executable)  # never a venv of a venv
        call([f"{tools}/uv", "venv", "--quiet", "--python", base, path], f"making the venv of {name}", lock, env)
        # The list is complete: no resolver. PYTHONDONTWRITEBYTECODE may be set: compile now, or imports stay slow.
        call(
            [
                f"{tools}/uv",
                "pip",
                "install",
                "--no-deps",
                "--compile-bytecode",
                "--python",
                f"{path}/bin/python",
                "-r",
                os.path.join(HERE, name + ".txt"),
            ],
            f"installing envs/{name}.txt",
            lock,
            env,
        )
        if name in ("core", "dev"):
            with open(f"{path}/bin/holdfast", "w", encoding="utf-8") as script:
                script.write(HOLDFAST.format(python=f"{path}/bin/python"))
            os.chmod(script.name, 0o755)
        say(f"environment {name} is ready after {time.monotonic() - started:.0f} s")

    once(path, marker, make)


def compile_list(name, wanted, cache):
    """Write NAME.txt from NAME.in, keeping the pins that still fit.

    Two notes in NAME.in are heeded: '# exclude: A B' leaves packages out, '# no-deps: A==1' adds one as it is."""
    notes = {"exclude": [], "no-deps": []}
    for line in wanted.splitlines():
        key, colon, words = line.removeprefix("# ").partition(": ")
        if line.startswith("# ") and colon and key in notes:
            notes[key] += words.split()
    target, tools = os.path.join(HERE, name + ".txt"), uv(cache)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as excludes:
        excludes.write("\n".join(notes["exclude"]))
        excludes.flush()
        call(
            [
                f"{tools}/uv",
                "pip",
                "compile",
                "--quiet",
                "--no-header",
                "--no-annotate",
                "--python-version",
                "3.11",
                "--python-platform",
                "x86_64-manylinux_2_28",
                "--excludes",
                excludes.name,
                "-o",
                target,
                os.path.join(HERE, name + ".in"),
            ],
            f"compiling envs/{name}.in",
            env=uv_environment(name, tools),
        )
    with open(target, encoding="utf-8") as file:  # without local labels: another machine's build of torch has another
        pins = [line.split("+")[0] for line in file.read().splitlines() if line and line[0].isalnum()]
    with open(target, "w", encoding="utf-8") as file:
        file.write(f"# made by 'envs/in-env --compile {name}' from {name}.in: edit that file\n")
        file.writelines(line + "\n" for line in sorted({*pins, *notes["no-deps"]}))
    say(f"wrote envs/{name}.txt")
