"""numexpr's expressions, read by Python's own parser and written as kernel text.

An expression is a tree of Python's `ast`: it is never evaluated, and no name in it is looked up but
as an array. What the grammar of expressions does not have is an error that names it.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable

from kiln.numexpr._values import Builder, Value, constant
from kiln.numexpr.expressions import BOOLEAN

OPTIMIZATIONS = ("none", "moderate", "aggressive")

_BINARY: dict[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "div",
    ast.FloorDiv: "floordiv",
    ast.Mod: "mod",
    ast.Pow: "pow",
    ast.LShift: "lshift",
    ast.RShift: "rshift",
    ast.BitAnd: "and",
    ast.BitOr: "or",
    ast.BitXor: "xor",
}

_COMPARISONS: dict[type[ast.cmpop], tuple[str, bool]] = {
    ast.Gt: ("gt", False),
    ast.GtE: ("ge", False),
    ast.Lt: ("gt", True),
    ast.LtE: ("ge", True),
    ast.Eq: ("eq", False),
    ast.NotEq: ("ne", False),
}
"""Operations, and whether their operands change places."""

_FUNCTIONS: dict[str, tuple[str, int, str | None]] = {
    "copy": ("copy", 1, None),
    "ones_like": ("ones_like", 1, None),
    **{
        name: (name, 1, "float")
        for name in "sqrt sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh "
        "log log1p log10 log2 exp expm1 ceil floor".split()
    },
    "abs": ("absolute", 1, "float"),
    **{name: (name, 1, "double") for name in "round trunc sign isnan isfinite isinf signbit".split()},
    **{name: (name, 2, "float") for name in ("fmod", "arctan2")},
    **{name: (name, 2, "double") for name in "hypot nextafter copysign maximum minimum".split()},
}
"""NumPy's name of a function, how many arguments it takes, and the least kind of its result."""

_REDUCTIONS = ("sum", "prod", "min", "max")
_OTHERS = ("where", "real", "imag", "conj", "complex", "contains")
FUNCTIONS = frozenset({*_FUNCTIONS, *_REDUCTIONS, *_OTHERS})

# What numexpr forbids, and the exceptions in the same words: programs look for them.
_FORBIDDEN = re.compile(
    r"[\;\[\:]|(^|[^\w])__[\w]+__($|[^\w])"
    r"|\.\b(?!(real|imag|(\d*[eE]?[+-]?\d+)|(\d*[eE]?[+-]?\d+j)|(\d*j))\b)"
)


class Parsed:
    """An expression, and the names of its variables in alphabetical order."""

    def __init__(self, tree: ast.expr, optimization: str = "aggressive") -> None:
        """Take a tree of Python's parser."""
        self._tree = tree
        self._optimization = optimization
        self.names = tuple(sorted(_variables(tree)))

    def kernel_text(self, kinds: dict[str, str]) -> str:
        """Return the kernel for variables of these kinds, with inputs in the order of `names`."""
        builder = Builder(self._optimization)
        inputs = {name: builder.input(name, kinds[name]) for name in self.names}
        try:
            return builder.finish(_Translator(builder, inputs).visit(self._tree))
        except RecursionError:
            raise ValueError("the expression is nested too deeply") from None


def parse(text: str, sanitize: bool | None = None, optimization: str = "aggressive") -> Parsed:
    """Read an expression."""
    if not isinstance(text, str):
        raise ValueError("must specify expression as a string")
    if sanitize is None:
        sanitize = bool(int(os.environ.get("NUMEXPR_SANITIZE", "1")))
    if sanitize:
        bare = re.sub(r"'[^']*'", "", re.sub(r"\s+", "", text))
        if _FORBIDDEN.search(bare):
            raise ValueError(f"Expression {text} has forbidden control characters.")
    try:
        return Parsed(ast.parse(text.strip(), "<expr>", "eval").body, optimization)
    except (RecursionError, MemoryError):
        raise ValueError("the expression is nested too deeply") from None


def check_context(options: dict[str, object]) -> str:
    """Check the keyword arguments that numexpr's functions share, and return the optimization."""
    options = dict(options)
    optimization = options.pop("optimization", "aggressive")
    if optimization not in OPTIMIZATIONS:
        raise ValueError(f"'optimization' must be one of {OPTIMIZATIONS}")
    if options.pop("truediv", "auto") not in (False, True, "auto"):
        raise ValueError(f"'truediv' must be one of {(False, True, 'auto')}")
    for name in options:
        raise ValueError(f"Unknown keyword argument '{name}'")
    return str(optimization)


def _variables(tree: ast.expr) -> set[str]:
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    names = (node for node in ast.walk(tree) if isinstance(node, ast.Name))
    return {node.id for node in names if id(node) not in called}


class _Translator:
    """Visits a tree, and writes what it finds."""

    def __init__(self, builder: Builder, inputs: dict[str, Value]) -> None:
        self._builder = builder
        self._inputs = inputs

    def visit(self, node: ast.expr) -> Value:
        match node:
            case ast.BinOp():
                return self._binary(node)
            case ast.Name(id=name):
                return self._inputs[name]
            case ast.Constant(value=bool() | int() | float() | complex() | bytes() | str() as value):
                return constant(value)
            case ast.Constant(value=value):
                raise TypeError(f"unsupported object type: {type(value)}")
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self._builder.unary("neg", self.visit(operand))
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.visit(operand)
            case ast.UnaryOp(op=ast.Invert(), operand=operand):
                return self._builder.unary("invert", self.visit(operand))
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARISONS:
                operation, swapped = _COMPARISONS[type(op)]
                operands = self.visit(left), self.visit(right)
                return self._builder.compare(operation, *(operands[::-1] if swapped else operands))
            case ast.Compare() | ast.BoolOp() | ast.UnaryOp() | ast.IfExp():
                raise TypeError(BOOLEAN)
            case ast.Attribute(value=value, attr="real" | "imag" as name):
                return self._builder.part(name, self.visit(value))
            case ast.Call(func=ast.Name(id=name)) if name in FUNCTIONS:
                return self._call(name, node)
            case ast.Call(func=ast.Name(id=name)):
                raise TypeError(f"unknown function {name}; there are {', '.join(sorted(FUNCTIONS))}")
        raise TypeError(f"unsupported expression type: {ast.unparse(node)} ({type(node).__name__})")

    def _binary(self, node: ast.BinOp) -> Value:
        """Return a chain of operators, without a call for each: chains may be long."""
        chain: list[ast.BinOp] = []
        left: ast.expr = node
        while isinstance(left, ast.BinOp):
            chain.append(left)
            left = left.left
        value = self.visit(left)
        for link in reversed(chain):
            operation = _BINARY.get(type(link.op))
            if operation is None:
                raise TypeError(f"unsupported operand type(s) for {ast.unparse(link)}")
            value = self._builder.binary(operation, value, self.visit(link.right))
        return value

    def _call(self, name: str, node: ast.Call) -> Value:
        if name in _REDUCTIONS:
            return self._reduction(name, node)
        if node.keywords:
            raise TypeError(f"{name}() takes no keyword arguments")
        values = [self.visit(argument) for argument in node.args]
        if name in _FUNCTIONS:
            function, arity, least = _FUNCTIONS[name]
            _check_count(name, arity, len(values))
            return self._builder.function(function, least, *values)
        _check_count(name, {"where": 3, "complex": 2, "contains": 2}.get(name, 1), len(values))
        others: dict[str, Callable[..., Value]] = {
            "where": self._builder.where,
            "real": lambda value: self._builder.part("real", value),
            "imag": lambda value: self._builder.part("imag", value),
            # As in NumPy, a real number is its own conjugate.
            "conj": lambda value: value,
        }
        if name not in others:
            lacks = "complex numbers" if name == "complex" else "strings"
            raise NotImplementedError(f"{name}(): Kiln has no {lacks}")
        return others[name](*values)

    def _reduction(self, name: str, node: ast.Call) -> Value:
        axes = [*node.args[1:], *(keyword.value for keyword in node.keywords)]
        if any(keyword.arg != "axis" for keyword in node.keywords) or len(axes) > 1 or not node.args:
            raise TypeError(f"{name}() takes an array, and an axis or none")
        axis = _axis(axes[0]) if axes else None
        return self._builder.reduce(name, self.visit(node.args[0]), axis)


def _axis(node: ast.expr) -> int | None:
    match node:
        case ast.Constant(value=None):
            return None
        case ast.Constant(value=int() as axis) if not isinstance(axis, bool):
            if axis >= 64:
                raise ValueError("cannot encode axis")
            return axis
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int())):
            raise ValueError("negative axis are not supported")
    raise TypeError(f"an axis is a number or None, not {ast.unparse(node)}")


def _check_count(name: str, expected: int, found: int) -> None:
    if expected != found:
        raise TypeError(f"{name}() takes {expected} arguments, got {found}")
