"""Published runs: ``book/editions/<slug>/<profile>/``, committed whole and small."""

from __future__ import annotations

import os
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import catalog, chapter, keys, parameters, runner, store
from .root import root as find_root

PROFILES = ("full", "quick")  # what the page prefers comes first
MAX_EDITION_MB, MAX_FRAMES_MB = 2.0, 1.0


class PublishError(ValueError):
    """A run that may not be published, in one line."""


@dataclass(frozen=True)
class Edition:
    """What a page can show: an edition, or a current run that is not published.

    Attributes
    ----------
    folder : Path
    profile : str
    run, claims : dict
        ``run.json`` and ``claims.json``.
    published, current : bool
        Lies in book/editions; its keys match the source.
    history : list of dict
        Every published (key, seed, verdicts), oldest first.
    """

    folder: Path
    profile: str
    run: dict[str, Any]
    claims: dict[str, Any]
    published: bool
    current: bool
    history: list[dict[str, Any]]


def folder(root: Path, slug: str, profile: str) -> Path:
    return root / "book" / "editions" / slug / profile


def current_keys(
    entry: catalog.Chapter, root: Path, profile: str, record: dict[str, Any] | None
) -> keys.Keys:
    """Keys that an edition of that profile would have now.

    `record` is the edition's ``run.json``: its device and its missing data are taken over, so that
    a machine without a GPU or a mirror can check what was made with one.
    """
    source = chapter.read(entry.slug, root)
    values = runner.profile_values(source, entry, profile)
    device = None
    if record:
        kind = record.get("device", {}).get("kind", "cpu")
        device = kind
    return keys.Keys(
        source,
        entry,
        values,
        root=root,
        lacking=record.get("missing") if record else None,
        device=device,
    )


def stale(entry: catalog.Chapter, root: Path, profile: str) -> list[str]:
    """Why an edition is not current, one phrase each; empty when it is.

    An edition that does not exist is stale for that reason.
    """
    place = folder(root, entry.slug, profile)
    if not (place / "run.json").is_file():
        return [f"there is no {profile} edition"]
    record = store.read_json(place / "run.json")
    now = current_keys(entry, root, profile, record)
    if now.run == record["run"]:
        return []
    return keys.why(record["parts"], now.parts) or ["its keys differ"]


def get(entry: catalog.Chapter, root: Path, profile: str) -> Edition | None:
    """The published edition of a profile, whatever its state."""
    place = folder(root, entry.slug, profile)
    if not (place / "run.json").is_file():
        return None
    history = place / "history.json"
    return Edition(
        place,
        profile,
        store.read_json(place / "run.json"),
        store.read_json(place / "claims.json"),
        True,
        not stale(entry, root, profile) if entry.exists else False,
        store.read_json(history)["published"] if history.is_file() else [],
    )


def shown(entry: catalog.Chapter, root: Path | None = None) -> list[Edition]:
    """What the page shows first, then the others; empty when there is nothing.

    A current ``full`` edition comes first, else ``quick``; where the quick edition is stale or
    missing, the current run that is not published stands in its place, marked so.
    """
    root = root or find_root()
    if not entry.exists:
        return []
    found = [e for p in PROFILES if (e := get(entry, root, p))]
    quick = next((e for e in found if e.profile == "quick"), None)
    if quick is None or not quick.current:
        now = current_keys(entry, root, "quick", None)
        run = store.find(root, entry.slug, now.run)
        if run:
            found = [e for e in found if e.profile != "quick"]
            found.append(Edition(run.folder, "quick", run.record, run.claims, False, True, []))
    return sorted(found, key=lambda e: (not e.current, PROFILES.index(e.profile)))


def plan(slug: str, root: Path, profile: str) -> runner.Plan:
    """What is to be done for the run that `publish` takes: mostly nothing.

    For a profile that wants a GPU that is a run made on one, on whatever machine, else one made on
    a processor because it was asked for; only where there is neither is one to be made here.

    Raises
    ------
    PublishError
        When there is no such run and no GPU to make it; says what differs in the newest one.
    """
    entry = catalog.load(root).chapter(slug)
    if not entry.wants_gpu(profile):
        return runner.prepare(slug, root=root, profile=profile)
    for kind in ("cuda", "cpu"):
        found = runner.prepare(
            slug, root=root, profile=profile, given={"device": kind}, elsewhere=True
        )
        if found.how != "run":
            return found
    try:
        return runner.prepare(slug, root=root, profile=profile)
    except parameters.ParameterError as error:
        said = f"{slug}: no run of the profile {profile} is current here, and {error}"
        for run in store.runs(root, slug):
            if run.record["profile"] == profile and not run.record["replicate"]:
                differs = keys.why(run.record["parts"], found.keys.parts)
                said += f"; of {run.record['run']} differs: {', '.join(differs)}"
                break
        raise PublishError(said) from None


def publish(run: store.Run, root: Path) -> Edition:
    """Make a run the edition of its chapter and profile.

    Raises
    ------
    PublishError
        When the run may not stand for the chapter; says why.
    """
    record, claims = run.record, run.claims
    slug, profile = record["slug"], record["profile"]
    entry = catalog.load(root).chapter(slug)
    problems = refusals(record, claims, entry, run.folder, root)
    if problems:
        raise PublishError(f"{slug}: " + "; ".join(problems))
    target = folder(root, slug, profile)
    history: list[dict[str, Any]] = []
    if (target / "history.json").is_file():
        history = store.read_json(target / "history.json")["published"]
    line = {
        "run": record["run"],
        "seed": record["parameters"]["seed"],
        "started": record["started"],
        "commit": record["commit"],
        "verdicts": {k: v["verdict"] for k, v in claims["verdicts"].items()},
    }
    if not history or history[-1]["run"] != line["run"]:
        history.append(line)
    part = target.with_name(f".part-{os.getpid()}-{uuid.uuid4().hex[:6]}")
    part.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copytree(run.folder, part, ignore=shutil.ignore_patterns("log.txt"))
        store.write_json(part / "history.json", {"schema": 1, "published": history})
        old = part.with_name(part.name + "-old")
        if target.exists():
            os.rename(target, old)
        os.rename(part, target)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    edition = get(entry, root, profile)
    assert edition is not None
    return edition


def refusals(
    record: dict[str, Any], claims: dict[str, Any], entry: catalog.Chapter, place: Path, root: Path
) -> list[str]:
    """Why a run may not be published, one phrase each."""
    out = []
    if record["seed_asked"] is not None:
        out.append("its seed was asked for; only a derived seed is published")
    if record["replicate"]:
        out.append(f"it is replicate {record['replicate']}; only replicate 0 is published")
    if record["parameters"].get("salmon"):
        out.append("it is a salmon run")
    if record["profile"] not in PROFILES:
        out.append(f"its profile is {record['profile']}; only quick and full are published")
    elif not out:
        now = current_keys(entry, root, record["profile"], record)
        if now.run != record["run"]:
            out.append(
                "the source has changed since: " + "; ".join(keys.why(record["parts"], now.parts))
            )
    if not claims["declared_before_data"]:
        out.append("its claims were declared after a frame was saved")
    lacking = sorted(set(record["missing"]) - set(keys.missing(entry, root)))
    if lacking:
        out.append(f"{', '.join(lacking)} was missing but can be had here: run again")
    frames_mb = sum(p.stat().st_size for p in (place / "frames").glob("*")) / 1e6
    all_mb = sum(p.stat().st_size for p in place.rglob("*") if p.is_file()) / 1e6
    if frames_mb > MAX_FRAMES_MB:
        out.append(
            f"its frames take {frames_mb:.1f} MB; at most {MAX_FRAMES_MB:g}: save what the view needs"
        )
    if all_mb > MAX_EDITION_MB:
        out.append(f"it takes {all_mb:.1f} MB; at most {MAX_EDITION_MB:g}")
    return out
