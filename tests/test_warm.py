"""Kernels forked from a warm parent behave as ordinary ones and leave nothing behind."""

import asyncio
import json
import logging
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import papermill
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from seedbook.press import warm

pytestmark = pytest.mark.skipif(not warm.supported(), reason="kernels cannot be forked here")

THREADS = 2
# Prints at import and takes its handler's stream then, as transformers does.
NOISY = """
import logging, os
log = logging.getLogger("noisy")
log.addHandler(logging.StreamHandler())
imported_in = os.getpid()
"""
SAME = [
    """
import hashlib, sys
import matplotlib, matplotlib.pyplot as plt, numpy as np, torch
print(torch.get_num_threads(), matplotlib.get_backend(), "" in sys.path, {"a", "b", "c"})
""",
    """
x = np.random.default_rng(0).normal(size=(200, 200))
hashlib.sha256(np.linalg.svd(x @ x)[1].tobytes()).hexdigest()
""",
    """
torch.manual_seed(0)
data = torch.randn(128, 64)
model = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.Tanh(), torch.nn.Linear(128, 64))
optimizer = torch.optim.Adam(model.parameters())
for step in range(60):
    loss = (model(data) - data).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
loss.item().hex(), hashlib.sha256(model[0].weight.detach().numpy().tobytes()).hexdigest()
""",
    """
from matplotlib_inline.backend_inline import set_matplotlib_formats
set_matplotlib_formats("svg", metadata={"Date": None})
plt.rcParams["svg.hashsalt"] = "seedbook"
fig, ax = plt.subplots()
ax.plot(x[0], ".")
plt.show()
""",
    """
import logging, subprocess, noisy
logging.warning("from a library, %s", logging.root.handlers)
noisy.log.warning("at import")
print(subprocess.run(["true"]).returncode)
""",
]


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    folder = tmp_path_factory.mktemp("modules")
    (folder / "noisy.py").write_text(NOISY)
    (folder / "broken.py").write_text("1 / 0")
    modules = ["numpy", "torch", "matplotlib.pyplot", "noisy", "broken", "no_such_module"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        with warm.WarmParent(modules, THREADS) as parent:
            yield parent


@pytest.fixture
def environment(parent):
    """Environment of a runner that may use the parent."""
    variables = os.environ | warm.thread_environment(THREADS)
    variables["SEEDBOOK_WARM"] = parent.address
    # ipykernel catches what goes to the bare file descriptors, but not inside pytest.
    del variables["PYTEST_CURRENT_TEST"]
    return variables


def notebook(*sources):
    cells = [nbformat.v4.new_code_cell(source.strip()) for source in sources]
    return nbformat.v4.new_notebook(cells=cells)


def client(*sources, **options):
    return NotebookClient(
        notebook(*sources), kernel_manager_class=warm.WarmKernelManager, **options
    )


def texts(nb):
    return ["".join(o.get("text", o.get("ename", "")) for o in c.outputs).strip() for c in nb.cells]


def running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def execute_and_tell_kind(environment):
    run = client(*SAME)
    kinds = set()
    run.on_cell_start = lambda **_: kinds.add(type(run.km.provisioner.process))
    return run.execute(env=environment), *kinds


def test_same_outputs_as_an_ordinary_kernel(environment):
    forked, kind = execute_and_tell_kind(environment)
    assert kind is warm.ForkedKernel
    ordinary, kind = execute_and_tell_kind(environment | {"SEEDBOOK_WARM": ""})
    assert kind is subprocess.Popen
    for one, other in zip(forked.cells, ordinary.cells, strict=True):
        assert one.outputs and one.outputs == other.outputs
    assert "image/svg+xml" in forked.cells[3].outputs[0].data


def test_two_kernels_at_once_share_nothing(parent, environment, tmp_path):
    first = """
import noisy, os, time
import numpy as np
seen = hasattr(np, "marker")
np.marker, np.random.default_rng = True, None
draw = np.random.random()
time.sleep(0.5)  # both are alive now
"""
    second = """
import json
print(json.dumps({
    "pids": [os.getpid(), os.getsid(0)], "parents": [os.getppid(), noisy.imported_in],
    "seen": seen, "draw": draw, "folder": os.path.basename(os.getcwd()),
    "stage": os.environ.get("SEEDBOOK_STAGE"), "only_b": os.environ.get("ONLY_B"),
}))
"""

    async def both():
        runs = []
        for name, extra in ("a", {}), ("b", {"ONLY_B": "1"}):
            (tmp_path / name).mkdir()
            variables = environment | {"SEEDBOOK_STAGE": name} | extra
            run = client(first, second)
            runs.append(run.async_execute(env=variables, cwd=str(tmp_path / name)))
        return await asyncio.gather(*runs)

    a, b = (json.loads(texts(nb)[1]) for nb in asyncio.run(both()))
    assert a["parents"] == b["parents"] == [parent._process.pid] * 2
    assert a["pids"][0] == a["pids"][1] != b["pids"][0] == b["pids"][1]
    assert a["draw"] != b["draw"]
    assert not a["seen"] and not b["seen"]
    assert [(k["folder"], k["stage"], k["only_b"]) for k in (a, b)] == [
        ("a", "a", None),
        ("b", "b", "1"),
    ]


def test_interrupt(environment):
    run = client(
        "import time; time.sleep(60)",
        "import noisy, os; print(noisy.imported_in == os.getppid())",
        timeout=1,
        interrupt_on_timeout=True,
        allow_errors=True,
    )
    assert texts(run.execute(env=environment)) == ["KeyboardInterrupt", "True"]


def test_a_killed_kernel_is_noticed_and_its_status_known(environment):
    run = client("import os; os.kill(os.getpid(), 9)")
    kernels = []
    run.on_cell_start = lambda **_: kernels.append(run.km.provisioner.process)
    with pytest.raises(DeadKernelError):
        run.execute(env=environment)
    assert kernels[0].poll() == kernels[0].wait() == -signal.SIGKILL
    kernels[0].kill()  # of what has ended: nothing


def test_signals_of_the_process(parent, environment):
    with tempfile.TemporaryDirectory() as folder:
        cmd = [sys.executable, *warm.LAUNCHER, "-f", f"{folder}/kernel.json"]
        kernel = warm._ask(parent.address, cmd, env=environment)
        assert kernel.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            kernel.wait(timeout=0.01)
        kernel.terminate()
        assert kernel.wait(timeout=10) == -signal.SIGTERM
        assert not running(kernel.pid)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"OMP_NUM_THREADS": "1"}, "OMP_NUM_THREADS is '1' in the request and '2' in the parent"),
        ({"PYTHONHASHSEED": "1"}, "PYTHONHASHSEED"),
        ({"MPLBACKEND": "agg"}, "MPLBACKEND"),
        ({"HF_HOME": "/elsewhere"}, "HF_HOME"),
    ],
)
def test_refuses_what_a_fork_cannot_be(parent, environment, change, reason):
    cmd = [sys.executable, *warm.LAUNCHER, "-f", "unused"]
    with pytest.raises(warm.Refused, match=reason):
        warm._ask(parent.address, cmd, env=environment | change)


def test_refuses_other_programs_and_options(parent, environment):
    with pytest.raises(warm.Refused, match="not a kernel of"):
        warm._ask(parent.address, ["/usr/bin/python3", "-c", "0"], env=environment)
    with pytest.raises(warm.Refused, match="preexec_fn"):
        warm._ask(parent.address, [], env=environment, preexec_fn=print)


def test_thread_counts_may_follow_omp():
    full = warm.thread_environment(2) | {"MPLBACKEND": warm.INLINE, "SEEDBOOK_STAGE": "all"}
    implied = {"MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "MPLBACKEND"}
    some = {name: value for name, value in full.items() if name not in implied}
    assert warm._read_at_import(some) == warm._read_at_import(full)


@pytest.mark.parametrize("left", [True, False])
def test_ordinary_kernel_when_the_socket_is_dead(environment, left):
    with tempfile.TemporaryDirectory() as folder:
        environment["SEEDBOOK_WARM"] = f"{folder}/socket"
        if left:  # the file stays when a parent is killed
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
                listener.bind(environment["SEEDBOOK_WARM"])
                listener.listen()
        run = client("import os; print(os.getppid())")
        assert texts(run.execute(env=environment)) == [str(os.getpid())]


def test_under_papermill(environment, tmp_path, monkeypatch):
    source = notebook("import noisy, os; print(noisy.imported_in == os.getppid())")
    source.metadata.kernelspec = {"name": "python3", "display_name": "x", "language": "python"}
    nbformat.write(source, tmp_path / "in.ipynb")
    for name in warm.thread_environment(THREADS).keys() | {"SEEDBOOK_WARM"}:
        monkeypatch.setenv(name, environment[name])
    out = papermill.execute_notebook(
        tmp_path / "in.ipynb",
        None,
        kernel_manager_class=warm.WarmKernelManager,
        progress_bar=False,
    )
    assert texts(out) == ["True"]


RUNNER = """
import os, nbformat
from nbclient import NotebookClient
from seedbook.press import warm

parent = warm.WarmParent([], 2)
if "SEEDBOOK_WARM" not in os.environ:
    parent.start()
    os.environ["SEEDBOOK_WARM"] = parent.address
source = '''
import os, subprocess, time
helper = subprocess.Popen(["sleep", "600"])
print(os.getpid(), os.getppid(), helper.pid, flush=True)
time.sleep(600)
'''
class Client(NotebookClient):
    def process_message(self, message, cell, index):
        if message["msg_type"] == "stream":
            print(message["content"]["text"], flush=True)
        return super().process_message(message, cell, index)
nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
Client(nb, kernel_manager_class=warm.WarmKernelManager).execute(
    env=os.environ | warm.thread_environment(2))
"""


@pytest.mark.parametrize("creates_parent", [True, False])
def test_nothing_outlives_a_killed_runner(parent, environment, creates_parent):
    folder = Path(tempfile.mkdtemp(prefix="seedbook-test-"))
    environment["TMPDIR"] = str(folder)
    if creates_parent:
        del environment["SEEDBOOK_WARM"]
    runner = subprocess.Popen(
        [sys.executable, "-c", RUNNER], env=environment, stdout=subprocess.PIPE, text=True
    )
    with runner:
        kernel, its_parent, helper = map(int, runner.stdout.readline().split())
        assert (its_parent == parent._process.pid) != creates_parent
        assert any(folder.iterdir())
        runner.kill()
    wait_until(lambda: not running(kernel) and not running(helper))
    wait_until(lambda: not any(folder.iterdir()))
    wait_until(lambda: running(its_parent) != creates_parent)
    shutil.rmtree(folder)


def test_start_and_stop_leave_nothing(caplog):
    caplog.set_level(logging.INFO, logger=warm.__name__)
    parent = warm.WarmParent(["no_such_module"], 1)
    parent.stop()  # not started: nothing
    with parent:
        address = Path(parent.address)
        assert stat.S_IMODE(address.stat().st_mode) == 0o600
        assert stat.S_IMODE(address.parent.stat().st_mode) == 0o700
        with pytest.raises(warm.Refused):  # answers when the imports are done
            warm._ask(parent.address, [], env={})
        process = parent._process
        parent.start()  # started: nothing
        assert parent._process is process
    assert process.returncode is not None and not address.parent.exists()
    assert parent.address is None
    assert "no_such_module is left to the kernels: ModuleNotFoundError" in caplog.text


def test_folders_of_dead_owners_are_swept(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", tempfile.mkdtemp(prefix="seedbook-test-"))
    with subprocess.Popen(["true"]) as dead:
        pass
    root = Path(tempfile.gettempdir())
    kept, swept = root / f"x-{os.getpid()}-abc", root / f"x-{dead.pid}-abc"
    kept.mkdir(), swept.mkdir()
    assert warm._private_folder("x-").parent == root
    assert kept.exists() and not swept.exists()
    shutil.rmtree(root)


def test_a_module_with_threads_means_no_forks(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO, logger=warm.__name__)
    (tmp_path / "threaded.py").write_text(
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with warm.WarmParent(["threaded"], 1) as parent:
        with pytest.raises((OSError, warm.Refused)):
            warm._ask(parent.address, [], env={})
        assert parent._process.wait(10) == 0
    assert "keeps threads" in caplog.text


def test_switched_off(monkeypatch):
    monkeypatch.setenv("SEEDBOOK_NO_WARM", "1")
    assert not warm.supported()
    with warm.WarmParent(["numpy"], 1) as parent:
        assert parent.address is None
