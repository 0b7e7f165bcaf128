"""Every chapter of the book: the contract, one smoke run shared by all checks, its edition."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from seedbook.press import catalog, chapter, editions, executor, runner, store, warm
from tiny import REPOSITORY

BOOK = catalog.load(REPOSITORY)
WRITTEN = [c.slug for c in BOOK.chapters if c.exists]
MAX_FRAMES_BYTES = 1_000_000

pytestmark = pytest.mark.skipif(not WRITTEN, reason="no chapter is written yet")


@pytest.fixture(scope="module", params=WRITTEN)
def slug(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def smoke(request, tmp_path_factory) -> dict[str, store.Run | runner.RunError]:
    """One smoke run of every chapter that is asked for, in a store of its own."""
    here = [i for i in request.session.items if i.path == request.path and hasattr(i, "callspec")]
    asked = {i.callspec.params.get("slug") for i in here if "smoke" in i.fixturenames}
    slugs = [s for s in WRITTEN if s in asked]
    shelf = tmp_path_factory.mktemp("smoke")
    plans = [
        runner.prepare(s, root=REPOSITORY, profile="smoke", shelf=shelf, force=True) for s in slugs
    ]
    return dict(zip(slugs, executor.execute(plans), strict=True))


@pytest.fixture
def run(slug, smoke) -> store.Run:
    result = smoke[slug]
    assert not isinstance(result, runner.RunError), str(result)
    return result


def test_keeps_the_contract(slug):
    assert chapter.check(chapter.read(slug, REPOSITORY), BOOK.chapter(slug)) == []


def test_smoke_gives_finite_or_unknown_numbers(run):
    claims = run.claims
    assert claims["declared_before_data"] and claims["verdicts"]
    for name, m in claims["measures"].items():
        for part in ("estimate", "low", "high", "p"):
            assert m[part] is None or math.isfinite(m[part]), (name, part)
    for c in claims["claims"]:
        if claims["verdicts"][c["id"]]["verdict"] != "out of scope":
            assert c["measure"] in claims["measures"], (
                f"{c['id']}: {c['measure']} was never measured"
            )


def test_smoke_figures_and_frames(run, slug):
    source = chapter.read(slug, REPOSITORY)
    for cell in source.stage("view"):
        if cell.figure:
            found = list((run.folder / "figures").glob(f"{cell.figure}.*"))
            skipped = store.read_json(run.folder / "frames" / "skipped.json")
            assert found or skipped, f"{cell.figure} was not drawn"
    assert (run.folder / "figures" / "thumbnail.svg").is_file()
    assert sum(p.stat().st_size for p in (run.folder / "frames").iterdir()) < MAX_FRAMES_BYTES


def test_smoke_notebook_is_clean(run):
    notebook = store.read_json(run.folder / "notebook.ipynb")
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            assert output["output_type"] in ("display_data", "execute_result"), cell["id"]
    assert run.record["warnings"] == []


def test_view_reproduces_from_frames_alone(run, slug):
    """Figures and verdicts again, in a kernel that sees no experiment: byte for byte."""
    shelf = run.folder.parents[2]
    plan = runner.prepare(slug, root=REPOSITORY, profile="smoke", shelf=shelf, force=True)
    plan.how, plan.frames_from = "redraw", run.folder
    kept = {p: (run.folder / p).read_bytes() for p in run.record["files"] if p != "log.txt"}
    redrawn = runner.start(plan).result()
    for path, content in kept.items():
        assert (redrawn.folder / path).read_bytes() == content, path


def test_definitions_of_the_method_cell_stand_alone(slug):
    space = chapter.definitions(slug, REPOSITORY)
    assert any(callable(v) for v in space.values())


def test_edition_is_current(slug):
    assert editions.stale(BOOK.chapter(slug), REPOSITORY, "quick") == []


def test_edition_is_whole(slug):
    edition = editions.get(BOOK.chapter(slug), REPOSITORY, "quick")
    assert edition is not None
    for path in edition.run["files"]:
        assert path == "log.txt" or (edition.folder / path).is_file()
    size = sum(p.stat().st_size for p in edition.folder.rglob("*") if p.is_file())
    assert size <= editions.MAX_EDITION_MB * 1e6
    from seedbook import claims

    record = claims.from_notebook(json.loads((edition.folder / "notebook.ipynb").read_text()))
    assert record == edition.claims  # the notebook alone gives the ledger


def test_prose_types_no_results(slug):
    """Verdict prose takes its numbers from the ledger; levels and thresholds may be named."""
    source = chapter.read(slug, REPOSITORY)
    declared = " ".join(source.only(s).source for s in ("parameters", "claims")) + " 0.05 0.95"
    for cell in source.stage("markdown"):
        if cell.id == "verdicts-text":
            text = chapter.PLACEHOLDER.sub("", cell.source)
            text = re.sub(r"\$[^$]*\$|`[^`]*`|\d{4}", "", text)
            found = set(re.findall(r"\d+\.\d+", text)) - set(re.findall(r"\d+\.\d+", declared))
            assert not found, f"numbers typed in prose: {found}"


@pytest.mark.slow
def test_plain_papermill_gives_the_same_bytes(run, slug, tmp_path):
    """Again without the press, from another folder: frames and ledger to the byte, nothing else."""
    code = (
        "import json, sys, papermill as pm\n"
        "pm.execute_notebook(sys.argv[1], sys.argv[2], parameters=json.loads(sys.argv[3]),"
        " progress_bar=False)\n"
    )
    out, frames, work = (tmp_path / name for name in ("out.ipynb", "frames", "elsewhere"))
    work.mkdir()
    source = Path(REPOSITORY) / "notebooks" / f"{slug}.ipynb"
    arguments = [str(source), str(out), json.dumps(run.record["parameters"])]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=work,
        env=os.environ
        | warm.thread_environment(run.record["threads"])
        | {"SEEDBOOK_FRAMES": str(frames)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    from seedbook import claims

    assert claims.from_notebook(json.loads(out.read_text())) == run.claims
    kept = {p.name: p.read_bytes() for p in (run.folder / "frames").glob("*.parquet")}
    made = {p.name: p.read_bytes() for p in frames.glob("*.parquet")}
    assert made and sorted(made) == sorted(kept)
    for name, content in kept.items():
        assert made[name] == content, name
    assert list(work.iterdir()) == []


@pytest.mark.slow
def test_without_a_seed_papermill_draws_one_for_itself(tmp_path):
    """The plainest call there is: no seed, no folder for frames."""
    import papermill

    out = tmp_path / "out.ipynb"
    source = Path(REPOSITORY) / "notebooks" / "perfect_reconstruction.ipynb"
    sets = runner.overrides(BOOK.chapter("perfect_reconstruction"), "smoke")
    papermill.execute_notebook(source, out, parameters=sets, progress_bar=False, cwd=tmp_path)
    from seedbook import claims

    record = claims.from_notebook(json.loads(out.read_text()))
    assert record["seed"] is None and record["verdicts"]
    assert list(tmp_path.iterdir()) == [out]
