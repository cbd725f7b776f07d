#!/usr/bin/env python3
"""The coefficients of src/lower/math/normcdf.rs, by mpmath.

    Phi(-a) e^(a^2/2) = P(a) / (L(a) P(a) + S(a)),  L of degree 1

Each line names a constant and lists its coefficients from low to high order; the last of a type ends
with log2 of the largest relative error of the quotient. Minimax fits of S / P by Lawson's algorithm:
least squares, weighted anew by the errors, of S - P goal, divided by the last P. Coefficients are
rounded to the type that they are used in one by one from low to high order, in turn of P and S, and
the rest are fitted again after each.
"""
from mpmath import mp, mpf, cos, erfc, exp, lu_solve, log, matrix, pi, sqrt

mp.dps = 80


def rounded(c, digits):
    """The nearest float with so many binary digits."""
    if c == 0:
        return c
    unit = mpf(2) ** (mp.floor(log(abs(c), 2)) + 1 - digits)
    return mp.nint(c / unit) * unit


def value(coefficients, x):
    return mp.polyval(list(reversed(coefficients)), x)


def points(span, count):
    """Chebyshev's, drawn together at the lower end."""
    low, high = span
    unit = [(1 - cos(pi * (i + mpf(1) / 2) / count)) / 2 for i in range(count)]
    return [low + (high - low) * u * u for u in unit]


def lawson(rows, goals, rounds, weights=None, scales=None, rescale=None):
    """Coefficients c with the least largest |rows . c - goals| / scales; `rescale(c)` are the next.

    `weights` are those to begin with, and become those of the end.
    """
    weights = weights if weights is not None else [mpf(1)] * len(rows)
    scales = scales or [mpf(1)] * len(rows)
    best = None
    size = len(rows[0])
    for _ in range(rounds):
        a, b = matrix(size, size), matrix(size, 1)
        for row, goal, weight, scale in zip(rows, goals, weights, scales):
            weight = weight / scale**2
            for i in range(size):
                b[i] += weight * row[i] * goal
                for j in range(size):
                    a[i, j] += weight * row[i] * row[j]
        c = list(lu_solve(a, b))
        scales = rescale(c) if rescale else scales
        errors = [
            abs(sum(x * y for x, y in zip(row, c)) - goal) / scale
            for row, goal, scale in zip(rows, goals, scales)
        ]
        worst = max(errors)
        if best is None or worst < best[0]:
            best = worst, c
        weights[:] = [w * e / worst for w, e in zip(weights, errors)]
        top = max(weights)
        weights[:] = [max(w / top, mpf(10) ** -12) for w in weights]
    return best[1]


def show(name, coefficients, digits, error=None):
    note = "" if error is None else f"; log2 of error {float(log(error, 2)):.1f}"
    print(name, [mp.nstr(c, 9) if digits == 24 else repr(float(c)) for c in coefficients], note, flush=True)


def scaled_tail(a):
    """Phi(-a) e^(a^2/2)."""
    return erfc(a / sqrt(2)) * exp(a * a / 2) / 2


def tail(bits, degree, most, digits, slope, offset):
    """P with P(0) = 1/2 and S of one degree less; the quotient is 1/2 at 0."""
    xs = points((mpf(0), mpf(most)), 16 * degree)
    fs = [scaled_tail(x) for x in xs]
    line = [rounded(mpf(offset) / 2, digits) * 2, rounded(mpf(slope), digits)]
    # S / P, whose error counts f times.
    goal = [1 / f - value(line, x) for x, f in zip(xs, fs)]
    p, s = [mpf(1) / 2], [1 - line[0] / 2]
    weights, last, rounds = [mpf(1)] * len(xs), [mpf(1)] * len(xs), 30
    while len(p) <= degree:
        rows = [
            [-f * g * x**i for i in range(len(p), degree + 1)]
            + [f * x**i for i in range(len(s), degree)]
            for x, f, g in zip(xs, fs, goal)
        ]
        goals = [f * (g * value(p, x) - value(s, x)) for x, f, g in zip(xs, fs, goal)]
        left = degree + 1 - len(p)
        denominators = lambda c: [value(p + c[:left], x) for x in xs]
        c = lawson(rows, goals, rounds, weights, last, denominators)
        last, rounds = denominators(c), 6
        if len(s) < len(p) and len(s) < degree:
            s.append(rounded(c[left], digits))
        else:
            p.append(rounded(c[0], digits))
    quotient = lambda x: value(p, x) / (value(line, x) * value(p, x) + value(s, x))
    error = max(abs(quotient(x) / f - 1) for x, f in zip(xs, fs))
    show(f"L_{bits}", line, digits)
    show(f"P_{bits}", p, digits)
    show(f"S_{bits}", s, digits, error)


if __name__ == "__main__":
    # The line is that of a fit with all coefficients free, f32's; in f64 its limit is as good.
    tail(32, 4, "14.3", 24, "2.5065972", "0.00196194649")
    tail(64, 10, "38.7", 53, sqrt(2 * pi), 0)
