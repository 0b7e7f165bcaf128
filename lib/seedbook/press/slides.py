"""Slides of a chapter, for a room: a reveal.js deck made of what the chapter is.

`deck` takes a chapter with its edition and the page that `seedbook.press.book` made of them, and
gives one HTML file. Nothing is written for slides alone: prose is the notebook's, cut where a
paragraph or a sentence ends; claims stand without their verdicts until every figure was seen.

How much fits is reckoned in lines of text, since no browser is at hand when decks are written. The
sizes below are those of ``slides.css``; a test walks every deck of the book in a browser.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape, unescape
from itertools import groupby
from typing import TYPE_CHECKING, Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markdown_it.tree import SyntaxTreeNode
from mdit_py_plugins.amsmath import amsmath_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin

from seedbook.press import parameters, render
from seedbook.press.chapter import MARKDOWN_IDS
from seedbook.press.parameters import Parameter

if TYPE_CHECKING:
    from seedbook.press.book import Entry

Record = dict[str, Any]
FOLDER = "slides"  # of the built site
ROOM = 13.2  # lines of running text below a heading
LINE = 84  # characters of such a line
GAP = 0.5  # lines between paragraphs
ROWS = 15.5  # lines of a table of larger text below a heading
SMALL_ROWS = 17.5  # and of smaller text
CLAIM, OWN = 67, 46  # characters of a claim's line: among claims, among verdicts
PAPER, SIDE, HELP, VALUE = 25, 27, 54, 15  # of other columns
PARAMETERS = 8
CAPTION = 150  # characters of a caption, after its first sentence
LIMITS = re.compile(r"What (?:this does not show|did not show|.*not settle|to trust least)")
SALMON = re.compile(r"<strong>The salmon|With <code>salmon")
LEADS_TO_CODE = re.compile(r"First |The \w+ first\b|The pieces:")
DISCUSS = "Discuss"
ABBREVIATION = re.compile(r"(?:\b[A-Z]|\b(?:e\.g|i\.e|cf|vs|al|Fig|Eq|No|St|ca))\.$")
FULL_STOP = re.compile(r"[.?!][)\"”’']*$")
SENTENCE_END = re.compile(r"[.?!][)\"”’']*(\s+)(?=[\"“‘'(]*[A-Z0-9])")


# --- prose in pieces -------------------------------------------------------------------------


@dataclass(frozen=True)
class Piece:
    """A sentence, or a block such as a formula.

    Attributes
    ----------
    paragraph : int
        Pieces of one number are set as one paragraph.
    length : int
        Characters of a sentence.
    lines : float
        Height of a block; 0 for a sentence.
    head : str
        The bold words before a paragraph, at each of its sentences.
    formula : bool
        Whether it is a displayed formula.
    """

    html: str
    paragraph: int
    length: int = 0
    lines: float = 0.0
    head: str = ""
    formula: bool = False


Unit = tuple[Piece, ...]  # what no slide may break: mostly one sentence


@functools.cache
def _markdown() -> MarkdownIt:
    """The page's Markdown, with formulas as MathJax finds them."""
    md = MarkdownIt("commonmark").enable("table")
    md.use(dollarmath_plugin, renderer=_formula).use(amsmath_plugin, renderer=escape)
    md.add_render_rule("amsmath", _amsmath)
    return md


def _formula(content: str, options: Mapping[str, Any]) -> str:
    left, right = (r"\[", r"\]") if options["display_mode"] else (r"\(", r"\)")
    return f"{left}{escape(content.strip())}{right}"


def _amsmath(self: Any, tokens: Sequence[Token], i: int, options: Any, env: Any) -> str:
    return f'<div class="math block">{escape(tokens[i].content)}</div>'


def _render(tokens: Sequence[Token]) -> str:
    return str(_markdown().renderer.render(tokens, _markdown().options, {})).strip()


def _inline(children: list[Token]) -> str:
    return _render([Token("inline", "", 0, children=children)])


def _shown(token: Token) -> str:
    """About what a reader sees of an inline token; a formula as capitals, without its commands."""
    if token.type in ("softbreak", "hardbreak"):
        return " "
    if token.type.startswith("math_inline"):
        symbols = re.sub(
            r"\\(?:left|right|big|Big|operatorname|math[a-z]+|[,;! ])", "", token.content
        )
        return "M" * len(re.sub(r"[{}^_\s]", "", re.sub(r"\\[a-zA-Z]+", "M", symbols)))
    if token.type == "code_inline":
        return "C" * len(token.content)
    return token.content


def _sentences(children: Sequence[Token]) -> list[list[Token]]:
    """The inline tokens of a paragraph, cut at the ends of sentences.

    Nothing is cut inside bold or slanted words, and bold words that open a paragraph stay with the
    sentence after them.
    """
    shown = [_shown(t) for t in children]
    text = "".join(shown)
    ends = {
        m.start(1)
        for m in SENTENCE_END.finditer(text)
        if not ABBREVIATION.search(text[: m.start(1)])
    }
    if children and children[0].type == "strong_open":
        close = next(i for i, t in enumerate(children) if t.type == "strong_close")
        ends -= {sum(map(len, shown[: close + 1]))}
    out: list[list[Token]] = [[]]
    position = level = 0
    for token, seen in zip(children, shown, strict=True):
        level += token.nesting
        cuts = sorted(e - position for e in ends if position <= e < position + len(seen))
        position += len(seen)
        if not cuts or level:
            out[-1].append(token)
        elif token.type != "text":  # the end of a source line
            out.append([])
        else:
            for start, stop in zip([0, *cuts], [*cuts, len(seen)], strict=True):
                if start:
                    out.append([])
                if part := token.content[start:stop]:
                    out[-1].append(token.copy(content=part.lstrip() if start else part))
    return [s for s in out if s]


def pieces(text: str) -> list[Unit]:
    """Markdown as units that no slide may break; headings are left out.

    A sentence is a unit. A block belongs to what leads to it, and a sentence that goes on after a
    formula to the formula.

    Examples
    --------
    >>> units = pieces("One is odd. Two is\\n\\n$$ 2 $$\\n\\nwhich is even. Three, odd.")
    >>> len(units), [p.html for p in units[2]], [p.formula for p in units[1]]
    (3, ['Three, odd.'], [False, True, False])
    """
    out: list[Unit] = []
    formula = False
    for number, node in enumerate(SyntaxTreeNode(_markdown().parse(text)).children):
        tokens = node.to_tokens()
        if node.type == "heading":
            continue
        if node.type != "paragraph":
            formula = node.type.startswith(("math", "amsmath"))
            block = Piece(_render(tokens), number, lines=_height(node), formula=formula)
            leading = bool(out) and (formula or not FULL_STOP.search(_plain(out[-1][-1].html)))
            out[-1:] = [(*out[-1], block)] if leading else [*out[-1:], (block,)]
            continue
        children = [t for t in tokens[1].children or [] if t.type != "text" or t.content]
        head = _head(children)
        for i, sentence in enumerate(_sentences(children)):
            seen = "".join(map(_shown, sentence))
            piece = Piece(_inline(sentence), number, len(seen), head=head)
            goes_on = formula and i == 0 and seen[:1].islower()
            out[-1:] = [(*out[-1], piece)] if goes_on else [*out[-1:], (piece,)]
        formula = False
    return out


def _head(children: Sequence[Token]) -> str:
    """The bold words that open a paragraph."""
    if not children or children[0].type != "strong_open":
        return ""
    close = next(i for i, t in enumerate(children) if t.type == "strong_close")
    return "".join(map(_shown, children[:close]))


def _height(node: SyntaxTreeNode) -> float:
    """Lines that a block takes."""
    if node.type.startswith(("math", "amsmath")):
        rows = 1 + node.content.count(r"\\")
        tall = 0.6 * bool(re.search(r"\\(?:d?frac|sum|prod|int|lim|max|min|begin)", node.content))
        return 1.2 + rows + tall * min(rows, 3)
    leaves = [n for n in node.walk() if n.type in ("inline", "code_block", "fence", "html_block")]
    if node.type == "table":
        return 1.1 * len([n for n in node.walk() if n.type == "tr"]) + GAP
    lines = [line for leaf in leaves for line in leaf.content.splitlines() or [""]]
    return sum(1.15 * math.ceil(len(line) / (LINE - 6)) for line in lines) + GAP


def _plain(html: str) -> str:
    return unescape(re.sub(r"<[^>]+>", "", html)).strip()


def height(units: Iterable[Unit]) -> float:
    """Lines that units take together."""
    total = 0.0
    for _, group in groupby((p for u in units for p in u), key=lambda p: p.paragraph):
        found = list(group)
        total += sum(p.lines for p in found)
        if length := sum(p.length + 1 for p in found if not p.lines):
            total += math.ceil(length / LINE) + GAP
    return total


def fit(units: Sequence[Unit], room: float = ROOM) -> int:
    """How many units fit, from the first: whole paragraphs, unless most of the room would be lost.

    Examples
    --------
    >>> fit(pieces("One. Two.\\n\\nThree."), room=1.6)
    2
    """
    n = 0
    while n < len(units) and height(units[: n + 1]) <= room:
        n += 1
    if n < len(units):
        whole = n
        while whole and units[whole][0].paragraph == units[whole - 1][-1].paragraph:
            whole -= 1
        if height(units[:whole]) >= 0.6 * room:
            return whole
    return n


def prose(units: Sequence[Unit]) -> str:
    """HTML of units, sentences of a paragraph joined again."""
    out = []
    for _, group in groupby((p for u in units for p in u), key=lambda p: p.paragraph):
        found = list(group)
        if found[0].lines:
            out += [p.html for p in found]
        else:
            out.append(f"<p>{' '.join(p.html for p in found)}</p>")
    return "\n".join(out)


# --- slides ----------------------------------------------------------------------------------


def slide(name: str, title: str, body: str, notes: Sequence[str] = (), kind: str = "") -> str:
    """One slide; `notes` are HTML for the speaker alone."""
    head = f"<h2>{title}</h2>\n" if title else ""
    said = "".join(n if n.startswith("<") else f"<p>{n}</p>" for n in notes if n)
    aside = f'\n<aside class="notes">{said}</aside>' if said else ""
    css = f"slide slide--{kind}" if kind else "slide"
    return f'<section id="{name}"><div class="{css}">\n{head}{body}\n</div>{aside}</section>'


def deck(entry: Entry, page: Record, costs: Sequence[str] = (), note: str = "") -> str:
    """The slides of a chapter as one HTML file, to lie at ``slides/<slug>.html`` of the site.

    Parameters
    ----------
    entry : Entry
        A chapter with something to show.
    page : dict
        Its page, a notebook with numbers filled in and outputs of the edition shown.
    costs : sequence of str
        One phrase per profile.
    note : str
        What a reader must know of the edition, such as that it is not published; or empty.
    """
    chapter, edition = entry.chapter, entry.editions[0]
    cells = {c["id"]: c for c in page["cells"]}
    text = dict.fromkeys(MARKDOWN_IDS, "")  # an old edition may lack one
    text |= {name: c["source"] for name, c in cells.items() if c["cell_type"] == "markdown"}
    declared = parameters.parse(cells["parameters"]["source"])
    questions = _questions(text["exercises"])
    slides = [
        _title(entry, note, questions),
        *_idea(text["idea"]),
        *_claims(entry),
        *_experiment(text, page["cells"]),
        _parameters(declared, edition.run["parameters"]),
        *_figures(page["cells"]),
        *_verdicts(entry),
        *_limits(text),
        *_discussion(text["exercises"], questions),
        _run(entry, costs),
    ]
    return _PAGE.format(
        title=escape(f"{chapter.short}: slides"), slug=chapter.slug, slides="\n".join(slides)
    )


def _title(entry: Entry, note: str, questions: Sequence[str]) -> str:
    chapter, paper = entry.chapter, entry.chapter.paper
    if len(paper.authors) > 6:
        others = f"{len(paper.authors) - 3} others"
        paper = replace(paper, authors=(*paper.authors[:3], others))
    body = (
        f"<h1>{escape(chapter.short)}</h1>\n"
        f'<p class="question">{escape(chapter.question)}</p>\n'
        + render.cite(replace(chapter, paper=paper))
        + (f'\n<p class="status">{escape(note.capitalize())}</p>' if note else "")
    )
    notes = [escape(chapter.abstract), *questions]
    return slide("title", "", body, notes, "title")


def _idea(text: str) -> list[str]:
    """The idea's first paragraphs; its first formula on a second slide if it does not come so far."""
    units = pieces(text)
    first = fit(units)
    shown = [units[:first]]
    at = next((i for i, u in enumerate(units) if any(p.formula for p in u)), -1)
    if at >= first:
        start = at
        while start > first and height(units[start - 1 : at + 1]) <= ROOM:
            start -= 1
        while start < at and units[start][0].paragraph == units[start - 1][-1].paragraph:
            start += 1  # a slide that leaves something out begins with a paragraph
        shown.append(units[start : start + fit(units[start:])])
    return [
        slide(f"idea{i or ''}", "The idea" + ", continued" * bool(i), prose(part))
        for i, part in enumerate(shown)
        if part
    ]


def _claims(entry: Entry) -> list[str]:
    """The claims with the paper's numbers, without any verdict: the room bets first."""
    chapter, record = entry.chapter, entry.editions[0].claims
    rows, lines = [], []
    for c in record["claims"]:
        paper, sentence = _paper(c), render.minus(c["sentence"])
        rows.append([f"<b>{escape(c['id'])}</b>", escape(sentence), escape(paper)])
        lines.append(max(_wrapped(sentence, CLAIM), _wrapped(paper, PAPER)))
    bets = ""
    if (chapter.root / "book" / "seminar" / "bets.md").is_file():
        address = f"../book/seminar/bets.html?chapter={chapter.slug}"
        bets = f'\n<p class="bets"><a href="{address}">Bet before the data are shown</a></p>'
    heads = ["", "Claim", "Paper"]
    note = "Verdicts come after the figures. Ask the room how sure it is of each claim."
    parts = _spread(rows, lines, ROWS - 1.5)
    return [
        slide(
            f"claims{i or ''}",
            "What is claimed" + _of(i, len(parts)),
            _table(heads, part, "claims") + bets * (i == len(parts) - 1),
            [note],
        )
        for i, part in enumerate(parts)
    ]


def _experiment(text: Mapping[str, str], cells: Sequence[Record]) -> list[str]:
    """The experiment's prose; where there is little of it, what each of its steps says first."""
    units = pieces(text["experiment"])
    blind = {u[0].paragraph for u in units if SALMON.match(u[0].html)}
    salmon = [u for u in units if u[0].paragraph in blind]
    units = [u for u in units if u not in salmon and not LEADS_TO_CODE.match(u[0].html)]
    if height(units) < ROOM / 2:
        for cell in cells:
            if cell["id"].startswith("about-") and cell["id"] != "about-method":
                units += _step(cell["source"], 1 + max((u[0].paragraph for u in units), default=0))
    shown = units[: fit(units)]
    if not shown:
        return []
    return [slide("experiment", "What we did", prose(shown), [prose(salmon)] if salmon else [])]


def _step(text: str, number: int) -> list[Unit]:
    """What a step says first, behind its title: a sentence, or a question with its answer."""
    title = re.search(r"^#+ (.+)$", text, re.MULTILINE)
    alone = [u[0] for u in pieces(text) if len(u) == 1 and not u[0].lines]
    n = next((i for i, p in enumerate(alone) if not _plain(p.html).endswith("?")), 0) + 1
    out: list[Unit] = [(replace(p, paragraph=number),) for p in alone[:n]]
    if out and title is not None:
        head = title[1] + ("" if FULL_STOP.search(title[1]) else ".")
        first = out[0][0]
        html = f"{_markdown().renderInline(f'**{head}**')} {first.html}"
        out[0] = (replace(first, html=html, length=first.length + len(head) + 1),)
    return out


def _parameters(declared: Sequence[Parameter], used: Record) -> str:
    """What a reader turns first: single numbers before lists and texts, some of every group."""
    groups: dict[str, list[Parameter]] = {}
    for p in declared[:-3]:  # seed, device and salmon are every chapter's
        groups.setdefault(p.group, []).append(p)
    for group in groups.values():
        group.sort(key=lambda p: (p.many, p.scalar == "str"))
    turns = [p for i in range(len(declared)) for g in groups.values() for p in g[i : i + 1]]
    rows: dict[int, list[str]] = {}
    room = ROWS
    for p in turns:
        allowed = render.minus(p.range) or ", ".join(map(str, p.choices))
        value = repr(used.get(p.name, p.default))
        tall = max(_wrapped(p.help, HELP), _wrapped(value, VALUE), _wrapped(allowed, VALUE))
        if tall > 3:  # a long text or list is for the page
            continue
        room -= tall + 0.5
        if room < 0 or len(rows) == PARAMETERS:
            break
        whole = ' class="int"' if p.range else ""
        rows[list(declared).index(p)] = [
            f"<code>{escape(p.name)}</code>",
            f"<code>{escape(value)}</code>",
            f"<span{whole}>{escape(allowed)}</span>",
            escape(render.minus(p.help)),
        ]
    heads = ["Parameter", "Here", "Allowed", "What it does"]
    body = _table(heads, [rows[i] for i in sorted(rows)], "params")
    return slide("parameters", "Parameters that matter", body)


def _figures(cells: Sequence[Record]) -> list[str]:
    """A slide for each figure; its alternative text, which says the finding, is for the speaker."""
    found = [c for c in cells if c["metadata"].get("mystnb", {}).get("figure")]
    drawn = [(c, p[0]) for c in found if (p := picture(c["outputs"]))]
    out = []
    for i, (cell, name) in enumerate(drawn):
        mystnb = cell["metadata"]["mystnb"]
        caption, alt = mystnb["figure"].get("caption", ""), mystnb.get("image", {}).get("alt", "")
        photo = ' class="photo"' if "photo" in cell["metadata"]["tags"] else ""
        body = (
            f'<figure><img{photo} src="../_images/{name}" alt="{escape(alt)}">'
            f"<figcaption>{_caption(caption)}</figcaption></figure>"
        )
        title = "What came out" + _of(i, len(drawn))
        out.append(slide(cell["id"], title, body, [escape(alt)], "figure"))
    return out


def _caption(text: str) -> str:
    """A caption's first sentence, and the next ones while they are short."""
    units = pieces(text)
    n = 1
    while n < len(units) and sum(p.length for u in units[: n + 1] for p in u) <= CAPTION:
        n += 1
    return " ".join(p.html for u in units[:n] for p in u)


def picture(outputs: Sequence[Record]) -> tuple[str, bytes] | None:
    """A figure's file in the site's ``_images``: myst-nb names it by a digest of its bytes."""
    for output in outputs:
        for kind, end in (("image/svg+xml", "svg"), ("image/png", "png")):
            if kind in output.get("data", {}):
                content = output["data"][kind]
                text = content if isinstance(content, str) else "".join(content)
                lines = os.linesep.join(text.splitlines())
                data = base64.b64decode(text) if end == "png" else lines.encode("utf-8")
                return f"{hashlib.sha256(data).hexdigest()}.{end}", data
    return None


def _verdicts(entry: Entry) -> list[str]:
    record = entry.editions[0].claims
    rows, lines, reasons = [], [], {}
    for c in record["claims"]:
        name, verdict = f"<b>{escape(c['id'])}</b>", entry.verdicts[c["id"]]
        paper, sentence = _paper(c), render.minus(c["sentence"])
        estimate, bounds = render.interval(record["measures"].get(c["measure"]))
        ours = f'{estimate} <span class="int">{bounds}</span>' if bounds else estimate
        rows.append([name, escape(sentence), render.mark(verdict), ours, escape(paper)])
        lines.append(max(_wrapped(sentence, OWN), _wrapped(paper, PAPER - 9), 1 + bool(bounds)))
        if verdict != "supported":
            because = render.minus(record["verdicts"][c["id"]]["because"])
            reasons[name] = f"{escape(c['id'])}, {verdict}: {escape(because)}."
    heads = ["", "Claim", "Verdict", "Ours [95 %]", "Paper"]
    parts = _spread(rows, lines, SMALL_ROWS)
    out = []
    for i, part in enumerate(parts):
        notes = [reasons[row[0]] for row in part if row[0] in reasons]
        title = "Verdicts" + _of(i, len(parts))
        body = _table(heads, part, "verdicts")
        out.append(slide(f"verdicts{i or ''}", title, body, notes))
    return out


def _limits(text: Mapping[str, str]) -> list[str]:
    """What the chapter says that it does not show; else what differs from the paper."""
    units = [
        unit
        for name in ("verdicts-text", "side-by-side")
        for unit in pieces(text[name])
        if LIMITS.match(unit[0].head)
    ]
    units.sort(key=lambda unit: "does not" not in unit[0].head)
    if n := fit(units):
        shown = prose(units[:n]).replace("<strong>What this does not show.</strong> ", "")
        return [slide("limits", "What it does not show", shown)]
    tree = SyntaxTreeNode(_markdown().parse(text["side-by-side"]))
    table = next((node for node in tree.children if node.type == "table"), None)
    if table is not None:
        body = _beginning(table)
        return [slide("limits", "Paper and chapter side by side", body)]
    units = pieces(text["side-by-side"])
    shown = prose(units[: fit(units)])
    return [slide("limits", "Paper and chapter side by side", shown)] if shown else []


def _beginning(table: SyntaxTreeNode) -> str:
    """A table of prose, as many rows as fit."""
    head, body = table.children
    room, rows = SMALL_ROWS, []
    for row in body.children:
        contents = [cell.children[0].content for cell in row.children]
        room -= max(_wrapped(content, SIDE) for content in contents) + 0.4
        if room < 0:
            break
        rows.append(_render(row.to_tokens()))
    head_html = _render(head.to_tokens())
    return f'<table class="side">{head_html}<tbody>{"".join(rows)}</tbody></table>'


def _questions(text: str) -> list[str]:
    """The questions of the paragraph *Discuss*, each with what leads to it."""
    found = [u for u in pieces(text) if u[0].head.startswith(DISCUSS)]
    out: list[str] = []
    done = True
    for i, unit in enumerate(found):
        html = prose([unit])[3:-4]
        if i == 0:
            html = re.sub(r"^<strong>.*?</strong>\s*", "", html)
        aside = html.startswith("(")
        if out and (aside or not done):
            out[-1] += f" {html}"
        else:
            out.append(html)
        done = (aside and done) or html.rstrip(")”’").endswith("?")
    return out


def _discussion(text: str, questions: Sequence[str]) -> list[str]:
    tree = SyntaxTreeNode(_markdown().parse(text))
    lists = [_render(n.to_tokens()) for n in tree.children if n.type == "ordered_list"]
    if not questions:
        units = pieces(text)
        shown = prose(units[: fit(units)])
        return [slide("discussion", "Exercises", shown, lists)] if shown else []
    listed, room = "", ROOM - 1.5  # in larger text
    for question in questions:
        room -= math.ceil(len(_plain(question)) / (LINE - 12)) + GAP
        if room > 0:
            listed += f"<li>{question}</li>"
    body = f'<ul class="questions">{listed}</ul>'
    return [slide("discussion", "To discuss", body, [*questions, *lists])]


def _run(entry: Entry, costs: Sequence[str]) -> str:
    slug = entry.chapter.slug
    lines = [
        (f"seedbook run {slug}", "the published settings"),
        (f"seedbook run {slug} -p name=value", "with a parameter changed"),
        (f"seedbook run {slug} --replicate 1", "with other luck"),
        (f"seedbook sweep {slug} --salmon --seeds 3", "with nothing to be found"),
    ]
    rows = [[f"<code>{escape(a)}</code>", b] for a, b in lines]
    cost = f"<p>Cost: {escape(' · '.join(costs))}.</p>\n" if costs else ""
    page = f'<p><a href="../book/chapters/{slug}.html">The chapter</a>, with code and data.</p>'
    return slide("run", "Run it yourself", _table(["Command", ""], rows, "run") + cost + page)


def _of(i: int, n: int) -> str:
    return f", {i + 1} of {n}" if n > 1 else ""


def _paper(claim: Record) -> str:
    return render.NOTHING if claim["paper"] == "-" else render.minus(claim["paper"])


def _wrapped(text: str, width: int) -> int:
    return max(1, math.ceil(len(text) / width))


def _spread(rows: Sequence[list[str]], lines: Sequence[int], room: float) -> list[list[list[str]]]:
    """Rows on as few slides as hold them, about equally full."""
    heights = [n + 0.5 for n in lines]
    for n_slides in range(1, len(rows) + 1):
        share = sum(heights) / n_slides
        number = [
            min(n_slides - 1, int((sum(heights[:i]) + tall / 2) / share))
            for i, tall in enumerate(heights)
        ]
        parts = [[i for i, k in enumerate(number) if k == j] for j in range(n_slides)]
        if all(sum(heights[i] for i in part) <= room for part in parts):
            break
    return [[rows[i] for i in part] for part in parts if part]


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], kind: str) -> str:
    head = "".join(f'<th scope="col">{h}</th>' for h in heads)
    body = "".join(f"<tr>{''.join(f'<td>{c}</td>' for c in row)}</tr>\n" for row in rows)
    return f'<table class="{kind}"><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>'


_PAGE = """<!doctype html>
<html lang="en" data-theme="light">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="../_static/reveal/reset.css">
<link rel="stylesheet" href="../_static/reveal/reveal.css">
<link rel="stylesheet" href="../_static/seedbook.css">
<link rel="stylesheet" href="../_static/slides.css">
<script>
const printing = /print-pdf/.test(location.search);
let chosen = "auto";
try {{ chosen = localStorage.getItem("mode") || "auto"; }} catch {{ /* no storage here */ }}
const dark = matchMedia("(prefers-color-scheme: dark)");
const paint = () => {{
  const auto = dark.matches ? "dark" : "light";
  document.documentElement.dataset.theme = printing ? "light" : chosen === "auto" ? auto : chosen;
}};
dark.addEventListener("change", paint);
paint();
window.MathJax = {{
  options: {{ enableMenu: false, ignoreHtmlClass: "reveal", processHtmlClass: "math" }},
}};
</script>
</head>
<body data-slug="{slug}">
<div class="reveal"><div class="slides">
{slides}
</div></div>
<script src="../_static/mathjax/tex-mml-chtml.js"></script>
<script src="../_static/reveal/reveal.js"></script>
<script src="../_static/reveal/notes.js"></script>
<script>
MathJax.startup.promise.then(() => {{
  for (const formula of document.querySelectorAll(".slide mjx-container[display=true]")) {{
    const ratio = formula.parentElement.clientWidth / formula.offsetWidth;  // it has a least width
    if (ratio < 1) formula.style.fontSize = `${{parseFloat(formula.style.fontSize) * ratio}}%`;
  }}
  Reveal.initialize({{
    width: 1280, height: 720, margin: 0, center: false, transition: "none", hash: true,
    controlsLayout: "edges", controlsTutorial: false, slideNumber: "c/t", pdfMaxPagesPerSlide: 1,
    plugins: [RevealNotes],
  }});
}});
</script>
</body>
</html>
"""
