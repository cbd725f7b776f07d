"""Kiln beside numexpr, NumPy, JAX and numba: times of the same expressions, in one run.

    python tools/bench.py                       10 to 10^7 elements, one and two threads
    python tools/bench.py --sizes 1e3 1e8 --threads 2 --dtype f4

Everyone's calls take turns, and the least time of each counts. JAX and numba are left out where they
are not installed. Run it with nothing else running, on a build with `--release`.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

EXPRESSIONS = {
    "2*a + 3*b": "2*a + 3*b",
    "a**2 + b**2 + 2*a*b": "a**2 + b**2 + 2*a*b",
    "sin(a)**2 + cos(a)**2": "np.sin(a)**2 + np.cos(a)**2",
    "(a < b) & (a > 0)": "(a < b) & (a > 0)",
    "where(a > b, a, b*2)": "np.where(a > b, a, b*2)",
    "sum(a*b)": "np.sum(a*b)",
    "exp(-a)*sqrt(b)": "np.exp(-a)*np.sqrt(b)",
}
"""Expressions as numexpr has them, and as NumPy has them."""

ROUNDS = 7
ENOUGH = 0.02
"""Seconds of a round, or one call."""


def best(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return the least seconds of a call of each, all taking turns."""
    counts = {}
    for name, call in calls.items():
        call()
        start = time.perf_counter()
        call()
        once = time.perf_counter() - start
        counts[name] = max(1, int(ENOUGH / max(once, 1e-7)))
    least = dict.fromkeys(calls, float("inf"))
    for _ in range(ROUNDS):
        for name, call in calls.items():
            start = time.perf_counter()
            for _ in range(counts[name]):
                call()
            least[name] = min(least[name], (time.perf_counter() - start) / counts[name])
    return least


def contestants(ours: str, theirs: str, a: object, b: object) -> dict[str, Callable[[], object]]:
    """Return a call of each library."""
    import kiln
    import numexpr
    import numpy as np

    names = {"a": a, "b": b}
    source = f"lambda a, b: {theirs}"
    by_numpy = eval(source, {"np": np})
    calls = {
        "kiln": lambda: kiln.evaluate(ours, names),
        "numexpr": lambda: numexpr.evaluate(ours, names),
        "numpy": lambda: by_numpy(a, b),
    }
    try:
        import jax
        import jax.numpy as jnp
    except ImportError:
        pass
    else:
        jax.config.update("jax_enable_x64", True)
        by_jax = jax.jit(eval(source, {"np": jnp}))
        x, y = jnp.asarray(a), jnp.asarray(b)
        calls["jax"] = lambda: by_jax(x, y).block_until_ready()
    try:
        import numba
    except ImportError:
        pass
    else:
        by_numba = numba.njit(eval(source, {"np": np}))
        calls["numba"] = lambda: by_numba(a, b)
    return calls


def main() -> None:
    """Print a table for each number of threads."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", type=float, default=[10.0**k for k in range(1, 8)])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--dtype", default="f8")
    parser.add_argument("--only", help="a part of an expression")
    options = parser.parse_args()
    # Before any of them starts its threads.
    os.environ["NUMEXPR_MAX_THREADS"] = str(max(options.threads))
    import kiln
    import numexpr
    import numpy as np

    rng = np.random.default_rng(1)
    for threads in options.threads:
        numexpr.set_num_threads(threads)
        kiln.numexpr.set_num_threads(threads)
        print(f"\n{threads} thread{'s' if threads > 1 else ''}, {options.dtype}: microseconds")
        for ours, theirs in EXPRESSIONS.items():
            if options.only and options.only not in ours:
                continue
            for size in options.sizes:
                a, b = rng.random((2, int(size))).astype(options.dtype)
                times = best(contestants(ours, theirs, a, b))
                row = "  ".join(f"{name} {t * 1e6:10.2f}" for name, t in times.items())
                ahead = min(t for name, t in times.items() if name != "kiln") / times["kiln"]
                print(f"{ours:24} {int(size):>10}  {row}  {ahead:5.2f}x")


if __name__ == "__main__":
    main()
