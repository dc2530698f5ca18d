"""`microgpt run` beside `python`: arguments, folders, tracebacks, exit status, signals, and impossible paths."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import zipapp

import pytest
from running import ACCELERATED, Run, accelerated, interpreted, small_gpt

VALUE = small_gpt().split("n_embd = 4")[0]
REPORT = "microgpt run: "


@pytest.fixture
def script(tmp_path):
    """Writes a script, called script.py unless it is given another name."""

    def write(source: str | bytes, name: str = "script.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.encode() if isinstance(source, str) else source)
        return path

    return write


def without_report(run: Run) -> Run:
    kept = [line for line in run.stderr.splitlines() if not line.startswith(REPORT)]
    return Run(run.status, run.stdout, "\n".join(kept))


def same(path, arguments=(), **options) -> Run:
    """Both ways end alike, with the same words on both streams, the report left out."""
    plain, fast = interpreted(path, arguments, **options), accelerated(path, arguments, **options)
    assert without_report(fast) == without_report(plain)
    return fast


ENVIRONMENT = (
    VALUE
    + """
import os, sys
print(sys.argv, __name__, __file__, __doc__, __spec__, __package__)
print(os.getcwd() == os.path.dirname(os.path.abspath(__file__)))
print(sys.path[0] == os.path.dirname(os.path.abspath(__file__)))
print(sorted(name for name in globals()))
print(Value.__init__ is not None, (Value(2.0) * 3).data)
"""
)


def test_arguments_names_and_globals_are_those_of_a_script(script):
    run = same(script(ENVIRONMENT), ["--lr", "0.1", "--", "-x", "--quiet", "--check"])
    assert b"['script.py', '--lr', '0.1', '--', '-x', '--quiet', '--check'] __main__ " in run.stdout


def test_a_script_in_another_folder(script):
    path = script(ENVIRONMENT, "inner/script.py")
    (path.parent / "beside.py").write_text("word = 'beside'")
    (path).write_text(ENVIRONMENT + "import beside\nprint(beside.word)\n")
    plain = subprocess.run([sys.executable, "inner/script.py"], cwd=path.parent.parent, capture_output=True, check=True)
    fast = subprocess.run([*ACCELERATED, "inner/script.py"], cwd=path.parent.parent, capture_output=True, check=True)
    assert fast.stdout == plain.stdout and b"beside" in fast.stdout


def test_relative_paths_are_read_and_written_where_they_would_be(script, tmp_path):
    same(script(VALUE + "open('out.txt', 'w').write(str((Value(2.0) + 1).data))\nprint(open('out.txt').read())"))
    assert (tmp_path / "out.txt").read_text() == "3.0"


@pytest.mark.parametrize("name", ["microgpt.py", "value.py", "ast.py", "numbers_in.py"])
def test_a_script_may_have_any_name(script, name):
    assert same(script(small_gpt(), name)).status == 0


def test_a_script_beside_a_file_called_microgpt_imports_that_file(script):
    script("word = 'mine'\n" + VALUE, "microgpt.py")
    run = same(
        script(
            VALUE + "import microgpt\nprint(microgpt.word, microgpt.Value(2.0).log().data, Value(1.0).exp().data)\n"
            "import copy\nprint(copy.deepcopy(Value(2.0)).data)"
        )
    )
    assert run.stdout.endswith(b"2.0\n") and b"mine" in run.stdout


def test_a_line_says_that_a_file_beside_the_script_hides_the_package(script):
    original = script(VALUE, "microgpt.py")
    mine = script("import math\n\nfrom microgpt import Value\n\nprint(Value(2.0).log().data)\n", "mine.py")
    said = same(mine).stderr.splitlines()
    hint = "line 3 imports the microgpt beside the script; this package: from microgpt_engine import ..."
    assert said[0] == REPORT + hint
    assert accelerated(mine, flags=["--quiet"]).stderr == ""
    assert "microgpt_engine" not in accelerated(original).stderr
    original.unlink()
    assert "microgpt_engine" not in accelerated(mine).stderr


def test_a_script_called_microgpt_may_use_the_second_name_of_the_package(script):
    source = "from microgpt_engine import Value, linear\n"
    source += "print(linear([Value(2.0)], [[Value(3.0)]])[0].data, Value(1.0).exp().data)"
    assert same(script(source, "microgpt.py")).status == 0


def test_a_script_that_asks_for_the_package_itself_gets_it(script):
    run = accelerated(script("from microgpt import Value, linear\nprint(linear([Value(2.0)], [[Value(3.0)]])[0].data)"))
    assert (run.status, run.stdout) == (0, b"6.0" + os.linesep.encode())
    assert "nothing was swapped; the script runs as it is" in run.stderr


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("raise SystemExit", 0),
        ("import sys; sys.exit(3)", 3),
        ("import sys; sys.exit('went wrong')", 1),
        ("raise SystemExit(None)", 0),
        ("import os; os._exit(7)", 7),
        ("1 / 0", 1),
        ("import atexit; atexit.register(print, 'at the end'); 1 / 0", 1),
        ("import threading; threading.Timer(0.05, print, ['later']).start()", 0),
        ("raise KeyError('x') from ValueError('y')", 1),
        ("import sys; sys.excepthook = lambda *a: print('hook', a[0].__name__, a[2].tb_lineno > 5); 1 / 0", 1),
        ("import sys; sys.stderr.close(); print('on')", 0),
    ],
)
def test_the_exit_status_and_what_is_said_at_the_end(script, end, status):
    run = same(script(VALUE + "print((Value(2.0) + 1).data)\n" + end + "\n"))
    assert run.status == status


def test_a_traceback_shows_the_user_s_frames_and_lines(script):
    source = small_gpt(
        ("x = [xi.relu() for xi in x]", "x = [xi.relu() for xi in x]\n        if pos_id == 2: raise ValueError('here')")
    )
    run = same(script(source))
    assert "ValueError: here" in run.stderr and "microgpt/accelerate" not in run.stderr


def test_an_error_in_the_class_s_arithmetic_is_shown_from_the_user_s_line_on(script):
    path = script(VALUE + "def f(x):\n    return x.log()\n\nf(Value(-1.0))\n")
    plain, fast = interpreted(path), accelerated(path)
    assert fast.stderr.splitlines()[-1] == plain.stderr.splitlines()[-1]
    assert plain.stderr.splitlines()[-1].startswith("ValueError: ")
    assert "line" in fast.stderr and ", in f" in fast.stderr and "_engine" not in fast.stderr


def test_an_error_in_a_function_that_was_swapped_comes_from_the_user_s_own_line(script):
    path = script(
        small_gpt(
            ('print(f"num params', "linear([Value(1.0)], [['a']])\nprint(f\"num params"),
            (
                "params = [p for",
                "def linear(x, w):\n    return [sum(wi * xi for wi, xi in zip(wo, x)) for wo in w]\n\n\n"
                "params = [p for",
            ),
        )
    )
    plain, fast = interpreted(path), accelerated(path)
    assert plain.status == fast.status == 1
    assert ", in linear" in fast.stderr and ", in <genexpr>" in fast.stderr
    assert fast.stderr.splitlines()[-1].startswith("TypeError")


@pytest.mark.parametrize(
    "source",
    [
        "print('a'\n",
        "def f():\nreturn 1\n",
        "x = 1\n  y = 2\n",
        "return 5\n",
        "f(a=1, a=2)\n",
        b"\xff\xfe print(1)\n",
        b"x = '\xe9'\n",
        b"print(1)\n# \xe9\nprint(2)\n",
        b"# coding: utf-8\nx = '\xe9'\n",
        b"# coding: unheard-of\nx = 1\n",
        b"\xef\xbb\xbf# coding: latin-1\nx = 1\n",
        b"a = 1\0\n",
    ],
)
def test_a_script_that_cannot_be_compiled_is_refused_in_python_s_words(script, source):
    path = script(source)
    assert accelerated(path) == interpreted(path)


def test_an_encoding_declaration_and_a_byte_order_mark(script):
    same(
        script(b"# -*- coding: latin-1 -*-\n" + VALUE.encode() + "print('é', Value(1.0).data)".encode("latin-1")),
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    same(script(b"\xef\xbb\xbf" + VALUE.encode() + b"print(Value(1.0).exp().data)"))


def test_the_future_and_the_script_s_own_source(script):
    same(
        script(
            '"""doc"""\nfrom __future__ import annotations\n'
            + VALUE
            + "def f(x: nothing) -> Value: return x\nprint(f.__annotations__)\n"
            + "print(len(open(__file__).read()), __doc__)"
        )
    )


def test_warnings_are_said_once(script):
    run = same(script(VALUE + "print(Value(1.0) is 1)\n"))
    assert run.stderr.count("SyntaxWarning") == 1


def test_input_from_standard_input(script):
    same(script(VALUE + "print((Value(float(input())) * 2).data)"), input=b"21\n")


def test_a_value_as_exponent_is_the_error_of_the_scripts_class(script):
    """Ours takes Values as exponents."""
    attempt = "try:\n    print(a ** b)\nexcept Exception as error:\n    print(type(error).__name__, error)\n"
    same(script(VALUE + "a, b = Value(2.0), Value(3.0)\n" + attempt))


def test_a_reader_that_goes_away(script):
    path = script(VALUE + "for k in range(100000): print((Value(k) + 1).data)")
    ends = []
    for command in ([sys.executable], [*ACCELERATED, "--quiet"]):
        with subprocess.Popen(
            [*command, path.name], cwd=path.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as run:
            run.stdout.readline()
            run.stdout.close()
            ends.append((run.stderr.read().decode().splitlines()[-1:], run.wait()))
    assert ends[0] == ends[1]


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_ends_it_as_it_ends_python(script):
    """Printed and slept in one line: the signal may come before the sleep has begun."""
    path = script(VALUE + "import time\nprint((Value(1.0) + 1).data, flush=True); time.sleep(600)\n")
    ends = []
    for command in ([sys.executable], [*ACCELERATED, "--quiet"]):
        with subprocess.Popen(
            [*command, path.name], cwd=path.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as run:
            for _ in range(len(VALUE_SAYS.splitlines()) + 1):
                run.stdout.readline()
            run.send_signal(signal.SIGINT)
            said = run.stderr.read().decode().splitlines()
            ends.append((said[-1], [line for line in said if "File" in line], run.wait()))
    assert ends[0] == ends[1] and ends[0][2] == -signal.SIGINT


@pytest.mark.parametrize("what", ["missing.py", ".", ""])
def test_a_path_without_a_script_is_one_line_and_status_2(tmp_path, what):
    run = subprocess.run([*ACCELERATED, what], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 2 and run.stdout == ""
    assert len(run.stderr.splitlines()) == 1 and run.stderr.startswith(REPORT)


@pytest.mark.parametrize("name", ["app.pyz", "app", "app.py"])
def test_an_archive_is_one_line_and_status_2_whatever_its_name(tmp_path, name):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "__main__.py").write_text("print('ran')")
    zipapp.create_archive(tmp_path / "source", tmp_path / name, interpreter="/usr/bin/env python3")
    run = accelerated(tmp_path / name)
    assert run == Run(2, b"", f"{REPORT}{name} is an archive, not a script\n")


def test_a_folder_s_line_names_the_script_in_it(tmp_path):
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__main__.py").write_text("print('ran')")
    main = os.path.join("app", "__main__.py")
    assert accelerated(tmp_path / "app") == Run(2, b"", f"{REPORT}app is a folder; name the script in it: {main}\n")


def test_what_looks_like_the_end_of_an_archive_is_a_script_still(script):
    assert same(script(b"# PK\x05\x06\nprint('ran')\n")).stdout == b"ran" + os.linesep.encode()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_one_line_and_status_2(script):
    path = script("print(1)")
    path.chmod(0)
    run = accelerated(path)
    assert run.status == 2 and len(run.stderr.splitlines()) == 1


def test_quiet_says_nothing(script):
    assert accelerated(script(small_gpt()), flags=["--quiet"]).stderr == ""


def test_standard_error_that_is_closed_hinders_nothing(script):
    path = script(VALUE + "print((Value(2.0) * 3).data)")
    command = f"{shlex.join(ACCELERATED)} {path.name} 2>&-"
    run = subprocess.run(command, shell=True, cwd=path.parent, capture_output=True, check=False)
    assert (run.returncode, run.stdout) == (0, VALUE_SAYS + b"6.0\n")


VALUE_SAYS = b"num docs: 7\nvocab size: 11\n"
