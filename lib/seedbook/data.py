"""Data sets: inside installed packages, or the authors' own files, held to their checksums.

A file of a public repository is looked for in three places, in this order: the folder that
``SEEDBOOK_MIRROR`` names (laid out as ``<owner>/<repo>/<path>``), the cache, the network. Wherever
it is found its SHA-256 must be the one that the catalogue of the book states. A file that cannot be
had raises `Missing`, whose text a chapter passes on to `seedbook.frames.skip`.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import types
import warnings
from collections.abc import Mapping
from functools import cache as memoize
from pathlib import Path
from typing import Any

SCHEMA = 1  # raised when what these functions return changes, so that chapters run again

URL = "https://raw.githubusercontent.com/{owner}/{repo}/{commit}/{path}"
TIMEOUT = (5, 60)  # seconds: to connect, between two pieces


class Missing(RuntimeError):
    """Something that a chapter needs is not here; the text says what, and how to get it."""


def cache() -> Path:
    """Folder for downloads and converted models: ``SEEDBOOK_CACHE``, else the user's own cache."""
    import pooch

    return Path(os.environ.get("SEEDBOOK_CACHE") or pooch.os_cache("seedbook")).expanduser()


def entry(slug: str, name: str) -> dict[str, Any]:
    """Return the data entry `name` of the chapter `slug` in the catalogue of the book.

    Returns
    -------
    dict
        ``{name, source, path, sha256}``, or ``{name, source, files}`` with ``files`` the path of a
        list of lines ``path sha256``, relative to the book. Made for `fetch` and `available`.

    Raises
    ------
    KeyError
        If the catalogue has no such entry; the message names those that exist.
    """
    import yaml

    text = (_root() / "notebooks" / "catalog.yml").read_text(encoding="utf-8")
    chapters = {c["slug"]: c for c in yaml.safe_load(text)["chapters"]}
    entries = {e["name"]: e for e in chapters.get(slug, {}).get("data") or []}
    if name not in entries:
        raise KeyError(
            f"no data {name!r} in chapter {slug!r} of the catalogue: has {list(entries)}"
        )
    return entries[name]


def files(entry: Mapping[str, Any], root: Path | None = None) -> dict[str, str]:
    """Return the paths of a catalogue entry, each with its SHA-256, in the order of the list.

    Parameters
    ----------
    entry : mapping
        As `entry` returns it.
    root : path, optional
        Folder of the book, by default the one around the working directory or this package.
    """
    if "files" not in entry:
        return {entry["path"]: entry["sha256"]}
    listing = ((root or _root()) / entry["files"]).read_text(encoding="utf-8")
    rows = [line.rsplit(maxsplit=1) for line in listing.splitlines() if line.strip()]
    return {path: sha256 for path, sha256 in rows}


def fetch(
    source: str | Mapping[str, Any],
    path: str | None = None,
    sha256: str | None = None,
    *,
    root: Path | None = None,
) -> Path:
    """Return the local path of a file whose bytes have the given SHA-256.

    Parameters
    ----------
    source : str or mapping
        ``owner/repo@commit`` with the 40 hexadecimal digits of the commit (``github:`` may stand
        before it), or a catalogue entry as `entry` returns it.
    path : str, optional
        Path in the repository; may be left out for an entry of a single file.
    sha256 : str, optional
        64 hexadecimal digits; an entry brings its own.
    root : path, optional
        Folder of the book, for an entry with a list of files.

    Raises
    ------
    Missing
        If no place has the file with that checksum. Nothing partial is left behind.
    """
    owner, repo, commit, path, sha256 = _resolve(source, path, sha256, root)
    if found := _local(owner, repo, commit, path, sha256):
        return found

    import pooch

    pooch.get_logger().setLevel("ERROR")
    target = cache() / "data" / owner / repo / commit / path
    url = URL.format(owner=owner, repo=repo, commit=commit, path=path)
    try:
        pooch.retrieve(
            url,
            known_hash=f"sha256:{sha256}",
            fname=target.name,
            path=target.parent,
            downloader=pooch.HTTPDownloader(timeout=TIMEOUT),
        )
    except (OSError, ValueError) as error:  # no network, refused, cut short; another checksum
        mirror = os.environ.get("SEEDBOOK_MIRROR")
        looked = f"not below SEEDBOOK_MIRROR={mirror}" if mirror else "SEEDBOOK_MIRROR is not set"
        why = "its checksum differs" if isinstance(error, ValueError) else type(error).__name__
        raise Missing(
            f"{path} of {owner}/{repo} at {commit[:7]} is not here ({looked}, not in the cache, "
            f"download failed: {why}): connect to the network, or set SEEDBOOK_MIRROR to a folder "
            f"that holds {owner}/{repo}/{path} with SHA-256 {sha256[:12]}…"
        ) from error
    return target


def available(
    source: str | Mapping[str, Any],
    path: str | None = None,
    sha256: str | None = None,
    *,
    root: Path | None = None,
) -> bool:
    """Tell whether `fetch` would succeed without the network.

    Takes what `fetch` takes; for an entry with a list and no `path`, all files must be here.
    """
    if isinstance(source, Mapping) and path is None:
        listed = files(source, root).items()
        return all(available(source["source"], p, digest) for p, digest in listed)
    return _local(*_resolve(source, path, sha256, root)) is not None


def pydoc_topics() -> dict[str, str]:
    """Return topic -> text: the language reference that Python's own ``help()`` prints.

    >>> "for" in pydoc_topics()
    True
    """
    from pydoc_data.topics import topics

    return dict(sorted(topics.items()))


def sklearn_descriptions() -> dict[str, str]:
    """Return data set -> description, for the small data sets inside scikit-learn."""
    from sklearn import datasets

    names = ["breast_cancer", "diabetes", "digits", "iris", "linnerud", "wine"]
    return {name: getattr(datasets, f"load_{name}")().DESCR for name in names}


def dysts() -> types.ModuleType:
    """Import ``dysts``, a catalogue of chaotic systems, without the forecasting package it names.

    It imports ``gluonts`` for one writer that its equations and metadata never use; where that is
    not installed an empty module stands in for it.

    Raises
    ------
    Missing
        If ``dysts`` is not installed.
    """
    import importlib
    import importlib.util

    if importlib.util.find_spec("dysts") is None:
        raise Missing("the package dysts is not here: pip install --no-deps dysts==0.96")
    # A stand-in of an earlier call has no spec, and find_spec raises ValueError on it.
    if "gluonts" not in sys.modules and importlib.util.find_spec("gluonts") is None:
        for name in ("gluonts", "gluonts.dataset", "gluonts.dataset.arrow"):
            sys.modules[name] = types.ModuleType(name)
        sys.modules["gluonts.dataset.arrow"].ArrowWriter = None  # type: ignore[attr-defined]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Numba not installed")  # slower, not wrong
        importlib.import_module("dysts.base")
    return sys.modules["dysts"]


def _root() -> Path:
    """Folder with ``notebooks/catalog.yml``: above the working directory, else above this file."""
    asked = os.environ.get("SEEDBOOK_ROOT")
    here = Path(asked).expanduser().resolve() if asked else Path.cwd()
    for folder in (here, *here.parents, *Path(__file__).resolve().parents):
        if (folder / "notebooks" / "catalog.yml").is_file():
            return folder
    raise FileNotFoundError(
        f"no notebooks/catalog.yml at or above {here}: change into a clone of the book, "
        "or set SEEDBOOK_ROOT to its folder"
    )


def _resolve(
    source: str | Mapping[str, Any], path: str | None, sha256: str | None, root: Path | None
) -> tuple[str, str, str, str, str]:
    """Return (owner, repo, commit, path, sha256), each checked."""
    if isinstance(source, Mapping):
        listed = files(source, root)
        if path is None and len(listed) == 1:
            path = next(iter(listed))
        if path not in listed:
            raise ValueError(f"path = {path!r}: entry {source['name']!r} has {list(listed)[:5]} …")
        source, sha256 = source["source"], listed[path]
    match = re.fullmatch(r"(?:github:)?([\w.-]+)/([\w.-]+)@([0-9a-f]{40})", str(source))
    if not match:
        raise ValueError(f"source = {source!r}: must be owner/repo@ and 40 hexadecimal digits")
    if not path or path.startswith("/") or ".." in path.split("/"):
        raise ValueError(f"path = {path!r}: must be a path inside the repository")
    if not re.fullmatch(r"[0-9a-f]{64}", sha256 or ""):
        raise ValueError(f"sha256 = {sha256!r}: must be 64 hexadecimal digits")
    return *match.groups(), path, sha256  # type: ignore[return-value]


def _local(owner: str, repo: str, commit: str, path: str, sha256: str) -> Path | None:
    """The file in the mirror or the cache, if its checksum is right."""
    places = [cache() / "data" / owner / repo / commit / path]
    if mirror := os.environ.get("SEEDBOOK_MIRROR"):
        places.insert(0, Path(mirror).expanduser() / owner / repo / path)
    for place in places:
        if place.is_file():
            stat = place.stat()
            if _sha256(place, stat.st_size, stat.st_mtime_ns) == sha256:
                return place
    return None


@memoize
def _sha256(path: Path, size: int, mtime_ns: int) -> str:
    """SHA-256 of a file; size and time only say when a remembered value is stale."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
