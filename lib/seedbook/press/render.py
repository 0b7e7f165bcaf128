"""HTML of what the book says about its runs: marks, cards, tables, forest plots.

Every function takes plain records (a catalogue entry, ``claims.json``, ``run.json``) and returns a
string. Nothing is read from disk or written here. Each fragment is free of blank lines, so that it
can stand in a Markdown page. `seedbook.press.book` puts the fragments on their pages.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Any, cast

from seedbook import claims
from seedbook.press.catalog import Chapter, Part
from seedbook.press.parameters import Parameter
from seedbook.press.store import device

Record = dict[str, Any]
_Place = Callable[[float, float], tuple[float, float]]
VERDICTS = ("supported", "contradicted", "inconclusive", "fragile", "out of scope")
IN_PREPARATION = "in preparation"
NOTHING = "–"
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


# --- numbers ---------------------------------------------------------------------------------


def interval(measure: Record | None) -> tuple[str, str]:
    """Estimate and 95 % interval of a measure; an exact measure has no interval.

    >>> interval({"estimate": -0.60912, "low": -0.6231, "high": -0.5951, "exact": False})
    ('−0.609', '[−0.623, −0.595]')
    >>> interval({"estimate": 52, "low": 52, "high": 52, "exact": True}), interval(None)
    (('52', ''), ('–', ''))
    """
    estimate, _, bounds = measure_text(measure).partition(" ")
    return estimate, bounds


def measure_text(measure: Record | None) -> str:
    """A measure in running text, ``0.609 [0.595, 0.623]``.

    >>> measure_text({"estimate": 1.2e-9, "low": 1.2e-9, "high": 1.2e-9, "exact": True})
    '1.2×10⁻⁹'
    """
    if measure is None or measure["estimate"] is None:
        return NOTHING
    return minus(_POWER.sub(_power, claims.interval(cast(claims.Measure, measure))))


def value_text(value: Any) -> str:
    """The value of a parameter in running text.

    >>> value_text(20000), value_text([0.5, 1.0, 2]), value_text("typical")
    ('20\u2009000', '0.5, 1 and 2', 'typical')
    """
    if isinstance(value, list):
        *most, last = map(value_text, value)
        return f"{', '.join(most)} and {last}" if most else last
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return minus(f"{value:,.12g}".replace(",", "\u2009"))


_POWER = re.compile(r"(?<=\d)e([+-]?\d+)")


def _power(match: re.Match[str]) -> str:
    return f"×10{str(int(match.group(1))).translate(SUPERSCRIPT)}"


def p_value(p: float | None) -> str:
    """A p value, as statisticians print it.

    >>> p_value(0.0123), p_value(1e-9), p_value(1.0), p_value(None)
    ('.012', '< .001', '1', '–')
    """
    if p is None:
        return NOTHING
    if p < 0.001:
        return "< .001"
    return f"{p:.3f}".rstrip("0").rstrip(".").lstrip("0") if p < 0.9995 else "1"


def duration(seconds: float) -> str:
    """Seconds, or minutes when there are many.

    >>> duration(6.8), duration(0.4), duration(372)
    ('7 s', '1 s', '6 min')
    """
    return f"{max(1, round(seconds))} s" if seconds < 100 else f"{round(seconds / 60)} min"


def day(stamp: str) -> str:
    """The day of an ISO time stamp.

    >>> day("2026-11-22T23:06:01+00:00")
    '22 November 2026'
    """
    moment = dt.datetime.fromisoformat(stamp)
    return f"{moment.day} {moment:%B %Y}"


def count(n: int, one: str, many: str | None = None) -> str:
    """A count with its noun.

    >>> count(1, "chapter is", "chapters are"), count(3, "claim")
    ('1 chapter is', '3 claims')
    """
    return f"{n} {one if n == 1 else many or one + 's'}"


# --- verdicts --------------------------------------------------------------------------------


def mark(verdict: str, word: bool = True) -> str:
    """A verdict as shape, colour and word; without the word only inside a labelled strip."""
    text = verdict if word else ""
    return f'<span class="sb-v sb-v--{verdict.replace(" ", "-")}">{text}</span>'


def tally(verdicts: Iterable[str]) -> dict[str, int]:
    """How often each verdict came out, in the book's order, absent ones left out."""
    found = list(verdicts)
    return {v: found.count(v) for v in VERDICTS if v in found}


def strip(verdicts: Sequence[str]) -> str:
    """One mark per claim, in claim order, and how many are supported."""
    label = ", ".join(f"{n} {v}" for v, n in tally(verdicts).items())
    marks = "".join(mark(v, word=False) for v in verdicts)
    return (
        f'<span class="sb-marks" role="img" aria-label="{label}">{marks}</span> '
        f'<span class="sb-count">{verdicts.count("supported")} of {len(verdicts)} supported</span>'
    )


# --- the chapter page ------------------------------------------------------------------------


def glance(
    chapter: Chapter,
    record: Record,
    verdicts: dict[str, str],
    costs: Sequence[str],
    others: dict[str, tuple[Record, dict[str, str]]],
    note: str,
    attributes: dict[str, str],
) -> str:
    """*At a glance*: question, answer, scope and cost of a chapter.

    Parameters
    ----------
    record : dict
        ``claims.json`` of the run that the page shows.
    verdicts : dict
        Claim id to the word shown, *fragile* included.
    costs : sequence of str
        One phrase per profile.
    others : dict
        As for `verdict_table`; claims with another verdict there are named.
    note : str
        What the reader must know of the run shown, such as that it is not published; or empty.
    attributes : dict
        ``data-*`` attributes, by which a script knows the page.
    """
    rows = [("Question", escape(chapter.question))]
    answers = "".join(
        f"<li>{mark(verdicts[c['id']], word=False)}"
        f'<span class="sb-hidden">{verdicts[c["id"]]}: </span>{escape(minus(c["sentence"]))}</li>'
        for c in record["claims"]
        if not c["id"].startswith("x")
    )
    if own := [verdicts[c["id"]] for c in record["claims"] if c["id"].startswith("x")]:
        answers += f'<li class="sb-own">Claims of this chapter\'s own: {strip(own)}</li>'
    rows.append(("Answer", f'<ul class="sb-answers">{answers}</ul>'))
    words = "".join(
        f"<span>{mark(v)} {n}</span> " for v, n in tally(verdicts.values()).items()
    ).strip()
    words = f'<span class="sb-ui sb-tally">{words}</span>'
    for name, (_, said) in others.items():
        if ids := [k for k, v in verdicts.items() if said.get(k, v) != v]:
            words += _below(f"otherwise in {name}", escape(", ".join(ids)))
    rows.append(("Verdicts", words))
    rows.append(("Scope", escape(chapter.scope)))
    rows.append(("Cost", " · ".join(map(escape, costs))))
    deck = f"../../slides/{chapter.slug}.html"
    hint = "The key S opens the speaker's notes"
    rows.append(("In class", f'<a href="{deck}" title="{hint}">Slides</a>'))
    if note:
        rows.append(("Status", escape(note)))
    data = "".join(f' data-{k}="{escape(v)}"' for k, v in attributes.items())
    body = "".join(f"<dt>{k}</dt><dd>{v}</dd>" for k, v in rows)
    return f'<aside class="sb-glance" aria-label="At a glance"{data}><dl>{body}</dl></aside>'


def parameter_table(parameters: Sequence[Parameter], used: Record) -> str:
    """The parameters of a chapter: name, value of the run shown, what is allowed, what it does.

    Parameters
    ----------
    used : dict
        ``run.json``'s ``parameters``: a value that differs from the default is shown beside it.
    """
    rows, group = [], None
    for p in parameters:
        if p.group != group:
            group = p.group
            head = f'<th colspan="4" scope="rowgroup">{escape(group)}</th>'
            rows.append(f'<tr class="sb-group">{head}</tr>')
        value = "derived" if p.default is None else f"<code>{escape(repr(p.default))}</code>"
        if p.default is not None and used.get(p.name, p.default) != p.default:
            value += f" here <code>{escape(repr(used[p.name]))}</code>"
        allowed = minus(p.range) or ", ".join(map(str, p.choices))
        rows.append(
            f"<tr><td><code>{escape(p.name)}</code></td><td>{value}</td><td>{escape(allowed)}</td>"
            f"<td>{escape(minus(p.help))}</td></tr>"
        )
    head = "".join(
        f'<th scope="col">{h}</th>' for h in ("Parameter", "Default", "Allowed", "What it does")
    )
    return _scroll(
        f'<table class="sb-table sb-stack sb-params"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def verdict_table(
    record: Record, verdicts: dict[str, str], others: dict[str, tuple[Record, dict[str, str]]]
) -> str:
    """The chapter's ledger.

    Parameters
    ----------
    verdicts : dict
        Claim id to the word shown.
    others : dict
        Profile name to record and words of the chapter's other editions: their numbers stand below
        those of this one, and where a verdict differs, so does what they lacked for it.
    """
    with_p = any(v["p_adjusted"] is not None for v in record["verdicts"].values())
    heads = ["", "Claim", "Paper", "Ours [95 %]", "Null", *["p"] * with_p, "Verdict"]
    rows = []
    for c in record["claims"]:
        verdict, word = record["verdicts"][c["id"]], verdicts[c["id"]]
        sentence = escape(minus(c["sentence"])) + _why(verdict)
        ours = _measured(record["measures"].get(c["measure"]))
        words = mark(word)
        for name, (other, said) in others.items():
            if c["id"] not in said:
                continue
            measure = other["measures"].get(c["measure"])
            same = said[c["id"]] == word
            if measure:
                ours += _below(name, _measured(measure))
            words += _below(name, "the same" if same else mark(said[c["id"]]))
            if not same:
                sentence += _why(other["verdicts"][c["id"]], f"{name}: ")
        cells = [
            f'<td><b class="sb-id">{escape(c["id"])}</b></td>',
            f"<td>{sentence}</td>",
            f'<td data-l="Paper">{escape(minus(c["paper"]))}</td>',
            _numeric("Ours", ours),
            _numeric("Null", _measured(record["measures"].get(c["null"]))),
        ]
        if with_p:
            cells.append(_numeric("p", p_value(verdict["p_adjusted"])))
        cells.append(f"<td>{words}</td>")
        rows.append(f"<tr>{''.join(cells)}</tr>")
    numeric = {"Ours [95 %]", "Null", "p"}
    head = "".join(
        f'<th scope="col"{" class=sb-num" if h in numeric else ""}>{escape(h)}</th>' for h in heads
    )
    return _scroll(
        f'<table class="sb-table sb-stack sb-verdicts"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _why(verdict: Record, before: str = "") -> str:
    because = "" if verdict["verdict"] == "supported" else verdict["because"]
    return f'<span class="sb-why">{escape(before + minus(because))}</span>' if because else ""


def _below(name: str, html: str) -> str:
    return f'<span class="sb-other">{escape(name)}: {html}</span>'


def provenance(run: Record, note: str) -> str:
    """Where the numbers of a page come from."""
    versions = run["versions"]
    names = [n for n in ("seedbook", "python", "numpy", "scipy", "torch") if n in versions]
    seed = value_text(run["parameters"]["seed"])
    facts = [
        ("Edition", f"{run['profile']}, {note}" if note else run["profile"]),
        ("Run", run["run"]),
        ("Seed", f"{seed}, {'asked for' if run['seed_asked'] is not None else 'derived'}"),
        ("Machine", _machine(run)),
        ("Time", f"{duration(run['wall_s'])}, {day(run['started'])}"),
        ("Versions", ", ".join(f"{n} {versions[n]}" for n in names)),
        ("Commit", (run["commit"] or "unknown")[:12] + (" and changes" if run["dirty"] else "")),
        *([("Differs", ", ".join(run["differs"]))] if run.get("differs") else []),
    ]
    body = "".join(f"<dt>{k}</dt><dd>{escape(str(v))}</dd>" for k, v in facts)
    return f'<footer class="sb-prov sb-ui" aria-label="Provenance"><dl>{body}</dl></footer>'


def _machine(run: Record) -> str:
    """Device, threads and memory."""
    found, memory = run["device"], run.get("peak_memory_mb")
    facts = [device(run)]
    if "gpu_busy" in found:
        facts += [f"{found['gpu_busy']} % busy", f"{found['gpu_memory_mb'] / 1000:.1f} GB on it"]
    facts.append(count(run["threads"], "thread"))
    return ", ".join([*facts, *([f"{memory / 1000:.1f} GB"] if memory else [])])


# --- cards -----------------------------------------------------------------------------------


def card(
    chapter: Chapter,
    *,
    order: int,
    part: int,
    verdicts: Sequence[str],
    cost: float | None,
    thumbnail: str | None,
    href: str,
    note: str = "",
    level: int = 3,
) -> str:
    """A chapter's card; without verdicts it is one in preparation."""
    done = bool(verdicts)
    share = verdicts.count("supported") / len(verdicts) if done else ""
    words = sorted({v.replace(" ", "-") for v in verdicts}) or ["in-preparation"]
    data = {
        "order": order,
        "part": part,
        "year": chapter.paper.year,
        "cost": "" if cost is None else round(cost, 1),
        "title": chapter.short,
        "supported": f"{share:.3f}" if done else "",
        "verdicts": " ".join(words),
    }
    attributes = "".join(f' data-{k}="{escape(str(v))}"' for k, v in data.items())
    if done and thumbnail:
        picture = (
            f'<img class="sb-card__fig sb-fig" src="{thumbnail}" alt="" loading="lazy"'
            ' width="307" height="173">'
        )
    else:
        words_in_frame = "" if done else IN_PREPARATION
        picture = f'<span class="sb-card__none">{words_in_frame}</span>'
    status = strip(verdicts) if done else mark(IN_PREPARATION)
    if note:
        status += f' <span class="sb-note">{escape(note)}</span>'
    return (
        f'<li class="sb-card" data-item{attributes}>'
        f'<a class="sb-card__link" href="{href}">{picture}'
        f'<h{level} class="sb-card__title">{escape(chapter.short)}</h{level}></a>'
        f'<p class="sb-card__q">{escape(chapter.question)}</p>'
        f'<span class="sb-hidden">{escape(chapter.paper.title)} '
        f"{escape(', '.join(chapter.paper.authors))} {escape(' '.join(chapter.tags))}</span>"
        f'<p class="sb-card__meta sb-ui"><span>{escape(chapter.authors_short)}</span>'
        f"<span>{'' if cost is None else duration(cost)}</span></p>"
        f'<p class="sb-ui">{status}</p></li>'
    )


def controls(label: str, verdicts: Iterable[str], sorts: Sequence[tuple[str, str]] = ()) -> str:
    """Search field, verdict chips (the legend as well) and the order of a list."""
    chips = "".join(
        f'<button class="sb-chip" type="button" data-verdict="{v.replace(" ", "-")}"'
        f' aria-pressed="false">{mark(v)}</button>'
        for v in verdicts
    )
    options = "".join(f'<option value="{key}">{text}</option>' for key, text in sorts)
    sort = f"<label>Sort <select data-sort>{options}</select></label>" if options else ""
    return (
        f'<div class="sb-controls sb-ui" role="search" aria-label="{escape(label)}">'
        '<label><span class="sb-hidden">Find</span>'
        '<input type="search" data-find placeholder="Find" size="14"></label>'
        f'{chips}{sort}<span role="status"></span></div>'
    )


def card_list(parts: Sequence[tuple[Part, str, Sequence[str]]]) -> str:
    """The home page's list: one section per part.

    Parameters
    ----------
    parts : sequence of (Part, str, sequence of str)
        Part, address of its page, and its cards.
    """
    sections = "".join(
        f'<section class="sb-part" aria-labelledby="part-{part.id}">'
        f'<h2 id="part-{part.id}"><a href="{href}">{escape(part.title)}</a></h2>'
        f'<ul class="sb-cards">{"".join(cards)}</ul></section>'
        for part, href, cards in parts
    )
    sorts = [
        ("part", "by part"),
        ("title", "by title"),
        ("year:down", "newest first"),
        ("year", "oldest first"),
        ("cost", "quickest first"),
        ("supported:down", "most supported"),
    ]
    bar = controls("Filter papers", [*VERDICTS, IN_PREPARATION], sorts)
    return f"<div data-sb-list>{bar}{sections}</div>"


def totals(n_done: int, n_all: int, verdicts: Sequence[str], ledger: str) -> str:
    """The sentence of the home page that counts."""
    text = count(n_done, "chapter is", "chapters are") + " done"
    if n_all > n_done:
        text += f", {n_all - n_done} {'is' if n_all - n_done == 1 else 'are'} in preparation"
    if not verdicts:
        return f"<p>{text}.</p>"
    found = [f"{n} {v}" for v, n in tally(verdicts).items()]
    found[0] = found[0].replace(" ", " is " if found[0].startswith("1 ") else " are ", 1)
    listed = found[0] if len(found) == 1 else f"{', '.join(found[:-1])} and {found[-1]}"
    return (
        f"<p>{text}. Of {count(len(verdicts), 'claim')} declared so far, {listed}: every one is in "
        f'the <a href="{ledger}">ledger</a>.</p>'
    )


# --- the ledger ------------------------------------------------------------------------------


def drawn_at(claim: Record) -> tuple[str, list[float]] | None:
    """The condition of a claim's rule on its own measure, which its picture is laid at.

    Returns
    -------
    tuple of str and list of float, or None
        ``("above", [t])``, ``("below", [t])`` or ``("inside", [a, b])``; None without a rule.

    Examples
    --------
    >>> rule = claims.all_of(claims.above("control", 0.1), claims.below("rate", 0.5))
    >>> drawn_at({"measure": "rate", "rule": rule})
    ('below', [0.5])
    """
    rules = [claim["rule"]] if claim["rule"] else []
    while rules:
        ((kind, args),) = rules.pop(0).items()
        if kind == "at_least":
            rules = [*args[1], *rules]
        elif args[0] == claim["measure"]:
            return kind, args[1:]
    return None


def forest(
    claim: Record, measures: dict[str, Record], verdict: str, paper: float | None = None
) -> tuple[str, float | None]:
    """The picture of one claim against its rule, and its place on the common axis.

    The row has a scale of its own and is laid with its rule on the dashed line: x is
    ``favour · (value − threshold)`` over the largest distance in the row, so that the right half is
    what the claim needs. For a rule with two bounds the value is the distance from their middle.
    The paper's number, where there is one, is marked.

    Returns
    -------
    str
        An inline SVG; empty where nothing can be drawn.
    float or None
        Our estimate on that axis, in [-1, 1].
    """
    rule = drawn_at(claim)
    ours = measures.get(claim["measure"])
    if rule is None or not ours or None in (ours["estimate"], ours["low"], ours["high"]):
        return "", None
    place, bound = _axis(*rule)
    a, b = place(ours["low"], ours["high"])
    (middle, _) = place(ours["estimate"], ours["estimate"])
    null = measures.get(claim["null"] or "")
    null_at = (
        place(null["low"], null["high"])
        if null and None not in (null["low"], null["high"])
        else None
    )
    paper_at = None if paper is None else place(paper, paper)[0]
    reach = max(abs(v) for v in (a, b, middle, *([] if paper_at is None else [paper_at])))
    if null_at:  # a null far away must not press our interval flat: it is cut at the frame
        reach = max(reach, min(max(map(abs, null_at)), 1.6 * reach))
    scale = 80 / reach if reach > 0 else 0.0
    x = lambda v: 88 + min(80.0, max(-80.0, v * scale))  # noqa: E731
    parts = []
    if null_at:
        left, right = sorted(map(x, null_at))
        width = max(3.0, right - left)
        left = min(left, 168 - width)
        parts.append(f'<rect class="null" x="{left:.1f}" y="3" width="{width:.1f}" height="18"/>')
    left, right = sorted((x(a), x(b)))
    if right - left > 0.05:
        parts.append(f'<path class="ci" d="M{left:.1f} 12H{right:.1f}"/>')
    parts.append(f'<circle class="est" cx="{x(middle):.1f}" cy="12" r="3.6"/>')
    if paper_at is not None:
        parts.append(
            f'<path class="paper" d="M{x(paper_at):.1f} 7.5l4.5 4.5l-4.5 4.5l-4.5 -4.5z"/>'
        )
    label = minus(f"ours {measure_text(ours)}; rule: {bound}")
    svg = (
        f'<svg class="sb-forest {verdict.replace(" ", "-")}" viewBox="8 0 160 24" role="img"'
        f' aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )
    return svg, (x(middle) - 88) / 80


def _axis(kind: str, args: list[float]) -> tuple[_Place, str]:
    """Where an interval lies against a condition (positive is what it needs), and the condition."""
    if kind == "above":
        return (lambda low, high: (low - args[0], high - args[0])), f"above {args[0]:g}"
    if kind == "below":
        return (lambda low, high: (args[0] - high, args[0] - low)), f"below {args[0]:g}"
    low_bound, high_bound = args
    middle, margin = (low_bound + high_bound) / 2, (high_bound - low_bound) / 2

    def distance(low: float, high: float) -> tuple[float, float]:
        far = max(abs(low - middle), abs(high - middle))
        near = 0.0 if low <= middle <= high else min(abs(low - middle), abs(high - middle))
        return margin - far, margin - near

    return distance, f"within [{low_bound:g}, {high_bound:g}]"


def paper_number(chapter: Chapter, claim: Record) -> float | None:
    """The paper's value of a claim's measure, if it has one on that scale.

    It is what the catalogue says under ``paper_values``, or else the claim's own words on the paper
    where these are a plain number.
    """
    if claim["id"] in chapter.paper_values:
        return chapter.paper_values[claim["id"]]["value"]
    plain = claim["paper"].strip().replace("−", "-").lstrip("~≈+")
    return float(plain) if re.fullmatch(r"-?\d+(\.\d+)?", plain) else None


def ledger_row(
    chapter: Chapter,
    record: Record,
    claim: Record,
    *,
    verdict: str,
    agree: str,
    order: int,
    href: str,
    note: str,
    profile: str,
    code: str,
    command: str,
) -> str:
    """One claim in the ledger, with an anchor ``<slug>-<id>`` that stays.

    Parameters
    ----------
    agree : str
        Cell on the fresh seeds.
    profile : str
        Of the edition; it is said where it is not ``quick``.
    code : str
        Key of the run, in which a digest of the code stands first.
    command : str
        What makes the run again.
    """
    judged = record["verdicts"][claim["id"]]
    svg, margin = forest(claim, record["measures"], verdict, paper_number(chapter, claim))
    why = [f"{judged['because']}."]
    if claim["rule"]:
        why.append(f"Supported if {claims.say(claim['rule'])}: {claim['why']}.")
    if claim["contradicted_by"]:
        why.append(f"Contradicted if {claims.say(claim['contradicted_by'])}.")
    if claim["null"]:
        why.append(f"Null: {claim['null']}.")
    if claim["test"]:
        why.append(f"Test: {claim['test']}.")
    text = escape(minus(" ".join(x[0].upper() + x[1:] for x in why).replace("..", ".")))
    text += f" Run {escape(code)}; again: <code>{escape(command)}</code>."
    p = judged["p_adjusted"]
    data = {
        "order": order,
        "verdicts": verdict.replace(" ", "-"),
        "v": VERDICTS.index(verdict),
        "claim": claim["sentence"],
        "p": "" if p is None else f"{p:.3g}",
        "margin": "" if margin is None else f"{margin:.3f}",
    }
    attributes = "".join(f' data-{k}="{escape(str(v))}"' for k, v in data.items())
    note = f', <span class="sb-note">{escape(note)}</span>' if note else ""
    scale = "" if profile == "quick" else f' <span class="sb-int">{escape(profile)}</span>'
    return (
        f'<tr id="{chapter.slug}-{escape(claim["id"])}" data-item{attributes}><td>'
        f'<span class="sb-where">{escape(chapter.authors_short)} · '
        f'<a href="{href}">{escape(chapter.short)}</a> '
        f'<a href="#{chapter.slug}-{escape(claim["id"])}">{escape(claim["id"])}</a>{note}</span>'
        f"{escape(minus(claim['sentence']))}"
        f"<details><summary>Why this verdict</summary>{text}</details></td>"
        f'<td class="sb-f">{svg}</td>'
        f'<td class="sb-paper" data-l="Paper">{escape(minus(claim["paper"]))}</td>'
        f"{_numeric('Ours', _measured(record['measures'].get(claim['measure'])) + scale)}"
        f"{_numeric('Null', _measured(record['measures'].get(claim['null'])))}"
        f'<td class="sb-num" data-l="p">{p_value(p)}</td>'
        f'<td class="sb-num" data-l="Seeds">{agree}</td>'
        f"<td>{mark(verdict)}</td></tr>"
    )


def ledger(rows: Sequence[str]) -> str:
    """The ledger page's table, which is the forest plot as well."""
    heads = [
        ("Claim", "claim", ""),
        ("Against the rule", "margin", ""),
        ("Paper", "", ""),
        ("Ours [95 %]", "", "sb-num"),
        ("Null", "", "sb-num"),
        ("p", "p", "sb-num"),
        ("Seeds", "", "sb-num"),
        ("Verdict", "v", ""),
    ]
    head = ""
    for text, key, css in heads:
        label = (
            f'<button class="sb-sort" type="button" data-key="{key}">{text}</button>'
            if key
            else text
        )
        head += f'<th scope="col"{f" class={css}" if css else ""}>{label}</th>'
    return (
        f"<div data-sb-list>{controls('Filter claims', VERDICTS)}"
        f'<div class="sb-ledger"><table class="sb-table sb-stack"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div></div>"
    )


# --- the page of bets ------------------------------------------------------------------------


def claims_to_bet_on(record: Record, verdicts: dict[str, str]) -> list[Record]:
    """Claims of a chapter with their rules in words and what came out, as ``bets.js`` reads them.

    Parameters
    ----------
    record : dict
        ``claims.json`` of the run that the page shows.
    verdicts : dict
        Claim id to the word shown, *fragile* included.
    """
    return [
        {
            "id": c["id"],
            "sentence": minus(c["sentence"]),
            "paper": minus(c["paper"]),
            "where": c["where"],
            "rule": minus(claims.say(c["rule"])),
            "against": minus(claims.say(c["contradicted_by"])),
            "why": minus(c["why"]),
            "verdict": verdicts[c["id"]],
            "because": minus(record["verdicts"][c["id"]]["because"]),
            "ours": measure_text(record["measures"].get(c["measure"])),
        }
        for c in record["claims"]
    ]


def bets(record: Record) -> str:
    """The place of the bets, with what ``bets.js`` needs in the page itself: it works from disk.

    Parameters
    ----------
    record : dict
        Chapters with their claims and verdicts, as ``bets.json`` has them.
    """
    text = json.dumps(record, ensure_ascii=False).replace("<", "\\u003c")
    return (
        "<noscript><p>Betting needs JavaScript, which is switched off in this browser.</p></noscript>"
        '<div id="sb-bets" class="sb-bets"></div>'
        f'<script type="application/json" id="sb-bets-data">{text}</script>'
    )


# --- small things ----------------------------------------------------------------------------


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], numeric: Iterable[int] = ()) -> str:
    """A table of ready HTML cells; columns in `numeric` are set to the right."""
    right = set(numeric)
    css = lambda i: ' class="sb-num"' if i in right else ""  # noqa: E731
    head = "".join(f'<th scope="col"{css(i)}>{h}</th>' for i, h in enumerate(heads))
    body = "".join(
        "<tr>" + "".join(f"<td{css(i)}>{cell}</td>" for i, cell in enumerate(row)) + "</tr>"
        for row in rows
    )
    return _scroll(
        f'<table class="sb-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    )


def cite(chapter: Chapter, links: Sequence[tuple[str, str]] = ()) -> str:
    """The citation line of a paper, with its addresses and `links` (text, address)."""
    paper = chapter.paper
    text = f"{', '.join(paper.authors)}. {paper.title}. {paper.venue or 'Preprint'}, {paper.year}."
    found = []
    if paper.doi:
        found.append((f"doi:{paper.doi}", f"https://doi.org/{paper.doi}"))
    if paper.arxiv:
        found.append((f"arXiv:{paper.arxiv}", f"https://arxiv.org/abs/{paper.arxiv}"))
    if paper.code:
        found.append(("code of the authors", paper.code))
    anchors = " · ".join(f'<a href="{escape(u)}">{escape(t)}</a>' for t, u in [*found, *links])
    return f'<p class="sb-cite sb-ui">{escape(text)} {anchors}</p>'


def _numeric(label: str, html: str) -> str:
    return f'<td class="sb-num" data-l="{label}">{html}</td>'


def _measured(measure: Record | None) -> str:
    estimate, bounds = interval(measure)
    return f'{estimate}<span class="sb-int"> {bounds}</span>' if bounds else estimate


def minus(text: str) -> str:
    """True minus signs before numbers, and in differences that then do not break.

    >>> minus("below -0.5, at n - 1, a half-open range, the slope - as drawn")
    'below −0.5, at n\xa0−\xa01, a half-open range, the slope - as drawn'
    """
    text = re.sub(r"(?<=\w) - (?=\w\b)", "\u00a0−\u00a0", text)
    return re.sub(r"(?<![\w-])-(?=[\d.])", "−", text)


def _scroll(inner: str) -> str:
    return f'<div class="sb-scroll" role="region" aria-label="table" tabindex="0">{inner}</div>'
