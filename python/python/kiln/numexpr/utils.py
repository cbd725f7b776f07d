"""How many threads evaluations use: numexpr's settings, and its environment variables."""

from __future__ import annotations

import os
import warnings

from kiln._kiln import set_threads

use_vml = False
is_cpu_amd_intel = False
"""Whether VML has code for this processor: there is no VML."""

_SAFE_THREADS = 16
"""numexpr takes no more unless it is told to."""


def _from_environment(name: str) -> int | None:
    value = os.environ.get(name, "")
    # OpenMP has a list of them for loops within loops.
    first = value.split(",")[0].strip()
    if first.isdecimal() and int(first) > 0:
        return int(first)
    if value:
        warnings.warn(f"{name}={value} is no number of threads", RuntimeWarning, stacklevel=2)
    return None


MAX_THREADS = _from_environment("NUMEXPR_MAX_THREADS") or 64

_threads = 1


def set_num_threads(nthreads: int) -> int:
    """Set the most threads that an evaluation uses, and return what it was."""
    global _threads
    if nthreads > MAX_THREADS:
        raise ValueError(
            "The number of threads cannot be larger than environment variable "
            f'"NUMEXPR_MAX_THREADS" ({MAX_THREADS})'
        )
    if nthreads <= 0:
        raise ValueError("Error.  nthreads must be a positive integer")
    before, _threads = _threads, nthreads
    set_threads(nthreads)
    return before


def get_num_threads() -> int:
    """Return the most threads that an evaluation uses."""
    return _threads


def detect_number_of_cores() -> int:
    """Return how many cores there are."""
    return os.cpu_count() or 1


def detect_number_of_threads() -> int:
    """Return how many threads the environment asks for, or how many cores there are."""
    asked = _from_environment("NUMEXPR_NUM_THREADS") or _from_environment("OMP_NUM_THREADS")
    return min(asked or detect_number_of_cores(), MAX_THREADS)


def _init_num_threads() -> int:
    """Set the threads that the environment asks for, and return how many."""
    configured = any(os.environ.get(name) for name in ("NUMEXPR_MAX_THREADS", "OMP_NUM_THREADS"))
    most = MAX_THREADS if configured else min(detect_number_of_cores(), _SAFE_THREADS)
    asked = _from_environment("NUMEXPR_NUM_THREADS") or _from_environment("OMP_NUM_THREADS")
    threads = min(asked or min(most, detect_number_of_cores()), MAX_THREADS)
    set_num_threads(threads)
    return threads


def get_vml_version() -> None:
    """Return None: there is no VML."""


def set_vml_accuracy_mode(mode: str | None) -> None:
    """Do nothing, for there is no VML."""


def set_vml_num_threads(nthreads: int) -> None:
    """Do nothing, for there is no VML."""


def get_vml_num_threads() -> None:
    """Return None: there is no VML."""
