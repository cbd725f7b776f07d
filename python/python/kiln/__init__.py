"""Kiln: NumPy expressions as one fused, native SIMD loop.

>>> import kiln, numpy as np
>>> gelu = kiln.compile("0.5 * x * (1 + erf(x / sqrt(2)))")
>>> gelu(np.array([-1.0, 0.0, 1.0]))
array([-0.15865525,  0.        ,  0.84134475])
>>> a, b = np.arange(3.0), np.ones(3)
>>> kiln.evaluate("2*a + 3*b")
array([3., 5., 7.])
>>> @kiln.jit
... def scaled(x, w):
...     return np.tanh(x) * w
>>> scaled(np.zeros(2), np.ones(2))
array([0., 0.])
"""

from kiln import nn, numexpr
from kiln._bench import Bench, bench
from kiln._jit import compile, jit  # noqa: A004
from kiln._kiln import Kernel, Memory, Profile, Roofline, evaluate, re_evaluate, roofline, validate
from kiln._kiln import stages as _stages

STAGES: dict[str, str] = dict(_stages())
"""The stages that `Kernel.explain` shows, each with what it is."""

__all__ = [
    "STAGES",
    "Bench",
    "Kernel",
    "Memory",
    "Profile",
    "Roofline",
    "bench",
    "compile",
    "evaluate",
    "jit",
    "nn",
    "numexpr",
    "re_evaluate",
    "roofline",
    "validate",
]
