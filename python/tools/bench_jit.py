"""`kiln.jit` beside `jax.jit` and NumPy: the first call, which compiles, and later ones, in one run.

    python tools/bench_jit.py --threads 1

Run it with nothing else running, on a build with `--release`, where JAX is installed.
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Callable
from typing import Any

from contest import best, limit


def gelu(np: Any, x: Any) -> Any:
    """Elementwise."""
    return 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3)))


def softmax(np: Any, x: Any) -> Any:
    """Along rows."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def layer(np: Any, x: Any, w: Any, b: Any) -> Any:
    """A product, and what follows."""
    y = np.tanh(x @ w + b)
    return y - y.mean(axis=-1, keepdims=True)


CASES: dict[str, tuple[Callable[..., Any], list[tuple[int, ...]]]] = {
    "gelu, 1 Ki": (gelu, [(1024,)]),
    "gelu, 1 Mi": (gelu, [(1 << 20,)]),
    "softmax, 1024 x 512": (softmax, [(1024, 512)]),
    "layer, 256 x 512 x 512": (layer, [(256, 512), (512, 512), (512,)]),
}


def first(call: Callable[[], object]) -> float:
    """Return the seconds of a first call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, required=True)
    limit(parser.parse_args().threads)
    import jax
    import jax.numpy as jnp
    import kiln
    import numpy as np

    rng = np.random.default_rng(0)
    print("| | first call, ms: Kiln | JAX | later calls, µs: Kiln | JAX | NumPy |")
    print("|---|---:|---:|---:|---:|---:|")
    # What the first call of all does besides compiling is nobody's first call.
    kiln.jit(lambda x: x + 1)(np.ones(3)), jax.jit(lambda x: x + 1)(jnp.ones(3))
    for name, (function, shapes) in CASES.items():
        arrays = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
        theirs = [jnp.asarray(array) for array in arrays]
        ours = kiln.jit(functools.partial(function, np))
        by_jax = jax.jit(functools.partial(function, jnp))
        calls = {
            "kiln": lambda ours=ours, arrays=arrays: ours(*arrays),
            "jax": lambda by_jax=by_jax, theirs=theirs: by_jax(*theirs).block_until_ready(),
        }
        compiling = [first(call) * 1e3 for call in calls.values()]
        calls["numpy"] = lambda f=function, arrays=arrays: f(np, *arrays)
        later = [seconds * 1e6 for seconds in best(calls).values()]
        cells = [f"{time:.2f}" for time in compiling] + [f"{time:.1f}" for time in later]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
