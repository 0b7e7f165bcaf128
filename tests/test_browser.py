"""The book in a real browser: alive under ``seedbook serve``, readable without it."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from serving import CHROMIUM, Served, published, reader_book, until
from test_book import furnish

pytestmark = pytest.mark.browser
PAGE = "book/chapters/dice.html"


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    from seedbook.press import book as pages

    root = tmp_path_factory.mktemp("read") / "book"
    reader_book(root)
    furnish(root)
    pages.assemble(root)
    pages.build(root)
    return root


@pytest.fixture(scope="module")
def served(shelf):
    running = Served(shelf)
    yield running
    assert running.stop() == 0


class Reader:
    """One reader's browser, who notes what went wrong in it."""

    def __init__(self, chromium, width=1280, height=900, **options):
        self.context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        self.context.set_default_timeout(60_000)
        self.wrong: list[str] = []
        self.foreign: list[str] = []
        self.context.route("**/*", self._watch)

    def _watch(self, route):
        if re.match(r"(https?://127\.0\.0\.1[:/]|file:|data:|blob:)", route.request.url):
            route.continue_()
        else:
            self.foreign.append(route.request.url)
            route.abort()

    def _note(self, message):
        fonts = message.text.startswith(
            "Access to font at 'file:"
        )  # the theme's icons, from a disk
        follows = "net::ERR_FAILED" in message.text and message.location["url"].startswith("file:")
        if message.type == "error" and not fonts and not follows:
            self.wrong.append(message.text)

    def open(self, address):
        page = self.context.new_page()
        page.on("console", self._note)
        page.on("pageerror", lambda e: self.wrong.append(str(e)))
        page.goto(address)
        return page

    def chapter(self, served, query=""):
        """The chapter's page, after the printed address has been opened."""
        if not self.context.cookies():
            self.open(served.url).close()
        page = self.open(f"{served.base}/{PAGE}{query}")
        page.locator("form.sb-panel").wait_for()
        return page


@pytest.fixture
def reader(served, chromium):
    one = Reader(chromium)
    yield one
    one.context.close()
    assert one.foreign == [] and one.wrong == []


def bar(page):
    return page.locator(".sb-figbar")


def says(page, text):
    """Wait until a figure's or the panel's state reads so."""
    page.locator("[role=status]", has_text=re.compile(text)).first.wait_for()


def draw(page):
    bar(page).get_by_role("button", name="Run", exact=True).click()
    says(page, r"Drawn in \d+\.\d s")
    return page.locator("#fig-dice-eyes img").get_attribute("src")


def submit(page):
    page.locator("form.sb-panel").get_by_role("button", name="Run", exact=True).click()


def stop(page):
    page.locator("form.sb-panel").get_by_role("button", name="Stop").click()


def sideways(page):
    return page.evaluate("document.documentElement.scrollWidth - window.innerWidth")


# --- a figure ------------------------------------------------------------------------------------


def test_a_figure_runs_is_edited_broken_and_reset(served, reader):
    page = reader.chapter(served)
    image = page.locator("#fig-dice-eyes img")
    original = image.get_attribute("src")
    begun = time.monotonic()
    first = draw(page)
    assert first.startswith("blob:") and time.monotonic() - begun < 30
    editor = page.get_by_label("Code of this figure")
    code = editor.input_value()
    assert code.startswith("plots.style()") and code.endswith("plt.show()")

    editor.fill(code.replace('xlabel="eyes"', 'xlabel="pips", title="Mine"'))
    editor.press("Control+Enter")
    until(lambda: image.get_attribute("src") not in (first, original))
    says(page, "Drawn in")
    drawn = image.get_attribute("src")

    editor.fill("one = 1\none / 0")
    editor.press("Control+Enter")
    trouble = page.locator("pre.sb-printed")
    trouble.wait_for()
    assert "line 2" in trouble.inner_text() and "ZeroDivisionError" in trouble.inner_text()
    says(page, "ZeroDivisionError")
    assert image.get_attribute("src") == drawn  # the last drawing stays

    bar(page).get_by_role("button", name="Reset").click()
    assert editor.input_value() == code
    assert image.evaluate("i => i.getAttribute('src')").endswith(original.split("/")[-1])
    assert trouble.is_hidden()
    assert image.evaluate("i => i.naturalWidth") > 300


def test_an_endless_figure_is_stopped(served, reader):
    page = reader.chapter(served)
    draw(page)
    page.get_by_label("Code of this figure").fill("while True: pass")
    bar(page).get_by_role("button", name="Run", exact=True).click()
    bar(page).get_by_role("button", name="Stop").click()
    says(page, "^stopped$")
    reader.wrong.clear()  # Chromium notes the 409 of the draw that was stopped
    bar(page).get_by_role("button", name="Reset").click()
    draw(page)


def test_two_tabs_have_a_kernel_each_and_give_it_back(served, reader):
    pages = [reader.chapter(served) for _ in range(2)]
    for page in pages:
        draw(page)
    told = []
    for page in pages:
        page.get_by_label("Code of this figure").fill("import os; print(os.getpid())")
        bar(page).get_by_role("button", name="Run", exact=True).click()
        says(page, "drew no picture")
        told.append(int(page.locator("pre.sb-printed").inner_text()))
    assert told[0] != told[1]
    proc = [Path(f"/proc/{pid}") for pid in told]
    if proc[1].parent.is_dir():
        assert proc[0].exists() and proc[1].exists()
        pages[0].close(run_before_unload=True)
        until(lambda: not proc[0].exists())
        assert proc[1].exists()


# --- the panel -------------------------------------------------------------------------------------


def test_a_changed_parameter_gives_two_pictures_and_two_verdicts(served, reader, shelf):
    page = reader.chapter(served)
    page.get_by_label("n_throws").fill("900")
    changed = page.locator(".sb-field--changed label")
    assert changed.inner_text() == "n_throws"
    assert "changed" in changed.evaluate("n => getComputedStyle(n, '::after').content")
    submit(page)
    says(page, r"Cell \d+ of \d+")
    page.locator(".sb-compare").wait_for()
    figures = page.locator(".sb-compare figure")
    assert figures.count() == 2
    left, right = (figures.nth(i) for i in range(2))
    assert left.inner_text().startswith("Published.")
    assert (
        right.inner_text().startswith("Yours.")
        and "n_throws 900 instead of 600" in right.inner_text()
    )
    for one in (left, right):
        until(lambda one=one: one.locator("img").evaluate("i => i.naturalWidth") > 300)
    a, b = (one.bounding_box() for one in (left, right))
    assert a["y"] == b["y"] and b["x"] > a["x"] + a["width"] - 1  # beside, not below
    row = page.locator(".sb-both tbody tr")
    assert row.locator(".sb-v--supported").count() == 2 and "custom" in row.inner_text()
    says(page, "Done in")

    name = re.search(r"run=([0-9a-f-]+)", page.url).group(1)
    assert (shelf / "runs" / "dice" / name / "run.json").is_file()
    again = reader.chapter(served, f"?run={name}")  # the address shows it again
    again.locator(".sb-compare").wait_for()
    assert again.get_by_label("n_throws").input_value() == "900"
    submit(again)
    says(again, "there already")

    page.locator(".sb-mine summary").click()
    mine = page.locator(f'.sb-mine tr[data-run="{name}"]')
    with page.expect_download() as download:
        mine.get_by_role("link", name="Export").click()
    assert download.value.suggested_filename == f"dice-{name}.ipynb"
    mine.get_by_role("button", name="Delete").click()
    mine.get_by_role("button", name="Delete for good").click()
    mine.wait_for(state="detached")
    assert not (shelf / "runs" / "dice" / name).exists()


def test_a_salmon_cannot_pass_for_a_result(served, reader):
    page = reader.chapter(served)
    page.get_by_label("salmon").check()
    submit(page)
    page.locator(".sb-compare").wait_for()
    yours = page.locator(".sb-compare figure").nth(1).inner_text()
    assert yours.startswith("salmon run")
    row = page.locator(".sb-both tbody tr")
    assert "salmon run" in row.inner_text() and "contradicted" in row.inner_text()
    assert "changed" in row.inner_text() and row.get_attribute("class") == "sb-turned"


def test_bad_values_are_refused_with_what_is_allowed(served, reader):
    page = reader.chapter(served)
    field, go = page.get_by_label("n_throws"), page.locator("form.sb-panel button[type=submit]")
    for bad, sentence in (
        ("0", "n_throws = 0: must lie in [1, 1000000]"),
        ("2.5", "n_throws: must be a whole number"),
        ("", "n_throws: must not be empty"),
    ):
        field.fill(bad)
        assert page.locator("#help-n_throws .sb-error").inner_text() == sentence
        assert field.get_attribute("aria-invalid") == "true" and go.is_disabled()
    field.fill("600")
    assert go.is_enabled() and page.locator(".sb-panel .sb-error").count() == 0
    page.get_by_label("device").fill("\u200bcpu")  # what only the server finds wrong
    go.click()
    page.locator("#help-device .sb-error").wait_for()
    assert "printable" in page.locator("#help-device .sb-error").inner_text()
    reader.wrong.clear()  # Chromium notes the 422
    page.get_by_role("button", name="Published values").click()
    assert go.is_enabled() and page.get_by_label("device").input_value() == "auto"


def test_sliders_and_profiles_set_values(served, reader):
    page = reader.chapter(served)
    slider = page.locator(".sb-field", has_text="margin").locator("input[type=range]")
    slider.evaluate("s => { s.value = 2; s.dispatchEvent(new Event('input')); }")
    assert float(page.get_by_label("margin").input_value()) == 2
    page.get_by_label("profile").select_option("smoke")
    assert page.get_by_label("n_throws").input_value() == "60"
    assert page.get_by_label("margin").input_value() == "0.5"
    assert page.locator("#help-profile").inner_text() == "seconds only"


def test_a_run_is_found_again_after_a_reload_and_stopped(served, reader, shelf):
    page = reader.chapter(served)
    page.get_by_label("pause").fill("55")
    submit(page)
    says(page, r"Cell \d+ of \d+, throws")
    page.reload()
    says(page, r"Cell \d+ of \d+, throws")
    assert page.get_by_label("pause").input_value() == "55"
    other = reader.chapter(served)  # another tab finds it in the list
    other.locator(".sb-mine summary").click()
    other.get_by_role("button", name="Follow").click()
    says(other, r"Cell \d+ of \d+, throws")
    stop(page)
    for tab in (page, other):
        says(tab, "stopped")
        assert "run=" not in tab.url
        assert tab.locator("form.sb-panel button[type=submit]").is_enabled()
    assert not list((shelf / "runs" / "dice").glob(".part-*"))


# --- without a mouse, on a phone, without a server ---------------------------------------------------


def test_all_of_it_by_keyboard(served, reader):
    page = reader.chapter(served)

    def focused():
        return page.evaluate(
            "(() => { const a = document.activeElement; return a.id || a.textContent; })()"
        )

    def tab_to(name, most=12):
        for _ in range(most):
            if focused() == name:
                return
            page.keyboard.press("Tab")
        raise AssertionError(f"{name} is not reached: {focused()}")

    page.locator(".tag_cell-fig-eyes summary").focus()
    tab_to("Run")
    page.keyboard.press("Enter")
    says(page, "Drawn in")
    tab_to("edit-fig-dice-eyes")
    page.keyboard.press("Control+End")
    page.keyboard.type("\nprint('typed')")
    page.keyboard.press("Control+Enter")
    page.locator("pre.sb-printed", has_text="typed").wait_for()
    page.locator("#p-profile").focus()
    tab_to("p-n_throws", 1 + 1)
    page.keyboard.press("Control+a")
    page.keyboard.type("610")
    tab_to("p-margin", 1 + 1)  # the slider is the same number, and no stop of its own
    page.keyboard.press("Enter")
    page.locator(".sb-compare").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_all_of_it_without_scrolling_sideways(served, chromium, scheme):
    reader = Reader(chromium, 390, 844, color_scheme=scheme, has_touch=True)
    page = reader.chapter(served, f"?run={published(served.root)}")
    page.locator(".sb-compare").wait_for()
    draw(page)
    page.get_by_label("n_throws").fill("0")
    assert sideways(page) <= 0
    for button in page.locator("button.sb-btn:visible").all():
        assert button.bounding_box()["height"] >= 43, button.inner_text()
    pictures = page.locator(".sb-compare img")
    until(lambda: all(i.evaluate("i => i.complete") for i in pictures.all()))
    boxes = "figures => figures.slice(0, 2).map(f => f.getBoundingClientRect().toJSON())"
    a, b = page.locator(".sb-compare figure").evaluate_all(boxes)  # both at one moment
    assert b["y"] > a["y"] + a["height"] - 1 and a["width"] <= 390
    reader.context.close()
    assert reader.foreign == [] and reader.wrong == []


def test_plain_files_are_readable_and_say_how_to_run(shelf, chromium):
    reader = Reader(chromium)
    page = reader.open((shelf / "_build" / "html" / PAGE).as_uri())
    assert "seedbook serve" in page.locator(".sb-static").inner_text()
    assert page.locator(".sb-static").count() == 1
    assert page.locator(".sb-figbar, .sb-panel").count() == 0
    assert page.locator("#fig-dice-eyes img").evaluate("i => i.naturalWidth") > 300
    page.goto((shelf / "_build" / "html" / "book" / "index.html").as_uri())
    assert page.locator(".sb-static").count() == 0  # chapters only
    reader.context.close()
    assert reader.foreign == [] and reader.wrong == []


def test_a_server_that_is_gone_is_said_and_the_page_stays(shelf, chromium):
    running = Served(shelf, "--no-warm")
    reader = Reader(chromium)
    page = reader.chapter(running)
    running.kill()
    bar(page).get_by_role("button", name="Run", exact=True).click()
    says(page, "Start `seedbook serve`")
    submit(page)
    says(page, "Start `seedbook serve`")
    assert page.locator("#fig-dice-eyes img").evaluate("i => i.naturalWidth") > 300
    reader.context.close()
