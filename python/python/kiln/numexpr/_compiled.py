"""`NumExpr`: an expression that is compiled for given types, and called with arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import kiln._kiln as _kiln
from kiln.numexpr._kinds import NUMPY
from kiln.numexpr._translate import Parsed, check_context, parse
from kiln.numexpr.expressions import ExpressionNode

_KINDS: dict[Any, str] = {
    bool: "bool",
    np.int32: "int",
    np.int64: "long",
    int: "long",
    float: "float",
    np.float32: "float",
    np.float64: "double",
    complex: "complex",
    bytes: "bytes",
    str: "bytes",
}
"""The kinds of the types of a signature."""

_LETTERS = {"bool": "b", "int": "i", "long": "l", "float": "f", "double": "d"}


class NumExpr:
    """A compiled expression. Without a signature, variables are doubles, in alphabetical order."""

    def __init__(
        self,
        ex: str | ExpressionNode,
        signature: Sequence[tuple[str, Any]] = (),
        sanitize: bool = True,
        **kwargs: Any,
    ) -> None:
        """Compile an expression for variables of these names and types."""
        optimization = check_context(kwargs)
        if isinstance(ex, ExpressionNode):
            self._parsed = Parsed(ex.tree, optimization)
        else:
            self._parsed = parse(ex, sanitize, optimization)
        names = self._parsed.names
        types = dict(signature)
        if signature and set(types) != set(names):
            raise ValueError(
                f"input names ({list(types)}) don't match those found in expression ({set(names)})"
            )
        for name, of in types.items():
            if of not in _KINDS:
                known = ", ".join(kind.__name__ for kind in _KINDS)
                raise TypeError(f"{name} has the unknown type {of!r}; there are {known}")
        self.input_names = tuple(types) or names
        self._kinds = {name: _KINDS[types[name]] if types else "double" for name in names}
        self.kernel = _kiln.compile_text(self._parsed.kernel_text(self._kinds))
        self._expression = _kiln.Expression(self._parsed)

    @property
    def signature(self) -> bytes:
        """The kinds of the inputs, a letter each."""
        return "".join(_LETTERS[self._kinds[name]] for name in self.input_names).encode()

    def __call__(
        self,
        *arrays: Any,
        out: Any = None,
        order: str = "K",
        casting: Any = "safe",
        ex_uses_vml: bool = False,
    ) -> Any:
        """Evaluate the expression on arrays in the order of `input_names`."""
        del ex_uses_vml
        if len(arrays) != len(self.input_names):
            raise ValueError(f"number of inputs doesn't match program: {len(self.input_names)}")
        given = dict(zip(self.input_names, arrays, strict=True))
        typed = (
            np.asarray(given[name]).astype(NUMPY[self._kinds[name]], casting=casting, copy=False)
            for name in self._parsed.names
        )
        return self._expression(*typed, out=out, order=order, casting=casting)

    run = __call__

    def __repr__(self) -> str:
        return f"<NumExpr of {', '.join(self.input_names)}: {self.kernel.text}>"


def disassemble(nex: NumExpr) -> list[tuple[str, str]]:
    """Return what an expression becomes, stage by stage: the name of a stage, and its text."""
    return [(stage, nex.kernel.explain(stage)) for stage in ("ir", "fused", "vir", "asm")]
