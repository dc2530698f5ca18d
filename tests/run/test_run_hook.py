"""The import hook and the notebook's cells: the class of a module or cell, without any command."""

from __future__ import annotations

import ast
import subprocess
import sys
from types import SimpleNamespace

import pytest
from running import accelerated, interpreted, small_gpt

CLASS = "import math\n" + small_gpt()[small_gpt().index("class Value:") : small_gpt().index("n_embd = 4")]
KEEPS = CLASS + "import pickle\ndef kept(numbers): return pickle.dumps(numbers)\n"
GELU = CLASS.replace(
    "    def __neg__", "    def gelu(self):\n        return Value(self.data * 2, (self,), (2.0,))\n\n    def __neg__"
)
USE = """
from engine import Value
import engine
a = Value(2.0)
b = (a * 3 + 1).exp()
b.backward()
print(a.grad, b.data, isinstance(b, Value), type(b) is Value)
print(Value.__mro__[-2].__module__, engine.__file__[-9:], Value.__name__)
"""


def python(source: str, folder, *flags: str) -> str:
    done = subprocess.run(
        [sys.executable, *flags, "-c", source], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("source", [CLASS, GELU, KEEPS], ids=["the script's", "a method more", "a pickle"])
def test_a_module_imported_after_the_package_gets_the_compiled_class(tmp_path, source):
    (tmp_path / "engine.py").write_text(source)
    plain, fast = (
        python(USE, tmp_path).splitlines(),
        python("import microgpt.accelerate\n" + USE, tmp_path).splitlines(),
    )
    assert fast[0] == plain[0]
    assert plain[1] == "engine engine.py Value" and fast[1] == "microgpt._engine engine.py Value"


@pytest.mark.parametrize(
    "wish", ["import microgpt.accelerate", "import microgpt.accelerate as fast", "from microgpt import accelerate"]
)
def test_a_script_that_imports_it_runs_under_the_command_too(tmp_path, wish):
    (tmp_path / "engine.py").write_text(CLASS)
    use = USE.rsplit("print", 1)[0]  # without a look at the class, which the script's own wish has changed
    for name, source in {
        "beside.py": f"{wish}\n{use}",
        "inside.py": f"{wish}\n{CLASS}\nprint(Value(2.0).data)",
    }.items():
        (tmp_path / name).write_text(source)
        plain, fast = interpreted(tmp_path / name), accelerated(tmp_path / name)
        assert (fast.status, fast.stdout) == (0, plain.stdout)
        assert "swapped" in fast.stderr and "nothing was swapped" not in fast.stderr


def test_methods_of_the_module_s_own_are_kept_and_others_hidden(tmp_path):
    (tmp_path / "engine.py").write_text(GELU)
    use = "from engine import Value\nx = (Value(3.0) + 0).gelu()\nx.backward()\n"
    use += "print(x.data, type(x).__module__, hasattr(x, 'tanh'))"
    assert python("import microgpt.accelerate\n" + use, tmp_path) == "6.0 engine False\n"
    assert python(use, tmp_path) == "6.0 engine False\n"


def test_the_package_s_own_class_keeps_its_shape(tmp_path):
    (tmp_path / "engine.py").write_text(CLASS)
    use = "import microgpt.accelerate, engine\nfrom microgpt import Value\n"
    use += "print(engine.Value is Value, hasattr(Value, 'gelu'))"
    assert python(use, tmp_path) == "True True\n"


def test_packages_and_relative_imports(tmp_path):
    package = tmp_path / "mine"
    package.mkdir()
    (package / "__init__.py").write_text("from .engine import Value\n")
    (package / "engine.py").write_text(CLASS)
    use = "import microgpt.accelerate, mine\nprint(mine.Value.__module__, (mine.Value(2.0) ** 2).data)"
    assert python(use, tmp_path) == "microgpt._engine 4.0\n"


def test_modules_without_such_a_class_are_not_touched(tmp_path):
    (tmp_path / "engine.py").write_text("class Value:\n    pass\n\ndef backward():\n    return __name__\n")
    assert (
        python("import microgpt.accelerate, engine\nprint(engine.backward(), engine.Value.__module__)", tmp_path)
        == "engine engine\n"
    )


def test_a_module_that_cannot_be_compiled_fails_as_it_would(tmp_path):
    (tmp_path / "engine.py").write_text("class A:\n    def backward(self:\n")
    use = "try:\n    import engine\nexcept SyntaxError as error:\n    print(error.lineno, error.filename[-9:])"
    assert python("import microgpt.accelerate\n" + use, tmp_path) == python(use, tmp_path)


def test_removing_the_hook_leaves_imports_alone(tmp_path):
    (tmp_path / "engine.py").write_text(CLASS)
    use = "import microgpt.accelerate.hook as hook\nhook.remove()\nimport engine\nprint(engine.Value.__module__)"
    assert python(use, tmp_path) == "engine\n"


def test_cells_of_a_notebook_get_the_compiled_class():
    """IPython hands each cell's tree to the shell's ast_transformers; a shell of that interface is enough here."""
    import microgpt

    shell = SimpleNamespace(ast_transformers=[])
    microgpt.load_ipython_extension(shell)
    try:
        cells = [
            CLASS,
            "x = Value(2.0)\ny = x * x + 1\ny.backward()\n",
            GELU,
            "z = (Value(2.0) * 1).gelu()\n",
            "print\n",
        ]
        names: dict = {"__name__": "__main__"}
        for cell in cells:
            tree = ast.parse(cell)
            for transformer in shell.ast_transformers:
                tree = transformer.visit(tree)
            exec(compile(ast.fix_missing_locations(tree), "cell", "exec"), names)
    finally:
        microgpt.unload_ipython_extension(shell)
    assert shell.ast_transformers == []
    assert (names["y"].data, names["x"].grad, type(names["y"])) == (5.0, 4.0, microgpt.Value)
    assert (
        names["z"].data == 4.0 and issubclass(names["Value"], microgpt.Value) and names["Value"] is not microgpt.Value
    )


DEEP = "def total(x):\n    return " + " + ".join(["x"] * 900) + "\n"


def test_a_module_too_deep_to_be_looked_through_stays_as_it_is(tmp_path):
    (tmp_path / "engine.py").write_text(CLASS + DEEP)
    use = "import engine\nprint(engine.Value.__module__, engine.total(engine.Value(1.0)).data)"
    assert python("import microgpt.accelerate\n" + use, tmp_path) == python(use, tmp_path) == "engine 900.0\n"


@pytest.mark.parametrize(
    "source", [b"class A: pass\n# backward \xff\n", b"class A: pass  # backward \0\n", b"class A(:\n# backward"]
)
def test_a_module_that_is_no_text_fails_as_it_would(tmp_path, source):
    (tmp_path / "engine.py").write_bytes(source)
    use = "try:\n    import engine\nexcept Exception as error:\n    print(type(error).__name__)"
    assert python("import microgpt.accelerate\n" + use, tmp_path) == python(use, tmp_path)


def test_cells_like_no_other_stay_as_they_are():
    import microgpt

    shell = SimpleNamespace(ast_transformers=[])
    microgpt.load_ipython_extension(shell)
    microgpt.load_ipython_extension(shell)
    assert len(shell.ast_transformers) == 1
    try:
        for cell in (CLASS + DEEP, CLASS + "from math import *\n", "", "class Value:\n    pass\n", "x = 1\n" * 3):
            tree = ast.parse(cell)
            before = ast.dump(tree)
            assert ast.dump(shell.ast_transformers[0].visit(tree)) == before
    finally:
        microgpt.unload_ipython_extension(shell)
        microgpt.unload_ipython_extension(shell)
    assert shell.ast_transformers == []
