"""Values of an expression: their kinds, and how operations on them are written as kernel text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kiln._program import Program, literal
from kiln.numexpr import _constants
from kiln.numexpr._kinds import DTYPES, MISSING, at_least, common_kind, missing, operand_kind

_PLAIN = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "{0} / {1}",
    "mod": "modulo({0}, {1})",
    "floordiv": "floordiv({0}, {1})",
    "and": "{0} & {1}",
    "or": "{0} | {1}",
    "xor": "xor({0}, {1})",
    "invert": "!{0}",
    "neg": "-{0}",
    "gt": "{0} > {1}",
    "ge": "{0} >= {1}",
    "eq": "{0} == {1}",
    "ne": "{0} != {1}",
    "copy": "{0}",
    "real": "{0}",
    "where": "select({0}, {1}, {2})",
    "absolute": "abs({0})",
    "arcsin": "asin({0})",
    "arccos": "acos({0})",
    "arctan": "atan({0})",
    "arcsinh": "asinh({0})",
    "arccosh": "acosh({0})",
    "arctanh": "atanh({0})",
    "arctan2": "atan2({0}, {1})",
    "fmod": "{0} % {1}",
    "hypot": "hypot({0}, {1})",
    "copysign": "copysign({0}, {1})",
    "maximum": "max({0}, {1})",
    "minimum": "min({0}, {1})",
    **{
        name: name + "({0})"
        for name in "sqrt sin cos tan sinh cosh tanh log log1p log10 log2 exp expm1 ceil floor "
        "trunc sign isnan isfinite isinf".split()
    },
}
"""What is one expression of text."""

_NO_CONSTANT: Any = object()


@dataclass(frozen=True)
class Value:
    """A value of an expression: an input, a constant, or what was bound to a name."""

    kind: str
    text: str
    constant: Any = _NO_CONSTANT

    @property
    def is_constant(self) -> bool:
        """Whether it is known before there are arrays."""
        return self.constant is not _NO_CONSTANT


def constant(value: _constants.Constant) -> Value:
    """Return the value of a constant."""
    return Value(_constants.kind_of(value), "", value)


class Builder:
    """Operations on values, written into a program."""

    def __init__(self, optimization: str) -> None:
        """Begin an expression."""
        self.program = Program()
        self._optimization = optimization

    def input(self, name: str, kind: str) -> Value:
        """Declare an input."""
        if kind in MISSING:
            return Value(kind, "")
        return Value(kind, self.program.input(name, DTYPES[kind]))

    def finish(self, value: Value) -> str:
        """Return the text of a kernel with this result."""
        if value.kind in MISSING:
            raise NotImplementedError(missing("copy", value.kind, [value.kind]))
        return self.program.text([self._converted(value, value.kind)])

    def binary(self, operation: str, left: Value, right: Value) -> Value:
        """Return an arithmetic or logical operation."""
        if left.is_constant and right.is_constant:
            return constant(_constants.binary(operation, left.constant, right.constant))
        if operation == "div":
            return self._divide(left, right)
        if operation == "pow" and right.is_constant:
            return self._power(left, right)
        return self._apply(operation, common_kind([left.kind, right.kind]), left, right)

    def compare(self, operation: str, left: Value, right: Value) -> Value:
        """Return a comparison."""
        if left.is_constant and right.is_constant:
            return constant(_constants.binary(operation, left.constant, right.constant))
        return self._apply(operation, "bool", left, right)

    def unary(self, operation: str, value: Value) -> Value:
        """Return `neg` or `invert` of a value."""
        if value.is_constant:
            number = int(value.constant) if isinstance(value.constant, bool) else value.constant
            return constant(-number if operation == "neg" else ~number)
        return self._apply(operation, value.kind, value)

    def function(self, name: str, least: str | None, *values: Value) -> Value:
        """Return a function of values, whose result is at least of a kind."""
        if all(value.is_constant for value in values):
            return constant(_constants.function(name, *(value.constant for value in values)))
        kind = common_kind([value.kind for value in values])
        if kind in ("int", "long"):
            # Only these give integers.
            kind = kind if name in ("copy", "ones_like", "round", "sign") else "double"
        elif least is not None and kind not in MISSING:
            kind = at_least(kind, least)
        tests = ("isnan", "isfinite", "isinf", "signbit")
        return self._apply(name, "bool" if name in tests else kind, *values)

    def where(self, mask: Value, a: Value, b: Value) -> Value:
        """Return one value where a mask is true, else another."""
        if mask.is_constant:
            return a if mask.constant else b
        kind = common_kind([mask.kind, a.kind, b.kind])
        if mask.kind != "bool":
            raise NotImplementedError(missing("where", kind, [mask.kind, a.kind, b.kind]))
        return self._apply("where", kind, mask, a, b)

    def part(self, name: str, value: Value) -> Value:
        """Return `real` or `imag` of a value."""
        if value.is_constant:
            return constant(getattr(complex(value.constant), name))
        return self._apply(name, "double", value)

    def reduce(self, name: str, value: Value, axis: int | None) -> Value:
        """Return `sum`, `prod`, `min` or `max` along an axis, or along all."""
        if value.is_constant:
            return value
        kind = operand_kind(name, value.kind, [value.kind])
        if axis is None:
            text = f"{name}[..]({value.text})"
        else:
            text = f"squeeze[{axis}]({self.program.bind(f'{name}[{axis}]({value.text})')})"
        if kind == "int" and name in ("sum", "prod"):
            text = f"i32({self.program.bind(text)})"
        return self._bound(kind, text)

    def _apply(self, operation: str, result: str, *values: Value) -> Value:
        """Return an operation on values that are converted to what it takes."""
        if result == "bool":
            operation = {"mul": "and", "add": "or"}.get(operation, operation)
        masks, rest = (values[:1], values[1:]) if operation == "where" else ((), values)
        kind = operand_kind(operation, result, [value.kind for value in rest])
        texts = [value.text for value in masks] + [self._converted(value, kind) for value in rest]
        written = _WRITTEN.get(operation)
        if written is not None:
            return self._bound(result, written(self, kind, *texts))
        return self._bound(result, _PLAIN[operation].format(*texts))

    def _bound(self, kind: str, text: str) -> Value:
        return Value(kind, text if text.isidentifier() else self.program.bind(text))

    def _converted(self, value: Value, kind: str) -> str:
        if value.is_constant:
            return literal(value.constant, DTYPES[kind])
        if value.kind == kind:
            return value.text
        return self.program.bind(f"{DTYPES[kind]}({value.text})")

    def _divide(self, left: Value, right: Value) -> Value:
        kind = common_kind([left.kind, right.kind])
        return self._apply("div", "double" if kind in ("bool", "int", "long") else kind, left, right)

    def _power(self, base: Value, exponent: Value) -> Value:
        """Return a power whose kind depends on the exponent, as numexpr's does."""
        x = exponent.constant
        if base.kind in ("int", "long") and exponent.kind in ("int", "long") and x < 0:
            raise ValueError("Integers to negative integer powers are not allowed.")
        if exponent.kind in MISSING:
            raise NotImplementedError(missing("pow", exponent.kind, [base.kind, exponent.kind]))
        if self._optimization == "aggressive" and abs(x) <= 50 and 2 * x == int(2 * x):
            return self._power_of_halves(base, int(2 * abs(x)), x < 0)
        if self._optimization == "moderate":
            if x == -1:
                return self._apply("div", common_kind(["int", base.kind]), constant(1), base)
            if x == 0.5:
                kind = "double" if base.kind in ("int", "long") else base.kind
                return self._apply("sqrt", kind, base)
            if x in (0, 1, 2):
                return self._power_of_halves(base, int(2 * x), False)
        return self._apply("pow", common_kind([base.kind, exponent.kind]), base, exponent)

    def _power_of_halves(self, base: Value, halves: int, inverted: bool) -> Value:
        whole, half = divmod(halves, 2)
        power = None
        if whole == 1 or (whole and base.kind == "bool"):
            power = base
        elif whole:
            kind = operand_kind("mul", base.kind, [base.kind, base.kind])
            power = self._bound(kind, f"{base.text}^{whole}")
        if half:
            kind = "double" if base.kind in ("int", "long") else base.kind
            root = self._apply("sqrt", kind, base)
            power = root if power is None else self.binary("mul", power, root)
        if power is None:
            power = self._apply("ones_like", base.kind, base)
        return self._divide(constant(1), power) if inverted else power

    def _ones_like(self, kind: str, x: str) -> str:
        """Return 1 in the shape of a value, whatever that is."""
        if kind in ("int", "long"):
            return f"{x} * 0 + 1"
        return f"{DTYPES[kind]}(i32(isnan({x})) * 0 + 1)"

    def _imag(self, kind: str, x: str) -> str:
        return f"{DTYPES[kind]}(i32(isnan({x})) * 0)"

    def _round(self, kind: str, x: str) -> str:
        return x if kind in ("int", "long") else f"round({x})"

    def _signbit(self, kind: str, x: str) -> str:
        one = self.program.bind(f"copysign({DTYPES[kind]}(1), {x})")
        return f"{one} < {DTYPES[kind]}(0)"

    def _left_shift(self, kind: str, x: str, by: str) -> str:
        """Return a shift by so many bits that none is left where they are as many as there are."""
        return f"select({self._is_place(kind, by)}, shl({x}, {by}), {DTYPES[kind]}(0))"

    def _right_shift(self, kind: str, x: str, by: str) -> str:
        last = f"{DTYPES[kind]}({31 if kind == 'int' else 63})"
        place = self.program.bind(f"select({self._is_place(kind, by)}, {by}, {last})")
        return f"shr({x}, {place})"

    def _is_place(self, kind: str, by: str) -> str:
        bits = 32 if kind == "int" else 64
        dtype = DTYPES[kind]
        return self.program.bind(f"({by} >= {dtype}(0)) & ({by} < {dtype}({bits}))")

    def _any_power(self, kind: str, x: str, n: str) -> str:
        """Return a power of integers by squaring, which wraps around; of floats it is an op."""
        if kind in ("float", "double"):
            return f"pow({x}, {n})"
        bind, dtype = self.program.bind, DTYPES[kind]
        # From 64 on, powers of all but -1, 0 and 1 have lost every bit that they had.
        few = bind(f"select({n} < {dtype}(64), {n}, {dtype}(62) + ({n} & {dtype}(1)))")
        power, square = f"{dtype}(1)", x
        for bit in range(6):
            is_set = bind(f"({few} & {dtype}({1 << bit})) != {dtype}(0)")
            power = bind(f"select({is_set}, {power} * {square}, {power})")
            square = bind(f"{square} * {square}")
        return f"select({n} < {dtype}(0), {dtype}(1) / {x}, {power})"

    def _next_after(self, kind: str, x: str, to: str) -> str:
        """Return the number beside a double in the direction of another.

        A unit in the last place is at most `2^-52` of a number and more than half of that, so what
        rounds there is known. Where that would be no normal number, all is computed far from 0.
        """
        del kind
        bind = self.program.bind
        size = bind(f"abs({x})")
        outward = bind(f"({x} < {to}) == (f64(0) <= {x})")
        is_small = bind(f"{size} < f64(1e-250)")
        scale = bind(f"select({is_small}, f64({2.0**106!r}), f64(1))")
        scaled = bind(f"{size} * {scale}")
        part = bind(f"{scaled} * f64({2.0**-53 * (1 + 2.0**-52)!r})")
        moved = bind(f"select({outward}, {scaled} + {part}, {scaled} - {part}) / {scale}")
        # Below twice the least normal number, units are the least numbers there are.
        unit = bind(f"select({outward}, {size} + f64(5e-324), {size} - f64(5e-324))")
        inner = bind(f"select({size} < f64({2.0**-1021!r}), {unit}, {moved})")
        largest = bind(f"select({outward}, f64(inf), f64({1.7976931348623157e308!r}))")
        beyond = bind(f"select(isinf({size}), {largest}, {inner})")
        signed = bind(f"select({x} == f64(0), copysign(f64(5e-324), {to}), copysign({beyond}, {x}))")
        stays = bind(f"select({x} == {to}, {to}, {signed})")
        return f"select(isnan({x}) | isnan({to}), {x} + {to}, {stays})"


_WRITTEN: dict[str, Callable[..., str]] = {
    "ones_like": Builder._ones_like,
    "imag": Builder._imag,
    "round": Builder._round,
    "signbit": Builder._signbit,
    "lshift": Builder._left_shift,
    "rshift": Builder._right_shift,
    "pow": Builder._any_power,
    "nextafter": Builder._next_after,
}
"""What takes several bindings."""
