"""The book: pages say what the runs say, load nothing from elsewhere, and build without warnings."""

import json
import re
import shutil
from html import unescape
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
import yaml
from seedbook import claims
from seedbook.press import audit, catalog, cli, editions, render, runner, seminar, store
from seedbook.press import book as pages
from tiny import REPOSITORY

COMMITTED = (
    *(
        "index.md",
        "ledger.md",
        "luck.md",
        "beyond_one_machine.md",
        "colophon.md",
        "bibliography.md",
    ),
    *("references.bib", "_static", "seminar"),
)


def furnish(root: Path) -> None:
    """Give a tiny book what Jupyter Book needs beside the chapters."""
    shutil.copy(REPOSITORY / "_config.yml", root)
    for name in COMMITTED:
        source, target = REPOSITORY / "book" / name, root / "book" / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    (root / "seminar").mkdir()
    meeting = {"title": "Throw", "aims": ["throw a die"], "chapters": ["dice"]}
    tracks = ("fourteen_weeks", "seven_weeks", "one_day")
    course = {name: {"unit": "Week", "meetings": [meeting]} for name in tracks}
    (root / "seminar" / "syllabus.yml").write_text(yaml.safe_dump(course))
    (root / "book" / "parts").mkdir()
    part = "# Luck\n\n```{raw} html\n:file: ../chapters/_html/part-luck.html\n```\n"
    (root / "book" / "parts" / "luck.md").write_text(part)


def page_of(book, **options) -> dict:
    (entry,) = pages.assemble(book.root, **options)
    assert entry.done
    return json.loads((book.root / "book" / "chapters" / "dice.ipynb").read_text())


def cells(notebook: dict) -> dict:
    return {c["id"]: c for c in notebook["cells"]}


# --- the committed files ---------------------------------------------------------------------


def test_contents_agree_with_the_catalogue():
    cat = catalog.load(REPOSITORY)
    assert yaml.safe_load((REPOSITORY / "_toc.yml").read_text()) == pages.toc(cat)
    listed = [c["file"] for p in pages.toc(cat)["parts"] for c in p["chapters"]]
    assert len(listed) == len(set(listed)) == 30 + 6 + len(pages.ACROSS) + len(pages.SEMINAR)


def test_every_part_has_a_page_with_its_cards():
    for part in catalog.load(REPOSITORY).parts:
        text = (REPOSITORY / "book" / "parts" / f"{part.id}.md").read_text()
        assert f"# {part.title}\n" in text
        assert f"part-{part.id}.html" in text


def test_costs_are_counted_from_recorded_durations(ran):
    listed = pages.entries(catalog.load(ran.root))
    html = pages._costs(listed)
    assert "1 chapter of 1 has a recorded" in html
    assert f"{pages.SWEPT} runs" in html and "core-hours" in html
    nobody = [pages.Entry(listed[0].chapter, [])]
    assert "No chapter has run yet" in pages._costs(nobody)


def test_the_page_on_clusters_shows_code_that_is_real():
    text = (REPOSITORY / "book" / "beyond_one_machine.md").read_text()
    (script,) = re.findall(r"```python\n(.*?)```", text, re.S)
    compile(script, "slurm_cluster.py", "exec")
    (manifest,) = re.findall(r"```yaml\n(.*?)```", text, re.S)
    assert yaml.safe_load(manifest)["spec"]["worker"]["replicas"] == 4
    for block in re.findall(r"```bash\n(.*?)```", text, re.S):
        for line in re.findall(r"seedbook ((?:run|sweep|export) .*)", block):
            assert cli._parser().parse_args(line.split()).slug is not None


# --- a chapter's page ------------------------------------------------------------------------


def test_page_joins_prose_and_outputs_by_id(ran):
    ran.edit("idea", "of a fair die", "of an honest die")  # prose: the run stays current
    found = cells(page_of(ran))
    assert "honest" in found["idea"]["source"]
    (edition,) = editions.shown(catalog.load(ran.root).chapter("dice"), ran.root)
    mean = render.measure_text(edition.claims["measures"]["mean"])
    assert found["verdicts-text"]["source"] == f"## Verdicts\n\nThe mean is {mean}."
    assert re.fullmatch(r"3\.\d+ \[3\.\d+, 3\.\d+\]", mean)
    order = list(found)
    assert order[:3] == ["title", "at-a-glance", "parameter-table"]
    assert order[-1] == "provenance"


def test_caption_and_alternative_text_come_from_the_source(ran):
    notebook = ran.notebook()
    figure = cells(notebook)["fig-eyes"]["metadata"]["mystnb"]
    figure["figure"]["caption"], figure["image"]["alt"] = "Mean {{ mean }}.", "Six bars."
    ran.write(notebook)
    shown = cells(page_of(ran))["fig-eyes"]["metadata"]["mystnb"]
    assert shown["image"] == {"alt": "Six bars."}
    assert re.fullmatch(r"Mean 3\.\d+ \[.*\]\.", shown["figure"]["caption"])


def test_folded_cells_and_open_experiments(ran):
    tags = {k: c["metadata"].get("tags", []) for k, c in cells(page_of(ran)).items()}
    for folded in ("parameters", "setup", "claims", "fig-eyes", "verdicts"):
        assert "hide-input" in tags[folded], folded
    for open_ in ("method", "throws"):
        assert "hide-input" not in tags[open_], open_
    assert "cell-fig-eyes" in tags["fig-eyes"]


def test_outputs_are_what_sphinx_can_show(ran):
    found = cells(page_of(ran))
    kinds = [set(o["data"]) for c in found.values() for o in c.get("outputs", [])]
    assert {"image/svg+xml"} in kinds
    assert not any(claims.MIME in kind for kind in kinds)
    (table,) = found["verdicts"]["outputs"]
    assert "sb-scroll" in table["data"]["text/html"]
    assert "sb-v--supported" in table["data"]["text/html"]


def test_glance_says_what_the_run_says(ran):
    glance = cells(page_of(ran))["at-a-glance"]["source"]
    for text in ("Is a die fair?", "The die is fair.", "sb-v--supported", "Simulated throws"):
        assert text in glance
    assert "Not published" in glance
    editions.publish(store.runs(ran.root, "dice")[0], ran.root)
    glance = cells(page_of(ran))["at-a-glance"]["source"]
    assert "ot published" not in glance and 'data-published="true"' in glance


def test_other_profile_stands_beside(ran):
    editions.publish(store.runs(ran.root, "dice")[0], ran.root)
    quick, full = (editions.folder(ran.root, "dice", p) for p in ("quick", "full"))
    shutil.copytree(quick, full)
    run = store.read_json(full / "run.json")
    assert run["profile"] == "quick"
    store.write_json(full / "run.json", run | {"profile": "full"})
    path, mean = full / "claims.json", store.read_json(quick / "claims.json")["measures"]["mean"]
    record = store.read_json(path)
    record["measures"]["mean"]["estimate"] = 3.875
    store.write_json(path, record)

    def table():
        (shown,) = cells(page_of(ran))["verdicts"]["outputs"]
        return shown["data"]["text/html"]

    html = table()  # full is stale, for its parameters are not those of the profile
    ours = html[html.index('data-l="Ours"') :]
    assert ours.index(render.interval(mean)[0]) < ours.index('sb-other">full: 3.88')
    assert "full: the same" in html and "full: not met" not in html
    assert "otherwise" not in cells(page_of(ran))["at-a-glance"]["source"]
    record["verdicts"]["c1"] = {**record["verdicts"]["c1"], "verdict": "inconclusive"} | {
        "because": "not met: mean above 3"
    }
    store.write_json(path, record)
    assert "otherwise in full: c1" in cells(page_of(ran))["at-a-glance"]["source"]
    html = table()
    assert html.index("sb-v--supported") < html.index("sb-v--inconclusive")
    assert "full: not met: mean above 3" in html


def test_unknown_measure_is_named(ran):
    ran.edit("verdicts-text", "{{ mean }}", "{{ maen }}")
    with pytest.raises(pages.BookError, match="'verdicts-text'.*maen.*there are .*mean, n_throws"):
        pages.assemble(ran.root)


def test_parameters_in_the_text_are_those_of_the_edition(ran):
    ran.edit("verdicts-text", "{{ mean }}", "{{ mean }} in {{ n_throws }} throws")
    notebook = ran.notebook()
    for cell in notebook["cells"]:
        if "figure" in cell["metadata"].get("mystnb", {}):
            cell["metadata"]["mystnb"]["figure"]["caption"] = "Of {{ n_throws }} throws."
    ran.write(notebook)
    assert "] in 600 throws" in cells(page_of(ran))["verdicts-text"]["source"]
    runner.run("dice", root=ran.root, profile="full")
    editions.publish(editions.plan("dice", ran.root, "full").done, ran.root)
    shown = cells(page_of(ran))
    assert "] in 60\u2009000 throws" in shown["verdicts-text"]["source"]
    captions = [
        c["metadata"].get("mystnb", {}).get("figure", {}).get("caption") for c in shown.values()
    ]
    assert "Of 60\u2009000 throws." in captions


def test_mathematics_with_double_braces_is_left_alone(ran):
    ran.edit("idea", "$7/2$", r"$\frac{{a}}{b}$")
    assert r"\frac{{a}}{b}" in cells(page_of(ran))["idea"]["source"]


def test_unpublished_runs_are_a_choice(ran):
    (entry,) = pages.assemble(ran.root, preview=False)
    assert not entry.done
    folder = ran.root / "book" / "chapters"
    assert (folder / "dice.md").is_file() and not (folder / "dice.ipynb").exists()
    page_of(ran)
    assert not (folder / "dice.md").exists()  # two pages of one name would be a warning


def test_stale_edition_is_shown_as_it_was(ran):
    editions.publish(store.runs(ran.root, "dice")[0], ran.root)
    ran.edit("throws", "eyes[::2] = 6", "eyes[::3] = 6")
    found = cells(page_of(ran))
    assert "eyes[::2] = 6" in found["throws"]["source"]
    assert "stale" in found["provenance"]["source"]


def test_failed_output_is_refused(ran):
    (entry,) = pages.entries(catalog.load(ran.root))
    path = entry.editions[0].folder / "notebook.ipynb"
    notebook = json.loads(path.read_text())
    error = {"output_type": "error", "ename": "ValueError", "evalue": "", "traceback": []}
    cells(notebook)["throws"]["outputs"] = [error]
    path.write_text(json.dumps(notebook))
    with pytest.raises(pages.BookError, match="'throws'.*ValueError"):
        pages.assemble(ran.root)


def test_nothing_to_show_gives_a_page_in_preparation(book):
    (entry,) = pages.assemble(book.root)
    text = (book.root / "book" / "chapters" / "dice.md").read_text()
    assert not entry.done
    assert text.startswith("# Fair dice\n") and "in preparation" in text and "Ada Thrower" in text
    cards = (book.root / "book" / "chapters" / "_html" / "cards.html").read_text()
    assert 'data-verdicts="in-preparation"' in cards
    assert "1 is in preparation" in pages._fragments(catalog.load(book.root), [entry])[0]["totals"]


# --- replication -----------------------------------------------------------------------------


def audited(root, profile, verdicts):
    """Keep an audit of the dice with these verdicts of fresh seeds, as a run would give it."""
    entry = catalog.load(root).chapter("dice")
    setting = audit.Setting(entry, "fresh", profile, {})
    plain = audit.line(setting, store.runs(root, "dice")[0])
    judged = [{"c1": {**plain["claims"]["c1"], "verdict": v}} for v in verdicts]
    audit.keep(entry, [{**plain, "replicate": 101 + i, "claims": c} for i, c in enumerate(judged)])


S, C, OPEN = "supported", "contradicted", "inconclusive"


@pytest.mark.parametrize(
    ("profile", "verdicts", "word", "cell"),
    [
        ("quick", [S] * 8 + [OPEN] * 2, "fragile", "8/10"),
        ("quick", [S] * 9 + [OPEN], S, "9/10"),
        ("quick", [S] * 3 + [OPEN] * 6, S, "3/9"),  # too few to say
        ("full", [S] * 2 + [OPEN] * 8, S, "2/10 <"),  # of another size: open is no contradiction
        ("full", [S] * 8 + [C] * 2, "fragile", "8/10 <"),
    ],
)
def test_fragile_is_what_fresh_seeds_do_not_carry(ran, profile, verdicts, word, cell):
    editions.publish(store.runs(ran.root, "dice")[0], ran.root)
    audited(ran.root, profile, verdicts)
    (entry,) = pages.entries(catalog.load(ran.root))
    assert pages.agreement(entry.editions[0], "c1", entry.audit).startswith(cell)
    assert entry.verdicts == {"c1": word}


# --- forest plot -----------------------------------------------------------------------------


def drawn(rule, low, estimate, high, *, null=None, paper=None):
    measure = {"estimate": estimate, "low": low, "high": high, "exact": low == high}
    claim = {"measure": "m", "null": "n" if null else None, "rule": rule}
    measures = {"m": measure}
    if null:
        measures["n"] = {"estimate": sum(null) / 2, "low": null[0], "high": null[1]}
    svg, margin = render.forest(claim, measures, "supported", paper)
    bar = re.search(r'class="ci" d="M([\d.]+) 12H([\d.]+)"', svg)
    return svg, margin, tuple(map(float, bar.groups())) if bar else None


@pytest.mark.parametrize(
    ("rule", "interval", "side"),
    [
        (claims.above("m", 1), (2, 3, 4), "right"),
        (claims.above("m", 1), (-2, -1, 0), "left"),
        (claims.below("m", 1), (-2, -1, 0), "right"),
        (claims.below("m", 1), (0, 1, 2), "across"),
        (claims.inside("m", -1, 1), (-0.5, 0, 0.9), "right"),
        (claims.inside("m", -1, 1), (2, 3, 4), "left"),
        (claims.inside("m", -1, 1), (0.5, 1, 2), "across"),
        (claims.all_of(claims.above("k", 9), claims.below("m", 5)), (1, 2, 3), "right"),
    ],
)
def test_forest_lays_what_the_claim_needs_to_the_right(rule, interval, side):
    _, margin, (left, right) = drawn(rule, *interval)
    assert 8 <= left <= right <= 168 and abs(margin) <= 1
    assert {"right": left >= 88, "left": right <= 88, "across": left < 88 < right}[side]


def test_forest_keeps_far_nulls_in_the_frame():
    svg, _, bar = drawn(claims.below("m", 0.005), 0, 0.001, 0.002, null=(0.2, 0.4), paper=0.001)
    (x, width) = map(float, re.search(r'x="([\d.]+)" y="3" width="([\d.]+)"', svg).groups())
    assert 8 <= x and x + width <= 168
    assert bar[1] - bar[0] > 5  # and our interval is not pressed flat
    assert 'class="paper"' in svg


def test_forest_of_nothing_is_empty():
    assert drawn(None, 0, 0, 0)[:2] == ("", None)
    assert drawn(claims.above("m", 0), None, None, None)[:2] == ("", None)


@pytest.mark.parametrize(
    ("words", "listed", "number"),
    [
        ("\u22120.25", {}, -0.25),
        ("~3", {}, 3),
        ("about 1.3", {}, None),
        ("about 1.3", {"c1": {"value": 1.3, "why": "read off"}}, 1.3),
        ("0.2", {"c2": {"value": 1.3, "why": "read off"}}, 0.2),
    ],
)
def test_the_papers_number_is_a_plain_one_or_the_catalogues(words, listed, number):
    chapter = SimpleNamespace(paper_values=listed)
    assert render.paper_number(chapter, {"id": "c1", "paper": words}) == number


# --- the built site --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(ran_once, tmp_path_factory):
    """The tiny book, built."""
    root = tmp_path_factory.mktemp("site") / "book"
    shutil.copytree(ran_once, root)
    furnish(root)
    config = (root / "_config.yml").read_text()
    config = re.sub(
        r'url: "?[^\s"]*"?', "url: https://github.com/someone/dicebook", config, count=1
    )
    (root / "_config.yml").write_text(config)
    pages.assemble(root)
    return pages.build(root).parent


def test_site_is_whole(site):
    assert pages.check(site) == []
    mathjax = site / "_static" / "mathjax"
    assert (mathjax / "tex-mml-chtml.js").is_file()
    assert list(mathjax.rglob("*.woff*"))


def test_site_shows_figure_table_and_numbers(site):
    html = (site / "book" / "chapters" / "dice.html").read_text()
    assert 'alt="Six bars of nearly equal height."' in html
    assert 'id="fig-dice-eyes"' in html
    assert "Fig. 1" in html
    assert html.count("sb-verdicts") == 1
    for absent in ("THEBE", "unpkg", "jsdelivr", "{{ mean }}", "stderr"):
        assert absent not in html


def test_links_lead_to_the_source_notebook(site):
    html = (site / "book" / "chapters" / "dice.html").read_text()
    assert "mybinder.org/v2/gh/someone/dicebook/main?urlpath=lab/tree/notebooks/dice.ipynb" in html
    assert "executablebooks" not in html
    source = json.loads((site / "_static" / "sources" / "dice.ipynb").read_text())
    assert all(not c.get("outputs") for c in source["cells"])
    assert 'href="../../_static/sources/dice.ipynb"' in html


def test_colab_opens_a_copy_that_installs_the_package_first(site):
    html = (site / "book" / "chapters" / "dice.html").read_text()
    assert "google.com/github/someone/dicebook/blob/gh-pages/_static/colab/dice.ipynb" in html
    copy = nbformat.read(site / "_static" / "colab" / "dice.ipynb", as_version=4)
    nbformat.validate(copy)
    first, *rest = copy.cells
    assert first.source == "%pip install -q git+https://github.com/someone/dicebook@main"
    source = json.loads((site / "_static" / "sources" / "dice.ipynb").read_text())
    assert [c["id"] for c in rest] == [c["id"] for c in source["cells"]]


def test_build_without_assembling_says_so(tmp_path):
    with pytest.raises(pages.BookError, match="seedbook book"):
        pages.build(tmp_path)


def test_build_fails_on_a_warning(ran, tmp_path):
    furnish(ran.root)
    ran.edit("idea", "The mean", "See [nothing](nowhere.md). The mean")
    pages.assemble(ran.root)
    with pytest.raises(pages.BookError, match="nowhere"):
        pages.build(ran.root)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('<script src="https://cdn.example/x.js"></script>', "another host"),
        ('<img src="//cdn.example/x.png">', "another host"),
        ('<link rel="stylesheet" href="https://cdn.example/x.css">', "another host"),
        ('<img srcset="a.png 1x, https://cdn.example/b.png 2x" src="a.png">', "another host"),
        ("<style>@import 'https://cdn.example/x.css';</style>", "would load"),
        ('<p style="background: url(https://cdn.example/x.png)">x</p>', "would load"),
        ("<script>const U = 'https://cdn.example/lib.js'</script>", "would load"),
        ('<a href="gone.html">x</a>', "does not exist"),
        ('<a href="../../out.html">x</a>', "does not exist"),
        ('<a href="#gone">x</a>', "no such place"),
        ('<a href="b.html#gone">x</a>', "no such place"),
        ("<pre>Traceback (most recent call last)</pre>", "traceback"),
        ('<div class="output stderr">x</div>', "stderr"),
        ("<p>{{ sufficiency }}</p>", "unfilled"),
        ("x" * 1_000_001, "1.0 MB"),
    ],
)
def test_check_finds(tmp_path, body, problem):
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "b.html").write_text('<p id="here">x</p>')
    (tmp_path / "a.html").write_text(body)
    (found,) = pages.check(tmp_path)
    assert found.startswith("a.html: ") and problem in found


def test_check_lets_pass(tmp_path):
    (tmp_path / "b.html").write_text('<p id="here there">x</p><a href="https://doi.org/1">doi</a>')
    (tmp_path / "a.html").write_text(
        '<a href="b.html#here%20there">x</a><a href="?q=1#">x</a><a href="mailto:a@b.c">x</a>'
        '<img src="data:image/png;base64,AA=="><link rel="canonical" href="https://example.org">'
    )
    assert pages.check(tmp_path) == []


def test_check_reads_style_sheets_and_empty_folders(tmp_path):
    assert pages.check(tmp_path) == [f"{tmp_path}: no page was built"]
    (tmp_path / "a.html").write_text("<p>x</p>")
    (tmp_path / "a.css").write_text("p { background: url('https://cdn.example/x.png') }")
    assert pages.check(tmp_path) == ["a.css: loads https://cdn.example/x.png"]


def test_the_real_book_builds(tmp_path):
    """Every page of the real book, from the editions that are published."""
    for name in ("_config.yml", "book", "notebooks", "data", "seminar"):
        source = REPOSITORY / name
        ignore = shutil.ignore_patterns("chapters", ".part-*")
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=ignore)
        else:
            shutil.copy(source, tmp_path)
    listed = pages.assemble(tmp_path, preview=False)
    site = pages.build(tmp_path).parent
    assert pages.check(site) == []
    for entry in listed:
        assert (site / "book" / "chapters" / f"{entry.chapter.slug}.html").is_file()
    assert answers_in(site) == []


def answers_in(site: Path) -> list[str]:
    """Lines of the teacher's guides, answers and rubrics that the site gives away."""

    def plain(text: str) -> str:
        return " ".join(unescape(text).split())

    told = "\n".join(
        plain(path.read_text(encoding="utf-8"))
        for path in site.rglob("*")
        if path.suffix in {".html", ".js", ".json", ".txt", ".md", ".ipynb", ".csv"}
    )
    answers = [
        plain(line)
        for chapter in catalog.load(REPOSITORY).chapters
        for piece in seminar.read(chapter).pieces
        if piece.tag in ("guide", "short", "open")
        for line in piece.text.splitlines()
    ]
    answers = [line for line in answers if len(line) >= 40]
    assert len(answers) > 500
    return [line for line in answers if line in told]


# --- in a browser ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser():
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        browser.close()


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_pages_fit_and_ask_nobody(site, browser, width, theme):
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=theme)
    asked = []
    page.on("request", lambda r: asked.append(r.url))
    across = [name for name, _ in pages.ACROSS]
    for name in ("index", *across, "chapters/dice", "parts/luck"):
        page.goto((site / "book" / f"{name}.html").as_uri())
        page.wait_for_load_state()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        assert page.evaluate("document.documentElement.dataset.theme") == theme
        bars = page.locator("input[type=search]:visible, .bd-header .search-button:visible")
        assert bars.count() <= 2, name  # the theme's field in the sidebar, and ours on lists
    assert [u for u in asked if not u.startswith(("file:", "data:", "blob:"))] == []
    page.goto((site / "book" / "chapters" / "dice.html").as_uri())
    page.wait_for_selector("mjx-container")  # mathematics is set without a network
    page.close()


@pytest.mark.browser
def test_find_and_chips_filter_the_cards(site, browser):
    page = browser.new_page()
    page.goto((site / "book" / "index.html").as_uri())
    status = page.locator(".sb-controls [role=status]")
    assert status.text_content() == "1 of 1"
    page.fill("[data-find]", "no such paper")
    assert status.text_content() == "0 of 1"
    page.fill("[data-find]", "thrower fair")
    assert status.text_content() == "1 of 1"
    page.click("[data-verdict=contradicted]")
    assert status.text_content() == "0 of 1"
    page.close()
