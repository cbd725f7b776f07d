"""What is measured: one row a case.

A row is a formula, its inputs, and the sizes to run it at. Formulas are Python's expressions, with
assignments before them where a value is used twice; `DEFINITIONS` says what a function means to a peer
that has no such function. `{n}` stands for the rows of 1024 elements that a size has. A peer without a
function along rows leaves its cases out.
"""

import dataclasses
import math

KI, MI = 1 << 10, 1 << 20
ROW = 1024

DEFINITIONS = {
    "relu(x)": "maximum(x, 0.0)",
    "sigmoid(x)": "1.0 / (1.0 + exp(-x))",
    "silu(x)": "x / (1.0 + exp(-x))",
    "gelu_tanh(x)": "0.5*x * (1.0 + tanh(0.7978845608028654 * (x + 0.044715*(x*x*x))))",
    "gelu(x)": "0.5*x * (1.0 + erf(0.7071067811865476 * x))",
    "softplus(x)": "maximum(x, 0.0) + log1p(exp(-abs(x)))",
    "mish(x)": "x * tanh(softplus(x))",
    "selu(x)": "1.0507009873554805 * where(x > 0.0, x, 1.6732632423543772 * expm1(x))",
    # Where even the functions of <math.h> are missing.
    "tanh(x)": "1.0 - 2.0 / (exp(2.0*x) + 1.0)",
    "log1p(x)": "log(1.0 + x)",
    "expm1(x)": "exp(x) - 1.0",
}


@dataclasses.dataclass(frozen=True)
class Input:
    """An array: its shape, the range that its elements are drawn from, and how it lies.

    A `weight` stays the same from call to call, so a peer may prepare it; one that is `transposed`
    is stored with its axes exchanged, as PyTorch stores the weights of a linear layer.
    """

    name: str
    shape: tuple
    low: float = -4.0
    high: float = 4.0
    weight: bool = False
    transposed: bool = False


@dataclasses.dataclass(frozen=True)
class Case:
    """A formula at one size."""

    name: str
    formula: str
    inputs: tuple
    shape: tuple
    kind: str = "elementwise"
    dtype: str = "float32"
    threads: int = 1

    @property
    def elements(self):
        """How many elements the output has, or those that rows are of."""
        return math.prod(self.inputs[0].shape if self.kind == "rows" else self.shape)

    @property
    def products(self):
        """Multiplications of matrix products, 0 without any; of attention for all pairs."""
        if self.kind == "attention":
            return 2 * self.elements * self.shape[1]
        if self.kind == "layers":
            of_block = 4 * WIDTH + 2 * self.shape[0] if self.name == "transformer block" else 0
            return self.elements * (2 * HIDDEN + of_block)
        return self.elements * self.inputs[0].shape[1] if self.kind == "product" else 0

    @property
    def size(self):
        """The size as tables print it."""
        if self.kind in ("rows", "attention", "layers"):
            return "×".join(map(str, self.inputs[0].shape))
        if self.kind == "product":
            m, k = self.inputs[0].shape
            mark = "ᵀ" if self.inputs[1].transposed else ""
            return f"{m}×{k}×{self.shape[1]}{mark}"
        n = self.elements
        return f"{n // MI} Mi" if n >= MI else f"{n // KI} Ki"

    @property
    def key(self):
        """What tells a case from all others, for files and for the command line."""
        suffix = "" if self.dtype == "float32" else " f64"
        return f"{self.name}{suffix} | {self.size} | {self.threads}"


X = Input("x", ("n", ROW))
ROWS = (X, Input("w", (ROW,), 0.5, 1.5), Input("b", (ROW,), -0.5, 0.5))
POSITIVE = tuple(Input(name, ("n", ROW), 0.1, 4.0) for name in "abc")
OPTION = (
    Input("s", ("n", ROW), 50.0, 150.0),
    Input("k", ("n", ROW), 50.0, 150.0),
    Input("t", ("n", ROW), 0.1, 2.0),
    Input("v", ("n", ROW), 0.1, 0.5),
)

LOGS_AND_ROOTS = """
h = sqrt(a*a + b*b)
u = log(h + c)
w = log(a)*sqrt(b) + log(b)*sqrt(c) + log(c)*sqrt(a)
(u + sqrt(log1p(a*b)) * w) / (1.0 + sqrt(h*u*u + 1.0))
"""

BLACK_SCHOLES = """
q = v * sqrt(t)
d = (log(s / k) + (0.03 + 0.5*(v*v)) * t) / q
s * (0.5 + 0.5*erf(0.7071067811865476 * d)) - k * exp(-0.03*t) * (0.5 + 0.5*erf(0.7071067811865476 * (d - q)))
"""

SIZES = (4 * KI, 256 * KI, 16 * MI)
SMALL = (4 * KI, 256 * KI)

# Name, formula, inputs, sizes, sizes that all threads share, element type.
ELEMENTWISE = [
    ("x*w+b", "x*w + b", ROWS, SIZES, (16 * MI,), "float32"),
    ("relu", "relu(x)", (X,), SIZES, (), "float32"),
    ("silu", "silu(x)", (X,), SIZES, (), "float32"),
    ("gelu tanh", "gelu_tanh(x)", (X,), SIZES, (256 * KI, 16 * MI), "float32"),
    ("gelu erf", "gelu(x)", (X,), SIZES, (16 * MI,), "float32"),
    ("gelu(x*w+b)", "z = x*w + b\ngelu_tanh(z)", ROWS, SIZES, (256 * KI, 16 * MI), "float32"),
    ("mish", "mish(x)", (X,), SIZES, (16 * MI,), "float32"),
    ("softplus", "softplus(x)", (X,), SIZES, (), "float32"),
    ("selu", "selu(x)", (X,), SIZES, (), "float32"),
    ("logs, roots", LOGS_AND_ROOTS, POSITIVE, SMALL, (256 * KI,), "float32"),
    ("Black-Scholes", BLACK_SCHOLES, OPTION, SMALL, (256 * KI,), "float32"),
    ("gelu tanh", "gelu_tanh(x)", (X,), SMALL, (), "float64"),
    ("Black-Scholes", BLACK_SCHOLES, OPTION, SMALL, (), "float64"),
]

# Rows, depth, columns; whether the weights are transposed; threads.
SHAPES = [
    (64, 64, 64, False, 1),
    (128, 128, 128, False, 1),
    (256, 256, 256, False, 1),
    (512, 512, 512, False, 1),
    (1024, 1024, 1024, False, 1),
    (1, 1024, 1024, False, 1),
    (8, 1024, 1024, False, 1),
    (32, 1024, 1024, False, 1),
    (32, 1024, 1024, True, 1),
    (512, 512, 512, True, 1),
    (1024, 64, 1024, False, 1),
    (1, 1024, 1024, True, 1),
    (1024, 1024, 4096, False, 1),
    (2048, 2048, 2048, False, 1),
    (512, 512, 512, False, 2),
    (1024, 1024, 1024, False, 2),
]

# Name, formula: `w` is of the shape's depth and columns, `b` a row.
PRODUCTS = [
    ("matmul", "x @ w"),
    ("linear + gelu", "z = x @ w + b\ngelu_tanh(z)"),
]

# Name, formula, how many of x, w, b it reads, the axes that are left: the others have size 1.
ALONG_ROWS = [
    ("softmax", "softmax(x)", 1, (0, 1)),
    ("log softmax", "log_softmax(x)", 1, (0, 1)),
    ("layer norm", "layer_norm(x, w, b)", 3, (0, 1)),
    ("RMS norm", "rms_norm(x, w)", 2, (0, 1)),
    ("sum, axis 1", "sum_axis_1(x)", 1, (0,)),
    ("sum, axis 0", "sum_axis_0(x)", 1, (1,)),
]

# Rows, columns, and whether all threads share them, too.
MATRICES = [
    (4, 1024, False),
    (4096, 1024, True),
    (65536, 64, True),
    (64, 65536, True),
    (1_000_000, 4, True),
]

# Name, formula: of one head after the other. Positions; each has 12 heads of 64 elements.
ATTENTION = [
    ("attention", "attention(q, k, v)"),
    ("causal attention", "causal_attention(q, k, v)"),
]
POSITIONS = (128, 256, 512, 1024, 2048)

# Elements of a token, of 12 heads of 64, and of the layer in between.
WIDTH, HIDDEN = 768, 3072
MLP = "gelu_tanh(x @ w + b) @ u + c"
# Queries, keys and values are thirds of one product, each seen as one head after the other.
BLOCK = """
n = layer_norm(x, g, h)
p = n @ qkv
s = x + (joined(causal_attention(queries(p), keys(p), values(p))) @ o + d)
m = layer_norm(s, e, l)
s + (gelu_tanh(m @ w + b) @ u + c)
"""
# Name, formula, weights.
LAYERS = [
    ("mlp", MLP, "w b u c"),
    ("transformer block", BLOCK, "g h qkv o d e l w b u c"),
]
SHAPES_OF_WEIGHTS = {
    "g": (WIDTH,), "h": (WIDTH,), "qkv": (WIDTH, 3 * WIDTH), "o": (WIDTH, WIDTH), "d": (WIDTH,),
    "e": (WIDTH,), "l": (WIDTH,), "w": (WIDTH, HIDDEN), "b": (HIDDEN,), "u": (HIDDEN, WIDTH), "c": (WIDTH,),
}  # fmt: skip
TOKENS = (128, 512)


def weight(name):
    """A weight, of a size that keeps the variance; scales of norms are about 1."""
    shape = SHAPES_OF_WEIGHTS[name]
    around, width = (1.0, 0.5) if name in "ge" else (0.0, math.sqrt(3 / shape[0]))
    return Input(name, shape, around - width, around + width, weight=True)


def with_rows(inputs, rows):
    """The inputs, `n` being that many rows."""
    sized = lambda shape: tuple(rows if size == "n" else size for size in shape)
    return tuple(dataclasses.replace(one, shape=sized(one.shape)) for one in inputs)


def all_cases(threads):
    """Every case, on a machine with that many threads."""
    cases = []
    for name, formula, inputs, alone, shared, dtype in ELEMENTWISE:
        for size, count in [(size, 1) for size in alone] + [(size, threads) for size in shared]:
            arrays = with_rows(inputs, size // ROW)
            shape = (size // ROW, ROW)
            cases.append(Case(name, formula, arrays, shape, dtype=dtype, threads=count))
    for name, formula in PRODUCTS:
        for m, k, n, transposed, count in SHAPES:
            inputs = (
                Input("x", (m, k), -1.0, 1.0),
                Input("w", (k, n), -1.0, 1.0, weight=True, transposed=transposed),
                Input("b", (n,), -1.0, 1.0, weight=True),
            )
            used = inputs if "+ b" in formula else inputs[:2]
            count = threads if count > 1 else 1
            cases.append(Case(name, formula, used, (m, n), "product", threads=count))
    for rows, columns, is_shared in MATRICES:
        for name, formula, count, left in ALONG_ROWS:
            inputs = (
                Input("x", (rows, columns)),
                Input("w", (columns,), 0.5, 1.5, weight=True),
                Input("b", (columns,), -0.5, 0.5, weight=True),
            )[:count]
            shape = tuple(size if axis in left else 1 for axis, size in enumerate((rows, columns)))
            for shared in [1, threads] if is_shared else [1]:
                cases.append(Case(name, formula, inputs, shape, "rows", threads=shared))
    for name, formula in ATTENTION:
        for shape in [(12, positions, 64) for positions in POSITIONS]:
            inputs = tuple(Input(one, shape, -2.0, 2.0) for one in "qkv")
            for shared in (1, threads):
                cases.append(Case(name, formula, inputs, shape, "attention", threads=shared))
    for name, formula, weights in LAYERS:
        for shape in [(tokens, WIDTH) for tokens in TOKENS]:
            inputs = (Input("x", shape, -2.0, 2.0), *map(weight, weights.split()))
            for shared in (1, threads):
                cases.append(Case(name, formula, inputs, shape, "layers", threads=shared))
    unique = {case.key: case for case in cases}
    return list(unique.values())
