"""`microgpt_engine`: the package for scripts whose own name, microgpt.py, hides it."""

import subprocess
import sys
from pathlib import Path

import pytest

import microgpt
import microgpt_engine

# A user's file: it may be run or imported, and checks what it gets by itself.
USER_SCRIPT = """
import copy, pickle
from microgpt_engine import Adam, Value, arena_stats

class Mine(Value):
    pass

def check():
    a, b = Value(2.0), Value(3.0)
    product = a * b
    product.backward()
    assert (product.data, a.grad, b.grad) == (6.0, 3.0, 2.0)
    again, = pickle.loads(pickle.dumps([product]))
    assert type(again) is Value
    assert [child.data for child in again._children] == [2.0, 3.0]
    assert copy.deepcopy(again).data == 6.0
    mine, = pickle.loads(pickle.dumps([Mine(1.0) + 1]))
    assert type(mine) is Mine
    Adam([a]).step()
    assert arena_stats()["nodes"] >= 0
    return "checked"

if __name__ == "__main__":
    print(check())
"""


@pytest.fixture
def project(tmp_path):
    """A folder that holds a script called microgpt.py."""
    (tmp_path / "microgpt.py").write_text(USER_SCRIPT)
    return tmp_path


def python(*arguments, cwd):
    run = subprocess.run([sys.executable, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False)
    assert run.stderr == ""
    return run.stdout.strip()


def test_the_name_microgpt_is_hidden_beside_such_a_script(project):
    assert python("-c", "import microgpt; print(microgpt.__file__)", cwd=project) == str(project / "microgpt.py")


@pytest.mark.parametrize("arguments", [["microgpt.py"], ["-m", "microgpt"]])
def test_such_a_script_runs_from_its_own_folder(project, arguments):
    assert python(*arguments, cwd=project) == "checked"


def test_such_a_script_runs_by_its_path_from_elsewhere(project):
    assert python(project / "microgpt.py", cwd=Path(project.root)) == "checked"


@pytest.mark.parametrize(
    "first", ["", "import microgpt_engine\n", "from microgpt_engine import Value\nValue(1.0) + 1\n"]
)
def test_such_a_script_can_be_imported_and_keeps_its_name(project, first):
    (project / "other.py").write_text(first + "import microgpt\nprint(microgpt.check(), microgpt.__file__)")
    assert python("other.py", cwd=project) == f"checked {project / 'microgpt.py'}"


def test_values_pickled_beside_such_a_script_are_read_by_another_process(project):
    save = "import microgpt, pickle; pickle.dump(microgpt.Value(2.0) * 3, open('value.pickle', 'wb'))"
    read = "import microgpt_engine, pickle; print(pickle.load(open('value.pickle', 'rb')).data)"
    python("-W", "ignore", "-c", save, cwd=project)
    assert python("-W", "ignore", "-c", read, cwd=project) == "6.0"
    elsewhere = project / "elsewhere"
    elsewhere.mkdir()
    (project / "value.pickle").rename(elsewhere / "value.pickle")
    assert python("-W", "ignore", "-c", read.replace("_engine", ""), cwd=elsewhere) == "6.0"


def test_both_names_give_the_same_objects_where_nothing_hides_the_package():
    assert microgpt_engine.__all__ == list(microgpt.__all__)
    assert all(getattr(microgpt_engine, name) is getattr(microgpt, name) for name in microgpt.__all__)


@pytest.mark.parametrize("order", ["microgpt, microgpt_engine", "microgpt_engine, microgpt"])
def test_the_order_of_the_two_names_does_not_matter(order, tmp_path):
    assert python("-c", f"import {order}; print(microgpt.Value is microgpt_engine.Value)", cwd=tmp_path) == "True"


def test_an_empty_folder_called_microgpt_hides_nothing(tmp_path):
    (tmp_path / "microgpt").mkdir()
    assert (
        python("-c", "import microgpt_engine, microgpt; print(microgpt.Value is microgpt_engine.Value)", cwd=tmp_path)
        == "True"
    )


def test_what_the_package_loads_later_is_there_beside_such_a_script_too(project, tmp_path):
    code = (
        "from microgpt_engine import Trainer; t = Trainer(['ab', 'b'], num_steps=3); t.train(); t.save('.');"
        "print(Trainer.resume('.', ['ab', 'b']).step, type(t).__module__)"
    )
    assert python("-c", code, cwd=project) == "3 microgpt.trainer"
    (tmp_path / "elsewhere").mkdir()
    later = "import microgpt_engine, sys; print('microgpt.trainer' in sys.modules, microgpt_engine.Trainer.__name__)"
    assert python("-c", later, cwd=tmp_path / "elsewhere") == "False Trainer"


def test_beside_such_a_script_neither_the_program_nor_the_import_hook_is_loaded(project):
    code = "import microgpt_engine, sys; print([name for name in sys.modules if name.startswith('microgpt.')])"
    loaded = python("-c", code, cwd=project)
    assert "microgpt.trainer" in loaded
    assert not any(f"'microgpt.{name}" in loaded for name in ("accelerate", "cli", "commands", "__main__"))


def test_a_name_that_is_not_there_is_an_attributeerror():
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = microgpt_engine.Nothing
