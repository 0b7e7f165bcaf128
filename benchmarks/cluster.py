"""Many tiny runs through both sides of the seam, for BENCHMARKS.md.

    python benchmarks/cluster.py [--tasks 60] [--answered 500] [--cores 1]

The chapter is the tiny one of the tests, without its picture, so that little but the press is
measured.  The same runs are made by local processes, and by a worker for each core of a Dask
cluster on loopback that shares no disk with the command.  Then the workers are asked for many runs
that they have already, which is what the way there and back costs alone.
"""

from __future__ import annotations

import argparse
import os
import shutil
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


def timed(root: Path, tasks: int, side: executor.Side | None = None):
    """Seconds of making replicates, the sum of those in their cells, and those to prepare."""
    begun = time.perf_counter()
    plans = [
        runner.prepare("dice", root=root, profile="smoke", replicate=1 + i) for i in range(tasks)
    ]
    prepared = time.perf_counter() - begun
    results = executor.execute(plans, side=side)
    failed = [r for r in results if isinstance(r, runner.RunError)]
    assert not failed, str(failed[0])
    wall = time.perf_counter() - begun
    return wall, sum(sum(r.record["cells"].values()) for r in results), prepared


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=60, help="runs to make on either side")
    parser.add_argument("--answered", type=int, default=500, help="runs that workers have already")
    parser.add_argument("--cores", type=int, default=executor.cores())
    asked = parser.parse_args()
    n = asked.tasks
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: asked.cores])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        report("local processes", n, *timed(tiny(folder / "local"), n))
        through_workers(folder, n, asked.answered)


def report(who: str, n: int, wall: float, cells: float, prepared: float) -> None:
    print(
        f"{who}: {n} tasks, {wall:.1f} s, {1000 * wall / n:.0f} ms a task, of which "
        f"{1000 * prepared / n:.0f} to prepare; in their cells {cells:.1f} s: "
        f"ratio {wall / cells:.2f}, on {executor.cores()} cores",
        flush=True,
    )


def pretend(far: Path, near: Path, n: int) -> None:
    """Give workers runs under the names of n replicates, all copies of one."""
    (run, *_) = (far / "runs" / "dice").glob("*-*")
    for i in range(n):
        plan = runner.prepare("dice", root=near, profile="smoke", replicate=1 + i)
        target = run.with_name(plan.keys.run)
        if not target.exists():
            shutil.copytree(run, target)


def through_workers(folder: Path, n: int, answered: int) -> None:
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
        workers = f"{len(commands) - 1} workers"
        near = tiny(folder / "near")
        os.environ["SEEDBOOK_ROOT"] = str(near)
        report(workers, n, *timed(near, n, cluster.Cluster(str(file))))
        pretend(folder / "far", near, answered)
        other = tiny(folder / "other")
        os.environ["SEEDBOOK_ROOT"] = str(other)
        seconds = timed(other, answered, cluster.Cluster(str(file)))
        report(f"{workers} that have the runs", answered, *seconds)
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
