"""Functions of neural networks, for arrays and inside of `kiln.jit`.

>>> import kiln, numpy as np
>>> kiln.nn.softmax(np.zeros(4, np.float32))
array([0.25, 0.25, 0.25, 0.25], dtype=float32)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kiln._functions import call
from kiln._jit import jit
from kiln._tracer import Tracer

__all__ = [
    "attention",
    "cross_entropy",
    "elu",
    "gelu",
    "hardswish",
    "layer_norm",
    "leaky_relu",
    "log_softmax",
    "logsumexp",
    "mish",
    "mse",
    "normalize",
    "relu",
    "rms_norm",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
]


def _rows(name: str, x: Tracer, axis: Any, *more: Any) -> Tracer:
    """Return a function along axes that stay."""
    axes = x._axes(axis)
    listed = ".." if axes is None else ", ".join(map(str, axes))
    return call(f"{name}[{listed}]", x, *more)


@jit
def relu(x: Any) -> Any:
    """Return `max(x, 0)`."""
    return call("relu", x)


@jit
def sigmoid(x: Any) -> Any:
    """Return `1 / (1 + exp(-x))`."""
    return call("sigmoid", x)


@jit
def silu(x: Any) -> Any:
    """Return `x * sigmoid(x)`."""
    return call("silu", x)


@jit
def mish(x: Any) -> Any:
    """Return `x * tanh(softplus(x))`."""
    return call("mish", x)


@jit
def selu(x: Any) -> Any:
    """Return the scaled exponential linear unit."""
    return call("selu", x)


@jit
def hardswish(x: Any) -> Any:
    """Return `x * relu6(x + 3) / 6`."""
    return call("hardswish", x)


@jit(static=("approximate",))
def gelu(x: Any, approximate: bool = False) -> Any:
    """Return `x * Φ(x)`, or its approximation by a tanh."""
    return call("gelu_tanh" if approximate else "gelu", x)


@jit(static=("alpha",))
def elu(x: Any, alpha: float = 1.0) -> Any:
    """Return x, and below 0 `alpha * (exp(x) - 1)`."""
    return call("elu", x, alpha)


@jit(static=("slope",))
def leaky_relu(x: Any, slope: float = 0.01) -> Any:
    """Return x, and below 0 `slope * x`."""
    return call("leaky_relu", x, slope)


@jit(static=("beta",))
def softplus(x: Any, beta: float = 1.0) -> Any:
    """Return `log(1 + exp(beta * x)) / beta`."""
    return call("softplus", x, beta)


@jit(static=("axis",))
def softmax(x: Any, axis: int | tuple[int, ...] | None = -1) -> Any:
    """Return `exp(x) / sum(exp(x))` along axes."""
    return _rows("softmax", x, axis)


@jit(static=("axis",))
def log_softmax(x: Any, axis: int | tuple[int, ...] | None = -1) -> Any:
    """Return the logarithm of softmax."""
    return _rows("log_softmax", x, axis)


@jit(static=("axis", "keepdims"))
def logsumexp(x: Any, axis: int | tuple[int, ...] | None = -1, keepdims: bool = False) -> Any:
    """Return `log(sum(exp(x)))` along axes."""
    return x._along("logsumexp", axis, keepdims)


@jit(static=("axis", "eps"))
def layer_norm(
    x: Any,
    weight: Any = None,
    bias: Any = None,
    axis: int | tuple[int, ...] = -1,
    eps: float = 1e-5,
) -> Any:
    """Return x without its mean, by its standard deviation, times weight, plus bias."""
    normal = _rows("layer_norm", x, axis, eps)
    normal = normal if weight is None else normal * weight
    return normal if bias is None else normal + bias


@jit(static=("axis", "eps"))
def rms_norm(x: Any, weight: Any = None, axis: int | tuple[int, ...] = -1, eps: float = 1e-6) -> Any:
    """Return x by the root of its mean square, times weight."""
    normal = _rows("rms_norm", x, axis, eps)
    return normal if weight is None else normal * weight


@jit(static=("axis", "eps"))
def normalize(x: Any, axis: int | tuple[int, ...] = -1, eps: float = 1e-12) -> Any:
    """Return x by its length."""
    return _rows("normalize", x, axis, eps)


@jit(static=("axis",))
def cross_entropy(x: Any, p: Any, axis: int = -1) -> Any:
    """Return the cross entropy of softmax(x) and of probabilities, or of labels if p is integers."""
    axes = x._axes(axis) or []
    listed = ", ".join(map(str, axes))
    if p._name in ("i32", "i64"):
        places: Any = np.expand_dims(p, axes[0])
        losses = x._bound(f"label_cross_entropy[{listed}]({x._text}, {places._text})", x._name, x.ndim)
    else:
        losses = call(f"cross_entropy[{listed}]", x, p)
    return losses.squeeze(axis)


@jit
def mse(x: Any, y: Any) -> Any:
    """Return the mean square of differences."""
    return np.mean((x - y) ** 2)


@jit(static=("scale",))
def attention(q: Any, k: Any, v: Any, mask: Any = None, scale: float | None = None) -> Any:
    """Return `softmax(q @ k.T * scale + mask) @ v`. A mask of bools is true where one may look.

    Without a scale, the width of `q` gives it: pass `scale=1 / np.sqrt(d)` where that is known.
    """
    factor: Any = scale
    if scale is None:
        width = q._bound(f"count[-1]({q.astype(_float(q))._text})", _float(q), q.ndim)
        factor = 1 / np.sqrt(width)
    scores = (q @ k.swapaxes(-1, -2)) * factor
    if mask is not None:
        scores = np.where(mask, scores, -np.inf) if mask._name == "bool" else scores + mask
    return softmax(scores, -1) @ v


def _float(x: Tracer) -> str:
    return x._name if x._name in ("f32", "f64") else "f32"
