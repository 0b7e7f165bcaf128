"""The reader's server over HTTP: what it does, and all that it must not do."""

from __future__ import annotations

import asyncio
import http.client
import json
import shutil
import threading
import time
import uuid

import nbformat
import psutil
import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from seedbook.press import chapter, live, runner, server, store
from serving import Served, published, reader_book, tree, until

API = "/seedbook/api"
FIGURE = """plots.style()
eyes = frames.load("eyes")["eye"]
fig, ax = plt.subplots()
ax.hist(eyes)
plt.show()"""


def write_site(root):
    """What the server needs of a built book; the pages themselves are the browser tests' matter."""
    pages = ("index.html", "book/index.html", "book/chapters/dice.html", "slides/dice.html")
    for name in (*pages, "_static/live.js"):
        path = root / "_build" / "html" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("<!doctype html><html><head><title>Dice</title></head></html>")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    root = tmp_path_factory.mktemp("served") / "book"
    reader_book(root)
    write_site(root)
    (root / "_build" / "secret.txt").write_text("outside the site")
    return root


@pytest.fixture(scope="module")
def served(shelf):
    running = Served(shelf, "--max-kernels", "3")
    yield running
    assert running.stop() == 0
    assert " Server] " not in running.said  # nothing was logged as an error


@pytest.fixture
def reader(served):
    with served.reader() as session:
        yield session


@pytest.fixture
def run(shelf):
    return published(shelf)


def draw(served, session, name, source=FIGURE, **changes):
    body = {"tab": "a" * 32, "slug": "dice", "run": name, "cell": "fig-eyes", "source": source}
    return session.post(f"{served.base}{API}/view", json=body | changes, timeout=100)


def ask(served, session, **body):
    data = json.dumps({"slug": "dice", **body})  # Python's: NaN as well
    return session.post(f"{served.base}{API}/runs", data=data, timeout=60)


def events(served, session, run, last=None):
    """All events of a run, with their ids, until it ends."""
    headers = {"Last-Event-ID": last} if last else {}
    address = f"{served.base}{API}/runs/dice/{run}/events"
    with session.get(address, stream=True, timeout=60, headers=headers) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream"
        found, number = [], ""
        for line in answer.iter_lines(decode_unicode=True):
            if line.startswith("id: "):
                number = line[4:]
            elif line.startswith("data: "):
                found.append((number, json.loads(line[6:])))
        return found


def status(served, method, path, headers=None, body=None):
    """Status of a request that no browser would send."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    try:
        connection.putrequest(method, path, skip_host="Host" in (headers or {}))
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        return connection.getresponse().status
    finally:
        connection.close()


# --- who may come in -------------------------------------------------------------------------


def test_token_becomes_a_cookie_and_leaves_the_address(served):
    answer = requests.get(served.url + "&run=1", allow_redirects=False, timeout=20)
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/book/index.html?run=1"
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie
    assert served.token not in cookie


def test_pages_are_marked_and_load_nothing_from_elsewhere(served, reader):
    page = reader.get(f"{served.base}/book/chapters/dice.html", timeout=20)
    assert '<meta name="seedbook-server" content="1">' in page.text
    assert served.token not in page.text
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy and "unsafe-eval" not in policy
    assert "connect-src 'self'" in policy
    script = reader.get(f"{served.base}/_static/live.js", timeout=20)
    assert "seedbook-server" not in script.text
    assert reader.head(f"{served.base}/book/chapters/dice.html", timeout=20).ok
    assert reader.get(f"{served.base}/", timeout=20).url == f"{served.base}/book/index.html"


def test_a_deck_may_be_framed_by_its_own_server_alone(served, reader):
    deck = reader.get(f"{served.base}/slides/dice.html", timeout=20)
    assert deck.ok and "frame-ancestors 'self'" in deck.headers["Content-Security-Policy"]
    page = reader.get(f"{served.base}/book/chapters/dice.html", timeout=20)
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert reader.get(f"{served.base}/slides/other.html", timeout=20).status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{API}/chapters/dice"),
        ("POST", f"{API}/view"),
        ("DELETE", f"{API}/view/{'a' * 32}"),
        ("GET", f"{API}/runs?slug=dice"),
        ("POST", f"{API}/runs"),
        ("GET", f"{API}/runs/dice/{'a' * 12}-{'b' * 12}"),
        ("DELETE", f"{API}/runs/dice/{'a' * 12}-{'b' * 12}"),
        ("GET", f"{API}/runs/dice/{'a' * 12}-{'b' * 12}/events"),
        ("GET", f"{API}/runs/dice/{'a' * 12}-{'b' * 12}/figures/fig-dice-eyes"),
        ("GET", f"{API}/runs/dice/{'a' * 12}-{'b' * 12}/notebook"),
    ],
)
def test_without_the_token_nothing(served, method, path):
    assert status(served, method, path, {"Origin": served.base}) == 403
    assert status(served, method, path + "?token=wrong", {"Origin": served.base}) in (403, 404)


def test_without_the_token_pages_ask_for_it(served):
    answer = requests.get(f"{served.base}/book/index.html", allow_redirects=False, timeout=20)
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/login?next=")


def test_login_form_takes_the_token_and_nothing_else(served):
    with requests.Session() as session:
        session.get(f"{served.base}/login?next=/book/index.html", timeout=20)
        session.headers["Origin"] = served.base
        form = {"_xsrf": session.cookies["_xsrf"], "password": "wrong"}
        address = f"{served.base}/login?next=/book/index.html"
        refused = session.post(address, data=form, timeout=20)
        assert refused.status_code == 401 and "not the token" in refused.text
        form["password"] = served.token
        assert session.post(address, data=form, timeout=20).url == f"{served.base}/book/index.html"
        session.headers["Origin"] = "http://evil.example"
        assert session.post(address, data=form, timeout=20).status_code == 403


def test_the_token_exempts_from_no_check(served, run):
    """Jupyter lets a request with a token skip XSRF and Origin; this server does not."""
    token, good = {"Authorization": f"token {served.token}"}, {"Origin": served.base}
    xsrf = {"Cookie": "_xsrf=abcd", "X-XSRFToken": "abcd"}
    body = json.dumps({"slug": "dice"}).encode()
    path = f"{API}/runs"
    assert status(served, "POST", path, token, body) == 403
    assert status(served, "POST", path, token | good, body) == 403
    assert status(served, "POST", path, token | xsrf, body) == 403
    evil = {"Origin": "http://evil.example"}
    assert status(served, "POST", path, token | xsrf | evil, body) == 403
    null = {"Origin": "null"}
    assert status(served, "POST", path, token | xsrf | null, body) == 403
    other_port = {"Origin": "http://127.0.0.1:1"}
    assert status(served, "POST", path, token | xsrf | other_port, body) == 403
    assert status(served, "POST", path, token | xsrf | good, body) == 200


def test_reading_from_another_origin_is_refused(served, reader):
    evil = {"Origin": "http://evil.example"}
    answer = reader.get(f"{served.base}{API}/chapters/dice", headers=evil, timeout=20)
    assert answer.status_code == 403
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("path", ["/book/index.html", f"{API}/chapters/dice", "/login"])
@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_a_foreign_host_is_refused(served, path, host):
    token = {"Authorization": f"token {served.token}"}
    assert status(served, "GET", path, {"Host": host} | token) in (400, 403)


def test_loopback_by_any_name_is_served(served):
    token = {"Authorization": f"token {served.token}"}
    for host in ("localhost", "127.0.0.1", "[::1]"):
        host = {"Host": f"{host}:{served.port}"}
        assert status(served, "GET", f"{API}/chapters/dice", host | token) == 200


# --- what is not there -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/book/../secret.txt",
        "/book/../../secret.txt",
        "/book/%2e%2e/%2e%2e/secret.txt",
        "/book/..%2f..%2fsecret.txt",
        "/_static/..%5c..%5csecret.txt",
        "/_static//etc/passwd",
        "/book//etc/passwd",
        "/book/%00",
        "/book/" + "a" * 5000,
        "/notebooks/catalog.yml",
        "/secret.txt",
        f"{API}/chapters/..%2fdice",
        f"{API}/runs/../dice",
        f"{API}/runs/dice/..%2f..%2fbook/notebook",
    ],
)
def test_no_way_out_of_the_site(served, path):
    assert status(served, "GET", path, {"Authorization": f"token {served.token}"}) in (403, 404)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/contents"),
        ("PUT", "/api/contents/x.py"),
        ("POST", "/api/kernels"),
        ("GET", "/api/kernels"),
        ("GET", "/api/kernels/x/channels"),
        ("POST", "/api/sessions"),
        ("POST", "/api/terminals"),
        ("POST", "/api/shutdown"),
        ("GET", "/nbconvert/html/x.ipynb"),
        ("GET", "/files/x"),
        ("GET", "/view/x"),
    ],
)
def test_jupyters_own_interfaces_are_not_served(served, reader, method, path):
    answer = reader.request(method, served.base + path, timeout=20)
    assert answer.status_code in (403, 404)


# --- chapters and views --------------------------------------------------------------------------


def test_a_chapter_tells_its_parameters_and_what_is_published(served, reader, run):
    told = reader.get(f"{served.base}{API}/chapters/dice", timeout=20).json()
    throws = next(p for p in told["parameters"] if p["name"] == "n_throws")
    assert (throws["scalar"], throws["range"], throws["group"]) == ("int", "[1, 1000000]", "Throws")
    assert [p["name"] for p in told["profiles"]] == ["quick", "smoke", "full"]
    assert told["profiles"][1]["values"]["n_throws"] == 60
    assert told["shown"] == "quick" and told["published"]["quick"]["run"] == run
    (claim,) = told["published"]["quick"]["claims"]
    assert claim["verdict"] == "supported" and claim["ours"].startswith("3.")
    assert reader.get(f"{served.base}{API}/chapters/nonsense", timeout=20).status_code == 404


def test_a_view_draws_what_the_edition_shows(served, reader, shelf, run):
    """The published source on the published frames gives the published bytes."""
    source = next(c.source for c in chapter.read("dice", shelf).stage("view") if c.figure)
    answer = draw(served, reader, run, source).json()
    assert answer["error"] is None and answer["text"] == ""
    assert answer["image"]["mime"] == "image/svg+xml"
    figure = shelf / "book/editions/dice/quick/figures/fig-dice-eyes.svg"
    assert answer["image"]["data"] == figure.read_text()
    again = draw(served, reader, run)
    assert again.json()["image"]["data"] != answer["image"]["data"]


def test_an_error_is_told_with_the_readers_own_line(served, reader, run):
    answer = draw(served, reader, run, "plots.style()\nprint('so far')\n1 / 0").json()
    assert answer["image"] is None and answer["text"] == "so far\n"
    assert answer["error"]["name"] == "ZeroDivisionError"
    assert "line 3" in answer["error"]["traceback"] and "\x1b" not in answer["error"]["traceback"]
    broken = draw(served, reader, run, "for:").json()
    assert broken["error"]["name"] == "SyntaxError"


def test_every_draw_starts_from_the_same_names(served, reader, run):
    assert draw(served, reader, run, "mine = np.pi").json()["error"] is None
    assert draw(served, reader, run, "mine").json()["error"]["name"] == "NameError"
    assert draw(served, reader, run, "print(n_throws, margin)").json()["text"] == "600 0.5\n"


def test_a_view_saves_nothing_and_cannot_reach_the_edition(served, reader, shelf, run):
    before = tree(shelf / "book")
    saved = draw(served, reader, run, 'frames.save("x", pd.DataFrame({"a": [1]}))').json()
    assert "view" in saved["error"]["value"]
    source = 'import os\nfor f in os.scandir(os.environ["SEEDBOOK_FRAMES"]): os.unlink(f)'
    assert draw(served, reader, run, source).json()["error"] is None
    assert tree(shelf / "book") == before
    gone = draw(served, reader, run).json()
    assert gone["error"]["name"] == "FileNotFoundError"
    reader.delete(f"{served.base}{API}/view/{'a' * 32}", timeout=20)
    assert draw(served, reader, run).json()["image"]


def test_a_greedy_view_meets_its_memory_cap(served, reader, run):
    answer = draw(served, reader, run, "x = np.ones(10**10)").json()
    assert "MemoryError" in answer["error"]["name"]
    assert draw(served, reader, run).json()["image"]


def test_an_endless_view_can_be_stopped(served, reader, run):
    tab, answers = uuid.uuid4().hex, []
    with served.reader() as other:
        loop = threading.Thread(
            target=lambda: answers.append(draw(served, other, run, "while True: pass", tab=tab))
        )
        loop.start()
        address = f"{served.base}{API}/view/{tab}"
        until(lambda: reader.delete(address, timeout=20).ok)
        loop.join(30)
    assert answers[0].status_code == 409 and answers[0].json()["message"] == "stopped"
    assert reader.delete(address, timeout=20).status_code == 404


def test_a_view_whose_kernel_dies_says_so_and_the_next_one_draws(served, reader, run):
    answer = draw(served, reader, run, "import os; os._exit(1)")
    assert answer.status_code == 409 and "kernel" in answer.json()["message"]
    assert draw(served, reader, run).json()["image"]


def test_kernels_of_pages_stay_few(served, reader, run):
    def pid(tab):
        told = draw(served, reader, run, "import os; print(os.getpid())", tab=tab).json()
        return int(told["text"])

    tabs = [uuid.uuid4().hex for _ in range(5)]
    pids = [pid(tab) for tab in tabs]
    assert len(set(pids)) == 5
    until(lambda: sum(psutil.pid_exists(p) for p in pids) <= 3)
    assert pid(tabs[-1]) == pids[-1]  # the same page, the same kernel


@pytest.mark.parametrize(
    "change",
    [
        {"tab": "../x"},
        {"tab": 3},
        {"slug": "../x"},
        {"run": "x"},
        {"run": "a" * 12 + "-" + "b" * 12},
        {"cell": "throws"},
        {"cell": "nonsense"},
        {"source": "x" * 100_001},
        {"source": "\ud800"},
        {"source": "a\0b"},
        {"source": None},
        {"extra": 1},
    ],
)
def test_a_view_that_cannot_be_is_refused_in_one_line(served, reader, run, change):
    body = {"tab": "a" * 32, "slug": "dice", "run": run, "cell": "fig-eyes", "source": "1"}
    answer = reader.post(f"{served.base}{API}/view", json=body | change, timeout=20)
    assert answer.status_code in (404, 422)
    assert 5 < len(answer.json()["message"]) < 300 and "\n" not in answer.json()["message"]


# --- runs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"parameters": {"n_throws": 0}}, "n_throws = 0: must lie in [1, 1000000]"),
        ({"parameters": {"n_throws": "1; import os"}}, "must be an int"),
        ({"parameters": {"n_throw": 5}}, "did you mean 'n_throws'"),
        ({"parameters": {"x = 1\nimport os": 5}}, "unknown parameter"),
        ({"parameters": {"margin": float("nan")}}, "must be a finite number"),
        ({"parameters": {"salmon": 1}}, "must be a bool"),
        ({"profile": "huge"}, "has no profile"),
        ({"replicate": -1}, "must be 0 or more"),
        ({"parameters": {"seed": 1}, "replicate": 1}, "not both"),
        ({"parameters": []}, "must be a JSON object"),
        ({"slug": "../x"}, "there is no chapter"),
        ({"slugs": "dice"}, "unknown field"),
    ],
)
def test_a_run_that_cannot_be_is_refused_with_what_is_allowed(served, reader, body, sentence):
    answer = ask(served, reader, **body)
    assert answer.status_code in (404, 422)
    assert sentence in answer.json()["message"]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b'"x"', b"1" * 9000])
def test_a_body_that_is_no_object_is_refused(served, reader, body):
    answer = reader.post(f"{served.base}{API}/runs", data=body, timeout=20)
    assert answer.status_code in (400, 422)


def test_a_body_that_is_too_large_is_refused(served, reader):
    headers = {k: str(v) for k, v in reader.headers.items()}
    cookies = "; ".join(f"{c.name}={c.value}" for c in reader.cookies)
    headers = {k: headers[k] for k in ("Origin", "X-XSRFToken")} | {"Cookie": cookies}
    assert status(served, "POST", f"{API}/runs", headers, b" " * (server.MAX_BODY + 1)) in (
        400,
        413,
    )


def test_a_run_from_asking_to_deleting(served, reader, shelf, run):
    asked = ask(served, reader, parameters={"n_throws": 700})
    assert asked.status_code == 202
    name = asked.json()["run"]
    plan = runner.prepare("dice", root=shelf, given={"n_throws": 700})
    assert name == plan.keys.run  # the command line would make, and find, the same run
    news = events(served, reader, name)
    kinds = [e["event"] for _, e in news]
    assert kinds[0] == "queued" and kinds[-1] == "done" and "cell" in kinds and "figure" in kinds
    cells = [e for _, e in news if e["event"] == "cell"]
    assert [e["k"] for e in cells] == list(range(1, len(cells) + 1)) and cells[0]["n"] == len(cells)
    middle = len(news) // 2
    assert events(served, reader, name, last=news[middle][0]) == news[middle + 1 :]
    assert events(served, reader, name, last="nonsense-99") == news

    told = reader.get(f"{served.base}{API}/runs/dice/{name}", timeout=20).json()
    assert told["state"] == "done" and told["profile"] == "custom"
    assert told["parameters"]["n_throws"] == 700
    drawing = f"{served.base}{API}/runs/dice/{name}/figures/fig-dice-eyes"
    picture = reader.get(drawing, timeout=20)
    assert picture.headers["Content-Type"] == "image/svg+xml" and "<svg" in picture.text
    assert "sandbox" in picture.headers["Content-Security-Policy"]
    assert reader.get(drawing + "-x", timeout=20).status_code == 404

    again = ask(served, reader, parameters={"n_throws": 700})
    assert again.status_code == 200 and again.json() == {"run": name, "state": "done"}
    export = reader.get(f"{served.base}{API}/runs/dice/{name}/notebook", timeout=20)
    assert f"dice-{name}.ipynb" in export.headers["Content-Disposition"]
    notebook = nbformat.reads(export.text, as_version=4)
    nbformat.validate(notebook)
    injected = next(
        c for c in notebook.cells if "injected-parameters" in c.metadata.get("tags", [])
    )
    assert (
        "n_throws = 700" in injected.source and f"seed = {plan.values['seed']}" in injected.source
    )
    assert any(c.get("outputs") for c in notebook.cells if c.cell_type == "code")

    listed = reader.get(f"{served.base}{API}/runs?slug=dice", timeout=20).json()
    assert [r["run"] for r in listed][:1] == [name] and listed[0]["changed"] == {"n_throws": 700}
    gone = reader.delete(f"{served.base}{API}/runs/dice/{name}", timeout=20)
    assert gone.ok and store.find(shelf, "dice", name) is None
    assert reader.get(f"{served.base}{API}/runs/dice/{name}", timeout=20).status_code == 404
    assert reader.delete(f"{served.base}{API}/runs/dice/{name}", timeout=20).status_code == 404
    assert run in {r["run"] for r in reader.get(f"{served.base}{API}/runs?slug=dice").json()}


def test_a_published_run_is_not_deleted(served, reader, shelf, run):
    """Its copy in the store may go; the edition may not."""
    address = f"{served.base}{API}/runs/dice/{run}"
    stored = store.folder(shelf, "dice") / run
    kept = shelf / "kept"
    shutil.copytree(stored, kept)
    assert reader.delete(address, timeout=20).ok
    assert reader.delete(address, timeout=20).status_code == 409
    assert (shelf / "book/editions/dice/quick/run.json").is_file()
    assert reader.get(address, timeout=20).json()["state"] == "done"
    kept.rename(stored)


def test_a_run_is_stopped_and_nothing_of_it_kept(served, reader, shelf):
    name = ask(served, reader, parameters={"pause": 50.0}).json()["run"]
    address = f"{served.base}{API}/runs/dice/{name}"
    joined = ask(served, reader, parameters={"pause": 50.0})
    assert joined.status_code == 202 and joined.json()["run"] == name
    until(lambda: list((shelf / "runs/dice").glob(".part-*")))
    assert reader.get(address, timeout=20).json()["state"] in ("queued", "running")
    assert reader.delete(address, timeout=20).status_code == 202
    last = events(served, reader, name)[-1][1]
    assert last["state"] == "stopped" and "nothing was kept" in last["sentence"]
    assert store.find(shelf, "dice", name) is None
    assert not list((shelf / "runs/dice").glob(".part-*"))
    listed = reader.get(f"{served.base}{API}/runs?slug=dice", timeout=20).json()
    assert next(r for r in listed if r["run"] == name)["state"] == "stopped"
    assert reader.delete(address, timeout=20).ok  # forgotten


def test_the_queue_is_bounded_and_waiting_runs_can_be_stopped(served, reader):
    names, refused = [], None
    for i in range(12):
        answer = ask(served, reader, parameters={"pause": 59.0, "n_throws": 1000 + i})
        if answer.status_code == 429:
            refused = answer.json()["message"]
            break
        names.append(answer.json()["run"])
    assert len(names) == 9 and "waiting" in refused
    states = [reader.get(f"{served.base}{API}/runs/dice/{n}").json()["state"] for n in names[1:]]
    assert set(states) == {"queued"}
    for name in reversed(names):
        assert reader.delete(f"{served.base}{API}/runs/dice/{name}", timeout=20).status_code == 202
    for name in names:
        assert events(served, reader, name)[-1][1]["state"] == "stopped"
        assert reader.delete(f"{served.base}{API}/runs/dice/{name}", timeout=20).ok


# --- fuzz ------------------------------------------------------------------------------------------

HEX = st.text("0123456789abcdef", min_size=12, max_size=12)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4)
    ),
    max_leaves=8,
)
BAD = (
    st.text(max_size=20)
    | st.lists(st.integers(), max_size=3)
    | st.just(-1.5)
    | st.just(float("nan"))
)
NAMES = st.sampled_from(["n_throws", "margin", "seed", "salmon", "pause"])
RUN_BODY = st.fixed_dictionaries(
    {"parameters": st.dictionaries(NAMES, BAD, min_size=1) | ANY.filter(lambda v: v != {})},
    optional={"slug": st.just("dice") | ANY, "profile": st.just("smoke") | ANY, "replicate": ANY},
)
VIEW_BODY = st.fixed_dictionaries(
    {"cell": ANY},
    optional={
        k: st.just(v) | ANY for k, v in [("tab", "a" * 32), ("slug", "dice"), ("source", "1")]
    },
)
SEGMENT = st.text(max_size=20).map(lambda s: requests.utils.quote(s, safe="%./?#&=~"))
PATH = st.one_of(
    st.sampled_from([f"{API}/runs", f"{API}/view", f"{API}/chapters/dice", "/login", "/logout"]),
    st.builds("{}/chapters/{}".format, st.just(API), SEGMENT),
    st.builds("{}/runs/{}".format, st.just(API), SEGMENT),
    st.builds("{}/runs?slug={}".format, st.just(API), SEGMENT),
    st.builds(
        "{}/runs/dice/{}-{}{}".format,
        st.just(API),
        HEX,
        HEX,
        st.sampled_from(["", "/events", "/notebook", "/figures/fig-x"]) | SEGMENT,
    ),
    st.builds("{}/view/{}".format, st.just(API), HEX | SEGMENT),
    st.builds("/{}/{}".format, st.sampled_from(["book", "_static", "_images", "x"]), SEGMENT),
    st.builds("/{}".format, SEGMENT),
)
METHOD = st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
BODY = st.none() | st.binary(max_size=200) | ANY.map(lambda v: json.dumps(v).encode())
REQUEST = st.one_of(
    st.tuples(METHOD, PATH, BODY),
    st.tuples(st.just("GET"), PATH, st.none()),
    st.builds(lambda v: ("POST", f"{API}/runs", json.dumps(v).encode()), RUN_BODY),
    st.builds(lambda v: ("POST", f"{API}/view", json.dumps(v).encode()), VIEW_BODY),
)
VALUE = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)
HEADERS = st.dictionaries(
    st.sampled_from(
        ["Last-Event-ID", "Content-Type", "Range", "If-Modified-Since", "Accept", "Cookie"]
    ),
    VALUE,
    max_size=3,
)


def test_a_thousand_fuzzed_requests_break_and_write_nothing(served, reader, shelf):
    cookies = "; ".join(f"{c.name}={c.value}" for c in reader.cookies)
    login = {"Origin": served.base, "X-XSRFToken": reader.headers["X-XSRFToken"], "Cookie": cookies}
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    before, codes = tree(shelf), []

    @settings(
        max_examples=1000, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(REQUEST, HEADERS, st.sampled_from([True, True, True, False]))
    def fuzz(request, headers, logged_in):
        method, path, body = request
        try:
            connection.request(method, path, body, headers | (login if logged_in else {}))
            answer = connection.getresponse()
            answer.read()
        except (http.client.HTTPException, ConnectionError):  # it hung up on nonsense, as it may
            connection.close()
            return
        codes.append(answer.status)
        assert answer.status < 500, (method, path, answer.status)

    fuzz()
    connection.close()
    assert len(codes) > 800 and {200, 403, 404, 422} <= set(codes)
    assert tree(shelf) == before
    assert requests.get(served.url, timeout=20).ok


# --- how it ends -----------------------------------------------------------------------------------


def test_killed_during_a_run_it_leaves_nothing_and_serves_again(shelf, tmp_path):
    root = tmp_path / "book"
    shutil.copytree(shelf, root)
    first = Served(root)
    with first.reader() as session:
        name = ask(first, session, parameters={"pause": 58.0}).json()["run"]
        assert draw(first, session, published(root)).json()["image"]
        news = iter(
            lambda: session.get(f"{first.base}{API}/runs/dice/{name}").json()["state"], None
        )
        until(lambda: next(news) == "running")
        until(lambda: list((root / "runs/dice").glob(".part-*/.kernel")))
        time.sleep(1)
    family = first.family()
    assert len(family) > 3
    first.kill()
    psutil.wait_procs(family, timeout=10)
    assert not [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    again = Served(root)
    try:
        with again.reader() as session:
            assert session.get(f"{again.base}/book/chapters/dice.html", timeout=20).ok
            answer = session.get(f"{again.base}{API}/runs/dice/{name}", timeout=20)
            assert answer.status_code == 404
            assert store.find(root, "dice", name) is None
            assert draw(again, session, published(root)).json()["image"]
    finally:
        family = again.family()
        assert again.stop() == 0
    psutil.wait_procs(family, timeout=10)
    assert not [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    assert not list((root / "runs/dice").glob(".part-*/.kernel/cwd/*"))


def test_a_taken_port_is_one_line(served, capsys, monkeypatch, shelf):
    from seedbook.press import cli

    monkeypatch.setenv("SEEDBOOK_ROOT", str(shelf))
    assert cli.main(["serve", "--no-browser", "--port", str(served.port)]) == 1
    told = capsys.readouterr().err
    assert "--port 0" in told and told.count("\n") == 1


def test_listening_elsewhere_says_what_it_means(capsys):
    server._announce("0.0.0.0", 8765, "secret", "class")
    told = capsys.readouterr().out
    assert "lets other machines in" in told and "run any code" in told
    assert "bets.html?token=class" in told
    server._announce("127.0.0.1", 8765, "secret", "class")
    told = capsys.readouterr().out
    assert "other machines" not in told and "class" not in told


# --- the parts, without a server ---------------------------------------------------------------------


def test_a_preamble_holds_what_the_cell_reads_and_no_more(shelf):
    source = chapter.read("dice", shelf)
    cell = next(c for c in source.stage("view") if c.figure)
    text = live.preamble(source, cell, {"n_throws": 5, "seed": 7, "device": "auto"})
    assert text.splitlines()[:3] == ["n_throws = 5", "seed = 7", "device = 'auto'"]
    assert "import numpy as np" in text and "from seedbook import frames, plots" in text
    assert "stats" not in text and "Ledger" not in text
    reads_ledger = chapter.Cell(cell.id, "view", "print(ledger, stats)", {})
    text = live.preamble(source, reads_ledger, {})
    assert "ledger = Ledger(" in text and "import stats" in text and "numpy" not in text
    assert live.preamble(source, chapter.Cell(cell.id, "view", "for:", {}), {}).strip() == ""


def test_idle_kernels_are_culled_and_busy_ones_are_not_displaced(shelf, run):
    async def scenario():
        views = live.Views(shelf, at_most=1, idle_s=2.0)
        views.start()
        folder = store.Run(shelf / "book/editions/dice/quick")
        plan = live.plan(shelf, folder, "dice", "fig-eyes", "import time; time.sleep(1.5)")
        slow = asyncio.ensure_future(views.draw("a" * 16, plan))
        while not views.kernels or not views.kernels["a" * 16].started:
            await asyncio.sleep(0.05)
        with pytest.raises(live.Busy, match="1 kernels are drawing"):
            await views.draw("b" * 16, plan)
        assert (await slow)["error"] is None
        end = time.monotonic() + 20
        while views.kernels:
            assert time.monotonic() < end
            await asyncio.sleep(0.1)
        await views.stop()

    asyncio.run(scenario())
