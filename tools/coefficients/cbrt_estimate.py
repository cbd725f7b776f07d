#!/usr/bin/env python3
"""The constant of the estimate of a^(-1/3) in jit/src/math/root.rs.

Read as a number, the bits of a float are steps of its exponent: L = exponent + fraction, nearly the
logarithm. The estimate has L(y) = C - L(a) / 3; this finds the C of the least largest |1 - a y^3|.
"""
from math import floor, frexp, ldexp


def log_like(a):
    m, e = frexp(a)
    return e - 1 + (2 * m - 1)


def estimate(a, c):
    l = c - log_like(a) / 3
    return ldexp(1 + l - floor(l), floor(l))


POINTS = [2 ** (3 * i / 2000) for i in range(2000)]


def largest(c):
    return max(abs(1 - a * estimate(a, c) ** 3) for a in POINTS)


c = min((-0.2 + i * 0.0005 for i in range(400)), key=largest)
print(f"C = {c:.4f} exponent steps, largest |1 - a y^3| {largest(c):.4f}")
for name, digits, cut, bias in [("f32", 23, 9, 127), ("f64", 52, 12, 1023)]:
    print(name, round((c + bias + bias / 3) * 2 ** (digits - cut)))
