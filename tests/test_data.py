"""Files are taken from mirror, cache or network, and never with the wrong bytes."""

import hashlib
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from seedbook import data

COMMIT = "0123456789" * 4
SOURCE = f"ada/engine@{COMMIT}"
BODY = b"n,value\n1,2\n"
SHA = hashlib.sha256(BODY).hexdigest()


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """A mirror and a cache of the test's own, and a network that refuses."""
    monkeypatch.setenv("SEEDBOOK_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setenv("SEEDBOOK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(data, "URL", "http://127.0.0.1:9/{owner}/{repo}/{commit}/{path}")
    return tmp_path


@pytest.fixture
def server(monkeypatch):
    """A loopback server; its `answer` is (bytes, promised length)."""
    answer = {"body": BODY, "length": len(BODY)}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(answer["length"]))
            self.end_headers()
            self.wfile.write(answer["body"])

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{httpd.server_port}/{{owner}}/{{repo}}/{{commit}}/{{path}}"
        monkeypatch.setattr(data, "URL", url)
        yield answer
        httpd.shutdown()
        thread.join()


def put(folder, path="logs/a.csv", body=BODY):
    target = folder / "ada" / "engine" / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(body)
    return target


def test_the_mirror_comes_first(places):
    target = put(places / "mirror")
    assert data.fetch(SOURCE, "logs/a.csv", SHA) == target
    assert data.available("github:" + SOURCE, "logs/a.csv", SHA)
    assert not (places / "cache").exists()


def test_missing_says_what_and_how(places, monkeypatch):
    with pytest.raises(data.Missing) as error:
        data.fetch(SOURCE, "logs/a.csv", SHA)
    for word in ("logs/a.csv", "ada/engine", COMMIT[:7], "SEEDBOOK_MIRROR", SHA[:12], "network"):
        assert word in str(error.value)
    assert "\n" not in str(error.value)
    assert not data.available(SOURCE, "logs/a.csv", SHA)
    monkeypatch.delenv("SEEDBOOK_MIRROR")
    with pytest.raises(data.Missing, match="SEEDBOOK_MIRROR is not set"):
        data.fetch(SOURCE, "logs/a.csv", SHA)


def test_a_mirror_with_other_bytes_is_not_used(places):
    put(places / "mirror", body=BODY + b"3,4\n")
    assert not data.available(SOURCE, "logs/a.csv", SHA)
    with pytest.raises(data.Missing):
        data.fetch(SOURCE, "logs/a.csv", SHA)


def test_a_changed_file_is_read_again(places):
    target = put(places / "mirror", body=b"draft")
    assert not data.available(SOURCE, "logs/a.csv", SHA)
    target.write_bytes(BODY)
    assert data.available(SOURCE, "logs/a.csv", SHA)


def test_download_is_kept_in_the_cache(places, server):
    first = data.fetch(SOURCE, "logs/a.csv", SHA)
    assert first.read_bytes() == BODY
    assert first.is_relative_to(places / "cache")
    server["body"] = b"gone"
    assert data.fetch(SOURCE, "logs/a.csv", SHA) == first


@pytest.mark.parametrize(
    "answer",
    [{"body": BODY[:5]}, {"body": BODY[:5], "length": 5}],
    ids=["cut short", "other bytes"],
)
def test_a_bad_download_leaves_nothing(places, server, answer):
    server.update(answer)
    with pytest.raises(data.Missing):
        data.fetch(SOURCE, "logs/a.csv", SHA)
    assert [p for p in (places / "cache").rglob("*") if p.is_file()] == []


def test_a_damaged_cache_is_downloaded_again(places, server):
    target = data.fetch(SOURCE, "logs/a.csv", SHA)
    target.write_bytes(b"damaged")
    assert data.fetch(SOURCE, "logs/a.csv", SHA).read_bytes() == BODY


def test_catalogue_entries(places, monkeypatch):
    book = places / "book"
    (book / "notebooks" / "data").mkdir(parents=True)
    (book / "notebooks" / "data" / "demo.txt").write_text(f"logs/a.csv {SHA}\nb c.csv {SHA}\n\n")
    (book / "notebooks" / "catalog.yml").write_text(
        "chapters:\n- slug: demo\n  data:\n"
        f"  - {{name: one, source: 'github:{SOURCE}', path: logs/a.csv, sha256: {SHA}}}\n"
        f"  - {{name: many, source: 'github:{SOURCE}', files: notebooks/data/demo.txt}}\n"
    )
    monkeypatch.setenv("SEEDBOOK_ROOT", str(book))
    put(places / "mirror")
    one, many = data.entry("demo", "one"), data.entry("demo", "many")
    assert data.fetch(one) == data.fetch(many, "logs/a.csv")
    assert data.files(many, book) == {"logs/a.csv": SHA, "b c.csv": SHA}
    assert data.available(one) and not data.available(many, root=book)
    put(places / "mirror", "b c.csv")
    assert data.available(many)
    with pytest.raises(KeyError, match="one"):
        data.entry("demo", "two")
    with pytest.raises(ValueError, match="b c.csv"):
        data.fetch(many, "c.csv")


@pytest.mark.parametrize(
    ("source", "path", "sha256", "word"),
    [
        ("ada/engine", "a.csv", SHA, "40 hexadecimal"),
        ("ada/engine@main", "a.csv", SHA, "40 hexadecimal"),
        (SOURCE, "../a.csv", SHA, "inside the repository"),
        (SOURCE, "/etc/passwd", SHA, "inside the repository"),
        (SOURCE, "a.csv", "abc", "64 hexadecimal"),
        (SOURCE, "a.csv", None, "64 hexadecimal"),
    ],
)
def test_wrong_arguments(source, path, sha256, word):
    with pytest.raises(ValueError, match=word):
        data.fetch(source, path, sha256)


def test_data_inside_packages():
    topics = data.pydoc_topics()
    assert len(topics) > 70 and sum(map(len, topics.values())) > 400_000
    assert "iris" in data.sklearn_descriptions()["iris"].lower()


def test_dysts_without_gluonts():
    try:
        systems = data.dysts()
    except data.Missing:
        pytest.skip("dysts is not installed")
    from dysts.flows import Lorenz

    assert data.dysts() is systems is sys.modules["dysts"]  # a second call too
    assert Lorenz().rhs(np.ones(3), 0.0)[0] == pytest.approx(0.0)
