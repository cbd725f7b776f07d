#!/usr/bin/env python3
"""Writes tools/accuracy/worst/hard-trig.txt: arguments nearest to multiples of π/2 (needs mpmath).

For an exponent e, the best q with q * 2^e near a multiple of π/2 is the denominator of a
convergent of 2^e * 2/π.
"""
from mpmath import floor, ldexp, mp, mpf, pi

mp.prec = 2600


def nearest(e, digits):
    rest = ldexp(2 / pi, e)
    before, q = 1, 0
    while True:
        whole = int(floor(rest))
        before, q = q, whole * q + before
        if q >= 2**digits:
            return float(mpf(before) * mpf(2) ** e)
        rest = 1 / (rest - whole)


HEAD = """\
# The f64s and f32s nearest to multiples of π/2, of a few exponents: tools/coefficients/hard_trig.py.
# The last is the nearest of all f64s, 6381956970095103 * 2^797 (Kahan; Muller, Elementary Functions,
# 11.3).
#
# A line is an op and its operand."""

print(HEAD)
double = [nearest(e, 53) for e in range(-30, 971, 43)]
single = [nearest(e, 24) for e in range(-10, 104, 6)]
for op in ["sin", "cos", "tan"]:
    for number in double + single + [6381956970095103.0 * 2.0**797]:
        print(op, number.hex())
