"""Fixtures that several test modules share."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings
from serving import CHROMIUM, FLAGS
from tiny import Book

settings.register_profile("seedbook", deadline=None)  # a busy machine is not a failure
settings.load_profile("seedbook")


@pytest.fixture
def book(tmp_path, monkeypatch) -> Book:
    """A tiny book that the press takes for the project."""
    book = Book(tmp_path / "book root {0}")  # papermill formats paths: braces must not matter
    monkeypatch.setenv("SEEDBOOK_ROOT", str(book.root))
    return book


@pytest.fixture(scope="session")
def ran_once(tmp_path_factory) -> Path:
    """A tiny book whose chapter has been run once; copy it, do not change it."""
    book = Book(tmp_path_factory.mktemp("ran") / "book")
    old = os.environ.get("SEEDBOOK_ROOT")
    os.environ["SEEDBOOK_ROOT"] = str(book.root)
    try:
        from seedbook.press import runner

        runner.run("dice", root=book.root)
    finally:
        if old is None:
            del os.environ["SEEDBOOK_ROOT"]
        else:
            os.environ["SEEDBOOK_ROOT"] = old
    return book.root


@pytest.fixture
def ran(ran_once, tmp_path, monkeypatch) -> Book:
    """A copy of the tiny book with one finished run."""
    shutil.copytree(ran_once, tmp_path / "book")
    book = Book.__new__(Book)
    book.root = tmp_path / "book"
    monkeypatch.setenv("SEEDBOOK_ROOT", str(book.root))
    return book


@pytest.fixture(scope="module")
def chromium():
    """A headless Chromium; without one the test is skipped."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()
