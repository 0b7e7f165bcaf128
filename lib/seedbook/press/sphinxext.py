"""What Jupyter Book cannot be told by configuration: offline mathematics, links, numbers.

Loaded by ``_config.yml``. The built book asks no foreign host for anything, so MathJax is copied
out of the pip package ``sphinx-mathjax-offline``, and reveal.js, which the slides need, out of
``sphinx-revealjs``: both carry the files of the npm packages.
"""

from __future__ import annotations

import json
import shutil
from html import escape
from importlib.metadata import distribution
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment

MATHJAX = "tex-mml-chtml.js"
MATHJAX_FOLDERS = ("output/chtml/fonts/woff-v2", "input/tex/extensions")
REVEAL = ("dist/reveal.js", "dist/reveal.css", "dist/reset.css", "plugin/notes/notes.js", "LICENSE")
ASSETS = {  # name below _static: package, place in it, files, folders
    "mathjax": (
        "sphinx-mathjax-offline",
        "sphinx-mathjax-offline/static/mathjax",
        (MATHJAX,),
        MATHJAX_FOLDERS,
    ),
    "reveal": ("sphinx-revealjs", "sphinx_revealjs/_static/revealjs", REVEAL, ()),
}
CHAPTERS = "book/chapters/"
BINDER = "https://mybinder.org/v2/gh"
COLAB = "https://colab.research.google.com/github"
SITE_BRANCH = "gh-pages"  # where a copy of the built site has to lie for Colab to find it


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("config-inited", _configure, priority=999)
    app.connect("env-updated", _number_figures_by_page)
    app.connect("html-page-context", _links, priority=600)  # after the theme's own buttons
    app.connect("html-page-context", _short_neighbours)
    app.connect("build-finished", _copy_assets)
    app.connect("build-finished", _copy_for_colab)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _configure(app: Sphinx, config: Config) -> None:
    config.mathjax_path = f"mathjax/{MATHJAX}"  # below _static
    # The menu can load speech rules from a foreign host; without it nothing does.
    options = (config.mathjax3_config or {}).setdefault("options", {})
    options["enableMenu"] = False
    # sphinx-external-toc loads this one, which declares nothing about parallel reading: a warning.
    if "sphinx_multitoc_numbering" in app.extensions:
        app.extensions["sphinx_multitoc_numbering"].parallel_read_safe = True


def _copy_assets(app: Sphinx, exception: Exception | None) -> None:
    if exception is not None or app.builder.format != "html":
        return
    for name, (package, place, files, folders) in ASSETS.items():
        source = Path(str(distribution(package).locate_file(place)))
        target = Path(app.outdir) / "_static" / name
        target.mkdir(parents=True, exist_ok=True)
        for file in files:
            shutil.copy2(source / file, target)
        for folder in folders:
            shutil.copytree(source / folder, target / folder, dirs_exist_ok=True)


def _number_figures_by_page(app: Sphinx, env: BuildEnvironment) -> None:
    """Number figures from 1 on every page: *Fig. 57* of a book of thirty papers says nothing."""
    for kinds in env.toc_fignumbers.values():
        for figures in kinds.values():
            for i, name in enumerate(sorted(figures, key=figures.__getitem__), 1):
                figures[name] = (i,)


def _short_neighbours(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Name the previous and the next page as the contents do, not by a paper's whole title."""
    relations: dict[str, Any] = getattr(app.builder, "relations", {})
    contents: Any = getattr(app.env, "external_site_map", {})  # of sphinx-external-toc
    _, before, after = relations.get(page) or (None, None, None)
    for key, neighbour in (("prev", before), ("next", after)):
        entry = contents.get(neighbour) if neighbour else None
        if entry is not None and entry.title and context.get(key):
            context[key] = {**context[key], "title": escape(entry.title)}


def _links(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Offer the source notebook: to download, and to open on Binder.

    The theme's own buttons would hand out the assembled page, which nobody can run.
    """
    slug = page.removeprefix(CHAPTERS)
    if slug == page or not (Path(app.srcdir) / "notebooks" / f"{slug}.ipynb").is_file():
        return
    pathto = context["pathto"]
    buttons = [
        {
            "type": "link",
            "url": pathto(f"_static/sources/{slug}.ipynb", 1),
            "icon": "fas fa-download",
            "tooltip": "Download the source notebook",
            "label": "download-notebook-button",
        }
    ]
    elsewhere = (("Binder", "rocket", binder), ("Colab", "cloud", colab))
    for name, icon, find in elsewhere:
        if address := find(app.config.html_theme_options, slug):
            buttons.append(
                {
                    "type": "link",
                    "url": address,
                    "icon": f"fas fa-{icon}",
                    "tooltip": f"Open the source notebook on {name}",
                    "label": f"launch-{name.lower()}-button",
                }
            )
    context["header_buttons"][:0] = buttons


def binder(options: dict[str, Any], slug: str) -> str | None:
    """Address that opens a chapter's source notebook on Binder; None without a GitHub repository.

    Examples
    --------
    >>> binder({"repository_url": "https://github.com/a/b", "repository_branch": "main"}, "x")
    'https://mybinder.org/v2/gh/a/b/main?urlpath=lab/tree/notebooks/x.ipynb'
    >>> binder({"repository_url": ""}, "x")
    """
    found = _repository(options)
    if found is None:
        return None
    return f"{BINDER}/{found[0]}/{quote(found[1], safe='')}?urlpath=lab/tree/notebooks/{slug}.ipynb"


def colab(options: dict[str, Any], slug: str) -> str | None:
    """Address that opens a chapter's copy for Colab; None without a GitHub repository.

    Colab opens what lies in a repository, so the built site must be published on the branch
    ``gh-pages``, as GitHub's static host wants it.

    Examples
    --------
    >>> colab({"repository_url": "https://github.com/a/b"}, "x")
    'https://colab.research.google.com/github/a/b/blob/gh-pages/_static/colab/x.ipynb'
    """
    found = _repository(options)
    return f"{COLAB}/{found[0]}/blob/{SITE_BRANCH}/_static/colab/{slug}.ipynb" if found else None


def _repository(options: dict[str, Any]) -> tuple[str, str] | None:
    """``owner/name`` and branch of the GitHub repository that ``_config.yml`` names."""
    url = urlsplit(options.get("repository_url") or "")
    if url.hostname != "github.com":
        return None
    return url.path.strip("/"), options.get("repository_branch") or "main"


def _copy_for_colab(app: Sphinx, exception: Exception | None) -> None:
    """Write each source notebook with one cell in front that installs the package."""
    found = _repository(app.config.html_theme_options)
    if exception is not None or app.builder.format != "html" or found is None:
        return
    target = Path(app.outdir) / "_static" / "colab"
    target.mkdir(parents=True, exist_ok=True)
    install: dict[str, Any] = {
        "cell_type": "code",
        "id": "install",
        "metadata": {},
        "execution_count": None,
        "outputs": [],
        "source": f"%pip install -q git+https://github.com/{found[0]}@{found[1]}",
    }
    for path in sorted((Path(app.srcdir) / "notebooks").glob("*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        notebook["cells"].insert(0, install)
        text = json.dumps(notebook, indent=1, ensure_ascii=False)
        (target / path.name).write_text(text + "\n", encoding="utf-8")
