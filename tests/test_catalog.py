"""The catalogue: the real one is whole, and the loader refuses every kind of mistake."""

import datetime as dt
import re
import shutil
import unicodedata
from pathlib import Path

import nbformat
import pytest
import yaml
from pybtex.database import parse_file
from seedbook.press import catalog
from seedbook.press.root import CATALOG, root

BOOK_ORDER = """
locally_typical_sampling temperature_hot_or_cold stochastic_chaos soft_thinking
utility_probability_duality
embers_of_autoregression cultural_alignment random_calculation gptlens instruct_skillmix
palimpsestic_membership zero_shot_detection dead_salmons adaptive_data_analysis
epiplexity perfect_reconstruction deep_probability_estimation experts_dont_cheat
adversarial_universality riemann_cross_entropy
bandlimited_random_weights random_feature_attention unsupervised_pretraining dense_hebbian
modular_addition canon_layers
chaos_benchmark galaxy_halo sperm_whales diffusion_boundary_conditions
""".split()


@pytest.fixture(scope="module")
def book():
    return catalog.load(Path(__file__).parents[1])


@pytest.fixture(scope="module")
def references(book):
    return parse_file(str(book.root / "book" / "references.bib")).entries


def plain(text):
    """Letters without accents, braces and case, so that two spellings of a name compare."""
    letters = unicodedata.normalize("NFKD", text).replace("{", "").replace("}", "").lower()
    return "".join(c for c in letters if c.isalpha())


# --- the real catalogue ---------------------------------------------------------------------


def test_thirty_chapters_in_book_order(book):
    assert [chapter.slug for chapter in book.chapters] == BOOK_ORDER
    assert len(BOOK_ORDER) == 30


def test_six_parts_whose_chapters_stand_together(book):
    parts = [part.id for part in book.parts]
    assert parts == ["sampling", "measuring", "provenance", "information", "weights", "worlds"]
    assert list(dict.fromkeys(chapter.part for chapter in book.chapters)) == parts
    places = [parts.index(chapter.part) for chapter in book.chapters]
    assert places == sorted(places)


def test_every_notebook_is_catalogued(book):
    listed = {chapter.slug for chapter in book.chapters}
    assert {path.stem for path in (book.root / "notebooks").glob("*.ipynb")} <= listed


@pytest.mark.parametrize("slug", BOOK_ORDER)
def test_entry(book, references, slug):
    chapter = book.chapter(slug)
    assert chapter.question.endswith("?") and len(chapter.question) <= 80
    assert len(chapter.short) <= 30
    for text in (chapter.scope, chapter.abstract, chapter.title):
        assert "\n" not in text
    assert chapter.scope.endswith(".")
    assert len(re.findall(r"[.?](?: |$)", chapter.abstract)) == 2, "an abstract has two sentences"
    assert chapter.tags and chapter.prerequisites and chapter.reads_with
    assert set(chapter.after) <= set(BOOK_ORDER[: BOOK_ORDER.index(slug)]), (
        "read from front to back"
    )
    paper = chapter.paper
    assert paper.authors
    assert paper.date and dt.date(2010, 1, 1) < paper.date and paper.date.year <= paper.year
    reference = references[paper.cite]
    people = reference.persons["author"]
    assert [plain(" ".join(person.last_names)) for person in people] == [
        plain(catalog._surname(author)) for author in paper.authors
    ]
    assert reference.fields["year"] == str(paper.year)
    assert reference.fields.get("doi") == paper.doi
    assert reference.fields["eprint"] == paper.arxiv
    assert plain(reference.fields["title"]) == plain(paper.title)


def test_profiles_stand_only_where_a_notebook_does(book):
    for chapter in book.chapters:
        if not chapter.exists:
            assert not (chapter.profiles or chapter.data or chapter.models or chapter.tolerance)


def test_title_is_the_first_heading(book):
    for chapter in filter(lambda chapter: chapter.exists, book.chapters):
        first = nbformat.read(chapter.notebook, as_version=4).cells[0].source.splitlines()[0]
        assert first == f"# {chapter.title}", f"{chapter.slug}: title and first heading differ"


def test_lists_of_data_files_exist(book):
    for chapter in book.chapters:
        for source in chapter.data:
            if "files" in source:
                for line in (book.root / source["files"]).read_text().splitlines():
                    assert re.fullmatch(r"\S.* [0-9a-f]{64}", line), f"{source['files']}: {line}"


def test_authors_short():
    def short(*authors):
        paper = catalog.Paper("T", authors, 2024, "t2024")
        rest = dict.fromkeys(("part", "title", "short", "question", "scope", "abstract"), "x")
        return catalog.Chapter(root=Path(), slug="x", paper=paper, **rest).authors_short

    assert short("William Gilpin") == "Gilpin 2024"
    assert short("Yan Li", "Deb Roy") == "Li and Roy 2024"
    assert short("Idris Delsol", "Olivier Rioul", "Julien Béguinot") == "Delsol et al. 2024"
    assert short("Zeyuan Allen-Zhu") == "Allen-Zhu 2024"
    assert short("Guy van den Broeck") == "van den Broeck 2024"


def test_unknown_chapter_names_the_nearest(book):
    with pytest.raises(catalog.CatalogError, match="did you mean 'dead_salmons'"):
        book.chapter("dead_salmon")


# --- the loader -----------------------------------------------------------------------------


def small():
    """A catalogue of two chapters with every key in use."""
    first = {
        "slug": "one",
        "part": "p",
        "title": "One",
        "short": "One",
        "question": "Why?",
        "scope": "All.",
        "abstract": "First. Second.",
        "paper": {
            "title": "A paper",
            "authors": ["Ada Lovelace"],
            "date": "1843-08-01",
            "year": 1843,
            "venue": None,
            "doi": "10.1000/x",
            "arxiv": "2306.15540",
            "code": None,
            "cite": "lovelace1843",
        },
        "tags": ["t"],
        "prerequisites": ["p"],
        "reads_with": ["two"],
        "after": [],
        "threads": 1,
        "data": [
            {
                "name": "logs",
                "source": "github:a/b@" + "0" * 40,
                "path": "a.csv",
                "sha256": "0" * 64,
            },
            {"name": "more", "source": "github:a/b@" + "0" * 40, "files": "data/one.txt"},
        ],
        "models": [{"parameter": "model", "default": "m", "sha256": "0" * 64}],
        "profiles": {
            "smoke": {"set": {"n": 1}, "why": "seconds"},
            "full": {"set": {"n": 9}, "why": "tighter", "device": "cuda"},
        },
        "limits": {"quick_s": 60, "cell_s": 120},
        "tolerance": {"default": 0, "why": "exact", "slope": 0.02},
    }
    second = {
        key: first[key]
        for key in ("part", "title", "short", "question", "scope", "abstract", "paper")
    }
    second = {"slug": "two", **second, "after": ["one"]}
    return {"parts": [{"id": "p", "title": "P", "blurb": "B."}], "chapters": [first, second]}


def load(folder, raw):
    file = folder / CATALOG
    file.parent.mkdir(exist_ok=True)
    file.write_text(raw if isinstance(raw, str) else yaml.safe_dump(raw), encoding="utf-8")
    return catalog.load(folder)


def test_small_catalogue_loads_with_defaults(tmp_path):
    one, two = load(tmp_path, small()).chapters
    assert one.paper.date == dt.date(1843, 8, 1) and one.paper.code is None
    assert one.profiles["full"]["device"] == "cuda" and one.tolerance["slope"] == 0.02
    assert one.data[1]["files"] == "data/one.txt"
    assert (two.threads, two.tags, two.data, two.profiles) == (2, (), (), {})
    assert two.notebook == tmp_path / "notebooks" / "two.ipynb" and not two.exists
    two.notebook.touch()
    assert two.exists


def test_dates_need_no_quotes(tmp_path):
    text = yaml.safe_dump(small()).replace("'1843-08-01'", "1843-08-01")
    assert load(tmp_path, text).chapters[0].paper.date == dt.date(1843, 8, 1)


CHAPTER = ("chapters", 0)
PAPER = (*CHAPTER, "paper")
MISTAKES = {
    "misspelt key": (CHAPTER, "threds", 1, "unknown key 'threds'; did you mean 'threads'"),
    "misspelt key of the paper": (PAPER, "autors", [], "unknown key 'autors'.*'authors'"),
    "misspelt key of a part": (("parts", 0), "blurp", "x", "part p: unknown key.*'blurb'"),
    "key at the top": ((), "chapter", [], "top level: unknown key 'chapter'.*'chapters'"),
    "missing key": (CHAPTER, "question", None, "chapter one: missing question"),
    "missing key of the paper": (PAPER, "cite", None, "chapter one, paper: missing cite"),
    "missing slug": (CHAPTER, "slug", None, "chapter number 1: missing slug"),
    "slug with a capital": (CHAPTER, "slug", "One", "small letters, digits and _, got 'One'"),
    "slug twice": (CHAPTER, "slug", "two", "chapter two: stands twice"),
    "unknown part": (CHAPTER, "part", "q", r"part: unknown name 'q' \(allowed: p\)"),
    "unknown reads_with": (CHAPTER, "reads_with", ["tow"], "reads_with.*'tow'.*mean 'two'"),
    "unknown after": (CHAPTER, "after", ["tow"], "after: unknown name 'tow'"),
    "reads with itself": (CHAPTER, "reads_with", ["one"], "cannot name itself"),
    "after a cycle": (CHAPTER, "after", ["two"], "(one after two after one|two after one after)"),
    "after itself": (CHAPTER, "after", ["one"], "cannot name itself"),
    "date": (PAPER, "date", "27 June 2023", "date: expected a day as YYYY-MM-DD"),
    "day that does not exist": (PAPER, "date", "2023-02-30", "date: expected a day"),
    "year as text": (PAPER, "year", "2024", "year: expected a whole number"),
    "no authors": (PAPER, "authors", [], "authors: expected at least one name"),
    "author as text": (PAPER, "authors", "Ada", "authors: expected a list"),
    "arXiv number unquoted": (PAPER, "arxiv", 2306.1554, "arxiv: expected text.*quote"),
    "arXiv address": (PAPER, "arxiv", "arXiv:2306.15540", "arxiv: expected an arXiv number"),
    "doi address": (PAPER, "doi", "https://doi.org/10.1/x", "doi: expected a DOI without address"),
    "code without address": (PAPER, "code", "owner/repo", "code: expected an https address"),
    "empty text": (CHAPTER, "short", " ", "short: expected text"),
    "list instead of text": (CHAPTER, "title", ["x"], "title: expected text"),
    "text instead of list": (CHAPTER, "tags", "x", "tags: expected a list"),
    "threads": (CHAPTER, "threads", 0, "threads: expected a whole number from 1"),
    "threads as bool": (CHAPTER, "threads", True, "threads: expected a whole number from 1"),
    "paper": (CHAPTER, "paper", "x", "paper: expected `key: value` lines"),
    "branch as commit": ((*CHAPTER, "data", 0), "source", "github:a/b@main", "<40 hex digits>"),
    "short checksum": ((*CHAPTER, "data", 0), "sha256", "abc", "sha256: expected 64 hex digits"),
    "data without path": ((*CHAPTER, "data", 0), "path", None, "data: missing path"),
    "path beside files": ((*CHAPTER, "data", 1), "path", "a", "data: unknown key 'path'"),
    "model": ((*CHAPTER, "models", 0), "parameter", None, "models: missing parameter"),
    "profile quick": ((*CHAPTER, "profiles"), "quick", {}, "unknown key 'quick'.*smoke, full"),
    "profile without why": ((*CHAPTER, "profiles", "smoke"), "why", None, "smoke: missing why"),
    "profile set": ((*CHAPTER, "profiles", "smoke"), "set", [1], "set: expected `parameter"),
    "device": ((*CHAPTER, "profiles", "full"), "device", "gpu", "allowed: cpu, cuda"),
    "limit": ((*CHAPTER, "limits"), "quick", 60, "unknown key 'quick'; did you mean 'quick_s'"),
    "negative limit": ((*CHAPTER, "limits"), "quick_s", -1, "quick_s: expected a number from 0"),
    "tolerance": ((*CHAPTER, "tolerance"), "slope", "2 %", "slope: expected a number from 0"),
    "tolerance without why": ((*CHAPTER, "tolerance"), "why", None, "tolerance: missing why"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_refused_with_file_and_place(tmp_path, mistake):
    path, key, value, message = MISTAKES[mistake]
    raw = small()
    entry = raw
    for step in path:
        entry = entry[step]
    if value is None:
        del entry[key]
    else:
        entry[key] = value
    with pytest.raises(catalog.CatalogError, match=message) as error:
        load(tmp_path, raw)
    assert str(error.value).startswith(f"{tmp_path / CATALOG}: ")
    assert "\n" not in str(error.value)


def test_key_that_stands_twice(tmp_path):
    with pytest.raises(catalog.CatalogError, match="line 2: the key 'parts' stands twice"):
        load(tmp_path, "parts: []\nparts: []\nchapters: []\n")


def test_broken_yaml_names_file_and_line(tmp_path):
    with pytest.raises(catalog.CatalogError, match=r"catalog\.yml: not YAML: .* line 3"):
        load(tmp_path, "parts:\n  - [\n")


@pytest.mark.parametrize("text", ["", "[]", "parts: 1\nchapters: []"])
def test_wrong_shape(tmp_path, text):
    with pytest.raises(catalog.CatalogError, match="expected"):
        load(tmp_path, text)


# --- where the book is -------------------------------------------------------------------------


@pytest.fixture
def clone(tmp_path, monkeypatch):
    monkeypatch.delenv("SEEDBOOK_ROOT", raising=False)
    here = Path(__file__).parents[1]
    folder = tmp_path / "clone"
    (folder / "notebooks" / "deep").mkdir(parents=True)
    shutil.copy(here / CATALOG, folder / CATALOG)
    return folder


def test_root_is_found_upwards_from_the_working_directory(clone, monkeypatch):
    monkeypatch.chdir(clone / "notebooks" / "deep")
    assert root() == clone
    assert len(catalog.load().chapters) == 30


def test_root_elsewhere_is_that_of_the_installed_package(clone, monkeypatch):
    monkeypatch.chdir(clone.parent)
    assert root() == Path(catalog.__file__).resolve().parents[3]


def test_root_from_the_environment(clone, monkeypatch):
    monkeypatch.setenv("SEEDBOOK_ROOT", str(clone))
    assert root() == clone
    monkeypatch.setenv("SEEDBOOK_ROOT", str(clone.parent))
    with pytest.raises(FileNotFoundError, match="set it to the folder of a clone"):
        root()


def test_no_root_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.delenv("SEEDBOOK_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("seedbook.press.root.__file__", str(tmp_path / "lib" / "root.py"))
    with pytest.raises(FileNotFoundError, match="set SEEDBOOK_ROOT"):
        root()
