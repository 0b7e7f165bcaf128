"""The book's own error rate: its claims judged again on salmons, fresh seeds, positive controls.

A *salmon* run has the mechanism replaced by its null, so that no claim should be supported; a
*fresh* run has another seed than the edition; a *power* run has an effect that is known to be
there.  What came out is kept in ``book/audit/<slug>.jsonl``, a line a run, with the key of the run
and a digest of the code that judged it.  A line counts as long as that digest is the chapter's.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from . import catalog, chapter, keys, parameters, runner, store

FOLDER = Path("book", "audit")
KINDS = ("salmon", "fresh", "power")
# Seeds with smaller numbers were looked at while chapters were written.
FIRST = 101
Line = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """One thing to be judged over seeds.

    Attributes
    ----------
    kind : {"salmon", "fresh", "power"}
    profile : str
    given : dict
        Parameters laid over the profile's.
    claims : tuple of str
        Ids of the claims that it says something about; empty for all.
    """

    entry: catalog.Chapter
    kind: str
    profile: str
    given: Mapping[str, Any]
    claims: tuple[str, ...] = ()

    @cached_property
    def code(self) -> str:
        """Digest of everything but the seed that decides its verdicts."""
        entry = self.entry
        source = chapter.read(entry.slug, entry.root)
        values = parameters.resolve(
            source.parameters, {**runner.overrides(entry, self.profile), **self.given}
        )
        if values["seed"] is not None:
            raise parameters.ParameterError("an audit derives its seeds; leave `seed` out")
        parts = keys.Keys(source, entry, values, root=entry.root, lacking=[]).parts
        experiment, view = parts["experiment"], parts["view"]
        return keys.digest(
            [
                {k: v for k, v in experiment.items() if k not in ("seed", "missing")},
                view["cells"]["verdicts"],
                view["parameters"],
                {k: v for k, v in view["science"].items() if not k.startswith("seedbook.plots")},
            ]
        )[:16]

    def has(self, line: Line) -> bool:
        """Whether a line is of this setting, as the chapter is now."""
        mine = (self.kind, self.profile, dict(self.given), self.code)
        return (line["kind"], line["profile"], line["given"], line["code"]) == mine


def size(entry: catalog.Chapter) -> str:
    """The profile of an audit: ``sweep`` where the chapter has it, else ``quick``."""
    return "sweep" if "sweep" in entry.profiles else "quick"


def settings(entry: catalog.Chapter, profile: str | None = None) -> list[Setting]:
    """What there is to be judged of a chapter in a profile, by default that of `size`."""
    profile = profile or size(entry)
    runner.overrides(entry, profile)  # refuses a profile that is not there
    power = [Setting(entry, "power", profile, p["set"], tuple(p["claims"])) for p in entry.power]
    salmon = Setting(entry, "salmon", profile, {"salmon": True})
    return [salmon, Setting(entry, "fresh", profile, {}), *power]


def path(root: Path, slug: str) -> Path:
    return root / FOLDER / f"{slug}.jsonl"


def read(root: Path, slug: str) -> list[Line]:
    """Every line kept of a chapter, current or not.

    Raises
    ------
    StoreError
        If the file is damaged.
    """
    file = path(root, slug)
    if not file.is_file():
        return []
    try:
        return [json.loads(text) for text in file.read_text(encoding="utf-8").splitlines()]
    except ValueError as error:
        raise store.StoreError(f"{file} is damaged ({error}); delete it, and audit again") from None


def current(entry: catalog.Chapter) -> list[Line]:
    """The lines of a chapter that still count."""
    lines = read(entry.root, entry.slug)
    found = {line["profile"] for line in lines}
    valid = [
        s for p in sorted(found) if p == "quick" or p in entry.profiles for s in settings(entry, p)
    ]
    return [line for line in lines if any(s.has(line) for s in valid)]


def missing(
    wanted: Mapping[str, int],
    entry: catalog.Chapter,
    profile: str | None = None,
    first: int = FIRST,
) -> list[tuple[Setting, int]]:
    """Settings and numbers of derived seeds that no line is kept of.

    Parameters
    ----------
    wanted : mapping
        Kind to number of seeds.
    first : int
        Number of the first derived seed; 0 is the edition's.

    Raises
    ------
    ParameterError
        If a setting cannot be run.
    """
    kept, found = read(entry.root, entry.slug), []
    for setting in settings(entry, profile):
        setting.code  # noqa: B018, what cannot be run is refused here
        there = {x["replicate"] for x in kept if setting.has(x)}
        many = range(first, first + wanted.get(setting.kind, 0))
        found += [(setting, i) for i in many if i not in there]
    return found


def line(setting: Setting, run: store.Run) -> Line:
    """What is kept of a run."""
    record, claims = run.record, run.claims
    judged = {}
    for claim in claims["claims"]:
        verdict = claims["verdicts"][claim["id"]]
        measure = claims["measures"].get(claim["measure"]) or {}
        judged[claim["id"]] = {
            "verdict": verdict["verdict"],
            "p": verdict["p"],
            **{k: measure.get(k) for k in ("estimate", "low", "high")},
        }
    return {
        "kind": setting.kind,
        "profile": setting.profile,
        "given": dict(setting.given),
        "code": setting.code,
        "replicate": record["replicate"],
        "seed": record["parameters"]["seed"],
        "run": record["run"],
        "machine": store.device(record),
        "wall_s": record["wall_s"],
        "claims": judged,
    }


def keep(entry: catalog.Chapter, new: Sequence[Line]) -> Path:
    """Add lines to a chapter's file; lines that count no more are dropped."""

    def name(x: Line) -> tuple[Any, ...]:
        given = json.dumps(x["given"], sort_keys=True)
        return KINDS.index(x["kind"]), x["profile"], given, x["replicate"]

    lines = {name(x): x for x in [*current(entry), *new]}
    file = path(entry.root, entry.slug)
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.{os.getpid()}-{uuid.uuid4().hex[:6]}")
    text = "".join(
        json.dumps(lines[k], ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"
        for k in sorted(lines)
    )
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)
    return file
