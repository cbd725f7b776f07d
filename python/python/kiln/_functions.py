"""NumPy's functions of arrays that are not elementwise, on tracers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kiln._dtypes import computed, name_of, resolve
from kiln._program import literal
from kiln._tracer import FUNCTIONS, Tracer, reduced_type, type_of


def _implements(*functions: Callable[..., Any]) -> Callable[[Callable[..., Any]], Any]:
    def register(implementation: Callable[..., Any]) -> Callable[..., Any]:
        FUNCTIONS.update(dict.fromkeys(functions, implementation))
        return implementation

    return register


def _running(name: str, x: Tracer, axis: int | None) -> Tracer:
    if axis is None:
        raise TypeError(f"{name} is traced with an axis")
    dtype = reduced_type("sum", x._name)
    value = x.astype(dtype) if dtype != "i64" else x
    return x._bound(f"{name}[{axis}]({value._text})", computed(dtype), x.ndim)


def _tracer_of(*values: Any) -> Tracer:
    return next(value for value in values if isinstance(value, Tracer))


def _traced(value: Any, like: Tracer) -> Tracer:
    """Return a number or a tracer as a tracer."""
    value = like._operand(value)
    if isinstance(value, Tracer):
        return value
    dtype = type_of(value)
    if not isinstance(dtype, str):
        dtype = like._name if like._name != "bool" else ("f64" if dtype is float else "i64")
    return like._bound(literal(value, dtype), dtype, 0)


@_implements(np.matmul, np.dot)
def matmul(a: Any, b: Any) -> Tracer:
    """Return the matrix product."""
    tracer = _tracer_of(a, b)
    a, b = tracer._operand(a), tracer._operand(b)
    if not isinstance(a, Tracer) or not isinstance(b, Tracer):
        raise TypeError("a number is no matrix: multiply with *")
    is_half = {a._name, b._name} <= {"f16", "bf16", "f32"}
    types, result = resolve(np.matmul, [a._name, b._name])
    if result[0] in "iu" or result == "bool":
        raise TypeError("Kiln multiplies matrices of floats: convert them, as in x.astype('f4')")
    if is_half:
        types = [a._name, b._name]
    texts = [tracer._converted(value, dtype) for value, dtype in zip((a, b), types, strict=True)]
    ndim = None
    if a.ndim is not None and b.ndim is not None:
        ndim = max(a.ndim, b.ndim) if min(a.ndim, b.ndim) > 1 else max(a.ndim, b.ndim) - 1
        ndim = 0 if (a.ndim, b.ndim) == (1, 1) else ndim
    return tracer._bound(f"{texts[0]} @ {texts[1]}", result, ndim)


def call(name: str, *values: Any) -> Tracer:
    """Return a function of kernel text, of floats that are converted to their common type."""
    tracer = _tracer_of(*values)
    operands = [tracer._operand(value) for value in values]
    _, result = resolve(np.exp, [type_of(tracer)])
    for operand in operands:
        if isinstance(operand, Tracer) and operand is not tracer:
            _, result = resolve(np.add, [result, operand._name])
    texts = [tracer._converted(operand, result) for operand in operands]
    return tracer._bind(f"{name}({', '.join(texts)})", result, operands)


def _method(name: str) -> Callable[..., Any]:
    def implementation(x: Tracer, *args: Any, **kwargs: Any) -> Any:
        return getattr(_tracer_of(x), name)(*args, **kwargs)

    return implementation


@_implements(np.cumsum)
def _cumsum(x: Tracer, axis: int | None = None) -> Tracer:
    return _running("cumsum", x, axis)


@_implements(np.cumprod)
def _cumprod(x: Tracer, axis: int | None = None) -> Tracer:
    return _running("cumprod", x, axis)


for _function in (
    "sum prod max min amax amin mean var std all any argmax argmin clip round around "
    "transpose swapaxes reshape squeeze"
).split():
    _name = {"amax": "max", "amin": "min", "around": "round"}.get(_function, _function)
    FUNCTIONS[getattr(np, _function)] = _method(_name)


@_implements(np.where)
def where(mask: Any, a: Any, b: Any) -> Tracer:
    """Return one where a mask is true, else another."""
    tracer = _tracer_of(mask, a, b)
    a, b = tracer._operand(a), tracer._operand(b)
    mask = _traced(mask, tracer).astype("bool")
    if isinstance(a, Tracer) and isinstance(b, Tracer) and a._name == b._name:
        dtype = a._name
    else:
        types = [type_of(value) for value in (a, b)]
        if all(isinstance(kind, type) for kind in types):
            dtype = name_of(np.result_type(*types))
        else:
            _, dtype = resolve(np.maximum, types)
    texts = [tracer._converted(value, dtype) for value in (a, b)]
    return tracer._bind(f"select({mask._text}, {texts[0]}, {texts[1]})", dtype, (mask, a, b))


@_implements(np.expand_dims)
def expand_dims(x: Tracer, axis: int) -> Tracer:
    """Return it with a new axis of size 1."""
    ndim = None if x.ndim is None else x.ndim + 1
    return x._bound(f"unsqueeze[{axis}]({x._text})", x._name, ndim)


@_implements(np.flip)
def _flip(x: Tracer, axis: Any = None) -> Tracer:
    axes = x._axes(axis)
    listed = ".." if axes is None else ", ".join(map(str, axes))
    return x._bound(f"flip[{listed}]({x._text})", x._name, x.ndim)


@_implements(np.concatenate)
def _concatenate(arrays: Sequence[Any], axis: int = 0) -> Tracer:
    tracer = _tracer_of(*arrays)
    values = [_traced(array, tracer) for array in arrays]
    dtype = values[0]._name
    for value in values[1:]:
        _, dtype = resolve(np.maximum, [dtype, value._name])
    texts = ", ".join(tracer._converted(value, dtype) for value in values)
    return tracer._bound(f"concat[{axis}]({texts})", dtype, tracer.ndim)


@_implements(np.take)
def _take(x: Tracer, indices: Any, axis: int | None = None) -> Tracer:
    if axis is None:
        raise TypeError("take is traced with an axis")
    places = _traced(indices, x)
    known = x.ndim is not None and places.ndim is not None
    ndim = (x.ndim or 0) - 1 + (places.ndim or 0) if known else None
    return x._bound(f"take[{axis}]({x._text}, {places._text})", x._name, ndim)


@_implements(np.zeros_like)
def _zeros_like(x: Tracer, dtype: Any = None) -> Tracer:
    return _full_like(x, 0, dtype)


@_implements(np.ones_like)
def _ones_like(x: Tracer, dtype: Any = None) -> Tracer:
    return _full_like(x, 1, dtype)


@_implements(np.full_like)
def _full_like(x: Tracer, value: Any, dtype: Any = None) -> Tracer:
    """Return a number in the shape of an array, whose values do not matter."""
    name = x._name if dtype is None else name_of(dtype)
    zeros = x._program.bind(f"i32(bool({x._text})) * 0")
    if name in ("f16", "bf16", "bool"):
        number = x._program.bind(f"f32({zeros}) + {literal(value, 'f32')}")
        return x._bound(f"{name}({number})", name, x.ndim)
    return x._bound(f"{name}({zeros}) + {literal(value, name)}", name, x.ndim)
