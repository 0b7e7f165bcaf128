"""What `seedbook check` sees in a chapter."""

import pytest
import tiny
from seedbook.press import catalog, chapter


def checked(book) -> list[str]:
    entry = catalog.load(book.root).chapter("dice")
    return chapter.check(chapter.read("dice", book.root), entry)


def test_the_tiny_chapter_keeps_the_contract(book):
    assert checked(book) == []


def change(id, /, **fields):
    def apply(notebook):
        cell = next(c for c in notebook["cells"] if c["id"] == id)
        for name, value in fields.items():
            if callable(value):
                cell[name] = value(cell[name])
            else:
                cell[name] = value

    return apply


def append(text):
    return lambda source: source + "\n" + text


def drop(id):
    def apply(notebook):
        notebook["cells"] = [c for c in notebook["cells"] if c["id"] != id]

    return apply


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (drop("claims"), "needs one cell tagged `claims`, has 0"),
        (drop("exercises"), "no Markdown cell has the id 'exercises'"),
        (drop("about-throws"), "a Markdown cell must stand before it"),
        (change("throws", id="Throws!"), "write lower-case words"),
        (change("method", id="means"), "must have the id 'method'"),
        (change("throws", source=append("print(eyes)")), "print nothing but a tqdm bar"),
        (change("throws", source=append("ledger.exact('x', 1)")), "reads `ledger`"),
        (change("throws", source=append("frames.load('eyes')")), "loads a frame"),
        (change("throws", source=append("n_throws = 3")), "assigns the parameter 'n_throws'"),
        (change("throws", source=append("np.random.seed(1)")), "np.random.seed()"),
        (change("throws", source=append("from tqdm.auto import tqdm")), "not the widget"),
        (change("throws", source=append("y = undefined_name")), "which nothing before it binds"),
        (change("throws", source=append("%time eyes")), "does not parse"),
        (change("method", source=append("k = n_throws")), "definitions only"),
        (
            change("fig-eyes", source=lambda s: s.replace('frames.load("eyes")["eye"]', "rng")),
            "reads 'rng', which experiment cell 'throws' binds",
        ),
        (change("fig-eyes", source=append("x = 1")), "must end with plt.show()"),
        (change("fig-eyes", metadata={"tags": ["view"]}), "exactly one|only one"),
        (change("verdicts", source=append("x = 1")), "must end with `ledger`"),
        (change("verdicts", source=lambda s: "frames.save('a', 1)\n" + s), "saves a frame"),
        (change("verdicts", outputs=[{"output_type": "stream"}]), "carries no outputs"),
        (change("setup", source=append("x = 1")), "only imports may stand here"),
        (change("setup", source=append("import torch")), None),
        (change("title", source="# Loaded dice"), "the catalogue's title 'Fair dice'"),
        (change("verdicts-text", source="{{ median }}"), "names no measure"),
        (change("idea", source=append(r"$$ a \\ b \tag{9} $$")), "formula of several lines"),
        (change("idea", source=append(r"$$ a \tag{9} $$ and $$ b \\ c $$")), None),
        (change("throws", source=append("x = " + "1 + " * 30 + "1")), "columns; at most 88"),
        (change("throws", source=append("\n".join(["x = 1"] * 70))), "lines; at most 65"),
        (
            change(
                "parameters", source=lambda s: s.replace("  # (0, 5] of the mean around 3.5", "")
            ),
            "state its range",
        ),
        (
            change(
                "parameters",
                source=lambda s: s.replace("# Every", "idle: int = 1  # [0, 1] x\n# Every"),
            ),
            "is read by no cell",
        ),
        (
            change("claims", source=lambda s: s.replace('"dice"', '"cards"')),
            "ledger must be named 'dice'",
        ),
    ],
)
def test_each_breach_is_named(book, edit, sentence):
    notebook = book.notebook()
    edit(notebook)
    book.write(notebook)
    problems = checked(book)
    if sentence is None:
        assert problems == []
    else:
        assert any(part in p for p in problems for part in sentence.split("|")), problems


def test_too_many_cells(book):
    notebook = book.notebook()
    at = next(i for i, c in enumerate(notebook["cells"]) if c["id"] == "figures")
    extra = []
    for k in range(10):
        extra += [
            tiny.prose(f"about-more-{k}", "More."),
            tiny.code(f"more-{k}", f"m{k} = {k}"),
        ]
    notebook["cells"][at:at] = extra
    book.write(notebook)
    assert any("17 code cells; at most 15" in p for p in checked(book))


def test_profile_values_are_checked(book):
    path = book.root / "notebooks" / "catalog.yml"
    path.write_text(path.read_text().replace("n_throws: 60}", "n_throws: 0}"))
    assert any("profile 'smoke': n_throws = 0" in p for p in checked(book))


def test_definitions_run_setup_and_method_only(book):
    space = chapter.definitions("dice", book.root)
    assert "throw" in space and "eyes" not in space and "ledger" not in space


def test_definitions_of_further_cells_leave_out_what_they_compute(book):
    book.edit(
        "throws",
        "rng = ",
        "FACES = 6\nodd = lambda k: k % 2\n\ndef high(k):\n    return k > FACES / 2\n\nrng = ",
    )
    space = chapter.definitions("dice", book.root, ["throws"])
    assert space["high"](4) and space["odd"](3) and "rng" not in space and "eyes" not in space
    with pytest.raises(chapter.ChapterError, match=r"'thrown'.*'throws'"):
        chapter.definitions("dice", book.root, ["thrown"])


def test_names_that_a_cell_needs():
    cell = chapter.Cell(
        "x", "experiment", "def f(a):\n    return a + n\ny = [f(i) for i in range(k)]", {}
    )
    bound, read = cell.names
    assert (
        {"f", "y"} <= bound and {"n", "k", "range"} <= read and "i" not in read and "a" not in read
    )


def test_unreadable_notebook_is_one_sentence(book):
    (book.root / "notebooks" / "dice.ipynb").write_text("{")
    with pytest.raises(chapter.ChapterError, match="not a readable notebook"):
        chapter.read("dice", book.root)
    (book.root / "notebooks" / "dice.ipynb").unlink()
    with pytest.raises(chapter.ChapterError, match="there is no notebook"):
        chapter.read("dice", book.root)
