"""The beginning of a chapter: a notebook with every section, cell and id that the contract asks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .catalog import Chapter
from .chapter import ChapterError

PARAMETERS = """\
# What the reader turns first
n_draws: int = 1000  # [10, 1000000] more narrow the interval

# Every chapter
seed: int | None = None  # [0, 4294967295] None: derived from the run's key
device: str = "auto"  # auto, cpu or cuda
salmon: bool = False  # say here what becomes null"""

SETUP = """\
import matplotlib.pyplot as plt
import pandas as pd

from seedbook import frames, plots, seeds, stats
from seedbook.claims import Ledger, above, below"""

CLAIMS = """\
ledger = Ledger("{slug}", seed=seed, salmon=salmon)
ledger.claim(
    "c1",
    "One sentence that can be false.",
    paper="the paper's number",
    where="section",
    measure="share",
    rule=above("share", 0.5),
    contradicted_by=below("share", 0.5),
    why="why this threshold, in a line",
)
ledger"""

METHOD = '''\
def draw(rng, n):
    """n draws of the mechanism under study, each 0 or 1."""
    return rng.integers(0, 2, n)'''

EXPERIMENT = """\
rng = seeds.rng(seed, "draws")
hits = draw(rng, n_draws)
if salmon:
    hits = rng.permutation(hits)
frames.save("draws", pd.DataFrame({"hit": hits}))"""

FIGURE = """\
plots.style()
hits = frames.load("draws")["hit"]
fig, ax = plt.subplots()
ax.plot(hits.expanding().mean())
ax.set(xlabel="draws", ylabel="share of hits", ylim=(0, 1))
plt.show()"""

VERDICTS = """\
hits = frames.load("draws")["hit"]
ledger.measure("share", stats.proportion(hits.sum(), len(hits)), unit="draw")
ledger"""


def write(entry: Chapter) -> Path:
    """Write the scaffold of a chapter.

    Raises
    ------
    ChapterError
        If its notebook is there already.
    """
    if entry.exists:
        raise ChapterError(
            f"{entry.slug}: {entry.notebook.name} is there already; nothing was written"
        )
    entry.notebook.write_text(json.dumps(notebook(entry), indent=1, ensure_ascii=False) + "\n")
    return entry.notebook


def notebook(entry: Chapter) -> dict[str, Any]:
    """The scaffold as a notebook."""

    def prose(id: str, *lines: str) -> dict[str, Any]:
        return {"cell_type": "markdown", "id": id, "metadata": {}, "source": "\n".join(lines)}

    def code(id: str, source: str, *tags: str, **metadata: Any) -> dict[str, Any]:
        return {
            "cell_type": "code",
            "id": id,
            "metadata": {**({"tags": list(tags)} if tags else {}), **metadata},
            "source": source,
            "outputs": [],
            "execution_count": None,
        }

    figure = {
        "mystnb": {
            "figure": {
                "name": f"fig-{entry.slug}-draws",
                "caption": "What is drawn, and what the bar is.",
            },
            "image": {"alt": "The finding, in one sentence."},
        }
    }
    paper = entry.paper
    cells = [
        prose(
            "title",
            f"# {entry.title}",
            "",
            f"{', '.join(paper.authors)}, *{paper.title}* ({paper.year}).",
            "",
            entry.question,
        ),
        code("parameters", PARAMETERS, "parameters"),
        code("setup", SETUP, "setup"),
        prose("idea", "## The idea", "", "Intuition first, then the formula."),
        prose(
            "before-the-data",
            "## Before the data",
            "",
            "Why these rules, and what the salmon breaks.",
        ),
        code("claims", CLAIMS.format(slug=entry.slug), "claims"),
        prose("experiment", "## The experiment", "", "What is done, and what the salmon replaces."),
        code("method", METHOD),
        prose("about-draws", "### Draws", "", "Why this, then the formula."),
        code("draws", EXPERIMENT),
        prose("figures", "## What came out"),
        code("fig-draws", FIGURE, "view", "thumbnail", **figure),
        prose(
            "verdicts-text",
            "## Verdicts",
            "",
            "The share is {{ share }}. What surprised us, what failed.",
        ),
        code("verdicts", VERDICTS, "view"),
        prose(
            "side-by-side",
            "## Paper and chapter side by side",
            "",
            "| | paper | here | effect |",
            "|---|---|---|---|",
        ),
        prose(
            "exercises",
            "## Exercises, discussion, further reading",
            "",
            "1. Short.",
            "2. Coding.",
            "3. Open.",
        ),
    ]
    return {
        "cells": cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
