"""Runs as a plain SLURM array job, for sites without Dask."""

from __future__ import annotations

import math
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from . import executor, runner, store

MAX_ARRAY = 1000  # SLURM's usual limit is 1001
SPARE, MIN_S, MIN_GB = 3.0, 600, 4  # of time and memory, over what was recorded

SCRIPT = """\
#!/bin/bash
# {n} runs of Seedbook as a SLURM array, longest first; written by `seedbook export --slurm-array`.
#
# Submit it from anywhere: sbatch {name}
# The folder below must be seen by all nodes. A run is whole or absent, and one that exists is not
# made again: to make what is left, submit the same file once more. When all is done, the same
# `seedbook run` or `seedbook sweep` that this file was written for finds the runs and prints them.
#
#SBATCH --job-name=seedbook
#SBATCH --array=0-{last}%{at_most}
#SBATCH --ntasks=1
#SBATCH --cpus-per-task={threads}
#SBATCH --mem={memory}G
#SBATCH --time={hours:02d}:{minutes:02d}:00
#SBATCH --chdir={quoted_root}
#SBATCH --output=runs/slurm-%A_%a.log
{gpu}\
# What your site wants besides, such as --partition and --account:
##SBATCH --partition=NAME

{device}\
export SEEDBOOK_ROOT={quoted_root}
seedbook() {{ {python} -m seedbook.press.cli "$@" --no-warm; }}

task() {{
case $1 in
{cases}
esac
}}

failed=0
for ((i = SLURM_ARRAY_TASK_ID; i < {n}; i += {tasks})); do task "$i" || failed=1; done
exit $failed
"""


def script(plans: Sequence[runner.Plan], commands: Sequence[list[str]], out: Path, at_most: int):
    """An array job.

    Parameters
    ----------
    plans : sequence of Plan
        All for a GPU or none, longest first.
    commands : sequence of list of str
        Arguments of ``seedbook`` that make them.
    out : Path
        The file that it will be; only its name is used.
    at_most : int
        Tasks at a time.

    Returns
    -------
    str
    """
    root, n = plans[0].root, len(plans)
    tasks = min(n, MAX_ARRAY)
    seconds = max(sum(p.expected.values()) or p.run_limit_s / SPARE for p in plans)
    minutes = math.ceil(max(seconds * SPARE * math.ceil(n / tasks), MIN_S) / 60)
    gpu = plans[0].gpu
    return SCRIPT.format(
        n=n,
        name=shlex.quote(str(out)),
        last=tasks - 1,
        at_most=at_most,
        tasks=tasks,
        threads=max(p.threads for p in plans),
        memory=max(MIN_GB, *(math.ceil(SPARE / 2 * _gigabytes(p)) for p in plans)),
        hours=minutes // 60,
        minutes=minutes % 60,
        quoted_root=shlex.quote(str(root)),
        gpu="#SBATCH --gres=gpu:1\n" if gpu else "",
        device=""
        if gpu
        else "export CUDA_VISIBLE_DEVICES=  # auto is the processor on every node\n",
        python=shlex.quote(sys.executable),
        cases="\n".join(
            f"{i}) seedbook {shlex.join(words)} ;;" for i, words in enumerate(commands)
        ),
    )


def _gigabytes(plan: runner.Plan) -> float:
    """Peak memory of the newest run of a chapter, or of its edition."""
    found = store.runs(plan.root, plan.slug)[:1]
    for path in (plan.root / "book" / "editions" / plan.slug).glob("*/run.json"):
        found.append(store.Run(path.parent))
    return max([r.record.get("peak_memory_mb") or 0 for r in found], default=0) / 1000


def write(
    plans: Sequence[runner.Plan], commands: Sequence[list[str]], out: Path, at_most: int
) -> list[Path]:
    """Write one job for the processor and one for the GPU, as far as there are such runs."""
    order = sorted(range(len(plans)), key=lambda i: -executor.seconds(plans[i]))
    written = []
    for gpu in (False, True):
        mine = [i for i in order if plans[i].gpu == gpu]
        if not mine:
            continue
        path = out.with_name(f"{out.stem}-gpu{out.suffix}") if gpu else out
        text = script([plans[i] for i in mine], [commands[i] for i in mine], path, at_most)
        part = path.with_name(f".{path.name}.{os.getpid()}")
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
        written.append(path)
    if plans:
        (plans[0].root / "runs").mkdir(exist_ok=True)  # SLURM does not make the logs' folder
    return written
