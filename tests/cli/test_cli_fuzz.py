"""Wrong options, damaged files, strange answers by the thousand: each is a result or one line, no traceback, no hang.

The same tries every time: 5,000 of them where tests run at length, 450 elsewhere.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import threading

import pytest
from cli_program import TINY
from effort import at_length

from microgpt import checkpoint
from microgpt.checkpoint import FILE_NAME, load, save
from microgpt.cli import main
from microgpt.data import load_documents

TRIES = at_length(dict.fromkeys(("options", "files", "answers"), 150), {"options": 3000, "files": 1500, "answers": 500})
BATCHES = 5
SECONDS = 30  # within which a try must end
KINDS = [(kind, batch) for kind in TRIES for batch in range(BATCHES)]

NUMBERS = [
    "0",
    "1",
    "2",
    "3",
    "-1",
    "7",
    "1.5",
    "nan",
    "inf",
    "1e-320",
    "1e400",
    "9" * 30,
    "",
    "x",
    "0x10",
    "1_0",
    " 2",
    "²",
]
PATHS = [
    *(
        "documents.txt",
        "run",
        "new",
        "nothing",
        ".",
        "",
        "/dev/null",
        "pipe",
        "link",
        "loop",
        "folder",
        "a\nb",
        "-",
        "--",
    ),
    *(
        "http://127.0.0.1:9/",
        "http://[",
        "\udcff",
        "x" * 300,
        "run/checkpoint.safetensors",
        "log",
        "bom.txt",
        "out.png",
    ),
]
WORDS = ["char", "word", "linear", "wild", "json", "csv", "npz", "ada", "zz", "é", "\x1b[2J"]
FLAGS = {
    "train": [
        *("data", "holdout", "tokenizer", "data-limit", "data-timeout", "n-layer", "n-embd", "n-head", "block-size"),
        *("steps", "seed", "lr", "schedule", "batch-size", "clip-norm", "threads", "init-from", "out", "resume"),
        *("save-every", "eval-every", "keep-best", "patience", "log", "samples", "temperature"),
    ],
    "sample": ["from", "num", "temperature", "top-k", "prompt", "seed", "explain"],
    "export": ["format", "out"],
    "info": ["nonsense"],
}
ARE_PATHS = {"data", "init-from", "out", "resume", "log", "from"}
ARE_WORDS = {"tokenizer", "schedule", "prompt", "format"}


@pytest.fixture
def here(here, monkeypatch):
    """A folder with everything that a name may stand for."""
    monkeypatch.setenv("no_proxy", "*")
    (here / "bom.txt").write_text("\ufeffada\nbob\n", encoding="utf-8")
    (here / "folder").mkdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo("pipe")
        os.symlink("documents.txt", "link")
        os.symlink("loop", "loop")
    train = ["train", "--data", "documents.txt", "--steps", "3", "--samples", "1", "--holdout", "2", "--out", "run"]
    assert main([*train, *TINY]) == 0
    shutil.copytree("run", "run.whole")
    return here


@contextlib.contextmanager
def in_time(what):
    """AssertionError if it takes too long, where the system has such alarms."""

    def late(signum, frame):
        raise AssertionError(f"it hangs: {what!r}")

    if not hasattr(signal, "SIGALRM"):
        yield
        return
    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def attempt(arguments, capsys):
    """Run the program: a status it knows, and at most one complaint, in one line, the last."""
    with in_time(arguments):
        status = main(arguments)
    err = capsys.readouterr().err
    assert status in (0, 2), (arguments, status)
    complaints = [line for line in err.splitlines() if line.startswith("microgpt")]
    assert len(complaints) == (status == 2), (arguments, err)
    assert "Traceback" not in err and "\x1b" not in err, (arguments, err)
    assert not complaints or err.splitlines()[-1] == complaints[0], (arguments, err)


# ---- options ----


def some_arguments(rng):
    command = rng.choice(list(FLAGS))
    arguments = [command]
    if command == "train" and rng.random() < 0.8:
        arguments += ["--data", "documents.txt", "--steps", "3", "--samples", "1", *TINY]
    if command in ("export", "info") or rng.random() < 0.02:
        arguments.append(rng.choice(["run", *(path for path in PATHS if path != "pipe")]))
    for _ in range(rng.randrange(5)):
        name = rng.choice(FLAGS[command])
        arguments.append(f"--{name}")
        if rng.random() < 0.95 and name not in ("keep-best", "explain"):
            arguments.append(some_value(rng, name))
    return arguments


def some_value(rng, name):
    if name in ARE_PATHS and rng.random() < 0.9:
        # what reads documents may wait for a pipe's writer, as every program does
        return rng.choice([path for path in PATHS if name != "data" or path not in ("pipe", "-")])
    if name in ARE_WORDS and rng.random() < 0.9:
        return rng.choice(WORDS)
    if name == "n-embd" and rng.random() < 0.5:
        return rng.choice(["2", "4", "6"])
    return rng.choice(NUMBERS)


def options(rng, here, capsys, monkeypatch):
    attempt(some_arguments(rng), capsys)
    for name in ("new", "log", "out.png", "x" * 200, "model.json", "model.csv", "model.npz", "a\nb"):
        shutil.rmtree(name, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.unlink(name)
    if (here / "run" / FILE_NAME).read_bytes() != (here / "run.whole" / FILE_NAME).read_bytes():
        shutil.copyfile(here / "run.whole" / FILE_NAME, here / "run" / FILE_NAME)


# ---- files ----

STRANGE = [
    None,
    True,
    False,
    0,
    1,
    -1,
    1.5,
    10**400,
    float("nan"),
    float("inf"),
    "",
    "x",
    "http://127.0.0.1:9/",
    [],
    {},
    [[]],
]


def forge(rng, kept, path, monkeypatch):
    """Write a whole checkpoint, of which one field or one of its parts is another."""
    metadata = checkpoint._metadata(kept)
    field = rng.choice(["notes"] * 8 + ["settings"] * 4 + ["config", "rng_state", "step", "vocabulary", "data_digest"])
    if field in ("settings", "notes", "config", "rng_state") and rng.random() < 0.8:
        value = json.loads(metadata[field])
        places = range(3) if field == "rng_state" else [*value, "x"]
        value[rng.choice(places)] = rng.choice([*STRANGE, *range(1, 9)])
    else:
        value = rng.choice(STRANGE)
    forged = {**metadata, field: json.dumps(value)}
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "_metadata", lambda kept: forged)
        save(str(path), kept)


INSERTED = [b"\0", b"\xff\xfe", b"[" * 3000, b'{"x":', b"\xef\xbb\xbf"]


def damaged(rng, content):
    """Some bytes, altered in a few places, cut or prolonged."""
    content = bytearray(content)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(content) + 1)
        match rng.randrange(4):
            case 0:
                content[at : at + 1] = rng.randbytes(1)
            case 1:
                del content[at : at + rng.randrange(50)]
            case 2:
                content[at:at] = rng.choice([*INSERTED, rng.randbytes(9)])
            case 3:
                del content[at:]
        if not content:
            break
    return bytes(content)


def files(rng, here, capsys, monkeypatch):
    whole = (here / "run.whole" / FILE_NAME).read_bytes()
    path = here / "run" / FILE_NAME
    path.write_bytes(whole)
    kind = rng.choice(["forged", "forged", "damaged", "log", "documents"])
    commands = [
        ["train", "--resume", "run", "--steps", "4"],
        ["sample", "--from", "run", "--num", "1"],
        ["info", "run"],
    ]
    commands += [["train", "--init-from", "run", "--data", "documents.txt", "--steps", "1", "--samples", "1"]]
    if kind == "forged":
        forge(rng, load(here / "run.whole"), path, monkeypatch)
    elif kind == "damaged":
        path.write_bytes(damaged(rng, whole))
    elif kind == "log":
        log = b"".join(json.dumps({"step": step, "loss": 1.0}).encode() + b"\n" for step in range(1, 5))
        (here / "log").write_bytes(damaged(rng, log))
        commands = [[*commands[0], "--log", "log"]]
    else:
        text = "ada\nbob\n\ufeffzoé\n".encode() * rng.randrange(1, 5)
        (here / "strange.txt").write_bytes(damaged(rng, text))
        commands = [["train", "--data", "strange.txt", "--steps", "1", "--samples", "1"]]
    attempt(commands[0] if rng.random() < 0.5 else rng.choice(commands), capsys)


# ---- answers ----

HEADERS = [
    *(
        "Content-Length: 5",
        "Content-Length: -1",
        "Content-Length: " + "9" * 30,
        "Content-Length: x",
        "Connection: close",
    ),
    *(
        "Transfer-Encoding: chunked",
        "Location: /",
        "Location: ftp://x/",
        "Location: file:///etc/passwd",
        "X: " + "y" * 70000,
    ),
    *("Content-Encoding: gzip", "Location: http://[", ": ", "no colon", "Content-Type: text/html; charset=\u00e9"),
]
LINES = [
    "HTTP/1.1 200 OK",
    "HTTP/1.1 302 Found",
    "HTTP/1.1 404 \x1b[2J",
    "HTTP/9.9 200",
    "HTTP/1.1 999 x",
    "ICY 200",
    "",
    "HTTP",
]
BODIES = [
    b"ada\nbob\n",
    b"5\r\nada\nb\r\n0\r\n\r\n",
    b"ffffffffffffffff\r\nada",
    b"x\r\n",
    b"\xff",
    b"",
    b"\0",
    b"a" * 100_000,
]


def an_answer(rng):
    head = [
        rng.choice(LINES if rng.random() < 0.5 else LINES[:1]),
        *(rng.choice(HEADERS) for _ in range(rng.randrange(4))),
    ]
    content = "\r\n".join([*head, "", ""]).encode() + rng.choice(BODIES)
    return damaged(rng, content) if rng.random() < 0.3 else content


def answers(rng, here, capsys, monkeypatch):
    content = an_answer(rng)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/names.txt"

        def serve():
            with contextlib.suppress(OSError):
                server.settimeout(10)
                for _ in range(2):  # a redirection may come back
                    connection, _ = server.accept()
                    with connection:
                        connection.settimeout(5)
                        connection.recv(9999)
                        connection.sendall(content)

        threading.Thread(target=serve, daemon=True).start()
        with in_time(content):
            try:
                documents = load_documents(address, max_bytes=50_000, max_seconds=2)
            except (OSError, ValueError) as error:
                complaint = str(error)
            else:
                complaint = address if documents and all(documents) else "no documents"
        assert address in complaint, (content, complaint)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "batch"), KINDS)
# urllib leaves a connection to the garbage collector where a redirection cannot be parsed
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_nothing_is_a_traceback_or_a_hang(here, capsys, monkeypatch, kind, batch):
    attack = {"options": options, "files": files, "answers": answers}[kind]
    for number in range(TRIES[kind] // BATCHES):
        attack(random.Random(f"{kind} {batch} {number}"), here, capsys, monkeypatch)
