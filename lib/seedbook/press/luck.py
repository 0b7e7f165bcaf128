"""How much of the book is luck: its own error rates, from audits and editions.

The unit is the *judgement* of one claim by one run.  Judgements of a run share their data, so that
the rates over runs (whether a run supports anything) stand beside the rates over claims.  Every
interval is Clopper and Pearson's, exact for independent trials.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from seedbook.press import audit, render
from seedbook.press.catalog import Chapter
from seedbook.press.editions import Edition

LEVEL = 0.05  # of a wrong *supported*, that every rule promises
Drawing = Callable[[Any, pd.DataFrame], None]


# --- counting --------------------------------------------------------------------------------


def judgements(
    chapters: Sequence[tuple[Chapter, Edition, dict[str, str], list[audit.Line]]],
) -> pd.DataFrame:
    """One row a claim and audited run.

    Parameters
    ----------
    chapters : sequence of (Chapter, Edition, dict, list of dict)
        The edition shown, its verdicts as shown, and the chapter's current audit.

    Returns
    -------
    pandas.DataFrame
        ``slug``, ``part``, ``kind``, ``profile``, ``replicate``, ``seed``, ``run``, ``code``,
        ``claim``, ``of`` (the paper's or the book's own), ``rule``, ``edition`` (the verdict of the
        edition), ``verdict``, ``p`` (of the claim's test), ``estimate``, ``low``, ``high``.
        Claims that are out of scope in the edition or in the run are left out.
    """
    rows = []
    for chapter, edition, _, lines in chapters:
        known = {c["id"]: c for c in edition.claims["claims"]}
        published = {k: v["verdict"] for k, v in edition.claims["verdicts"].items()}
        for line in lines:
            aimed = set(known)
            if line["kind"] == "power":
                aimed = {c for p in chapter.power if p["set"] == line["given"] for c in p["claims"]}
            for claim, judged in line["claims"].items():
                if claim not in known or claim not in aimed:
                    continue
                if "out of scope" in (judged["verdict"], published[claim]):
                    continue
                rows.append(
                    {
                        "slug": chapter.slug,
                        "part": chapter.part,
                        **{k: line[k] for k in ("kind", "profile", "replicate", "seed", "run")},
                        "code": line["code"],
                        "claim": claim,
                        "of": "own" if claim.startswith("x") else "paper",
                        "rule": shape(known[claim]["rule"]),
                        "edition": published[claim],
                        **judged,
                    }
                )
    return pd.DataFrame(rows, columns=COLUMNS)


COLUMNS = [
    *("slug", "part", "kind", "profile", "replicate", "seed", "run", "code", "claim", "of"),
    *("rule", "edition", "verdict", "p", "estimate", "low", "high"),
]


def shape(rule: Any) -> str:
    """The kind of a rule: a bound, a band, or a number of conditions.

    >>> shape({"above": ["rate", 0.5]}), shape({"inside": ["rate", 0, 1]}), shape(None)
    ('one bound', 'a band', 'none')
    >>> shape({"at_least": [2, [{"above": ["a", 1]}, {"below": ["b", 1]}]]})
    'several conditions'
    """
    if not rule:
        return "none"
    (kind,) = rule
    return {"above": "one bound", "below": "one bound", "inside": "a band"}.get(
        kind, "several conditions"
    )


def share(k: int, n: int) -> tuple[float, float, float]:
    """Share of k in n with Clopper and Pearson's 95 % interval.

    >>> [round(v, 3) for v in share(1, 20)]
    [0.05, 0.001, 0.249]
    """
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(k, n, method="beta")
    return k / n, 0.0 if k == 0 else float(low), 1.0 if k == n else float(high)


def rates(rows: pd.DataFrame, by: str | list[str], hit: pd.Series) -> pd.DataFrame:
    """Shares of rows that are hits, by group: ``k, n, share, low, high``."""
    counts = hit.groupby([rows[c] for c in ([by] if isinstance(by, str) else by)], sort=False)
    out = pd.DataFrame({"k": counts.sum().astype(int), "n": counts.size()})
    found = [share(k, n) for k, n in zip(out["k"], out["n"], strict=True)]
    return out.assign(**dict(zip(("share", "low", "high"), zip(*found, strict=True), strict=True)))


def fooled(salmons: pd.DataFrame) -> pd.DataFrame:
    """Claims whose rule supports salmons more often than `LEVEL`.

    A one-sided exact binomial test a claim, at 5 % false discoveries over all of them (Benjamini
    and Hochberg).
    """
    from scipy.stats import binomtest
    from statsmodels.stats.multitest import multipletests

    table = rates(salmons, ["slug", "claim"], salmons["verdict"] == "supported")
    p = [
        binomtest(k, n, LEVEL, alternative="greater").pvalue
        for k, n in zip(table["k"], table["n"], strict=True)
    ]
    found = multipletests(p, alpha=LEVEL, method="fdr_bh")[0] if p else []
    return table.assign(p=p, fooled=found)


# --- the page --------------------------------------------------------------------------------


def fragments(
    chapters: Sequence[tuple[Chapter, Edition, dict[str, str], list[audit.Line]]],
    parts: dict[str, str],
) -> tuple[dict[str, str], dict[str, str]]:
    """HTML of the page's sections, and its pictures as SVG, both by name.

    Parameters
    ----------
    parts : dict
        Id to title, in book order.
    """
    rows = judgements(chapters)
    names = {c.slug: c.short for c, *_ in chapters}
    out, pictures = {}, {}
    salmons, fresh, power = (rows[rows["kind"] == k] for k in audit.KINDS)
    out["luck-salmons"], pictures["luck-salmons"] = _salmons(salmons, names)
    out["luck-p"], pictures["luck-p"] = _p_values(salmons)
    out["luck-fresh"], pictures["luck-fresh"] = _fresh(fresh, parts)
    out["luck-power"], pictures["luck-power"] = _power(
        power, names, rows.groupby(["slug", "claim"]).ngroups
    )
    out["luck-paper"] = _paper(chapters)
    out["luck-all"] = _all_claims(chapters, salmons)
    return out, {f"{k}.svg": v for k, v in pictures.items() if v}


NOTHING = "<p>No chapter has been audited yet.</p>"


def _salmons(rows: pd.DataFrame, names: dict[str, str]) -> tuple[str, str]:
    if rows.empty:
        return NOTHING, ""
    hit = rows["verdict"] == "supported"
    runs = hit.groupby([rows["slug"], rows["replicate"], rows["profile"]]).any()
    over_claims, over_runs = share(int(hit.sum()), len(hit)), share(int(runs.sum()), len(runs))
    table = rates(rows.assign(g=rows["slug"].map(names)), "g", hit)
    bad = fooled(rows)
    worst = bad[bad["k"] > 0].sort_values(["share", "n"], ascending=False)
    text = (
        f"<p>{_count(len(runs), 'salmon run')} of {_count(len(table), 'chapter')} gave "
        f"{_count(len(hit), 'judgement')}; {hit.sum()} of them said <em>supported</em>, "
        f"{_percent(over_claims)}. At least one claim was supported in {runs.sum()} runs, "
        f"{_percent(over_runs)}.</p>"
    )
    if worst.empty:
        text += "<p>No claim was supported by any salmon.</p>"
    else:
        mended = bad["fooled"].sum()
        text += (
            f"<p>{_count(len(worst), 'claim was', 'claims were')} supported by a salmon at least "
            f"once; {mended or 'none'} of them clearly more often than 5 %.</p>"
        )
        text += render.table(
            ["Chapter", "Claim", "Supported", "Share [95 %]", "Clearly above 5 %"],
            [
                [
                    *_row(r, names),
                    "yes" if r.fooled else "no",
                ]
                for r in worst.reset_index().itertuples()
            ],
            numeric=(2, 3),
        )
    return _picture("luck-salmons", SALMON_ALT, text), _dots(
        [table], "share of a chapter's salmon judgements that say supported", LEVEL
    )


SALMON_ALT = "Dots with intervals, one row a chapter, near zero and left of a line at 0.05."
P_ALT = "The cumulative share of p values against the diagonal."
POWER_ALT = "Dots with intervals, one row a chapter: the share of known effects that were found."
FRESH_ALT = "Dots with intervals, shares of equal verdicts by part, by kind of claim and of rule."


def _p_values(rows: pd.DataFrame) -> tuple[str, str]:
    p = rows["p"].dropna().astype(float)
    if p.empty:
        return "<p>No salmon of a claim with a test has been run yet.</p>", ""
    below = share(int((p < LEVEL).sum()), len(p))
    text = (
        f"<p>{_count(len(p), 'p value')} come from the salmons of "
        f"{_count(rows.loc[p.index].groupby(['slug', 'claim']).ngroups, 'claim')} whose rule "
        f"declares a test. Below 0.05 lie {_percent(below)} of them. Many rules test against a "
        "bound that the null is far from, so that most values are near 1: such a test is safe, "
        "not sharp.</p>"
    )

    def draw(fig: Any, _: pd.DataFrame) -> None:
        from seedbook import plots

        ax = fig.subplots()
        x = np.sort(p.to_numpy())
        ax.plot([0, 1], [0, 1], color=plots.RULE, lw=0.8)
        steps = np.r_[0, np.arange(1, len(x) + 1) / len(x), 1]
        ax.step(np.r_[0, x, 1], steps, where="post", color=plots.CYCLE[0])
        ax.set(xlabel="p of the claim's test, salmon runs", ylabel="share at most p")
        ax.text(0.62, 0.68, "uniform", color=plots.MUTED, ha="right")

    return _picture("luck-p", P_ALT, text), _svg(draw, rows, (4.2, 3.0))


def _fresh(rows: pd.DataFrame, parts: dict[str, str]) -> tuple[str, str]:
    if rows.empty:
        return NOTHING, ""
    same = rows["verdict"] == rows["edition"]
    keep = same[rows["edition"] == "supported"]
    turned = (rows["edition"] == "supported") & (rows["verdict"] == "contradicted")
    text = (
        f"<p>{_count(rows.groupby(['slug', 'replicate', 'profile']).ngroups, 'fresh run')} gave "
        f"{_count(len(rows), 'judgement')}; {_percent(share(int(same.sum()), len(same)))} of them "
        f"are those of the edition, and of the claims that the edition supports "
        f"{_percent(share(int(keep.sum()), len(keep)))}. "
        f"A supported claim turned into a contradicted one in {turned.sum()} of {len(keep)}.</p>"
    )
    small = rows["profile"] != "quick"
    if small.any():
        text += (
            f"<p>{_percent(share(int(small.sum()), len(small)), interval=False)} of the judgements "
            "come from the profile <code>sweep</code>, which asks the same of less data: "
            "there a claim may stay open that the edition supports, and that is a lack of power, "
            "not of truth.</p>"
        )
    groups = [
        rates(rows.assign(g=rows["part"].map(parts)), "g", same),
        rates(rows.assign(g=rows["of"].map(OF)), "g", same),
        rates(rows.assign(g="rule: " + rows["rule"]), "g", same),
        rates(rows.assign(g="edition: " + rows["edition"]), "g", same),
        rates(rows.assign(g="profile: " + rows["profile"]), "g", same),
    ]
    return _picture("luck-fresh", FRESH_ALT, text), _dots(
        [g.sort_index() for g in groups], "share of fresh judgements equal to the edition's", None
    )


OF = {"paper": "claims of the papers", "own": "claims of the book's own"}


def _power(rows: pd.DataFrame, names: dict[str, str], claims: int) -> tuple[str, str]:
    if rows.empty:
        return "<p>No positive control has been run yet.</p>", ""
    hit = rows["verdict"] == "supported"
    table = rates(rows, ["slug", "claim"], hit)
    k, n, never = int(table["k"].sum()), int(table["n"].sum()), int((table["k"] == 0).sum())
    text = (
        f"<p>Over all, {k} of {n} were found, {_percent(share(k, n))}. {len(table)} of the "
        f"{_count(claims, 'claim')} that were audited have a control, {never or 'none'} of which "
        "was never found; for the others no setting is known in which they must hold. The chart "
        "pools a chapter's claims.</p>"
    )
    each = render.table(
        ["Chapter", "Claim", "Found", "Share [95 %]"],
        [_row(r, names) for r in table.reset_index().itertuples()],
        numeric=(2, 3),
    )
    chart = rates(rows.assign(g=rows["slug"].map(names)), "g", hit)
    drawn = _dots([chart], "share of controls in which the effect was found", None)
    each = f'<details class="sb-more"><summary>Claim by claim</summary>{each}</details>'
    return _picture("luck-power", POWER_ALT, text) + each, drawn


def _paper(chapters: Sequence[tuple[Chapter, Edition, dict[str, str], Any]]) -> str:
    found, inside = [], 0
    for chapter, edition, verdicts, _ in chapters:
        for claim in edition.claims["claims"]:
            ours = edition.claims["measures"].get(claim["measure"])
            theirs = render.paper_number(chapter, claim)
            if theirs is None or not ours or None in (ours["low"], ours["high"]):
                continue
            covered = ours["low"] <= theirs <= ours["high"]
            inside += covered
            found.append(
                [
                    _link(chapter.slug, chapter.short),
                    escape(claim["id"]),
                    render.minus(f"{theirs:g}"),
                    render.measure_text(ours),
                    "yes" if covered else "no",
                    render.mark(verdicts[claim["id"]]),
                    escape(chapter.paper_values.get(claim["id"], {}).get("why", "")),
                ]
            )
    if not found:
        return "<p>No claim shown has a number of its paper on the scale of ours.</p>"
    heads = ["Chapter", "Claim", "Paper", "Ours [95 %]", "Covers it", "Verdict", "The number"]
    text = f"<p>Our interval covers the paper's number in {inside} of {len(found)} claims.</p>"
    return text + render.table(heads, found, numeric=(2, 3))


def _all_claims(
    chapters: Sequence[tuple[Chapter, Edition, dict[str, str], Any]], salmons: pd.DataFrame
) -> str:
    from statsmodels.stats.multitest import multipletests

    p, told, judged = [], [], 0
    for _, edition, _, _ in chapters:
        for verdict in edition.claims["verdicts"].values():
            judged += verdict["verdict"] != "out of scope"
            if verdict["p"] is not None:
                p.append(verdict["p"])
                told.append(verdict["verdict"] == "supported")
    if not p:
        return "<p>No claim shown has a test with a p value.</p>"
    lost = {}
    for method, name in (
        ("fdr_bh", "Benjamini and Hochberg"),
        ("fdr_by", "Benjamini and Yekutieli"),
    ):
        rejected = multipletests(p, alpha=LEVEL, method=method)[0]
        lost[name] = int((np.array(told) & ~rejected).sum())
    words = " and ".join(f"{n or 'none'} by {name}" for name, n in lost.items())
    text = (
        f"<p>{_count(len(p), 'claim')} of {judged} that were judged have a test with a p value; "
        f"{sum(told)} of these are supported. With false discoveries held at 5 % over the "
        f"whole book, beyond Holm's correction within each chapter, {words} would be lost.</p>"
    )
    if len(salmons):
        hit = salmons["verdict"] == "supported"
        _, low, high = share(int(hit.sum()), len(hit))
        text += (
            f"<p>Were every claim of the book false, {judged * hit.mean():.1f} of {judged} would "
            f"be called supported by this rate of salmons, and between {judged * low:.1f} and "
            f"{judged * high:.1f} by its interval.</p>"
        )
    return text


def scales(chapters: Sequence[tuple[Chapter, Sequence[Edition]]]) -> str:
    """What the larger experiment changed: chapters with editions of both sizes, and the others.

    Out-of-scope verdicts are left out of the comparison unless the other size has judged the claim.
    """
    both, without, where, widths, rows = 0, [], {"cuda": 0, "cpu": 0}, [], []
    same = judged = 0
    for chapter, editions in chapters:
        current = {e.profile: e for e in editions if e.current}
        if "full" not in current:
            without.append(_link(chapter.slug, chapter.short))
            continue
        where[current["full"].run["device"]["kind"]] += 1
        if "quick" not in current:
            continue
        both += 1
        small, large = current["quick"].claims, current["full"].claims
        for claim in large["claims"]:
            before, after = (r["verdicts"][claim["id"]] for r in (small, large))
            if before["verdict"] == after["verdict"] == "out of scope":
                continue
            judged += 1
            same += before["verdict"] == after["verdict"]
            if before["verdict"] != after["verdict"]:
                lacked = before if after["verdict"] == "supported" else after
                rows.append(
                    [
                        _link(chapter.slug, chapter.short),
                        escape(claim["id"]),
                        render.mark(before["verdict"]),
                        render.mark(after["verdict"]),
                        f"{'quick' if lacked is before else 'full'}: "
                        + escape(render.minus(lacked["because"])),
                    ]
                )
            a, b = (r["measures"].get(claim["measure"]) for r in (small, large))
            if a and b and None not in (a["low"], b["low"]) and a["high"] > a["low"]:
                widths.append((b["high"] - b["low"]) / (a["high"] - a["low"]))
    if not both:
        return "<p>No chapter has editions of both sizes yet.</p>"
    text = (
        f"<p>{_count(both, 'chapter has', 'chapters have')} both, the larger made on a GPU in "
        f"{where['cuda'] or 'none'} and on a processor in {where['cpu'] or 'none'} of them. Of "
        f"{_count(judged, 'claim')} that either judged, {same} got the same verdict twice, "
        f"{_percent(share(same, judged))}."
    )
    if widths:
        text += (
            f" The median interval of <code>full</code> is {np.median(widths):.2f} times as wide."
        )
    text += "</p>"
    if rows:
        heads = ["Chapter", "Claim", "quick", "full", "What one of them lacked"]
        text += render.table(heads, rows)
    if without:
        text += f"<p>A quick edition alone have: {', '.join(without)}.</p>"
    return text


# --- small things ----------------------------------------------------------------------------


def _count(n: int, one: str, many: str | None = None) -> str:
    return render.count(n, one, many).replace(str(n), render.value_text(n), 1)


def _percent(found: tuple[float, float, float], interval: bool = True) -> str:
    """A share with its interval, in per cent."""
    digits = lambda v: f"{100 * v:.3g}" if v >= 0.1 or v == 0 else f"{100 * v:.2g}"  # noqa: E731
    value, low, high = map(digits, found)
    return f"{value} %" + (f" [{low}, {high}]" if interval else "")


def _row(r: Any, names: dict[str, str]) -> list[str]:
    """Cells of a claim's share."""
    value = _percent((r.share, r.low, r.high))
    return [_link(r.slug, names[r.slug]), escape(r.claim), f"{r.k} of {r.n}", value]


def _link(slug: str, text: str) -> str:
    return f'<a href="chapters/{slug}.html">{escape(text)}</a>'


def _picture(name: str, alt: str, text: str) -> str:
    image = f'<img class="sb-fig" src="../_static/{name}.svg" alt="{escape(alt)}">'
    return f'{text}<div class="sb-scroll">{image}</div>'


def _dots(groups: Sequence[pd.DataFrame], label: str, line: float | None) -> str:
    """Rows of dots with their intervals in groups, labels at the left, counts at the right."""
    table = pd.concat(groups)
    gaps = np.repeat(np.arange(len(groups)) * 0.6, [len(g) for g in groups])

    def draw(fig: Any, rows: pd.DataFrame) -> None:
        from seedbook import plots

        ax = fig.subplots()
        y = -np.arange(len(rows)) - gaps
        if line is not None:
            plots.threshold(ax, line, horizontal=False)
        plots.ours(ax, rows["share"], y, rows["low"], rows["high"], horizontal=True)
        ax.set_yticks(y, rows.index)
        ax.set(xlabel=label, ylim=(y[-1] - 0.6, 0.6))
        ax.set_xlim(left=min(0.0, ax.get_xlim()[0]) if line is not None else None)
        ax.tick_params(axis="y", length=0)
        for at, k, n in zip(y, rows["k"], rows["n"], strict=True):
            place = ax.get_yaxis_transform()
            ax.text(1.01, at, f"{k} of {n}", transform=place, va="center", color=plots.MUTED)

    return _svg(draw, table, (7.0, 0.8 + 0.24 * (len(table) + gaps[-1])))


def _svg(draw: Drawing, table: pd.DataFrame, size: tuple[float, float]) -> str:
    import matplotlib

    from seedbook import plots

    matplotlib.use("agg")
    plots.style()
    fig = matplotlib.pyplot.figure(figsize=size, layout="constrained")
    draw(fig, table)
    text = io.StringIO()
    fig.savefig(text, format="svg", metadata={"Date": None})
    matplotlib.pyplot.close(fig)
    return text.getvalue()
