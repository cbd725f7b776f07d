"""Times of one expression in Kiln, numexpr, NumPy, JAX and numba: a piece of `bench.py`.

    python tools/contest.py "2*a + 3*b" --sizes 1e3 1e6 --threads 1

It prints a line of JSON: for each size, seconds by name. JAX and numba are left out where they are not
installed.
"""

from __future__ import annotations

import argparse
import json
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

ROUNDS = 5
ENOUGH = 0.01
"""Seconds of a round, or one call."""
LONG = 1.0
"""Seconds of a call of everyone from which on there is one more round, and else `ROUNDS`."""

Calls = dict[str, Callable[[], object]]


def best(calls: Calls) -> dict[str, float]:
    """Return the least seconds of a call of each, all taking turns."""
    for call in calls.values():
        call()
    least = {name: seconds(call, 1) for name, call in calls.items()}
    counts = {name: max(1, int(ENOUGH / max(once, 1e-7))) for name, once in least.items()}
    for _ in range(ROUNDS if sum(least.values()) < LONG else 1):
        for name, call in calls.items():
            least[name] = min(least[name], seconds(call, counts[name]))
    return least


def seconds(call: Callable[[], object], count: int) -> float:
    """Return the seconds of a call, of so many in a row."""
    start = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - start) / count


def contestants(ours: str) -> Callable[[object, object], Calls]:
    """Return what makes a call of each library, for two arrays."""
    import kiln
    import numexpr
    import numpy as np

    source = f"lambda a, b: {EXPRESSIONS[ours]}"
    by_numpy = eval(source, {"np": np})
    by_jax = by_numba = None
    try:
        import jax
        import jax.numpy as jnp
    except ImportError:
        pass
    else:
        jax.config.update("jax_enable_x64", True)
        by_jax = jax.jit(eval(source, {"np": jnp}))
    try:
        import numba
    except ImportError:
        pass
    else:
        by_numba = numba.njit(eval(source, {"np": np}))

    def calls(a: object, b: object) -> Calls:
        names = {"a": a, "b": b}
        all_calls = {
            "kiln": lambda: kiln.evaluate(ours, names),
            "numexpr": lambda: numexpr.evaluate(ours, names),
            "numpy": lambda: by_numpy(a, b),
        }
        if by_jax is not None:
            x, y = jnp.asarray(a), jnp.asarray(b)
            all_calls["jax"] = lambda: by_jax(x, y).block_until_ready()
        if by_numba is not None:
            all_calls["numba"] = lambda: by_numba(a, b)
        return all_calls

    return calls


def limit(threads: int) -> None:
    """Have everyone use so many threads, before any of them starts its own."""
    os.environ["NUMEXPR_MAX_THREADS"] = os.environ["NUMEXPR_NUM_THREADS"] = str(threads)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def main() -> None:
    """Print times by size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("expression", choices=EXPRESSIONS)
    parser.add_argument("--sizes", nargs="+", type=float, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--dtype", default="f8")
    options = parser.parse_args()
    limit(options.threads)
    import kiln
    import numpy as np

    kiln.numexpr.set_num_threads(options.threads)
    calls = contestants(options.expression)
    rng = np.random.default_rng(1)
    times = {}
    for size in map(int, options.sizes):
        a, b = (rng.random(size, np.float64).astype(options.dtype, copy=False) for _ in range(2))
        times[size] = best(calls(a, b))
    print(json.dumps(times))


if __name__ == "__main__":
    main()
