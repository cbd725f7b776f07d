"""numexpr's functions, computed by Kiln: import it in numexpr's place.

>>> import kiln.numexpr as ne
>>> import numpy as np
>>> a, b = np.arange(3.0), np.ones(3)
>>> ne.evaluate("2*a + 3*b")
array([3., 5., 7.])

What numexpr has and Kiln has not, complex numbers and strings, is a NotImplementedError.
"""

from __future__ import annotations

import platform
import sys

import numpy as np

from kiln._kiln import evaluate, re_evaluate, validate
from kiln.numexpr._compiled import NumExpr, disassemble
from kiln.numexpr._expressions import E
from kiln.numexpr._threads import (
    MAX_THREADS,
    _init_num_threads,
    detect_number_of_cores,
    detect_number_of_threads,
    get_num_threads,
    set_num_threads,
)

__version__ = "2.14.2"
"""The version of numexpr whose functions these are."""

use_vml = False
ncores = detect_number_of_cores()
nthreads = _init_num_threads()


def get_vml_version() -> None:
    """Return None: there is no VML."""


def set_vml_accuracy_mode(mode: str | None) -> None:
    """Do nothing, for there is no VML."""


def set_vml_num_threads(nthreads: int) -> None:
    """Do nothing, for there is no VML."""


def get_vml_num_threads() -> None:
    """Return None: there is no VML."""


def print_versions() -> None:
    """Print the versions of what computes."""
    print(f"Kiln, in place of numexpr {__version__}")
    print(f"NumPy version:     {np.__version__}")
    print(f"Python version:    {sys.version}")
    print(f"Platform:          {platform.platform()}")
    print(f"Threads:           {get_num_threads()} of {detect_number_of_cores()} cores")


def install() -> None:
    """Have `import numexpr` find this module from now on, in pandas' `eval` and `query` too.

    Call it before pandas is imported, which looks for numexpr once.
    """
    sys.modules["numexpr"] = sys.modules[__name__]


__all__ = [
    "MAX_THREADS",
    "E",
    "NumExpr",
    "detect_number_of_cores",
    "detect_number_of_threads",
    "disassemble",
    "evaluate",
    "get_num_threads",
    "get_vml_num_threads",
    "get_vml_version",
    "install",
    "ncores",
    "nthreads",
    "print_versions",
    "re_evaluate",
    "set_num_threads",
    "set_vml_accuracy_mode",
    "set_vml_num_threads",
    "use_vml",
    "validate",
]
