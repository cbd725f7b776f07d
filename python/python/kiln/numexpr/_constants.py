"""Arithmetic among the constants of an expression, which Python and NumPy do."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

Constant = bool | int | float | complex | bytes | str | np.generic

_MOST_BITS = 4096
"""Of an integer on the way to a result: what strangers write must end."""

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "floordiv": operator.floordiv,
    "mod": operator.mod,
    "pow": operator.pow,
    "lshift": operator.lshift,
    "rshift": operator.rshift,
    "and": operator.and_,
    "or": operator.or_,
    "xor": operator.xor,
    "gt": operator.gt,
    "ge": operator.ge,
    "eq": operator.eq,
    "ne": operator.ne,
}


def kind_of(value: Constant) -> str:
    """Return the kind that a constant has: integers of 32 bits where they fit, floats of 64."""
    match value:
        case str() | bytes():
            return "bytes"
        case bool() | np.bool_():
            return "bool"
        case np.int64():
            return "long"
        case np.float32():
            return "float"
        case int() | np.integer():
            return "int" if -(2**31) <= value < 2**31 else "long"
        case float() | np.floating():
            return "double"
        case complex() | np.complexfloating():
            return "complex"
    raise TypeError(f"unsupported object type: {type(value)}")


def binary(operation: str, left: Constant, right: Constant) -> Constant:
    """Return an operation on two constants."""
    if isinstance(left, int) and isinstance(right, int):
        _check_size(operation, int(left), int(right))
    with np.errstate(all="ignore"):
        return _OPERATORS[operation](left, right)


def function(name: str, *values: Constant) -> Constant:
    """Return a function of NumPy of constants."""
    with np.errstate(all="ignore"):
        return getattr(np, name)(*values)


def _check_size(operation: str, left: int, right: int) -> None:
    if operation == "pow":
        bits = left.bit_length() * max(right, 0)
    elif operation == "lshift":
        bits = left.bit_length() + max(right, 0)
    else:
        bits = left.bit_length() + right.bit_length()
    if bits > _MOST_BITS:
        raise OverflowError("Python int too large to convert to C long")


def text(value: Constant, kind: str) -> str:
    """Return a constant of a kind as kernel text."""
    if kind == "bool":
        return "true" if value else "false"
    if kind in ("int", "long"):
        bits = 31 if kind == "int" else 63
        if not -(2**bits) <= int(value) < 2**bits:
            raise OverflowError("Python int too large to convert to C long")
        return f"i{bits + 1}({int(value)})"
    if kind == "float":
        with np.errstate(all="ignore"):
            return f"f32({float(np.float32(value))!r})"
    return f"f64({float(value)!r})"
