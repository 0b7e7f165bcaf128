"""Many runs: longest first, none stopping the others, on one machine or on many.

`execute` knows how runs are ordered, reported and stopped.  A `Side` knows where they are made:
`Local` packs them into the cores of this machine, `seedbook.press.cluster` hands them to a Dask
cluster.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import wait
from typing import Any

from . import chapter, keys, runner, store

Result = store.Run | runner.RunError
# Of a run, or, with None, a note about the machines: {"event": "note", "text": ...}.
OnEvent = Callable[[runner.Plan | None, runner.Event], None]


class Refused(ValueError):
    """What was asked cannot be done there, in a sentence; nothing has been queued."""


class Lost(RuntimeError):
    """The machines are out of reach, in a sentence; what was finished is kept."""


def cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1


def warm_modules(plans: Iterable[runner.Plan]) -> list[str]:
    """Other people's modules that the chapters of these plans import, or their science does."""
    return foreign_modules(chapter.read(plan.slug, plan.root) for plan in plans)


def foreign_modules(sources: Iterable[chapter.Source], views: bool = False) -> list[str]:
    """Other people's modules that chapters import, or their science does.

    Parameters
    ----------
    views : bool
        Only what claims and view cells reach; the modules of models are left out, for a view needs
        none.
    """
    found: set[str] = set()
    science = keys.science()
    for source in sources:
        wanted = chapter.view_reads(source) if views else None
        for name, (module, symbol) in chapter.imports(source.only("setup")).items():
            if wanted is not None and name not in wanted:
                continue
            own = symbol if module == "seedbook" else module.removeprefix("seedbook.")
            if own in science:
                found |= science[own].foreign
            elif not module.startswith("seedbook"):
                found.add(module)
    if views:
        found = {m for m in found if m.split(".")[0] not in ("torch", "transformers")}
    return sorted(found - {"__future__"})


class Side:
    """A place where runs are made.  Enter it, `begin` once, and ask for `news` until all ended.

    Attributes
    ----------
    ended : dict
        Last event of each plan that ended, by ``id(plan)``; it stands there before `news` tells it,
        so that an interrupt loses none.
    """

    def __init__(self) -> None:
        self.ended: dict[int, runner.Event] = {}

    def __enter__(self):
        return self

    def __exit__(self, *failure: Any) -> None:
        pass

    def begin(self, plans: list[runner.Plan]) -> None:
        """Take plans, longest first.

        Raises
        ------
        Refused
            If one of them cannot be made here; then none is begun.
        """
        raise NotImplementedError

    def news(self, seconds: float) -> Iterator[tuple[runner.Plan | None, runner.Event]]:
        """Start what there is room for, and tell the events that come within so many seconds.

        Raises
        ------
        Lost
            If nothing more can come.
        """
        raise NotImplementedError

    def cancel(self) -> None:
        """Stop everything; what was queued has ended at once, the rest ends in later news."""
        raise NotImplementedError

    def _never_began(self, plan: runner.Plan) -> None:
        self.ended[id(plan)] = {
            "event": "failed",
            "slug": plan.slug,
            "sentence": f"{plan.label}: stopped before it began",
            "folder": None,
            "cause": "stopped",
        }


def execute(
    plans: list[runner.Plan],
    on_event: OnEvent = lambda plan, event: None,
    *,
    warm: bool = True,
    side: Side | None = None,
) -> list[Result]:
    """Execute plans; the result of each, in their order.

    Parameters
    ----------
    plans : list of Plan
        Two of the same name are made once.
    on_event : callable
        Gets each plan's events as they come.
    warm : bool
        Fork kernels from a parent that has the chapters' imports done, where that works.
    side : Side
        Where; on this machine by default.

    Raises
    ------
    KeyboardInterrupt
        After every run under way has been stopped and cleaned up.
    Refused, Lost
        By the side.
    """
    unique: dict[Any, runner.Plan] = {}
    for p in plans:
        if p.done is None:
            unique.setdefault((p.shelf, p.slug, p.keys.run), p)
    todo = sorted(unique.values(), key=seconds, reverse=True)
    side = side or Local(warm)
    stopping = False
    if todo:
        with side:
            side.begin(list(todo))
            with _interrupts() as pressed:
                while len(side.ended) < len(todo):
                    for plan, event in side.news(1.0):
                        on_event(plan, event)
                    if pressed:
                        pressed.clear()
                        stopping = True
                        side.cancel()
    if stopping:
        raise KeyboardInterrupt
    return [
        p.done or runner.outcome(side.ended[id(unique[p.shelf, p.slug, p.keys.run])]) for p in plans
    ]


@contextlib.contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Ctrl-C adds to a list for a while, where it would raise KeyboardInterrupt.

    Raised inside a callback or a finalizer of some library, that exception is lost.
    """
    pressed: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    mine = threading.current_thread() is threading.main_thread()
    if not mine or before is not signal.default_int_handler:  # such as: ignored, under nohup
        yield pressed
        return
    signal.signal(signal.SIGINT, lambda number, frame: pressed.append(number))
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


def seconds(plan: runner.Plan) -> float:
    """How long a plan will take by recorded durations; one without a record may take long."""
    return sum(plan.expected.values()) if plan.expected else math.inf


class Local(Side):
    """This machine: a process for each run, packed into the cores there are.

    Parameters
    ----------
    warm : bool
        Fork kernels from a parent that has the imports done, where that works.
    """

    def __init__(self, warm: bool = True) -> None:
        super().__init__()
        self._warm = warm
        self._todo: list[runner.Plan] = []
        self._jobs: dict[runner.Job, runner.Plan] = {}
        self._parents: dict[int, Any] = {}  # by threads

    def __exit__(self, *failure: Any) -> None:
        for job in self._jobs:
            job.cancel()
        for parent in self._parents.values():
            parent.stop()

    @property
    def busy(self) -> bool:
        """Whether something is queued or under way."""
        return bool(self._todo or self._jobs)

    def begin(self, plans: list[runner.Plan]) -> None:
        self._todo = list(plans)
        if self._warm:
            self._parents = _warm_parents(plans)

    def news(self, seconds: float) -> Iterator[tuple[runner.Plan, runner.Event]]:
        self._start()
        jobs = list(self._jobs)
        ready = wait([j.events for j in jobs if not j.ended], timeout=seconds)
        for job in jobs:
            if job.ended or job.events in ready or not job.process.is_alive():
                plan, event = self._jobs[job], job.next()
                if job.ended:
                    self.ended[id(plan)] = event
                    del self._jobs[job]
                yield plan, event

    def _start(self) -> None:
        """Start what fits into the cores."""
        for plan in list(self._todo):
            taken = sum(min(p.threads, cores()) for p in self._jobs.values())
            if taken + min(plan.threads, cores()) > cores():
                continue
            parent = self._parents.get(plan.threads)
            plan.warm = parent.address if parent else None
            self._jobs[runner.start(plan)] = plan
            self._todo.remove(plan)

    def cancel(self) -> None:
        for plan in self._todo:
            self._never_began(plan)
        self._todo = []
        for job in self._jobs:
            job.cancel()


def _warm_parents(plans: list[runner.Plan]) -> dict[int, Any]:
    """A warm parent for each thread count that several plans have."""
    from . import warm

    if not warm.supported():
        return {}
    parents = {}
    for threads in sorted({p.threads for p in plans}):
        mine = [p for p in plans if p.threads == threads]
        if len(mine) > 1:
            parents[threads] = warm.WarmParent(warm_modules(mine), threads=threads)
            parents[threads].start()
    return parents
