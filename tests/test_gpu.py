"""What a run's record says of a GPU, with a program that answers as nvidia-smi does."""

import json
import re
import time

import pytest
from seedbook.press import gpu, render, runner

SAYS = """#!/bin/sh
echo "$@" >> "{log}"
n=$(wc -l < "{log}")
echo "NVIDIA H200, $((n * 20)), $((1000 * (4 - n)))"
"""


@pytest.fixture
def smi(tmp_path, monkeypatch):
    """A folder whose nvidia-smi says 20 % and 3 GB, then 40 % and 2 GB; and its log."""
    log = tmp_path / "asked"
    log.touch()
    program = tmp_path / "nvidia-smi"
    program.write_text(SAYS.format(log=log))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(gpu, "EVERY_S", 0.01)
    return log


def test_a_watch_takes_the_mean_of_use_and_the_most_memory(smi, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,1")
    with gpu.Watch() as watch:
        until = time.monotonic() + 30
        while len(smi.read_text().splitlines()) < 2 and time.monotonic() < until:
            time.sleep(0.01)
    asked = smi.read_text().splitlines()
    n = len(asked)
    assert n >= 2 and all("--id=3" in line for line in asked)
    assert watch.record() == {
        "gpu": "NVIDIA H200",
        "gpu_busy": round(10 * (n + 1)),
        "gpu_memory_mb": 3000,
    }


@pytest.mark.parametrize("answer", ["exit 9", "echo", "echo No devices were found", "echo a, b, c"])
def test_what_cannot_be_read_is_left_out(smi, answer):
    (smi.parent / "nvidia-smi").write_text(f"#!/bin/sh\n{answer}\n")
    with gpu.Watch() as watch:
        watch._thread.join(30)
    assert watch.record() == {}


def test_the_provenance_names_the_gpu(ran):
    [made] = ran.root.glob("runs/dice/*/run.json")
    record = json.loads(made.read_text())
    assert record["device"]["kind"] == "cpu"
    found = {"kind": "cuda", "gpu": "NVIDIA H200", "gpu_busy": 71, "gpu_memory_mb": 12345}
    page = render.provenance(record | {"device": record["device"] | found}, "")
    assert re.search(r"NVIDIA H200, 71 % busy, 12\.3 GB on it, \d thread", page)
    assert "NVIDIA" not in render.provenance(record, "")


def test_a_profile_that_wants_a_gpu_has_time_without(book):
    listed = book.root / "notebooks" / "catalog.yml"
    listed.write_text(listed.read_text().replace("device: cpu", "device: cuda"))
    short = runner.prepare("dice", root=book.root)
    long = runner.prepare("dice", root=book.root, profile="full", given={"device": "cpu"})
    assert long.cell_limit_s == runner.PATIENCE * short.cell_limit_s
    assert long.run_limit_s == runner.PATIENCE * short.run_limit_s == runner.PATIENCE * 3600
