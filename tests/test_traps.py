"""Traps of this stack that once bit somebody, each held off."""

import pytest
import yaml
from seedbook.press import runner, store
from tiny import REPOSITORY


def test_books_never_execute():
    """myst-nb would run an executed notebook again, with other parameters (T1)."""
    config = yaml.safe_load((REPOSITORY / "_config.yml").read_text())
    assert config["execute"]["execute_notebooks"] == "off"
    assert config["only_build_toc_files"] is True


def test_no_static_folder_at_the_root():
    """jupyter-book would put every script below it into every page (T11)."""
    assert not (REPOSITORY / "_static").exists()


def test_launch_links_need_our_own_address():
    """Without it they point at jupyter-book's repository (T24)."""
    config = yaml.safe_load((REPOSITORY / "_config.yml").read_text())
    assert "executablebooks" not in config["repository"]["url"]


def test_a_killed_kernel_is_no_success(book):
    """papermill marks every cell completed after a kernel death (T3)."""
    book.edit("throws", "eyes = throw", "__import__('os')._exit(0)\neyes = throw")
    with pytest.raises(runner.RunError, match="the kernel died"):
        runner.run("dice", root=book.root)
    assert store.runs(book.root, "dice") == []


def test_sys_exit_is_no_success(book):
    """papermill reports success after sys.exit (T26); a run without its ledger is none."""
    book.edit("throws", "eyes = throw", "raise SystemExit\neyes = throw")
    with pytest.raises(runner.RunError):
        runner.run("dice", root=book.root)
    assert store.runs(book.root, "dice") == []


def test_ipc_kernels_do_not_warn(ran):
    """ipykernel warns of unencrypted TCP at every start (T19)."""
    (run,) = store.runs(ran.root, "dice")
    assert "TCP" not in (run.folder / "log.txt").read_text()
    assert run.record["warnings"] == []


def test_braces_in_paths_are_plain_characters(book):
    """papermill formats its paths (T6); the tiny book's folder has braces in its name."""
    assert "{0}" in str(book.root)
    assert runner.run("dice", root=book.root).claims["verdicts"]
