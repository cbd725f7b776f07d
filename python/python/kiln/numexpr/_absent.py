"""The error for what numexpr has and Kiln has not."""

from __future__ import annotations


def absent(module: str, name: str) -> AttributeError:
    """Return the error for a name that a module lacks."""
    where = f"{module.removeprefix('kiln.')}.{name}"
    return AttributeError(
        f"Kiln has no {where}: of numexpr it has what evaluates, not the interpreter with its opcodes "
        "and registers",
        name=name,
    )
