#!/usr/bin/env python3
"""The arguments nearest to multiples of π/2, for tests/accuracy.rs (needs mpmath).

For an exponent e, the best q with q * 2^e near a multiple of π/2 is the denominator of a
convergent of 2^e * 2/π. Prints the nearest f64 and f32 of a few exponents as bits.
"""
import struct
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


print([hex(struct.unpack("<Q", struct.pack("<d", nearest(e, 53)))[0]) for e in range(-30, 971, 43)])
print([hex(struct.unpack("<I", struct.pack("<f", nearest(e, 24)))[0]) for e in range(-10, 104, 6)])
