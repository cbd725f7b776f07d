"""`bench`: a kernel beside what NumPy does, as a table."""

from __future__ import annotations

import html
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kiln._jit import Traced
from kiln._kiln import Kernel

_ROUNDS = 9
_ENOUGH = 0.01
"""Seconds of a round, or one call."""


@dataclass(frozen=True)
class Row:
    """How long one of those takes that were measured."""

    name: str
    seconds: float
    """The least time of a call."""
    ratio: float
    """How many times as long as the first takes."""


@dataclass(frozen=True)
class Bench:
    """What was measured in turns. `print` shows a table."""

    elements: int
    """Of the largest argument."""
    rows: tuple[Row, ...]

    def __repr__(self) -> str:
        lines = [f"{'':16} {'time':>12} {'ns/element':>12} {'':>8}"]
        for row in self.rows:
            each = row.seconds * 1e9 / max(self.elements, 1)
            lines.append(f"{row.name:16} {_time(row.seconds):>12} {each:12.3f} {row.ratio:7.2f}x")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        cells = [
            f"<tr><td>{html.escape(row.name)}</td><td>{_time(row.seconds)}</td>"
            f"<td>{row.seconds * 1e9 / max(self.elements, 1):.3f}</td><td>{row.ratio:.2f}x</td></tr>"
            for row in self.rows
        ]
        head = "<tr><th></th><th>time</th><th>ns/element</th><th></th></tr>"
        return f"<table>{head}{''.join(cells)}</table>"


def bench(
    kernel: Kernel | Traced, *arrays: Any, numpy: Callable[..., Any] | None = None, **others: Any
) -> Bench:
    """Measure a kernel or a traced function beside NumPy, and beside itself unfused.

    A traced function is NumPy code itself; for a kernel of text give the code as `numpy`. Further
    keyword arguments are functions to measure, by their names. All take turns on the same arrays.
    """
    if isinstance(kernel, Traced):
        numpy = numpy or kernel.__wrapped__
        unfused = kernel.kernel(*arrays).unfused()
    else:
        unfused = kernel.unfused()
    calls = {"kiln": kernel, "kiln, unfused": unfused, "numpy": numpy, **others}
    timed = {name: _least(call, arrays) for name, call in calls.items() if call is not None}
    least = _take_turns(timed)
    first = least["kiln"]
    rows = tuple(Row(name, seconds, seconds / first) for name, seconds in least.items())
    return Bench(max((np.size(array) for array in arrays), default=1), rows)


def _least(call: Callable[..., Any], arrays: tuple[Any, ...]) -> Callable[[], float]:
    """Return what measures a round of calls, after one that compiles."""
    call(*arrays)
    start = time.perf_counter()
    call(*arrays)
    count = max(1, int(_ENOUGH / max(time.perf_counter() - start, 1e-7)))

    def round_of_calls() -> float:
        start = time.perf_counter()
        for _ in range(count):
            call(*arrays)
        return (time.perf_counter() - start) / count

    return round_of_calls


def _take_turns(timed: dict[str, Callable[[], float]]) -> dict[str, float]:
    with np.errstate(all="ignore"):
        rounds = [{name: measure() for name, measure in timed.items()} for _ in range(_ROUNDS)]
    return {name: min(times[name] for times in rounds) for name in timed}


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"
