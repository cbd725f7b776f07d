"""NumPy's types by Kiln's names, and the types that NumPy's functions give."""

from __future__ import annotations

from typing import Any

import numpy as np

NAMES = {
    "bool": "bool",
    "uint8": "u8",
    "int32": "i32",
    "int64": "i64",
    "float16": "f16",
    "bfloat16": "bf16",
    "float32": "f32",
    "float64": "f64",
}
"""Kiln's names of NumPy's types."""

_NUMPY = {name: numpy for numpy, name in NAMES.items()}


def name_of(dtype: Any) -> str:
    """Return Kiln's name of a type of NumPy's, or of a name of either."""
    if isinstance(dtype, str) and dtype in _NUMPY:
        return dtype
    name = np.dtype(dtype).name
    if name not in NAMES:
        raise TypeError(f"Kiln has no type {name}; its types are {', '.join(NAMES)}")
    return NAMES[name]


def to_numpy(name: str) -> np.dtype[Any]:
    """Return NumPy's type of a name of Kiln's."""
    if name == "bf16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(_NUMPY[name])


def computed(name: str) -> str:
    """Return the type that is computed with: halves are widened."""
    return "f32" if name in ("f16", "bf16") else name


def resolve(ufunc: np.ufunc, operands: list[str | type]) -> tuple[list[str], str]:
    """Return the types that a function of NumPy's takes for operands, and the one that it gives.

    Operands are types by Kiln's names, or types of Python's numbers.
    """
    given = [
        to_numpy(computed(operand)) if isinstance(operand, str) else operand for operand in operands
    ]
    resolved = ufunc.resolve_dtypes((*given, *[None] * ufunc.nout))
    return [name_of(dtype) for dtype in resolved[:-1]], name_of(resolved[-1])
