"""Runs on a cluster of real processes: the same bytes, each once, whatever is killed meanwhile."""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
import yaml
from seedbook.press import catalog, cluster, execution, executor, runner, store
from tiny import CATALOG, REPOSITORY, Book, cli, dice

pytest.importorskip("distributed", reason="needs the extra: pip install '.[cluster]'")
DASK = [sys.executable, "-m", "dask"]
MARK = f"cluster-{os.getpid()}"
SLEEP = "import time\ntime.sleep({})\n"


class Site:
    """A scheduler and workers on loopback; what was killed is started again when it is needed."""

    def __init__(self, folder: Path, root: Path):
        self.folder, self.root = folder, root
        self.file = folder / "scheduler.json"
        self.processes: dict[str, subprocess.Popen] = {}

    def start(self, name: str, *words: str, **environment: str) -> None:
        env = os.environ | {"SEEDBOOK_ROOT": str(self.root), "SEEDBOOK_TEST": MARK} | environment
        with open(self.folder / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(
                [*DASK, *words], env=env, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def alive(self, name: str) -> bool:
        return name in self.processes and self.processes[name].poll() is None

    def scheduler(self) -> None:
        if self.alive("scheduler"):
            return
        for name in set(self.processes):
            self.kill(name)
        self.file.unlink(missing_ok=True)
        words = ["--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0"]
        self.start("scheduler", "scheduler", *words, "--scheduler-file", str(self.file))
        wait_for(self.file.is_file)

    def worker(self, name: str, *more: str, **environment: str) -> None:
        if not self.alive(name):
            words = ["--scheduler-file", str(self.file), "--host", "127.0.0.1", "--name", name]
            words += ["--nthreads", "1", "--no-dashboard", "--local-directory", str(self.folder)]
            words += [] if "--nanny" in more else ["--no-nanny"]
            self.start(name, "worker", *words, *more, **environment)

    def ready(self, *names: str) -> Site:
        """Exactly these workers, alive and known to the scheduler."""
        self.scheduler()
        for name in set(self.processes) - {"scheduler", *names}:
            self.kill(name)
        for name in names:
            self.worker(name)
        self.wait_for_workers(*names)
        return self

    def wait_for_workers(self, *names: str) -> None:
        from distributed import Client

        with Client(scheduler_file=str(self.file), set_as_default=False) as client:
            wait_for(
                lambda: (
                    {w["name"] for w in client.scheduler_info()["workers"].values()} == set(names)
                )
            )

    def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def close(self) -> None:
        for name in sorted(self.processes, key=lambda n: n == "scheduler"):
            self.kill(name)


def wait_for(what, seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, f"waited {seconds:.0f} s in vain"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A cluster whose workers have a tiny book of their own."""
    folder = tmp_path_factory.mktemp("cluster")
    site = Site(folder, Book(folder / "book {0}").root)
    yield site
    site.close()


@pytest.fixture
def there(site) -> Book:
    """The book of the workers, as new."""
    book = Book.__new__(Book)
    book.root = site.root
    book.write(dice())
    (book.root / "notebooks" / "catalog.yml").write_text(CATALOG)
    shutil.rmtree(book.root / "runs", ignore_errors=True)
    return book


@pytest.fixture
def here(there, tmp_path, monkeypatch) -> Book:
    """A copy on a machine that shares no disk with the workers."""
    return copy(there, tmp_path / "here", monkeypatch)


def copy(there: Book, folder: Path, monkeypatch=None) -> Book:
    shutil.copytree(there.root, folder)
    book = Book.__new__(Book)
    book.root = folder
    if monkeypatch:
        monkeypatch.setenv("SEEDBOOK_ROOT", str(folder))
    return book


def edit_both(here: Book, there: Book, id: str, old: str, new: str) -> None:
    here.edit(id, old, new)
    there.write(here.notebook())


def plans(book: Book, *settings: dict, **options) -> list[runner.Plan]:
    return [
        runner.prepare("dice", root=book.root, given=given, elsewhere=True, **options)
        for given in settings or [{}]
    ]


def run(site: Site, todo: list[runner.Plan], on_event=lambda plan, event: None, **options):
    side = cluster.Cluster(str(site.file), **{"wait_s": 20.0, **options})
    return executor.execute(todo, on_event, side=side)


def files(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.name != "run.json"
    }


def logged(book: Book, mark: str) -> str:
    """Code that writes a line per execution into a file beside the book."""
    return f"open({str(book.root.parent / 'log.txt')!r}, 'a').write({mark!r} + '\\n')\n"


def lines(book: Book, mark: str) -> int:
    path = book.root.parent / "log.txt"
    return path.read_text().splitlines().count(mark) if path.is_file() else 0


def forget(book: Book) -> None:
    (book.root.parent / "log.txt").unlink(missing_ok=True)


def nothing_half(*books: Book) -> bool:
    """No private folder and no kernel of these tests is left."""

    def clean() -> bool:
        left = [p for b in books for p in b.root.glob("runs/**/.part-*")]
        for p in psutil.process_iter(["cmdline", "environ"]):
            words = " ".join(p.info["cmdline"] or [])
            mine = (p.info["environ"] or {}).get("SEEDBOOK_TEST") == MARK
            if mine and "ipykernel_launcher" in words:
                left.append(p)
        return not left

    wait_for(clean)
    return True


def whole(book: Book) -> list[store.Run]:
    """The runs that are there, each with all its files."""
    found = store.runs(book.root, "dice")
    for r in found:
        assert r.record["state"] == "done"
        assert all((r.folder / name).is_file() for name in r.record["files"])
    return found


# --- the same runs -----------------------------------------------------------------------------


def test_same_bytes_as_on_one_machine_and_no_disk_is_shared(site, here, there, ran_once):
    site.ready("w0", "w1")
    told = []
    todo = plans(here, {}, {"n_throws": 60}, {"n_throws": 61}, {})
    results = run(site, todo, lambda plan, event: told.append((plan, event)))
    first, smoke, other, again = results
    assert [r.folder.parent for r in results] == [here.root / "runs" / "dice"] * 4
    assert again.folder == first.folder, "the same run was made twice"
    (local,) = store.runs(ran_once, "dice")
    assert files(first.folder) == files(local.folder)
    assert first.record["parts"] == local.record["parts"] and "differs" not in first.record
    assert smoke.record["profile"] == "smoke" and other.record["profile"] == "custom"
    kinds = [e["event"] for p, e in told if p is todo[0]]
    assert kinds[0] == "start" and kinds[-1] == "done" and kinds.count("cell") == 7
    on = {e["on"] for _, e in told if e["event"] == "start"}
    assert on == {"127.0.0.1 (w0)", "127.0.0.1 (w1)"}, "both workers had work"
    # somebody else's store, the same runs: they are at their workers' and come at once
    (here.root / "runs").rename(here.root / "mine")
    hows = []
    run(site, plans(here), lambda plan, event: hows.append(event.get("how")))
    run(site, plans(here, {"n_throws": 60}), lambda plan, event: hows.append(event.get("how")))
    assert hows == ["kept", "kept"]
    assert sorted(p.name for p in (here.root / "runs").iterdir()) == ["dice"]  # no mark is left


def test_a_shared_disk_is_noticed(site, there, monkeypatch):
    site.ready("w0", "w1")
    monkeypatch.setenv("SEEDBOOK_ROOT", str(there.root))
    sent = []
    keep = cluster.Cluster._keep
    monkeypatch.setattr(
        cluster.Cluster, "_keep", lambda s, p, a: sent.append(a["files"]) or keep(s, p, a)
    )
    (done,) = run(site, plans(there))
    assert sent == [None] and done.folder.parent == there.root / "runs" / "dice"
    there.edit("fig-eyes", 'ylabel="throws"', 'ylabel="count"')
    hows = []
    (redrawn,) = run(site, plans(there), lambda plan, event: hows.append(event.get("how")))
    assert hows[-1] == "redraw" and redrawn.record["redrawn_from"] == done.folder.name


def test_two_commands_share_one_run(site, here, there, tmp_path):
    site.ready("w0", "w1")
    forget(there)
    slow = logged(there, "thrown") + SLEEP.format(1) + "eyes = throw"
    edit_both(here, there, "throws", "eyes = throw", slow)
    other = copy(here, tmp_path / "other")
    results = {}

    def command(book):
        results[book] = run(site, plans(book))[0]

    threads = [threading.Thread(target=command, args=(b,)) for b in (here, other)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert lines(there, "thrown") == 1
    assert files(results[here].folder) == files(results[other].folder)


LIGHT = ("adaptive_data_analysis", "galaxy_halo", "perfect_reconstruction")


def test_three_chapters_of_this_book(site, here, there):
    """Light ones; all of them in the long lane."""
    listed = yaml.safe_load((REPOSITORY / "notebooks" / "catalog.yml").read_text())["chapters"]
    entries = [c for c in listed if c["slug"] in LIGHT]
    for entry in entries:
        entry["part"] = "luck"
        entry["paper"].pop("date", None)
        for key in ("after", "reads_with"):
            entry.pop(key, None)
    for book in (here, there):
        path = book.root / "notebooks" / "catalog.yml"
        raw = yaml.safe_load(path.read_text())
        path.write_text(yaml.safe_dump({**raw, "chapters": [*raw["chapters"], *entries]}))
        for slug in LIGHT:
            shutil.copy(REPOSITORY / "notebooks" / f"{slug}.ipynb", book.root / "notebooks")
    site.ready("w0", "w1")
    plans = [
        runner.prepare(slug, root=here.root, profile="smoke", elsewhere=True) for slug in LIGHT
    ]
    for slug, done in zip(LIGHT, run(site, plans), strict=True):
        assert not isinstance(done, runner.RunError), str(done)
        assert done.record["slug"] == slug and done.claims["verdicts"]


@pytest.mark.slow
def test_all_chapters(tmp_path):
    slugs = [c.slug for c in catalog.load(REPOSITORY).chapters if c.exists]
    folder, root = tmp_path, tmp_path / "book"
    root.mkdir()
    for name in ("notebooks", "book", "lib", "data"):
        if (REPOSITORY / name).is_dir():
            (root / name).symlink_to(REPOSITORY / name)
    far = Site(folder, root)
    try:
        far.scheduler()
        for name in ("a", "b"):
            far.worker(name)
        far.wait_for_workers("a", "b")
        todo = [
            runner.prepare(s, root=root, profile="smoke", elsewhere=True, force=True) for s in slugs
        ]
        results = run(far, todo)
    finally:
        far.close()
    for slug, result in zip(slugs, results, strict=True):
        assert not isinstance(result, runner.RunError), str(result)
        assert result.record["slug"] == slug and result.claims["verdicts"]


class Paper(executor.Side):
    """A side that only notes what it is given."""

    def begin(self, plans):
        self.given = [p.values["n_throws"] for p in plans]
        self.plans = plans

    def news(self, seconds):
        plan = self.plans.pop()
        self._never_began(plan)
        yield plan, self.ended[id(plan)]


def test_longest_first_unknown_before_all(book):
    todo = plans(book, *({"n_throws": n} for n in (1, 2, 3, 4)))
    for plan, seconds in zip(todo, (5.0, 7.0, None, 6.0), strict=True):
        plan.expected = {"method": seconds} if seconds else {}
    side = Paper()
    results = executor.execute(todo, side=side)
    assert side.given == [3, 2, 4, 1]
    assert [r.cause for r in results] == ["stopped"] * 4


def test_durations_are_those_of_the_same_profile(ran):
    (run,) = store.runs(ran.root, "dice")
    quick = run.record["cells"]
    prepare = functools.partial(runner.prepare, "dice", root=ran.root)
    assert prepare(profile="full").expected == {}  # those of quick are too short for it
    later = shutil.copytree(run.folder, run.folder.with_name("0-0"))
    record = run.record | {"profile": "full", "cells": {k: 9.0 for k in quick}}
    store.write_json(later / "run.json", record)
    assert prepare(given={"seed": 1}).expected == quick
    assert prepare(profile="full").expected == record["cells"]
    assert prepare(profile="smoke").expected == record["cells"]  # of another, in want of its own


# --- devices and versions ----------------------------------------------------------------------


def test_a_gpu_that_nobody_has_is_refused_before_anything_is_queued(site, here):
    site.ready("w0", "w1")
    (plan,) = plans(here, {"device": "cuda"})
    assert plan.gpu and plan.keys.run == plans(here)[0].keys.run  # dice reads no device
    with pytest.raises(executor.Refused, match=r"offers no GPU .*--resources GPU=1.* queued"):
        run(site, [plan])
    assert whole(here) == []


@pytest.mark.slow
def test_a_gpu_is_a_resource_and_the_worker_names_the_device(site, here, there):
    site.ready("w0", "w1")
    wanted = "assert __import__('os').environ['CUDA_VISIBLE_DEVICES'] == {!r}\neyes = throw"
    edit_both(here, there, "throws", "eyes = throw", wanted.format("7"))
    (plan,) = plans(here, {"device": "cuda"})
    site.worker("g0", "--resources", "GPU=1", CUDA_VISIBLE_DEVICES="7")
    site.wait_for_workers("w0", "w1", "g0")
    on = []
    (done,) = run(site, [plan], lambda plan, event: on.append(event.get("on")))
    assert on[0] == "127.0.0.1 (g0)" and done.record["parameters"]["device"] == "cuda"
    edit_both(here, there, "throws", "== '7'", "== ''")
    many = plans(here, *({"n_throws": 10 + k} for k in range(3)))
    results = run(site, many, lambda plan, event: on.append(event.get("on")))
    site.kill("g0")
    # also on the worker with a device, and there is none to be seen
    assert on.count("127.0.0.1 (g0)") == 2
    assert [r.record["state"] for r in results] == ["done"] * 3


def test_another_version_is_refused_by_name(site, here, monkeypatch, capsys):
    site.ready("w0", "w1")
    mine = {**execution.versions(), "python": "3.99.1", "torch": "1.0+cu1"}
    monkeypatch.setattr(execution, "versions", lambda: mine)
    with pytest.raises(executor.Refused) as refused:
        run(site, plans(here))
    version = sys.version.split()[0]
    assert f"Python {version} (here 3.99.1), torch 2.13.0 (here 1.0)" in str(refused.value)
    (done,) = run(site, plans(here), other_versions=True)
    assert f"Python {version} (here 3.99.1)" in done.record["differs"]


def test_another_chapter_there_is_said_and_nothing_is_taken(site, here, there):
    site.ready("w0", "w1")
    here.edit("throws", "eyes = throw", "eyes = 0 + throw")
    (failed,) = run(site, plans(here))
    assert "would make another run" in str(failed) and "cell throws changed" in str(failed)
    assert whole(here) == []


def test_commit_python_and_torch_are_compared():
    a = {"commit": "a" * 40, "python": "3.11.7", "torch": "2.13.0"}
    assert cluster.differences(a, a) == []
    b = {"commit": None, "python": "3.11.7", "torch": "2.13.0"}
    assert cluster.differences(a, b) == ["commit unknown (here aaaaaaaaaaaa)"]


@pytest.mark.parametrize(
    ("scheduler", "sentence"),
    [
        ("nowhere", "neither an address such as tcp://HOST:8786 nor a scheduler file"),
        ("catalog", "not a scheduler file"),
        ("tcp://127.0.0.1:1", "no scheduler answers at tcp://127.0.0.1:1"),
    ],
)
def test_wrong_addresses_are_a_sentence(book, scheduler, sentence, monkeypatch):
    if scheduler == "catalog":
        scheduler = str(book.root / "notebooks" / "catalog.yml")
    connect = cluster.Cluster.__enter__
    monkeypatch.setattr(cluster, "CONNECT_S", 1)
    with pytest.raises(executor.Refused, match=sentence):
        connect(cluster.Cluster(scheduler))
    assert store.runs(book.root, "dice") == []


def test_the_extra_is_needed_on_this_path_alone(book, monkeypatch):
    code = "import sys, seedbook.press.cluster; print('distributed' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "False\n"
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(executor.Refused, match=r"pip install '\.\[cluster\]'"):
        cluster.Cluster("tcp://127.0.0.1:1")


# --- failures ----------------------------------------------------------------------------------


def test_a_failing_chapter_is_run_once_and_stops_no_other(site, here, there):
    site.ready("w0", "w1")
    forget(there)
    bad = logged(there, "thrown") + "assert n_throws != 100, 'not a hundred'\neyes = throw"
    edit_both(here, there, "throws", "eyes = throw", bad)
    failed, *good = run(site, plans(here, {"n_throws": 100}, {"n_throws": 200}, {"n_throws": 300}))
    assert str(failed).endswith("failed in cell 'throws' (5 of 7): AssertionError: not a hundred")
    assert failed.folder.parent == here.root / "runs" / "dice" / "failed"
    assert "not a hundred" in (failed.folder / "log.txt").read_text()
    assert json.loads((failed.folder / "failure.json").read_text())["cell"] == "throws"
    assert [g.record["parameters"]["n_throws"] for g in good] == [200, 300]
    assert lines(there, "thrown") == 3 and nothing_half(here, there)


def test_a_chapter_that_kills_its_kernel_is_tried_twice(site, here, there):
    site.ready("w0", "w1")
    forget(there)
    poison = logged(there, "thrown") + "import os\nos.kill(os.getpid(), 9)\neyes = throw"
    edit_both(here, there, "throws", "eyes = throw", poison)
    told = []
    (failed,) = run(site, plans(here), lambda plan, event: told.append(event))
    assert "the kernel died in cell 'throws'" in str(failed) and "tried twice" in str(failed)
    assert len({e["on"] for e in told if e["event"] == "start"}) == 2, "once on each worker"
    assert ["once more" in e["why"] for e in told if e["event"] == "again"] == [True]
    assert lines(there, "thrown") == 2 and nothing_half(here, there)


def test_a_killed_worker_costs_nothing_and_a_late_one_takes_work(site, here, there):
    site.ready("w0", "w1")
    forget(there)
    slow = logged(there, "begun") + SLEEP.format(1.0) + "eyes = throw"
    edit_both(here, there, "throws", "eyes = throw", slow)
    end = "ledger.measure"
    edit_both(here, there, "verdicts", end, logged(there, "ended") + end)
    told, victims, worked = [], [], set()

    def on_event(plan, event):
        told.append(event)
        worked.add(event.get("on"))
        if event["event"] == "cell" and event["cell"] == "throws" and not victims:
            victims.append(next(e["on"] for e in told if e.get("on") and e["event"] == "start"))
            site.kill(victims[0].partition("(")[2].strip(")"))
            site.worker("late")

    todo = plans(here, *({"n_throws": 100 + k} for k in range(6)))
    results = run(site, todo, on_event)
    assert [r.record["parameters"]["n_throws"] for r in results] == [100 + k for k in range(6)]
    assert [e["event"] for e in told].count("done") == 6 and len(whole(here)) == 6
    assert any("was lost" in e["why"] for e in told if e["event"] == "again")
    assert "127.0.0.1 (late)" in worked
    assert lines(there, "ended") == 6 and lines(there, "begun") <= 8
    assert nothing_half(here, there)


@pytest.mark.slow
def test_a_worker_that_its_nanny_starts_again_goes_on(site, here, there):
    site.ready()
    site.worker("n0", "--nanny")
    site.wait_for_workers("n0")
    forget(there)
    slow = SLEEP.format(1.0) + logged(there, "slept") + "eyes = throw"
    edit_both(here, there, "throws", "eyes = throw", slow)
    nanny = psutil.Process(site.processes["n0"].pid)
    killed = []

    def on_event(plan, event):
        if event["event"] == "cell" and event["cell"] == "throws" and not killed:
            for p in nanny.children(recursive=True):
                if "_serve(" in " ".join(p.cmdline()):
                    killed.append(p.parent())
                    p.parent().kill()

    results = run(site, plans(here, {"n_throws": 100}, {"n_throws": 200}), on_event)
    assert killed and [r.record["parameters"]["n_throws"] for r in results] == [100, 200]
    assert lines(there, "slept") == 2 and len(whole(here)) == 2 and nothing_half(here, there)
    site.kill("n0")


def start_command(book: Book, site: Site, *words: str) -> subprocess.Popen:
    command = cli(*words, "--scheduler", str(site.file))
    env = os.environ | {"SEEDBOOK_ROOT": str(book.root)}
    return subprocess.Popen(
        command, env=env, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


SWEEP = ("sweep", "dice", "--seeds", "4", "--profile", "smoke")


def until_one_is_done(process: subprocess.Popen) -> str:
    said = ""
    for line in process.stderr:
        said += line
        if line.endswith(": done\n"):
            return said
    raise AssertionError(said)


def slow_sweep(site, here, there):
    """A sweep of four runs on two workers, of which one is done and the last are yet to begin."""
    site.ready("w0", "w1")
    forget(there)
    slow = logged(there, "begun") + SLEEP.format(2) + "eyes = throw"
    edit_both(here, there, "throws", "eyes = throw", slow)
    process = start_command(here, site, *SWEEP)
    until_one_is_done(process)
    return process


def test_ctrl_c_stops_everything_and_the_same_command_goes_on(site, here, there):
    process = slow_sweep(site, here, there)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=40)
    assert process.returncode == 1 and "Traceback" not in said
    assert "what was finished is kept, and the same command goes on from there" in said
    assert 1 <= len(whole(here)) < 4 and nothing_half(here, there)
    # a worker may have finished a run just before it was told to stop: it has it, though not `here`
    made = {r.folder.name for book in (here, there) for r in whole(book)}
    before = lines(there, "begun")
    process = start_command(here, site, *SWEEP)
    out, said = process.communicate(timeout=60)
    assert process.returncode == 0 and "of 4" in out and len(whole(here)) == 4
    assert lines(there, "begun") - before == 4 - len(made), "nothing finished was made again"


@pytest.mark.slow
def test_a_killed_scheduler_is_an_error_and_the_same_command_resumes(site, here, there):
    process = slow_sweep(site, here, there)
    site.kill("scheduler")
    _, said = process.communicate(timeout=40)
    assert process.returncode == 1 and "Traceback" not in said, said
    assert "the connection to the scheduler" in said and "the same command goes on" in said
    done = len(whole(here))
    assert 1 <= done < 4 and nothing_half(here, there)
    before = lines(there, "begun")
    site.ready("w0", "w1")
    process = start_command(here, site, *SWEEP)
    out, said = process.communicate(timeout=60)
    assert process.returncode == 0 and len(whole(here)) == 4, said
    assert lines(there, "begun") - before <= 4 - done, "nothing finished was made again"


# --- several hosts -----------------------------------------------------------------------------


def namespaces() -> bool:
    """Whether this process may make network namespaces and a cable between them."""
    if not shutil.which("ip"):
        return False
    done = subprocess.run(["ip", "netns", "add", f"sb-{os.getpid()}-x"], capture_output=True)
    subprocess.run(["ip", "netns", "del", f"sb-{os.getpid()}-x"], capture_output=True)
    return done.returncode == 0


@pytest.mark.slow
def test_hosts_that_share_a_cable_and_no_more(here, there, tmp_path, ran_once):
    """Scheduler and command on one host, the worker on another, each in a network of its own."""
    if not namespaces():
        pytest.skip("this machine lets nobody make network namespaces (needs root and iproute2)")
    a, b = (f"sb-{os.getpid()}-{x}" for x in "ab")
    started = []

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    def on(host: str, book: Book, *words: str) -> subprocess.Popen:
        env = os.environ | {"SEEDBOOK_ROOT": str(book.root), "SEEDBOOK_TEST": MARK}
        process = subprocess.Popen(
            ["ip", "netns", "exec", host, *words],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    try:
        for host in (a, b):
            ip("netns", "add", host)
        ip("link", "add", "eth0", "netns", a, "type", "veth", "peer", "name", "eth0", "netns", b)
        for host, address in ((a, "10.99.0.1/24"), (b, "10.99.0.2/24")):
            ip("-n", host, "addr", "add", address, "dev", "eth0")
            ip("-n", host, "link", "set", "eth0", "up")
            ip("-n", host, "link", "set", "lo", "up")
        tcp = "tcp://10.99.0.1:8786"
        words = ["--host", "10.99.0.1", "--port", "8786", "--dashboard-address", "127.0.0.1:0"]
        on(a, here, *DASK, "scheduler", *words)
        on(b, there, *DASK, "worker", tcp, "--nthreads", "1", "--local-directory", str(tmp_path))
        cli = [sys.executable, "-m", "seedbook.press.cli"]
        process = on(a, here, *cli, "run", "dice", "--scheduler", tcp)
        said, _ = process.communicate(timeout=90)
        assert process.returncode == 0 and "on 10.99.0.2" in said, said
    finally:
        for process in started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        for host in (a, b):
            subprocess.run(["ip", "netns", "del", host], capture_output=True)
    (made,), (local,) = whole(here), store.runs(ran_once, "dice")
    assert files(made.folder) == files(local.folder)
    assert nothing_half(here, there)
