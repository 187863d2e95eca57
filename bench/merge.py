"""Memory and time of averaging models: one arm and its base model, random weights in several files.

Run in the training environment: `envs/in-env training python bench/merge.py [FILES] [MB]`. It makes both models in a
temporary folder (files of MB megabytes of bfloat16, half of it one tensor) and averages them in a process of its own.
"Private" is memory that only this process has; pages of the files that are read are the kernel's cache, which it frees
when it needs memory.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

FILES, MB = 4, 400


def make(folder: Path, files: int, megabytes: int) -> None:
    import torch
    from safetensors.torch import save_file

    folder.mkdir()
    weight_map = {}
    for number in range(files):
        rows = megabytes * 1_000_000 // 2 // 1000
        tensors = {f"big.{number}": torch.randn(rows // 2, 1000).to(torch.bfloat16)}
        tensors |= {f"small.{number}.{i}": torch.randn(rows // 20, 1000).to(torch.bfloat16) for i in range(10)}
        name = f"model-{number + 1:05}-of-{files:05}.safetensors"
        save_file(tensors, folder / name, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(tensors, name)
    import json

    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def average(folder: Path) -> None:
    """Average, and print the peak of the private memory above that before, in MB, and the time."""
    import safetensors.torch  # noqa: F401

    from holdfast.common.averages import BASE
    from holdfast.steps.merge.average import write_average
    from holdfast.steps.merge.weights import check_alike, tensors_in

    peak, ended = [private_mb()], threading.Event()
    before = peak[0]

    def watch() -> None:
        while not ended.wait(0.005):
            peak[0] = max(peak[0], private_mb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    begun = time.monotonic()
    models = {name: tensors_in(folder / name) for name in (BASE, "arm")}
    check_alike(models, {name: folder / name for name in models})
    (folder / "averaged").mkdir()
    write_average(models, {BASE: 0.5, "arm": 0.5}, folder / "averaged")
    took_s = time.monotonic() - begun
    ended.set()
    watcher.join()
    print(f"private memory {peak[0] - before:.0f} MB at most, {took_s:.1f} s")


def private_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1000
    raise OSError("/proc/self/status has no RssAnon")


def main() -> None:
    files, megabytes = (int(word) for word in [*sys.argv[1:], FILES, MB][:2])
    with tempfile.TemporaryDirectory() as folder:
        for name in ("base", "arm"):
            make(Path(folder, name), files, megabytes)
        print(f"two models of {files} files of {megabytes} MB in bfloat16: ", end="", flush=True)
        subprocess.run([sys.executable, __file__, "--average", folder], check=True, env=dict(os.environ))


if __name__ == "__main__":
    average(Path(sys.argv[2])) if sys.argv[1:2] == ["--average"] else main()
