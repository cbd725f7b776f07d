"""Kiln: NumPy expressions as one fused, native SIMD loop.

>>> import kiln, numpy as np
>>> gelu = kiln.compile("0.5 * x * (1 + erf(x / sqrt(2)))")
>>> gelu(np.array([-1.0, 0.0, 1.0]))
array([-0.15865525,  0.        ,  0.84134475])
"""

from kiln._kiln import Kernel, Memory, Profile
from kiln._kiln import compile_text as compile  # noqa: A004
from kiln._kiln import stages as _stages

STAGES: dict[str, str] = dict(_stages())
"""The stages that `Kernel.explain` shows, each with what it is."""

__all__ = ["STAGES", "Kernel", "Memory", "Profile", "compile"]
