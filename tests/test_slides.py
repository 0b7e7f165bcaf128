"""Slides: what a chapter says, cut where a sentence ends, with no verdict before the figures."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from seedbook.press import book as pages
from seedbook.press import catalog, render, slides
from test_book import furnish
from test_browser import Reader
from tiny import REPOSITORY, Book

IDEA = """## The idea

**A mean.** The eyes of a fair die, e.g. a new one, average to $7/2$. For $n$ throws

$$ \\bar x=\\frac1n\\sum_i x_i \\tag{1} $$

is near it. Is it so "by law"? It is."""
EXERCISES = """## Exercises, discussion, further reading

1. Throw a die.

**Discuss.** Dice have six sides. Must they? (No.) What is $\\tfrac16$ of chance?

**Read next.** Nothing."""
LIMITS = "\n\n**What this does not show.** That real dice are fair."


def teachable(root: Path) -> None:
    """Give a tiny book with a run the prose that slides are made of: no run is needed again."""
    book = Book.__new__(Book)
    book.root = root
    book.edit("idea", "## The idea\n\nThe mean of a fair die is $7/2$.", IDEA)
    book.edit(
        "exercises", "## Exercises, discussion, further reading\n\n1. Throw a die.", EXERCISES
    )
    book.edit("verdicts-text", "The mean is {{ mean }}.", "The mean is {{ mean }}." + LIMITS)
    book.edit("experiment", "## The experiment", "## The experiment\n\n**The salmon** is a six.")


def sections(deck: str) -> dict[str, tuple[str, str]]:
    """Slide id to what the room sees, and what the speaker sees."""
    found = {}
    for name, body in re.findall(r'<section id="([^"]+)">(.*?)</section>', deck, re.S):
        shown, _, notes = body.partition('<aside class="notes">')
        found[name] = (shown, notes)
    return found


@pytest.fixture
def deck(ran) -> dict[str, tuple[str, str]]:
    teachable(ran.root)
    pages.assemble(ran.root)
    path = ran.root / "book" / "chapters" / "_extra" / "slides" / "dice.html"
    return sections(path.read_text(encoding="utf-8"))


# --- cutting -------------------------------------------------------------------------------------


def plain(units):
    return [" ".join(slides._plain(p.html) for p in unit) for unit in units]


def test_prose_is_cut_where_sentences_end():
    text = (
        "**Bold head.** By E. T. Jaynes, e.g. here, it is 0.5. *Slanted. Words* stay (see c1). "
        '"Why?" `code.` Ends.'
    )
    assert plain(slides.pieces(text)) == [
        "Bold head. By E. T. Jaynes, e.g. here, it is 0.5.",
        "Slanted. Words stay (see c1).",
        '"Why?"',
        "code. Ends.",
    ]


def test_a_formula_stays_with_its_sentence():
    units = slides.pieces(IDEA)
    assert len(units) == 4
    first, formula, question, last = units
    assert [p.formula for p in formula] == [False, True, False]
    assert slides._plain(formula[0].html) == r"For \(n\) throws"
    assert slides._plain(formula[2].html) == "is near it."
    assert slides.prose(units).count("<p>") == 2


def test_a_list_stays_with_what_leads_to_it():
    units = slides.pieces("Two things follow:\n\n- one;\n- two.\n\nThe end.")
    assert [len(u) for u in units] == [2, 1]


def test_what_fits_ends_with_a_paragraph_if_that_wastes_little():
    long = "So it goes on and on for a line. " * 4
    units = slides.pieces(f"{long}\n\n{long}")
    room = slides.height(units[:4])
    assert slides.fit(units, room + 0.1) == 4
    assert slides.fit(units, slides.height(units[:6])) in (4, 6)
    assert slides.fit(units, slides.height(units)) == 8
    one = slides.pieces(long * 3)
    assert 0 < slides.fit(one, slides.height(one[:6])) < 12  # cut, but after a sentence
    assert slides.fit([], 3) == 0


def test_rows_are_spread_evenly_and_none_is_lost():
    rows = [[str(i)] for i in range(11)]
    parts = slides._spread(rows, [2] * 11, room=15)
    assert [r for part in parts for r in part] == rows
    assert sorted(map(len, parts)) == [5, 6]
    assert len(slides._spread(rows, [1] * 11, room=17)) == 1
    assert slides._spread(rows[:2], [40, 1], room=15) == [rows[:1], rows[1:2]]  # never without end


def test_limits_are_the_paragraphs_that_say_so():
    text = dict.fromkeys(("verdicts-text", "side-by-side"), "")
    text["verdicts-text"] = (
        "**Twins show what one did not show.** A.\n\n**What to trust least.** B.\n\n"
        "**What this does not show.** C."
    )
    ((shown, _),) = sections("".join(slides._limits(text))).values()
    assert re.findall(r"<p>(.*)</p>", shown) == ["C.", "<strong>What to trust least.</strong> B."]
    text["verdicts-text"] = "**Plain.** A."
    text["side-by-side"] = "| | paper | here |\n|---|---|---|\n| size | large | small |"
    ((shown, _),) = sections("".join(slides._limits(text))).values()
    assert "<td>large</td>" in shown and "side by side" in shown


def test_captions_keep_their_first_sentence_and_short_ones():
    long = "A" + " long" * 50 + " sentence."
    assert slides._caption(f"{long} Bars: intervals.") == long
    assert slides._caption("Seen: $x$. Bars: intervals.").endswith("Bars: intervals.")
    assert "<em>" in slides._caption("*Slanted* is kept.")


# --- a deck --------------------------------------------------------------------------------------


def test_the_room_bets_before_it_sees_a_verdict(deck):
    names = list(deck)
    assert names == [
        *("title", "idea", "claims", "experiment", "parameters", "fig-eyes", "verdicts"),
        *("limits", "discussion", "run"),
    ]
    before = "".join(deck[n][0] + deck[n][1] for n in names[: names.index("verdicts")])
    assert "The die is fair." in deck["claims"][0] and "3.5" in deck["claims"][0]
    assert "sb-v" not in before and not re.search("|".join(render.VERDICTS), before)
    verdicts = deck["verdicts"][0]
    assert "sb-v--supported" in verdicts and "The die is fair." in verdicts
    assert re.search(r"3\.\d+ <span class=\"int\">\[3\.\d+, 3\.\d+\]", verdicts)


def test_slides_say_what_the_chapter_says(deck):
    assert "Is a die fair?" in deck["title"][0] and "Ada Thrower" in deck["title"][0]
    assert "Not published" in deck["title"][0]
    assert r"\tag{1}" in deck["idea"][0] and "is near it." in deck["idea"][0]
    assert "Many of them." in deck["experiment"][0]  # its prose is a salmon's alone
    assert "salmon" not in deck["experiment"][0] and "is a six" in deck["experiment"][1]
    assert "<code>n_throws</code>" in deck["parameters"][0]
    assert "<code>seed</code>" not in deck["parameters"][0]
    assert "Throws by eye." in deck["fig-eyes"][0]
    assert "<p>That real dice are fair.</p>" in deck["limits"][0]
    assert "The mean is" not in deck["limits"][0]
    assert "seedbook run dice" in deck["run"][0]
    assert re.search(r"Cost: quick \d+ s on 1 processor core\.", deck["run"][0])


def test_the_speaker_has_notes(deck):
    assert "Six bars of nearly equal height." in deck["fig-eyes"][1]
    for name in ("title", "discussion"):
        assert "Must they?" in deck[name][1]
    assert "Throw a die." in deck["discussion"][1]
    shown = re.findall(r"<li>(.*?)</li>", deck["discussion"][0])
    assert [slides._plain(q) for q in shown] == [
        "Dice have six sides. Must they? (No.)",
        r"What is \(\tfrac16\) of chance?",
    ]
    assert "Nothing." not in "".join(deck["discussion"])


def test_a_chapter_with_nothing_to_show_has_no_slides(ran):
    pages.assemble(ran.root)
    extra = ran.root / "book" / "chapters" / "_extra"
    assert (extra / "slides" / "dice.html").is_file()
    pages.assemble(ran.root, preview=False)
    assert extra.is_dir() and not list(extra.rglob("*.html"))


def test_an_unsupported_claim_has_its_reason_in_the_notes(ran):
    (entry,) = pages.entries(catalog.load(ran.root))
    judged = entry.editions[0].claims["verdicts"]["c1"]
    judged |= {"verdict": "contradicted", "because": "mean above 3.9 holds"}
    found = sections(slides.deck(entry, pages.page(entry)))
    assert "sb-v--contradicted" in found["verdicts"][0]
    assert "c1, contradicted: mean above 3.9 holds." in found["verdicts"][1]


# --- the built site ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(ran_once, tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("slides") / "book"
    shutil.copytree(ran_once, root)
    furnish(root)
    teachable(root)
    pages.assemble(root)
    return pages.build(root).parent


def test_decks_stand_beside_the_book_and_lead_into_it(site):
    assert pages.check(site) == []  # no dead link, no foreign host, and the figure is there
    deck = site / "slides" / "dice.html"
    text = deck.read_text(encoding="utf-8")
    (figure,) = re.findall(r'<img[^>]* src="([^"]+)"', text)
    assert (deck.parent / figure).read_text(encoding="utf-8").lstrip().startswith("<?xml")
    chapter = (site / "book" / "chapters" / "dice.html").read_text(encoding="utf-8")
    assert 'href="../../slides/dice.html"' in chapter
    assert 'href="../book/seminar/bets.html?chapter=dice"' in text
    assert "slides/dice" not in (site / "searchindex.js").read_text(encoding="utf-8")
    for name in ("reveal.js", "reveal.css", "reset.css", "notes.js", "LICENSE"):
        assert (site / "_static" / "reveal" / name).stat().st_size > 500


FAULTS = r"""() => {
  const slide = Reveal.getCurrentSlide().querySelector(".slide"), faults = [];
  const box = slide.getBoundingClientRect();
  if (slide.scrollHeight > 720 || slide.scrollWidth > 1280)
    faults.push(`${slide.scrollWidth} by ${slide.scrollHeight}`);
  for (const part of slide.querySelectorAll("*")) {
    const at = part.getBoundingClientRect();
    if (part.closest("mjx-assistive-mml") || !at.height) continue;
    if (at.right > box.left + 1245 || at.bottom > box.top + 695)
      faults.push(`${part.tagName} ends at ${at.right}, ${at.bottom}`);
    const words = [...part.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (words && !part.closest("mjx-container") && parseFloat(getComputedStyle(part).fontSize) < 20)
      faults.push(`small: ${part.textContent.slice(0, 40)}`);
  }
  for (const formula of slide.querySelectorAll("mjx-container"))
    if (parseFloat(getComputedStyle(formula).fontSize) < 20) faults.push("a small formula");
  const set = slide.querySelectorAll("mjx-container").length;
  if (set !== slide.querySelectorAll(".math").length || slide.querySelector("mjx-merror"))
    faults.push("a formula is not set");
  for (const image of slide.querySelectorAll("img"))
    if (!image.naturalWidth) faults.push(`no picture ${image.src}`);
  return faults;
}"""


def opened(reader, path: Path, query: str = ""):
    page = reader.open(path.as_uri() + query)
    page.wait_for_function("window.Reveal && Reveal.isReady()")
    return page


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_slide_is_reached_by_keyboard_and_fits(site, chromium, scheme):
    reader = Reader(chromium, 1280, 720, color_scheme=scheme)
    page = opened(reader, site / "slides" / "dice.html")
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    names = []
    while True:
        names.append(page.evaluate("Reveal.getCurrentSlide().id"))
        assert page.evaluate(FAULTS) == [], names[-1]
        if page.evaluate("Reveal.isLastSlide()"):
            break
        page.keyboard.press("ArrowRight")
        page.wait_for_function("name => Reveal.getCurrentSlide().id !== name", arg=names[-1])
    assert names[0] == "title" and names[-1] == "run" and len(names) == len(set(names)) == 10
    page.wait_for_function("location.hash === '#/run'")  # written after a moment
    page.close()
    reader.context.close()
    assert reader.foreign == [] and reader.wrong == []


@pytest.mark.browser
def test_the_speaker_view_opens_from_a_file(site, chromium):
    reader = Reader(chromium, 1280, 720)
    page = opened(reader, site / "slides" / "dice.html", "#/fig-eyes")
    with reader.context.expect_page() as opening:
        page.keyboard.press("s")
    speaker = opening.value
    speaker.locator(".speaker-controls-notes", has_text="Six bars of nearly").wait_for()
    reader.context.close()
    assert reader.foreign == [] and reader.wrong == []


@pytest.mark.browser
def test_printing_gives_a_page_a_slide_and_no_dark_ground(site, chromium):
    reader = Reader(chromium, 1280, 720, color_scheme="dark")
    page = opened(reader, site / "slides" / "dice.html", "?print-pdf")
    page.locator(".pdf-page").nth(9).wait_for(state="attached")
    pdf = page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 10
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    reader.context.close()
    assert reader.foreign == [] and reader.wrong == []


# --- the decks of this book ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def decks(tmp_path_factory) -> list[Path]:
    """Every deck of the real book, with the figures, styles and scripts that it loads."""
    from seedbook.press import sphinxext

    site = tmp_path_factory.mktemp("decks")
    shutil.copytree(REPOSITORY / "book" / "_static", site / "_static")
    for name in ("slides", "_images"):
        (site / name).mkdir()

    class App:
        class builder:
            format = "html"

        outdir = site

    sphinxext._copy_assets(App, None)
    for entry in pages.entries(catalog.load(REPOSITORY)):
        if not entry.done:
            continue
        page = pages.page(entry)
        for cell in page["cells"]:
            if found := slides.picture(cell.get("outputs", ())):
                (site / "_images" / found[0]).write_bytes(found[1])
        deck = slides.deck(entry, page, pages._spent(entry))
        (site / "slides" / f"{entry.chapter.slug}.html").write_text(deck, encoding="utf-8")
    return sorted((site / "slides").iterdir())


@pytest.mark.slow
def test_decks_of_this_book_are_small_and_never_end_within_a_sentence(decks):
    assert len(decks) == 30
    for path in decks:
        text = path.read_text(encoding="utf-8")
        assert len(text.encode()) < 200_000
        found = sections(text)
        assert 12 <= len(found) <= 18, path.stem
        for name in ("title", "idea", "claims", "parameters", "verdicts", "limits", "run"):
            assert found[name][0], (path.stem, name)
        for name in ("idea", "idea1", "experiment", "limits"):
            shown = slides._plain(found[name][0]) if name in found else "."
            assert re.search(r"[.?!][)\"”’]*$|\\\]$", shown) or "<table" in found[name][0], (
                path.stem,
                name,
                shown[-80:],
            )


@pytest.mark.slow
@pytest.mark.browser
def test_decks_of_this_book_fit_their_slides(decks, chromium):
    reader = Reader(chromium, 1280, 720)
    wrong = []
    for path in decks:
        page = opened(reader, path)
        for i in range(page.evaluate("Reveal.getTotalSlides()")):
            page.evaluate(f"Reveal.slide({i})")
            wrong += [(path.stem, i, fault) for fault in page.evaluate(FAULTS)]
        page.close()
    reader.context.close()
    assert wrong == [] and reader.foreign == [] and reader.wrong == []
