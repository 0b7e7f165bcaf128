"""Runs: whole or absent, deterministic, one clear sentence for every failure."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest
from seedbook.press import chapter, executor, parameters, runner, store
from tiny import cli


def only_run(book):
    (run,) = store.runs(book.root, "dice")
    return run


def files(folder):
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.name != "run.json"
    }


def kernels() -> list[psutil.Process]:
    """Kernels started from this test's process tree or orphaned by it, by their command."""
    found = []
    for p in psutil.process_iter(["cmdline", "environ"]):
        line = " ".join(p.info["cmdline"] or [])
        if "ipykernel_launcher" in line and (p.info["environ"] or {}).get("SEEDBOOK_TEST") == MARK:
            found.append(p)
    return found


MARK = f"runner-{os.getpid()}"


@pytest.fixture(autouse=True)
def marked(monkeypatch):
    """Kernels of these tests carry a mark, so that orphans are found among other people's."""
    monkeypatch.setenv("SEEDBOOK_TEST", MARK)


def no_kernel_left(seconds=10.0):
    until = time.monotonic() + seconds
    while kernels() and time.monotonic() < until:
        time.sleep(0.1)
    return not kernels()


def environment(book):
    return {**os.environ, "SEEDBOOK_ROOT": str(book.root), "SEEDBOOK_TEST": MARK}


def test_a_run_holds_what_the_contract_says(ran):
    run = only_run(ran)
    record = run.record
    assert record["state"] == "done" and record["profile"] == "quick" and record["replicate"] == 0
    assert run.folder.name == record["run"] == f"{record['experiment_key']}-{record['view_key']}"
    assert run.folder.stat().st_mode & 0o777 == 0o755
    assert record["seed_asked"] is None and record["parameters"]["seed"] == run.claims["seed"]
    assert set(record["cells"]) == {c.id for c in chapter.read("dice", ran.root).code}
    assert record["peak_memory_mb"] > 10 and record["versions"]["numpy"]
    names = set(files(run.folder))
    assert {"claims.json", "notebook.ipynb", "frames/eyes.parquet", "frames/skipped.json"} <= names
    assert {"figures/fig-dice-eyes.svg", "figures/thumbnail.svg"} <= names
    assert not [n for n in names if n.startswith(".")]
    assert run.claims["declared_before_data"] is True
    notebook = store.read_json(run.folder / "notebook.ipynb")
    tags = [t for c in notebook["cells"] for t in c["metadata"].get("tags", [])]
    assert "injected-parameters" not in tags
    text = (run.folder / "notebook.ipynb").read_text()
    assert "papermill" not in text and "stderr" not in text
    assert not ran.parts()


def test_again_is_kept_and_a_view_is_redrawn(ran):
    before = only_run(ran)
    plan = runner.prepare("dice", root=ran.root)
    assert plan.how == "kept" and plan.done.folder == before.folder
    ran.edit("fig-eyes", 'ylabel="throws"', 'ylabel="count"')
    plan = runner.prepare("dice", root=ran.root)
    assert plan.how == "redraw" and plan.keys.seed == before.record["parameters"]["seed"]
    redrawn = runner.start(plan).result()
    old, new = files(before.folder), files(redrawn.folder)
    assert redrawn.record["redrawn_from"] == before.folder.name
    assert old["frames/eyes.parquet"] == new["frames/eyes.parquet"]
    assert old["claims.json"] == new["claims.json"]
    assert old["figures/fig-dice-eyes.svg"] != new["figures/fig-dice-eyes.svg"]
    assert set(redrawn.record["cells"]) == set(before.record["cells"])


def test_forced_run_and_redraw_are_byte_equal(ran):
    first = files(only_run(ran).folder)
    forced = runner.run("dice", root=ran.root, force=True)
    assert files(forced.folder) == first
    # the same view again, from the frames alone
    ran.edit("fig-eyes", 'ylabel="throws"', 'ylabel="count"')
    runner.run("dice", root=ran.root)
    shutil.rmtree(forced.folder)
    ran.edit("fig-eyes", 'ylabel="count"', 'ylabel="throws"')
    redrawn = runner.run("dice", root=ran.root)
    assert redrawn.record["redrawn_from"]
    assert files(redrawn.folder) == first


def test_a_redraw_of_a_run_that_skipped_a_frame_is_byte_equal(book):
    book.edit("throws", "frames.save(", 'frames.skip("more", "no network: connect")\nframes.save(')
    book.edit("claims", 'why="a loaded', 'needs=["more"],\n    why="a loaded')
    run = runner.run("dice", root=book.root)
    assert run.claims["verdicts"]["c1"]["verdict"] == "out of scope"
    plan = runner.prepare("dice", root=book.root, force=True)
    plan.how, plan.frames_from, first = "redraw", run.folder, files(run.folder)
    assert files(runner.start(plan).result().folder) == first


def test_profiles_replicates_and_salmon(ran):
    smoke = runner.prepare("dice", root=ran.root, profile="smoke")
    assert smoke.profile == "smoke" and smoke.values["n_throws"] == 60
    assert runner.prepare("dice", root=ran.root, given={"n_throws": 60}).profile == "smoke"
    assert runner.prepare("dice", root=ran.root, given={"n_throws": 61}).profile == "custom"
    salmon = runner.prepare("dice", root=ran.root, given={"salmon": True})
    assert salmon.profile == "quick" and salmon.keys.run != only_run(ran).folder.name
    replicate = runner.prepare("dice", root=ran.root, replicate=1)
    assert replicate.keys.seed != only_run(ran).record["parameters"]["seed"]
    with pytest.raises(parameters.ParameterError, match="no profile 'fast'; it has quick, smoke"):
        runner.prepare("dice", root=ran.root, profile="fast")
    with pytest.raises(parameters.ParameterError, match="not both"):
        runner.prepare("dice", root=ran.root, replicate=1, given={"seed": 3})
    with pytest.raises(parameters.ParameterError, match="device = 'tpu'"):
        runner.prepare("dice", root=ran.root, given={"device": "tpu"})


def test_salmon_is_not_supported(ran):
    run = runner.run("dice", root=ran.root, given={"salmon": True})
    assert run.claims["verdicts"]["c1"]["verdict"] == "contradicted"
    assert run.claims["salmon"] is True


def fails(book, **options) -> tuple[str, dict]:
    with pytest.raises(runner.RunError) as failed:
        runner.run("dice", root=book.root, **options)
    sentence = str(failed.value)
    assert "\n" not in sentence and "Traceback" not in sentence
    assert not book.parts()
    assert failed.value.folder is None or (failed.value.folder / "failure.json").is_file()
    assert no_kernel_left()
    return sentence, failed.value.folder


def test_exception_in_a_cell(ran):
    before = files(only_run(ran).folder)
    ran.edit("throws", "eyes[::2] = 6", "eyes[::2] = 6\nraise ValueError('too many throws')")
    sentence, folder = fails(ran)
    assert sentence == "dice: failed in cell 'throws' (5 of 7): ValueError: too many throws"
    assert "too many throws" in (folder / "notebook.ipynb").read_text()
    assert "ValueError" in (folder / "log.txt").read_text()
    assert files(only_run(ran).folder) == before


def test_dead_kernel(book):
    book.edit(
        "throws",
        "eyes = throw",
        "__import__('os').kill(__import__('os').getpid(), 9)\neyes = throw",
    )
    sentence, folder = fails(book)
    assert "the kernel died in cell 'throws' (5 of 7)" in sentence
    assert (folder / "notebook.ipynb").is_file() and store.runs(book.root, "dice") == []


def test_cell_that_takes_too_long(book):
    path = book.root / "notebooks" / "catalog.yml"
    path.write_text(path.read_text().replace("threads: 1", "threads: 1\n    limits: {cell_s: 3}"))
    book.edit("throws", "eyes = throw", "__import__('time').sleep(60)\neyes = throw")
    sentence, _ = fails(book)
    assert "ran longer than 3 s in cell 'throws'" in sentence


def test_missing_import_is_a_sentence(book):
    book.edit("setup", "import numpy as np", "import numpy as np\nimport no_such_package")
    sentence, _ = fails(book)
    assert "ModuleNotFoundError: No module named 'no_such_package'" in sentence


def test_ledger_of_another_chapter_is_refused(book):
    book.edit("claims", 'Ledger("dice"', 'Ledger("cards"')
    sentence, _ = fails(book)
    assert "the ledger is named 'cards', the chapter 'dice'" in sentence


def test_store_that_cannot_be_written(book):
    (book.root / "runs").write_text("a file where the folder should be")
    with pytest.raises(runner.RunError, match="cannot write to .*make it writable"):
        runner.run("dice", root=book.root)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting needs root")
def test_full_disk(book, tmp_path):
    (book.root / "runs").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24k", "tmpfs", str(book.root / "runs")]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        with pytest.raises(runner.RunError, match="No space left|no space left"):
            runner.run("dice", root=book.root)
        assert store.runs(book.root, "dice") == [] and not book.parts()
    finally:
        subprocess.run(["umount", str(book.root / "runs")], check=True)
    assert no_kernel_left()


def test_cancel_stops_and_leaves_nothing(book):
    book.edit("throws", "eyes = throw", "__import__('time').sleep(60)\neyes = throw")
    job = runner.start(runner.prepare("dice", root=book.root))
    for event in job:
        if event["event"] == "cell" and event["cell"] == "throws":
            job.cancel()
    assert "stopped in cell 'throws'" in event["sentence"]
    assert store.runs(book.root, "dice") == [] and not book.parts() and no_kernel_left()


def test_ctrl_c_ends_in_one_sentence(book):
    book.edit("throws", "eyes = throw", "__import__('time').sleep(60)\neyes = throw")
    command, lines = cli("run", "dice"), []
    with subprocess.Popen(
        command, env=environment(book), stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        for line in process.stderr:
            lines.append(line)
            if "cell 5 of 7" in line:
                os.killpg(process.pid, signal.SIGINT)
    assert process.returncode == 1
    assert "Traceback" not in "".join(lines)
    assert lines[-1] == (
        "seedbook: stopped; what was finished is kept, and the same command goes on from there\n"
    )
    assert store.runs(book.root, "dice") == [] and not book.parts() and no_kernel_left()


def kill_once(book, delay: float) -> None:
    """Kill the whole runner, the command and its children, after a delay; never by signal handler."""
    command = [sys.executable, "-m", "seedbook.press.cli", "run", "dice"]
    process = subprocess.Popen(
        command, env=environment(book), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    time.sleep(delay)
    victims = []
    try:
        top = psutil.Process(process.pid)
        # the process of the run itself, by its parts: the kernel must notice on its own
        victims = [p for p in [top, *top.children(recursive=True)] if not _is_kernel(p)]
    except psutil.Error:
        pass
    random.Random(delay).shuffle(victims)
    for victim in victims:
        try:
            victim.kill()
        except psutil.Error:
            pass
    process.wait()
    for run in store.runs(book.root, "dice"):  # what is there is whole
        record = run.record
        assert record["state"] == "done"
        assert all((run.folder / name).is_file() for name in record["files"])
    assert no_kernel_left(), "a kernel outlived its runner"


def _is_kernel(process: psutil.Process) -> bool:
    try:
        return "ipykernel_launcher" in " ".join(process.cmdline())
    except psutil.Error:
        return False


def _survives_kills(book, delays):
    for delay in delays:
        kill_once(book, delay)
        if store.runs(book.root, "dice"):
            shutil.rmtree(only_run(book).folder)
    run = runner.run("dice", root=book.root)
    assert run.claims["verdicts"] and not book.parts()


def test_sigkill_at_some_moments(book):
    _survives_kills(book, [0.3, 1.5, 2.2, 3.0, 3.8])


@pytest.mark.slow
def test_sigkill_at_many_moments(book):
    _survives_kills(book, [0.1 + 0.1 * k for k in range(50)])


def test_two_processes_make_one_run(book):
    command = [sys.executable, "-m", "seedbook.press.cli", "run", "dice"]
    both = [
        subprocess.Popen(command, env=environment(book), stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [p.communicate(timeout=60)[1] for p in both]
    assert [p.returncode for p in both] == [0, 0]
    assert len(store.runs(book.root, "dice")) == 1
    assert sum("cell 5 of 7" in s for s in said) == 1
    assert sum("is there already" in s for s in said) == 1


def test_progress_inside_a_cell_is_an_event(book):
    book.edit(
        "throws",
        "eyes = throw(rng, n_throws)",
        "eyes = throw(rng, n_throws)\nfor _ in tqdm(range(20)):\n    __import__('time').sleep(0.05)",
    )
    book.edit("setup", "import pandas as pd", "import pandas as pd\nfrom tqdm import tqdm")
    events = []
    runner.run("dice", root=book.root, on_event=events.append)
    inside = [e["fraction"] for e in events if e["event"] == "progress"]
    assert len(inside) > 3 and inside == sorted(inside) and inside[-1] == 1.0
    assert "it/s" not in (only_run(book).folder / "notebook.ipynb").read_text()
    assert only_run(book).record["warnings"] == []


def test_warm_and_cold_kernels_give_the_same_bytes(ran):
    cold = files(only_run(ran).folder)
    plans = [
        runner.prepare("dice", root=ran.root, force=True),
        runner.prepare("dice", root=ran.root, replicate=1),
    ]
    results = executor.execute(plans, warm=True)
    assert files(results[0].folder) == cold


def test_a_failure_stops_no_other_run(book):
    book.edit("throws", "eyes = throw", "assert n_throws != 100, 'not a hundred'\neyes = throw")
    plans = [runner.prepare("dice", root=book.root, given={"n_throws": n}) for n in (100, 200, 300)]
    bad, *good = executor.execute(plans)
    assert isinstance(bad, runner.RunError) and "not a hundred" in str(bad)
    assert [g.record["parameters"]["n_throws"] for g in good] == [200, 300]


def test_an_interrupt_that_a_library_swallows_still_stops_a_sweep(book):
    slow = "__import__('time').sleep(60 if n_throws == 300 else 0)\neyes = throw"
    book.edit("throws", "eyes = throw", slow)
    plans = [runner.prepare("dice", root=book.root, given={"n_throws": n}) for n in (100, 300)]

    def finalizer(plan, event):  # what is raised in one comes to nothing
        if event["event"] == "done":
            with contextlib.suppress(BaseException):
                os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            executor.execute(plans, finalizer)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert [r.record["parameters"]["n_throws"] for r in store.runs(book.root, "dice")] == [100]
    assert not book.parts() and no_kernel_left()


def test_no_thread_of_the_press_is_left(ran):
    before = set(threading.enumerate())
    runner.run("dice", root=ran.root, given={"n_throws": 50})
    assert set(threading.enumerate()) == before


def test_hash_seed_and_threads_are_set(book):
    book.edit(
        "throws",
        'frames.save("eyes"',
        "e = __import__('os').environ\n"
        "assert e['PYTHONHASHSEED'] == '0' and e['OMP_NUM_THREADS'] == '1'\n"
        "assert e['CUBLAS_WORKSPACE_CONFIG'] == ':4096:8' and e['SEEDBOOK_STAGE'] == 'all'\n"
        'frames.save("eyes"',
    )
    runner.run("dice", root=book.root)
