#!/usr/bin/env python3
"""The constants of jit/src/math/normcdf.rs, by mpmath. For a >= 0 that is

    Phi(-a) = top / (d(a) e^(a^2/2)),   d(a) = top / (Phi(-a) e^(a^2/2)) = a + first - a S(a) / P(a)

with P monic and `first` = 2 top. Each line names a constant and lists it, polynomials from low to high
order; log2 of the largest relative error follows, for S / P that of d. Minimax fits by Lawson's
algorithm: least squares, weighted anew by the errors; of a quotient that of S - P goal, divided by the
last P.
"""
from fitting import lawson, points, rounded, show, value
from mpmath import mpf, erfc, exp, expm1, log, sqrt


def fraction(bits, degree, most, digits):
    """`top`, `first` in two parts, S and P."""
    # top / sqrt(2) is the float whose bits are 2^(digits - 2) less than those of `top`.
    top = rounded(1 / (4 - 2 * sqrt(mpf(2))) / 2, digits)
    units = int(top * mpf(2) ** (digits + 1))
    odd = (units - 2 ** (digits - 2)) * mpf(2) ** -(digits + 1)
    show(f"TOP_{bits}", [top], digits, abs(odd * sqrt(mpf(2)) / top - 1))
    # A first part with which a sum below 64 is exact.
    first = rounded(2 * top, digits - 12)
    show(f"FIRST_{bits}", [first, 2 * top - first], digits)
    # The reduction takes the float nearest to ln 2: e^(a^2/2) comes out e^(drift a^2) too small.
    drift = (rounded(log(mpf(2)), digits) / log(mpf(2)) - 1) / 2
    xs = points(mpf(0), mpf(most), 16 * degree, 1.5)
    # What rounds in f32 errs upward by a little more; to lean against it takes 0.13 ULP off the largest.
    lean = 1 + (mpf("0.1") * mpf(2) ** -digits if bits == 32 else 0)
    ds = [lean * top / (erfc(x / sqrt(2)) / 2 * exp(x * x / 2)) * exp(drift * x * x) for x in xs]
    goal = [(2 * top + x - d) / x for x, d in zip(xs, ds)]
    # The unknowns are S_0 ... S_n, P_0 ... P_(n-1); those that are rounded already are known.
    columns = [lambda x, g, i=i: x**i for i in range(degree + 1)]
    columns += [lambda x, g, i=i: -g * x**i for i in range(degree)]
    known = []
    while len(known) < len(columns):
        rows = [[c(x, g) * x / d for c in columns[len(known) :]] for x, d, g in zip(xs, ds, goal)]
        goals = [
            (g * x**degree - sum(k * c(x, g) for k, c in zip(known, columns))) * x / d
            for x, d, g in zip(xs, ds, goal)
        ]
        denominators = lambda c: [value((known + c)[degree + 1 :] + [mpf(1)], x) for x in xs]
        c = lawson(rows, goals, denominators)
        # In f64 the last bit does not count.
        known += [rounded(x, digits) for x in (c[:1] if bits == 32 else c)]
    s, p = known[: degree + 1], known[degree + 1 :]
    ratio = lambda x: value(s, x) / value(p + [mpf(1)], x)
    error = max(abs((g - ratio(x)) * x / d) for x, d, g in zip(xs, ds, goal))
    show(f"S_{bits}", s, digits)
    show(f"P_{bits}", p, digits, error)


def slope(bits, terms, digits):
    """e^(r/2) = 1 + r / 2 + r^2 Q(r) for |r| <= ln 2 / 2."""
    most = log(mpf(2)) / 2 * mpf("1.0001")
    xs = points(-most, most, 16 * terms, 1)
    goals = [(expm1(x / 2) - x / 2) / exp(x / 2) for x in xs]
    rows = [[x ** (i + 2) / exp(x / 2) for i in range(terms)] for x in xs]
    c = [rounded(x, digits) for x in lawson(rows, goals)]
    error = max(abs(sum(x * y for x, y in zip(row, c)) - goal) for row, goal in zip(rows, goals))
    show(f"Q_{bits}", c, digits, error)


if __name__ == "__main__":
    slope(32, 4, 24)
    fraction(32, 4, "14.35", 24)
    slope(64, 9, 53)
    fraction(64, 10, "38.75", 53)
