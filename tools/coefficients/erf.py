#!/usr/bin/env python3
"""The f64 constants of `erf` in jit/src/math/erf.rs, by mpmath; those of f32 are by weighted.sollya.
Each line names a constant and lists it from low to high order, then states log2 of the largest error."""
from fitting import lawson, points, rounded, show, value
from mpmath import mpf, erf, erfc, sqrt

LIMIT, CENTRE = mpf("1.12"), mpf("1.5")


def fit(goal, weight, xs, terms, solid):
    """The first `solid` coefficients are rounded one by one, and the rest fitted again."""
    known = []
    while True:
        left = range(len(known), terms)
        rows = [[x**i * weight(x) for i in left] for x in xs]
        goals = [(goal(x) - value(known or [mpf(0)], x)) * weight(x) for x in xs]
        c = [rounded(c, 53) for c in lawson(rows, goals)]
        if len(known) == solid:
            return known + c
        known.append(c[0])


def near(terms):
    """erf y = y + y P(y^2 - 1/2); the relative error counts."""
    xs = points(mpf(2) ** -20 - mpf(1) / 2, LIMIT**2 - mpf(1) / 2, 16 * terms, 1)
    y = lambda x: sqrt(x + mpf(1) / 2)
    p = fit(lambda x: erf(y(x)) / y(x) - 1, lambda x: y(x) / erf(y(x)), xs, terms, 6)
    error = max(abs((1 + value(p, x)) * y(x) / erf(y(x)) - 1) for x in xs)
    show("ERF_NEAR_64", p, 53, error)


def far(terms, n):
    """erfc(x + CENTRE) = P(x)^n; the absolute error counts, and none of what is below 2^-54."""
    xs = points(LIMIT - CENTRE, mpf("5.95") - CENTRE, 12 * terms, 1)
    root = lambda x: erfc(x + CENTRE) ** (mpf(1) / n)
    weight = lambda x: n * root(x) ** (n - 1) + mpf(2) ** (-54 + mpf(54) / n)
    p = fit(root, weight, xs, terms, 6)
    show("ERF_FAR_64", p, 53, max(abs(value(p, x) ** n - root(x) ** n) for x in xs))


if __name__ == "__main__":
    near(13)
    far(21, 4)
