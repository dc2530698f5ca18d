"""The class as a dataclass: with what the decorator makes of it."""

from __future__ import annotations

import re

import pytest
from running import assert_same, in_both_ways, small_gpt

from microgpt.accelerate.rewrite import Options, rewrite

SCRIPT = small_gpt()
CLASS = re.search(r"^class Value:.*?(?=^n_embd)", SCRIPT, re.S | re.M).group(0)
INIT = re.search(r"    __slots__.*?(?=    def __add__)", CLASS, re.S).group(0)
BY_ID = [("v not in visited", "id(v) not in visited"), ("visited.add(v)", "visited.add(id(v))")]
PLAIN = "    data: float\n    grad: float = 0\n    _children: tuple = ()\n    _local_grads: tuple = ()\n"
FIRST = "    data: float\n    _children: tuple = ()\n    _local_grads: tuple = ()\n"


def as_dataclass(decorator: str, fields: str = PLAIN, source: str = SCRIPT) -> str:
    made = source.replace(
        "class Value:\n", f"import dataclasses\nfrom dataclasses import dataclass, field\n\n{decorator}\nclass Value:\n"
    )
    made = made.replace(INIT, fields)
    assert fields in made
    for old, new in BY_ID if "eq=False" not in decorator else ():
        made = made.replace(old, new)
    return re.sub(r"Value\((.*), \((self.*?)\), \((.*)\)\)\n", r"Value(\1, _children=(\2), _local_grads=(\3))\n", made)


DATACLASSES = [
    ("@dataclass", PLAIN),
    ("@dataclass(eq=False)", PLAIN),
    ("@dataclasses.dataclass(slots=True, eq=False, repr=False)", PLAIN),
    ("@dataclass(eq=False)", PLAIN.replace("= 0\n", "= field(default=0, repr=False, compare=False)\n")),
    ("@dataclass(eq=False)", PLAIN.replace("()", "field(default_factory=tuple)").replace("= 0\n", "= 0.0\n")),
    ("@dataclass(eq=False)", PLAIN.replace("()", "field(default_factory=list)")),
    ("@dataclass(eq=False)", FIRST + "    grad: float = field(default=0.0, init=False)\n"),
    (
        "@dataclass(eq=False)",
        FIRST + "    grad: float = field(init=False)\n\n    def __post_init__(self):\n        self.grad = 0\n\n",
    ),
    (
        "@dataclass(eq=False)",
        FIRST + "\n    def __post_init__(this):\n        this.data = float(this.data)\n        this.grad = 0\n\n",
    ),
    ("@dataclass()", PLAIN + "    def __hash__(self): return id(self)\n"),
    ("@dataclass", PLAIN + "    def __repr__(self): return f'{self.data}'\n"),
]
USES = """
print([(p.data, p.grad) for p in params[:5]], loss.data)
a = Value(2.0)
b = Value(3)
c = a * b + Value(data=1.5)
c.backward()
print(a.data, a.grad, type(b.grad), c.data, hasattr(a, "label"))
try:
    Value()
except TypeError:
    print("needs data")
"""


@pytest.mark.parametrize("case", DATACLASSES)
def test_a_dataclass_is_swapped(case, tmp_path):
    made = as_dataclass(*case) + USES
    assert {"attention", "Adam"} <= {
        one.what for one in rewrite(made.encode(), "script.py", Options()).findings if one.swapped
    }
    assert_same(made, tmp_path)


SHOWN = ["print(a * b)", "print(f'{[a, c]}')", "x = str(c)\nprint(x)", "print('%r' % (a,))"]
COMPARED = [
    "print(a == Value(2.0, grad=a.grad), a == b, a == 2)",
    "print(c in [a, b, c], [a, b].index(a))",
    "print(a * b == a * b)",
]


@pytest.mark.parametrize("use", SHOWN + COMPARED)
def test_what_shows_its_fields_is_the_script_s(use, tmp_path):
    assert_same(as_dataclass("@dataclass") + USES + use.replace(", grad=a.grad", "") + "\n", tmp_path)


def test_nothing_is_hashed(tmp_path):
    assert_same(
        as_dataclass("@dataclass") + USES + "try:\n    {a}\nexcept TypeError as error:\n    print(error)\n", tmp_path
    )


def test_values_in_a_set_have_no_hash(tmp_path):
    made = as_dataclass("@dataclass")
    for old, new in BY_ID:
        made = made.replace(new, old)
    assert_same(made, tmp_path)


@pytest.mark.parametrize("use", ["getattr(builtins, 'pr' + 'int')(a)", "[a].__contains__(Value(2.0))", "logger(a)"])
def test_where_nobody_saw_it_coming_the_run_ends(use, tmp_path):
    made = (
        "import builtins\nlogger = getattr(builtins, 'pri' + 'nt')\n" + as_dataclass("@dataclass") + USES + use + "\n"
    )
    plain, ran = in_both_ways(made, tmp_path)
    assert (ran.status, ran.stdout) == (plain.status, plain.stdout) or "the fields of a dataclass" in ran.stderr


OTHERS = [
    ("@dataclass(order=True)", PLAIN),
    ("@dataclass(frozen=True)", PLAIN),
    ("@dataclass(unsafe_hash=True)", PLAIN),
    ("@dataclass(kw_only=True)", PLAIN.replace("data: float", "data: float = 0")),
    ("@dataclass(eq=False)", "    scale: dataclasses.InitVar[float]\n" + PLAIN),
    ("@dataclass(eq=False)", PLAIN.replace("()", "field(default_factory=lambda: print('x') or ())")),
]


@pytest.mark.parametrize("case", OTHERS)
def test_other_dataclasses_stay(case):
    assert not rewrite(as_dataclass(*case).encode(), "script.py", Options()).swapped


@pytest.mark.parametrize(
    "use",
    [
        "print(dataclasses.fields(Value))",
        "print(dataclasses.asdict(Value(1)))",
        "match loss:\n    case Value(x): print(x)",
    ],
)
def test_who_looks_inside_finds_the_fields(use, tmp_path):
    made = as_dataclass("@dataclass(eq=False)") + use + "\n"
    assert not rewrite(made.encode(), "script.py", Options()).swapped


def test_a_gradient_that_is_given(tmp_path):
    made = as_dataclass("@dataclass(eq=False)") + "\nq = Value(1.0, {0})\nq.grad += 1\nprint(q.grad)\n"
    for grad, swapped in (("0", True), ("0.0", False), ("2", False), ("grad=n_embd", False)):
        source = made.replace("{0}", grad)
        assert rewrite(source.encode(), "script.py", Options()).swapped is swapped
        assert_same(source, tmp_path)
