"""`E`: expressions that are written with Python's operators."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, NoReturn

from kiln.numexpr._absent import absent

BOOLEAN = (
    "You can't use Python's standard boolean operators in NumExpr expressions. You should use "
    "their bitwise counterparts instead: '&' instead of 'and', '|' instead of 'or', and '~' "
    "instead of 'not'."
)


class ExpressionNode:
    """A part of an expression. What is done with it is written down, and computed later."""

    __hash__ = object.__hash__

    def __init__(self, tree: ast.expr) -> None:
        """Take a tree of Python's parser."""
        self.tree = tree

    def __bool__(self) -> bool:
        raise TypeError(BOOLEAN)

    def __neg__(self) -> ExpressionNode:
        return ExpressionNode(ast.UnaryOp(ast.USub(), self.tree))

    def __pos__(self) -> ExpressionNode:
        return self

    def __invert__(self) -> ExpressionNode:
        return ExpressionNode(ast.UnaryOp(ast.Invert(), self.tree))

    @property
    def real(self) -> ExpressionNode:
        """The real part."""
        return ExpressionNode(ast.Attribute(self.tree, "real", ast.Load()))

    @property
    def imag(self) -> ExpressionNode:
        """The imaginary part."""
        return ExpressionNode(ast.Attribute(self.tree, "imag", ast.Load()))

    def __repr__(self) -> str:
        return f"<expression {ast.unparse(self.tree)}>"


def _tree(value: Any) -> ast.expr:
    if isinstance(value, ExpressionNode):
        return value.tree
    if isinstance(value, bool | int | float | complex | bytes | str):
        return ast.Constant(value)
    raise TypeError(f"unsupported object type: {type(value)}")


def _binary(op: ast.operator, swapped: bool = False) -> Callable[[ExpressionNode, Any], Any]:
    def method(self: ExpressionNode, other: Any) -> ExpressionNode:
        left, right = (_tree(other), self.tree) if swapped else (self.tree, _tree(other))
        return ExpressionNode(ast.BinOp(left, op, right))

    return method


def _compare(op: ast.cmpop) -> Callable[[ExpressionNode, Any], Any]:
    def method(self: ExpressionNode, other: Any) -> ExpressionNode:
        return ExpressionNode(ast.Compare(self.tree, [op], [_tree(other)]))

    return method


_OPERATORS: dict[str, ast.operator] = {
    "add": ast.Add(),
    "sub": ast.Sub(),
    "mul": ast.Mult(),
    "truediv": ast.Div(),
    "floordiv": ast.FloorDiv(),
    "mod": ast.Mod(),
    "pow": ast.Pow(),
    "lshift": ast.LShift(),
    "rshift": ast.RShift(),
    "and": ast.BitAnd(),
    "or": ast.BitOr(),
    "xor": ast.BitXor(),
}
_COMPARISONS: dict[str, ast.cmpop] = {
    "lt": ast.Lt(),
    "le": ast.LtE(),
    "gt": ast.Gt(),
    "ge": ast.GtE(),
    "eq": ast.Eq(),
    "ne": ast.NotEq(),
}

for _name, _op in _OPERATORS.items():
    setattr(ExpressionNode, f"__{_name}__", _binary(_op))
    setattr(ExpressionNode, f"__r{_name}__", _binary(_op, swapped=True))
for _name, _cmpop in _COMPARISONS.items():
    setattr(ExpressionNode, f"__{_name}__", _compare(_cmpop))


class _Expression:
    """Makes variables: `E.a`."""

    def __getattr__(self, name: str) -> ExpressionNode:
        if name.startswith("_"):
            raise AttributeError(name)
        return ExpressionNode(ast.Name(name, ast.Load()))


E = _Expression()


def __getattr__(name: str) -> NoReturn:
    raise absent(__name__, name)
