"""NumPy's elementwise functions, as kernel text."""

from __future__ import annotations

UFUNCS = {
    "add": "{0} + {1}",
    "subtract": "{0} - {1}",
    "multiply": "{0} * {1}",
    "true_divide": "{0} / {1}",
    "divide": "{0} / {1}",
    "floor_divide": "floordiv({0}, {1})",
    "remainder": "modulo({0}, {1})",
    "mod": "modulo({0}, {1})",
    "fmod": "{0} % {1}",
    "power": "pow({0}, {1})",
    "float_power": "pow({0}, {1})",
    "negative": "-{0}",
    "positive": "{0}",
    "absolute": "abs({0})",
    "fabs": "abs({0})",
    "rint": "round({0})",
    "reciprocal": "recip({0})",
    "square": "{0} * {0}",
    "maximum": "max({0}, {1})",
    "minimum": "min({0}, {1})",
    "clip": "clamp({0}, {1}, {2})",
    "greater": "{0} > {1}",
    "greater_equal": "{0} >= {1}",
    "less": "{0} < {1}",
    "less_equal": "{0} <= {1}",
    "equal": "{0} == {1}",
    "not_equal": "{0} != {1}",
    "bitwise_and": "{0} & {1}",
    "bitwise_or": "{0} | {1}",
    "bitwise_xor": "xor({0}, {1})",
    "invert": "!{0}",
    "left_shift": "shl({0}, {1})",
    "right_shift": "shr({0}, {1})",
    "arcsin": "asin({0})",
    "arccos": "acos({0})",
    "arctan": "atan({0})",
    "arctan2": "atan2({0}, {1})",
    "arcsinh": "asinh({0})",
    "arccosh": "acosh({0})",
    "arctanh": "atanh({0})",
    **{
        name: name + "({0})"
        for name in "sqrt cbrt exp exp2 expm1 log log2 log10 log1p sin cos tan sinh cosh tanh floor "
        "ceil trunc sign isnan isinf isfinite logical_not".split()
    },
    **{
        name: name + "({0}, {1})"
        for name in "hypot copysign logical_and logical_or logical_xor logaddexp".split()
    },
}
"""NumPy's elementwise functions, as kernel text of their operands."""

OF_BOOLS = {
    "add": "{0} | {1}",
    "maximum": "{0} | {1}",
    "multiply": "{0} & {1}",
    "minimum": "{0} & {1}",
}
OF_INTEGERS = {"floor": "{0}", "ceil": "{0}", "trunc": "{0}", "rint": "{0}"}
REDUCED = {
    "add": "sum",
    "multiply": "prod",
    "maximum": "max",
    "minimum": "min",
    "logical_and": "all",
    "logical_or": "any",
}
