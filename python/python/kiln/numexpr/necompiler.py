"""What users call of numexpr's compiler."""

from __future__ import annotations

from typing import Any, NoReturn

from kiln._kiln import evaluate, re_evaluate, validate
from kiln.numexpr._absent import absent
from kiln.numexpr._compiled import NumExpr, disassemble
from kiln.numexpr._translate import check_context, parse

__all__ = ["NumExpr", "disassemble", "evaluate", "getExprNames", "re_evaluate", "validate"]


def getExprNames(  # noqa: N802
    text: str, context: dict[str, Any] | None = None, sanitize: bool = True
) -> tuple[list[str], bool]:
    """Return the names of an expression's variables, in order, and that it does not use VML."""
    return list(parse(text, sanitize, check_context(context or {})).names), False


def __getattr__(name: str) -> NoReturn:
    raise absent(__name__, name)
