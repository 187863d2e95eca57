"""The launcher of the pinned environments, tried on tiny ones."""

import http.server
import importlib.machinery
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest

ENVS = Path(__file__).parents[2] / "envs"


MARKER = ".holdfast-done"


# stands in for uv: notes what is asked, and can be slow
SPY = """#!/bin/sh
echo "$1 $2 (bytecode: $UV_COMPILE_BYTECODE_TIMEOUT s)" >> {log}
if [ "$1" = pip ] && [ -e {slow} ]; then echo waiting >> {log}; sleep 1.5; fi
exec "{uv}" "$@"
"""


def load(name):
    loader = importlib.machinery.SourceFileLoader(name.replace("-", "_"), str(ENVS / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


class Checkout:
    """A checkout with the real launcher and made-up environments."""

    def __init__(self, root):
        self.root, self.cache, self.log, self.slow = root, root / "cache of mine", root / "log", root / "slow"
        (root / "envs").mkdir(parents=True)
        for name in ("in-env", "building.py"):
            shutil.copy(ENVS / name, root / "envs" / name)
        tools = Path(load("building.py").uv(load("in-env").cache()))
        copy = self.cache / tools.parent.name
        (copy / "bin").mkdir(parents=True)
        (copy / "bin/python").symlink_to(tools / "python")
        (copy / "bin/uv").write_text(SPY.format(log=self.log, slow=self.slow, uv=tools / "uv"))
        (copy / "bin/uv").chmod(0o755)
        (copy / MARKER).touch()
        self.write("tiny.txt", "six==1.17.0\n")

    def write(self, name, text):
        (self.root / "envs" / name).write_text(text)

    def start(self, *words, **more):
        env = {k: v for k, v in os.environ.items() if k not in ("GREETING", "PYTHONPATH")}
        env |= {"HOLDFAST_ENVS": str(self.cache)} | more
        command = [sys.executable, self.root / "envs/in-env", *words]
        return subprocess.Popen(command, env=env, cwd=self.root, text=True, stdout=-1, stderr=-1)

    def run(self, *words, **more):
        process = self.start(*words, **more)
        out, err = process.communicate(timeout=60)
        return process.returncode, out.strip(), err

    def built(self):
        return self.log.read_text().count("venv ") if self.log.exists() else 0

    def folders(self):
        return [p for p in self.cache.glob("tiny-*") if p.is_dir()]


def wheel(folder, name):
    """A package of one module."""
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as file:
        about = f"{name}-1.0.dist-info/"
        file.writestr(f"{name}.py", "here = True\n")
        file.writestr(about + "METADATA", f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.0\n")
        file.writestr(about + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(about + "RECORD", "")


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path / "here")


def test_runs_in_the_environment(checkout):
    code, out, err = checkout.run("tiny", "python", "-c", "import six, sys; print(six.__version__); sys.exit(7)")
    assert (code, out) == (7, "1.17.0")
    assert "building environment tiny" in err
    assert checkout.run(
        "tiny", "sh", "-c", "command -v python; echo $VIRTUAL_ENV; echo $PYTHONPATH", PYTHONPATH="/x"
    ) == (
        0,
        f"{checkout.folders()[0]}/bin/python\n{checkout.folders()[0]}\n{checkout.root}/src:/x",
        "",
    )
    assert checkout.built() == 1
    assert checkout.run("--path", "tiny")[1] == str(checkout.folders()[0])


def test_compiled_at_once(checkout):
    path = Path(checkout.run("--path", "tiny", PYTHONDONTWRITEBYTECODE="1")[1])
    assert list(path.glob("lib/python3.11/site-packages/__pycache__/six*.pyc"))


def test_a_busy_machine_has_time_to_compile(checkout):
    """uv's own limit is 60 s a file."""
    checkout.run("--path", "tiny")
    assert "pip install (bytecode: 1800 s)" in checkout.log.read_text()


def test_asking_whether_it_is_built_builds_nothing(checkout):
    assert checkout.run("--built", "tiny") == (1, "", "")
    assert checkout.built() == 0
    path = checkout.run("--path", "tiny")[1]
    assert checkout.run("--built", "tiny") == (0, path, "")


def test_a_retry_downloads_nothing_again(checkout):
    """What a failed installation has downloaded is in uv's cache."""
    asked = []

    class Index(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *words):
            super().__init__(*words, directory=str(index))

        def do_GET(self):
            asked.append(self.path)
            if "test_bad-" in self.path:  # uv fetches both at once, and gives up the other when this one fails
                deadline = time.monotonic() + 30
                while not list(uv_cache.rglob("holdfast_test_good.py")) and time.monotonic() < deadline:
                    time.sleep(0.02)
            super().do_GET()

        def log_message(self, *_):
            pass

    index, uv_cache = checkout.root / "index", checkout.root / "uv"
    for name in ("good", "bad"):
        wheel(index / f"holdfast-test-{name}", f"holdfast_test_{name}")
    whole = next((index / "holdfast-test-bad").iterdir())
    content = whole.read_bytes()
    whole.write_bytes(content[: len(content) // 2])
    checkout.write("tiny.txt", "holdfast-test-bad==1.0\nholdfast-test-good==1.0\n")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Index) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        more = {"UV_DEFAULT_INDEX": f"http://127.0.0.1:{server.server_port}", "UV_CACHE_DIR": str(uv_cache)}
        more |= {"UV_HTTP_RETRIES": "0"}  # of the broken package, within one installation
        code, _, err = checkout.run("--path", "tiny", **more)
        assert code == 1, err
        assert sum(path.endswith("test_good-1.0-py3-none-any.whl") for path in asked) == 1
        asked.clear()
        whole.write_bytes(content)
        code, _, err = checkout.run("--path", "tiny", **more)
        assert code == 0, err
        assert [path for path in asked if path.endswith(".whl") and "good" in path] == []
        server.shutdown()


def test_settings_give_way_to_the_users(checkout):
    checkout.write("tiny.env", "# why\nGREETING=hello = you\n\nOTHER=1\n")
    assert checkout.run("tiny", "sh", "-c", "echo $GREETING $OTHER")[1] == "hello = you 1"
    assert checkout.run("tiny", "sh", "-c", "echo $GREETING $OTHER", GREETING="mine")[1] == "mine 1"


def test_signals_and_unknown_commands_pass_through(checkout):
    checkout.run("--path", "tiny")
    process = checkout.start("tiny", "sh", "-c", "echo up; exec sleep 30")
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    assert process.returncode == -signal.SIGTERM
    code, _, err = checkout.run("tiny", "no-such-command")
    assert code == 127
    assert "tiny has no command 'no-such-command'" in err


def test_two_at_once_build_once(checkout):
    both = [checkout.start("tiny", "python", "-c", "import six; print(six.__version__)") for _ in range(2)]
    ends = [process.communicate(timeout=60) for process in both]
    assert [out for out, _ in ends] == ["1.17.0\n"] * 2
    assert checkout.built() == 1
    assert sum("waiting for another process" in err for _, err in ends) == 1


def test_killed_half_way_is_built_again(checkout):
    checkout.slow.touch()
    process = checkout.start("--path", "tiny")
    while not (checkout.log.exists() and "waiting" in checkout.log.read_text()):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    checkout.slow.unlink()
    (half,) = checkout.folders()
    assert not (half / MARKER).exists()
    (half / "litter").touch()
    code, out, err = checkout.run("tiny", "python", "-c", "import six; print(six.__version__)")
    assert (code, out) == (0, "1.17.0")
    assert "waiting for another process" in err  # the orphaned installer was let finish first
    assert checkout.built() == 2
    assert not (half / "litter").exists()
    process.stdout.close()
    process.stderr.close()


def test_changed_pin_is_another_folder(checkout):
    old = checkout.run("--path", "tiny")[1]
    checkout.write("tiny.txt", "six==1.16.0\n")
    new = checkout.run("--path", "tiny")[1]
    assert old != new
    assert checkout.run("tiny", "python", "-c", "import six; print(six.__version__)")[1] == "1.16.0"
    checkout.write("tiny.txt", "six==1.17.0\n")
    assert checkout.run("--path", "tiny")[1] == old
    assert checkout.built() == 2


def test_unknown_environment_names_the_known(checkout):
    checkout.write("other.txt", "")
    code, _, err = checkout.run("tinny", "true")
    assert code == 1
    assert err == "holdfast: no environment 'tinny'; known: other, tiny\n"
    code, _, err = checkout.run("tiny")
    assert code == 1
    assert "envs/in-env NAME COMMAND" in err


def test_failing_install_leaves_nothing(checkout):
    checkout.write("tiny.txt", "six==0.0.999\n")
    for _ in range(2):
        code, out, err = checkout.run("--path", "tiny")
        assert (code, out) == (1, "")
        assert "six==0.0.999" in err  # the installer's own words
        assert "installing envs/tiny.txt failed" in err
        assert checkout.folders() == []
    checkout.write("tiny.txt", "six==1.17.0\n")
    assert checkout.run("tiny", "true")[0] == 0


def test_pips_configuration_reaches_uv(checkout):
    """Without an index, only from a folder: as pip was told, in the environment and in a file."""
    wheel(checkout.root / "wheels", "holdfast_test_thing")
    checkout.write("tiny.txt", "holdfast-test-thing==1.0\n")
    settings = checkout.root / "pip.conf"
    settings.write_text("[global]\nno-index = true\n")
    more = {"PIP_CONFIG_FILE": str(settings), "PIP_FIND_LINKS": str(checkout.root / "wheels")}
    code, out, err = checkout.run("tiny", "python", "-c", "import holdfast_test_thing as t; print(t.here)", **more)
    assert (code, out) == (0, "True"), err


def test_link_and_the_holdfast_command(checkout, monkeypatch):
    checkout.write("core.txt", "six==1.17.0\n")
    venv = checkout.root / ".venv"
    venv.mkdir()
    assert "folder of your own" in checkout.run("--link")[2]
    venv.rmdir()
    for _ in range(2):
        assert checkout.run("--link")[0] == 0
        assert str(venv.resolve()) == checkout.run("--path", "core")[1]
    below = checkout.root / "src/holdfast"
    below.mkdir(parents=True)
    (below / "cli.py").write_text("def main():\n    print('cli')\n    return 3\n")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    done = subprocess.run([venv / "bin/holdfast"], cwd=below, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (3, "cli\n"), done.stderr
    done = subprocess.run([venv / "bin/holdfast"], cwd="/", capture_output=True, text=True)
    assert done.returncode == 1
    assert "inside a checkout" in done.stderr


def test_compile(checkout):
    checkout.write("tiny.in", "# exclude: six\n# no-deps: thing==2\npython-dateutil==2.9.0.post0\n")
    checkout.write("tiny.txt", "")
    assert checkout.run("--compile", "tiny")[0] == 0
    lines = (checkout.root / "envs/tiny.txt").read_text().splitlines()
    assert lines[0].startswith("# made by 'envs/in-env --compile tiny'")
    assert lines[1:] == ["python-dateutil==2.9.0.post0", "thing==2"]


def test_python_in_an_environment_seldom_collects_garbage_while_it_imports() -> None:
    words = [ENVS / "in-env", "core", "python", "-c", "import gc; print(gc.get_threshold())"]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "(100000, 50, 100)\n"
