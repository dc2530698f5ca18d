"""Where documents come from: files, pipes, standard input and addresses, none of which can hold up a run for ever."""

import socketserver
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from microgpt import sources
from microgpt.cli import main
from microgpt.data import load_documents

BOM, ZERO_WIDTH = "\ufeff", "\u200b"


class Server(BaseHTTPRequestHandler):
    """Answers as its class says; `seen` holds the paths that were asked for."""

    def do_GET(self):
        self.server.seen.append(self.path)
        self.server.answer(self)

    def log_message(self, *args):
        pass


@pytest.fixture
def serve(monkeypatch):
    """Start a server with this answer; its address."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    opened = []

    def start(answer):
        socketserver.TCPServer.allow_reuse_address = True
        server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
        server.answer, server.seen, server.daemon_threads, server.block_on_close = answer, [], True, False
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        opened.append(server)
        start.server = server
        return f"http://127.0.0.1:{server.server_port}/names.txt"

    yield start
    for server in opened:
        server.shutdown()
        server.server_close()


def sends(content=b"", **headers):
    def answer(handler):
        handler.send_response(200)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def goes_to(address):
    def answer(handler):
        handler.send_response(302)
        handler.send_header("Location", address)
        handler.end_headers()

    return answer


def drips(handler):
    """A byte now and then, of the headers too: no wait between two of them is long."""
    try:
        while True:
            handler.wfile.write(b"a")
            time.sleep(0.01)
    except OSError:
        pass


def drips_content(handler):
    sends()(handler)
    drips(handler)


def sends_for_ever(handler):
    sends()(handler)
    try:
        while True:
            handler.wfile.write(b"abc\n" * 10_000)
    except OSError:
        pass


def test_an_address_is_downloaded_when_asked_for_and_nothing_is_written(serve, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_documents(serve(sends("emma\r\nzoë\n".encode()))) == ["emma", "zoë"]
    assert list(tmp_path.iterdir()) == []


def test_an_address_that_is_not_there_is_an_oserror(serve):
    with pytest.raises(OSError, match=r"names\.txt: HTTP error 404"):
        load_documents(serve(lambda handler: handler.send_error(404)))


@pytest.mark.parametrize(("length", "missing"), [("1000", "996 bytes before"), ("9" * 30, "[9,]*95 bytes before")])
def test_an_answer_that_breaks_off_is_an_oserror(serve, length, missing):
    with pytest.raises(OSError, match=f"the download ends {missing} its end"):
        load_documents(serve(sends(b"emma", Content_Length=length)))


@pytest.mark.parametrize("answer", [drips, drips_content])
def test_an_answer_that_drips_ends_in_time(serve, answer):
    address, start = serve(answer), time.monotonic()
    with pytest.raises(OSError, match="takes too long") as caught:
        load_documents(address, max_seconds=0.3)
    assert time.monotonic() - start < 30
    assert str(caught.value).startswith(address)


def test_an_answer_without_an_end_is_given_up_at_its_limit(serve):
    with pytest.raises(ValueError, match="larger than 100,000 bytes"):
        load_documents(serve(sends_for_ever), max_bytes=100_000)


@pytest.mark.parametrize("target", ["ftp://127.0.0.1/x", "file:///etc/hostname", "data:,emma", "gopher://127.0.0.1/"])
def test_a_redirection_to_another_scheme_is_refused(serve, target):
    with pytest.raises(OSError, match=r"^http://127"):
        load_documents(serve(goes_to(target)))


def test_a_redirection_to_http_is_followed_but_not_for_ever(serve):
    there = serve(sends(b"emma\n"))
    assert load_documents(serve(goes_to(there))) == ["emma"]
    with pytest.raises(OSError, match="302"):
        load_documents(serve(goes_to("/names.txt")))


@pytest.mark.parametrize(
    "address",
    [
        *("http://[::1/x", "http://", "http://\x7f/", "http://127.0.0.1:x/", "http://127.0.0.1/\xe9", "http://a b/"),
        *("http://" + "a" * 70 + "/", "http://127.0.0.1:99999/", "http://..", "HTTP://127.0.0.1:9/"),
    ],
)
def test_an_address_that_cannot_be_is_an_oserror_with_its_name(address, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(OSError, match=r"http:|HTTP:") as caught:
        load_documents(address, max_seconds=10)
    assert str(caught.value).startswith(f"{address}: ")


@pytest.mark.parametrize("content", [b"\xff", b"a\0b", b""])
def test_an_answer_that_is_no_text_is_refused_with_its_address(serve, content):
    address = serve(sends(content))
    with pytest.raises(ValueError, match="http://127"):
        load_documents(address)


def test_a_pipe_is_read_to_its_limit(tmp_path):
    device = tmp_path / "zero"
    device.symlink_to("/dev/zero")
    with pytest.raises(ValueError, match="larger than 1,000 bytes"):
        load_documents(device, max_bytes=1000)


def test_the_bounds_are_generous():
    assert sources.MAX_BYTES == 1 << 30
    assert 60 <= sources.MAX_SECONDS <= 3600


# ---- invisible characters ----

EDGES = [
    (f"{BOM}emma\nolivia\n", ["emma", "olivia"], 1),
    (f"{BOM}emma\n{BOM}olivia\n", ["emma", "olivia"], 2),  # cat a b
    (f"{BOM}{BOM} {ZERO_WIDTH}\t{BOM}emma{ZERO_WIDTH} \n", ["emma"], 1),
    (f"emma\u2060\n{ZERO_WIDTH}\nolivia", ["emma", "olivia"], 2),
    (f"em{ZERO_WIDTH}ma\n", [f"em{ZERO_WIDTH}ma"], 0),  # inside a word it is the user's
    ("emma\n", ["emma"], 0),
]


@pytest.mark.parametrize(("text", "documents", "changed"), EDGES)
def test_invisible_characters_at_the_edges_are_left_out_and_told(tmp_path, text, documents, changed):
    (tmp_path / "names.txt").write_text(text, encoding="utf-8")
    told = []
    assert load_documents(tmp_path / "names.txt", note=told.append) == documents
    assert len(told) == (changed > 0)
    assert all(f" {changed} lines" in line for line in told)


def test_invisible_characters_can_be_kept(tmp_path):
    (tmp_path / "names.txt").write_text(f"{BOM}emma\n", encoding="utf-8")
    assert load_documents(tmp_path / "names.txt", keep_invisible=True) == [f"{BOM}emma"]


@pytest.mark.parametrize("text", [BOM, BOM * 3, f"\n{ZERO_WIDTH} {BOM}\n"])
def test_a_file_of_invisible_characters_alone_holds_no_documents(tmp_path, text):
    (tmp_path / "names.txt").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="no documents"):
        load_documents(tmp_path / "names.txt")


def test_an_answer_is_freed_of_them_too(serve):
    assert load_documents(serve(sends(f"{BOM}emma\n".encode()))) == ["emma"]


# ---- what a checkpoint names is not fetched ----


def test_resuming_fetches_nothing_that_the_command_line_does_not_name(serve, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    address = serve(sends(b"emma\nolivia\n"))
    tiny = ["--n-embd", "4", "--n-head", "2", "--block-size", "8", "--samples", "0"]
    assert main(["train", "--data", address, "--steps", "2", "--out", "run", *tiny]) == 0
    assert serve.server.seen == ["/names.txt"]
    capsys.readouterr()
    assert main(["train", "--resume", "run", "--steps", "3"]) == 2
    assert f"came from {address}: give it again, with --data" in capsys.readouterr().err
    assert serve.server.seen == ["/names.txt"]
    assert main(["train", "--resume", "run", "--steps", "3", "--data", address]) == 0
    assert serve.server.seen == ["/names.txt"] * 2
