"""`jit`: functions of Python as kernels, traced once for each list of types and ranks."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Iterable
from typing import Any, overload

import numpy as np

from kiln import _kiln
from kiln._dtypes import name_of
from kiln._program import Program, literal
from kiln._tracer import Tracer

_STATIC = (bool, str, bytes, type(None), tuple, type, np.dtype)
"""What is no array: each value has a kernel of its own."""


MOST_KERNELS = 128
"""The most kernels that a function keeps: those of the calls made last."""

Finish = Callable[[Any], Any] | None
"""What makes the result of a function of what its kernel gives, if they differ."""


class Traced(_kiln.Dispatch):
    """A function that is called with arrays, and computed by kernels. `kiln.jit` makes it."""

    __wrapped__: Callable[..., Any]

    def __init__(
        self, function: Callable[..., Any], static: Iterable[str], options: dict[str, Any]
    ) -> None:
        """Take a function to trace."""
        self._function = function
        self._signature = inspect.signature(function)
        self._positions = _positions(self._signature)
        self._static = frozenset(static)
        self._options = options
        self._kernels: dict[Any, tuple[_kiln.Kernel, Finish]] = {}
        self._lock = threading.Lock()
        functools.update_wrapper(self, function)
        unknown = self._static - set(self._signature.parameters)
        if unknown:
            raise TypeError(f"static names no parameter: {', '.join(sorted(unknown))}")

    def __new__(
        cls, function: Callable[..., Any], static: Iterable[str], options: dict[str, Any]
    ) -> Traced:
        """Say which of its parameters are constants."""
        names = tuple(static)
        positions = [
            at for name, at in _positions(inspect.signature(function)).items() if name in names
        ]
        return super().__new__(cls, positions, names, MOST_KERNELS)

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call it with arguments of types that are new, or by name."""
        if any(isinstance(value, Tracer) for value in (*args, *kwargs.values())):
            return self._function(*args, **kwargs)
        out = kwargs.pop("out", None)
        kernel, finish, arguments = self._find(args, kwargs)
        sources = arguments.sources(self._positions, len(args), kwargs)
        self._remember(args, kwargs, sources, kernel, finish)
        arrays = arguments.arrays
        result = kernel(*arrays) if out is None else kernel(*arrays, out=out)
        return result if finish is None else finish(result)

    def kernel(self, *args: Any, **kwargs: Any) -> _kiln.Kernel:
        """Return the kernel that a call with these arguments runs."""
        return self._find(args, kwargs)[0]

    def _find(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[_kiln.Kernel, Finish, _Arguments]:
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        arguments = _Arguments(bound, self._static)
        with self._lock:
            known = self._kernels.get(arguments.key)
        known = known or self._trace(arguments)
        with self._lock:
            # Those used last are at the end.
            self._kernels.pop(arguments.key, None)
            self._kernels[arguments.key] = known
            if len(self._kernels) > MOST_KERNELS:
                del self._kernels[next(iter(self._kernels))]
        return (*known, arguments)

    def _trace(self, arguments: _Arguments) -> tuple[_kiln.Kernel, Finish]:
        program = Program()
        tracers = [
            Tracer(program, program.input(name, dtype), dtype, ndim)
            for name, (dtype, ndim) in zip(arguments.names, arguments.types(), strict=True)
        ]
        outputs, finish = _outputs(arguments.call(self._function, tracers), program)
        text = program.text(outputs)
        return _kiln.compile_text(text, **self._options), finish

    def __repr__(self) -> str:
        return f"<kiln.jit of {getattr(self._function, '__qualname__', self._function)}>"

    def __reduce__(self) -> str:
        # As functions are: by the name under which it is found again.
        return str(vars(self)["__qualname__"])


class _Arguments:
    """A call's arguments, the arrays among them apart."""

    def __init__(self, bound: inspect.BoundArguments, static: frozenset[str]) -> None:
        self._bound = bound
        self.names: list[str] = []
        self.arrays: list[Any] = []
        self._places: list[tuple[str, int | None]] = []
        key: list[Any] = []
        for name, value in bound.arguments.items():
            kind = bound.signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_KEYWORD:
                if value:
                    raise TypeError("a traced function takes its arrays by the names it declares")
                continue
            if kind is inspect.Parameter.VAR_POSITIONAL:
                for index, item in enumerate(value):
                    self._add(f"{name}{index}", item, (name, index))
                    key.append(_key(item))
            elif name in static or isinstance(value, _STATIC):
                key.append(_static(value))
            else:
                self._add(name, value, (name, None))
                key.append(_key(self.arrays[-1]))
        self.key = tuple(key)

    def _add(self, name: str, value: Any, place: tuple[str, int | None]) -> None:
        if not isinstance(value, np.ndarray | np.generic | int | float):
            value = _kiln.as_array(value)
        self.names.append(name)
        self.arrays.append(value)
        self._places.append(place)

    def types(self) -> list[tuple[str, int]]:
        """Return the type and the rank of each array; numbers take the type of what they meet."""
        dtypes = [name_of(x.dtype) for x in self.arrays if hasattr(x, "dtype")]
        order = ["bool", "u8", "i32", "i64", "f16", "bf16", "f32", "f64"]
        widest = max(dtypes, key=order.index, default="bool")
        if widest == "bool" and any(type(x) is float for x in self.arrays):
            widest = "f64"
        integer = "i64" if widest == "bool" else widest
        number = widest if widest[0] in "f" or widest == "bf16" else "f64"
        return [
            (name_of(x.dtype), x.ndim)
            if hasattr(x, "dtype")
            else (number if isinstance(x, float) else integer, 0)
            for x in self.arrays
        ]

    def sources(
        self, positions: dict[str, int], count: int, kwargs: dict[str, Any]
    ) -> list[int | str | tuple[Any]] | None:
        """Return where each array comes from, if they are not the positional arguments in order."""
        sources: list[int | str | tuple[Any]] = []
        for (name, index), array in zip(self._places, self.arrays, strict=True):
            at = positions.get(name, count) + (index or 0)
            sources.append(name if name in kwargs else at if at < count else (array,))
        return None if not kwargs and sources == list(range(count)) else sources

    def call(self, function: Callable[..., Any], tracers: list[Tracer]) -> Any:
        """Call a function with tracers in place of arrays."""
        arguments = dict(self._bound.arguments)
        for (name, index), tracer in zip(self._places, tracers, strict=True):
            if index is None:
                arguments[name] = tracer
            else:
                items = list(arguments[name])
                items[index] = tracer
                arguments[name] = tuple(items)
        bound = inspect.BoundArguments(self._bound.signature, arguments)
        return function(*bound.args, **bound.kwargs)


def _positions(signature: inspect.Signature) -> dict[str, int]:
    """Return at which position each parameter can be given; for `*args`, the first of them."""
    by_name = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)
    parameters = signature.parameters.values()
    return {p.name: at for at, p in enumerate(p for p in parameters if p.kind not in by_name)}


def _key(value: Any) -> Any:
    """Return what a kernel depends on."""
    if isinstance(value, np.ndarray):
        return value.dtype.char if value.dtype.isbuiltin == 1 else name_of(value.dtype), value.ndim
    if isinstance(value, np.generic):
        return value.dtype.char, 0
    if isinstance(value, _STATIC):
        return _static(value)
    return type(value) if isinstance(value, int | float) else None


def _static(value: Any) -> Any:
    """Return the key of a constant: 1, 1.0 and True are equal, and not the same."""
    items = tuple(map(_static, value)) if isinstance(value, tuple) else value
    return "static", type(value), items


def _outputs(result: Any, program: Program) -> tuple[list[str], Finish]:
    """Return the outputs of a program, and what makes a result of a call's arrays."""
    if isinstance(result, Tracer | bool | int | float | np.generic):
        return [_output(result, program)], None
    if not isinstance(result, tuple | list) or not result:
        raise TypeError(f"a traced function returns an array or a tuple of them, not {result!r}")
    outputs = [_output(value, program) for value in result]
    kind = type(result)
    make = kind._make if hasattr(kind, "_make") else kind
    if len(outputs) == 1:
        return outputs, lambda array: make([array])
    return outputs, None if kind is tuple else make


def _output(value: Any, program: Program) -> str:
    if isinstance(value, Tracer):
        return value._text
    if isinstance(value, np.generic):
        return program.bind(literal(value, name_of(value.dtype)))
    if isinstance(value, bool | int | float):
        dtype = {bool: "bool", int: "i64", float: "f64"}[type(value)]
        return program.bind(literal(value, dtype))
    raise TypeError(f"a traced function returns arrays, not {value!r}")


@overload
def jit(function: Callable[..., Any], /) -> Traced: ...
@overload
def jit(
    *, static: Iterable[str] = ..., mode: str = ..., threads: int | None = ...
) -> Callable[[Callable[..., Any]], Traced]: ...
@overload
def jit(
    function: Callable[..., Any],
    *,
    static: Iterable[str] = ...,
    mode: str = ...,
    threads: int | None = ...,
) -> Traced: ...
def jit(
    function: Callable[..., Any] | None = None,
    *,
    static: Iterable[str] = (),
    mode: str = "precise",
    threads: int | None = None,
) -> Any:
    """Have a function of arrays computed by fused kernels.

    The function is called once with tracers for each list of types and ranks, not for each shape; what
    NumPy's functions and Python's operators do with them is compiled. Arguments named in `static`,
    and bools, strings, tuples and None, are no arrays: each value has a kernel of its own.

    >>> import kiln, numpy as np
    >>> @kiln.jit
    ... def normal(x):
    ...     return np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi)
    >>> normal(np.zeros(2))
    array([0.39894228, 0.39894228])
    """
    options = {"mode": mode, "threads": threads}
    if function is None:
        return lambda function: Traced(function, static, options)
    return Traced(function, static, options)


def compile(  # noqa: A001
    source: str | Callable[..., Any],
    *,
    mode: str = "precise",
    threads: int | None = None,
    emitter: str = "auto",
    copy: bool = True,
) -> _kiln.Kernel:
    """Compile kernel text, or a function whose parameters are arrays.

    Text is such as `"0.5 * x * (1 + erf(x / sqrt(2)))"` or `"|x, w: f32[d]| x * w"`. Parameters of a
    function have the types that annotations say, as in `def f(x: "f32[n, d]", w: "f32[d]")`, and are
    `f32` without them.

    mode is "strict", "precise" or "fast"; threads the most that a call uses, None for all. Where copy
    is false, arrays that a kernel cannot read as they lie (another byte order, not aligned) are
    refused.
    """
    if callable(source):
        program = Program()
        tracers = []
        for parameter in inspect.signature(source).parameters.values():
            declared = parameter.annotation
            declared = "f32" if declared is parameter.empty else str(declared).strip("'\"")
            dtype, _, dims = declared.partition("[")
            ndim = None
            if dims and dims != "..]":
                ndim = len([dim for dim in dims.rstrip("]").split(",") if dim.strip()])
            text = program.input(parameter.name, declared)
            tracers.append(Tracer(program, text, name_of(dtype.strip()), ndim))
        outputs, _ = _outputs(source(*tracers), program)
        source = program.text(outputs)
    elif not isinstance(source, str):
        raise TypeError(f"a kernel is compiled of text or of a function, not of {source!r}")
    return _kiln.compile_text(source, mode=mode, threads=threads, emitter=emitter, copy=copy)
