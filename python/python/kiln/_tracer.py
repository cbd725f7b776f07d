"""Tracers: what a traced function computes with in place of arrays, and what it then has written.

Python's operators and NumPy's functions on them write bindings of kernel text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from kiln._dtypes import computed, name_of, resolve, to_numpy
from kiln._program import Program, literal
from kiln._ufuncs import OF_BOOLS, OF_INTEGERS, REDUCED, UFUNCS

Number = bool | int | float | np.generic

FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {}
"""NumPy's other functions, and what does their work on tracers."""


def _reduction(name: str, what: str) -> Callable[..., Any]:
    """Return the method of a reduction."""

    def method(self: Tracer, axis: Any = None, **options: Any) -> Any:
        return self._reduce(name, self, axis=axis, **options)

    method.__name__ = name
    method.__doc__ = f"Return {what} along axes."
    return method


class Tracer(NDArrayOperatorsMixin):
    """Stands for an array while a function is traced. It knows its type, and mostly its rank."""

    def __init__(self, program: Program, text: str, dtype: str, ndim: int | None) -> None:
        """Stand for what is bound to a name of a program."""
        self._program = program
        self._text = text
        self._name = dtype
        self.ndim = ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        """The element type."""
        return to_numpy(self._name)

    def __repr__(self) -> str:
        rank = "of unknown rank" if self.ndim is None else f"of {self.ndim} axes"
        return f"<{self._text}: an array {rank} of {self._name}, while the function is traced>"

    # What has no answer before there are arrays.

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "an array of a traced function is neither true nor false: instead of `if`, write "
            "np.where(mask, a, b); instead of `and`, `or` and `not`, write &, | and ~"
        )

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(
            "a traced function has no array yet: use NumPy's functions on it that Kiln has, and "
            "compute what depends on values outside of the function"
        )

    def _has_no_value(self) -> NoReturn:
        raise TypeError("a traced function has no numbers yet: keep it an array")

    __float__ = __int__ = __index__ = __complex__ = _has_no_value

    def __len__(self) -> NoReturn:
        raise TypeError("sizes are not known while a function is traced: name axes, as in axis=-1")

    def __iter__(self) -> NoReturn:
        raise TypeError("a traced array has no known size to iterate over: compute with all of it")

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        raise TypeError(
            "an array of a traced function is not written to: make another, as in np.where(mask, a, b) "
            "or np.concatenate"
        )

    @property
    def shape(self) -> NoReturn:
        """Not known: a kernel is for all shapes."""
        raise TypeError(
            "sizes are not known while a function is traced, since its kernel is for all shapes: "
            "name axes, as in x.sum(axis=-1)"
        )

    # NumPy's protocols.

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        name = ufunc.__name__
        if method == "reduce" and name in REDUCED:
            return self._reduce(REDUCED[name], inputs[0], **{"axis": 0, **options})
        if method != "__call__":
            raise TypeError(f"np.{name}.{method} cannot be traced")
        if any(value is not None for value in options.values()):
            hint = ": write x = x + y in place of x += y" if "out" in options else ""
            raise TypeError(f"np.{name} is traced without {', '.join(options)}{hint}")
        if ufunc is np.matmul:
            return FUNCTIONS[np.matmul](*inputs)
        return self._apply(ufunc, inputs)

    def __array_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        if function not in FUNCTIONS:
            where = function.__module__.replace("numpy", "np", 1)
            raise TypeError(f"{where}.{function.__name__} cannot be traced: Kiln has no such function")
        return FUNCTIONS[function](*args, **kwargs)

    def _apply(self, ufunc: np.ufunc, inputs: Sequence[Any]) -> Tracer:
        """Return an elementwise function of tracers and numbers."""
        name = ufunc.__name__
        inputs = [self._operand(value) for value in inputs]
        types, result = resolve(ufunc, [type_of(value) for value in inputs])
        if name in ("power", "float_power") and (n := _small_integer(inputs[1])) is not None:
            return self._bind(f"{self._converted(inputs[0], types[0])}^{n}", result, inputs)
        template = UFUNCS.get(name)
        if types[0] == "bool":
            template = OF_BOOLS.get(name, template)
        elif types[0][0] in "iu":
            template = OF_INTEGERS.get(name, template)
        if name == "signbit":
            template = f"copysign({literal(1, types[0])}, {{0}}) < {literal(0, types[0])}"
        if template is None:
            raise TypeError(f"np.{name} cannot be traced: Kiln has no such function")
        texts = [self._converted(value, dtype) for value, dtype in zip(inputs, types, strict=True)]
        return self._bind(template.format(*texts), result, inputs)

    def _operand(self, value: Any) -> Tracer | Number:
        if isinstance(value, Tracer):
            if value._program is not self._program:
                raise TypeError("an array of one traced function was kept for another")
            return value
        if isinstance(value, bool | int | float | np.generic):
            return value
        if isinstance(value, np.ndarray) and value.ndim == 0:
            return value.dtype.type(value)
        raise TypeError(
            f"a traced function met {type(value).__name__} that is not among its arguments: pass "
            "arrays as arguments, so that each call can have others"
        )

    def _converted(self, value: Tracer | Number, dtype: str) -> str:
        if not isinstance(value, Tracer):
            return literal(value, dtype)
        return value._text if value._name == dtype else self._program.bind(f"{dtype}({value._text})")

    def _bind(self, text: str, dtype: str, operands: Sequence[Any]) -> Tracer:
        """Return what is bound to text over operands that broadcast."""
        ranks = [value.ndim for value in operands if isinstance(value, Tracer)]
        known = [ndim for ndim in ranks if ndim is not None]
        return self._bound(text, dtype, max(known, default=0) if known == ranks else None)

    def _bound(self, text: str, dtype: str, ndim: int | None) -> Tracer:
        name = text if text.isidentifier() else self._program.bind(text)
        return Tracer(self._program, name, dtype, ndim)

    def _reduce(self, name: str, value: Tracer, **options: Any) -> Tracer:
        if any(options.get(option) is not None for option in ("out", "initial", "where")):
            raise TypeError(f"{name} is traced without out, initial and where")
        if options.get("ddof", 0) != 0:
            raise TypeError(f"{name} is traced with ddof=0: multiply by n / (n - ddof) yourself")
        dtype = options.get("dtype")
        value = value if dtype is None else value.astype(dtype)
        return value._along(name, options.get("axis"), bool(options.get("keepdims", False)))

    def _along(self, name: str, axis: int | Sequence[int] | None, keepdims: bool = False) -> Tracer:
        """Return a reduction along axes, or along all."""
        axes = self._axes(axis)
        value = self
        if name in ("mean", "var", "std") and np.dtype(self.dtype).kind in "biu":
            value = self.astype("f64")
        if name in ("all", "any") and self._name != "bool":
            value = self.astype("bool")
        result = reduced_type(name, value._name)
        if result in ("f16", "bf16", "f32", "f64"):
            result = computed(result)
            value = value.astype(result)
        if axes is None and keepdims:
            axes = [place - self._known_rank() for place in range(self._known_rank())]
        if axes is None or self.ndim == 0 or (len(axes) == self.ndim and not keepdims):
            return self._bound(f"{name}[..]({value._text})", result, 0)
        if not axes:
            return value
        listed = ", ".join(map(str, axes))
        reduced = self._bound(f"{name}[{listed}]({value._text})", result, self.ndim)
        if keepdims:
            return reduced
        ndim = None if self.ndim is None else self.ndim - len(axes)
        return self._bound(f"squeeze[{listed}]({reduced._text})", result, ndim)

    def _axes(self, axis: int | Sequence[int] | None) -> list[int] | None:
        """Return axes as they are counted from the last, if the rank is known: there kernels fuse."""
        if axis is None:
            return None
        axes = [int(place) for place in (axis if isinstance(axis, tuple | list) else (axis,))]
        if self.ndim is None:
            return axes
        for place in axes:
            if not -self.ndim <= place < self.ndim:
                raise np.exceptions.AxisError(place, self.ndim)
        return sorted(place % self.ndim - self.ndim for place in axes)

    def _known_rank(self) -> int:
        if self.ndim is None:
            raise TypeError("the rank is not known: declare it, as in f32[n, d]")
        return self.ndim

    # Methods of arrays.

    def astype(self, dtype: Any, copy: bool = True) -> Tracer:
        """Return it converted to another type."""
        del copy
        name = name_of(dtype)
        return self if name == self._name else self._bound(f"{name}({self._text})", name, self.ndim)

    sum = _reduction("sum", "the sum")
    prod = _reduction("prod", "the product")
    max = _reduction("max", "the largest")
    min = _reduction("min", "the least")
    all = _reduction("all", "whether all are true,")
    any = _reduction("any", "whether any is true,")
    mean = _reduction("mean", "the mean")
    var = _reduction("var", "the variance")
    std = _reduction("std", "the standard deviation")
    argmax = _reduction("argmax", "the place of the largest")
    argmin = _reduction("argmin", "the place of the least")

    def cumsum(self, axis: int | None = None) -> Tracer:
        """Return running sums along an axis."""
        return FUNCTIONS[np.cumsum](self, axis)

    def cumprod(self, axis: int | None = None) -> Tracer:
        """Return running products along an axis."""
        return FUNCTIONS[np.cumprod](self, axis)

    def clip(self, min: Any = None, max: Any = None) -> Any:  # noqa: A002
        """Return it with what lies outside of bounds replaced by these."""
        value: Any = self
        value = value if min is None else np.maximum(value, min)
        return value if max is None else np.minimum(value, max)

    def round(self, decimals: int = 0) -> Any:
        """Return it rounded to integers."""
        if decimals != 0:
            raise TypeError("round is traced without decimals")
        return np.rint(self) if self._name[0] in "fb" else self

    def dot(self, other: Any) -> Any:
        """Return the matrix product."""
        return FUNCTIONS[np.matmul](self, other)

    @property
    def T(self) -> Tracer:  # noqa: N802
        """The transpose."""
        return self.transpose()

    @property
    def mT(self) -> Tracer:  # noqa: N802
        """The transpose of each matrix."""
        return self.swapaxes(-1, -2)

    def transpose(self, *axes: Any) -> Tracer:
        """Return it with its axes in another order."""
        if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], tuple | list)):
            axes = tuple(axes[0] or ())
        ndim = self._known_rank()
        order = [place % ndim for place in axes] if axes else list(range(ndim))[::-1]
        if ndim < 2:
            return self
        return self._bound(f"permute[{', '.join(map(str, order))}]({self._text})", self._name, ndim)

    def swapaxes(self, a: int, b: int) -> Tracer:
        """Return it with two axes exchanged."""
        order = list(range(self._known_rank()))
        order[a], order[b] = order[b], order[a]
        return self.transpose(*order)

    def reshape(self, *sizes: Any, order: str = "C") -> Tracer:
        """Return it in another shape of numbers, one of which may be -1."""
        if order != "C":
            raise TypeError("reshape is traced in C order only")
        if len(sizes) == 1 and isinstance(sizes[0], tuple | list):
            sizes = tuple(sizes[0])
        listed = ", ".join(str(int(size)) for size in sizes)
        return self._bound(f"reshape[{listed}]({self._text})", self._name, len(sizes))

    def squeeze(self, axis: Any = None) -> Tracer:
        """Return it without axes of size 1, which are named."""
        axes = self._axes(axis)
        if axes is None:
            raise TypeError("squeeze is traced with an axis: sizes are not known")
        ndim = None if self.ndim is None else self.ndim - len(axes)
        return self._bound(f"squeeze[{', '.join(map(str, axes))}]({self._text})", self._name, ndim)

    def __getitem__(self, index: Any) -> Tracer:
        """Return a part: of slices, integers, None and `...`."""
        index = index if isinstance(index, tuple) else (index,)
        if any(isinstance(part, Tracer | np.ndarray | list) for part in index):
            raise TypeError("an array is no index of a traced array: write np.take(x, i, axis=..)")
        axes = sum(part is not None and part is not Ellipsis for part in index)
        if Ellipsis in index:
            at = index.index(Ellipsis)
            whole = (slice(None),) * (self._known_rank() - axes)
            index = index[:at] + whole + index[at + 1 :]
        value, axis = self, 0
        for part in index:
            if part is None:
                value = FUNCTIONS[np.expand_dims](value, axis)
                axis += 1
            elif isinstance(part, slice):
                value = value._slice(axis, part)
                axis += 1
            else:
                place = int(part)
                last = None if place == -1 else place + 1
                value = value._slice(axis, slice(place, last)).squeeze(axis)
        return value

    def _slice(self, axis: int, part: slice) -> Tracer:
        if part == slice(None):
            return self
        start, stop, step = part.start, part.stop, part.step
        if self.ndim is not None and axis >= self.ndim:
            raise IndexError(f"too many indices: the array has {self.ndim} axes")
        texts = ["" if bound is None else str(int(bound)) for bound in (start, stop)]
        listed = ":".join([*texts, *([] if step is None else [str(int(step))])])
        return self._bound(f"slice[{axis}, {listed}]({self._text})", self._name, self.ndim)


def type_of(value: Tracer | Number) -> str | type:
    if isinstance(value, Tracer):
        return value._name
    if isinstance(value, np.generic):
        return name_of(value.dtype)
    return int if isinstance(value, bool) else type(value)


def _small_integer(value: Any) -> int | None:
    """Return an exponent that is a number without fraction."""
    if isinstance(value, Tracer) or value != value or abs(value) > 2**31 or int(value) != value:
        return None
    return int(value)


def reduced_type(name: str, dtype: str) -> str:
    if name in ("all", "any"):
        return "bool"
    if name in ("argmax", "argmin"):
        return "i64"
    if name in ("sum", "prod") and dtype in ("bool", "u8", "i32"):
        return "i64"
    return dtype
