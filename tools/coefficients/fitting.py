"""Minimax fits at high precision: what the scripts beside this one share."""
from mpmath import mp, mpf, cos, log, lu_solve, matrix, nint, pi

mp.dps = 60


def rounded(c, digits):
    """The nearest float with so many binary digits."""
    unit = mpf(2) ** (mp.floor(log(abs(c), 2)) + 1 - digits)
    return nint(c / unit) * unit


def value(coefficients, x):
    return mp.polyval(list(reversed(coefficients)), x)


def points(low, high, count, power):
    """Chebyshev's, drawn together at the lower end by a power above 1."""
    unit = [(1 - cos(pi * (i + mpf(1) / 2) / count)) / 2 for i in range(count)]
    return [low + (high - low) * u**power for u in unit]


def lawson(rows, goals, rescale=None, rounds=40):
    """Coefficients c with the least largest |rows . c - goals| / scales, which `rescale` makes of c."""
    weights, best, size = [mpf(1)] * len(rows), None, len(rows[0])
    scales = [mpf(1)] * len(rows)
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
        weights = [max(w * e / worst, mpf(10) ** -12) for w, e in zip(weights, errors)]
        top = max(weights)
        weights = [w / top for w in weights]
    return best[1]


def show(name, numbers, digits, error=None):
    numbers = [rounded(number, digits) if number else number for number in numbers]
    note = "" if error is None else f"; log2 of error {float(log(error, 2)):.1f}"
    print(name, [mp.nstr(c, 9) if digits == 24 else repr(float(c)) for c in numbers], note, flush=True)
