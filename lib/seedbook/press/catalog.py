"""The list of the papers: ``notebooks/catalog.yml``, read strictly.

Everything that names a chapter (the runner, the book, the tests) goes through `load`. A misspelt
key must not pass for an absent one, so unknown keys, wrong types, doubled keys and names that do
not exist are errors that say where, what and what is allowed.
"""

from __future__ import annotations

import datetime as dt
import difflib
import graphlib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from seedbook.press.root import CATALOG
from seedbook.press.root import root as find_root

PROFILES = ("smoke", "full", "sweep")
DEVICES = ("cpu", "cuda")
LIMITS = ("quick_s", "cell_s")


class CatalogError(ValueError):
    """The catalogue breaks a rule, or a chapter was asked for that it does not list."""


@dataclass(frozen=True)
class Part:
    """One of the parts of the book."""

    id: str
    title: str
    blurb: str


@dataclass(frozen=True)
class Paper:
    """What a chapter reproduces. What is not known for certain is ``None``."""

    title: str
    authors: tuple[str, ...]
    year: int
    cite: str
    date: dt.date | None = None
    venue: str | None = None
    doi: str | None = None
    arxiv: str | None = None
    code: str | None = None


@dataclass(frozen=True)
class Chapter:
    """One entry of the catalogue; the attributes are the keys of the file.

    Attributes
    ----------
    part : str
        Id of the part that the chapter belongs to.
    reads_with, after : tuple of str
        Slugs: chapters on a near subject; chapters to be read before.
    threads : int
        Threads of a run, the same on every machine, since results depend on it bitwise.
    data : tuple of dict
        ``{name, source, path, sha256}``, or ``{name, source, files}`` where ``files`` names a list
        of lines ``path sha256``.
    models : tuple of dict
        ``{parameter, default, sha256}``.
    profiles : dict
        Name to ``{set, why}``, perhaps with ``device``. ``quick`` is the notebook's own defaults.
    limits : dict
        Seconds: ``quick_s``, what a quick run may take; ``cell_s``, after which a cell is stopped.
    tolerance : dict
        Allowed difference of a re-execution: ``default``, ``why``, and names of measures.
    power : tuple of dict
        Positive controls: ``{claims, set, why}``, parameters under which the effect of some claims
        is known to be there, so that their rules should say *supported*.
    paper_values : dict
        Claim to ``{value, why}``: the paper's number on the scale of the claim's measure, where the
        claim's own words on it are not a plain number.
    """

    root: Path = field(repr=False)
    slug: str
    part: str
    title: str
    short: str
    question: str
    scope: str
    abstract: str
    paper: Paper
    tags: tuple[str, ...] = ()
    prerequisites: tuple[str, ...] = ()
    reads_with: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    threads: int = 2
    data: tuple[dict[str, str], ...] = ()
    models: tuple[dict[str, str], ...] = ()
    profiles: dict[str, dict[str, Any]] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=dict)
    tolerance: dict[str, Any] = field(default_factory=dict)
    power: tuple[dict[str, Any], ...] = ()
    paper_values: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def notebook(self) -> Path:
        """Path of the source notebook, whether it is written or not."""
        return self.root / "notebooks" / f"{self.slug}.ipynb"

    @property
    def exists(self) -> bool:
        """Whether the source notebook is written."""
        return self.notebook.is_file()

    def wants_gpu(self, profile: str) -> bool:
        """Whether a profile names a CUDA device."""
        return self.profiles.get(profile, {}).get("device") == "cuda"

    @property
    def authors_short(self) -> str:
        """The authors as a citation in running text, such as ``Delsol et al. 2024``."""
        names = [_surname(author) for author in self.paper.authors]
        who = " and ".join(names) if len(names) < 3 else f"{names[0]} et al."
        return f"{who} {self.paper.year}"


@dataclass(frozen=True)
class Catalog:
    """The parts and the chapters, both in book order."""

    root: Path
    parts: list[Part]
    chapters: list[Chapter]

    def chapter(self, slug: str) -> Chapter:
        """Return the chapter called `slug`.

        Raises
        ------
        CatalogError
            If no chapter has that slug; the message names the nearest one.
        """
        for chapter in self.chapters:
            if chapter.slug == slug:
                return chapter
        slugs = [chapter.slug for chapter in self.chapters]
        raise CatalogError(f"unknown chapter {slug!r}{_nearest(slug, slugs)}")


def load(root: Path | None = None) -> Catalog:
    """Read the catalogue of the book at `root`, by default the one found by `seedbook.press.root`.

    Raises
    ------
    CatalogError
        At the first rule that the file breaks: where it is, what is wrong, what is allowed.
    FileNotFoundError
        If there is no catalogue.
    """
    folder = find_root() if root is None else Path(root).resolve()
    file = folder / CATALOG
    try:
        raw = yaml.load(file.read_text(encoding="utf-8"), _Loader)
        return _catalog(raw, folder)
    except yaml.YAMLError as error:
        raise CatalogError(f"{file}: not YAML: {' '.join(str(error).split())}") from None
    except CatalogError as error:
        raise CatalogError(f"{file}: {error}") from None


# --- reading the file -------------------------------------------------------------------------


_Base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's is many times faster


class _Loader(_Base):  # type: ignore[misc, valid-type]
    """YAML without guessed dates; a key that stands twice is an error."""

    yaml_implicit_resolvers = {
        first: [(tag, regexp) for tag, regexp in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in _Base.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            text = str(key.value)
            if text in seen:
                line = key.start_mark.line + 1
                raise CatalogError(f"line {line}: the key {text!r} stands twice")
            seen.add(text)
        return super().construct_mapping(node, deep)


def _catalog(raw: Any, folder: Path) -> Catalog:
    _keys(raw, required=("parts", "chapters"), where="top level")
    parts = []
    for i, entry in enumerate(_list(raw["parts"], "parts"), 1):
        where = f"part {_label(entry, 'id', i)}"
        parts.append(Part(**_record(Part, entry, where, {"id": _slug})))
    _unique((part.id for part in parts), "part")
    chapters = []
    for i, entry in enumerate(_list(raw["chapters"], "chapters"), 1):
        where = f"chapter {_label(entry, 'slug', i)}"
        record = _record(Chapter, entry, where, _CHAPTER, skip=("root",))
        chapters.append(Chapter(root=folder, **record))
    _unique((chapter.slug for chapter in chapters), "chapter")
    slugs = [chapter.slug for chapter in chapters]
    for chapter in chapters:
        where = f"chapter {chapter.slug}"
        _known(chapter.part, [part.id for part in parts], f"{where}, part")
        for key in ("after", "reads_with"):
            for slug in getattr(chapter, key):
                _known(slug, slugs, f"{where}, {key}")
                if slug == chapter.slug:
                    raise CatalogError(f"{where}, {key}: a chapter cannot name itself")
    try:
        order = graphlib.TopologicalSorter({c.slug: c.after for c in chapters})
        order.prepare()
    except graphlib.CycleError as error:
        cycle = " after ".join(reversed(error.args[1]))
        raise CatalogError(f"after: no chapter can come before itself, but {cycle}") from None
    return Catalog(folder, parts, chapters)


# --- one value ---------------------------------------------------------------------------------
# A reader takes the raw value and where it stands, and returns the value or raises.

_Reader = Callable[[Any, str], Any]


def _record(
    cls: type, raw: Any, where: str, readers: Mapping[str, _Reader], skip: Iterable[str] = ()
) -> dict[str, Any]:
    """Arguments of the dataclass `cls` from `raw`; a value without a reader is text."""
    known = [f for f in fields(cls) if f.name not in skip]
    optional = [
        f.name for f in known if f.default is not MISSING or f.default_factory is not MISSING
    ]
    required = [f.name for f in known if f.name not in optional]
    _keys(raw, required, optional, where)
    return {k: readers.get(k, _text)(v, f"{where}, {k}") for k, v in raw.items()}


def _keys(raw: Any, required: Iterable[str], optional: Iterable[str] = (), where: str = "") -> None:
    if not isinstance(raw, dict):
        raise CatalogError(f"{where}: expected `key: value` lines, got {raw!r}")
    allowed = [*required, *optional]
    for key in raw:
        if key not in allowed:
            raise CatalogError(f"{where}: unknown key {key!r}{_nearest(key, allowed)}")
    missing = [key for key in required if key not in raw]
    if missing:
        raise CatalogError(f"{where}: missing {', '.join(missing)}")


def _list(raw: Any, where: str) -> list[Any]:
    if not isinstance(raw, list):
        raise CatalogError(f"{where}: expected a list, got {raw!r}")
    return raw


def _text(raw: Any, where: str) -> str:
    if not isinstance(raw, str) or not raw.strip():
        raise CatalogError(f"{where}: expected text, got {raw!r} (quote what reads as a number)")
    return raw.strip()


def _pattern(regexp: str, allowed: str) -> _Reader:
    def read(raw: Any, where: str) -> str:
        if not re.fullmatch(regexp, _text(raw, where)):
            raise CatalogError(f"{where}: expected {allowed}, got {raw!r}")
        return raw

    return read


def _or_none(read: _Reader) -> _Reader:
    return lambda raw, where: None if raw is None else read(raw, where)


def _list_of(read: _Reader) -> _Reader:
    def read_all(raw: Any, where: str) -> tuple[Any, ...]:
        return tuple(read(item, where) for item in _list(raw, where))

    return read_all


def _whole(raw: Any, where: str) -> int:
    if type(raw) is not int or raw < 1:
        raise CatalogError(f"{where}: expected a whole number from 1, got {raw!r}")
    return raw


def _real(raw: Any, where: str) -> float:
    if type(raw) not in (int, float) or not math.isfinite(raw):
        raise CatalogError(f"{where}: expected a number, got {raw!r}")
    return raw


def _number(raw: Any, where: str) -> float:
    if type(raw) not in (int, float) or not 0 <= raw < math.inf:
        raise CatalogError(f"{where}: expected a number from 0, got {raw!r}")
    return raw


def _date(raw: Any, where: str) -> dt.date:
    try:
        return dt.datetime.strptime(raw, "%Y-%m-%d").date()
    except (TypeError, ValueError):
        raise CatalogError(f"{where}: expected a day as YYYY-MM-DD, got {raw!r}") from None


def _paper(raw: Any, where: str) -> Paper:
    return Paper(**_record(Paper, raw, where, _PAPER))


def _authors(raw: Any, where: str) -> tuple[str, ...]:
    authors = _list_of(_text)(raw, where)
    if not authors:
        raise CatalogError(f"{where}: expected at least one name")
    return authors


def _source(raw: Any, where: str) -> dict[str, str]:
    one = {"name": _text, "source": _commit, "path": _text, "sha256": _sha256}
    many = {"name": _text, "source": _commit, "files": _text}
    readers = many if isinstance(raw, dict) and "files" in raw else one
    _keys(raw, readers, where=where)
    return {k: readers[k](v, f"{where}, {k}") for k, v in raw.items()}


def _model(raw: Any, where: str) -> dict[str, str]:
    readers = {"parameter": _text, "default": _text, "sha256": _sha256}
    _keys(raw, readers, where=where)
    return {k: readers[k](v, f"{where}, {k}") for k, v in raw.items()}


def _profiles(raw: Any, where: str) -> dict[str, dict[str, Any]]:
    _keys(raw, (), PROFILES, where)
    for name, profile in raw.items():
        here = f"{where}, {name}"
        _keys(profile, ("set", "why"), ("device",), here)
        _text(profile["why"], f"{here}, why")
        if not isinstance(profile["set"], dict):
            raise CatalogError(f"{here}, set: expected `parameter: value`, got {profile['set']!r}")
        if "device" in profile:
            _known(profile["device"], DEVICES, f"{here}, device")
    return raw


def _limits(raw: Any, where: str) -> dict[str, float]:
    _keys(raw, (), LIMITS, where)
    return {k: _number(v, f"{where}, {k}") for k, v in raw.items()}


def _tolerance(raw: Any, where: str) -> dict[str, Any]:
    measures = [k for k in raw if k not in ("default", "why")] if isinstance(raw, dict) else ()
    _keys(raw, ("default", "why"), measures, where)
    return {k: (_text if k == "why" else _number)(v, f"{where}, {k}") for k, v in raw.items()}


def _power(raw: Any, where: str) -> dict[str, Any]:
    _keys(raw, ("claims", "set", "why"), where=where)
    _text(raw["why"], f"{where}, why")
    if not isinstance(raw["set"], dict):
        raise CatalogError(f"{where}, set: expected `parameter: value`, got {raw['set']!r}")
    return {**raw, "claims": _list_of(_text)(raw["claims"], f"{where}, claims")}


def _paper_values(raw: Any, where: str) -> dict[str, dict[str, Any]]:
    if not isinstance(raw, dict):
        raise CatalogError(f"{where}: expected `claim: {{value, why}}`, got {raw!r}")
    for claim, said in raw.items():
        here = f"{where}, {claim}"
        _keys(said, ("value", "why"), where=here)
        _real(said["value"], f"{here}, value")
        _text(said["why"], f"{here}, why")
    return raw


_slug = _pattern(r"[a-z0-9_]+", "small letters, digits and _")
_commit = _pattern(r"github:[\w.-]+/[\w.-]+@[0-9a-f]{40}", "github:OWNER/REPO@<40 hex digits>")
_sha256 = _pattern(r"[0-9a-f]{64}", "64 hex digits")
_arxiv = _pattern(r"\d{4}\.\d{4,5}", 'an arXiv number in quotes, such as "2306.15540"')
_doi = _pattern(r"10\.\d+/\S+", "a DOI without address, such as 10.3390/e26010086")
_PAPER = {
    "authors": _authors,
    "year": _whole,
    "date": _or_none(_date),
    "venue": _or_none(_text),
    "doi": _or_none(_doi),
    "arxiv": _or_none(_arxiv),
    "code": _or_none(_pattern(r"https://\S+", "an https address")),
}
_CHAPTER = {
    "slug": _slug,
    "paper": _paper,
    "tags": _list_of(_text),
    "prerequisites": _list_of(_text),
    "reads_with": _list_of(_slug),
    "after": _list_of(_slug),
    "threads": _whole,
    "data": _list_of(_source),
    "models": _list_of(_model),
    "profiles": _profiles,
    "limits": _limits,
    "tolerance": _tolerance,
    "power": _list_of(_power),
    "paper_values": _paper_values,
}


# --- words for errors, names of people -------------------------------------------------------


def _label(entry: Any, key: str, i: int) -> str:
    return str(entry[key]) if isinstance(entry, dict) and entry.get(key) else f"number {i}"


def _unique(names: Iterable[str], what: str) -> None:
    seen = set()
    for name in names:
        if name in seen:
            raise CatalogError(f"{what} {name}: stands twice, and names must be unique")
        seen.add(name)


def _known(name: Any, allowed: Iterable[str], where: str) -> None:
    allowed = list(allowed)
    if name not in allowed:
        raise CatalogError(f"{where}: unknown name {name!r}{_nearest(name, allowed)}")


def _nearest(name: Any, allowed: list[str]) -> str:
    near = difflib.get_close_matches(str(name), allowed, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{hint} (allowed: {', '.join(allowed)})"


def _surname(name: str) -> str:
    """Last name, with its particles.

    >>> _surname("Idris Delsol"), _surname("Guy van den Broeck")
    ('Delsol', 'van den Broeck')
    """
    words = name.split()
    first = len(words) - 1
    while first > 1 and words[first - 1].islower():
        first -= 1
    return " ".join(words[first:])
