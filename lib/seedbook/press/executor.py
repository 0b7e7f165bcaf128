"""Many runs on one machine: packed into its cores, longest first, none stopping the others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from multiprocessing.connection import wait
from typing import Any

from . import chapter, keys, runner, store

Result = store.Run | runner.RunError


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


def execute(
    plans: list[runner.Plan],
    on_event: Callable[[runner.Plan, runner.Event], None] = lambda plan, event: None,
    *,
    warm: bool = True,
) -> list[Result]:
    """Execute plans; the result of each, in their order.

    Parameters
    ----------
    plans : list of Plan
    on_event : callable
        Gets each plan's events as they come.
    warm : bool
        Fork kernels from a parent that has the chapters' imports done, where that works.

    Raises
    ------
    KeyboardInterrupt
        After every run under way has been stopped and cleaned up.
    """
    results: list[Result | None] = [plan.done for plan in plans]
    todo = [i for i, r in enumerate(results) if r is None]
    todo.sort(key=lambda i: -sum(plans[i].expected.values()))
    parents: dict[int, Any] = {}
    jobs: dict[runner.Job, int] = {}
    room = cores()
    stopping = False
    try:
        if warm and len(todo) > 1:
            parents = _warm_parents([plans[i] for i in todo])
        while todo or jobs:
            for i in [] if stopping else list(todo):
                need = min(plans[i].threads, cores())
                if need > room:
                    continue
                todo.remove(i)
                room -= need
                parent = parents.get(plans[i].threads)
                plans[i].warm = parent.address if parent else None
                jobs[runner.start(plans[i])] = i
            try:
                ready = wait([j._events for j in jobs], timeout=1.0)
                for job in [j for j in jobs if j._events in ready or not j.process.is_alive()]:
                    event = job.next()
                    i = jobs[job]
                    on_event(plans[i], event)
                    if event["event"] in ("done", "failed"):
                        del jobs[job]
                        room += min(plans[i].threads, cores())
                        try:
                            results[i] = job.result()
                        except runner.RunError as error:
                            results[i] = error
            except KeyboardInterrupt:
                stopping = True
                todo.clear()
                for job in jobs:
                    job.cancel()
    finally:
        for parent in parents.values():
            parent.stop()
    if stopping:
        raise KeyboardInterrupt
    return [r for r in results if r is not None]


def _warm_parents(plans: list[runner.Plan]) -> dict[int, Any]:
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
