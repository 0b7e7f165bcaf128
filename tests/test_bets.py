"""Bets before data: the page's table, rooms over HTTP, and the page in a real browser."""

from __future__ import annotations

import csv
import json
import math
import re
import secrets
from statistics import mean

import pytest
import requests
from seedbook.press import book as pages
from seedbook.press import editions, rooms, runner
from serving import CHROMIUM, Served
from test_book import furnish
from test_browser import Reader, sideways
from test_server import status, write_site
from tiny import CATALOG, REPOSITORY, Book, dice

API = "/seedbook/api/rooms"
VERDICTS = {"c1": "supported", "c2": "contradicted", "c3": "fragile", "x1": "out of scope"}
BETS = {"c1": 70, "c2": 20, "c3": 100}


# --- rooms, without a server ---------------------------------------------------------------------


def test_rooms_end_and_are_few():
    now = [0.0]
    some = rooms.Rooms(clock=lambda: now[0])
    codes = {some.open("dice", "run", {"c1": "supported"}).code for _ in range(rooms.MAX_ROOMS)}
    assert len(codes) == rooms.MAX_ROOMS
    assert all(len(c) == 4 and set(c) <= set(rooms.LETTERS) for c in codes)
    now[0] = rooms.LIFE_S - 120
    with pytest.raises(rooms.RoomError, match="oldest ends in 2 minutes") as error:
        some.open("dice", "run", {"c1": "supported"})
    assert error.value.status == 429
    now[0] = rooms.LIFE_S
    with pytest.raises(rooms.RoomError, match="there is no room") as error:
        some.find(codes.pop())
    assert error.value.status == 404
    some.open("dice", "run", {"c1": "supported"})


def test_a_room_takes_so_many_members_and_no_more():
    room = rooms.Rooms().open("dice", "run", {"c1": "supported"})
    first = secrets.token_hex(16)
    room.bet(first, "", {"c1": 1}, anew=False)
    for _ in range(rooms.MAX_MEMBERS - 1):
        room.bet(secrets.token_hex(16), "", {"c1": 50}, anew=False)  # no name may be shared
    with pytest.raises(rooms.RoomError, match="is full") as error:
        room.bet(secrets.token_hex(16), "", {"c1": 50}, anew=False)
    assert error.value.status == 429
    room.bet(first, "", {"c1": 2}, anew=False)  # whoever is in may still change a bet
    assert room.members[first].bets == {"c1": 2}


# --- rooms over HTTP -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """The least that the server needs of a built book."""
    root = tmp_path_factory.mktemp("rooms") / "book"
    (root / "notebooks").mkdir(parents=True)
    (root / "notebooks" / "catalog.yml").write_text("parts: []\nchapters: []\n")
    write_site(root)
    claims = [{"id": name, "verdict": verdict} for name, verdict in VERDICTS.items()]
    nothing = [{"id": "c1", "verdict": "out of scope"}]
    table = {
        "chapters": [
            {"slug": "dice", "run": "a" * 12 + "-" + "b" * 12, "claims": claims},
            {"slug": "mute", "run": "c" * 12 + "-" + "d" * 12, "claims": nothing},
        ]
    }
    (root / "_build" / "html" / "_static" / rooms.BETS).write_text(json.dumps(table))
    return root


@pytest.fixture(scope="module")
def served(shelf):
    running = Served(shelf, "--no-warm")
    yield running
    assert running.stop() == 0
    assert " Server] " not in running.said  # nothing was logged as an error


@pytest.fixture
def teacher(served):
    with served.reader() as session:
        yield session


@pytest.fixture
def student(served):
    with served.reader() as session:
        yield session


@pytest.fixture
def room(served, teacher):
    return post(served, teacher, "", chapter="dice").json()


def post(served, session, path, **body):
    return session.post(f"{served.base}{API}{path}", data=json.dumps(body), timeout=20)


def look(served, session, code):
    return session.get(f"{served.base}{API}/{code}", timeout=20)


def bet(served, session, room, **changes):
    body = {"member": "a" * 32, "name": "Ada", "bets": BETS}
    return post(served, session, f"/{room['code']}/bets", **(body | changes))


def test_a_class_bets_and_sees_nothing_before_the_reveal(served, teacher, student, room):
    code = room["code"]
    assert room["claims"] == ["c1", "c2", "c3"] and room["chapter"] == "dice"
    assert bet(served, student, room).json()["bets"] == 1
    assert bet(served, teacher, room, member="b" * 32, name="", bets=BETS | {"c1": 5}).ok
    assert bet(served, student, room, name=" Ada  L. ", bets=BETS | {"c2": 0}).json()["bets"] == 2
    seen = look(served, student, code.lower())
    assert seen.json()["bets"] == 2 and seen.json()["revealed"] is False
    for word in ("supported", "contradicted", "fragile", "Ada", "70", room["key"]):
        assert word not in seen.text, word

    refused = post(served, student, f"/{code}/reveal", key="0" * 32)
    assert refused.status_code == 403 and "opened room" in refused.json()["message"]
    assert look(served, student, code).json()["revealed"] is False

    assert post(served, teacher, f"/{code}/reveal", key=room["key"]).ok
    seen = look(served, student, code).json()
    assert seen["verdicts"] == {k: v for k, v in VERDICTS.items() if v != "out of scope"}
    assert seen["members"] == [
        {"name": "", "anew": False, "bets": BETS | {"c1": 5}},
        {"name": "Ada L.", "anew": False, "bets": BETS | {"c2": 0}},
    ]
    assert "key" not in seen and "a" * 32 not in json.dumps(seen["members"])

    late = bet(served, student, room, member="c" * 32, name="")
    assert late.status_code == 409 and "no more bets" in late.json()["message"]
    assert len(look(served, student, code).json()["members"]) == 2


def test_an_empty_room_is_not_revealed(served, teacher, room):
    refused = post(served, teacher, f"/{room['code']}/reveal", key=room["key"])
    assert refused.status_code == 409 and "nobody has bet" in refused.json()["message"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"member": "x"}, "32 hexadecimal digits"),
        ({"member": "é" * 32}, "32 hexadecimal digits"),
        ({"member": None}, "member must be a JSON string"),
        ({"name": "n" * 41}, "at most 40"),
        ({"name": "\ud800"}, "printable"),
        ({"name": "a\u202eb"}, "printable"),
        ({"name": 7}, "name must be"),
        ({"bets": []}, "bets must be"),
        ({"bets": {}}, "a bet on c1 is missing"),
        ({"bets": {"c1": 1, "c2": 1}}, "a bet on c3 is missing"),
        ({"bets": BETS | {"x1": 50}}, "no claim 'x1'"),
        ({"bets": BETS | {"c1": 101}}, "from 0 to 100"),
        ({"bets": BETS | {"c1": -1}}, "from 0 to 100"),
        ({"bets": BETS | {"c1": 0.5}}, "from 0 to 100"),
        ({"bets": BETS | {"c1": True}}, "from 0 to 100"),
        ({"bets": BETS | {"c1": math.nan}}, "from 0 to 100"),
        ({"bets": BETS | {"c1": "70"}}, "from 0 to 100"),
        ({"anew": 1}, "anew must be a JSON boolean"),
        ({"verdict": "supported"}, "unknown field"),
    ],
)
def test_bad_bets_are_refused_in_one_sentence(served, student, room, change, sentence):
    answer = bet(served, student, room, **change)
    assert answer.status_code == 422 and sentence in answer.json()["message"]
    assert look(served, student, room["code"]).json()["bets"] == 0


def test_a_name_is_taken_once(served, student, room):
    assert bet(served, student, room).ok
    answer = bet(served, student, room, member="b" * 32, name="ADA")
    assert answer.status_code == 409 and "another one" in answer.json()["message"]
    assert bet(served, student, room).ok  # one's own name is no other's


def test_long_and_broken_bodies_are_refused(served, student, room):
    assert bet(served, student, room, name="n" * rooms.MAX_BODY).status_code == 413
    address = f"{served.base}{API}/{room['code']}/bets"
    assert student.post(address, data="{", timeout=20).status_code == 400
    assert student.post(address, data="[]", timeout=20).status_code == 422


def test_rooms_that_are_not_there(served, student, room):
    for answer in (
        look(served, student, "AEIO"),
        bet(served, student, {"code": "AEIO"}),
        post(served, student, "/AEIO/reveal", key="0" * 32),
    ):
        assert answer.status_code == 404 and "no room AEIO" in answer.json()["message"]
    assert look(served, student, room["code"] + "B").status_code == 404
    listing = student.get(f"{served.base}{API}", timeout=20)
    assert listing.status_code == 405  # nobody can see which rooms there are


def test_a_room_needs_a_chapter_that_can_be_bet_on(served, teacher):
    answer = post(served, teacher, "", chapter="nonsense")
    assert answer.status_code == 404 and "to bet on" in answer.json()["message"]
    answer = post(served, teacher, "", chapter="mute")
    assert answer.status_code == 409 and "out of scope" in answer.json()["message"]
    assert post(served, teacher, "", chapter=3).status_code == 422
    assert post(served, teacher, "").status_code == 422


def test_rooms_are_guarded_like_all_else(served, student, room):
    body = json.dumps({"member": "a" * 32, "bets": BETS}).encode()
    token = {"Authorization": f"token {served.token}"}
    good, evil = {"Origin": served.base}, {"Origin": "http://evil.example"}
    xsrf = {"Cookie": "_xsrf=abcd", "X-XSRFToken": "abcd"}
    path = f"{API}/{room['code']}/bets"
    assert status(served, "POST", path, good | xsrf, body) == 403  # no token
    assert status(served, "POST", path, token | good, body) == 403  # no XSRF token
    assert status(served, "POST", path, token | xsrf, body) == 403  # no origin
    assert status(served, "POST", path, token | xsrf | evil, body) == 403
    host = {"Host": "evil.example"}
    assert status(served, "GET", f"{API}/{room['code']}", token | host) == 403
    assert requests.get(f"{served.base}{API}/{room['code']}", timeout=20).status_code == 403
    assert look(served, student, room["code"]).json()["bets"] == 0
    assert status(served, "POST", path, token | xsrf | good, body) == 200


def test_students_at_other_machines_come_in_where_the_server_listens_to_them(served, shelf):
    body = json.dumps({"chapter": "dice"}).encode()
    for ip, expected in (("127.0.0.1", 403), ("0.0.0.0", 201)):
        running = served if expected == 403 else Served(shelf, "--no-warm", "--ip", ip)
        there = f"192.0.2.7:{running.port}"  # the address by which they see this machine
        headers = {"Host": there, "Origin": f"http://{there}", "X-XSRFToken": "abcd"}
        headers |= {"Cookie": "_xsrf=abcd", "Authorization": f"token {running.token}"}
        assert status(running, "POST", API, headers, body) == expected
        assert status(running, "POST", API, headers | {"Authorization": ""}, body) == 403
    assert running.stop() == 0


def test_guests_read_and_bet_and_run_nothing(shelf):
    running = Served(shelf, "--no-warm", "--ip", "0.0.0.0")
    base = f"http://127.0.0.1:{running.port}"
    guests = re.search(r"bets\.html\?token=(\S+)", running.said).group(1)
    assert guests != running.token

    def come(token, session=None):
        session = session or requests.Session()
        page = session.get(f"{base}/book/index.html?token={token}", timeout=20)
        assert page.ok and page.url.endswith("/book/index.html")
        session.headers.update({"Origin": base, "X-XSRFToken": session.cookies["_xsrf"]})
        return session

    with come(running.token) as teacher, come(guests) as student:
        ask = f"{base}{API}"
        room = teacher.post(ask, json={"chapter": "dice"}, timeout=20).json()
        assert student.cookies["seedbook_guest"] == "1"
        refused = [
            student.post(ask, json={"chapter": "dice"}, timeout=20),
            student.post(f"{ask}/{room['code']}/reveal", json={"key": room["key"]}, timeout=20),
            *(
                student.request(method, f"{base}/seedbook/api/{path}", json={}, timeout=20)
                for method, path in (("POST", "view"), ("GET", "runs"), ("POST", "runs"))
            ),
            student.get(f"{base}/seedbook/api/chapters/dice", timeout=20),
        ]
        assert {r.status_code for r in refused} == {403}
        assert all("guests read and bet" in r.json()["message"] for r in refused)
        bet = {"member": secrets.token_hex(16), "bets": BETS}
        assert student.post(f"{ask}/{room['code']}/bets", json=bet, timeout=20).ok
        assert student.get(f"{ask}/{room['code']}", timeout=20).json()["bets"] == 1
        come(guests, teacher)  # whoever owns the server and opens the class's address still owns it
        assert teacher.post(ask, json={"chapter": "dice"}, timeout=20).status_code == 201
        assert "seedbook_guest" not in teacher.cookies
        come(running.token, student)
        assert student.post(ask, json={"chapter": "dice"}, timeout=20).status_code == 201
        assert "seedbook_guest" not in student.cookies
    with requests.Session() as other:
        other.get(f"{base}/login", timeout=20)
        form = {"_xsrf": other.cookies["_xsrf"], "password": guests}
        other.headers["Origin"] = base
        assert other.post(f"{base}/login?next=/book/index.html", data=form, timeout=20).ok
        assert other.cookies["seedbook_guest"] == "1"
    assert running.stop() == 0


def test_too_many_rooms_are_refused(shelf):
    running = Served(shelf, "--no-warm")
    with running.reader() as session:
        codes = [
            post(running, session, "", chapter="dice").status_code
            for _ in range(rooms.MAX_ROOMS + 1)
        ]
    assert codes == [201] * rooms.MAX_ROOMS + [429]
    assert running.stop() == 0


# --- the page in a browser -----------------------------------------------------------------------

CLAIMS = """
ledger.claim("c2", "The die favours <six>.", paper="-0.5", where="table 1", measure="mean",
    rule=above("mean", 4), contradicted_by=below("mean", 3.9), why="a six is 6")
ledger.claim("c3", "The die is fair beyond measure.", paper="exactly", where="abstract",
    measure="mean", rule=equivalent("mean", 1e-6, to=3.5), contradicted_by=above("mean", 4),
    why="nothing is so fair")
ledger.claim("c4", "The die is no coin.", paper="-", where="this chapter", measure="mean",
    rule=above("mean", 2), contradicted_by=below("mean", 2), why="a coin has two sides")
ledger.claim("c5", "Dice are old.", paper="5000 years", where="section 1", measure="-", rule=None,
    why="history", out_of_scope="no digs here")
ledger
"""
OUTCOME = {"c1": 1, "c2": 0, "c3": 0, "c4": 1}  # supported, contradicted, inconclusive, fragile
SHARE = 3 / 5  # with the coin's one claim, supported
PAGE = "book/seminar/bets.html"


def score(percent, outcome):
    return (percent / 100 - outcome) ** 2


def scores(bets):
    return [score(p, OUTCOME[c]) for c, p in bets.items()]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A built book of two tiny chapters; claim c4 is made fragile by hand."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    root = tmp_path_factory.mktemp("bets") / "book"
    book = Book(root)
    book.edit("parameters", "margin: float = 0.2", "margin: float = 0.5")
    book.edit("setup", "above, equivalent", "above, below, equivalent")
    book.edit("claims", '    why="a loaded die has 4.75",\n)\nledger', '    why="a",\n)' + CLAIMS)
    head, chapter = CATALOG.split("chapters:\n")
    coin = chapter.replace("dice", "coin").replace("short: Dice", "short: Coin")
    (root / "notebooks" / "catalog.yml").write_text(f"{head}chapters:\n{chapter}{coin}")
    text = json.dumps(dice()).replace('\\"dice\\"', '\\"coin\\"').replace("fig-dice", "fig-coin")
    text = text.replace("margin: float = 0.2", "margin: float = 0.5")
    (root / "notebooks" / "coin.ipynb").write_text(text)
    for slug in ("dice", "coin"):
        editions.publish(runner.run(slug, root=root), root)
    furnish(root)
    (root / "book" / "seminar").mkdir(exist_ok=True)
    for name, title in pages.SEMINAR:
        source = REPOSITORY / "book" / "seminar" / f"{name}.md"
        text = source.read_text() if name == "bets" else f"# {title}\n"
        (root / "book" / "seminar" / f"{name}.md").write_text(text)
    pages.assemble(root)
    for path in ("_html/bets.html", "_static/bets.json"):
        fragment = root / pages.PAGES / path
        old = fragment.read_text()
        place = r'("The die is no coin\..*?"verdict": )"supported"'
        new = re.sub(place, r'\1"fragile"', old, count=1, flags=re.S)
        assert new != old
        fragment.write_text(new)
    html = pages.build(root).parent
    assert pages.check(html) == []
    return root


@pytest.fixture(scope="module")
def running(site):
    server = Served(site, "--no-warm")
    yield server
    assert server.stop() == 0


@pytest.fixture
def readers(chromium):
    """Makes readers, and sees in the end that nothing went wrong in their browsers."""
    made = []

    def make(*size, **options):
        made.append(Reader(chromium, *size, **options))
        made[-1].context.set_default_timeout(20_000)
        return made[-1]

    yield make
    for reader in made:
        reader.context.close()
        assert reader.foreign == [] and reader.wrong == []


def disk(site, query="?chapter=dice"):
    return (site / "_build" / "html" / PAGE).as_uri() + query


def claim(page, name):
    return page.locator(f'.sb-claim[data-claim="{name}"]')


def place(page, bets):
    for name, percent in bets.items():
        claim(page, name).get_by_label(f"Per cent for {name}").fill(str(percent))


def press(page, name):
    page.locator("#sb-bets").get_by_role("button", name=name, exact=True).click()


def numbers(page, css):
    """The numbers of a summary's last column."""
    return [float(t) for t in page.locator(f"{css} td:last-child").all_inner_texts()]


def near(found, *expected):
    assert found == pytest.approx(list(expected), abs=0.00051)


@pytest.mark.browser
def test_bets_are_revealed_scored_frozen_and_kept_from_a_disk(site, readers):
    page = readers().open(disk(site))
    assert page.locator(".sb-room").is_hidden()  # no server, no room
    assert page.locator("#sb-bets .sb-v").count() == 0  # no verdict before the bets
    assert "The die favours <six>." in claim(page, "c2").inner_text()
    assert "Paper: −0.5 (table 1)" in claim(page, "c2").inner_text()
    assert "Supported if mean above 4" in claim(page, "c2").inner_text()
    assert claim(page, "c5").locator("input").count() == 0
    sliders = page.locator("input[type=range]")
    assert sliders.count() == 4
    assert {s.get_attribute("aria-valuetext") for s in sliders.all()} == {"no bet yet"}

    press(page, "Reveal")
    assert "Place a bet first" in page.locator(".sb-run [role=status]").inner_text()
    bets = {"c1": 85, "c2": 30, "c4": 60}
    place(page, bets)
    page.reload()
    assert claim(page, "c2").locator("input[type=range]").input_value() == "30"
    press(page, "Reveal")
    assert "c3 has no bet" in page.locator(".sb-run [role=status]").inner_text()
    press(page, "Reveal all the same")

    def check():
        assert page.locator("input[type=range]").count() == 0  # frozen
        words = ("supported", "contradicted", "inconclusive", "fragile", "out of scope")
        for name, word in zip(("c1", "c2", "c3", "c4", "c5"), words, strict=True):
            assert claim(page, name).locator(".sb-v").inner_text() == word
        for name, percent in bets.items():
            shown = claim(page, name).locator(".sb-brier").inner_text()
            near([float(shown)], score(percent, OUTCOME[name]))
        assert "No bet" in claim(page, "c3").inner_text()
        told = {c: SHARE * 100 for c in bets}
        near(numbers(page, ".sb-bets-summary"), mean(scores(bets)), 0.25, mean(scores(told)))
        label = page.locator(".sb-calibration svg").get_attribute("aria-label")
        assert re.findall(r"from (\d+) to \d+ %: (\d) of (\d)", label) == [
            ("20", "0", "1"),
            ("60", "1", "1"),
            ("80", "1", "1"),
        ]

    check()
    assert page.evaluate("document.activeElement.textContent") == "What came out"
    page.reload()
    check()
    with page.expect_download() as download:
        press(page, "Export as CSV")
    with open(download.value.path(), newline="") as file:
        rows = list(csv.DictReader(file))
    assert {r["claim"]: int(r["bet_percent"]) for r in rows} == bets
    near([float(r["brier"]) for r in rows], *scores(bets))
    assert {(r["chapter"], r["anew"], r["room"]) for r in rows} == {("dice", "false", "")}
    assert all(r["edition_run"] and r["revealed_at"] for r in rows)

    press(page, "Bet anew")
    press(page, "Bet anew, marked as such")
    place(page, {"c1": 100, "c2": 0, "c3": 0, "c4": 100})
    press(page, "Reveal")
    assert "made anew" in page.locator(".sb-note").first.inner_text()
    near(numbers(page, ".sb-bets-summary")[:1], 0)
    assert "3 bets on 1 chapter" in page.locator(".sb-calibration figcaption").inner_text()

    page.locator("#bets-chapter").select_option("coin")
    assert "chapter=coin" in page.url
    place(page, {"c1": 90})
    press(page, "Reveal")
    assert "4 bets on 2 chapters" in page.locator(".sb-calibration figcaption").inner_text()

    press(page, "Forget my bets")
    press(page, "Forget them for good")
    assert page.locator(".sb-calibration").count() == 0
    page.reload()
    assert page.locator("input[type=range]").get_attribute("aria-valuetext") == "no bet yet"


@pytest.mark.browser
def test_a_new_edition_is_said(site, readers):
    page = readers().open(disk(site))
    place(page, {"c1": 50})
    older = "localStorage.setItem('seedbook-bets', localStorage.getItem('seedbook-bets')"
    older += '.replace(/"run":"[0-9a-f]/, \'"run":"z\'))'
    page.evaluate(older)
    page.reload()
    assert "edition has changed" in page.locator(".sb-note").inner_text()
    press(page, "Reveal")
    press(page, "Reveal all the same")
    assert page.locator(".sb-note", has_text="edition has changed").count() == 0
    page.evaluate(older)
    page.reload()
    assert "edition has changed since" in page.locator(".sb-note").nth(1).inner_text()


@pytest.mark.browser
def test_bets_by_keyboard_start_from_nowhere(site, readers):
    page = readers().open(disk(site))

    def slider(name):
        return claim(page, name).get_by_label(f"Probability that {name} is supported")

    page.locator("#bets-chapter").focus()
    for _ in range(2):  # the fold of the reason, then the slider
        page.keyboard.press("Tab")
    assert slider("c1").evaluate("s => s === document.activeElement")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert claim(page, "c1").get_by_label("Per cent for c1").input_value() == "2"
    slider("c2").press("ArrowLeft")
    assert slider("c2").get_attribute("aria-valuetext") == "99 %"
    slider("c3").click()  # in the middle, where an unset slider stands
    assert slider("c3").get_attribute("aria-valuetext") in ("49 %", "50 %", "51 %")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # Clear
    assert slider("c3").get_attribute("aria-valuetext") == "no bet yet"
    page.keyboard.type("7")
    assert slider("c3").get_attribute("aria-valuetext") == "7 %"
    page.keyboard.type("77")
    box = claim(page, "c3").get_by_label("Per cent for c3")
    assert box.get_attribute("aria-invalid") == "true" and box.input_value() == "777"
    assert slider("c3").get_attribute("aria-valuetext") == "no bet yet"
    assert "0 to 100" in page.locator(".sb-run [role=status]").inner_text()


@pytest.mark.browser
def test_a_class_meets_in_a_room(running, readers):
    teacher, ada, nobody = (readers() for _ in range(3))
    for one in (teacher, ada, nobody):
        one.open(running.url).close()
    lectern = teacher.open(f"{running.base}/{PAGE}?chapter=dice")
    press(lectern, "Open a room for this chapter")
    code = lectern.locator(".sb-code").inner_text().removeprefix("Room ")
    assert re.fullmatch("[B-Z]{4}", code)

    desk = ada.open(f"{running.base}/{PAGE}")
    desk.get_by_label("code of the room").fill("AEIO")
    press(desk, "Enter")
    desk.locator(".sb-room .sb-error", has_text="no room AEIO").wait_for()
    ada.wrong.clear()  # Chromium notes the 404
    desk.get_by_label("code of the room").fill(code.lower())
    press(desk, "Enter")
    desk.locator(".sb-code").wait_for()
    assert f"room={code}" in desk.url and "chapter=dice" in desk.url
    assert desk.get_by_role("button", name="Reveal").count() == 0  # hers is no key
    mine = {"c1": 90, "c2": 40, "c3": 20}
    place(desk, mine)
    press(desk, "Send to the room")
    assert "c4 is missing" in desk.locator(".sb-run [role=status]").inner_text()
    mine["c4"] = 10
    place(desk, {"c4": 10})
    desk.get_by_label("Your name").fill("Ada")
    press(desk, "Send to the room")
    desk.locator(".sb-run [role=status]", has_text="bets are in").wait_for()
    place(desk, {"c1": 0})  # changed, and not sent again

    back = nobody.open(f"{running.base}/{PAGE}?room={code}")
    back.locator(".sb-code").wait_for()
    theirs = {"c1": 50, "c2": 90, "c3": 20, "c4": 100}
    place(back, theirs)
    press(back, "Send to the room")
    lectern.locator(".sb-room", has_text="2 people have bet").wait_for()
    for page in (lectern, desk, back):
        assert page.locator("#sb-bets .sb-v").count() == 0
    lectern.reload()  # the key is kept
    press(lectern, "Reveal to everybody")
    press(lectern, "Reveal, for good")

    for page in (lectern, desk, back):
        page.locator(".sb-ranking").wait_for()
        for name, outcome in OUTCOME.items():
            a, b = mine[name], theirs[name]
            row = claim(page, name)
            shown = [float(t) for t in row.locator(".sb-of-room .sb-brier").all_inner_texts()]
            single = mean([score(a, outcome), score(b, outcome)])
            near(shown, score(mean([a, b]), outcome), single)
            assert shown[0] <= shown[1]
            assert f"Mean bet {mean([a, b]):.1f} %" in row.inner_text()
            assert row.locator("circle.one").count() == 2
        told = numbers(page, ".sb-bets-summary")
        crowd = mean(score(mean([mine[c], theirs[c]]), o) for c, o in OUTCOME.items())
        always = mean(scores(dict.fromkeys(OUTCOME, SHARE * 100)))
        near(told[-4:], crowd, mean([*scores(mine), *scores(theirs)]), 0.25, always)
        ranking = page.locator(".sb-ranking tbody tr")
        assert ranking.count() == 1 and ranking.inner_text().split() == [
            "Ada",
            "1",
            f"{mean(scores(mine)):.3f}",
        ]
        assert "wrong on c2" in page.locator("#sb-bets").inner_text()
    for page, bets in ((desk, mine), (back, theirs)):  # what was sent counts
        near(numbers(page, ".sb-bets-summary")[:1], mean(scores(bets)))
        for name, percent in bets.items():
            text = claim(page, name).locator(".sb-own-bet .sb-brier").inner_text()
            near([float(text)], score(percent, OUTCOME[name]))
    assert lectern.locator(".sb-own-bet").count() == 0
    assert f"in room {code}" in desk.locator(".sb-note").first.inner_text()
    assert "did not bet" in lectern.locator("#sb-bets").inner_text()
    desk.reload()
    desk.locator(".sb-ranking").wait_for()
    stored = desk.evaluate("JSON.parse(localStorage.getItem('seedbook-bets')).chapters.dice.done")
    assert len(stored) == 1 and stored[0]["bets"] == mine


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_bets_without_scrolling_sideways(running, readers, scheme):
    reader = readers(390, 844, color_scheme=scheme, has_touch=True)
    reader.open(running.url).close()
    page = reader.open(f"{running.base}/{PAGE}?chapter=dice")
    press(page, "Open a room for this chapter")
    page.locator(".sb-code").wait_for()
    place(page, {"c1": 80, "c2": 100, "c3": 5, "c4": 60})
    assert sideways(page) <= 0
    for button in page.locator("button.sb-btn:visible").all():
        assert button.bounding_box()["height"] >= 43, button.inner_text()
    page.get_by_label("Your name").fill("N" * 40)
    press(page, "Send to the room")
    page.locator(".sb-run [role=status]", has_text="bets are in").wait_for()
    press(page, "Reveal to everybody")
    press(page, "Reveal, for good")
    page.locator(".sb-ranking").wait_for()
    assert sideways(page) <= 0


@pytest.mark.browser
def test_an_unknown_chapter_is_said(site, readers):
    page = readers().open(disk(site, "?chapter=nonsense"))
    assert "no chapter named nonsense" in page.locator("#sb-bets").inner_text()
