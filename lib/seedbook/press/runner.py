"""One execution of one chapter, in a process of its own, whole or absent.

`prepare` resolves parameters, seed and keys without starting anything; `start` hands the plan to
a child process that executes the notebook with papermill and moves the finished run into the
store; `run` does both and waits.  Events are plain dicts, the same for terminal, page and cluster.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import catalog, chapter, keys, parameters, store
from .root import root as find_root

PROFILES = ("smoke", "quick", "full", "sweep")
CELL_LIMIT_S, RUN_LIMIT_S = 900, 3600
PATIENCE = 20  # as much time for a profile that wants a GPU and runs without
LOOK_BACK = 8  # late runs whose durations are looked at
FREE = ("seed", "device", "salmon")  # parameters that do not make a profile
ENDS = ("done", "failed")  # kinds of a last event
Event = dict[str, Any]


class RunError(RuntimeError):
    """A run that failed, in one sentence.

    Attributes
    ----------
    folder : Path or None
        Where the partial notebook and the log lie.
    cause : str
        ``"chapter"``, ``"memory"`` (perhaps there was too little), ``"stopped"`` (somebody wished
        it) or ``"died"`` (the process of the run).
    """

    def __init__(self, sentence: str, folder: Path | None = None, cause: str = "chapter"):
        super().__init__(sentence)
        self.folder, self.cause = folder, cause

    def __reduce__(self):
        return (RunError, (self.args[0], self.folder, self.cause))


@dataclass
class Plan:
    """What is to be done, resolved: no kernel has started.

    `how` is ``"kept"`` (the run exists: `done`), ``"redraw"`` (from the frames in `frames_from`) or
    ``"run"``.
    """

    root: Path
    slug: str
    profile: str
    values: dict[str, Any]
    seed_asked: int | None
    replicate: int
    keys: keys.Keys
    threads: int
    cell_limit_s: float
    run_limit_s: float
    how: str
    done: store.Run | None = None
    frames_from: Path | None = None
    force: bool = False
    warm: str | None = None
    expected: dict[str, float] = field(default_factory=dict)
    shelf: Path = Path()  # the folder whose runs/ the run goes to: the root, but for `verify`
    gpu: bool = False  # needs a CUDA device
    differs: list[str] = field(default_factory=list)  # of the machine that asked, and allowed

    @property
    def label(self) -> str:
        """``slug``, with what makes it special."""
        special = [self.profile] if self.profile != "quick" else []
        special += ["salmon"] if self.values.get("salmon") else []
        special += [f"replicate {self.replicate}"] if self.replicate else []
        return self.slug + (f" ({', '.join(special)})" if special else "")


def profile_values(source: chapter.Source, entry: catalog.Chapter, profile: str) -> dict[str, Any]:
    """All parameters of a chapter in a profile.

    Raises
    ------
    parameters.ParameterError
        If the chapter has no such profile.
    """
    return parameters.resolve(source.parameters, overrides(entry, profile))


def overrides(entry: catalog.Chapter, profile: str) -> dict[str, Any]:
    """What a profile sets; ``quick`` is the defaults of the notebook.

    Raises
    ------
    parameters.ParameterError
        If the chapter has no such profile.
    """
    if profile != "quick" and profile not in entry.profiles:
        have = ", ".join(["quick", *entry.profiles])
        raise parameters.ParameterError(f"{entry.slug} has no profile {profile!r}; it has {have}")
    found = entry.profiles.get(profile, {})
    device = {"device": found["device"]} if "device" in found else {}
    return {**device, **found.get("set", {})}


def profile_of(source: chapter.Source, entry: catalog.Chapter, values: dict[str, Any]) -> str:
    """Name of the profile whose parameters these are, else ``custom``."""
    bare = {k: v for k, v in values.items() if k not in FREE}
    for name in ("quick", *(p for p in PROFILES if p in entry.profiles and p != "quick")):
        named = profile_values(source, entry, name)
        if {k: v for k, v in named.items() if k not in FREE} == bare:
            return name
    return "custom"


def in_process(
    slug: str, profile: str, given: dict[str, Any], *, figures: bool = True
) -> dict[str, Any]:
    """Execute a chapter's cells here, without a kernel or a store; their names afterwards.

    Its frames lie in the temporary folder of this process: once a process. For tests and benchmarks
    that put something in torch's place.
    """
    root = find_root()
    source = chapter.read(slug, root)
    sets = {**overrides(catalog.load(root).chapter(slug), profile), **given}
    space: dict[str, Any] = {"__name__": "__main__"}
    for cell in source.code:
        if cell.figure and not figures:
            continue
        exec(compile(cell.source, f"<{slug}: {cell.id}>", "exec"), space)
        if cell.id == "parameters":
            space |= parameters.resolve(source.parameters, sets)
    return space


def prepare(
    slug: str,
    *,
    root: Path | None = None,
    profile: str = "quick",
    given: dict[str, Any] | None = None,
    replicate: int = 0,
    force: bool = False,
    warm: str | None = None,
    shelf: Path | None = None,
    elsewhere: bool = False,
) -> Plan:
    """Resolve a run.

    Parameters
    ----------
    slug : str
    profile : str
        ``smoke``, ``quick``, ``full`` or ``sweep``.
    given : dict
        Parameters laid over the profile's.
    replicate : int
        0 is the run that can be published; i > 0 derives another seed.
    force : bool
        Run even if the run exists.
    warm : str
        Address of a warm parent (`seedbook.press.warm`).
    shelf : Path
        Folder whose ``runs/`` takes the run; the root by default.
    elsewhere : bool
        The run is for another machine: a device that is asked for counts as there, and ``auto`` is
        the processor.

    Raises
    ------
    ChapterError, ParameterError, CatalogError
        One line each; nothing has been started.
    """
    root = root or find_root()
    entry = catalog.load(root).chapter(slug)
    source = chapter.read(slug, root)
    values = parameters.resolve(source.parameters, {**overrides(entry, profile), **(given or {})})
    if replicate < 0:
        raise parameters.ParameterError(f"replicate = {replicate}: must be 0 or more")
    if replicate and values["seed"] is not None:
        raise parameters.ParameterError(
            "give a seed or a replicate, not both: a replicate derives its seed"
        )
    asked = values["seed"]
    try:
        kind = keys.device_kind(values["device"], elsewhere)
        both = keys.Keys(source, entry, values, root=root, replicate=replicate, device=kind)
    except ValueError as error:
        raise parameters.ParameterError(str(error)) from None
    values["seed"] = both.seed
    patience = PATIENCE if kind == "cpu" and entry.wants_gpu(profile) else 1
    plan = Plan(
        root=root,
        slug=slug,
        profile=profile_of(source, entry, values),
        values=values,
        seed_asked=asked,
        replicate=replicate,
        keys=both,
        threads=entry.threads,
        cell_limit_s=patience * float(entry.limits.get("cell_s", CELL_LIMIT_S)),
        run_limit_s=patience * RUN_LIMIT_S,
        how="run",
        force=force,
        warm=warm,
        shelf=shelf or root,
        gpu=kind == "cuda",
    )
    plan.expected = _expected(root, slug, plan.profile)
    if not force:
        plan.done = store.find(plan.shelf, slug, both.run)
        old = store.find_experiment(plan.shelf, slug, both.experiment[: keys.SHORT])
        if plan.done:
            plan.how = "kept"
        elif old:
            plan.how, plan.frames_from = "redraw", old.folder
    return plan


def _expected(root: Path, slug: str, profile: str) -> dict[str, float]:
    """Seconds per cell of a late run, of that profile if there is one; else of an edition.

    Other profiles stand in, except for ``full``: theirs are too short for it, by hours at times.
    """
    found: dict[str, float] = {}
    others = profile != "full"
    for run in store.runs(root, slug)[:LOOK_BACK]:
        record = run.record
        cells = record.get("cells", {})
        if "method" in cells and record.get("profile") == profile:
            return cells
        if "method" in cells and others:
            found = found or cells
    for name in (profile, *(("quick", "full") if others and not found else ())):
        path = root / "book" / "editions" / slug / name / "run.json"
        if path.is_file():
            return store.read_json(path).get("cells", {})
    return found


# -- jobs -----------------------------------------------------------------------------------------


def _context() -> multiprocessing.context.BaseContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["papermill", "seedbook.claims", "seedbook.press.execution"])
    return context


def get_ready() -> None:
    """Start the process that runs are forked from, so that the first need not wait for it."""
    from multiprocessing import forkserver

    _context()
    forkserver.ensure_running()


class Job:
    """A run under way in a child process.

    Iterate over it for its events; the last one is ``done`` or ``failed``.

    Attributes
    ----------
    events : Connection
        For `multiprocessing.connection.wait`: ready when `next` need not wait, and closed once the
        run has `ended`.
    """

    def __init__(self, plan: Plan):
        self.plan = plan
        context = _context()
        self.events, theirs = context.Pipe(duplex=False)
        control, self._control = context.Pipe(duplex=False)
        self.process = context.Process(  # type: ignore[attr-defined]
            target=_work, args=(plan, theirs, control), name=f"seedbook {plan.slug}", daemon=False
        )
        self.process.start()
        theirs.close()
        control.close()
        self._last: Event | None = None

    @property
    def ended(self) -> bool:
        """Whether the last event has been read; `next` then gives it again."""
        return self._last is not None

    def next(self) -> Event:
        """The next event; waits for it.  After the last one, the last one again."""
        if self._last is not None:
            return self._last
        try:
            event = self.events.recv()
        except EOFError:
            self.process.join(10)
            event = {
                "event": "failed",
                "slug": self.plan.slug,
                "sentence": f"{self.plan.label}: the process of the run died "
                f"(exit {self.process.exitcode}); nothing of it was kept",
                "folder": None,
                "cause": "died",
            }
        if event["event"] in ENDS:
            self._last = event
            self.process.join()
            self.events.close()
            self._control.close()
        return event

    def __iter__(self):
        while True:
            event = self.next()
            yield event
            if event["event"] in ENDS:
                return

    def cancel(self) -> None:
        """Ask the run to stop; it answers with ``failed`` after it has cleaned up."""
        try:
            self._control.send("cancel")
        except OSError:
            pass

    def result(self) -> store.Run:
        """Wait for the end.

        Raises
        ------
        RunError
            With the one sentence that says why.
        """
        *_, event = self
        run = outcome(event)
        if isinstance(run, RunError):
            raise run
        return run


def outcome(event: Event) -> store.Run | RunError:
    """What a last event says: the run, or why there is none."""
    folder = Path(event["folder"]) if event["folder"] else None
    if event["event"] == "failed":
        return RunError(event["sentence"], folder, event["cause"])
    assert folder is not None
    return store.Run(folder)


def _work(plan: Plan, events: Any, control: Any) -> None:
    from . import execution

    execution.work(plan, events, control)


def start(plan: Plan) -> Job:
    """Begin a plan in a child process."""
    return Job(plan)


def run(slug: str, *, on_event: Callable[[Event], None] | None = None, **options: Any) -> store.Run:
    """Prepare, execute and wait; see `prepare` for the options."""
    plan = prepare(slug, **options)
    if plan.done:
        return plan.done
    job = start(plan)
    try:
        for event in job:
            if on_event:
                on_event(event)
    except KeyboardInterrupt:
        job.cancel()
    return job.result()
