"""Three prices: what a change costs, by both keys."""

import shutil
from pathlib import Path

import pytest
import seedbook
from seedbook.press import catalog, chapter, keys, runner
from tiny import REPOSITORY

SCIENCE = Path(seedbook.__file__).parent


@pytest.fixture
def science(tmp_path):
    """A copy of the science half that tests may edit."""
    folder = tmp_path / "science"
    folder.mkdir()
    for path in SCIENCE.glob("*.py"):
        shutil.copy(path, folder)
    return folder


def both(book, science=None, profile="quick", given=None, **options):
    entry = catalog.load(book.root).chapter("dice")
    source = chapter.read("dice", book.root)
    from seedbook.press import parameters

    values = parameters.resolve(
        source.parameters, {**runner.overrides(entry, profile), **(given or {})}
    )
    return keys.Keys(source, entry, values, root=book.root, folder=science, **options)


def price(before, after) -> str:
    if before.experiment != after.experiment:
        return "run"
    return "redraw" if before.view != after.view else "nothing"


@pytest.mark.parametrize(
    ("id", "old", "new", "expected"),
    [
        ("title", "Is a die fair?", "Is any die fair?", "nothing"),
        ("throws", "eyes = throw", "# a comment\neyes = throw", "nothing"),
        ("throws", 'frames.save("eyes"', '\n\nframes.save("eyes"', "nothing"),
        ("method", "    return", '    """Throw."""\n    return', "nothing"),
        ("parameters", "more narrow the interval", "more is slower", "nothing"),
        ("setup", "import numpy as np", "import numpy as np\nimport scipy", "nothing"),
        ("fig-eyes", 'ylabel="throws"', 'ylabel="count"', "redraw"),
        ("claims", '"The die is fair."', '"Every die is fair."', "redraw"),
        ("claims", '"a loaded die has 4.75"', '"because"', "redraw"),
        ("claims", 'paper="3.5"', 'paper="7/2"', "redraw"),
        ("claims", "to=3.5", "to=3.6", "run"),
        ("claims", 'above("mean", 3.9)', 'above("mean", 4)', "run"),
        ("throws", "eyes[::2] = 6", "eyes[::3] = 6", "run"),
        ("method", "rng.integers(1, 7, n)", "rng.integers(1, 6, n)", "run"),
        ("parameters", "n_throws: int = 600", "n_throws: int = 601", "run"),
        ("parameters", "margin: float = 0.2", "margin: float = 0.3", "run"),  # the rule reads it
    ],
)
def test_price_of_an_edit(book, id, old, new, expected):
    before = both(book)
    book.edit(id, old, new)
    assert price(before, both(book)) == expected


@pytest.mark.parametrize(
    ("module", "old", "new", "expected"),
    [
        ("seeds", '"""', '"""Changed. ', "nothing"),
        ("seeds", "def rng(", "def other():\n    return 1\n\n\ndef rng(", "nothing"),
        (
            "stats",
            "def proportion(",
            "def unreached():\n    return 1\n\n\ndef proportion(",
            "nothing",
        ),
    ],
)
def test_price_of_an_edit_in_the_library(book, science, module, old, new, expected):
    before = both(book, science)
    path = science / f"{module}.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    assert price(before, both(book, science)) == expected


def _body(path: Path, function: str, statement: str) -> None:
    """Put a statement first into a function's body."""
    import ast

    text = path.read_text()
    node = next(n for n in ast.parse(text).body if getattr(n, "name", "") == function)
    lines = text.splitlines()
    first = node.body[1] if ast.get_docstring(node) else node.body[0]
    lines.insert(first.lineno - 1, " " * first.col_offset + statement)
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("module", "function", "expected"),
    [
        ("seeds", "rng", "run"),
        ("seeds", "sequence", "run"),  # reached through rng
        ("stats", "mean", "redraw"),
        ("plots", "style", "redraw"),
        ("stats", "proportion", "nothing"),  # this chapter does not use it
        ("frames", "save", "nothing"),  # exempt: SCHEMA stands for it
        ("claims", "judge", "redraw"),
    ],
)
def test_price_of_a_changed_function(book, science, module, function, expected):
    before = both(book, science)
    _body(science / f"{module}.py", function, "assert True")
    assert price(before, both(book, science)) == expected


def test_schema_of_frames_is_keyed(book, science):
    before = both(book, science)
    path = science / "frames.py"
    path.write_text(path.read_text().replace("SCHEMA = 1", "SCHEMA = 2"))
    assert price(before, both(book, science)) == "run"


def test_one_line_of_decoding_runs_exactly_the_chapters_that_reach_it(science):
    book = catalog.load(REPOSITORY)

    def experiments():
        found = {}
        for entry in (c for c in book.chapters if c.exists):
            source = chapter.read(entry.slug, REPOSITORY)
            values = runner.profile_values(source, entry, "quick")
            key = keys.Keys(source, entry, values, root=REPOSITORY, folder=science, lacking=[])
            found[entry.slug] = key
        return found

    before = experiments()
    _body(science / "decoding.py", "typical", "assert True")
    changed = {s for s, k in experiments().items() if k.experiment != before[s].experiment}
    reaching = {
        s
        for s, k in before.items()
        if "seedbook.decoding.typical" in k.parts["experiment"]["science"]
    }
    assert changed == reaching and "locally_typical_sampling" in changed
    assert "perfect_reconstruction" not in changed


def test_seed_is_derived_and_replicates_differ(book):
    a, b = both(book), both(book)
    assert a.seed == b.seed and a.run == b.run and 0 <= a.seed < 2**32
    seeds = {both(book, replicate=i).seed for i in range(20)}
    assert len(seeds) == 20
    asked = both(book, given={"seed": 5})
    assert asked.seed == 5 and asked.experiment != a.experiment


def test_renamed_cells_are_a_redraw(book):
    before = both(book)
    notebook = book.notebook()
    for cell in notebook["cells"]:
        cell["id"] = {"throws": "rolls", "about-throws": "about-rolls"}.get(cell["id"], cell["id"])
    book.write(notebook)
    assert price(before, both(book)) == "redraw"


def test_device_and_thread_count(book):
    assert both(book, given={"device": "cpu"}).run == both(book).run  # no cell reads device
    book.edit("throws", "eyes = throw", "where = device\neyes = throw")
    assert both(book, device="cpu").experiment != both(book, device="cuda").experiment
    before = both(book, device="cpu")
    path = book.root / "notebooks" / "catalog.yml"
    path.write_text(path.read_text().replace("threads: 1", "threads: 2"))
    assert price(before, both(book, device="cpu")) == "run"


def test_missing_data_are_part_of_the_key_but_not_of_the_seed(book):
    here, lacking = both(book, lacking=[]), both(book, lacking=["logs"])
    assert here.seed == lacking.seed and here.experiment != lacking.experiment


def test_module_used_as_a_value_counts_whole(book, science):
    book.edit("throws", "eyes = throw", "tool = getattr(stats, 'mean')\neyes = throw")
    before = both(book, science)
    _body(science / "stats.py", "proportion", "assert True")
    assert price(before, both(book, science)) == "run"


def test_why_names_the_cell_and_the_parameter(book):
    before = both(book)
    book.edit("throws", "eyes[::2]", "eyes[::3]")
    book.edit("parameters", "= 600", "= 700")
    assert set(keys.why(before.parts, both(book).parts)) == {
        "experiment: cell throws changed",
        "experiment: parameter n_throws changed from 600 to 700",
    }


def test_unknown_device_is_refused():
    with pytest.raises(ValueError, match="must be auto, cpu or cuda"):
        keys.device_kind("tpu")
