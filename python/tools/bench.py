"""Kiln beside numexpr, NumPy, JAX and numba, in one run: Markdown, as in `MEASURED.md`.

    python tools/bench.py                           all of it, some minutes
    python tools/bench.py --sizes 1e3 1e8 --threads 2 --only sum
    python tools/bench.py --under 'nice -n -5'      a command that each piece runs under

Everyone takes turns, and the least time of each counts; each piece is a process of its own, on as
many cores as threads. Run it with nothing else running, on a build with `--release`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shlex
import statistics
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from contest import EXPRESSIONS

TOOLS = Path(__file__).parent
PEERS = ("numexpr", "numpy", "jax", "numba")
LARGE = 3e7
"""Elements from which on a size is a piece of its own."""

Row = tuple[int, str, int, dict[str, float]]
"""Threads, expression, elements, and seconds by name."""


def piece(under: str, script: str, *arguments: object) -> str:
    """Return what a script prints."""
    command = [*shlex.split(under), sys.executable, str(TOOLS / script), *map(str, arguments)]
    print(*command[-len(arguments) - 1 :], file=sys.stderr, flush=True)
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def measure(options: argparse.Namespace) -> list[Row]:
    """Return times of all expressions."""
    rows: list[Row] = []
    small = [size for size in options.sizes if size < LARGE]
    parts = [part for part in (small, *([size] for size in options.sizes if size >= LARGE)) if part]
    for threads in options.threads:
        for expression in EXPRESSIONS:
            if options.only not in expression:
                continue
            for sizes in parts:
                which = (expression, "--threads", threads, "--dtype", options.dtype, "--sizes", *sizes)
                times = json.loads(piece(options.under, "contest.py", *which))
                rows += [(threads, expression, int(size), by) for size, by in times.items()]
    return rows


def summary(rows: list[Row]) -> str:
    """Return how far Kiln is ahead, at least and in the middle."""
    lines = ["| beside | least | where | median |", "|---|---:|---|---:|"]
    for peer in PEERS:
        ratios = [(by[peer] / by["kiln"], row) for *row, by in rows if peer in by]
        if ratios:
            least, (threads, expression, size) = min(ratios)
            middle = statistics.median(ratio for ratio, _ in ratios)
            where = f"`{expression}`, {size} elements, {threads} thread{'s' * (threads > 1)}"
            lines.append(f"| {peer} | {least:.2f} | {where} | {middle:.1f} |")
    return "\n".join(lines)


def table(rows: list[Row], threads: int) -> str:
    """Return Kiln's times, and how many times as long everyone else takes."""
    peers = [peer for peer in PEERS if peer in rows[0][3]]
    lines = [
        f"| expression | elements | Kiln, µs | {' | '.join(peers)} |",
        "|---|---:" + "|---:" * (len(peers) + 1) + "|",
    ]
    for its, expression, size, by in rows:
        if its == threads:
            ratios = " | ".join(f"{by[peer] / by['kiln']:.2f}" for peer in peers)
            lines.append(
                f"| `{expression}` | 10^{len(str(size)) - 1} | {by['kiln'] * 1e6:.2f} | {ratios} |"
            )
    return "\n".join(lines)


def versions() -> str:
    """Return what was measured."""
    found = []
    for name in (*PEERS, "jaxlib"):
        with contextlib.suppress(PackageNotFoundError):
            found.append(f"{name} {version(name)}")
    return f"Python {sys.version.split()[0]}, {', '.join(found)}"


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", type=float, default=[10.0**k for k in range(1, 9)])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--dtype", default="f8")
    parser.add_argument("--only", default="", help="a part of an expression")
    parser.add_argument("--under", default="", help="a command that each piece runs under")
    options = parser.parse_args()
    rows = measure(options)
    print(
        f"{versions()}; `{options.dtype}`.\n\n## How many times as long others take\n\n{summary(rows)}"
    )
    print(f"\n## Small calls\n\n{piece(options.under, 'bench_small.py')}")
    if "jax" in rows[0][3]:
        print(f"## `kiln.jit` beside `jax.jit`\n\n{piece(options.under, 'bench_jit.py')}", end="")
    for threads in options.threads:
        print(f"\n## {threads} thread{'s' * (threads > 1)}\n\n{table(rows, threads)}")


if __name__ == "__main__":
    main()
