"""Calls on 8 elements: what a call costs besides computing. It prints a table."""

from __future__ import annotations

import kiln
import numexpr
import numpy as np
from contest import best


def main() -> None:
    """Print a table."""
    a, b, out = np.arange(8.0), np.ones(8), np.empty(8)
    kernel, traced = kiln.compile("|a, b| 2*a + 3*b"), kiln.jit(lambda a, b: 2 * a + 3 * b)
    scaled = kiln.jit(lambda a, b, n: n * a + 3 * b, static=("n",))
    bound = kernel.bind(b=b)
    calls = {
        '`kiln.evaluate("2*a + 3*b")`': lambda a=a, b=b: kiln.evaluate("2*a + 3*b"),
        "`kiln.evaluate(.., out=out)`": lambda a=a, b=b: kiln.evaluate("2*a + 3*b", out=out),
        "a kernel": lambda: kernel(a, b),
        "a kernel, `out=out`": lambda: kernel(a, b, out=out),
        "a kernel, by names": lambda: kernel(a=a, b=b),
        "a kernel, bound": lambda: bound(a),
        "`@kiln.jit`": lambda: traced(a, b),
        "`@kiln.jit`, a constant by name": lambda: scaled(a, b, n=2),
        "`2*a + 3*b` in NumPy": lambda: 2 * a + 3 * b,
        '`numexpr.evaluate("2*a + 3*b")`': lambda a=a, b=b: numexpr.evaluate("2*a + 3*b"),
    }
    print("| 8 elements | µs a call |\n|---|---:|")
    for name, time in best(calls).items():
        print(f"| {name} | {time * 1e6:.2f} |")


if __name__ == "__main__":
    main()
