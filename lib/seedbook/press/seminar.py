"""The seminar kit: exercises with solutions, and the notebooks that are made from them.

A chapter's exercises have one source, ``seminar/<slug>.py``, a script of cells in the *percent*
format (jupytext).  The wording of an exercise stands in the chapter alone; the source adds what
students must not see: answers, the solution of the coding exercise with its tests, a plausible
wrong answer, a rubric, and the teacher's guide.  Students' and teachers' notebooks are derived.

Cells carry one tag each, in this order:

=========== ======== ==========================================================================
tag         kind     what it is
=========== ======== ==========================================================================
`guide`     prose    headings of `GUIDE`, for the teacher
`short`     prose    the answer to the short exercise
`task`      prose    for students: what the coding exercise checks; may be missing
`given`     code     data and helpers that students get; may be missing
`solution`  code     between ``### BEGIN SOLUTION`` and ``### END SOLUTION`` stands what students write
`example`   code     how it is called
`tests`     code     asserts, with ``points=``; after ``### BEGIN HIDDEN TESTS`` for the grader only
`wrong`     code     a plausible wrong answer in place of the solution; its first line says what is wrong
`open`      prose    what a good answer to the open exercise has: a rubric with points
=========== ======== ==========================================================================
"""

from __future__ import annotations

import ast
import contextlib
import copy
import io
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from . import catalog, chapter, editions

FOLDER = "seminar"
TAGS = ("guide", "short", "task", "given", "solution", "example", "tests", "wrong", "open")
PROSE = ("guide", "short", "task", "open")
OPTIONAL = ("task", "given")
MANY = ("tests", "wrong")
KINDS = ("short", "coding", "open")
GUIDE = ("The point", "Where students stumble", "The discussion", "On the board", "Time")
SOLUTION = ("### BEGIN SOLUTION", "### END SOLUTION")
HIDDEN = ("### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS")
STUB = ("# YOUR CODE HERE", "raise NotImplementedError()")
ANSWER = "YOUR ANSWER HERE"
FORMATS = ("nbgrader", "folder")


class SeminarError(ValueError):
    """An exercise that cannot be used or an export that was asked wrongly, in one line."""


@dataclass(frozen=True)
class Piece:
    """A cell of a source: its tag, text, and points (of tests)."""

    tag: str
    text: str
    points: float = 0


@dataclass(frozen=True)
class Kit:
    """What a source says of one chapter.

    Attributes
    ----------
    numbers : dict
        Kind of exercise (`KINDS`) to its number in the chapter.
    points : dict
        Kind to points; those of the coding exercise are the sum of its tests.
    uses : tuple of str
        Ids of the chapter's code cells whose definitions the coding exercise needs.
    pieces : tuple of Piece
    wording : dict
        Kind to the wording of the exercise, from the chapter.
    discussion : str
        The chapter's questions for discussion.
    """

    entry: catalog.Chapter
    numbers: Mapping[str, int]
    points: Mapping[str, float]
    uses: tuple[str, ...]
    pieces: tuple[Piece, ...]
    wording: Mapping[str, str]
    discussion: str

    def of(self, tag: str) -> list[Piece]:
        return [p for p in self.pieces if p.tag == tag]

    def text(self, tag: str) -> str:
        return "\n\n".join(p.text for p in self.of(tag))


# --- reading ---------------------------------------------------------------------------------


def path(root: Path, slug: str) -> Path:
    return root / FOLDER / f"{slug}.py"


def read(entry: catalog.Chapter) -> Kit:
    """The exercises of a chapter.

    Raises
    ------
    SeminarError
        If the source is missing or breaks the format; it says where and what to do.
    """
    import jupytext

    file = path(entry.root, entry.slug)
    if not file.is_file():
        raise SeminarError(f"{entry.slug}: there is no {FOLDER}/{file.name}, its exercises' source")
    raw = jupytext.read(file, fmt="py:percent")
    head = raw.metadata.get("seedbook") or {}

    def wrong(what: str) -> SeminarError:
        return SeminarError(f"{FOLDER}/{file.name}: {what}")

    if unknown := set(head) - {"short", "coding", "open", "points", "uses"}:
        raise wrong(
            f"its head has {sorted(unknown)[0]!r}; allowed are short, coding, open, points, uses"
        )
    if missing := [k for k in KINDS if not isinstance(head.get(k), int)]:
        raise wrong(f"its head must say the number of the {missing[0]} exercise: `{missing[0]}: 2`")
    pieces = tuple(_piece(cell, i, wrong) for i, cell in enumerate(raw.cells, 1))
    found = [p.tag for p in pieces]
    if found != sorted(found, key=TAGS.index):
        raise wrong(f"cells come in the order {', '.join(TAGS)}; it has {', '.join(found)}")
    for tag in TAGS:
        n = found.count(tag)
        if n == 0 and tag not in OPTIONAL:
            raise wrong(f"no cell has the tag {tag!r}")
        if n > 1 and tag not in MANY:
            raise wrong(f"{n} cells have the tag {tag!r}; one may")
    kit = Kit(
        entry=entry,
        numbers={k: head[k] for k in KINDS},
        points=_points(head.get("points") or {}, pieces, wrong),
        uses=tuple(head.get("uses", ["setup", "method"])),
        pieces=pieces,
        wording={},
        discussion="",
    )
    _format(kit, wrong)
    listed, discussion = exercises(entry)
    if strange := [n for n in kit.numbers.values() if n not in listed]:
        raise wrong(f"the chapter has no exercise {strange[0]}; it has {sorted(listed)}")
    known = [c.id for c in chapter.read(entry.slug, entry.root).stage("setup", "experiment")]
    if missing := [u for u in kit.uses if u not in known]:
        raise wrong(f"uses {missing[0]!r}; the chapter's cells are {', '.join(known)}")
    wording = {k: listed[n] for k, n in kit.numbers.items()}
    return Kit(**{**kit.__dict__, "wording": wording, "discussion": discussion})


def _piece(cell: Any, i: int, wrong: Any) -> Piece:
    tags = cell.metadata.get("tags", [])
    if len(tags) != 1 or tags[0] not in TAGS:
        raise wrong(f"cell {i} has the tags {tags}; it needs one of {', '.join(TAGS)}")
    (tag,) = tags
    kind = "markdown" if tag in PROSE else "code"
    if cell.cell_type != kind:
        raise wrong(f"cell {i}, {tag}, is {cell.cell_type}; it must be {kind}")
    points = cell.metadata.get("points", 0)
    if tag == "tests" and not (isinstance(points, (int, float)) and points > 0):
        raise wrong(f'cell {i}, tests, has no points: `# %% tags=["tests"] points=2`')
    return Piece(tag, cell.source.strip("\n"), points)


def _points(given: Mapping[str, Any], pieces: Sequence[Piece], wrong: Any) -> dict[str, float]:
    points = {"short": given.get("short", 2), "open": given.get("open", 4)}
    if set(given) - set(points) or not all(
        isinstance(p, (int, float)) and p > 0 for p in points.values()
    ):
        raise wrong(
            "`points` gives positive numbers to short and open; coding is the sum of its tests"
        )
    return {
        "short": points["short"],
        "coding": sum(p.points for p in pieces if p.tag == "tests"),
        "open": points["open"],
    }


def _format(kit: Kit, wrong: Any) -> None:
    heads = re.findall(r"^## (.+)$", kit.text("guide"), re.MULTILINE)
    if heads != list(GUIDE):
        raise wrong(f"the guide's headings are {heads}; they must be {list(GUIDE)}")
    solution = kit.text("solution")
    if not all(solution.count(mark) == 1 for mark in SOLUTION):
        raise wrong(f"the solution needs one {SOLUTION[0]!r} and one {SOLUTION[1]!r}")
    if not any(HIDDEN[0] in p.text for p in kit.of("tests")):
        raise wrong(f"no test is hidden; put one between {HIDDEN[0]!r} and {HIDDEN[1]!r}")
    for piece in kit.of("wrong"):
        if not piece.text.startswith("# Wrong: "):
            raise wrong("a wrong answer starts with `# Wrong: ` and what is wrong with it")
    given = sum(float(x) for x in re.findall(r"\((\d+(?:\.\d+)?) points?\)", kit.text("open")))
    if given != kit.points["open"]:
        raise wrong(
            f"the rubric gives {given:g} points in all, as `(1 point)`, `(2 points)`; "
            f"the open exercise has {kit.points['open']:g}"
        )


def exercises(entry: catalog.Chapter) -> tuple[dict[int, str], str]:
    """Number to wording of a chapter's exercises, and its questions for discussion.

    Marks such as ``*(Short.)*`` are left out, since a notebook says what kind an exercise is.
    """
    source = chapter.read(entry.slug, entry.root)
    text = next((c.source for c in source.cells if c.id == "exercises"), "")
    found = re.split(r"^(\d+)\. ", text.split("\n**Discuss", 1)[0], flags=re.MULTILINE)
    listed = {int(n): _plain(body) for n, body in zip(found[1::2], found[2::2], strict=True)}
    discuss = re.search(
        r"^\*\*Discuss\.?\*\*\.?\s*(.+?)(?=\n\n\*\*|\Z)", text, re.MULTILINE | re.DOTALL
    )
    return listed, discuss.group(1).strip() if discuss else ""


def _plain(body: str) -> str:
    lines = [line.removeprefix("   ") for line in body.strip().splitlines()]
    text = "\n".join(lines)
    return re.sub(r"^(\*\((Short|Coding|Open)\.?\)\*|\((short|coding|open)\))\s*", "", text).strip()


# --- stub, tests, wrong answer ---------------------------------------------------------------


def stub(solution: str) -> str:
    """The solution with what students write taken out.

    >>> print(stub("def f(x):\\n    ### BEGIN SOLUTION\\n    return x\\n    ### END SOLUTION"))
    def f(x):
        # YOUR CODE HERE
        raise NotImplementedError()
    """
    return _replace(solution, SOLUTION, STUB)


def visible(tests: str) -> str:
    """Tests without those that only the grader runs."""
    return _replace(tests, HIDDEN, ())


def _replace(text: str, marks: tuple[str, str], by: Sequence[str]) -> str:
    out: list[str] = []
    inside = False
    for line in text.splitlines():
        mark = line.strip()
        if mark == marks[0]:
            inside = True
            indent = line[: len(line) - len(line.lstrip())]
            out += [indent + new for new in by]
        elif mark == marks[1]:
            inside = False
        elif not inside:
            out.append(line)
    return "\n".join(out).rstrip()


def bare(code: str) -> str:
    """Code without the marks of solutions and hidden tests."""
    marks = {*SOLUTION, *HIDDEN}
    return "\n".join(line for line in code.splitlines() if line.strip() not in marks).rstrip()


@dataclass(frozen=True)
class Trial:
    """What became of one answer: None where every test passed, else what the first failure said."""

    answer: str
    failed: str | None
    seconds: float


def trials(kit: Kit) -> list[Trial]:
    """Put the stub, the solution and the wrong answers through the tests.

    Returns
    -------
    list of Trial
        ``stub`` (against the visible tests alone), ``solution``, then ``wrong 1`` and so on.
    """
    base = _space(kit)
    answers = [("stub", stub(kit.text("solution"))), ("solution", bare(kit.text("solution")))]
    answers += [(f"wrong {i}", p.text) for i, p in enumerate(kit.of("wrong"), 1)]
    out = []
    for name, code in answers:
        space = dict(base)
        tests = [p.text for p in kit.of("tests")]
        parts = [code, *(visible(t) if name == "stub" else bare(t) for t in tests)]
        start, failed = time.perf_counter(), None
        if name == "solution":
            parts.append(kit.text("example"))
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                for i, part in enumerate(parts):
                    exec(compile(part, f"<{kit.entry.slug}: {name}, cell {i}>", "exec"), space)
        except Exception as error:  # students' code may raise anything
            failed = f"{type(error).__name__}: {error}".strip().splitlines()[0]
        out.append(Trial(name, failed, time.perf_counter() - start))
    return out


def problems(kit: Kit) -> list[str]:
    """What is wrong with the coding exercise, one sentence each; empty when all is well."""
    out = []
    for trial in trials(kit):
        if trial.answer == "solution" and trial.failed:
            out.append(f"{kit.entry.slug}: the solution fails its tests: {trial.failed}")
        if trial.answer != "solution" and trial.failed is None:
            out.append(f"{kit.entry.slug}: the tests let pass: {trial.answer}")
        if (
            trial.answer.startswith("wrong")
            and trial.failed
            and "AssertionError" not in trial.failed
        ):
            out.append(
                f"{kit.entry.slug}: {trial.answer} ends in {trial.failed}; "
                "a plausible wrong answer runs and fails an assert"
            )
    return out


def _space(kit: Kit) -> dict[str, Any]:
    """Names that an answer may use: the chapter's definitions, then what is given."""
    space: dict[str, Any] = {"__name__": "__exercise__"}
    for name, code in [*_definitions(kit), *(("given", p.text) for p in kit.of("given"))]:
        exec(compile(code, f"<{kit.entry.slug}: {name}>", "exec"), space)
    return space


def _definitions(kit: Kit) -> list[tuple[str, str]]:
    """(id, code) of the chapter's cells that a kit uses; of later cells only what they define."""
    source = chapter.read(kit.entry.slug, kit.entry.root)
    out = []
    for cell in source.stage("setup", "experiment"):
        if cell.id not in kit.uses:
            continue
        code = cell.source
        if cell.id not in ("setup", "method"):
            nodes = [n for n in ast.parse(code).body if chapter.defines(n)]
            code = "\n\n\n".join(ast.get_source_segment(code, n) or "" for n in nodes)
        out.append((cell.id, code))
    return out


# --- notebooks -------------------------------------------------------------------------------


def notebook(kit: Kit, install: str | None = None) -> dict[str, Any]:
    """The teacher's notebook in nbgrader's conventions: answers, solutions, hidden tests, points.

    Parameters
    ----------
    install : str, optional
        What pip installs where the package is missing, on Colab for instance.
    """
    entry = kit.entry
    total = sum(kit.points.values())
    cells = [
        _markdown(
            "about",
            f"# {entry.short}: exercises\n\n*{entry.question}*\n\n"
            f"To the chapter on *{entry.title}* of Seedbook; formulas are numbered as there. "
            f"{total:g} points.",
        ),
    ]
    if kit.uses:
        cells.append(_code("install", _install(install)))
    if definitions := _definitions(kit):
        cells.append(_markdown("functions", "## From the chapter\n\nYou may use all of this."))
        cells += [_code(f"chapter-{name}", code) for name, code in definitions]
    cells += [
        _markdown("short-question", _question("Short", kit, "short")),
        _markdown("short", kit.text("short"), solution=True, points=kit.points["short"]),
        _markdown("coding-question", _question("Coding", kit, "coding")),
        *(_markdown("task", p.text) for p in kit.of("task")),
        *(_code("given", p.text) for p in kit.of("given")),
        _code("coding", kit.text("solution"), solution=True),
        _markdown("example-text", "An example:"),
        _code("example", kit.text("example"), locked=False),
    ]
    for i, piece in enumerate(kit.of("tests"), 1):
        cells.append(_code(f"tests-{i}", piece.text, points=piece.points))
    cells += [
        _markdown("open-question", _question("Open", kit, "open")),
        _markdown("open", kit.text("open"), solution=True, points=kit.points["open"]),
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}, "cells": cells}


def student(teacher: dict[str, Any]) -> dict[str, Any]:
    """A notebook as students get it: stubs, visible tests, room for answers."""
    out = copy.deepcopy(teacher)
    for cell in out["cells"]:
        graded = cell["metadata"]["nbgrader"]
        if cell["cell_type"] == "markdown":
            if graded["solution"]:
                cell["source"] = ANSWER
        elif graded["solution"]:
            cell["source"] = stub(cell["source"])
        elif graded["grade"]:
            cell["source"] = visible(cell["source"])
    return out


def guide(kit: Kit) -> str:
    """The teacher's guide to a chapter, in Markdown."""
    entry = kit.entry
    parts = [
        f"# {entry.short}: for the teacher",
        f"*{entry.question}* To the chapter on *{entry.title}*.",
        kit.text("guide").replace(
            "## The discussion", f"## The discussion\n\nThe chapter asks: {kit.discussion}", 1
        ),
        "## Exercises",
    ]
    for kind in KINDS:
        parts.append(
            f"### {kind.capitalize()} ({kit.points[kind]:g} points)\n\n{kit.wording[kind]}"
        )
        if kind == "coding":
            parts += [p.text for p in kit.of("task")]
            parts.append(f"```python\n{bare(kit.text('solution'))}\n```")
            for piece in kit.of("wrong"):
                parts.append(
                    f"A plausible wrong answer, which the tests catch:\n\n```python\n{piece.text}\n```"
                )
        else:
            parts.append(kit.text(kind))
    return "\n\n".join(parts) + "\n"


def _question(name: str, kit: Kit, kind: str) -> str:
    return f"## {name} exercise ({kit.points[kind]:g} points)\n\n{kit.wording[kind]}"


def _install(what: str | None) -> str:
    do = (
        f"%pip install -q {what}"
        if what
        else 'raise ImportError("install Seedbook first: pip install -e . in a clone of it")'
    )
    return (
        "import importlib.util\n\n"
        f'if importlib.util.find_spec("seedbook") is None:  # on Colab, for instance\n    {do}'
    )


def _markdown(name: str, text: str, solution: bool = False, points: float = 0) -> dict[str, Any]:
    return {
        "cell_type": "markdown",
        "id": name,
        "metadata": {"nbgrader": _graded(name, "markdown", solution, points, not solution)},
        "source": text,
    }


def _code(
    name: str, text: str, solution: bool = False, points: float = 0, locked: bool = True
) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "id": name,
        "metadata": {"nbgrader": _graded(name, "code", solution, points, locked and not solution)},
        "execution_count": None,
        "outputs": [],
        "source": text,
    }


def _graded(name: str, kind: str, solution: bool, points: float, locked: bool) -> dict[str, Any]:
    """Metadata of schema 3 of nbgrader."""
    return {
        "schema_version": 3,
        "grade_id": name,
        "cell_type": kind,
        "grade": points > 0,
        "solution": solution,
        "locked": locked,
        "task": False,
        **({"points": points} if points else {}),
    }


# --- export ----------------------------------------------------------------------------------

CONFIG = """\
# Course of Seedbook's exercises. Start in this folder: nbgrader generate_assignment NAME
c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "seedbook"
c.ClearSolutions.code_stub = {"python": "# YOUR CODE HERE\\nraise NotImplementedError()"}
c.ExecutePreprocessor.timeout = 120
"""


def address(root: Path) -> str | None:
    """What pip installs to get the package: the repository of ``_config.yml``, where it has one."""
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    repository = config.get("repository") or {}
    if not repository.get("url"):
        return None
    return f"git+{repository['url'].rstrip('/')}@{repository.get('branch') or 'main'}"


def export(
    entries: Sequence[catalog.Chapter], out: Path, format: str, install: str | None = None
) -> list[Path]:
    """Write a course.

    Parameters
    ----------
    format : {"nbgrader", "folder"}
        A course directory for nbgrader, or plain folders ``student``, ``teacher`` and ``guide``.

    Raises
    ------
    SeminarError
        If `out` has anything in it, the format is unknown, or a chapter has no edition or no
        exercises; nothing is written then.
    """
    if format not in FORMATS:
        raise SeminarError(f"no format {format!r}; allowed are {', '.join(FORMATS)}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SeminarError(f"{out} is not an empty folder; give one that is new or empty")
    if lacking := [e.slug for e in entries if not _has_edition(e)]:
        raise SeminarError(
            f"no edition of {', '.join(lacking)}, so that there is nothing to teach from: "
            "publish one with `seedbook publish`, or choose others with --chapter"
        )
    files: dict[Path, str] = {}
    kits = [read(entry) for entry in entries]
    for kit in kits:
        slug, teacher = kit.entry.slug, notebook(kit, install)
        files[Path("guide", f"{slug}.md")] = guide(kit)
        if format == "nbgrader":
            files[Path("source", slug, f"{slug}.ipynb")] = _json(teacher)
        else:
            files[Path("student", f"{slug}.ipynb")] = _json(student(teacher))
            files[Path("teacher", f"{slug}.ipynb")] = _json(_shown(teacher))
    files[Path("README.md")] = _readme(kits, format)
    if format == "nbgrader":
        files[Path("nbgrader_config.py")] = CONFIG
    for name, text in files.items():
        file = out / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return [out / name for name in files]


def _has_edition(entry: catalog.Chapter) -> bool:
    return any(
        (editions.folder(entry.root, entry.slug, p) / "run.json").is_file()
        for p in editions.PROFILES
    )


def _shown(teacher: dict[str, Any]) -> dict[str, Any]:
    """A teacher's notebook without the marks that only nbgrader needs."""
    out = copy.deepcopy(teacher)
    for cell in out["cells"]:
        if cell["cell_type"] == "code":
            cell["source"] = bare(cell["source"])
    return out


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def _readme(kits: Sequence[Kit], format: str) -> str:
    rows = "\n".join(
        f"| {k.entry.slug} | {k.entry.short} | "
        + " | ".join(f"{k.points[kind]:g}" for kind in KINDS)
        + " |"
        for k in kits
    )
    table = f"| Assignment | Chapter | Short | Coding | Open |\n|---|---|---|---|---|\n{rows}\n"
    how = {
        "nbgrader": (
            "A course for nbgrader. In this folder, for an assignment of the table:\n\n"
            "```bash\nnbgrader generate_assignment NAME   # release/NAME, for the students\n"
            "nbgrader autograde NAME             # once submitted/STUDENT/NAME/NAME.ipynb is there\n"
            "nbgrader formgrade                  # in Jupyter: answers in words are graded by hand\n"
            "nbgrader generate_feedback NAME\n```\n\n"
            "`source/` has the solutions and `guide/` the teacher's notes: do not release either.\n"
        ),
        "folder": (
            "`student/` has notebooks to hand out, `teacher/` the same with answers and all tests, "
            "`guide/` notes for class. Hand out the first folder only.\n"
        ),
    }[format]
    return (
        f"# Exercises of Seedbook\n\n{how}\nThe notebooks need the package `seedbook` where they "
        f"run (`pip install -e .` in a clone).\n\n{table}"
    )
