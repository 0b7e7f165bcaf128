"""Claims declared before the data, measured after it, judged by a rule.

A rule is an interval condition on a named measure, or a combination of such conditions.  The whole
interval decides, never the estimate.  Rules are data, so an executed notebook carries everything
that is needed to judge again without running it.

>>> ledger = Ledger("demo")
>>> ledger.claim("c1", "The slope is one.", paper="linear", where="abstract",
...              measure="slope", rule=inside("slope", 0.8, 1.2),
...              contradicted_by=above("slope", 1.5), why="20 % either side")
>>> ledger.measure("slope", (1.02, 0.97, 1.07, 4, None), unit="sample size")
>>> ledger.judge()["c1"]["verdict"]
'supported'
>>> ledger.measure("slope", (1.02, 0.77, 1.27, 4, None), unit="sample size")
>>> ledger.judge()["c1"]["because"]
'not met: slope within [0.8, 1.2], got 1.02 [0.77, 1.27]'
"""

from __future__ import annotations

import difflib
import hashlib
import html
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypedDict

from . import frames

MIME = "application/vnd.seedbook.claims+json"
VERDICTS = ("supported", "contradicted", "inconclusive", "out of scope")

#: One condition, as JSON: ``{"above": [measure, t]}``, ``{"below": [measure, t]}``,
#: ``{"inside": [measure, low, high]}`` or ``{"at_least": [k, [rule, …]]}``.
Rule = dict[str, list[Any]]


class Claim(TypedDict):
    """A declared claim."""

    id: str
    sentence: str
    paper: str
    where: str
    measure: str
    null: str | None
    rule: Rule | None
    contradicted_by: Rule | None
    test: str | None
    why: str
    needs: list[str]
    out_of_scope: str | None


class Measure(TypedDict):
    """A named number with its 95 % interval; None where there is none."""

    estimate: float | None
    low: float | None
    high: float | None
    n: int
    p: float | None
    unit: str
    exact: bool


class Verdict(TypedDict):
    """What the rule says of a claim, and why."""

    verdict: str
    because: str
    p: float | None
    p_adjusted: float | None


# --- Conditions -----------------------------------------------------------------------------------


def above(measure: str, threshold: float) -> Rule:
    """The whole interval lies above `threshold`: low > threshold."""
    return {"above": [_name(measure), _threshold(threshold)]}


def below(measure: str, threshold: float) -> Rule:
    """The whole interval lies below `threshold`: high < threshold."""
    return {"below": [_name(measure), _threshold(threshold)]}


def inside(measure: str, low: float, high: float) -> Rule:
    """The whole interval lies in the closed region [low, high]."""
    if low > high:
        raise ValueError(f"inside({measure!r}): low {low} is above high {high}; swap them")
    return {"inside": [_name(measure), _threshold(low), _threshold(high)]}


def equivalent(measure: str, margin: float, to: float = 0.0) -> Rule:
    """The whole interval lies within `margin` of `to`, as two one-sided tests would have it."""
    if not margin > 0:
        raise ValueError(f"equivalent({measure!r}): the margin must be above 0, got {margin}")
    return inside(measure, to - margin, to + margin)


def all_of(*conditions: Rule) -> Rule:
    """Every condition holds."""
    return at_least(len(conditions), *conditions)


def any_of(*conditions: Rule) -> Rule:
    """One condition or more holds."""
    return at_least(1, *conditions)


def at_least(k: int, *conditions: Rule) -> Rule:
    """`k` or more of the conditions hold."""
    if not conditions:
        raise ValueError("a combination needs conditions; got none")
    if not 1 <= k <= len(conditions):
        raise ValueError(f"at_least({k}, …): k must lie in 1..{len(conditions)}")
    return {"at_least": [k, list(conditions)]}


def names_in(rule: Rule | None) -> list[str]:
    """Measures that a rule mentions, each once, in order."""
    return list(dict.fromkeys(leaf[0] for _, leaf in _leaves(rule)))


def rules_digest(claims: Iterable[Claim]) -> str:
    """Digest of what decides a verdict; wording, citation and reasons do not count."""
    core = [
        [c["id"], c["rule"], c["contradicted_by"], c["test"], c["needs"], bool(c["out_of_scope"])]
        for c in claims
    ]
    return hashlib.sha256(json.dumps(core, sort_keys=True).encode()).hexdigest()[:16]


def _leaves(rule: Rule | None) -> Iterator[tuple[Rule, list[Any]]]:
    """The interval conditions of a rule, with their arguments (measure, thresholds)."""
    if rule is None:
        return
    ((kind, args),) = rule.items()
    if kind == "at_least":
        for condition in args[1]:
            yield from _leaves(condition)
    else:
        yield rule, args


def _name(measure: str) -> str:
    if not isinstance(measure, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", measure):
        raise ValueError(f"measure name {measure!r}: allowed are a-z, 0-9 and _; rename it")
    return measure


def _threshold(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"a threshold must be a finite number, got {value}; use above or below")
    return float(value)


# --- Judging: from rules and measures alone -------------------------------------------------------


def holds(rule: Rule, measures: Mapping[str, Measure]) -> bool | None:
    """Whether a rule is true, false, or unknown (None).

    A condition is unknown if its measure is missing, NaN or infinite.  `at_least` k is true with k
    true parts, false if the unknown ones could not make up k, else unknown.

    >>> m = {"a": {"estimate": 1.0, "low": 0.9, "high": 1.1}}
    >>> holds(above("a", 0.5), m), holds(above("b", 0.5), m)
    (True, None)
    >>> holds(any_of(above("a", 0.5), above("b", 0.5)), m)
    True
    >>> holds(all_of(above("a", 2), above("b", 0.5)), m)
    False
    """
    ((kind, args),) = rule.items()
    if kind == "at_least":
        parts = [holds(condition, measures) for condition in args[1]]
        yes, unknown = parts.count(True), parts.count(None)
        return True if yes >= args[0] else None if yes + unknown >= args[0] else False
    name, *thresholds = args
    m = measures.get(name)
    if m is None or not all(_is_number(m[k]) for k in ("estimate", "low", "high")):
        return None
    low, high = m["low"], m["high"]
    slack = 1e-12 * max(1.0, *map(abs, thresholds))  # rounding decides nothing
    if kind == "above":
        return low > thresholds[0] + slack
    if kind == "below":
        return high < thresholds[0] - slack
    if kind == "inside":
        return thresholds[0] - slack <= low and high <= thresholds[1] + slack
    raise ValueError(f"unknown condition {kind!r}; allowed are above, below, inside and at_least")


def p_of(rule: Rule, measures: Mapping[str, Measure]) -> float | None:
    """p that a rule holds by chance alone, from the p of its measures; None if none has one.

    For `k` of `n` parts it is the k-th smallest p times (n - k + 1): the largest for `all_of`
    (intersection-union test), Bonferroni for `any_of`.  Parts without a p count as settled by
    their interval.

    >>> m = {"a": {"p": 0.01}, "b": {"p": 0.04}}
    >>> p_of(all_of(above("a", 0), above("b", 0)), m), p_of(any_of(above("a", 0), above("b", 0)), m)
    (0.04, 0.02)
    """
    ((kind, args),) = rule.items()
    if kind != "at_least":
        m = measures.get(args[0])
        return m["p"] if m else None
    k, conditions = args
    ps: list[float] = []
    settled = 0
    for condition in conditions:
        p = p_of(condition, measures)
        if p is not None:
            ps.append(p)
        elif holds(condition, measures):
            settled += 1
    if not ps:
        return None
    k = max(1, k - settled)
    return min(1.0, sorted(ps)[k - 1] * (len(ps) - k + 1)) if k <= len(ps) else 1.0


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Holm-adjusted p values; None stays None and outside the family.

    >>> holm([0.01, None, 0.04])
    [0.02, None, 0.04]
    """
    family = sorted((p, i) for i, p in enumerate(ps) if p is not None)
    adjusted: list[float | None] = [None] * len(ps)
    running = 0.0
    for rank, (p, i) in enumerate(family):
        running = max(running, min(1.0, p * (len(family) - rank)))
        adjusted[i] = running
    return adjusted


def judge(
    claims: Sequence[Claim],
    measures: Mapping[str, Measure],
    alpha: float = 0.05,
    skipped: Mapping[str, str] | None = None,
) -> dict[str, Verdict]:
    """Judge every claim from its rule and the measures alone.

    Parameters
    ----------
    claims, measures
        As `Ledger` keeps them.
    alpha : float
        Family-wise level of Holm's procedure over the claims that declare a test and are in scope.
        The family is fixed by the declaration: a declared test whose p is missing counts as p = 1.
    skipped : mapping
        Frames that could not be made, with the reason; a claim that needs one is out of scope.

    Returns
    -------
    dict
        id -> {verdict, because, p, p_adjusted}.
    """
    outside = [_out_of_scope(claim, skipped or {}) for claim in claims]
    ps = [
        None if reason or not claim["test"] else _declared_p(claim, measures)
        for claim, reason in zip(claims, outside, strict=True)
    ]
    verdicts: dict[str, Verdict] = {}
    for claim, reason, p, q in zip(claims, outside, ps, holm(ps), strict=True):
        verdict, because = (
            ("out of scope", reason) if reason else _decide(claim, measures, q, alpha)
        )
        verdicts[claim["id"]] = {"verdict": verdict, "because": because, "p": p, "p_adjusted": q}
    return verdicts


def _out_of_scope(claim: Claim, skipped: Mapping[str, str]) -> str | None:
    if claim["out_of_scope"]:
        return claim["out_of_scope"]
    return next((skipped[frame] for frame in claim["needs"] if frame in skipped), None)


def _declared_p(claim: Claim, measures: Mapping[str, Measure]) -> float:
    assert claim["rule"] is not None  # only a claim out of scope has no rule
    p = p_of(claim["rule"], measures)
    return 1.0 if p is None else p


def _decide(
    claim: Claim, measures: Mapping[str, Measure], p_adjusted: float | None, alpha: float
) -> tuple[str, str]:
    """Verdict and reason of one claim in scope."""
    rule, against = claim["rule"], claim["contradicted_by"]
    assert rule is not None
    yes = holds(rule, measures)
    no = against is not None and holds(against, measures)
    if yes and no:
        return "inconclusive", "the rule and its contradiction both hold: the rule is faulty"
    if yes and p_adjusted is not None and p_adjusted > alpha:
        return "inconclusive", f"the rule holds, but Holm-adjusted p = {p_adjusted:.3g} > {alpha}"
    if yes:
        return "supported", "the rule holds"
    if no:
        return "contradicted", "; ".join(_met(against, measures))
    unmet = [
        f"{say(leaf)}, got {interval(measures.get(args[0]))}"
        for leaf, args in _leaves(rule)
        if holds(leaf, measures) is not True
    ]
    return "inconclusive", "not met: " + "; ".join(unmet)


def _met(rule: Rule | None, measures: Mapping[str, Measure]) -> list[str]:
    return [
        f"{say(leaf)}, got {interval(measures.get(args[0]))}"
        for leaf, args in _leaves(rule)
        if holds(leaf, measures)
    ]


# --- The ledger -----------------------------------------------------------------------------------


class Ledger:
    """The claims of one chapter: declared, measured, judged.

    Parameters
    ----------
    slug : str
        The chapter.
    seed : int or None
        Shown with the table; None means opened without the press, where streams start from 0.
    salmon : bool
        Whether the mechanisms are replaced by their nulls; shown with the table.
    alpha : float
        Family-wise level of Holm's procedure over the claims that declare a test.

    Notes
    -----
    A new ledger is how a cell that runs again starts afresh.  It remembers whether it was made
    before this process saved or loaded a frame (``declared_before_data``).
    """

    def __init__(
        self, slug: str, *, seed: int | None = None, salmon: bool = False, alpha: float = 0.05
    ) -> None:
        if not 0 < alpha < 1:
            raise ValueError(f"alpha must lie between 0 and 1, got {alpha}")
        self.slug, self.seed, self.salmon, self.alpha = slug, seed, salmon, alpha
        self.claims: list[Claim] = []
        self.measures: dict[str, Measure] = {}
        self.declared_before_data = not frames.touched()

    def claim(
        self,
        id: str,
        sentence: str,
        *,
        paper: str,
        where: str,
        measure: str,
        rule: Rule | None,
        why: str,
        contradicted_by: Rule | None = None,
        null: str | None = None,
        test: str | None = None,
        needs: Sequence[str] = (),
        out_of_scope: str | None = None,
    ) -> None:
        """Declare one claim.

        Parameters
        ----------
        id : str
            "c1", "c2", … for the paper's claims, "x1", … for the chapter's own.
        sentence : str
            The claim, so that it could be false.
        paper, where : str
            The paper's own number, and where it stands.
        measure : str
            What stands for the claim in the table; it is in the rule.
        rule, contradicted_by : Rule
            What supports the claim, and what speaks against it.
        why : str
            One line that justifies the thresholds.
        null : str, optional
            The control's measure.
        test : str, optional
            Names the test, where the measures of the rule carry a p.
        needs : sequence of str
            Frames without which the claim cannot be judged.
        out_of_scope : str, optional
            Why this chapter cannot test the claim; then ``rule=None, measure="-"``.
        """
        if not re.fullmatch(r"[cx]\d+[a-z]?", id):
            raise ValueError(f"claim id {id!r}: use c1, c2, … (the paper's) or x1, … (your own)")
        if any(c["id"] == id for c in self.claims):
            raise ValueError(f"claim {id!r} is declared twice; ids are unique in a chapter")
        if self.measures:
            raise ValueError(
                f"claim {id!r} is declared after a measure was taken; declare all claims first"
            )
        if out_of_scope:
            if rule is not None or contradicted_by is not None or measure != "-":
                raise ValueError(f"claim {id!r} is out of scope: give rule=None and measure='-'")
        elif rule is None:
            raise ValueError(f"claim {id!r} has no rule; give one, or out_of_scope='the reason'")
        elif measure not in names_in(rule):
            raise ValueError(
                f"claim {id!r}: its measure {measure!r} is not in its rule, "
                f"which speaks of {names_in(rule)}{_did_you_mean(measure, names_in(rule))}"
            )
        if null is not None:
            _name(null)
        if isinstance(needs, str):
            raise TypeError(f"claim {id!r}: needs is a tuple of frame names, write ({needs!r},)")
        self.claims.append(
            {
                "id": id,
                "sentence": sentence,
                "paper": str(paper),
                "where": where,
                "measure": measure,
                "null": null,
                "rule": rule,
                "contradicted_by": contradicted_by,
                "test": test,
                "why": why,
                "needs": list(needs),
                "out_of_scope": out_of_scope,
            }
        )

    def measure(
        self, name: str, value: tuple[float, float, float, int, float | None], *, unit: str
    ) -> None:
        """Record a measure; a second time replaces it.

        Parameters
        ----------
        name : str
            A measure that a declared claim speaks of.
        value : (estimate, low, high, n, p)
            As the functions of `stats` return it: 95 % interval, number of units, p or None.
            A NaN leaves every condition on this measure undecided.
        unit : str
            What was resampled or counted: "seed", "item", "system".

        Raises
        ------
        ValueError
            If no claim speaks of it, if the estimate lies outside its interval, or if it has a p
            although no claim with it in the rule declares a test.
        """
        estimate, low, high, n, p = value
        known = self._known()
        if name not in known:
            hint = _did_you_mean(name, known) or f"; declared are {known}"
            raise ValueError(f"no claim speaks of measure {name!r}{hint}")
        if p is not None and not any(
            c["test"] and name in names_in(c["rule"]) for c in self.claims
        ):
            raise ValueError(
                f"measure {name!r} has a p, but no claim with it in its rule declares a test; "
                "declare test='its name', or leave the p out"
            )
        m: Measure = {
            "estimate": _number(estimate),
            "low": _number(low),
            "high": _number(high),
            "n": int(n),
            "p": _number(p),
            "unit": unit,
            "exact": False,
        }
        if m["p"] is not None and not 0 <= m["p"] <= 1:
            raise ValueError(f"measure {name!r}: p must lie between 0 and 1, got {p}")
        if m["estimate"] is not None and m["low"] is not None and m["high"] is not None:
            eps = 1e-9 * max(1.0, abs(m["estimate"]))
            if not m["low"] - eps <= m["estimate"] <= m["high"] + eps:
                raise ValueError(
                    f"measure {name!r}: need low <= estimate <= high, "
                    f"got low {low}, estimate {estimate}, high {high}"
                )
        self.measures[name] = m

    def exact(self, name: str, value: float, *, n: int = 1, unit: str = "case") -> None:
        """Record a measure without sampling error: a count, an enumeration, a yes or no."""
        self.measure(name, (value, value, value, n, None), unit=unit)
        self.measures[name]["exact"] = True

    def judge(self) -> dict[str, Verdict]:
        """Verdicts so far, id -> {verdict, because, p, p_adjusted}."""
        return judge(self.claims, self.measures, self.alpha, frames.skipped())

    def record(self) -> dict[str, Any]:
        """Everything that is needed to judge again and to print the table, as JSON-able data."""
        return {
            "schema": 1,
            "slug": self.slug,
            "seed": self.seed,
            "salmon": self.salmon,
            "alpha": self.alpha,
            "declared_before_data": self.declared_before_data,
            "rules_digest": rules_digest(self.claims),
            "skipped": frames.skipped(),
            "claims": self.claims,
            "measures": self.measures,
            "verdicts": self.judge(),
        }

    def _known(self) -> list[str]:
        """Names of all measures that the declared claims speak of."""
        names: dict[str, None] = {}
        for c in self.claims:
            names |= dict.fromkeys(names_in(c["rule"]) + names_in(c["contradicted_by"]))
            if c["null"]:
                names[c["null"]] = None
        return list(names)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        record = json.loads(json.dumps(self.record(), allow_nan=False))
        page = _table(record) if record["measures"] else _list(record)
        return {MIME: record, "text/html": page, "text/plain": _plain(record)}


def from_notebook(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """Read the ledger of an executed notebook and judge it again.

    Parameters
    ----------
    notebook : mapping
        As nbformat reads it.  The last ledger that it shows counts.

    Returns
    -------
    dict
        The ledger's record (`Ledger.record`).

    Raises
    ------
    ValueError
        If there is none, or if rules or verdicts, stored or printed, do not follow from the rules
        and measures: the notebook was altered after its run.
    """
    shown = [
        output["data"]
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
        for output in cell.get("outputs", [])
        if MIME in output.get("data", {})
    ]
    if not shown:
        raise ValueError("no ledger in this notebook: its last view cell must end with `ledger`")
    record = json.loads(json.dumps(shown[-1][MIME]))
    if record.get("schema") != 1:
        raise ValueError(f"this ledger has schema {record.get('schema')}; known is 1: run it again")
    if rules_digest(record["claims"]) != record["rules_digest"]:
        raise ValueError("the rules differ from their digest: the notebook was altered")
    again = judge(record["claims"], record["measures"], record["alpha"], record["skipped"])
    if again != record["verdicts"]:
        raise ValueError("verdicts differ from those that the rules give: the notebook was altered")
    if record["measures"]:
        page = "".join(shown[-1].get("text/html", ""))
        printed = [html.unescape(word) for word in _PRINTED.findall(page)]
        if printed != [again[c["id"]]["verdict"] for c in record["claims"]]:
            raise ValueError(
                "printed verdicts differ from those that the rules give: the notebook was altered"
            )
    return record


# --- Words and numbers ----------------------------------------------------------------------------


def say(rule: Rule | None) -> str:
    """A rule in words.

    >>> say(all_of(above("gain", 0), inside("failures", 0, 0)))
    'gain above 0 and failures = 0'
    """
    if rule is None:
        return "never"
    ((kind, args),) = rule.items()
    if kind == "at_least":
        k, parts = args
        words = [f"({say(part)})" if "at_least" in part else say(part) for part in parts]
        if k == len(parts):
            return " and ".join(words)
        return " or ".join(words) if k == 1 else f"at least {k} of: " + "; ".join(words)
    if kind == "inside":
        name, low, high = args
        return f"{name} = {low:g}" if low == high else f"{name} within [{low:g}, {high:g}]"
    return f"{args[0]} {kind} {args[1]:g}"


def interval(m: Measure | None) -> str:
    """A measure as text, with two significant digits of its interval's half-width.

    >>> share = {"estimate": 0.6089, "low": 0.5951, "high": 0.6226, "exact": False}
    >>> interval(share)
    '0.609 [0.595, 0.623]'
    >>> interval(None)
    '-'
    """
    if not m or m["estimate"] is None:
        return "-"
    estimate, low, high = m["estimate"], m["low"], m["high"]
    if m["exact"]:
        return f"{estimate:.4g}"
    if low is None or high is None:
        return f"{estimate:.3g} [no interval]"
    half = (high - low) / 2
    digits = 1 - math.floor(math.log10(half)) if half > 0 else 0
    if half == 0 or not -4 <= digits <= 7:
        return f"{estimate:.4g} [{low:.4g}, {high:.4g}]"
    e, lo, hi = (_fixed(v, max(digits, 0)) for v in (estimate, low, high))
    return f"{e} [{lo}, {hi}]"


def _fixed(value: float, digits: int) -> str:
    return "0" if value == 0 else f"{value:.{digits}f}"


def _number(value: float | None) -> float | None:
    return float(value) if _is_number(value) else None  # type: ignore[arg-type]


def _is_number(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _p(value: float | None) -> str:
    return "-" if value is None else "< 0.001" if value < 0.001 else f"{value:.2g}"


def _notes(record: Mapping[str, Any]) -> str:
    seed = record["seed"]
    notes = ["seed 0 (run without the press)" if seed is None else f"seed {seed}"]
    if record["salmon"]:
        notes.append("salmon run: each mechanism is replaced by its null")
    if not record["declared_before_data"]:
        notes.append("declared after data were seen")
    if os.environ.get("SEEDBOOK_PROFILE") == "smoke":
        notes.append("smoke profile: these verdicts mean nothing")
    return "; ".join(notes)


# --- The table ------------------------------------------------------------------------------------

_PRINTED = re.compile(r'<span class="sb-v sb-v--(?!salmon)[a-z-]+">([^<]*)</span>')
_MINUS = re.compile(r"(?<![\w.)\]])-(?=\s?\d)")  # not the one of 1e-09


def _html(text: str) -> str:
    if text == "-":
        return "\N{EN DASH}"
    return html.escape(_MINUS.sub("\N{MINUS SIGN}", text), quote=False)


def _list(record: Mapping[str, Any]) -> str:
    """The claims before the data."""
    parts = []
    for c in record["claims"]:
        lines = [f"Paper: {c['paper']} ({c['where']})."]
        if c["out_of_scope"]:
            lines.append(f"Out of scope: {c['out_of_scope']}.")
        else:
            lines.append(f"Measure: {c['measure']}.")
            lines += [f"Null: {c['null']}."] if c["null"] else []
            lines.append(f"Supported if {say(c['rule'])}.")
            if c["contradicted_by"]:
                lines.append(f"Contradicted if {say(c['contradicted_by'])}.")
            lines += [f"Test: {c['test']}."] if c["test"] else []
        lines.append(f"Why: {c['why']}.")
        parts.append(
            f'<div class="sb-claim"><p><b class="sb-id">{c["id"]}</b>{_html(c["sentence"])}</p>'
            f'<p class="sb-ui">{_html(" ".join(lines))}</p></div>'
        )
    return "\n".join(parts)


def _table(record: Mapping[str, Any]) -> str:
    """The claims after the data."""
    with_p = any(v["p_adjusted"] is not None for v in record["verdicts"].values())
    numbers = ["Ours [95 %]", "Null", *["Adjusted p"] * with_p]
    head = "".join(f'<th class="sb-num">{h}</th>' for h in numbers)
    body = []
    for c in record["claims"]:
        v = record["verdicts"][c["id"]]
        why = (
            ""
            if v["verdict"] == "supported"
            else f'<span class="sb-why">{_html(v["because"])}</span>'
        )
        p = f'<td class="sb-num" data-l="Adjusted p">{_html(_p(v["p_adjusted"]))}</td>'
        body.append(
            f'<tr><td><b class="sb-id">{c["id"]}</b></td><td>{_html(c["sentence"])} {why}</td>'
            f'<td data-l="Paper">{_html(c["paper"])}</td>'
            f"{_measured('Ours', record['measures'].get(c['measure']))}"
            f"{_measured('Null', record['measures'].get(c['null']))}"
            f"{p if with_p else ''}<td>{_mark(v['verdict'])}</td></tr>"
        )
    return (
        '<div class="sb-scroll"><table class="sb-table sb-verdicts"><thead><tr>'
        f"<th></th><th>Claim</th><th>Paper</th>{head}<th>Verdict</th></tr></thead><tbody>\n"
        + "\n".join(body)
        + f'\n</tbody></table></div><p class="sb-ui">{_html(_sentence(_notes(record)))}</p>'
    )


def _measured(label: str, m: Measure | None) -> str:
    estimate, _, bounds = interval(m).partition(" ")
    bounds = f' <span class="sb-int">{_html(bounds)}</span>' if bounds else ""
    return f'<td class="sb-num" data-l="{label}">{_html(estimate)}{bounds}</td>'


def _mark(verdict: str) -> str:
    return f'<span class="sb-v sb-v--{verdict.replace(" ", "-")}">{verdict}</span>'


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _plain(record: Mapping[str, Any]) -> str:
    """The same for a terminal."""
    lines = [f"{record['slug']}: {_notes(record)}"]
    for c in record["claims"]:
        lines.append(f"{c['id']:<4}{c['sentence']}")
        if not record["measures"]:
            lines.append(f"      supported if {say(c['rule'])}" if c["rule"] else "      no rule")
            continue
        v = record["verdicts"][c["id"]]
        parts = [f"{c['measure']} {interval(record['measures'].get(c['measure']))}"]
        if c["null"]:
            parts.append(f"null {interval(record['measures'].get(c['null']))}")
        if v["p_adjusted"] is not None:
            parts.append(f"adjusted p {_p(v['p_adjusted'])}")
        lines.append(f"      {v['verdict'].upper()}: {v['because']}")
        lines.append(f"      {', '.join(parts)}; paper: {c['paper']}")
    return "\n".join(lines)
