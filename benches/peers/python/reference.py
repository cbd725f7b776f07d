"""What results are judged by: the formula in 50 digits, at some of the elements."""

import mpmath
import numpy as np

from formula import Program

mpmath.mp.dps = 50

FUNCTIONS = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "neg": lambda x: -x,
    "gt": lambda x, y: x > y,
    "maximum": max,
    "where": lambda condition, x, y: x if condition else y,
    "abs": abs,
    "exp": mpmath.exp,
    "log": mpmath.log,
    "log1p": lambda x: mpmath.log(1 + x),
    "expm1": mpmath.expm1,
    "sqrt": mpmath.sqrt,
    "tanh": mpmath.tanh,
    "erf": mpmath.erf,
}

POINTS = 1024
# A peer whose error is larger, against the larger of 1 and the result, computes something else.
WRONG = {"float32": 1e-3, "float64": 1e-9}


def exact(program, inputs):
    """The result at one point, of inputs by name."""
    values = []
    for op, *operands in program.nodes:
        if op == "input":
            values.append(mpmath.mpf(float(inputs[operands[0]])))
        elif op == "number":
            values.append(mpmath.mpf(operands[0]))
        else:
            values.append(FUNCTIONS[op](*(values[operand] for operand in operands)))
    return values[program.result]


def of_product(x, w, b=None):
    """A product with GELU if there is a bias, and the sum of the sizes of its terms."""
    z, size = x @ w, np.abs(x) @ np.abs(w)
    if b is not None:
        z, size = z + b, size + np.abs(b)
        z = 0.5 * z * (1 + np.tanh(0.7978845608028654 * (z + 0.044715 * z**3)))
    return z, size


def of_rows(name, x, w=1.0, b=0.0):
    """A function along rows, and the size of what is added up last: by it errors are measured."""
    if name.startswith("sum"):
        axis = int(name[-1])
        return x.sum(axis, keepdims=True), np.abs(x).sum(axis, keepdims=True)
    if name in ("softmax", "log softmax"):
        off = x - x.max(1, keepdims=True)
        total = np.exp(off).sum(1, keepdims=True)
        if name == "softmax":
            result = np.exp(off) / total
            return result, result
        # The logarithm of what is hardly more than 1 is as exact as that.
        return off - np.log(total), np.abs(off) + np.log(total) + 1
    if name == "layer norm":
        x = x - x.mean(1, keepdims=True)
        result = x / np.sqrt((x * x).mean(1, keepdims=True) + 1e-5) * w + b
    else:
        result = x / np.sqrt((x * x).mean(1, keepdims=True) + 1e-6) * w
    return result, np.broadcast_to(np.abs(result).max(1, keepdims=True), result.shape)


def of_attention(name, q, k, v):
    """Attention, and the sum of the sizes of what its values add up."""
    scores = q @ k.swapaxes(1, 2) / 8
    if name.startswith("causal"):
        scores = np.where(np.tri(scores.shape[-1], dtype=bool), scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return weights @ v, weights @ np.abs(v)


def of_layers(name, x, *weights):
    """An MLP or a block, and the sum of the sizes of what is added up last."""
    *of_attention_, w, b, u, c = weights
    seen, size = x, 0.0
    if of_attention_:
        g, h, qkv, o, d, e, l = of_attention_
        thirds = np.split(of_rows("layer norm", x, g, h)[0] @ qkv, 3, axis=1)
        heads = (third.reshape(len(x), 12, 64).swapaxes(0, 1) for third in thirds)
        joined = of_attention("causal attention", *heads)[0].swapaxes(0, 1).reshape(x.shape)
        seen = x + (joined @ o + d)
        size, x = np.abs(seen), of_rows("layer norm", seen, e, l)[0]
    hidden = of_product(x, w, b)[0]
    result, sizes = hidden @ u + c, np.abs(hidden) @ np.abs(u) + np.abs(c)
    return (seen + result, size + sizes) if of_attention_ else (result, sizes)


class Reference:
    """The exact results of a case at some points, or all in `float64` where sums are part of it."""

    def __init__(self, case, arrays):
        self.case = case
        if case.kind == "elementwise":
            program = Program(case.formula, FUNCTIONS)
            step = max(1, case.elements // POINTS | 1)
            self.points = np.arange(0, case.elements, step)
            flat = {
                one.name: np.broadcast_to(array, case.shape).reshape(-1)[self.points]
                for one, array in zip(case.inputs, arrays)
            }
            rows = range(len(self.points))
            exacts = [exact(program, {name: x[i] for name, x in flat.items()}) for i in rows]
            self.exact = exacts
        else:
            wide = [array.astype(np.float64) for array in arrays]
            if case.kind == "product":
                self.all, self.size = of_product(*wide)
            else:
                judge = {"rows": of_rows, "attention": of_attention, "layers": of_layers}[case.kind]
                self.all, self.size = judge(case.name, *wide)

    def error(self, result):
        """The largest error, in units in the last place, and whether it is out of all measure.

        Where sums are part of it, the last place is that of the sum of the terms' sizes.
        """
        dtype, limit = np.dtype(self.case.dtype), WRONG[self.case.dtype]
        # The size of a sum is far above the sum.
        limit *= 1.0 if self.case.kind in ("elementwise", "product") else 0.1
        if self.case.kind == "elementwise":
            got = result.reshape(-1)[self.points]
            if not np.isfinite(got).all():
                return float("inf"), True
            differences = [abs(mpmath.mpf(float(g)) - e) for g, e in zip(got, self.exact)]
            spacing = np.spacing(np.abs(np.array([float(e) for e in self.exact], dtype)))
            ulps = max(float(d) / float(s) for d, s in zip(differences, spacing))
            bad = any(d > limit * max(1, abs(e)) for d, e in zip(differences, self.exact))
            return ulps, bad
        differences = np.abs(result.astype(np.float64) - self.all)
        ulps = differences / (self.size * np.finfo(dtype).eps)
        bad = not (differences <= limit * np.maximum(1, self.size)).all()
        return float(ulps.max()), bad
