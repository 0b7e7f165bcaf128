"""Runs on a Dask cluster: the side of `executor` that reaches other machines.

Three parts meet.  `Cluster`, in the process of the command, keeps the queue and gives each worker
what fits into its threads.  `work`, on a worker, passes the task to a *hand*: a process of its own
that makes the run in child processes exactly as on one machine, so that the worker stays
responsive and a run can be stopped.  A task names a chapter, its parameters, profile and seed; the
answer is the key of the run and, unless both sides see the same disk, its few small files.

The queue stays with the command for three reasons.  The order is kept to the last.  A worker is
looked at before it gets its first task, also one that joins late.  And what a lost worker had under
way is known exactly: it is queued again, while a chapter's own failure never is.

Nothing here imports `distributed` before a cluster is asked for.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import queue
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing import connection
from pathlib import Path, PurePosixPath
from typing import Any

from . import catalog, chapter, execution, executor, keys, parameters, runner, store
from .executor import Lost, Refused
from .root import root as find_root

TOPIC = "seedbook"  # the events of all runs; everybody picks those of their own
CONNECT_S = 10  # for the first connection to a scheduler
LOOK_S = 1.0  # between two looks at who is there
TRIES = 3  # workers that may be lost under one task
STOP_S = 30.0  # runs under way have so long to clean up
QUIET_S = 0.5  # between two reports of progress inside a cell
Task = dict[str, Any]
Answer = dict[str, Any]


# -- the command's side ---------------------------------------------------------------------------


@dataclass
class Worker:
    """A worker as the command sees it.

    Attributes
    ----------
    threads : int
        Cores that runs may take together; a run takes as many as its chapter has threads.
    lacks : dict
        By chapter: in which data it differs from this machine, a phrase; such a chapter would make
        another run there.
    refused : str
        Why it gets nothing; empty if it may work.
    """

    address: str
    name: str
    threads: int
    gpus: int
    lacks: dict[str, str] = field(default_factory=dict)
    differs: list[str] = field(default_factory=list)
    refused: str = ""
    running: bool = True
    busy: int = 0
    gpus_busy: int = 0

    def can(self, plan: runner.Plan) -> bool:
        """Whether it could ever make that run."""
        return not (self.refused or plan.slug in self.lacks or (plan.gpu and not self.gpus))

    def has_room(self, plan: runner.Plan) -> bool:
        """Whether it can begin it now."""
        free = self.running and self.busy + self.cores(plan) <= self.threads
        return self.can(plan) and free and not (plan.gpu and self.gpus_busy >= self.gpus)

    def cores(self, plan: runner.Plan) -> int:
        """How many of its threads a run takes."""
        return min(plan.threads, self.threads)


@dataclass
class Trip:
    """One plan on its way through the cluster."""

    plan: runner.Plan
    tries: int = 0  # workers lost under it
    memory: bool = False  # it was short of memory once
    files: bool = False  # wanted even where the disk seems to be shared
    avoid: set[str] = field(default_factory=set)
    worker: Worker | None = None
    future: Any = None


class Cluster(executor.Side):
    """The workers of a Dask scheduler.

    Parameters
    ----------
    scheduler : str
        ``tcp://HOST:PORT``, ``HOST:PORT``, or the path of a scheduler file.
    other_versions : bool
        Let workers with another commit, Python or torch work too; their runs say so.
    warm : bool
        Fork kernels on the workers from a parent that has the imports done.
    wait_s : float
        So long may pass without any worker.

    Raises
    ------
    Refused
        If the package `distributed` is missing or the address is none.
    """

    def __init__(
        self,
        scheduler: str,
        *,
        other_versions: bool = False,
        warm: bool = True,
        wait_s: float = 120.0,
    ):
        super().__init__()
        try:
            import distributed  # noqa: F401
        except ImportError:
            raise Refused(
                "--scheduler needs the package distributed: pip install '.[cluster]'"
            ) from None
        self._scheduler, self._where = scheduler, _where(scheduler)
        self._other_versions, self._warm, self._wait_s = other_versions, warm, wait_s
        self._here = executor.Local(warm)  # redraws: their frames lie here
        self._news: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._workers: dict[str, Worker] = {}
        self._trips: dict[str, Trip] = {}  # by name of the run
        self._todo: list[Trip] = []
        self._told: list[tuple[runner.Plan | None, runner.Event]] = []
        self._looked = 0.0
        self._idle_since: float | None = None
        self._modules: dict[int, tuple[list[str], bool]] = {}
        self._marker: Path | None = None
        self._client: Any = None

    # entering and leaving

    def __enter__(self) -> Cluster:
        from distributed import Client

        for name in list(logging.root.manager.loggerDict):
            if name.startswith("distributed"):  # what matters is said here
                logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            self._client = Client(
                **self._where, timeout=CONNECT_S, name="seedbook", set_as_default=False
            )
        except (OSError, ValueError) as error:
            raise Refused(
                f"no scheduler answers at {self._scheduler} ({type(error).__name__}): start one "
                "with `dask scheduler`, or mend the address"
            ) from None
        self._client.subscribe_topic(TOPIC, self._hear)
        return self

    def __exit__(self, *failure: Any) -> None:
        self._here.__exit__(*failure)
        if self._marker:
            self._marker.unlink(missing_ok=True)
        if self._client is not None:
            with contextlib.suppress(Exception):
                self._client.close(timeout=3)

    # the seam

    def begin(self, plans: list[runner.Plan]) -> None:
        redraws = [p for p in plans if p.how == "redraw"]
        away = [p for p in plans if p.how != "redraw"]
        self._trips = {p.keys.run: Trip(p) for p in away}
        self._mark(away)
        until = time.monotonic() + self._wait_s
        while away and not any(w.running for w in self._workers.values()):
            self._look()
            if time.monotonic() > until:
                raise Refused(
                    f"no worker has joined {self._scheduler} within {self._wait_s:.0f} s: start one "
                    f"with `dask worker {self._scheduler}`"
                )
            if not self._workers:
                time.sleep(0.2)
        self._refuse_what_cannot_be(away)
        self._todo = list(self._trips.values())
        if self._warm:
            for threads in {p.threads for p in away}:
                mine = [p for p in away if p.threads == threads]
                worth = len(mine) > len(self._workers)
                self._modules[threads] = (executor.warm_modules(mine), worth)
        self._here.begin(redraws)

    def news(self, seconds: float) -> Iterator[tuple[runner.Plan | None, runner.Event]]:
        if time.monotonic() - self._looked > LOOK_S:
            self._look()
        self._hand_out()
        if self._here.busy:
            yield from self._here.news(0.05)
            self.ended |= self._here.ended
        yield from self._tell()
        items = []
        with contextlib.suppress(queue.Empty):
            items.append(self._news.get(timeout=min(seconds, LOOK_S)))
            while True:
                items.append(self._news.get_nowait())
        for kind, what in items:
            if kind == "answer":
                self._take(what)
            elif kind == "event":
                self._event(what)
        yield from self._tell()

    def cancel(self) -> None:
        self._here.cancel()
        self.ended |= self._here.ended
        self._todo = []
        under_way = {t.future.key: t for t in self._trips.values() if t.future is not None}
        for trip in self._trips.values():
            if id(trip.plan) not in self.ended:
                self._never_began(trip.plan)
                if trip.future is not None:
                    label = trip.plan.label
                    self.ended[id(trip.plan)]["sentence"] = f"{label}: stopped; nothing was kept"
        with contextlib.suppress(Exception):  # a lost scheduler has nothing left to stop
            self._client.cancel([t.future for t in under_way.values()])
            where = sorted({t.worker.address for t in under_way.values() if t.worker})
            if where:
                self._client.run(settled, list(under_way), workers=where, on_error="ignore")

    # who is there

    def _look(self) -> None:
        """Notice who came and who went."""
        self._looked = time.monotonic()
        found = self._info() if self._trips else {}
        for address in set(self._workers) - set(found):
            self._gone(self._workers.pop(address))
        for address in set(found) & set(self._workers):
            self._workers[address].running = found[address]["status"] == "running"
        new = [a for a in found if a not in self._workers and found[a]["status"] == "running"]
        if new:
            self._meet({a: found[a] for a in new})

    def _info(self) -> dict[str, Any]:
        """The scheduler's list of workers; `Lost` if it does not answer."""
        try:
            if self._client.status == "running":
                info = self._client.sync(
                    self._client.scheduler.identity, n_workers=-1, callback_timeout=20
                )
                return info["workers"]
        except Exception as error:  # whatever a broken connection raises
            logging.getLogger(__name__).info("%s", error)
        done = sum(e["event"] == "done" for e in self.ended.values())
        raise Lost(
            f"the connection to the scheduler {self._scheduler} is broken; {done} of "
            f"{len(self._trips)} runs were done and are kept: when there is a scheduler again, the "
            "same command goes on from there"
        )

    def _meet(self, new: dict[str, Any]) -> None:
        """Look at workers that have joined, and admit them or not."""
        slugs = sorted({t.plan.slug for t in self._trips.values()})
        try:
            cards = self._client.run(examine, slugs, workers=list(new), on_error="return")
        except Exception:  # gone again, or slow: the next look will show
            return
        mine = examine(slugs, next(iter(self._trips.values())).plan.root)
        for address, info in new.items():
            card = cards.get(address)
            if card is None or isinstance(card, OSError):
                continue
            named = info["name"] != address
            name = f"{info['host']} ({info['name']})" if named else address.partition("://")[2]
            worker = Worker(address, name, info["nthreads"], int(info["resources"].get("GPU", 0)))
            if isinstance(card, BaseException):
                worker.refused = f"the chapters cannot be run there: {type(card).__name__}: {card}"
            else:
                worker.differs = differences(mine, card)
                worker.lacks = _lacks(mine, card)
                if worker.differs and not self._other_versions:
                    worker.refused = f"it has {', '.join(worker.differs)}"
            self._workers[address] = worker
            if worker.refused:
                self._note(
                    f"worker {name} is refused: {worker.refused}"
                    + ("; --allow-other-versions lets it work" if worker.differs else "")
                )

    def _gone(self, worker: Worker) -> None:
        for trip in self._trips.values():
            if trip.worker is worker:
                self._again(trip, f"the worker {worker.name} was lost")

    def _refuse_what_cannot_be(self, plans: list[runner.Plan]) -> None:
        workers = list(self._workers.values())
        for plan in plans:
            if any(w.can(plan) for w in workers):
                continue
            reasons = []
            for w in workers:
                why = w.refused or w.lacks.get(plan.slug) or "it offers no GPU"
                reasons.append(f"{w.name}: {why}")
            advice = (
                " (start a worker with `--resources GPU=1`)"
                if plan.gpu and not any(w.gpus for w in workers)
                else ""
            )
            raise Refused(
                f"{plan.label} cannot be run by any worker of {self._scheduler}; "
                f"{'; '.join(reasons)}{advice}; nothing has been queued"
            )

    # handing out

    def _hand_out(self) -> None:
        """Give every worker what it has room for, in order."""
        for trip in list(self._todo):
            fit = [w for w in self._workers.values() if w.has_room(trip.plan)]
            if not fit:
                if not any(w.running and w.busy < w.threads for w in self._workers.values()):
                    break
                continue
            # elsewhere than where it failed; workers with a GPU last; then the least busy
            best = min(fit, key=lambda w: (w.address in trip.avoid, w.gpus > 0, w.busy / w.threads))
            self._submit(trip, best)
            self._todo.remove(trip)
        flying = any(t.future is not None for t in self._trips.values())
        if flying or not self._todo or self._here.busy:
            self._idle_since = None
            return
        now = time.monotonic()
        if self._idle_since is None:
            self._idle_since = now
            self._note("no worker is there for what is left; waiting for one")
        elif now - self._idle_since > self._wait_s:
            raise Lost(
                f"no worker has come within {self._wait_s:.0f} s for the {len(self._todo)} runs that "
                "are left; what was finished is kept: start workers and give the same command again"
            )

    def _submit(self, trip: Trip, worker: Worker) -> None:
        plan = trip.plan
        asked = {**plan.values, "seed": plan.seed_asked}
        task = {
            "run": plan.keys.run,
            "slug": plan.slug,
            "profile": plan.profile,
            "parameters": asked,
            "replicate": plan.replicate,
            "force": plan.force,
            "gpu": plan.gpu,
            "threads": plan.threads,
            "warm": self._modules.get(plan.threads),
            "differs": worker.differs,
            "marker": self._marker.name if self._marker and not trip.files else None,
        }
        # The same name for everybody who wants that run, so that it is made once for all.
        again = trip.tries + trip.memory + trip.files
        name = f"seedbook-{plan.slug}-{plan.keys.run}-{again}"
        if plan.force:
            name += f"-{uuid.uuid4().hex[:8]}"
        trip.worker = worker
        worker.busy += worker.cores(plan)
        worker.gpus_busy += plan.gpu
        trip.future = future = self._client.submit(
            work,
            task,
            key=name,
            workers=[worker.address],
            allow_other_workers=False,
            resources={"GPU": 1} if plan.gpu else None,
        )
        future.add_done_callback(lambda f: self._news.put(("answer", (trip, f))))

    def _leave(self, trip: Trip) -> None:
        """The worker is rid of the task."""
        if trip.worker:
            trip.worker.busy -= trip.worker.cores(trip.plan)
            trip.worker.gpus_busy -= trip.plan.gpu
        trip.worker = trip.future = None

    # hearing and taking

    def _hear(self, event: tuple[float, Any]) -> None:
        """On a thread of the client: what a worker tells of a run."""
        self._news.put(("event", event[1]))

    def _event(self, message: dict[str, Any]) -> None:
        trip = self._trips.get(message["run"])
        if trip and trip.worker:
            where = {"on": trip.worker.name} if message["event"]["event"] == "start" else {}
            self._told.append((trip.plan, message["event"] | where))

    def _take(self, what: tuple[Trip, Any]) -> None:
        """An answer has come, or will never come."""
        trip, future = what
        if trip.future is not future:  # of a worker that is lost, or of a run that was stopped
            return
        plan, name = trip.plan, trip.worker.name if trip.worker else ""
        try:
            if future.status == "finished":
                answer = future.result(timeout=60)
            elif future.status == "error":
                raise future.exception()
            else:
                raise OSError(f"the task was {future.status}")
        except Exception as error:
            if self._client.status != "running":
                self._info()  # says that all is lost
            self._again(trip, f"{name}: {' '.join(str(error).split())[:200]}")
            return
        if "failed" in answer:
            self._failed(trip, answer, name)
            return
        try:
            run = self._keep(plan, answer)
        except _Incomplete as error:
            self._again(trip, f"{name}: {error}")
            return
        if run is None:  # another command's task, made where the disk is shared with that one
            self._leave(trip)
            trip.files = True
            self._todo.insert(0, trip)
            return
        self._leave(trip)
        event = {
            "event": "done",
            "slug": plan.slug,
            "how": answer["how"],
            "folder": str(run.folder),
        }
        self.ended[id(plan)] = event
        self._told.append((plan, event))

    def _failed(self, trip: Trip, answer: Answer, name: str) -> None:
        plan, cause = trip.plan, answer["cause"]
        if cause in ("stopped", "died"):  # not by us
            self._again(trip, f"{name}: {answer['failed']}")
            return
        if cause == "memory" and not trip.memory:
            trip.memory = True
            if trip.worker:
                trip.avoid.add(trip.worker.address)
            self._queue(trip, f"{answer['failed']} ({name}); once more, elsewhere if it can be")
            return
        sentence = answer["failed"]
        if answer.get("parts"):
            why = "; ".join(keys.why(plan.keys.parts, answer["parts"])[:5]) or "other code"
            sentence = (
                f"{plan.label}: {name} would make another run, since its copy of the book differs "
                f"({why}); bring both to the same commit"
            )
        elif cause == "memory":
            sentence += " (tried twice)"
        folder = None
        if answer.get("files") is not None:
            folder = _keep_failure(plan, answer["files"])
        elif answer.get("folder"):
            folder = plan.shelf / answer["folder"]
        self._end(trip, sentence, cause, folder)

    def _end(self, trip: Trip, sentence: str, cause: str, folder: Path | None = None) -> None:
        self._leave(trip)
        event = {
            "event": "failed",
            "slug": trip.plan.slug,
            "sentence": sentence,
            "folder": str(folder) if folder else None,
            "cause": cause,
        }
        self.ended[id(trip.plan)] = event
        self._told.append((trip.plan, event))

    def _again(self, trip: Trip, why: str) -> None:
        """The machines failed, not the chapter: queue it once more."""
        trip.tries += 1
        if trip.worker:
            trip.avoid.add(trip.worker.address)
        if trip.future is not None:
            with contextlib.suppress(Exception):
                self._client.cancel([trip.future])
        if trip.tries >= TRIES:
            sentence = f"{trip.plan.label}: given up after {TRIES} losses; the last: {why}"
            self._end(trip, sentence, "died")
        else:
            self._queue(trip, f"{why}; again")

    def _queue(self, trip: Trip, why: str) -> None:
        self._leave(trip)
        self._todo.insert(0, trip)
        self._told.append((trip.plan, {"event": "again", "slug": trip.plan.slug, "why": why}))

    def _note(self, text: str) -> None:
        self._told.append((None, {"event": "note", "text": text}))

    def _tell(self) -> Iterator[tuple[runner.Plan | None, runner.Event]]:
        while self._told:
            yield self._told.pop(0)

    # the store

    def _mark(self, plans: list[runner.Plan]) -> None:
        """Leave a mark in the store, by which a worker sees that it is the same as its own."""
        if not plans:
            return
        place = plans[0].shelf / "runs"
        try:
            place.mkdir(parents=True, exist_ok=True)
            marker = place / f".seen-{uuid.uuid4().hex}"
            marker.touch()
        except OSError as error:
            raise Refused(f"cannot write to {place}: {error.strerror}; make it writable") from None
        self._marker = marker

    def _keep(self, plan: runner.Plan, answer: Answer) -> store.Run | None:
        """Put the files of a finished run into the store; None if they are wanted and absent."""
        place = store.folder(plan.shelf, plan.slug)
        target = place / plan.keys.run
        files = answer["files"]
        if files is None:
            return store.find(plan.shelf, plan.slug, plan.keys.run)
        _check_files(files)
        part = store.begin(plan.shelf, plan.slug)
        _write(part, files)
        return (store.replace if plan.force else store.commit)(part, target)


class _Incomplete(RuntimeError):
    """Files of an answer are damaged or missing."""


def _where(scheduler: str) -> dict[str, str]:
    """Arguments of a client: an address or a scheduler file.

    >>> _where("tcp://10.0.0.1:8786"), _where("10.0.0.1:8786")
    ({'address': 'tcp://10.0.0.1:8786'}, {'address': 'tcp://10.0.0.1:8786'})
    """
    if "://" in scheduler:
        return {"address": scheduler}
    if Path(scheduler).is_file():
        try:
            json.loads(Path(scheduler).read_text(encoding="utf-8"))["address"]
        except (OSError, ValueError, KeyError, TypeError):
            raise Refused(f"--scheduler {scheduler}: not a scheduler file of Dask") from None
        return {"scheduler_file": scheduler}
    host, _, port = scheduler.rpartition(":")
    if host and port.isdigit():
        return {"address": f"tcp://{scheduler}"}
    raise Refused(
        f"--scheduler {scheduler}: neither an address such as tcp://HOST:8786 nor a scheduler file "
        "that exists"
    )


def _write(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _check_files(files: dict[str, bytes]) -> None:
    """Hold the files of an answer against the list in its ``run.json``."""
    for name in files:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise _Incomplete(f"a file of the answer is named {name!r}")
    try:
        listed = json.loads(files["run.json"])["files"]
    except (KeyError, ValueError):
        raise _Incomplete("the answer has no readable run.json") from None
    for name, digest in listed.items():
        if hashlib.sha256(files.get(name, b"")).hexdigest()[:16] != digest:
            raise _Incomplete(f"the file {name} of the answer is damaged")


def _keep_failure(plan: runner.Plan, files: dict[str, bytes]) -> Path | None:
    """Put what a failed run left elsewhere beside the failures of this machine."""
    try:
        part = store.begin(plan.shelf, plan.slug)
        _write(part, {PurePosixPath(n).name: c for n, c in files.items()})
        failure = json.loads(files.get("failure.json", b"{}"))
        return store.fail(plan.shelf, plan.slug, part, failure)
    except (OSError, ValueError):
        return None


# -- what a worker has ----------------------------------------------------------------------------


def examine(slugs: list[str], root: Path | None = None) -> dict[str, Any]:
    """Versions of this machine, and which data it lacks for some chapters."""
    versions = execution.versions()
    root = root or find_root()
    book = catalog.load(root)
    lacking = {}
    for slug in slugs:
        try:
            lacking[slug] = keys.missing(book.chapter(slug), root)
        except catalog.CatalogError:
            lacking[slug] = ["the chapter itself"]
    return {
        "commit": execution.commit(root)["commit"],
        "python": versions["python"],
        "torch": versions.get("torch", "none").partition("+")[0],  # +cpu and +cu126 are one
        "lacking": lacking,
    }


def differences(mine: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """What makes another machine's runs ones that this machine would not have made.

    >>> here = {"commit": "a" * 40, "python": "3.11.7", "torch": "2.13.0"}
    >>> differences(here, here)
    []
    >>> differences(here, here | {"python": "3.12.1"})
    ['Python 3.12.1 (here 3.11.7)']
    """
    out = []
    for key, name in (("commit", "commit"), ("python", "Python"), ("torch", "torch")):
        a, b = (str(x[key] or "unknown")[:12] for x in (mine, theirs))
        if a != b:
            out.append(f"{name} {b} (here {a})")
    return out


def _lacks(mine: dict[str, Any], theirs: dict[str, Any]) -> dict[str, str]:
    """By chapter, a phrase about data that one of two machines lacks."""
    out = {}
    for slug, here in mine["lacking"].items():
        there = theirs["lacking"][slug]
        if lost := sorted(set(there) - set(here)):
            out[slug] = f"it lacks {', '.join(lost)} (fetch it, or set SEEDBOOK_MIRROR there)"
        elif more := sorted(set(here) - set(there)):
            out[slug] = f"it has {', '.join(more)}, which this machine lacks"
    return out


# -- the worker's side ----------------------------------------------------------------------------


class Hand:
    """A process beside a worker that makes runs, one after the other; see `_serve`.

    Parameters
    ----------
    device : str
        Value of ``CUDA_VISIBLE_DEVICES``; empty for none.
    """

    def __init__(self, device: str):
        self.device = device
        ours, theirs = connection.Pipe()
        environment = os.environ | {
            "CUDA_VISIBLE_DEVICES": device,
            "SEEDBOOK_ROOT": str(find_root()),
        }
        environment.pop("MALLOC_TRIM_THRESHOLD_", None)  # Dask's own, for its workers
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-c", f"from {__name__} import _serve; _serve({theirs.fileno()})"],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,  # Ctrl-C is for the worker; its end is noticed
            )
        self.line: Any = ours

    def close(self) -> None:
        """End it; a run under way is stopped."""
        self.line.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_S)


_lock = threading.Lock()
_hands: dict[str, list[Hand]] = {}  # idle, by device
_parents: dict[int, Any] = {}  # warm parents by threads, shared by the hands
_devices: list[str] | None = None  # not in use


@contextlib.contextmanager
def _hand(gpus: int, gpu: bool) -> Iterator[Hand]:
    """An idle hand, with a device of its own if one is wanted."""
    global _devices
    with _lock:
        if _devices is None:
            named = os.environ.get("CUDA_VISIBLE_DEVICES", "")
            _devices = named.split(",") if named else [str(i) for i in range(gpus)]
        if gpu and not _devices:
            raise RuntimeError("the worker offers more GPUs than CUDA_VISIBLE_DEVICES names")
        device = _devices.pop(0) if gpu else ""
        idle = _hands.setdefault(device, [])
        hand = idle.pop() if idle else None
    try:
        hand = hand or Hand(device)
        yield hand
        with _lock:
            _hands[device].append(hand)
    except BaseException:
        if hand is not None:
            hand.close()
        raise
    finally:
        with _lock:
            if gpu:
                _devices.insert(0, device)


def _warm_address(threads: int, wanted: tuple[list[str], bool] | None) -> str | None:
    """Address of this worker's warm parent for a thread count.

    Parameters
    ----------
    wanted : (list of str, bool)
        Modules that it shall have imported, and whether one is worth being started for them.
    """
    if wanted is None:
        return None
    from .warm import WarmParent

    modules, worth = wanted
    with _lock:
        parent = _parents.get(threads)
        if parent is None or not set(modules) <= set(parent.modules):
            if not worth:
                return None
            if parent:
                parent.stop()
            parent = _parents[threads] = WarmParent(modules, threads)
            parent.start()
        return parent.address


def work(task: Task) -> Answer:
    """Body of a task, on a thread of a worker: the run's key and files, or why there are none.

    Raises
    ------
    RuntimeError
        If the process of the runs died; the task may be tried again.
    """
    from distributed import get_worker

    worker: Any = get_worker()
    key = worker.get_current_task()
    said, asked = 0.0, False
    with _hand(int(worker.state.total_resources.get("GPU", 0)), task["gpu"]) as hand:
        try:
            address = _warm_address(task["threads"], task["warm"])
            hand.line.send(task | {"warm": address})
            while True:
                if not asked and _unwanted(worker, key):
                    asked = True
                    hand.line.send("stop")
                if not hand.line.poll(0.2):
                    continue
                kind, what = hand.line.recv()
                if kind == "answer":
                    return what
                now = time.monotonic()
                if what["event"] != "progress" or now - said > QUIET_S:
                    said = now
                    worker.log_event(TOPIC, {"run": task["run"], "event": what})
        except (EOFError, OSError):
            raise RuntimeError("the process that makes the runs died") from None


def _unwanted(worker: Any, key: str) -> bool:
    """Whether nobody waits for a task any more: cancelled, its client gone, the worker closing."""
    if worker.status.name not in ("running", "paused", "closing_gracefully"):
        return True
    state = worker.state.tasks.get(key)
    return state is None or state.state in ("cancelled", "released", "forgotten", "error")


async def settled(names: list[str], dask_worker: Any) -> None:
    """Wait until cancelled tasks have cleaned up; those that others want are not waited for."""
    import asyncio

    begun = time.monotonic()
    while (waited := time.monotonic() - begun) < STOP_S:
        left = set(names) & set(dask_worker.active_threads.values())
        if waited > 2:
            left = {k for k in left if _unwanted(dask_worker, k)}
        if not left:
            return
        await asyncio.sleep(0.05)


# -- the hand's side ------------------------------------------------------------------------------


def _serve(fd: int) -> None:
    """Make the runs that come over a line, until it is closed."""
    line = connection.Connection(fd)
    runner.get_ready()
    while True:
        try:
            task = line.recv()
            if task != "stop":  # one that came too late
                line.send(("answer", _answer(task, line)))
        except (EOFError, OSError):
            return


def _answer(task: Task, line: Any) -> Answer:
    """Make one run, telling its events over the line."""
    failed: Answer = {"cause": "chapter", "files": None, "folder": None}
    try:
        plan = runner.prepare(
            task["slug"],
            given=task["parameters"],
            replicate=task["replicate"],
            force=task["force"],
            elsewhere=True,
        )
    except (parameters.ParameterError, chapter.ChapterError, catalog.CatalogError) as error:
        return failed | {"failed": f"{task['slug']} on {socket.gethostname()}: {error}"}
    if plan.keys.run != task["run"]:
        return failed | {"failed": "another run", "parts": plan.keys.parts}
    shared = task["marker"] is not None and (plan.shelf / "runs" / task["marker"]).is_file()
    if plan.done is None:
        plan.differs = task["differs"]
        plan.warm = task["warm"]
        job = runner.start(plan)
        listening = True
        while not job.ended:
            ready = connection.wait([job.events, line] if listening else [job.events])
            if line in ready:
                try:
                    line.recv()  # "stop"
                except (EOFError, OSError):
                    pass  # nobody is there any more
                listening = False
                job.cancel()
            if job.events in ready:
                event = job.next()
                if not job.ended and listening:
                    with contextlib.suppress(OSError):
                        line.send(("event", event))
        last = job.next()
        result = runner.outcome(last)
        if isinstance(result, runner.RunError):
            failed |= {"failed": str(result), "cause": result.cause}
            if result.folder is None:
                return failed
            if shared:
                return failed | {"folder": str(result.folder.relative_to(plan.shelf))}
            return failed | {"files": _read(result.folder)}
        plan.done, how = result, last["how"]
    else:
        how = "kept"
    files = None if shared else _read(plan.done.folder)
    return {"run": plan.keys.run, "how": how, "files": files}


def _read(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }
