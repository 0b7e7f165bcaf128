"""``seedbook serve``: the built book, its figures alive, its chapters to be run again.

One `jupyter_server` extension on one loopback origin.  Of Jupyter's own services only the login is
kept: there is no file, kernel or terminal interface, and no socket; what a reader can do is below
``/seedbook/api``.  A random token opens the server and becomes a cookie; whatever changes something
needs that cookie (or the token), Jupyter's XSRF token, and an ``Origin`` that is this server.
A second token is for *guests*, who read the pages and bet in rooms, and run nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import ipaddress
import json
import os
import re
import secrets
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from http.client import responses
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jupyter_server.auth.identity import IdentityProvider, User
from jupyter_server.auth.login import LoginFormHandler
from jupyter_server.base.handlers import APIHandler, AuthenticatedFileHandler, JupyterHandler
from jupyter_server.extension.application import ExtensionApp
from jupyter_server.serverapp import ServerApp
from tornado import web
from tornado.iostream import StreamClosedError
from traitlets import Unicode
from traitlets.config import Config

from . import (
    audit,
    catalog,
    chapter,
    editions,
    executor,
    jobs,
    live,
    parameters,
    rooms,
    runner,
    store,
)
from .root import CATALOG
from .root import root as find_root

PORT = 8765
MAX_BODY, MAX_SOURCE, MAX_LISTED = 256 * 1024, 100_000, 100
# What the site consists of; everything else of this server is the API, login and Jupyter's icons.
SITE = r"/((?:book|_static|_images|_sources)/.*|[a-z]+\.html|searchindex\.js|objects\.inv)"
DECK = r"/(slides/[a-z][a-z0-9_]*\.html)"
SLUG, NAME = r"([a-z][a-z0-9_]*)", r"([0-9a-f]{12}-[0-9a-f]{12})"
CODE = r"([A-Za-z]{1,12})"
API = "/seedbook/api"
GUEST, GUEST_COOKIE = "guest-", "seedbook_guest"
MARK = b'<meta name="seedbook-server" content="1">'
PAGE_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
# The speaker's view shows a deck in two frames, of this server and no other.
SLIDES_POLICY = PAGE_POLICY.replace("frame-ancestors 'none'", "frame-ancestors 'self'")
DRAWING_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
# What the view parent imports besides the chapters' own: the readers of frames, the drawing backends.
VIEW_MODULES = (
    "pandas",
    "pyarrow.parquet",
    "matplotlib.pyplot",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
    "matplotlib_inline.backend_inline",
)
LOGIN = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Seedbook</title>
<meta name="viewport" content="width=device-width"><body style="font:18px/1.5 serif;margin:3rem auto;
max-width:34rem;padding:0 1rem"><h1>Seedbook</h1><p>{message} Open the address that
<code>seedbook serve</code> has printed, or give its token here.</p><form method="post">
<input type="hidden" name="_xsrf" value="{xsrf}"><label>Token <input type="password" name="password"
autocomplete="off" autofocus></label> <button>Open the book</button></form></body></html>"""


class Refused(web.HTTPError):
    """A request that is answered with a status and one sentence."""

    def __init__(self, status: int, sentence: str):
        super().__init__(status)
        self.sentence = sentence


def _sentence(status_code: int, kwargs: dict[str, Any]) -> str:
    """What a handler has to say about a failure."""
    error = (kwargs.get("exc_info") or (None, None))[1]
    return getattr(error, "sentence", None) or responses.get(status_code, "error")


# -- who may ask ----------------------------------------------------------------------------------


class TokenOnly(IdentityProvider):
    """Login by one of two tokens; a token in a request earns no exemption from any check."""

    guest_token = Unicode(config=True)

    def is_token_authenticated(self, handler: web.RequestHandler) -> bool:
        return False

    def should_check_origin(self, handler: web.RequestHandler) -> bool:
        return True

    def process_login_form(self, handler: web.RequestHandler) -> User | None:
        return self._user_of(handler.get_argument("password", ""), handler)

    async def get_user_token(self, handler: web.RequestHandler) -> User | None:
        user = self._user_of(self.get_token(handler), handler)
        if user is None:
            return None
        before = self.get_user_cookie(handler)
        assert before is None or isinstance(before, User)
        # a cookie stays whose it is, except that a guest may become an owner
        return before if before and (is_guest(user) or not is_guest(before)) else user

    def _user_of(self, token: str | None, handler: web.RequestHandler) -> User | None:
        if not token:
            return None
        if hmac.compare_digest(token.encode(), str(self.token).encode()):
            return self.generate_anonymous_user(handler)
        if hmac.compare_digest(token.encode(), self.guest_token.encode()):
            return User(GUEST + secrets.token_hex(16))
        return None


def is_guest(user: User) -> bool:
    """Whether someone came with the guests' token; owners' names are hexadecimal."""
    return user.username.startswith(GUEST)


class Guarded(JupyterHandler):
    """Checks that every handler of this server makes."""

    for_guests = False

    async def prepare(self) -> None:  # type: ignore[override]
        if not self.check_origin():
            self.current_user = self._jupyter_current_user = None
            raise Refused(403, "a request of another origin")
        await super().prepare()  # type: ignore[misc]
        if self.current_user and is_guest(self.current_user) and not self.for_guests:
            raise Refused(403, "guests read and bet; running is for who has the owner's address")

    def check_host(self) -> bool:
        """Whether the Host header is an address or name of this server (DNS rebinding)."""
        name = re.sub(r":\d+$", "", self.request.host or "").strip("[]").lower()
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return name in self.settings["seedbook_hosts"]
        return address.is_loopback or self.settings["seedbook_open"]

    def check_origin(self, origin_to_satisfy_tornado: str = "") -> bool:
        """Whether the request comes from a page of this server; only reading may leave it unsaid."""
        origin = self.request.headers.get("Origin")
        if origin is None:
            return self.request.method in ("GET", "HEAD")
        return origin.lower() == f"{self.request.protocol}://{self.request.host}".lower()

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """One line; Jupyter's page would load what this server does not serve."""
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{status_code}: {_sentence(status_code, kwargs)}\n")


class Login(Guarded, LoginFormHandler):
    """The form for the token."""

    for_guests = True
    content_security_policy = PAGE_POLICY  # type: ignore[assignment]

    def _render(self, message: dict[str, str] | None = None) -> None:
        text = "That was not the token." if message else "This server asks for a token."
        self.write(LOGIN.format(message=text, xsrf=self.xsrf_token.decode()))


class Page(Guarded, AuthenticatedFileHandler):
    """A file of the built book; pages are marked, so that their script knows of the server."""

    for_guests = True
    content_security_policy = PAGE_POLICY  # type: ignore[assignment]

    @web.authenticated
    async def get(self, path: str, include_body: bool = True) -> None:  # type: ignore[override]
        if self.get_query_argument("token", None) is not None:  # it is a cookie by now
            rest = {
                k: [v.decode("utf-8", "replace") for v in vs]
                for k, vs in self.request.query_arguments.items()
                if k != "token"
            }
            query = f"?{urlencode(rest, doseq=True)}" if rest else ""
            self.redirect(quote(f"/{path}") + query)
            return
        self.xsrf_token  # noqa: B018  (sets the cookie that page scripts echo)
        if is_guest(self.current_user):  # said to the scripts, which then offer what guests may do
            self.set_cookie(GUEST_COOKIE, "1", samesite="Lax")
        elif self.get_cookie(GUEST_COOKIE):
            self.clear_cookie(GUEST_COOKIE)
        try:
            await web.StaticFileHandler.get(self, path, include_body)
        except (ValueError, OSError):  # no such path can exist
            raise web.HTTPError(404) from None

    @web.authenticated
    async def head(self, path: str) -> None:  # type: ignore[override]
        await self.get(path, include_body=False)  # type: ignore[misc]

    @classmethod
    def get_content(cls, abspath: str, start: int | None = None, end: int | None = None) -> Any:
        if not abspath.endswith(".html"):
            return super().get_content(abspath, start, end)
        return cls._marked(abspath)[start:end]

    def get_content_size(self) -> int:
        assert self.absolute_path is not None
        if self.absolute_path.endswith(".html"):
            return len(self._marked(self.absolute_path))
        return super().get_content_size()

    @staticmethod
    def _marked(path: str) -> bytes:
        return Path(path).read_bytes().replace(b"<head>", b"<head>" + MARK, 1)


class Deck(Page):
    """The slides of a chapter."""

    content_security_policy = SLIDES_POLICY  # type: ignore[assignment]


class Api(Guarded, APIHandler):
    """Base of the API: JSON in and out, one sentence for whatever is refused."""

    @property
    def desk(self) -> Desk:
        return self.settings["seedbook_desk"]

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.finish(json.dumps({"message": _sentence(status_code, kwargs)}))

    def reply(self, value: Any, status: int = 200) -> None:
        self.set_status(status)
        self.set_header("Cache-Control", "no-store")
        self.finish(json.dumps(value))

    def body(self, **fields: tuple[type, Any]) -> dict[str, Any]:
        """The JSON object of the request: each field of its type, or its default; none else."""
        try:
            given = json.loads(self.request.body.decode("utf-8"))
        except (ValueError, RecursionError):
            raise Refused(400, "the body must be JSON") from None
        if not isinstance(given, dict):
            raise Refused(422, "the body must be a JSON object")
        if unknown := sorted(set(given) - set(fields)):
            raise Refused(422, f"unknown field {unknown[0][:60]!r}; there are {', '.join(fields)}")
        out = {}
        for name, (kind, default) in fields.items():
            value = given.get(name, default)
            if type(value) is not kind:
                raise Refused(422, f"{name} must be a JSON {_JSON[kind]}")
            out[name] = value
        return out


_JSON = {str: "string", int: "integer", dict: "object", bool: "boolean"}


# -- the API --------------------------------------------------------------------------------------


class Chapters(Api):
    """What a chapter's page needs: parameters, profiles, and the runs that are published."""

    @web.authenticated
    async def get(self, slug: str) -> None:
        self.reply(await asyncio.to_thread(self.desk.chapter, slug))
        await asyncio.to_thread(runner.get_ready)  # its reader may soon ask for a run


class View(Api):
    """One figure, redrawn from stored frames by the source that was sent."""

    @web.authenticated
    async def post(self) -> None:
        given = self.body(
            tab=(str, None), slug=(str, None), run=(str, None), cell=(str, None), source=(str, None)
        )
        if not re.fullmatch(r"[0-9a-f]{16,64}", given["tab"]):
            raise Refused(422, "tab must be 16 to 64 hexadecimal digits")
        if len(given["source"]) > MAX_SOURCE or not _encodable(given["source"]):
            raise Refused(422, f"source must be text of at most {MAX_SOURCE} characters")
        what = await asyncio.to_thread(self.desk.plan_view, given)
        try:
            self.reply(await self.desk.views.draw(given["tab"], what))
        except live.Busy as error:
            raise Refused(429, str(error)) from None
        except live.ViewError as error:
            raise Refused(409, str(error)) from None


class Tab(Api):
    """The kernel of one open page."""

    @web.authenticated
    async def delete(self, tab: str) -> None:
        if not await self.desk.views.close(tab):
            raise Refused(404, "this page has no kernel")
        self.reply({})


class Runs(Api):
    """Runs of a chapter, and asking for one."""

    @web.authenticated
    async def get(self) -> None:
        slug = self.get_query_argument("slug", "")
        self.reply(await asyncio.to_thread(self.desk.listed, slug))

    @web.authenticated
    async def post(self) -> None:
        given = self.body(
            slug=(str, None), profile=(str, "quick"), parameters=(dict, {}), replicate=(int, 0)
        )
        plan = await asyncio.to_thread(self.desk.plan_run, given)
        if plan.done:
            self.reply({"run": plan.keys.run, "state": "done"})
            return
        try:
            task = self.desk.jobs.submit(plan)
        except jobs.Full as error:
            raise Refused(429, str(error)) from None
        self.reply({"run": task.name, "state": task.state}, 202)


class Run(Api):
    """One run: what is known of it; stop it, or delete it."""

    @web.authenticated
    async def get(self, slug: str, name: str) -> None:
        self.reply(await asyncio.to_thread(self.desk.run, slug, name))

    @web.authenticated
    async def delete(self, slug: str, name: str) -> None:
        task = self.desk.task(slug, name)
        if task and task.state in ("queued", "running"):
            self.desk.jobs.cancel(task)
            self.reply({"state": "stopping"}, 202)
            return
        await asyncio.to_thread(self.desk.delete, slug, name)
        self.reply({"state": "deleted"})


class Events(Api):
    """News of a run, as server-sent events; ``Last-Event-ID`` resumes."""

    @web.authenticated
    async def get(self, slug: str, name: str) -> None:
        task = self.desk.task(slug, name)
        if task is None:
            await asyncio.to_thread(self.desk.find, slug, name)  # 404 if there is none
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-store")
        epoch, _, number = self.request.headers.get("Last-Event-ID", "").partition("-")
        last = int(number) if epoch == self.desk.epoch and re.fullmatch(r"\d{1,9}", number) else 0
        try:
            if task is None:
                self.write('data: {"event": "done", "state": "done"}\n\n')
                await self.flush()
                return
            async for item in task.follow(last):
                if item is None:
                    self.write(": still here\n\n")
                else:
                    self.write(f"id: {self.desk.epoch}-{item[0]}\ndata: {json.dumps(item[1])}\n\n")
                await self.flush()
        except StreamClosedError:
            pass

    def finish(self, *args: Any, **kwargs: Any) -> Any:
        return super().finish(*args, set_content_type="text/event-stream", **kwargs)


class Figure(Api):
    """A drawing of a run or an edition."""

    @property
    def content_security_policy(self) -> str:
        return DRAWING_POLICY

    @web.authenticated
    async def get(self, slug: str, name: str, figure: str) -> None:
        run = await asyncio.to_thread(self.desk.find, slug, name)
        for mime, ending in (("image/svg+xml", "svg"), ("image/png", "png")):
            path = run.folder / "figures" / f"{figure}.{ending}"
            if path.is_file():
                self.set_header("Cache-Control", "no-cache")
                self.finish(path.read_bytes(), set_content_type=mime)
                return
        raise Refused(404, f"the run has no figure {figure}")


class Notebook(Api):
    """A run as an executed notebook, with its parameters in a cell of their own."""

    @web.authenticated
    async def get(self, slug: str, name: str) -> None:
        notebook = await asyncio.to_thread(self.desk.export, slug, name)
        self.set_attachment_header(f"{slug}-{name}.ipynb")
        self.finish(
            json.dumps(notebook, indent=1, ensure_ascii=False),
            set_content_type="application/x-ipynb+json",
        )


class InRooms(Api):
    """What the handlers of rooms share; see `seedbook.press.rooms`."""

    async def prepare(self) -> None:  # type: ignore[override]
        await super().prepare()
        if len(self.request.body) > rooms.MAX_BODY:
            raise Refused(413, f"the body must be at most {rooms.MAX_BODY} bytes")

    def room(self, code: str) -> rooms.Room:
        with _told():
            return self.desk.rooms.find(code)


class Rooms(InRooms):
    """Opening a room for a class that bets."""

    @web.authenticated
    async def post(self) -> None:
        slug = self.body(chapter=(str, None))["chapter"]
        site = self.desk.root / "_build" / "html"
        with _told():
            run, verdicts = await asyncio.to_thread(rooms.verdicts, site, slug)
            room = self.desk.rooms.open(slug, run, verdicts)
        self.reply(self.desk.rooms.tell(room) | {"key": room.key}, 201)


class Room(InRooms):
    """One room: what everybody in it may know."""

    for_guests = True

    @web.authenticated
    async def get(self, code: str) -> None:
        self.reply(self.desk.rooms.tell(self.room(code)))


class RoomBets(InRooms):
    """The bets of one member."""

    for_guests = True

    @web.authenticated
    async def post(self, code: str) -> None:
        given = self.body(member=(str, None), name=(str, ""), bets=(dict, None), anew=(bool, False))
        room = self.room(code)
        with _told():
            room.bet(**given)
        self.reply(self.desk.rooms.tell(room))


class RoomReveal(InRooms):
    """The reveal, by whoever opened the room."""

    @web.authenticated
    async def post(self, code: str) -> None:
        given = self.body(key=(str, None))
        room = self.room(code)
        with _told():
            room.reveal(given["key"])
        self.reply(self.desk.rooms.tell(room))


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What a room refuses, as an answer."""
    try:
        yield
    except rooms.RoomError as error:
        raise Refused(error.status, error.sentence) from None


HANDLERS = [
    (SITE, Page),
    (DECK, Deck),
    (f"{API}/chapters/{SLUG}", Chapters),
    (f"{API}/view", View),
    (f"{API}/view/([0-9a-f]{{16,64}})", Tab),
    (f"{API}/runs", Runs),
    (f"{API}/runs/{SLUG}/{NAME}", Run),
    (f"{API}/runs/{SLUG}/{NAME}/events", Events),
    (f"{API}/runs/{SLUG}/{NAME}/figures/(fig-[a-z0-9_-]+)", Figure),
    (f"{API}/runs/{SLUG}/{NAME}/notebook", Notebook),
    (f"{API}/rooms", Rooms),
    (f"{API}/rooms/{CODE}", Room),
    (f"{API}/rooms/{CODE}/bets", RoomBets),
    (f"{API}/rooms/{CODE}/reveal", RoomReveal),
]


class Desk:
    """What the handlers ask: chapters, runs and kernels of one book.

    Methods are called on other threads than the event loop's, but for `task`.
    """

    def __init__(self, root: Path, views: live.Views, queue: jobs.Jobs):
        self.root, self.views, self.jobs = root, views, queue
        self.rooms = rooms.Rooms()
        self.epoch = f"{time.time_ns():x}"
        self._catalog: tuple[int, catalog.Catalog] | None = None

    def contents(self) -> catalog.Catalog:
        """The catalogue, read again when its file has changed."""
        changed = (self.root / CATALOG).stat().st_mtime_ns
        if self._catalog is None or self._catalog[0] != changed:
            self._catalog = changed, catalog.load(self.root)
        return self._catalog[1]

    def entry(self, slug: str) -> catalog.Chapter:
        """A chapter that has a notebook."""
        for entry in self.contents().chapters:
            if entry.slug == slug and entry.exists:
                return entry
        raise Refused(404, f"there is no chapter {slug[:60]!r}")

    def task(self, slug: str, name: str) -> jobs.Task | None:
        """A run that was asked for since the server started."""
        task = self.jobs.tasks.get(name)
        return task if task and task.slug == slug else None

    def find(self, slug: str, name: str) -> store.Run:
        """A finished run or an edition."""
        entry = self.entry(slug)
        run = store.find(self.root, slug, name)
        if run:
            return run
        for profile in editions.PROFILES:
            folder = editions.folder(self.root, slug, profile)
            if (folder / "run.json").is_file() and store.Run(folder).record["run"] == name:
                return store.Run(folder)
        raise Refused(404, f"{entry.slug} has no run {name}; perhaps it was deleted")

    def chapter(self, slug: str) -> dict[str, Any]:
        """See `Chapters`."""
        from . import book

        entry = self.entry(slug)
        try:
            source = chapter.read(slug, self.root)
            shown = editions.shown(entry, self.root)
            declared = source.parameters
        except (chapter.ChapterError, parameters.ParameterError) as error:
            raise Refused(409, str(error)) from None
        published, lines = {}, audit.current(entry)
        for edition in shown:
            words = book.shown_verdicts(edition, lines)
            published[edition.profile] = {
                **self._summary(store.Run(edition.folder), words),
                "published": edition.published,
                "current": edition.current,
            }
        return {
            "slug": slug,
            "parameters": [_parameter(p) for p in declared],
            "profiles": [
                {
                    "name": name,
                    "why": entry.profiles.get(name, {}).get("why", "what the notebook sets"),
                    "values": runner.profile_values(source, entry, name),
                }
                for name in ("quick", *(n for n in entry.profiles if n != "quick"))
            ],
            "shown": shown[0].profile if shown else None,
            "published": published,
        }

    def plan_view(self, given: dict[str, str]) -> live.Draw:
        """A draw, resolved."""
        if not re.fullmatch(NAME, given["run"]):
            raise Refused(422, "run must be the name of a run")
        run = self.find(given["slug"], given["run"])
        try:
            return live.plan(self.root, run, given["slug"], given["cell"], given["source"])
        except (live.ViewError, chapter.ChapterError, store.StoreError) as error:
            raise Refused(422, str(error)) from None

    def plan_run(self, given: dict[str, Any]) -> runner.Plan:
        """A run, resolved; nothing has started."""
        self.entry(given["slug"])
        try:
            return runner.prepare(
                given["slug"],
                root=self.root,
                profile=given["profile"],
                given=given["parameters"],
                replicate=given["replicate"],
            )
        except (parameters.ParameterError, chapter.ChapterError, catalog.CatalogError) as error:
            raise Refused(422, str(error)) from None

    def listed(self, slug: str) -> list[dict[str, Any]]:
        """Runs of a chapter in the store, newest first, after those asked for and not finished."""
        entry = self.entry(slug)
        defaults = runner.profile_values(chapter.read(slug, self.root), entry, "quick")
        out: list[dict[str, Any]] = [
            {
                "run": t.name,
                "state": t.state,
                "message": t.sentence,
                "profile": t.plan.profile,
                "replicate": t.plan.replicate,
                "changed": _changed(t.plan.values, t.plan.seed_asked, defaults),
            }
            for t in reversed(list(self.jobs.tasks.values()))
            if t.slug == slug and t.state != "done"
        ]
        for run in store.runs(self.root, slug)[:MAX_LISTED]:
            record, claims = run.record, run.claims
            out.append(
                {
                    "run": record["run"],
                    "state": "done",
                    "profile": record["profile"],
                    "replicate": record["replicate"],
                    "started": record["started"],
                    "wall_s": record["wall_s"],
                    "changed": _changed(record["parameters"], record["seed_asked"], defaults),
                    "verdicts": [claims["verdicts"][c["id"]]["verdict"] for c in claims["claims"]],
                }
            )
        return out

    def run(self, slug: str, name: str) -> dict[str, Any]:
        """One run under way, finished, or failed since the server started."""
        task = self.task(slug, name)
        if task and task.state != "done":
            return {
                "run": name,
                "slug": slug,
                "state": task.state,
                "message": task.sentence,
                "profile": task.plan.profile,
                "parameters": task.plan.values,
                "seed_asked": task.plan.seed_asked,
            }
        return self._summary(self.find(slug, name))

    def delete(self, slug: str, name: str) -> None:
        """Forget a failed run, or remove one from the store."""
        task = self.jobs.tasks.pop(name, None)
        run = store.find(self.root, slug, name)
        if run is None:
            if task is None:
                self.find(slug, name)
                raise Refused(409, "this is an edition; it belongs to the book, not to the store")
            return
        for edition in editions.shown(self.entry(slug), self.root):
            if edition.folder == run.folder:
                raise Refused(409, "the page shows this run; publish one before deleting it")
        store.remove(run)

    def export(self, slug: str, name: str) -> dict[str, Any]:
        """See `Notebook`."""
        run = self.find(slug, name)
        record = run.record
        notebook = store.read_json(run.folder / "notebook.ipynb")
        lines = [f"{k} = {v!r}" for k, v in record["parameters"].items()]
        cell: dict[str, Any] = {
            "cell_type": "code",
            "id": "injected-parameters",
            "metadata": {"tags": ["injected-parameters"]},
            "execution_count": None,
            "outputs": [],
            "source": "\n".join([f"# Parameters of run {name}", *lines]),
        }
        place = [c["id"] for c in notebook["cells"]].index("parameters")
        notebook["cells"].insert(place + 1, cell)
        notebook["metadata"]["seedbook"] = {
            k: record[k] for k in ("slug", "run", "profile", "seed_asked", "commit", "versions")
        }
        return notebook

    def _summary(self, run: store.Run, words: dict[str, str] | None = None) -> dict[str, Any]:
        """A finished run as the page compares it; `words` are the verdicts as the book says them."""
        from . import render

        record, claims = run.record, run.claims
        figures = {
            path.stem: record["files"].get(f"figures/{path.name}", "")
            for path in sorted((run.folder / "figures").glob("fig-*"))
        }
        return {
            "run": record["run"],
            "slug": record["slug"],
            "state": "done",
            "profile": record["profile"],
            "replicate": record["replicate"],
            "parameters": record["parameters"],
            "seed_asked": record["seed_asked"],
            "started": record["started"],
            "wall_s": record["wall_s"],
            "figures": figures,
            "claims": [
                {
                    "id": c["id"],
                    "sentence": c["sentence"],
                    "paper": c["paper"],
                    "ours": render.measure_text(claims["measures"].get(c["measure"])),
                    "verdict": (words or {}).get(c["id"], claims["verdicts"][c["id"]]["verdict"]),
                    "because": claims["verdicts"][c["id"]]["because"],
                }
                for c in claims["claims"]
            ],
        }


def _parameter(p: parameters.Parameter) -> dict[str, Any]:
    names = ("name", "type", "scalar", "default", "optional", "many", "group", "help", "range")
    bounds = ("low", "high", "low_open", "high_open")
    return {n: getattr(p, n) for n in names + bounds} | {"choices": list(p.choices)}


def _changed(
    values: dict[str, Any], seed_asked: int | None, defaults: dict[str, Any]
) -> dict[str, Any]:
    """Parameters that differ from the notebook's; the seed only if it was asked for."""
    out = {k: v for k, v in values.items() if k != "seed" and v != defaults.get(k)}
    return out | ({"seed": seed_asked} if seed_asked is not None else {})


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return "\0" not in text


# -- the server -----------------------------------------------------------------------------------


class Server(ServerApp):
    """Jupyter's server with its login alone, and no configuration but ours."""

    default_services = ("auth",)  # type: ignore[assignment]

    def load_config_file(self, suppress_errors: bool = True) -> None:  # type: ignore[override]
        """Take nothing from the reader's own Jupyter."""

    def migrate_config(self) -> None:
        """Write nothing there either."""


class SeedbookApp(ExtensionApp):
    """The extension."""

    name = "seedbook"
    load_other_extensions = False
    extension_url = "/book/index.html"
    serverapp_class = Server
    desk: Desk

    @classmethod
    def get_extension_package(cls) -> str:
        return __name__

    def load_config_file(self, suppress_errors: bool = True) -> None:  # type: ignore[override]
        """Take nothing from the reader's own Jupyter."""

    def initialize_handlers(self) -> None:
        html = str(self.desk.root / "_build" / "html")
        self.handlers.extend(
            (p, h, {"path": html} if issubclass(h, Page) else {}) for p, h in HANDLERS
        )

    def initialize_settings(self) -> None:
        assert self.serverapp is not None
        ip = self.serverapp.ip
        away = not _loopback(ip)
        names = {"localhost"}
        if away:
            names |= {ip.lower(), socket.gethostname().lower(), socket.getfqdn().lower()}
        self.settings.update(seedbook_desk=self.desk, seedbook_hosts=names, seedbook_open=away)

    async def _start_jupyter_server_extension(self, serverapp: ServerApp) -> None:
        self.desk.views.start()

    async def stop_extension(self) -> None:
        await self.desk.views.stop()
        await self.desk.jobs.stop()


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    return [{"module": __name__, "app": SeedbookApp}]


def serve(
    root: Path | None = None,
    *,
    ip: str = "127.0.0.1",
    port: int = PORT,
    max_runs: int = 1,
    max_kernels: int = 8,
    browser: bool = True,
    warm: bool = True,
) -> int:
    """Serve the built book until Ctrl-C or SIGTERM.

    Parameters
    ----------
    root : Path
        The book.
    ip : str
        Address to listen on; anything but loopback lets other machines in, and says so.
    port : int
        0 for a free one.
    max_runs, max_kernels : int
        Runs at the same time; kernels of open pages at the same time.
    browser : bool
        Open the book in a browser.
    warm : bool
        Fork kernels from a parent that has the slow imports done.

    Raises
    ------
    FileNotFoundError
        If the book is not built.
    OSError
        If the port is taken; one line.
    """
    root = root or find_root()
    if not (root / "_build" / "html" / "index.html").is_file():
        raise FileNotFoundError("the book is not built yet: run `seedbook book`")
    port = _free(ip, port)
    token, guest_token = secrets.token_hex(24), secrets.token_hex(8)
    modules = _view_modules(root) if warm else None
    private = Path(tempfile.mkdtemp(prefix=f"{live.FOLDER}{os.getpid()}-"))
    (private / "nothing").mkdir()
    settings = {
        "ip": ip,
        "port": port,
        "port_retries": 0,
        "open_browser": browser,
        "allow_root": True,  # in a container everyone is
        "allow_remote_access": not _loopback(ip),  # Host is checked by `Guarded` in any case
        "answer_yes": True,
        "max_body_size": MAX_BODY,
        "max_buffer_size": MAX_BODY + 65536,  # headers as well
        "root_dir": str(private / "nothing"),
        "cookie_secret": secrets.token_bytes(32),
        "identity_provider_class": TokenOnly,
        "tornado_settings": {
            "xsrf_cookie_kwargs": {"path": "/", "samesite": "Lax"},
            "terminals_enabled": False,
        },
        "log_level": "ERROR",
        "quit_button": False,
    }
    config = Config(ServerApp=settings)
    config.IdentityProvider.token = token
    config.TokenOnly.guest_token = guest_token
    config.IdentityProvider.cookie_options = {"samesite": "Lax"}
    config.IdentityProvider.login_handler_class = Login
    SeedbookApp.desk = Desk(
        root,
        live.Views(root, max_kernels, modules=modules),
        jobs.Jobs(root, max_runs, warm),
    )
    try:
        app = SeedbookApp.initialize_server(
            argv=[], config=config, runtime_dir=str(private / "runtime")
        )
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, lambda *_: app.stop(from_signal=True))
        _announce(ip, port, token, guest_token)
        app.start()
    finally:
        shutil.rmtree(private, ignore_errors=True)
    return 0


def _view_modules(root: Path) -> list[str]:
    """What the views of all chapters import; a chapter that cannot be read is left out."""
    found = set(VIEW_MODULES)
    for entry in catalog.load(root).chapters:
        if entry.exists:
            with contextlib.suppress(chapter.ChapterError, SyntaxError):
                found |= set(executor.foreign_modules([chapter.read(entry.slug, root)], views=True))
    return sorted(found)


def _announce(ip: str, port: int, token: str, guest_token: str) -> None:
    host = ip if _loopback(ip) else socket.gethostname() if ip in ("", "0.0.0.0", "::") else ip
    host = f"[{host}]" if ":" in host else host
    print(f"The book is open at\n\n    http://{host}:{port}/book/index.html?token={token}\n")
    if not _loopback(ip):
        print(
            f"--ip {ip} lets other machines in. Whoever has this address, or reads the network's\n"
            "traffic (it is not encrypted), can run any code here as you. Leave the option out,\n"
            "or reach this machine through an ssh tunnel, if that is not what you want.\n\n"
            "For a class, who may read and bet, and run nothing:\n\n"
            f"    http://{host}:{port}/book/seminar/bets.html?token={guest_token}\n"
        )
    print("Ctrl-C ends it, with all its kernels and runs.", flush=True)


def _loopback(ip: str) -> bool:
    try:
        return ipaddress.ip_address(ip).is_loopback
    except ValueError:
        return ip == "localhost"


def _free(ip: str, port: int) -> int:
    """The port, or a free one for 0; OSError in one line if it is taken."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ip, port))
        except OSError as error:
            raise OSError(
                f"cannot listen on {ip}, port {port}: {error.strerror}; try --port 0"
            ) from None
        return probe.getsockname()[1]
