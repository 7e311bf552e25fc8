"""Downloads from a server on this machine (F50)."""

import threading
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from gancli.errors import DownloadError
from gancli_hub import fetching
from gancli_hub.fetching import Remote, fetch

CONTENT = bytes(range(256)) * 2000


class Handler(BaseHTTPRequestHandler):
    """What the file's address begins with says how the server behaves."""

    asked = []  # noqa: RUF012  (as a plugin writes it)
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        way = self.path.split("/")[1]
        self.asked.append(way)
        if way == "missing":
            self.answer(404, b"")
        elif way == "file":
            self.answer(302, b"", Location="file:///etc/passwd")
        elif way == "elsewhere":
            self.answer(302, b"", Location="/good/x.bin")
        elif way == "wrong":
            self.answer(200, CONTENT[:-1] + b"!")
        elif way == "long":
            self.answer(200, CONTENT * 3)
        elif way == "short":
            self.answer(200, CONTENT[:-100])
        elif way == "cut":
            self.answer(200, CONTENT, stop=300_000)
        else:
            self.answer(200, CONTENT)

    def answer(self, code, body, stop=None, **headers):
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[:stop])
        self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.fixture
def remote(server, monkeypatch):
    monkeypatch.delenv("GANCLI_OFFLINE", raising=False)
    Handler.asked.clear()
    return lambda *ways: Remote("x.bin", tuple(f"{server}/{way}/" for way in ways), len(CONTENT), sha256(CONTENT).hexdigest())


def test_a_download_is_announced_checked_and_kept(remote, tmp_path, caplog, server):
    caplog.set_level("WARNING", "gancli")
    target = fetch(remote("good"), tmp_path / "new")
    assert target.read_bytes() == CONTENT
    assert caplog.messages == [f"downloading {server}/good/x.bin (512,000 bytes) to {target}"]
    assert fetch(remote("good"), tmp_path / "new") == target
    assert Handler.asked == ["good"]
    assert list((tmp_path / "new").iterdir()) == [target]


@pytest.mark.parametrize(
    ("way", "words"),
    [
        ("wrong", "its SHA-256 is not"),
        ("long", "larger than 512,000 bytes"),
        ("short", "it ended after 511,900 of 512,000 bytes"),
        ("file", "redirects to file:///etc/passwd, which is not followed"),
        ("missing", "HTTP 404"),
    ],
)
def test_F50_what_is_wrong_is_refused_with_code_10_and_never_gets_the_name(remote, tmp_path, way, words):
    with pytest.raises(DownloadError, match=words) as caught:
        fetch(remote(way), tmp_path)
    assert caught.value.exit_code == 10
    assert not (tmp_path / "x.bin").exists()


def test_F50_the_next_mirror_is_tried(remote, tmp_path):
    assert fetch(remote("missing", "wrong", "file", "elsewhere"), tmp_path).read_bytes() == CONTENT


def test_F50_a_cut_download_leaves_nothing(remote, tmp_path):
    with pytest.raises(DownloadError, match="could not be downloaded"):
        fetch(remote("cut"), tmp_path)
    assert [*tmp_path.iterdir()] == []
    assert fetch(remote("good"), tmp_path).read_bytes() == CONTENT


def test_F50_what_is_there_and_wrong_is_replaced(remote, tmp_path):
    (tmp_path / "x.bin").write_bytes(CONTENT[::-1])
    assert fetch(remote("good"), tmp_path).read_bytes() == CONTENT


def test_F50_an_encrypted_address_is_not_left_for_a_plain_one():
    answer = requests.Response()
    answer.url, answer.status_code, answer.headers["Location"] = "https://example.org/x", 302, "http://example.org/x"
    with pytest.raises(fetching._RefusedError, match=r"redirects to http://example\.org/x"):
        fetching._refuse_downgrade(answer)
    answer.headers["Location"] = "/elsewhere"
    fetching._refuse_downgrade(answer)


def test_F50_no_server_is_one_error(tmp_path, monkeypatch):
    monkeypatch.delenv("GANCLI_OFFLINE", raising=False)
    with pytest.raises(DownloadError, match="could not be downloaded"):
        fetch(Remote("x.bin", ("http://127.0.0.1:9/",), 5, "0"), tmp_path)


def test_offline_refuses_with_the_steps_by_hand(remote, tmp_path, monkeypatch):
    monkeypatch.setenv("GANCLI_OFFLINE", "1")
    with pytest.raises(
        DownloadError, match=r"GANCLI_OFFLINE forbids it\. Download http.*/good/x\.bin \(512,000 bytes\) elsewhere"
    ):
        fetch(remote("good"), tmp_path)
    assert Handler.asked == []
    (tmp_path / "x.bin").write_bytes(CONTENT)
    assert fetch(remote("good"), tmp_path).read_bytes() == CONTENT
