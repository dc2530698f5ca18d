"""The two expressions that micrograd, this engine's ancestor, tests itself with, against numbers worked out beforehand.

The first is worked out by hand below. For the second, arithmetic in fractions gives g = 2421/98 with slopes 47620/343
and 221433/343; what doubles make of them is checked in as hexadecimal figures, and held against the exact fractions.
"""

from __future__ import annotations

from fractions import Fraction

from bits import bits


def first_expression(x):
    z = 2 * x + 2 + x
    q = z.relu() + z * x
    h = (z * z).relu()
    return h + q + q * x


def test_the_sanity_check_gives_minus_twenty_and_slope_forty_six(engine):
    """x = -4: z = -10, z.relu() = 0, z * x = 40 = q, h = 100, y = 100 + 40 - 160 = -20.

    dz/dx = 3; dq/dx = z + 3 x = -22; dh/dx = 2 z * 3 = -60; dy/dx = -60 - 22 + (q - 22 * x) = -82 + 40 + 88 = 46.
    """
    x = engine.Value(-4.0)
    y = first_expression(x)
    y.backward()
    assert bits(y.data) == bits(-20.0)
    assert bits(x.grad) == bits(46.0)


def second_expression(a, b):
    c = a + b
    d = a * b + b**3
    c += c + 1
    c += 1 + c + (-a)
    d += d * 2 + (b + a).relu()
    d += 3 * d + (b - a).relu()
    e = c - d
    f = e**2
    g = f / 2.0
    g += 10.0 / f
    return g


def test_more_operations_give_the_known_value_and_slopes(engine):
    a, b = engine.Value(-4.0), engine.Value(2.0)
    g = second_expression(a, b)
    g.backward()
    assert (bits(g.data), bits(a.grad), bits(b.grad)) == (
        "0x1.8b43eb1a1f58dp+4",
        "0x1.15aaea5b0e2e5p+7",
        "0x1.42c9e3a373af6p+9",
    )
    exact = Fraction(2421, 98), Fraction(47620, 343), Fraction(221433, 343)
    for got, fraction in zip((g.data, a.grad, b.grad), exact):
        assert abs(Fraction(got) - fraction) < abs(fraction) * Fraction(1, 2**51)
