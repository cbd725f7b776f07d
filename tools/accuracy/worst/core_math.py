#!/usr/bin/env python3
"""Writes core-math.txt: `core_math.py ~/.cargo/registry/src/*/core-math-sys-1.4.0 > core-math.txt`.

CORE-MATH's sources list the arguments whose results its last approximation cannot round: arrays `db`,
`exceptions` and `wlist`, the argument in the first column. Only the arguments are taken.
"""
import pathlib
import re
import sys

HEAD = """\
# Inputs whose exact f64 results are hardest to round: the tables `db`, `exceptions` and `wlist` of
# CORE-MATH (MIT), upstream 85430b3e, as in the crate core-math-sys 1.4.0; written by
# core_math.py. Of odd and even functions there is one of each pair.
#
# A line is an op and its operand."""
OPS = """exp exp2 exp10 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh
atanh erf erfc cbrt""".split()
NUMBER = r"-?0x[0-9a-f]*\.?[0-9a-f]*p[-+]?\d+"


def arguments(text):
    for table in re.finditer(r"\b(?:db|exceptions|wlist)\[\d*\](\[\d\])?\s*=\s*\{(.*?)\};", text, re.S):
        body = re.sub(r"/\*.*?\*/|//[^\n]*", "", table[2], flags=re.S)
        if table[1]:
            yield from re.findall(r"\{\s*(" + NUMBER + ")", body)
        else:
            yield from re.findall(NUMBER, body)


print(HEAD)
for op in OPS:
    folder = pathlib.Path(sys.argv[1], "vendor/src/binary64", op)
    found = dict.fromkeys(arguments((folder / f"{op}.c").read_text()))
    for number in found:
        print(op, float.fromhex(number).hex())
