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


_KINDS: tuple[tuple[tuple[type, ...], str], ...] = (
    ((str, bytes), "bytes"),
    ((bool, np.bool_), "bool"),
    ((np.int64,), "long"),
    ((np.float32,), "float"),
    ((float, np.floating), "double"),
    ((complex, np.complexfloating), "complex"),
)
"""Types of constants but for integers, whose kind depends on their size."""


def kind_of(value: Constant) -> str:
    """Return the kind that a constant has: integers of 32 bits where they fit, floats of 64."""
    if isinstance(value, int | np.integer) and not isinstance(value, bool | np.int64):
        return "int" if -(2**31) <= value < 2**31 else "long"
    for types, kind in _KINDS:
        if isinstance(value, types):
            return kind
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
