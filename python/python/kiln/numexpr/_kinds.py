"""numexpr's types, by its names: which operands its operations take, and what they give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

DTYPES = {"bool": "bool", "int": "i32", "long": "i64", "float": "f32", "double": "f64"}
"""The kinds that Kiln has, from the narrowest on, and its names for them."""

NUMPY: dict[str, np.dtype[Any]] = {
    "bool": np.dtype("bool"),
    "int": np.dtype("int32"),
    "long": np.dtype("int64"),
    "float": np.dtype("float32"),
    "double": np.dtype("float64"),
}

MISSING = {"complex": "complex numbers", "bytes": "strings"}
"""The kinds that only numexpr has."""

_RANK = {kind: rank for rank, kind in enumerate((*DTYPES, "complex", "none"))}
_LETTERS = {
    "bool": "b",
    "int": "i",
    "long": "l",
    "float": "f",
    "double": "d",
    "complex": "c",
    "bytes": "s",
    "none": "n",
}

_FLOATS = ("float", "double")
_INTEGERS = ("int", "long")
_NUMBERS = (*_INTEGERS, *_FLOATS)
_ALL = ("bool", *_NUMBERS)

_FLOAT_FUNCTIONS = (
    "sqrt sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh log log1p log10 "
    "log2 exp expm1 ceil floor trunc fmod arctan2 hypot nextafter copysign maximum minimum"
).split()

_TAKES = {
    **dict.fromkeys(("and", "or", "xor", "invert"), ("bool", *_INTEGERS)),
    **dict.fromkeys(("add", "sub", "mul", "div", "pow", "mod", "floordiv", "neg"), _NUMBERS),
    **dict.fromkeys(("lshift", "rshift"), _INTEGERS),
    **dict.fromkeys(("sum", "prod", "min", "max", "ones_like"), _NUMBERS),
    **dict.fromkeys(("absolute", "sign", "round"), _NUMBERS),
    **dict.fromkeys(_FLOAT_FUNCTIONS, _FLOATS),
    **dict.fromkeys(("copy", "where"), _ALL),
    "real": ("double",),
    "imag": ("double",),
}
"""The kinds that operations take for all operands, and give."""

_TESTS = {
    **dict.fromkeys(("eq", "ne"), _ALL),
    **dict.fromkeys(("gt", "ge"), _NUMBERS),
    **dict.fromkeys(("isnan", "isfinite", "isinf", "signbit"), _FLOATS),
}
"""The kinds that operations take which give a bool."""


def common_kind(kinds: Sequence[str]) -> str:
    """Return the kind that operands of these kinds have in common."""
    strings = kinds.count("bytes")
    if 0 < strings < len(kinds):
        raise TypeError("strings can only be operated with strings")
    return "bytes" if strings else max(kinds, key=_RANK.__getitem__)


def at_least(kind: str, least: str) -> str:
    """Return the wider of two kinds."""
    return max(kind, least, key=_RANK.__getitem__)


def operand_kind(operation: str, result: str, kinds: Sequence[str]) -> str:
    """Return the kind that operands are converted to, as numexpr would.

    Raise NotImplementedError where it has no such operation, or Kiln has no such kind.
    """
    for kind in _TESTS.get(operation, ()):
        if all(_RANK.get(operand, 9) <= _RANK[kind] for operand in kinds):
            return kind
    fits = all(_RANK.get(operand, 9) <= _RANK.get(result, -1) for operand in kinds)
    if fits and result in _TAKES.get(operation, ()):
        return result
    raise NotImplementedError(missing(operation, result, kinds))


def missing(operation: str, result: str, kinds: Sequence[str]) -> str:
    """Return what to say of an operation that there is not."""
    letters = "".join(_LETTERS[kind] for kind in (result, *kinds))
    message = f"couldn't find matching opcode for '{operation}_{letters}'"
    lacks = [what for kind, what in MISSING.items() if kind in (result, *kinds)]
    return f"{message}: Kiln has no {lacks[0]}" if lacks else message
