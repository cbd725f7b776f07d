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
from typing import NoReturn

import numpy as np

from kiln._kiln import evaluate, re_evaluate, validate
from kiln.numexpr import expressions, necompiler, utils, version
from kiln.numexpr._absent import absent
from kiln.numexpr._compiled import NumExpr, disassemble
from kiln.numexpr.expressions import E
from kiln.numexpr.utils import (
    MAX_THREADS,
    _init_num_threads,
    detect_number_of_cores,
    detect_number_of_threads,
    get_num_threads,
    get_vml_num_threads,
    get_vml_version,
    is_cpu_amd_intel,
    set_num_threads,
    set_vml_accuracy_mode,
    set_vml_num_threads,
    use_vml,
)
from kiln.numexpr.version import __version__

ncores = detect_number_of_cores()
nthreads = _init_num_threads()


def print_versions() -> None:
    """Print the versions of what computes."""
    print(f"Kiln, in place of numexpr {__version__}")
    print(f"NumPy version:     {np.__version__}")
    print(f"Python version:    {sys.version}")
    print(f"Platform:          {platform.platform()}")
    print(f"Threads:           {get_num_threads()} of {detect_number_of_cores()} cores")


def test(verbosity: int = 1) -> NoReturn:  # noqa: PT028
    """Raise an ImportError: there are no tests in Kiln's package."""
    del verbosity
    raise ImportError(
        "kiln.numexpr.tests: tests are not in Kiln's package; `scripts/python test` runs them"
    )


def install() -> None:
    """Have `import numexpr` find this module from now on, in pandas' `eval` and `query` too.

    Call it before pandas is imported, which looks for numexpr once.
    """
    sys.modules["numexpr"] = sys.modules[__name__]
    for module in (expressions, necompiler, utils, version):
        # Found under another name, it would be loaded once more.
        sys.modules[module.__name__.removeprefix("kiln.")] = module


def __getattr__(name: str) -> NoReturn:
    raise absent(__name__, name)


__all__ = [
    "MAX_THREADS",
    "E",
    "NumExpr",
    "__version__",
    "detect_number_of_cores",
    "detect_number_of_threads",
    "disassemble",
    "evaluate",
    "expressions",
    "get_num_threads",
    "get_vml_num_threads",
    "get_vml_version",
    "install",
    "is_cpu_amd_intel",
    "ncores",
    "necompiler",
    "nthreads",
    "print_versions",
    "re_evaluate",
    "set_num_threads",
    "set_vml_accuracy_mode",
    "set_vml_num_threads",
    "test",
    "use_vml",
    "utils",
    "validate",
    "version",
]
