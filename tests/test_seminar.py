"""The seminar kit: every chapter's exercises, what is exported, and a course that grades itself."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from seedbook.press import book as pages
from seedbook.press import catalog, cli, seminar, syllabus
from tiny import REPOSITORY, Book, prose

CATALOG = catalog.load(REPOSITORY)
SECRET = "a true mean of a true die"
DICE = f'''\
# ---
# jupyter:
#   seedbook: {{short: 1, coding: 2, open: 3}}
# ---

# %% [markdown] tags=["guide"]
# ## The point
#
# Dice, and {SECRET}.
#
# ## Where students stumble
#
# ## The discussion
#
# ## On the board
#
# ## Time

# %% [markdown] tags=["short"]
# Seven halves. (2 points)

# %% tags=["given"]
import numpy as np

eyes = throw(np.random.default_rng(1), 50)


# %% tags=["solution"]
def average(eyes):
    """Mean of the eyes, 0 without any."""
    ### BEGIN SOLUTION
    return float(np.mean(eyes)) if len(eyes) else 0.0
    ### END SOLUTION


# %% tags=["example"]
print(average(eyes))

# %% tags=["tests"] points=1
assert average([1, 6]) == 3.5

# %% tags=["tests"] points=3
assert average([2]) == 2
### BEGIN HIDDEN TESTS
assert average([]) == 0, "no throw"
### END HIDDEN TESTS


# %% tags=["wrong"]
# Wrong: an empty list has no mean.
def average(eyes):
    return sum(eyes) / max(len(eyes), 1) if len(eyes) else 3.5


# %% [markdown] tags=["open"]
# - A null. (2 points)
# - Seeds. (2 points)
'''
EXERCISES = """## Exercises, discussion, further reading

1. *(Short.)* What is the
   mean?
2. *(Coding.)* Write `average(eyes)`.

3. *(Open.)* Load a die.

**Discuss.** Is chance real?

**Read with.** Nothing."""


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    book = Book(tmp_path / "book")
    raw = book.notebook()
    raw["cells"] = [c for c in raw["cells"] if c["id"] != "exercises"]
    raw["cells"].append(prose("exercises", EXERCISES))
    book.write(raw)
    (book.root / "seminar").mkdir()
    (book.root / "seminar" / "dice.py").write_text(DICE)
    (book.root / "_config.yml").write_text("title: Dice\n")
    monkeypatch.setenv("SEEDBOOK_ROOT", str(book.root))
    return book


def kit_of(book):
    return seminar.read(catalog.load(book.root).chapter("dice"))


def change(book, old, new):
    file = book.root / "seminar" / "dice.py"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


# --- the exercises of the book ---------------------------------------------------------------


@pytest.mark.parametrize("slug", [c.slug for c in CATALOG.chapters])
def test_stub_fails_solution_passes_wrong_answers_fail(slug):
    kit = seminar.read(CATALOG.chapter(slug))
    assert seminar.problems(kit) == []
    assert len(kit.of("wrong")) >= 1
    assert kit.discussion and kit.points["coding"] == 4


@pytest.mark.parametrize("slug", [c.slug for c in CATALOG.chapters])
def test_students_get_no_answers(slug):
    kit = seminar.read(CATALOG.chapter(slug))
    teacher = seminar.notebook(kit)
    nbformat.validate(nbformat.from_dict(teacher))
    handed_out = seminar.student(teacher)
    nbformat.validate(nbformat.from_dict(handed_out))
    text = "\n".join(c["source"] for c in handed_out["cells"])
    assert "BEGIN" not in text and "NotImplementedError" in text
    for line in secrets(kit):
        assert line not in text.splitlines(), line
    assert all(kit.wording[kind] in text for kind in seminar.KINDS)


def secrets(kit):
    """Lines of hidden tests that no student's cell has for another reason."""
    open_lines = {
        line
        for piece in kit.pieces
        if piece.tag in ("given", "example", "tests")
        for line in seminar.visible(piece.text).splitlines()
    }
    for piece in kit.of("tests"):
        inside = False
        for line in piece.text.splitlines():
            if line.strip() in seminar.HIDDEN:
                inside = line.strip() == seminar.HIDDEN[0]
            elif inside and line.strip() and line not in open_lines:
                yield line


# --- the source ------------------------------------------------------------------------------


def test_a_source_says_what_it_is(tiny):
    kit = kit_of(tiny)
    assert kit.wording == {
        "short": "What is the\nmean?",
        "coding": "Write `average(eyes)`.",
        "open": "Load a die.",
    }
    assert kit.discussion == "Is chance real?"
    assert kit.points == {"short": 2, "coding": 4, "open": 4}
    assert [(t.answer, t.failed is None) for t in seminar.trials(kit)] == [
        ("stub", False),
        ("solution", True),
        ("wrong 1", False),
    ]
    assert seminar.problems(kit) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("short: 1", "short: 9", "the chapter has no exercise 9; it has [1, 2, 3]"),
        ("short: 1, ", "", "must say the number of the short exercise"),
        ("open: 3}", "open: 3, pionts: 2}", "its head has 'pionts'"),
        ('tags=["given"]', 'tags=["givn"]', "it needs one of guide, short"),
        ('[markdown] tags=["short"]', 'tags=["short"]', "must be markdown"),
        ("### END SOLUTION", "", "needs one '### BEGIN SOLUTION'"),
        ("### BEGIN HIDDEN TESTS", "", "no test is hidden"),
        ("points=3", "", "has no points"),
        ("# Wrong: an", "# An", "a wrong answer starts with"),
        ("Seeds. (2 points)", "Seeds. (1 point)", "the rubric gives 3 points"),
        ("## On the board", "## The board", "the guide's headings"),
        ("open: 3}", "open: 3, uses: [metod]}", "uses 'metod'; the chapter's cells are setup"),
    ],
)
def test_a_broken_source_says_what_to_mend(tiny, old, new, said):
    change(tiny, old, new)
    with pytest.raises(seminar.SeminarError, match=re.escape(said)):
        kit_of(tiny)


def test_cells_in_another_order_are_refused(tiny):
    file = tiny.root / "seminar" / "dice.py"
    head, *cells = re.split(r"(?=^# %%)", file.read_text(), flags=re.MULTILINE)
    file.write_text(head + "".join(reversed(cells)))
    with pytest.raises(seminar.SeminarError, match="cells come in the order guide"):
        kit_of(tiny)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("float(np.mean(eyes))", "1.0", "the solution fails its tests: AssertionError"),
        ("### BEGIN SOLUTION", "return 0 or sum(eyes)\n    ### BEGIN SOLUTION", None),
        ("else 3.5", "else 0", "the tests let pass: wrong 1"),
        ("else 3.5", "else eyes[0]", "ends in IndexError"),
        ("print(average(eyes))", "print(averag(eyes))", "the solution fails its tests: NameError"),
    ],
)
def test_problems_of_the_coding_exercise_are_found(tiny, old, new, said):
    change(tiny, old, new)
    found = seminar.problems(kit_of(tiny))
    assert found and (said is None or said in found[0])


def test_a_stub_that_passes_is_found(tiny):
    change(
        tiny, "    ### BEGIN SOLUTION", "    return sum(eyes) / len(eyes)\n    ### BEGIN SOLUTION"
    )
    assert "dice: the tests let pass: stub" in seminar.problems(kit_of(tiny))


def test_later_cells_give_their_definitions_alone(tiny):
    change(tiny, "open: 3}", "open: 3, uses: [setup, method, throws]}")
    cells = {c["id"]: c["source"] for c in seminar.notebook(kit_of(tiny))["cells"]}
    assert "def throw" in cells["chapter-method"]
    assert cells["chapter-throws"] == ""  # it computes and defines nothing


# --- exports ---------------------------------------------------------------------------------


def published(book):
    folder = book.root / "book" / "editions" / "dice" / "quick"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{}")


def test_a_folder_has_a_side_for_students_and_one_for_teachers(tiny, tmp_path, capsys):
    published(tiny)
    assert cli.main(["seminar", "export", str(tmp_path / "course"), "--install", "dicebook"]) == 0
    assert "4 files for 1 chapters" in capsys.readouterr().out
    student, teacher = (
        (tmp_path / "course" / side / "dice.ipynb").read_text() for side in ("student", "teacher")
    )
    assert "%pip install -q dicebook" in student
    assert "return float" in teacher and "return float" not in student
    assert "BEGIN" not in teacher
    guide = (tmp_path / "course" / "guide" / "dice.md").read_text()
    assert SECRET in guide and "Is chance real?" in guide and "an empty list has no mean" in guide
    assert SECRET not in student + teacher


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["full"], "is not an empty folder"),
        (["new", "--format", "moodle"], "no format 'moodle'; allowed are nbgrader, folder"),
        (["new", "--chapter", "die"], "die"),
    ],
)
def test_a_wrong_export_writes_nothing(tiny, tmp_path, capsys, arguments, said):
    published(tiny)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    arguments = ["seminar", "export", str(tmp_path / arguments[0]), *arguments[1:]]
    assert cli.main(arguments) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["mine.txt"]


def test_a_chapter_without_edition_is_named(tiny, tmp_path, capsys):
    assert cli.main(["seminar", "export", str(tmp_path / "new")]) == 2
    assert "no edition of dice" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_check_names_what_is_wrong(tiny, capsys):
    assert cli.main(["seminar", "check"]) == 0
    change(tiny, "else 3.5", "else 0")
    assert cli.main(["seminar", "check", "dice"]) == 1
    assert "the tests let pass: wrong 1" in capsys.readouterr().out


# --- the course ------------------------------------------------------------------------------


def test_the_long_track_reads_every_chapter():
    tracks = {t.id: t for t in syllabus.load(CATALOG)}
    assert [f"seminar/{name}" for name in tracks] == [
        f"seminar/{name}" for name, _ in pages.SEMINAR if name in tracks
    ]
    long = tracks["fourteen_weeks"]
    assert len(long.meetings) == 14
    read = [slug for m in long.meetings for slug in m.chapters]
    assert sorted(read) == sorted(c.slug for c in CATALOG.chapters)
    assert len(tracks["seven_weeks"].meetings) == 7


@pytest.mark.parametrize(
    ("chapters", "said"),
    [
        ([["soft_thinking"], ["locally_typical_sampling"]], "soft_thinking is to be read after"),
        ([["soft_thinkin"]], "no chapter 'soft_thinkin'"),
        ([["soft_thinking", "soft_thinking"]], "has been read before"),
    ],
)
def test_a_wrong_order_is_refused(tmp_path, chapters, said):
    root = Book(tmp_path / "book").root
    (root / "notebooks" / "catalog.yml").write_bytes(
        (REPOSITORY / "notebooks" / "catalog.yml").read_bytes()
    )
    (root / "seminar").mkdir()
    meetings = [{"title": "T", "aims": ["a"], "chapters": c} for c in chapters]
    text = yaml.safe_dump({"long": {"unit": "Week", "meetings": meetings}})
    (root / "seminar" / "syllabus.yml").write_text(text)
    with pytest.raises(seminar.SeminarError, match=said):
        syllabus.load(catalog.load(root))


# --- for real --------------------------------------------------------------------------------


@pytest.mark.slow
def test_nbgrader_releases_collects_and_grades(tmp_path):
    """One right and one wrong student of two chapters, through nbgrader's exchange."""
    slugs = ["riemann_cross_entropy", "dead_salmons"]
    course, exchange = tmp_path / "course", tmp_path / "exchange"
    exchange.mkdir()
    exchange.chmod(0o777)
    # nbgrader calls alembic by name
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "HOME": str(tmp_path), "JUPYTER_NO_CONFIG": "1"}

    def nbgrader(folder, *arguments):
        folder.mkdir(exist_ok=True)
        options = [f"--Exchange.root={exchange}", "--CourseDirectory.course_id=seedbook"]
        command = [sys.executable, "-m", "nbgrader", *arguments, *options]
        done = subprocess.run(
            command, cwd=folder, env=env, capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]

    chosen = [CATALOG.chapter(slug) for slug in slugs]
    seminar.export(chosen, course, "nbgrader")
    for slug in slugs:
        nbgrader(course, "generate_assignment", slug)
        nbgrader(course, "release_assignment", slug)
        kit = seminar.read(CATALOG.chapter(slug))
        released = (course / "release" / slug / f"{slug}.ipynb").read_text()
        ours = seminar.student(seminar.notebook(kit))
        theirs = {c["metadata"]["nbgrader"]["grade_id"]: c for c in json.loads(released)["cells"]}
        for cell in ours["cells"]:
            found = "".join(theirs[cell["id"]]["source"])
            assert found.split() == cell["source"].split(), cell["id"]
        answers = {"right": seminar.bare(kit.text("solution")), "wrong": kit.of("wrong")[0].text}
        for student, answer in answers.items():
            desk = tmp_path / student
            nbgrader(desk, "fetch_assignment", slug)
            file = desk / slug / f"{slug}.ipynb"
            notebook = nbformat.read(file, as_version=4)
            for cell in notebook.cells:
                if cell.metadata.nbgrader.grade_id == "coding":
                    cell.source = answer
                if cell.metadata.nbgrader.grade_id == "short":
                    cell.source = "An answer in words."
            nbformat.write(notebook, file)
            nbgrader(desk, "submit", slug, f"--student={student}")
        nbgrader(course, "collect", slug)
        nbgrader(course, "autograde", slug)
        nbgrader(course, "generate_feedback", slug)

    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        for slug in slugs:
            graded = {}
            for student in ("right", "wrong"):
                submission = book.find_submission(slug, student)
                (notebook,) = submission.notebooks
                tests = [g for g in notebook.grades if g.name.startswith("tests-")]
                graded[student] = sum(g.score for g in tests)
                words = [g for g in notebook.grades if g.name in ("short", "open")]
                assert {g.name: g.needs_manual_grade for g in words}["short"]
                feedback = course / "feedback" / student / slug / f"{slug}.html"
                assert ("AssertionError" in feedback.read_text()) == (student == "wrong")
            assert graded["right"] == 4, slug
            assert graded["wrong"] < 4, slug
