"""The command ``seedbook``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

# Only what every command needs is imported here; the rest inside the commands.


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; exit code 0, 1 (it failed), 2 (it was asked wrongly)."""
    arguments = _parser().parse_args(argv)
    from .catalog import CatalogError
    from .chapter import ChapterError
    from .editions import PublishError
    from .executor import Lost, Refused
    from .parameters import ParameterError
    from .seminar import SeminarError
    from .store import StoreError

    wrongly_asked = (ParameterError, ChapterError, CatalogError, FileNotFoundError, Refused)
    try:
        return arguments.command(arguments) or 0
    except (*wrongly_asked, SeminarError) as error:
        print(f"seedbook: {error}", file=sys.stderr)
        return 2
    except (PublishError, StoreError, Lost) as error:
        print(f"seedbook: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "seedbook: stopped; what was finished is kept, and the same command goes on from there",
            file=sys.stderr,
        )
        return 1
    except BrokenPipeError:
        sys.stderr.close()
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="seedbook", description="Run, check, publish and read the chapters of the book."
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(name: str, command: Callable[[argparse.Namespace], int | None], help: str):
        sub = commands.add_parser(name, help=help, description=help)
        sub.set_defaults(command=command)
        return sub

    add("list", _list, "list the chapters with their editions and verdicts")
    show = add("show", _show, "show a chapter: parameters, profiles, claims")
    show.add_argument("slug")
    check = add("check", _check, "check that chapters keep the contract")
    check.add_argument("slug", nargs="*", help="chapters; all that exist by default")
    why = add("why", _why, "say what is stale, and which change made it so")
    why.add_argument("slug", nargs="*")
    run = add("run", _run, "run chapters; a run that exists is not made again")
    run.add_argument("slug", nargs="*", help="chapters")
    run.add_argument("--all", action="store_true", help="every chapter that exists")
    _running(run)
    run.add_argument(
        "--replicate",
        type=int,
        default=0,
        metavar="I",
        help="the i-th derived seed (0: publishable)",
    )
    run.add_argument("--force", action="store_true", help="run again even if the run exists")
    sweep = add("sweep", _sweep, "run one chapter over values and seeds, and tabulate the verdicts")
    sweep.add_argument("slug")
    _running(sweep)
    sweep.add_argument(
        "--seeds", type=int, default=5, metavar="N", help="derived seeds per value (default 5)"
    )
    sweep.add_argument(
        "--first",
        type=int,
        default=1,
        metavar="I",
        help="first replicate (default 1; 0 is the edition's)",
    )
    sweep.add_argument(
        "--out", type=Path, metavar="FILE", help="write the table of measures and verdicts as CSV"
    )
    audit = add("audit", _audit, "judge the claims again on salmons and fresh seeds, and keep that")
    audit.add_argument("slug", nargs="*", help="chapters")
    audit.add_argument("--all", action="store_true", help="every chapter that exists")
    audit.add_argument(
        "--salmons", type=int, default=20, metavar="N", help="runs with salmon=True (default 20)"
    )
    audit.add_argument(
        "--seeds", type=int, default=10, metavar="N", help="runs with fresh seeds (default 10)"
    )
    audit.add_argument(
        "--controls", type=int, default=10, metavar="N", help="runs a positive control (default 10)"
    )
    audit.add_argument(
        "--profile", metavar="NAME", help="by default sweep where a chapter has it, else quick"
    )
    audit.add_argument(
        "--first", type=_count, default=101, metavar="I", help="first replicate (default 101)"
    )
    _where(audit)
    seminar = add("seminar", _list, "check the exercises, or export a course of them")
    kit = seminar.add_subparsers(required=True, metavar="WHAT")
    text = "put stubs, solutions and wrong answers through the exercises' tests"
    exercises = kit.add_parser("check", help=text, description=text)
    exercises.set_defaults(command=_seminar_check)
    exercises.add_argument("slug", nargs="*", help="chapters; all by default")
    text = "write a course: notebooks with and without solutions, and the teacher's guide"
    course = kit.add_parser("export", help=text, description=text)
    course.set_defaults(command=_seminar_export)
    course.add_argument("to", type=Path, metavar="DIR", help="a new or empty folder")
    course.add_argument(
        "--format", default="folder", metavar="NAME", help="nbgrader or folder (default)"
    )
    course.add_argument(
        "--chapter", action="append", default=[], metavar="SLUG", help="only this; may be repeated"
    )
    course.add_argument(
        "--install", metavar="WHAT", help="what pip installs where the package is missing"
    )
    export = add("export", _export, "write runs as a job for sites that have no Dask cluster")
    export.add_argument("slug", nargs="*", help="chapters")
    export.add_argument("--all", action="store_true", help="every chapter that exists")
    export.add_argument(
        "--slurm-array", action="store_true", required=True, help="as an array job of SLURM"
    )
    _setting(export)
    export.add_argument(
        "--seeds", type=_count, metavar="N", help="derived seeds per value, as a sweep has them"
    )
    export.add_argument(
        "--first", type=int, default=1, metavar="I", help="first replicate (default 1)"
    )
    export.add_argument(
        "--at-most", type=_count, default=50, metavar="N", help="tasks at a time (default 50)"
    )
    export.add_argument(
        "--out", type=Path, default=Path("seedbook.sbatch"), metavar="FILE", help="where to"
    )
    compare = add("compare", _compare, "set two runs side by side: claims, numbers, parameters")
    compare.add_argument(
        "a",
        help="SLUG (newest run), SLUG/RUN (a prefix is enough), edition:SLUG[/PROFILE], or a folder",
    )
    compare.add_argument(
        "b", nargs="?", help="the same; by default the edition of the same chapter"
    )
    verify = add(
        "verify", _verify, "run editions again and hold every number against its tolerance"
    )
    verify.add_argument("slug", nargs="*")
    verify.add_argument("--profile", default="quick", choices=("quick", "full"))
    publish = add("publish", _publish, "make the current run of a chapter its edition")
    publish.add_argument("slug", nargs="+")
    publish.add_argument("--profile", default="quick", choices=("quick", "full"))
    book = add("book", _book, "run what is stale and build the book")
    book.add_argument("--no-run", action="store_true", help="build from what there is")
    book.add_argument("--no-warm", action="store_true", help="start every kernel from nothing")
    serve = add("serve", _serve, "serve the book with live figures and the re-run panel")
    serve.add_argument(
        "--port", type=int, default=8765, metavar="N", help="port (default 8765; 0: a free one)"
    )
    serve.add_argument(
        "--ip",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="address to listen on; any but the default lets other machines run code here",
    )
    serve.add_argument(
        "--max-runs", type=_count, default=1, metavar="N", help="runs at a time (default 1)"
    )
    serve.add_argument(
        "--max-kernels",
        type=_count,
        default=8,
        metavar="N",
        help="kernels of open pages at a time (default 8)",
    )
    serve.add_argument("--no-browser", action="store_true", help="print the address only")
    serve.add_argument("--no-warm", action="store_true", help="start every kernel from nothing")
    new = add("new", _new, "write the scaffold of a chapter that the catalogue lists")
    new.add_argument("slug")
    add("doctor", _doctor, "say what is missing on this machine, and what to do")
    return parser


def _count(text: str) -> int:
    """A whole number of at least 1."""
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def _setting(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "-p", action="append", default=[], metavar="NAME=VALUE", help="set a parameter (repeatable)"
    )
    sub.add_argument(
        "--profile", default="quick", metavar="NAME", help="smoke, quick (default), full or sweep"
    )
    sub.add_argument("--salmon", action="store_true", help="replace the mechanism by its null")


def _running(sub: argparse.ArgumentParser) -> None:
    _setting(sub)
    _where(sub)


def _where(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--no-warm", action="store_true", help="start every kernel from nothing")
    sub.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="run on a Dask cluster: tcp://HOST:PORT, or a scheduler file",
    )
    sub.add_argument(
        "--allow-other-versions",
        action="store_true",
        help="with --scheduler: also on workers with another commit, Python or torch (recorded)",
    )


# -- looking --------------------------------------------------------------------------------------


def _console():
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else 160)


def _table(*columns: str):
    from rich import box
    from rich.table import Table

    return Table(
        *columns, box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold"
    )


def _strip(verdicts: dict[str, Any]) -> str:
    marks = {"supported": "●", "contradicted": "✕", "inconclusive": "◐", "out of scope": "–"}
    return "".join(marks.get(v["verdict"], "?") for v in verdicts.values())


def _list(arguments: argparse.Namespace) -> int:
    from . import catalog, editions

    book = catalog.load()
    table = _table("chapter", "part", "paper", "state", "quick", "full", "verdicts")
    for entry in book.chapters:
        state, cost, strip = "in preparation", ["", ""], ""
        if entry.exists:
            quick, full = (editions.get(entry, book.root, p) for p in ("quick", "full"))
            state = "not published" if quick is None else "current" if quick.current else "stale"
            cost = [
                "–" if e is None else f"{e.run['wall_s']:.0f} s{'' if e.current else ', stale'}"
                for e in (quick, full)
            ]
            if quick:
                strip = _strip(quick.claims["verdicts"])
        table.add_row(entry.slug, entry.part, entry.authors_short, state, *cost, strip)
    _console().print(table)
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from . import catalog, chapter, editions

    book = catalog.load()
    entry = book.chapter(arguments.slug)
    console = _console()
    console.print(
        f"[bold]{entry.title}[/]\n{entry.authors_short}, part {entry.part}\n{entry.question}\n"
    )
    if not entry.exists:
        console.print("in preparation: there is no notebook yet")
        return 0
    source = chapter.read(entry.slug, book.root)
    table = _table("parameter", "type", "default", "range", "what it does")
    for p in source.parameters:
        allowed = p.range or ", ".join(map(repr, p.choices))
        table.add_row(p.name, p.type, repr(p.default), allowed, p.help)
    console.print(table)
    for name, overrides in entry.profiles.items():
        sets = ", ".join(f"{k}={v}" for k, v in overrides["set"].items())
        console.print(f"profile {name}: {sets} ({overrides['why']})", markup=False)
    for profile in editions.PROFILES:
        edition = editions.get(entry, book.root, profile)
        if edition:
            state = "current" if edition.current else "stale"
            console.print(
                f"\n{profile} edition, {state}, seed {edition.run['parameters']['seed']}",
                markup=False,
            )
            console.print(_claims_table(edition.claims))
    return 0


def _interval(m: dict[str, Any] | None) -> str:
    if not m or m["estimate"] is None:
        return "–"
    if m["exact"] or m["low"] is None:
        return f"{m['estimate']:.4g}"
    return f"{m['estimate']:.4g} [{m['low']:.3g}, {m['high']:.3g}]"


def _claims_table(claims: dict[str, Any]):
    table = _table("id", "claim", "paper", "ours", "null", "verdict")
    for c in claims["claims"]:
        measures = claims["measures"]
        null = _interval(measures.get(c["null"])) if c["null"] else ""
        verdict = claims["verdicts"][c["id"]]["verdict"]
        table.add_row(
            c["id"], c["sentence"], c["paper"], _interval(measures.get(c["measure"])), null, verdict
        )
    return table


def _chosen(slugs: list[str]) -> tuple[Any, list[Any]]:
    from . import catalog

    book = catalog.load()
    return book, [book.chapter(s) for s in slugs] or [c for c in book.chapters if c.exists]


def _check(arguments: argparse.Namespace) -> int:
    from . import chapter

    book, entries = _chosen(arguments.slug)
    bad = 0
    for entry in entries:
        problems = chapter.check(chapter.read(entry.slug, book.root), entry)
        bad += bool(problems)
        print(f"{entry.slug}: {'ok' if not problems else ''}".rstrip())
        for problem in problems:
            print(f"  {problem}")
    return 1 if bad else 0


def _seminar_check(arguments: argparse.Namespace) -> int:
    from . import catalog, seminar

    book = catalog.load()
    bad = 0
    for entry in [book.chapter(slug) for slug in arguments.slug] or book.chapters:
        started = time.perf_counter()
        try:
            problems = seminar.problems(seminar.read(entry))
        except seminar.SeminarError as error:
            problems = [str(error)]
        bad += bool(problems)
        took = time.perf_counter() - started
        print(f"{entry.slug}: {'wrong' if problems else 'ok'}, {took:.1f} s")
        for problem in problems:
            print(f"  {problem}")
    return 1 if bad else 0


def _seminar_export(arguments: argparse.Namespace) -> None:
    from . import catalog, seminar

    book = catalog.load()
    entries = [book.chapter(slug) for slug in arguments.chapter] or list(book.chapters)
    install = arguments.install or seminar.address(book.root)
    files = seminar.export(entries, arguments.to, arguments.format, install)
    print(f"{len(files)} files for {len(entries)} chapters in {arguments.to}")
    if install is None:
        print(
            "seedbook: these notebooks cannot install the package by themselves; name what pip "
            "shall install with --install, or set repository.url in _config.yml",
            file=sys.stderr,
        )


def _why(arguments: argparse.Namespace) -> int:
    from . import editions

    book, entries = _chosen(arguments.slug)
    for entry in entries:
        for profile in editions.PROFILES:
            if profile == "full" and not editions.folder(book.root, entry.slug, "full").is_dir():
                continue
            reasons = editions.stale(entry, book.root, profile)
            print(f"{entry.slug} {profile}: {'current' if not reasons else 'stale'}")
            for reason in reasons:
                print(f"  {reason}")
    return 0


# -- running --------------------------------------------------------------------------------------


def _given(slug: str, texts: list[str], salmon: bool) -> dict[str, list[Any]]:
    """Values per parameter name, in order; more than one only where -p is repeated."""
    from . import chapter, parameters

    known = chapter.read(slug).parameters
    out: dict[str, list[Any]] = {}
    for text in texts:
        name, value = parameters.from_text(known, text)
        out.setdefault(name, []).append(value)
    if salmon:
        out["salmon"] = [True]
    return out


class _Display:
    """What shows runs under way; enter it. `rich` is None where stderr is a pipe."""

    rich: Any = None

    def __enter__(self):
        if self.rich:
            self.rich.start()
        return self

    def __exit__(self, *failure):
        if self.rich:
            self.rich.stop()

    def _note(self, event: dict[str, Any]) -> None:
        (self.rich.console.print if self.rich else _to_stderr)(f"seedbook: {Progress.say(event)}")


class Progress(_Display):
    """Runs under way: a bar each on a terminal, a line an event on a pipe."""

    def __init__(self, total: int):
        self.total, self.finished = total, 0
        self.bars: dict[int, Any] = {}
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn
            from rich.progress import Progress as Rich

            self.rich = Rich(
                TextColumn("{task.fields[label]}"),
                BarColumn(bar_width=24),
                TextColumn("{task.fields[doing]}"),
                console=Console(stderr=True, highlight=False),
                transient=False,
            )

    def __call__(self, plan, event) -> None:
        kind, text = event["event"], self.say(event)
        if plan is None:
            self._note(event)
            return
        if not self.rich:
            if kind in ("start", "cell", "again", "done", "failed"):
                print(f"{plan.label}: {text}", file=sys.stderr, flush=True)
            return
        bar = self.bars.get(id(plan))
        if bar is None:
            bar = self.bars[id(plan)] = self.rich.add_task(
                "", total=1.0, label=plan.label, doing=""
            )
        if kind in ("cell", "progress"):
            inside = event.get("fraction", 0.0)
            self.rich.update(bar, completed=(event["k"] - 1 + inside) / event["n"], doing=text)
        elif kind == "done":
            self.rich.update(bar, completed=1.0, doing=text)
        elif kind in ("start", "again", "failed"):
            self.rich.update(bar, doing=text)

    @staticmethod
    def say(event: dict[str, Any]) -> str:
        """One line for an event."""
        left = "" if event.get("left") is None else f", about {event['left']:.0f} s left"
        match event["event"]:
            case "start":
                how = {"redraw": "redrawn from stored frames", "run": "runs"}.get(
                    event["how"], event["how"]
                )
                on = f" on {event['on']}" if "on" in event else ""
                return f"{how} with seed {event['seed']}{on}{left}"
            case "cell" | "progress":
                inside = f" {event['fraction']:.0%}" if "fraction" in event else ""
                return f"cell {event['k']} of {event['n']}, {event['cell']}{inside}{left}"
            case "done":
                return {"kept": "is there already", "redraw": "redrawn", "run": "done"}[
                    event["how"]
                ]
            case "again":
                return event["why"]
            case "note":
                return event["text"]
        return event["event"]


class Tally(_Display):
    """Many short runs: one bar, or a line a run that ended on a pipe, with the time left."""

    def __init__(self, total: int):
        self.total, self.finished, self.began = total, 0, time.monotonic()
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress as Rich

            self.rich = Rich(console=Console(stderr=True, highlight=False))
            self.bar = self.rich.add_task("", total=total)

    def __call__(self, plan, event) -> None:
        if plan is None or event["event"] == "again":
            self._note(event)
        if plan is None or event["event"] not in ("done", "failed"):
            return
        self.finished += 1
        left = (time.monotonic() - self.began) * (self.total / self.finished - 1)
        if self.rich:
            text = f"{plan.label}, {self.finished} of {self.total} runs"
            self.rich.update(self.bar, completed=self.finished, description=text)
        else:
            _to_stderr(
                f"{plan.label}: {Progress.say(event)}, {self.finished} of {self.total}, "
                f"about {left / 60:.0f} min left"
            )


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _execute(plans: list[Any], warm: bool, side: Any = None) -> list[Any]:
    from . import executor

    with Progress(len(plans)) as progress:
        return executor.execute(plans, progress, warm=warm, side=side)


def _side(arguments: argparse.Namespace) -> Any:
    """The cluster that was asked for; None for this machine."""
    if not arguments.scheduler:
        return None
    from .cluster import Cluster

    return Cluster(
        arguments.scheduler,
        other_versions=arguments.allow_other_versions,
        warm=not arguments.no_warm,
    )


def _slugs(book: Any, arguments: argparse.Namespace) -> list[str]:
    """The chapters named, or all that exist."""
    from . import parameters

    slugs = [c.slug for c in book.chapters if c.exists] if arguments.all else arguments.slug
    if not slugs:
        raise parameters.ParameterError("name a chapter, or --all; `seedbook list` shows them")
    return slugs


def _run(arguments: argparse.Namespace) -> int:
    from . import catalog, parameters, runner

    book, side = catalog.load(), _side(arguments)
    slugs = _slugs(book, arguments)
    plans = []
    for slug in slugs:
        book.chapter(slug)
        given = _given(slug, arguments.p, arguments.salmon)
        for name, values in given.items():
            if len(values) > 1:
                raise parameters.ParameterError(
                    f"-p {name} is given {len(values)} times; that is for `seedbook sweep`"
                )
        plans.append(
            runner.prepare(
                slug,
                root=book.root,
                profile=arguments.profile,
                given={k: v[0] for k, v in given.items()},
                replicate=arguments.replicate,
                force=arguments.force,
                elsewhere=side is not None,
            )
        )
    return _report(plans, _execute(plans, not arguments.no_warm, side))


def _report(plans: list[Any], results: list[Any]) -> int:
    from . import runner

    failed = 0
    console = _console()
    for plan, result in zip(plans, results, strict=True):
        if isinstance(result, runner.RunError):
            failed += 1
            _complain(result)
            continue
        record = result.record
        console.print(
            f"\n{plan.label}: {record['wall_s']:.0f} s, seed {record['parameters']['seed']}, {result.folder}",
            markup=False,
        )
        if record["profile"] == "smoke":
            console.print("smoke profile: these verdicts mean nothing")
        elif record["profile"] not in ("quick", "full"):
            console.print(
                f"{record['profile']} parameters: the rules were justified for quick and full"
            )
        console.print(_claims_table(result.claims))
    return 1 if failed else 0


def _complain(error: Any) -> None:
    kept = f"\n  what there is of it lies in {error.folder}" if error.folder else ""
    print(f"seedbook: {error}{kept}", file=sys.stderr)


def _sweep(arguments: argparse.Namespace) -> int:
    import itertools

    from . import catalog, parameters, runner

    book, side = catalog.load(), _side(arguments)
    book.chapter(arguments.slug)
    if arguments.seeds < 1:
        raise parameters.ParameterError(f"--seeds {arguments.seeds}: must be 1 or more")
    given = _given(arguments.slug, arguments.p, arguments.salmon)
    if "seed" in given:
        raise parameters.ParameterError("a sweep derives its seeds; use --seeds N")
    settings = [
        dict(zip(given, values, strict=True)) for values in itertools.product(*given.values())
    ]
    plans, rows = [], []
    for setting in settings:
        for i in range(arguments.first, arguments.first + arguments.seeds):
            plans.append(
                runner.prepare(
                    arguments.slug,
                    root=book.root,
                    profile=arguments.profile,
                    given=setting,
                    replicate=i,
                    elsewhere=side is not None,
                )
            )
            rows.append((setting, i))
    results = _execute(plans, not arguments.no_warm, side)
    failed = [r for r in results if isinstance(r, runner.RunError)]
    for error in failed:
        _complain(error)
    done = [
        (s, i, r)
        for (s, i), r in zip(rows, results, strict=True)
        if not isinstance(r, runner.RunError)
    ]
    varied = [k for k, v in given.items() if len(v) > 1]
    _print_sweep(varied, settings, done)
    if arguments.out:
        _write_sweep(arguments.out, list(given), done)
    return 1 if failed else 0


def _print_sweep(varied: list[str], settings: list[dict[str, Any]], done: list[Any]) -> None:
    from collections import Counter

    table = _table(*varied, "claim", "verdicts over seeds", "estimate: lowest, median, highest")
    for setting in settings:
        mine = [r.claims for s, _, r in done if s == setting]
        if not mine:
            continue
        for c in mine[0]["claims"]:
            counts = Counter(m["verdicts"][c["id"]]["verdict"] for m in mine)
            values = sorted(
                v
                for m in mine
                if (v := (m["measures"].get(c["measure"]) or {}).get("estimate")) is not None
            )
            spread = (
                f"{values[0]:.4g}, {values[len(values) // 2]:.4g}, {values[-1]:.4g}"
                if values
                else "–"
            )
            verdicts = ", ".join(f"{v} {n} of {len(mine)}" for v, n in counts.most_common())
            table.add_row(*(str(setting[k]) for k in varied), c["id"], verdicts, spread)
    _console().print(table)


def _write_sweep(path: Path, names: list[str], done: list[Any]) -> None:
    import csv

    with open(path, "w", newline="", encoding="utf-8") as f:
        out = csv.writer(f)
        out.writerow(
            [*names, "replicate", "seed", "claim", "verdict", "measure", "estimate", "low", "high"]
        )
        for setting, i, run in done:
            claims, seed = run.claims, run.record["parameters"]["seed"]
            for c in claims["claims"]:
                m = claims["measures"].get(c["measure"]) or {}
                verdict = claims["verdicts"][c["id"]]["verdict"]
                out.writerow(
                    [*(setting[n] for n in names), i, seed, c["id"], verdict, c["measure"]]
                    + [m.get(k) for k in ("estimate", "low", "high")]
                )


def _audit(arguments: argparse.Namespace) -> int:
    from . import audit, catalog, executor, parameters, runner, store

    book, side = catalog.load(), _side(arguments)
    wanted = dict(salmon=arguments.salmons, fresh=arguments.seeds, power=arguments.controls)
    if min(wanted.values()) < 0 or not any(wanted.values()):
        raise parameters.ParameterError(
            "--salmons, --seeds and --controls must be 0 or more, and one of them more than 0"
        )
    entries = [book.chapter(slug) for slug in _slugs(book, arguments)]
    todo = [  # what cannot be done is refused before anything runs
        (entry, audit.missing(wanted, entry, arguments.profile, arguments.first))
        for entry in entries
    ]
    failed = 0
    with Tally(sum(len(tasks) for _, tasks in todo)) as progress:
        for entry, tasks in todo:
            plans = [
                runner.prepare(
                    entry.slug,
                    root=book.root,
                    profile=setting.profile,
                    given=dict(setting.given),
                    replicate=i,
                    elsewhere=side is not None,
                )
                for setting, i in tasks
            ]
            results = executor.execute(plans, progress, warm=not arguments.no_warm, side=side)
            lines, made = [], {}  # by folder, since two settings may need one and the same run
            for (setting, _), plan, result in zip(tasks, plans, results, strict=True):
                if isinstance(result, runner.RunError):
                    failed += 1
                    _complain(result)
                    continue
                lines.append(audit.line(setting, result))
                if plan.done is None:
                    made[result.folder] = result
            if lines:
                audit.keep(entry, lines)
            for run in made.values():  # the lines stand for them
                store.remove(run)
    _print_audit(entries)
    return 1 if failed else 0


def _print_audit(entries: list[Any]) -> None:
    from . import audit

    table = _table(
        "chapter", "claim", *(f"supported of {k}" for k in audit.KINDS), "fresh verdicts"
    )
    for entry in entries:
        lines = audit.current(entry)
        ids = dict.fromkeys(c for x in lines for c in x["claims"])
        for claim in ids:
            found = {
                k: [
                    x["claims"][claim]["verdict"]
                    for x in lines
                    if x["kind"] == k and claim in x["claims"]
                ]
                for k in audit.KINDS
            }
            shares = [f"{v.count('supported')} of {len(v)}" if v else "" for v in found.values()]
            words = ", ".join(f"{w} {found['fresh'].count(w)}" for w in sorted(set(found["fresh"])))
            table.add_row(entry.slug, claim, *shares, words)
    _console().print(table)


def _export(arguments: argparse.Namespace) -> int:
    import itertools

    from . import catalog, runner, slurm

    book = catalog.load()
    slugs = _slugs(book, arguments)
    first, many = arguments.first, arguments.seeds
    replicates = range(first, first + many) if many else [0]
    texts: dict[str, list[str]] = {}
    for text in arguments.p:
        texts.setdefault(text.partition("=")[0].strip(), []).append(text)
    plans, commands, there = [], [], 0
    for slug in slugs:
        book.chapter(slug)
        for setting in itertools.product(*texts.values()):
            given = _given(slug, list(setting), arguments.salmon)
            for i in replicates:
                plan = runner.prepare(
                    slug,
                    root=book.root,
                    profile=arguments.profile,
                    given={k: v[0] for k, v in given.items()},
                    replicate=i,
                    elsewhere=True,
                )
                if plan.done:
                    there += 1
                    continue
                plans.append(plan)
                words = ["run", slug, "--profile", arguments.profile]
                words += [w for text in setting for w in ("-p", text)]
                words += ["--salmon"] if arguments.salmon else []
                commands.append(words + (["--replicate", str(i)] if i else []))
    kept = f"; {there} are there already" if there else ""
    if not plans:
        print(f"nothing to do{kept}")
        return 0
    for path in slurm.write(plans, commands, arguments.out, arguments.at_most):
        print(f"wrote {path}; submit it with `sbatch {path}`")
    print(f"{len(plans)} to run{kept}")
    return 0


# -- comparing ------------------------------------------------------------------------------------


def _find_run(text: str):
    from . import catalog, editions, parameters, store

    book = catalog.load()
    if text.startswith("edition:"):
        slug, _, profile = text.removeprefix("edition:").partition("/")
        edition = editions.get(book.chapter(slug), book.root, profile or "quick")
        if edition is None:
            raise parameters.ParameterError(f"{slug} has no {profile or 'quick'} edition")
        return store.Run(edition.folder)
    if (Path(text) / "run.json").is_file():
        return store.Run(Path(text))
    slug, _, name = text.partition("/")
    book.chapter(slug)
    runs = [r for r in store.runs(book.root, slug) if r.folder.name.startswith(name)]
    if not runs:
        raise parameters.ParameterError(f"no run {text!r}; `seedbook run {slug}` makes one")
    return runs[0]


def _compare(arguments: argparse.Namespace) -> int:
    from .store import device

    a = _find_run(arguments.a)
    b = _find_run(arguments.b or f"edition:{a.record['slug']}")
    if a.record["slug"] != b.record["slug"]:
        print("seedbook: two runs of different chapters cannot be compared", file=sys.stderr)
        return 2
    console = _console()
    for label, run in (("A", a), ("B", b)):
        r = run.record
        console.print(
            f"{label}: {r['slug']} {r['run']}, {r['profile']}, seed {r['parameters']['seed']}, "
            f"{r['wall_s']:.0f} s on {device(r)}",
            markup=False,
        )
    pa, pb = a.record["parameters"], b.record["parameters"]
    for name in dict.fromkeys([*pa, *pb]):
        if pa.get(name) != pb.get(name):
            console.print(f"  {name}: {pa.get(name)!r} in A, {pb.get(name)!r} in B", markup=False)
    ca, cb = a.claims, b.claims
    table = _table("id", "measure", "A", "B", "verdict A", "verdict B", "")
    for c in ca["claims"]:
        va = ca["verdicts"][c["id"]]["verdict"]
        vb = cb["verdicts"].get(c["id"], {"verdict": "–"})["verdict"]
        table.add_row(
            c["id"],
            c["measure"],
            _interval(ca["measures"].get(c["measure"])),
            _interval(cb["measures"].get(c["measure"])),
            va,
            vb,
            "" if va == vb else "differs",
        )
    console.print(table)
    for figure in sorted(p.name for p in (a.folder / "figures").glob("fig-*")):
        other = b.folder / "figures" / figure
        if other.is_file():
            same = (a.folder / "figures" / figure).read_bytes() == other.read_bytes()
            paths = "the same drawing" if same else f"{a.folder / 'figures' / figure}  |  {other}"
            console.print(f"{figure}: {paths}", markup=False)
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    import tempfile

    from . import editions, runner

    book, entries = _chosen(arguments.slug)
    targets = [
        (entry, edition)
        for entry in entries
        if (edition := editions.get(entry, book.root, arguments.profile)) is not None
    ]
    with tempfile.TemporaryDirectory(prefix="seedbook-verify-") as shelf:
        plans = [
            runner.prepare(
                entry.slug,
                root=book.root,
                profile=arguments.profile,
                given=edition.run["parameters"],
                force=True,
                shelf=Path(shelf),
            )
            for entry, edition in targets
        ]
        results = [
            r if isinstance(r, runner.RunError) else r.claims for r in _execute(plans, warm=True)
        ]
    bad = 0
    for (entry, edition), result in zip(targets, results, strict=True):
        if isinstance(result, runner.RunError):
            print(f"{entry.slug}: {result}")
            bad += 1
            continue
        differences = held_against(edition.claims, result, entry.tolerance)
        bad += bool(differences)
        print(f"{entry.slug}: {'every number holds' if not differences else 'differs'}")
        for line in differences:
            print(f"  {line}")
    return 1 if bad else 0


def held_against(old: dict[str, Any], new: dict[str, Any], tolerance: dict[str, Any]) -> list[str]:
    """Numbers and verdicts of a re-execution that leave their declared tolerance.

    Parameters
    ----------
    old, new : dict
        Two claims records.
    tolerance : dict
        ``default`` and measures by name: largest allowed absolute difference.
    """
    out = []
    for name, m in old["measures"].items():
        allowed = float(tolerance.get(name, tolerance.get("default", 0)))
        other = new["measures"].get(name, {})
        for part in ("estimate", "low", "high"):
            x, y = m[part], other.get(part)
            if x is None or y is None:
                if x is not y:
                    out.append(f"{name} {part}: {x} before, {y} now")
            elif abs(x - y) > allowed:
                out.append(
                    f"{name} {part}: {x:.6g} before, {y:.6g} now, allowed difference {allowed:g}"
                )
    for claim, v in old["verdicts"].items():
        now = new["verdicts"].get(claim, {}).get("verdict")
        if now != v["verdict"]:
            out.append(f"claim {claim}: {v['verdict']} before, {now} now")
    return out


# -- publishing -----------------------------------------------------------------------------------


def _publish(arguments: argparse.Namespace) -> int:
    from . import catalog, editions, runner

    book = catalog.load()
    plans = [editions.plan(slug, book.root, arguments.profile) for slug in arguments.slug]
    results = _execute(plans, True)
    bad = 0
    for plan, result in zip(plans, results, strict=True):
        if isinstance(result, runner.RunError):
            print(f"seedbook: {result}", file=sys.stderr)
            bad += 1
            continue
        edition = editions.publish(result, book.root)
        print(
            f"{plan.slug}: published {edition.run['run']} as {edition.folder.relative_to(book.root)}"
        )
        if lacking := edition.run["missing"]:
            said = f"it was made without {', '.join(lacking)}, which this machine does not have"
            print(f"seedbook: {plan.slug}: {said}", file=sys.stderr)
    return 1 if bad else 0


def _book(arguments: argparse.Namespace) -> int:
    from . import book as pages
    from . import catalog, editions, runner

    shelf = catalog.load()
    failed = []
    if not arguments.no_run:
        stale = [c for c in shelf.chapters if c.exists and editions.stale(c, shelf.root, "quick")]
        plans = [runner.prepare(c.slug, root=shelf.root) for c in stale]
        failed = [
            r for r in _execute(plans, not arguments.no_warm) if isinstance(r, runner.RunError)
        ]
        for error in failed:
            print(f"seedbook: {error}", file=sys.stderr)
    pages.assemble(shelf.root)
    index = pages.build(shelf.root)
    problems = pages.check(index.parent.parent if index.parent.name == "book" else index.parent)
    for problem in problems:
        print(f"seedbook: {problem}", file=sys.stderr)
    print(f"The book is built. Open {index}")
    return 1 if failed or problems else 0


def _serve(arguments: argparse.Namespace) -> int:
    from . import server
    from .root import root

    folder = root()
    if not (folder / "_build" / "html" / "index.html").is_file():
        print("The book is not built yet; building it.", flush=True)
        _book(argparse.Namespace(no_run=False, no_warm=arguments.no_warm))
    try:
        return server.serve(
            folder,
            ip=arguments.ip,
            port=arguments.port,
            max_runs=arguments.max_runs,
            max_kernels=arguments.max_kernels,
            browser=not arguments.no_browser,
            warm=not arguments.no_warm,
        )
    except OSError as error:
        print(f"seedbook: {error}", file=sys.stderr)
        return 1


def _new(arguments: argparse.Namespace) -> int:
    from . import catalog, scaffold

    book = catalog.load()
    path = scaffold.write(book.chapter(arguments.slug))
    print(f"wrote {path}; `seedbook check {arguments.slug}` says what it still lacks")
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    from . import doctor

    lines = doctor.examine()
    for ok, text in lines:
        print(f"{'ok  ' if ok else 'MISSING'} {text}" if not ok else f"ok      {text}")
    return 0 if all(ok for ok, _ in lines) else 1


if __name__ == "__main__":
    raise SystemExit(main())
