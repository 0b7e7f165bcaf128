"""Tracks of a course: ``seminar/syllabus.yml``, checked against the catalogue, and its pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import yaml

from . import catalog, render
from .seminar import FOLDER, SeminarError

FILE = Path(FOLDER, "syllabus.yml")


@dataclass(frozen=True)
class Meeting:
    """What happens at one meeting; `also` is Markdown-free text for what no chapter holds."""

    title: str
    aims: tuple[str, ...]
    chapters: tuple[str, ...]
    also: str


@dataclass(frozen=True)
class Track:
    """A course; `unit` says what a meeting is, as *Week* or *Hour*."""

    id: str
    unit: str
    meetings: tuple[Meeting, ...]


def load(cat: catalog.Catalog) -> list[Track]:
    """The tracks, in the order of the file; none without it.

    Raises
    ------
    SeminarError
        If a track lacks something, or names a chapter that is unknown, read twice, or read before
        one that the catalogue wants first (``after``).
    """
    file = cat.root / FILE
    if not file.is_file():
        return []
    raw = yaml.safe_load(file.read_text(encoding="utf-8"))
    return [_track(name, body, cat) for name, body in raw.items()]


def _track(name: str, body: Mapping[str, Any], cat: catalog.Catalog) -> Track:
    meetings = []
    for i, found in enumerate(body.get("meetings", []), 1):
        keys = {"title", "aims", "chapters", "also"}
        if set(found) - keys or not {"title", "aims"} <= set(found):
            raise SeminarError(
                f"{FILE}, {name}, meeting {i}: has {', '.join(found)}; "
                "it needs title and aims, and may have chapters and also"
            )
        chapters = tuple(found.get("chapters", ()))
        also = found.get("also", "")
        meetings.append(Meeting(found["title"], tuple(found["aims"]), chapters, also))
    track = Track(name, body["unit"], tuple(meetings))
    known = {c.slug: c for c in cat.chapters}
    order: dict[str, int] = {}
    for meeting in track.meetings:
        for slug in meeting.chapters:
            where = f"{FILE}, {name}, {meeting.title!r}"
            if slug not in known:
                raise SeminarError(f"{where}: no chapter {slug!r}; `seedbook list` shows them")
            if slug in order:
                raise SeminarError(f"{where}: {slug} has been read before")
            order[slug] = len(order)
    for slug in order:
        for before in known[slug].after:
            if order.get(before, -1) > order[slug]:
                raise SeminarError(f"{FILE}, {name}: {slug} is to be read after {before}")
    return track


def fragments(cat: catalog.Catalog, costs: Mapping[str, float]) -> dict[str, str]:
    """HTML of each track's plan, by name of the fragment.

    Parameters
    ----------
    costs : mapping
        Slug to the seconds of a recorded ``quick`` run.
    """
    return {f"seminar-{track.id}": _plan(track, cat, costs) for track in load(cat)}


def _plan(track: Track, cat: catalog.Catalog, costs: Mapping[str, float]) -> str:
    known = {c.slug: c for c in cat.chapters}
    parts = {p.id: p.title for p in cat.parts}
    read = [slug for m in track.meetings for slug in m.chapters]
    seconds = sum(costs.get(slug, 0.0) for slug in read)
    links = "".join(
        f'<li><a href="#meeting-{i}">{escape(m.title)}</a></li>'
        for i, m in enumerate(track.meetings, 1)
    )
    out = [
        f"<p>{render.count(len(read), 'chapter')} of {len(known)}. Running all of them beforehand "
        f"takes {render.duration(seconds)} on the machine that made the editions, one after "
        "another.</p>",
        f'<ol class="sb-meetings">{links}</ol>',
    ]
    for i, meeting in enumerate(track.meetings, 1):
        aims = "".join(f"<li>{escape(a)}</li>" for a in meeting.aims)
        out.append(
            f'<section id="meeting-{i}" class="sb-meeting">'
            f"<h2>{escape(track.unit)} {i}: {escape(meeting.title)}</h2>"
            f"<p>Afterwards the class can</p><ul>{aims}</ul>"
        )
        out += [_chapter(known[s], known, parts, costs.get(s), read) for s in meeting.chapters]
        if meeting.also:
            out.append(f"<p>{escape(meeting.also)}</p>")
        out.append("</section>")
    return "".join(out)


def _chapter(
    entry: catalog.Chapter,
    known: Mapping[str, catalog.Chapter],
    parts: Mapping[str, str],
    seconds: float | None,
    read: list[str],
) -> str:
    page = f"../chapters/{entry.slug}.html"
    first = [known[s].short + ("" if s in read else " (not in this track)") for s in entry.after]
    rows = [
        ("Paper", f"{escape(entry.authors_short)}, <cite>{escape(entry.paper.title)}</cite>"),
        ("Part", escape(parts[entry.part])),
    ]
    if first:
        rows.append(("After", escape(", ".join(first))))
    if entry.prerequisites:
        rows.append(("To know", escape(", ".join(entry.prerequisites))))
    cost = f", {render.duration(seconds)}" if seconds else ""
    rows.append(("Before class", f"<code>seedbook run {entry.slug}</code>{cost}"))
    inside = [f'<a href="bets.html?chapter={entry.slug}">bets</a>']
    if seconds:
        inside.append(f'<a href="../../slides/{entry.slug}.html">slides</a>')
    inside.append(f'<a href="{page}#exercises-discussion-further-reading">exercises</a>')
    rows.append(("In class", " · ".join(inside)))
    terms = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows)
    return (
        f'<h3><a href="{page}">{escape(entry.short)}</a></h3>'
        f"<p>{escape(entry.question)}</p><dl>{terms}</dl>"
    )
