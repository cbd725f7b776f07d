"""Kernel text, built binding by binding: what expressions and traced functions become."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

_RESERVED = frozenset({"kernel", "let", "fused", "true", "false", "inf", "nan", "not", "and", "or"})


def literal(value: Any, dtype: str) -> str:
    """Return a number of one of Kiln's types as text."""
    if dtype == "bool":
        return "true" if value else "false"
    if dtype[0] in "iu":
        least, most = (0, 255) if dtype == "u8" else (-(2 ** (int(dtype[1:]) - 1)), None)
        most = -least - 1 if most is None else most
        if not least <= int(value) <= most:
            raise OverflowError("Python int too large to convert to C long")
        return f"{dtype}({int(value)})"
    if dtype == "f32":
        with np.errstate(all="ignore"):
            value = float(np.float32(value))
    return f"{dtype}({float(value)!r})"


class Program:
    """A closure of kernel text. Equal expressions are bound once, so that sharing stays sharing."""

    def __init__(self) -> None:
        """Begin a program without inputs."""
        self._inputs: dict[str, str] = {}
        self._bindings: dict[str, str] = {}
        self._names: set[str] = set()

    def input(self, name: str, declared: str | None = None) -> str:
        """Declare an input, such as `x: f32[..]`, and return its name in the text.

        A name that no input of a text can have becomes another one.
        """
        plain = name.isascii() and name.isidentifier() and name not in _RESERVED
        text = self._unused(name if plain else "x")
        self._inputs[text] = f"{text}: {declared}" if declared else text
        return text

    def bind(self, expression: str) -> str:
        """Bind an expression over names of this program, and return its name."""
        name = self._bindings.get(expression)
        if name is None:
            name = self._bindings[expression] = self._unused("t", len(self._bindings))
        return name

    def text(self, outputs: Iterable[str]) -> str:
        """Return the text of a kernel with these outputs."""
        lines = [f"    let {name} = {expression};" for expression, name in self._bindings.items()]
        outputs = list(outputs)
        result = outputs[0] if len(outputs) == 1 else f"({', '.join(outputs)})"
        return "\n".join([f"|{', '.join(self._inputs.values())}| {{", *lines, f"    {result}", "}"])

    def _unused(self, stem: str, number: int | None = None) -> str:
        name = stem if number is None else f"{stem}{number}"
        number = number or 0
        while name in self._names:
            number += 1
            name = f"{stem}{number}"
        self._names.add(name)
        return name
