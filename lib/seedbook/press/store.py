"""Where runs lie: ``runs/<slug>/<experiment key>-<view key>/``, each whole or absent.

A run is built in a private folder beside its place and renamed into it in one step.  One process
makes a run at a time; others that want the same one wait for it and take it.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

FAILURES_KEPT = 5


class StoreError(OSError):
    """The store cannot be read or written, in one line."""


@dataclass(frozen=True)
class Run:
    """A finished run (or an edition): a folder with ``run.json`` and ``claims.json``."""

    folder: Path

    @property
    def record(self) -> dict[str, Any]:
        return read_json(self.folder / "run.json")

    @property
    def claims(self) -> dict[str, Any]:
        return read_json(self.folder / "claims.json")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file of the store.

    Raises
    ------
    StoreError
        With the path, when it is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StoreError(f"{path} is missing") from None
    except ValueError as error:
        raise StoreError(f"{path} is damaged ({error}); delete its folder and run again") from None


def write_json(path: Path, value: Any) -> None:
    """Write JSON that never holds NaN, byte-equal for equal values."""
    path.write_text(
        json.dumps(value, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n",
        encoding="utf-8",
    )


def folder(root: Path, slug: str) -> Path:
    return root / "runs" / slug


def runs(root: Path, slug: str) -> list[Run]:
    """Finished runs of a chapter, newest first."""
    place = folder(root, slug)
    if not place.is_dir():
        return []
    found = [
        p for p in place.iterdir() if (p / "run.json").is_file() and not p.name.startswith(".")
    ]
    return [
        Run(p)
        for p in sorted(found, key=lambda p: (p / "run.json").stat().st_mtime_ns, reverse=True)
    ]


def find(root: Path, slug: str, name: str) -> Run | None:
    """The run of that name ``<experiment>-<view>``, if it is there."""
    path = folder(root, slug) / name
    return Run(path) if (path / "run.json").is_file() else None


def find_experiment(root: Path, slug: str, key: str) -> Run | None:
    """Any finished run or edition whose frames have that experiment key (12 digits)."""
    for run in runs(root, slug):
        if run.folder.name.startswith(key + "-"):
            return run
    for path in sorted((root / "book" / "editions" / slug).glob("*/run.json")):
        if read_json(path).get("experiment_key", "") == key:
            return Run(path.parent)
    return None


@contextlib.contextmanager
def claim(root: Path, slug: str, name: str) -> Iterator[None]:
    """Hold the right to make one run; wait while another process holds it."""
    import fcntl

    place = folder(root, slug)
    try:
        place.mkdir(parents=True, exist_ok=True)
        lock = open(place / f".lock-{name}", "w")
    except OSError as error:
        raise StoreError(f"cannot write to {place}: {error.strerror}; make it writable") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                os.unlink(lock.name)


def begin(root: Path, slug: str) -> Path:
    """A private folder in which a run is built; parts of dead processes are swept first."""
    place = folder(root, slug)
    try:
        place.mkdir(parents=True, exist_ok=True)
        sweep(place)
        me = psutil.Process()
        part = place / f".part-{me.pid}-{int(me.create_time() * 100)}-{uuid.uuid4().hex[:8]}"
        part.mkdir(mode=0o755)
        (part / "frames").mkdir()
        (part / "figures").mkdir()
    except OSError as error:
        raise StoreError(f"cannot write to {place}: {error.strerror}; make it writable") from error
    return part


def sweep(place: Path) -> None:
    """Remove private folders whose process is gone."""
    for part in place.glob(".part-*"):
        try:
            pid, born = map(int, part.name.split("-")[1:3])
            owner = psutil.Process(pid)
            alive = int(owner.create_time() * 100) == born and owner.status() != "zombie"
        except (ValueError, psutil.Error):
            alive = False
        if not alive:
            shutil.rmtree(part, ignore_errors=True)


def commit(part: Path, target: Path) -> Run:
    """Move a finished private folder to its place; if another run won, keep that one."""
    for path in part.rglob("*"):
        if path.is_file():
            with open(path, "rb") as f:
                os.fsync(f.fileno())
    try:
        os.rename(part, target)
    except OSError:
        if not (target / "run.json").is_file():
            raise
        shutil.rmtree(part, ignore_errors=True)
    return Run(target)


def replace(part: Path, target: Path) -> Run:
    """Like `commit`, but a run that is there gives way (a forced run)."""
    if target.exists():
        old = target.with_name(f".part-0-0-{uuid.uuid4().hex[:8]}")
        os.rename(target, old)
        os.rename(part, target)
        shutil.rmtree(old, ignore_errors=True)
        return Run(target)
    return commit(part, target)


def remove(run: Run) -> None:
    """Take a run out of the store, in one step for whoever looks."""
    old = run.folder.with_name(f".part-0-0-{uuid.uuid4().hex[:8]}")
    os.rename(run.folder, old)
    shutil.rmtree(old, ignore_errors=True)


def fail(root: Path, slug: str, part: Path | None, failure: dict[str, Any]) -> Path | None:
    """Keep what a failed run left: ``failed/<time>/`` with the last five; None if even that fails."""
    place = folder(root, slug) / "failed"
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S-%f")
    try:
        target = place / stamp
        target.mkdir(parents=True)
        write_json(target / "failure.json", failure)
        if part is not None:
            for name in ("notebook.ipynb", "log.txt"):
                if (part / name).is_file():
                    shutil.move(part / name, target / name)
        for old in sorted(p for p in place.iterdir() if p.is_dir())[:-FAILURES_KEPT]:
            shutil.rmtree(old, ignore_errors=True)
        return target
    except OSError:
        return None
    finally:
        if part is not None:
            shutil.rmtree(part, ignore_errors=True)


def device(record: dict[str, Any]) -> str:
    """What a run was computed on: the GPU where it had one, else the processor.

    >>> device({"device": {"kind": "cuda", "name": "EPYC", "vectors": "AVX2", "gpu": "H200"}})
    'H200'
    >>> device({"device": {"kind": "cpu", "name": "EPYC", "vectors": "AVX2"}})
    'EPYC (AVX2)'
    """
    found = record["device"]
    name = found.get("name") or found["kind"]
    return found.get("gpu") or (f"{name} ({found['vectors']})" if "vectors" in found else name)
