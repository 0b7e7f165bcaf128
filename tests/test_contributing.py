"""What CONTRIBUTING.md promises is what the code holds to."""

import re
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from seedbook import claims, stats
from seedbook.press import catalog, chapter, parameters

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_limits_of_a_notebook():
    (sentence,) = re.findall(
        r"At most (\d+) code cells, (\d+) lines in a cell, and (\d+) lines", TEXT
    )
    limits = (chapter.MAX_CODE_CELLS, chapter.MAX_CELL_LINES, chapter.MAX_LINES)
    assert tuple(map(int, sentence)) == limits
    assert f"At most {chapter.MAX_COLUMNS} columns" in TEXT


def test_fixed_ids_and_catalogue_keys_are_named():
    for name in (*chapter.MARKDOWN_IDS, "method", "verdicts"):
        assert f"`{name}`" in TEXT
    for cls in (catalog.Chapter, catalog.Paper):
        for key in (f.name for f in fields(cls) if f.name != "root"):
            assert f"`{key}`" in TEXT
    for key in (*catalog.PROFILES, *catalog.LIMITS, *catalog.DEVICES):
        assert re.search(rf"\b{key}\b", TEXT)


def test_the_parameters_shown_are_valid():
    (cell,) = [block for block in PYTHON if "salmon: bool" in block]
    shown = parameters.parse(cell)
    assert [p.name for p in shown][-3:] == list(chapter.LAST_PARAMETERS)
    assert parameters.resolve(shown, {"tau": 1})["tau"] == 1.0


def test_the_claim_shown_can_be_judged():
    (declared,) = [block for block in PYTHON if "ledger = Ledger" in block]
    (measured,) = [block for block in PYTHON if "ledger.exact" in block]
    names = {**vars(claims), "seed": None, "salmon": False}
    exec(declared, names)
    # every measure of the second block belongs to some claim of its chapter
    exec(
        'ledger.claim("x1", "s", paper="-", where="-", measure="shuffled", why="w", test="t", '
        'rule=all_of(below("shuffled", 0.5), inside("failures", 0, 0)))',
        names,
    )
    n = np.array([200.0, 400, 800, 1600])
    names |= {"stats": stats, "np": np, "n": n, "m": n * 0.3, "p": 0.001, "k": 3, "failures": 0}
    exec(measured.replace("proportion(k, n)", "proportion(k, 60)"), names)
    ledger = names["ledger"]
    assert ledger.judge()["x1"]["verdict"] == "supported"
    assert ledger.judge()["c1"]["verdict"] == "inconclusive"  # error_at_n was not measured


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`plots\.(\w+)", TEXT))))
def test_the_marks_named_exist(name):
    from seedbook import plots

    assert callable(getattr(plots, name))
