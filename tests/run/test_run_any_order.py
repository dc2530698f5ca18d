"""Classes of micrograd's form: left, unless the user accepts sums in another order."""

from __future__ import annotations

import math

import pytest
from running import VARIANTS, accelerated, interpreted

SOURCE = (VARIANTS / "older_form.py").read_text("utf-8")


@pytest.fixture
def script(tmp_path):
    def write(source: str = SOURCE):
        path = tmp_path / "script.py"
        path.write_text(source, "utf-8")
        return path

    return write


def test_without_being_asked_the_class_stays_and_the_reason_is_said(script):
    path = script()
    run = accelerated(path)
    assert run.stdout == interpreted(path).stdout
    assert "write self._prev = _children, or --any-order" in run.stderr
    assert "nothing was swapped" in run.stderr


def test_when_asked_it_is_swapped_and_that_is_said(script):
    path = script()
    plain, fast = interpreted(path), accelerated(path, flags=["--any-order"])
    assert fast.status == 0
    assert "swapped, its sums have no defined order (--any-order)" in fast.stderr
    for one, other in zip(plain.stdout.split(), fast.stdout.split(), strict=True):
        assert math.isclose(float(one), float(other), rel_tol=1e-6)  # the interpreted run differs from itself, too


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("self.grad += (1 - t**2) * out.grad", "self.grad += (1 - t**2) * out.grad + 0"),
        ("self.grad += (1 - t**2) * out.grad", "self.grad = (1 - t**2) * out.grad"),
        ("other.grad += out.grad", "other.grad += out.grad * out.grad"),
        ("self._prev = set(_children)", "self._prev = frozenset(_children)"),
        ("    loss.backward()\n", "    loss.backward()\n    len(loss._prev)\n"),
    ],
)
def test_what_is_in_neither_form_stays_even_then(script, old, new):
    assert old in SOURCE
    path = script(SOURCE.replace(old, new))
    plain, fast = interpreted(path), accelerated(path, flags=["--any-order"])
    assert "nothing was swapped" in fast.stderr
    assert fast.status == plain.status
