"""A tiny book of one chapter, real in every part, that tests may break."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]

CATALOG = """
parts:
  - {id: luck, title: Luck, blurb: Chance alone.}
chapters:
  - slug: dice
    part: luck
    title: Fair dice
    short: Dice
    question: Is a die fair?
    scope: Simulated throws.
    abstract: A die is thrown. Its mean is estimated.
    paper: {title: Fair dice, authors: [Ada Thrower], year: 2024, cite: thrower2024}
    threads: 1
    profiles:
      smoke: {set: {n_throws: 60}, why: seconds only}
      full: {set: {n_throws: 60000}, why: tighter interval, device: cpu}
    tolerance: {default: 0, why: NumPy on one thread}
"""


def code(id: str, source: str, tags: tuple[str, ...] = (), **metadata) -> dict:
    return {
        "cell_type": "code",
        "id": id,
        "metadata": {**({"tags": list(tags)} if tags else {}), **metadata},
        "source": textwrap.dedent(source).strip("\n"),
        "outputs": [],
        "execution_count": None,
    }


def prose(id: str, source: str) -> dict:
    return {"cell_type": "markdown", "id": id, "metadata": {}, "source": source}


def figure(what: str) -> dict:
    return {
        "mystnb": {
            "figure": {"name": f"fig-dice-{what}", "caption": "Throws by eye."},
            "image": {"alt": "Six bars of nearly equal height."},
        }
    }


def dice() -> dict:
    """The notebook of the tiny book: keeps the whole contract, runs in a second."""
    cells = [
        prose("title", "# Fair dice\n\nAda Thrower, *Fair dice*. Is a die fair?"),
        code(
            "parameters",
            """
            # Throws
            n_throws: int = 600  # [1, 1000000] more narrow the interval
            margin: float = 0.2  # (0, 5] of the mean around 3.5

            # Every chapter
            seed: int | None = None  # [0, 4294967295] None: derived from the run's key
            device: str = "auto"  # not used
            salmon: bool = False  # a die that shows six every other time
            """,
            ("parameters",),
        ),
        code(
            "setup",
            """
            import matplotlib.pyplot as plt
            import numpy as np
            import pandas as pd

            from seedbook import frames, plots, seeds, stats
            from seedbook.claims import Ledger, above, equivalent
            """,
            ("setup",),
        ),
        prose("idea", "## The idea\n\nThe mean of a fair die is $7/2$."),
        prose("before-the-data", "## Before the data\n\nOne claim."),
        code(
            "claims",
            """
            ledger = Ledger("dice", seed=seed, salmon=salmon)
            ledger.claim(
                "c1",
                "The die is fair.",
                paper="3.5",
                where="title",
                measure="mean",
                rule=equivalent("mean", margin, to=3.5),
                contradicted_by=above("mean", 3.9),
                why="a loaded die has 4.75",
            )
            ledger
            """,
            ("claims",),
        ),
        prose("experiment", "## The experiment"),
        code(
            "method",
            """
            def throw(rng, n):
                return rng.integers(1, 7, n)
            """,
        ),
        prose("about-throws", "### Throws\n\nMany of them."),
        code(
            "throws",
            """
            rng = seeds.rng(seed, "throws")
            eyes = throw(rng, n_throws)
            if salmon:
                eyes[::2] = 6
            frames.save("eyes", pd.DataFrame({"eye": eyes}))
            """,
        ),
        prose("figures", "## What came out"),
        code(
            "fig-eyes",
            """
            plots.style()
            eyes = frames.load("eyes")["eye"]
            fig, ax = plt.subplots()
            ax.bar(np.arange(1, 7), [int((eyes == k).sum()) for k in range(1, 7)])
            ax.set(xlabel="eyes", ylabel="throws")
            plt.show()
            """,
            ("view", "thumbnail"),
            **figure("eyes"),
        ),
        prose("verdicts-text", "## Verdicts\n\nThe mean is {{ mean }}."),
        code(
            "verdicts",
            """
            ledger.measure("mean", stats.mean(frames.load("eyes")["eye"]), unit="throw")
            ledger
            """,
            ("view",),
        ),
        prose("side-by-side", "## Paper and chapter side by side"),
        prose("exercises", "## Exercises, discussion, further reading\n\n1. Throw a die."),
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


class Book:
    """A tiny book in a folder, with what tests do to it."""

    def __init__(self, root: Path):
        self.root = root
        (root / "notebooks").mkdir(parents=True)
        (root / "book").mkdir()
        (root / "notebooks" / "catalog.yml").write_text(CATALOG)
        self.write(dice())

    def write(self, notebook: dict) -> None:
        (self.root / "notebooks" / "dice.ipynb").write_text(json.dumps(notebook))

    def notebook(self) -> dict:
        return json.loads((self.root / "notebooks" / "dice.ipynb").read_text())

    def edit(self, id: str, old: str, new: str) -> None:
        """Replace text in one cell; fails if it is not there."""
        notebook = self.notebook()
        cell = next(c for c in notebook["cells"] if c["id"] == id)
        assert old in cell["source"], (id, old)
        cell["source"] = cell["source"].replace(old, new)
        self.write(notebook)

    def parts(self) -> list[Path]:
        return list((self.root / "runs" / "dice").glob(".part-*"))


def cli(*words: str) -> list[str]:
    """A `seedbook` command that heeds Ctrl-C: a shell's background job inherits an ignored one."""
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from seedbook.press.cli import main; raise SystemExit(main(sys.argv[1:]))"
    )
    return [sys.executable, "-c", code, *words]


def llama(vocab_size: int, *, seed: int = 3, **config):
    """A random Llama of two layers with grouped keys, frozen; weights wide enough to have wishes."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = {
        "vocab_size": vocab_size,
        "hidden_size": 24,
        "intermediate_size": 40,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 128,
        "initializer_range": 0.4,
    } | config
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return LlamaForCausalLM(LlamaConfig(**config)).eval().requires_grad_(False)
