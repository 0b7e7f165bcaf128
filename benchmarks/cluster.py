"""Many tiny runs through both sides of the seam, for BENCHMARKS.md.

    python benchmarks/cluster.py [--tasks 500] [--cores 2]

The chapter is the tiny one of the tests, without its picture, so that little but the press is
measured.  The same runs are made by local processes, by two workers of a Dask cluster on loopback
that share no disk with the command, and once more by them when they have the runs already.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from seedbook.press import cluster, executor, runner
from tiny import Book

DASK = [sys.executable, "-m", "dask"]


def tiny(folder: Path) -> Path:
    """A book whose only chapter draws nothing."""
    book = Book(folder)
    notebook = book.notebook()
    for cell in notebook["cells"]:
        if cell["id"] == "fig-eyes":
            cell["source"] = 'eyes = frames.load("eyes")'
        if cell["id"] == "setup":
            cell["source"] = (
                "import pandas as pd\n\nfrom seedbook import frames, seeds, stats\n"
                "from seedbook.claims import Ledger, above, equivalent"
            )
    book.write(notebook)
    return book.root


def timed(root: Path, first: int, tasks: int, side: executor.Side | None = None):
    """Seconds of making replicates, and the sum of the seconds in their cells."""
    begun = time.perf_counter()
    plans = [
        runner.prepare("dice", root=root, profile="smoke", replicate=first + i)
        for i in range(tasks)
    ]
    prepared = time.perf_counter() - begun
    results = executor.execute(plans, side=side)
    failed = [r for r in results if isinstance(r, runner.RunError)]
    assert not failed, str(failed[0])
    wall = time.perf_counter() - begun
    return wall, sum(sum(r.record["cells"].values()) for r in results), prepared


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=500)
    parser.add_argument("--first", type=int, default=1, help="first replicate")
    parser.add_argument("--cores", type=int, default=executor.cores())
    parser.add_argument("--arm", choices=("local", "cluster"), help="only one of the two")
    asked = parser.parse_args()
    n = asked.tasks
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: asked.cores])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if asked.arm != "cluster":
            wall, cells, prepared = timed(tiny(folder / "local"), asked.first, n)
            print(
                f"local processes: {n} tasks, {wall:.1f} s ({1000 * prepared / n:.0f} ms a task to "
                f"prepare), {1000 * wall / n:.0f} ms a task; cells {cells:.1f} s: "
                f"ratio {wall / cells:.2f}, on {executor.cores()} cores",
                flush=True,
            )
        if asked.arm != "local":
            through_workers(folder, asked.first, n)


def through_workers(folder: Path, first: int, n: int) -> None:
    """The same through a scheduler and a worker for each core, with a book of their own."""
    file = folder / "scheduler.json"
    env = os.environ | {"SEEDBOOK_ROOT": str(tiny(folder / "far"))}
    here = [
        *("scheduler", "--host", "127.0.0.1", "--port", "0"),
        *("--dashboard-address", "127.0.0.1:0", "--scheduler-file", str(file)),
    ]
    there = [
        *("worker", "--scheduler-file", str(file), "--host", "127.0.0.1", "--nthreads", "1"),
        *("--no-nanny", "--no-dashboard", "--local-directory", str(folder)),
    ]
    commands = [here, *[there] * executor.cores()]
    quiet = subprocess.DEVNULL
    processes = [
        subprocess.Popen([*DASK, *c], env=env, stdout=quiet, stderr=quiet) for c in commands
    ]
    try:
        while not file.is_file():
            time.sleep(0.1)
        for name in ("first", "again"):
            root = tiny(folder / name)
            os.environ["SEEDBOOK_ROOT"] = str(root)
            wall, cells, _ = timed(root, first, n, cluster.Cluster(str(file)))
            what = "" if name == "first" else " that the workers have already"
            print(
                f"cluster of {len(processes) - 1}: {n} tasks{what}, {wall:.1f} s, "
                f"{1000 * wall / n:.0f} ms a task; cells {cells:.1f} s: ratio {wall / cells:.2f}",
                flush=True,
            )
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
