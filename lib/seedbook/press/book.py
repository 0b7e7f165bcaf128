"""The book: pages from executed chapters, built by Jupyter Book, checked to stand alone.

`assemble` writes what is generated below ``book/chapters`` (not committed): one page per chapter
of the catalogue, made of the source notebook's prose and the outputs of the run that is shown,
matched by cell id; and the fragments that the committed pages include. `build` runs Jupyter Book
with warnings as errors. `check` reads the built site and says what a reader would stumble over.
"""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urlsplit

import yaml

from seedbook import claims
from seedbook.press import audit, catalog, editions, parameters, render, rooms, slides
from seedbook.press.catalog import Catalog, Chapter
from seedbook.press.chapter import PLACEHOLDER, Cell, Source, read_file
from seedbook.press.editions import Edition
from seedbook.press.root import root as find_root
from seedbook.press.store import device

PAGES = Path("book", "chapters")
ACROSS = (
    ("ledger", "Ledger"),
    ("luck", "How much of this is luck?"),
    ("beyond_one_machine", "Beyond one machine"),
    ("colophon", "Colophon"),
    ("bibliography", "Bibliography"),
)
SEMINAR = (
    ("index", "Teach from this book"),
    ("fourteen_weeks", "Fourteen weeks"),
    ("seven_weeks", "Seven weeks"),
    ("one_day", "One day"),
    ("bets", "Bets before data"),
    ("reproduce", "Reproduce it yourself"),
)
PROMPTS = {
    "parameters": "The cell",
    "setup": "Imports",
    "claims": "Code of the claims",
    "view": "Code of the verdicts",
}
KEPT_MIMES = ("image/svg+xml", "image/png", "text/html", "text/latex", "text/plain")
MAX_PAGE = 1_000_000  # bytes
SWEPT = 20  # seeds of a thorough sweep, for the page of costs
ENOUGH_SEEDS, AGREEING = 10, 0.9  # fewer than 9 of 10 fresh seeds: fragile


class BookError(RuntimeError):
    """The book cannot be made; the message says which page, why, and what to do."""


@dataclass(frozen=True)
class Entry:
    """A chapter with the editions that its page shows, the first one leading."""

    chapter: Chapter
    editions: Sequence[Edition]
    audit: Sequence[audit.Line] = ()

    @property
    def done(self) -> bool:
        """Whether there is something to show."""
        return bool(self.editions)

    @property
    def cost(self) -> float | None:
        """Seconds of the quick run, or of the run shown where there is no quick one."""
        quick = [e for e in self.editions if e.profile == "quick"]
        return (quick or self.editions)[0].run["wall_s"] if self.done else None

    @cached_property
    def verdicts(self) -> dict[str, str]:
        """Claim id to the word shown, in claim order."""
        return shown_verdicts(self.editions[0], self.audit) if self.done else {}

    @cached_property
    def others(self) -> dict[str, tuple[dict[str, Any], dict[str, str]]]:
        """Profile to claims record and words shown, of the editions behind the first."""
        return {e.profile: (e.claims, shown_verdicts(e, self.audit)) for e in self.editions[1:]}


def entries(cat: Catalog, *, preview: bool = True) -> list[Entry]:
    """Every chapter in book order, with what can be shown of it.

    Parameters
    ----------
    preview : bool
        Show runs that are not published as well, marked as such.
    """
    out = []
    for part in cat.parts:
        for chapter in cat.chapters:
            if chapter.part == part.id:
                found = editions.shown(chapter, cat.root)
                found = [e for e in found if preview or e.published]
                out.append(Entry(chapter, found, audit.current(chapter) if found else ()))
    return out


def shown_verdicts(edition: Edition, lines: Sequence[audit.Line]) -> dict[str, str]:
    """Verdicts of an edition as the book says them: *fragile* where fresh seeds do not agree.

    A supported claim is fragile when fewer than `AGREEING` of at least `ENOUGH_SEEDS` fresh runs
    support it too. Runs of another size than the edition's count against it only if they
    contradict it, since with less data a true claim may well stay open.
    """
    out = {}
    for claim in edition.claims["claims"]:
        name = claim["id"]
        verdict = edition.claims["verdicts"][name]["verdict"]
        profile, found = fresh(edition, name, lines)
        same = profile == edition.profile
        against = sum(v != verdict if same else v == "contradicted" for v in found)
        fragile = len(found) - against < AGREEING * len(found) and len(found) >= ENOUGH_SEEDS
        out[name] = "fragile" if verdict == "supported" and fragile else verdict
    return out


def fresh(edition: Edition, claim: str, lines: Sequence[audit.Line]) -> tuple[str, list[str]]:
    """Profile and verdicts of an audit's fresh runs on a claim.

    Those of the edition's own profile if there are enough, else of the profile with most.
    """
    found: dict[str, list[str]] = {edition.profile: []}
    for line in lines:
        if line["kind"] == "fresh" and claim in line["claims"]:
            found.setdefault(line["profile"], []).append(line["claims"][claim]["verdict"])
    if len(found[edition.profile]) >= ENOUGH_SEEDS:
        return edition.profile, found[edition.profile]
    return max(found.items(), key=lambda item: len(item[1]))


def agreement(edition: Edition, claim: str, lines: Sequence[audit.Line]) -> str:
    """How many fresh seeds have an edition's verdict on a claim, for the ledger."""
    profile, found = fresh(edition, claim, lines)
    if not found:
        return render.NOTHING
    text = f"{found.count(edition.claims['verdicts'][claim]['verdict'])}/{len(found)}"
    return (
        text
        if profile == edition.profile
        else f'{text} <span class="sb-note sb-int">{profile}</span>'
    )


def note_on(edition: Edition) -> str:
    """What a reader must know of an edition; empty for a published, current one."""
    if not edition.published:
        return "not published"
    return "" if edition.current else "stale: the chapter has changed since"


# --- the table of contents -------------------------------------------------------------------


def toc(cat: Catalog) -> dict[str, Any]:
    """Contents of the book in sphinx-external-toc's format, from the catalogue alone."""
    parts: list[dict[str, Any]] = []
    for part in cat.parts:
        pages = [{"file": f"book/parts/{part.id}", "title": "About this part"}]
        for chapter in cat.chapters:
            if chapter.part == part.id:
                page = (PAGES / chapter.slug).as_posix()
                pages.append({"file": page, "title": chapter.short})
        parts.append({"caption": part.title, "chapters": pages})
    across = [{"file": f"book/{name}", "title": title} for name, title in ACROSS]
    parts.append({"caption": "Across the book", "chapters": across})
    seminar = [{"file": f"book/seminar/{name}", "title": title} for name, title in SEMINAR]
    parts.append({"caption": "Seminar", "chapters": seminar})
    return {"format": "jb-book", "root": "book/index", "parts": parts}


def _write_toc(cat: Catalog) -> None:
    head = "# Written by `seedbook book` from notebooks/catalog.yml; do not edit.\n"
    text = head + yaml.safe_dump(toc(cat), sort_keys=False, allow_unicode=True, width=100)
    _write(cat.root / "_toc.yml", text)


# --- assembling ------------------------------------------------------------------------------


def assemble(root: Path | None = None, *, preview: bool = True) -> list[Entry]:
    """Write every generated page and fragment of the book at `root`.

    Parameters
    ----------
    root : Path, optional
        The book's folder, found by `seedbook.press.root` when not given.
    preview : bool
        Show current runs that are not published, marked as such.

    Returns
    -------
    list of Entry
        The chapters in book order.

    Raises
    ------
    BookError
        If a page's prose names a measure that its run has not, or a run lacks an output.
    """
    cat = catalog.load(root or find_root())
    listed = entries(cat, preview=preview)
    out = cat.root / PAGES
    wanted: set[Path] = set()
    for entry in listed:
        slug = entry.chapter.slug
        if entry.done:
            first = entry.editions[0]
            made = page(entry)
            _write(out / f"{slug}.ipynb", json.dumps(made, indent=1, ensure_ascii=False))
            wanted.add(out / f"{slug}.ipynb")
            deck = out / "_extra" / slides.FOLDER / f"{slug}.html"
            _write(deck, slides.deck(entry, made, _spent(entry), note_on(first)))
            wanted.add(deck)
            thumbnail = first.folder / "figures" / "thumbnail.svg"
            if thumbnail.is_file():
                copied = out / "_static" / "thumbnails" / f"{slug}.svg"
                _write(copied, thumbnail.read_text(encoding="utf-8"))
                wanted.add(copied)
        else:
            _write(out / f"{slug}.md", _preparation_page(entry.chapter))
            wanted.add(out / f"{slug}.md")
        if entry.chapter.exists:
            notebook = out / "_static" / "sources" / f"{slug}.ipynb"
            _write(notebook, entry.chapter.notebook.read_text(encoding="utf-8"))
            wanted.add(notebook)
    fragments, files = _fragments(cat, listed)
    texts = {f"_html/{name}.html": html for name, html in fragments.items()}
    texts |= {f"_static/{name}": text for name, text in files.items()}
    for name, text in texts.items():
        _write(out / name, text)
        wanted.add(out / name)
    for name in ("_static", "_extra"):  # Sphinx is told of both
        (out / name).mkdir(parents=True, exist_ok=True)
    for old in out.rglob("*"):
        if old.is_file() and old not in wanted:
            old.unlink()
    _write_toc(cat)
    return listed


def page(entry: Entry) -> dict[str, Any]:
    """A chapter's page as a notebook: prose of the source, outputs of the edition shown."""
    chapter, edition = entry.chapter, entry.editions[0]
    own = edition.folder / "notebook.ipynb"
    # A stale edition is shown as it was: code and numbers of a page belong together.
    source = read_file(chapter.notebook if edition.current else own, chapter.slug)
    executed = json.loads(own.read_text(encoding="utf-8"))
    outputs = {c["id"]: c["outputs"] for c in executed["cells"] if c["cell_type"] == "code"}
    cells: list[dict[str, Any]] = []
    for cell in source.cells:
        if cell.stage == "markdown":
            text = _fill(cell, cell.source, edition)
            cells.append(_markdown(cell.id, text))
            if cell.id == "title":
                cells.append(_markdown("at-a-glance", _raw(_glance(entry))))
        else:
            if cell.stage == "parameters":
                cells.append(_markdown("parameter-table", _parameters(source, edition)))
            if cell.id not in outputs:
                raise BookError(
                    f"{chapter.slug}: the {edition.profile} run has no cell {cell.id!r}; "
                    f"run `seedbook run {chapter.slug}`"
                )
            shown = _outputs(cell, outputs[cell.id], entry)
            cells.append(_code(cell, shown, edition))
    cells.append(_markdown("provenance", _raw(render.provenance(edition.run, note_on(edition)))))
    metadata = {k: v for k, v in source.raw["metadata"].items() if k in ("kernelspec",)}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}


def _markdown(name: str, text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": text}


def _code(cell: Cell, outputs: list[dict[str, Any]], edition: Edition) -> dict[str, Any]:
    metadata = copy.deepcopy(cell.metadata)
    tags = [*cell.tags, f"cell-{cell.id}"]  # a tag becomes a class, by which a script finds it
    metadata["tags"] = tags
    mystnb = metadata.setdefault("mystnb", {})
    if cell.stage in PROMPTS:
        tags.append("hide-input")
        prompt = "Code of the figure" if cell.figure else PROMPTS[cell.stage]
        mystnb |= {"code_prompt_show": prompt, "code_prompt_hide": prompt}
    figure = mystnb.get("figure", {})
    if "caption" in figure:
        figure["caption"] = _fill(cell, figure["caption"], edition)
    return {
        "cell_type": "code",
        "id": cell.id,
        "metadata": metadata,
        "execution_count": None,
        "source": cell.source,
        "outputs": outputs,
    }


def _fill(cell: Cell, text: str, edition: Edition) -> str:
    """Put our numbers in the place of ``{{ measure }}``, and of ``{{ parameter }}`` its value."""
    measures, used = edition.claims["measures"], edition.run["parameters"]

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name in measures:
            return render.measure_text(measures[name])
        if name in used:
            return render.value_text(used[name])
        raise BookError(
            f"{edition.claims['slug']}, cell {cell.id!r}: {{{{ {name} }}}} names no measure and no "
            f"parameter; there are {', '.join(sorted({*measures, *used}))}"
        )

    return PLACEHOLDER.sub(value, text)


def _outputs(cell: Cell, found: Sequence[dict[str, Any]], entry: Entry) -> list[dict[str, Any]]:
    out = []
    record = entry.editions[0].claims
    for output in found:
        kind = output["output_type"]
        if kind == "error":
            raise BookError(
                f"{record['slug']}, cell {cell.id!r}: its run ended in {output['ename']}; "
                "a run that failed is never shown"
            )
        if kind == "stream":
            if output["name"] == "stdout":
                out.append(output)
            continue
        data = output["data"]
        if claims.MIME in data and cell.stage == "view":
            data = {"text/html": render.verdict_table(record, entry.verdicts, entry.others)}
        kept = {k: v for k, v in data.items() if k in KEPT_MIMES}
        if "image/svg+xml" in kept or "image/png" in kept:
            kept = {k: v for k, v in kept.items() if k.startswith("image/")}
        out.append({"output_type": "display_data", "metadata": {}, "data": kept})
    return out


def _glance(entry: Entry) -> str:
    first = entry.editions[0]
    slug = entry.chapter.slug
    attributes = {"slug": slug, "profile": first.profile, "run": first.run["run"]}
    attributes["published"] = str(first.published).lower()
    note = note_on(first)
    if note == "not published":
        note = "Not published: this is a run of the working copy."
    return render.glance(
        entry.chapter,
        first.claims,
        entry.verdicts,
        _spent(entry),
        entry.others,
        note.capitalize(),
        attributes,
    )


def _spent(entry: Entry) -> list[str]:
    return [f"{e.profile} {render.duration(e.run['wall_s'])} on {_on(e)}" for e in entry.editions]


def _on(edition: Edition) -> str:
    if edition.run["device"]["kind"] == "cpu":
        return render.count(edition.run["threads"], "processor core")
    return device(edition.run)


def _parameters(source: Source, edition: Edition) -> str:
    table = render.parameter_table(
        parameters.parse(source.only("parameters").source), edition.run["parameters"]
    )
    text = (
        "## Parameters\n\n"
        f"Every one can be set: `seedbook run {source.slug} -p name=value`, or in the panel of "
        "this page under `seedbook serve`."
    )
    return f"{text}\n\n{_raw(table)}"


def _raw(html: str) -> str:
    return f"```{{raw}} html\n{html}\n```"


def _preparation_page(chapter: Chapter) -> str:
    cite = render.cite(chapter)
    mark = render.mark(render.IN_PREPARATION)
    return (
        f"# {chapter.title}\n\n{_raw(cite)}\n\n"
        f'{_raw(f"""<p class="sb-lede">{escape(chapter.question)}</p>""")}\n\n'
        f"{chapter.abstract}\n\n{_raw(f'<p>{mark}</p>')}\n"
    )


# --- fragments of the committed pages --------------------------------------------------------


def _fragments(cat: Catalog, listed: Sequence[Entry]) -> tuple[dict[str, str], dict[str, str]]:
    """Name to HTML of everything that ``book/*.md`` include, and files that they name."""
    from seedbook.press import luck, syllabus

    claims_shown = [v for e in listed for v in e.verdicts.values()]
    done = [e for e in listed if e.done]
    out = {
        "totals": render.totals(len(done), len(listed), claims_shown, "ledger.html"),
        "cards": render.card_list(
            [
                (part, f"parts/{part.id}.html", _cards(listed, part.id, i, "", 3))
                for i, part in enumerate(cat.parts, 1)
            ]
        ),
        "ledger": _ledger(listed),
        "colophon": _colophon(done),
        "costs": _costs(listed),
        "bets": render.bets(bets := _bets(cat, done)),
    }
    audited = [(e.chapter, e.editions[0], e.verdicts, list(e.audit)) for e in done]
    quick = {
        entry.chapter.slug: edition.run["wall_s"]
        for entry in done
        for edition in entry.editions
        if edition.profile == "quick"
    }
    out |= syllabus.fragments(cat, quick)
    sections, pictures = luck.fragments(audited, {p.id: p.title for p in cat.parts})
    out |= sections | {"luck-scale": luck.scales([(e.chapter, e.editions) for e in done])}
    for i, part in enumerate(cat.parts, 1):
        cards = "".join(_cards(listed, part.id, i, "../", 2))
        out[f"part-{part.id}"] = f'<ul class="sb-cards">{cards}</ul>'
    files = {rooms.BETS: json.dumps(bets, indent=1, ensure_ascii=False) + "\n"}
    return out, pictures | _tables(done) | files


def _cards(listed: Sequence[Entry], part: str, number: int, up: str, level: int) -> list[str]:
    """Cards of a part; `up` leads from the page to ``book/``."""
    out = []
    for order, entry in enumerate(listed):
        chapter = entry.chapter
        if chapter.part != part:
            continue
        picture = None
        if entry.done and (entry.editions[0].folder / "figures" / "thumbnail.svg").is_file():
            picture = f"{up}../_static/thumbnails/{chapter.slug}.svg"
        out.append(
            render.card(
                chapter,
                order=order,
                part=number,
                verdicts=list(entry.verdicts.values()),
                cost=entry.cost,
                thumbnail=picture,
                href=f"{up}chapters/{chapter.slug}.html",
                note=note_on(entry.editions[0]).split(":")[0] if entry.done else "",
                level=level,
            )
        )
    return out


def _ledger(listed: Sequence[Entry]) -> str:
    rows: list[str] = []
    for entry in listed:
        if not entry.done:
            continue
        edition = entry.editions[0]
        for claim in edition.claims["claims"]:
            rows.append(
                render.ledger_row(
                    entry.chapter,
                    edition.claims,
                    claim,
                    verdict=entry.verdicts[claim["id"]],
                    agree=agreement(edition, claim["id"], entry.audit),
                    order=len(rows),
                    href=f"chapters/{entry.chapter.slug}.html",
                    note=note_on(edition).split(":")[0],
                    profile=edition.profile,
                    code=edition.run["run"],
                    command=_again(entry.chapter, edition),
                )
            )
    waiting = [e.chapter.short for e in listed if not e.done]
    html = render.ledger(rows)
    if waiting:
        html += (
            f'<p class="sb-waiting">{render.mark(render.IN_PREPARATION)} '
            f"{escape(', '.join(waiting))}.</p>"
        )
    return html


def _again(chapter: Chapter, edition: Edition) -> str:
    """The command that makes the run of an edition again."""
    asked = chapter.wants_gpu(edition.profile) and edition.run["device"]["kind"] == "cpu"
    command = f"seedbook run {chapter.slug} --profile {edition.profile}"
    return f"{command} -p device=cpu" if asked else command


def _tables(done: Sequence[Entry]) -> dict[str, str]:
    """The ledger and the audits as files to download, by name."""
    import pandas as pd

    from seedbook.press import luck

    claims_shown = [
        {
            "chapter": entry.chapter.slug,
            "claim": claim["id"],
            "sentence": claim["sentence"],
            "paper": claim["paper"],
            "where": claim["where"],
            "profile": edition.profile,
            "verdict": entry.verdicts[claim["id"]],
            **{k: edition.claims["verdicts"][claim["id"]][k] for k in ("p", "p_adjusted")},
            "measure": claim["measure"],
            **{
                k: (edition.claims["measures"].get(claim["measure"]) or {}).get(k)
                for k in ("estimate", "low", "high", "n", "unit")
            },
            "rule": claims.say(claim["rule"]) if claim["rule"] else None,
            "seed": edition.run["parameters"]["seed"],
            "run": edition.run["run"],
        }
        for entry in done
        for edition in entry.editions[:1]
        for claim in edition.claims["claims"]
    ]
    listed = [(e.chapter, e.editions[0], e.verdicts, list(e.audit)) for e in done]
    return {
        "ledger.json": json.dumps(claims_shown, indent=1, ensure_ascii=False) + "\n",
        "ledger.csv": pd.DataFrame(claims_shown).to_csv(index=False),
        "audit.csv": luck.judgements(listed).to_csv(index=False),
    }


def _bets(cat: Catalog, done: Sequence[Entry]) -> dict[str, Any]:
    """What the page of bets shows of each chapter."""
    titles = {part.id: part.title for part in cat.parts}
    return {
        "chapters": [
            {
                "slug": entry.chapter.slug,
                "short": entry.chapter.short,
                "part": titles[entry.chapter.part],
                "question": entry.chapter.question,
                "run": edition.run["run"],
                "note": note_on(edition),
                "claims": render.claims_to_bet_on(edition.claims, entry.verdicts),
            }
            for entry in done
            for edition in entry.editions[:1]
        ]
    }


def _costs(listed: Sequence[Entry]) -> str:
    """How long every chapter over `SWEPT` seeds takes on some machines, by recorded durations."""
    known = [
        (e.run["wall_s"], e.run["threads"])
        for entry in listed
        for e in entry.editions
        if e.profile == "quick"
    ]
    if not known:
        return "<p>No chapter has run yet.</p>"
    mean = sum(s for s, _ in known) / len(known)
    tasks = [*known, *[(mean, 2)] * (len(listed) - len(known))]
    hours = sum(s * t for s, t in tasks) * SWEPT / 3600
    have = render.count(
        len(known), f"chapter of {len(listed)} has", f"chapters of {len(listed)} have"
    )
    said = (
        f"{have} a recorded <code>quick</code> run, the longest {render.duration(max(known)[0])}. "
        + ("" if len(known) == len(listed) else "The others are counted as their mean. ")
        + f"All of them over {SWEPT} seeds, {SWEPT * len(tasks)} runs, then take {hours:.0f} "
        "core-hours, to be multiplied by the price of a core; and on machines of two cores, by "
        "arithmetic, without the time to start them:"
    )
    rows = []
    alone = makespan(tasks * SWEPT, 1)
    for n in (1, 2, 4, 8, 16, 32):
        seconds = makespan(tasks * SWEPT, n)
        long = f"{seconds / 3600:.1f} h" if seconds > 5400 else render.duration(seconds)
        rows.append([str(n), long, f"{alone / seconds:.1f}"])
    heads = ["Machines", "Time", "Times faster"]
    return f"<p>{said}</p>" + render.table(heads, rows, numeric=(0, 1, 2))


def makespan(tasks: Iterable[tuple[float, int]], machines: int, cores: int = 2) -> float:
    """Seconds until tasks of (seconds, threads) are done, handed out longest first.

    >>> makespan([(10, 1), (10, 1), (5, 2)], 1), makespan([(10, 1), (10, 1), (5, 2)], 2)
    (15.0, 10.0)
    """
    free = [[0.0] * cores for _ in range(machines)]  # when each core is free
    for seconds, threads in sorted(tasks, reverse=True):
        need = min(threads, cores)
        machine = min(free, key=lambda m: m[need - 1])
        machine[:need] = [machine[need - 1] + seconds] * need
        machine.sort()
    return max(max(m) for m in free)


def _colophon(done: Sequence[Entry]) -> str:
    """Every run shown: where, how long, with what; then versions, data and models."""
    rows: list[list[str]] = []
    versions: dict[str, set[str]] = {}
    for entry in done:
        link = f'<a href="chapters/{entry.chapter.slug}.html">{escape(entry.chapter.short)}</a>'
        for e in entry.editions:
            memory = e.run.get("peak_memory_mb")
            rows.append(
                [
                    link,
                    escape(e.profile),
                    escape(device(e.run)),
                    str(e.run["threads"]),
                    render.duration(e.run["wall_s"]),
                    f"{memory / 1000:.1f} GB" if memory else render.NOTHING,
                    render.day(e.run["started"]),
                    escape(note_on(e).split(":")[0] or "published"),
                ]
            )
            for name, version in e.run["versions"].items():
                versions.setdefault(name, set()).add(version)
    if not rows:
        return "<p>No chapter has run yet.</p>"
    heads = ["Chapter", "Profile", "Machine", "Threads", "Time", "Memory", "Day", "Status"]
    html = "<h2>Runs</h2>" + render.table(heads, rows, numeric=(3, 4, 5))
    html += "<h2>Versions</h2>" + render.table(
        ["Package", "Version"],
        [
            [escape(n), escape(", ".join(sorted(versions[n])))]
            for n in sorted(versions, key=str.lower)
        ],
    )
    sources = [
        [
            escape(entry.chapter.short),
            escape(source["name"]),
            _source_link(source["source"]),
        ]
        for entry in done
        for source in entry.chapter.data
    ]
    sources += [
        [escape(entry.chapter.short), escape(model["default"]), f"sha256 {model['sha256'][:12]}"]
        for entry in done
        for model in entry.chapter.models
    ]
    if sources:
        html += "<h2>Data and models</h2>" + render.table(["Chapter", "Name", "Source"], sources)
    return html


def _source_link(source: str) -> str:
    """``github:owner/repo@<commit>`` as a link to that commit."""
    repository, _, commit = source.removeprefix("github:").partition("@")
    address = f"https://github.com/{repository}/tree/{commit}"
    return f'<a href="{escape(address)}">{escape(repository)}</a> at {commit[:12]}'


def _write(path: Path, text: str) -> None:
    """Write `text` unless it stands there already, so that a rebuild reads only what changed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


# --- building --------------------------------------------------------------------------------


def build(root: Path | None = None) -> Path:
    """Run Jupyter Book on the assembled book, with warnings as errors.

    Returns
    -------
    Path
        The index page, ``_build/html/index.html``.

    Raises
    ------
    BookError
        With what Jupyter Book printed last, if it fails.
    """
    folder = root or find_root()
    if not (folder / PAGES / "_html").is_dir():
        raise BookError("nothing is assembled yet: run `seedbook book`, or book.assemble() first")
    shutil.rmtree(folder / "_build" / "html", ignore_errors=True)  # else old images pile up
    code = "import sys; from jupyter_book.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "build", ".", "--all", "-W", "--keep-going"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    index = folder / "_build" / "html" / "index.html"
    if done.returncode or not index.is_file():
        lines = (done.stdout + done.stderr).splitlines()
        told = [x for x in lines if "WARNING" in x or "ERROR" in x] or lines[-30:]
        raise BookError("Jupyter Book failed:\n" + "\n".join(told))
    return index


# --- checking --------------------------------------------------------------------------------


class _Page(HTMLParser):
    """What a browser would load from a page, and where its links lead."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.loads: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.classes: set[str] = set()
        self.code: list[str] = []  # inline scripts and styles
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {k: v or "" for k, v in attrs}
        self.ids |= {found[k] for k in ("id", "name") if k in found}
        self.classes |= set(found.get("class", "").split())
        if "style" in found:
            self.code.append(found["style"])
        if tag == "link":
            passive = {"canonical", "next", "prev", "index", "search", "author", "license"}
            rels = set(found.get("rel", "").split())
            (self.links if rels & passive else self.loads).append(found.get("href", ""))
        elif tag in ("a", "area") and "href" in found:
            self.links.append(found["href"])
        else:
            self.loads += [found[k] for k in ("src", "data", "poster", "xlink:href") if k in found]
            self.loads += [x.split()[0] for x in found.get("srcset", "").split(",") if x.split()]
        if tag in ("script", "style"):
            self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.code.append(data)


_CSS_LOADS = re.compile(r"(?:@import\s+|url\()\s*['\"]?((?:https?:)?//[^'\")\s]+)", re.IGNORECASE)
_SCRIPT_LOADS = re.compile(r"['\"]((?:https?:)?//[^'\"\s]+\.(?:js|css|mjs|woff2?))['\"]")


def check(html: Path) -> list[str]:
    """Problems of a built site, one sentence each; empty when all is well.

    Looked for: what a browser would load from another host, links and anchors that lead nowhere,
    tracebacks and error streams on pages, raw Markdown placeholders, pages over 1 MB.

    Parameters
    ----------
    html : Path
        The folder of the built site, or its index page.
    """
    folder = html.parent if html.is_file() else html
    pages = {p: _Page(p.read_text(encoding="utf-8")) for p in sorted(folder.rglob("*.html"))}
    pages = {p: v for p, v in pages.items() if "_static" not in p.relative_to(folder).parts}
    if not pages:
        return [f"{folder}: no page was built"]
    problems = []
    for path, parsed in pages.items():
        name = path.relative_to(folder).as_posix()
        problems += [f"{name}: {text}" for text in _page_problems(path, parsed)]
        problems += [f"{name}: {text}" for text in _broken(path, parsed, pages, folder)]
    for sheet in sorted(folder.rglob("*.css")):
        for address in _CSS_LOADS.findall(sheet.read_text(encoding="utf-8")):
            problems.append(f"{sheet.relative_to(folder).as_posix()}: loads {address}")
    return problems


def _page_problems(path: Path, parsed: _Page) -> Iterator[str]:
    for address in parsed.loads:
        if _foreign(address):
            yield f"loads {address} from another host"
    for code in parsed.code:
        for address in {*_CSS_LOADS.findall(code), *_SCRIPT_LOADS.findall(code)}:
            yield f"names {address}, which a browser would load"
    text = path.read_text(encoding="utf-8")
    if "Traceback (most recent call last)" in text or "traceback" in parsed.classes:
        yield "shows a traceback"
    if "stderr" in parsed.classes:
        yield "shows what a cell wrote to stderr"
    for left in sorted(set(PLACEHOLDER.findall(text))):
        yield f"shows {{{{ {left} }}}} unfilled"
    if (size := len(text.encode())) > MAX_PAGE:
        yield f"has {size / 1e6:.1f} MB; at most {MAX_PAGE / 1e6:g}"


def _foreign(address: str) -> bool:
    return urlsplit(address).scheme in ("http", "https", "ftp") or address.startswith("//")


def _broken(path: Path, parsed: _Page, pages: dict[Path, _Page], folder: Path) -> Iterable[str]:
    for address in dict.fromkeys((*parsed.links, *parsed.loads)):
        if not address or urlsplit(address).scheme or address.startswith("//"):
            continue
        bare, anchor = urldefrag(address)
        bare = unquote(bare.split("?")[0])
        target = (path.parent / bare).resolve() if bare else path.resolve()
        if not target.is_relative_to(folder.resolve()) or not target.is_file():
            yield f"links to {address}, which does not exist"
        elif anchor and target in pages and unquote(anchor) not in pages[target].ids:
            yield f"links to {address}, and there is no such place on that page"
