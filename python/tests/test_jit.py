"""Traced functions give what NumPy gives, in its types."""

import collections
import operator
import pickle
from concurrent.futures import ThreadPoolExecutor

import kiln
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layouts import pairs

X = np.linspace(-2, 2, 12).reshape(3, 4)
Y = np.linspace(0.5, 3, 12).reshape(3, 4)
I = np.arange(-6, 6).reshape(3, 4)  # noqa: E741
B = X > 0


def alike(function, *arrays, rtol=1e-12):
    """Check a function against NumPy, result by result."""
    with np.errstate(all="ignore"):
        expected = function(*arrays)
    found = kiln.jit(function)(*arrays)
    if not isinstance(expected, tuple):
        expected, found = (expected,), (found,)
    for one, other in zip(found, expected, strict=True):
        other = np.asarray(other)
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        tolerance = 1e-6 if one.dtype == np.float32 else rtol
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: 2 * x + 3 * y,
        lambda x, y: x**2 - y**3 + x**0.5 * 0 + y**-1 + 2.0**x,
        lambda x, y: (x / y, x // y, x % y, -x, +x, abs(x)),
        lambda x, y: (x < y, x >= 0, x == y, (x > 0) & (y > 1), ~(x > 0) | (y > 2)),
        lambda x, y: np.tanh(x) * np.exp(y) + np.log1p(y) - np.arctan2(x, y) + np.hypot(x, y),
        lambda x, y: np.where(x > 0, x, 0.0) + np.where(y > 1, 1.0, y),
        lambda x, y: np.maximum(x, 0) + np.minimum(y, x) + np.clip(x, -1, 1) + x.clip(0),
        lambda x, y: np.sqrt(y) + np.square(x) + np.cbrt(x) + np.reciprocal(y) + np.sign(x),
        lambda x, y: (np.floor(x), np.ceil(x), np.rint(x), np.trunc(x), x.round(), np.round(y)),
        lambda x, y: (np.isnan(x), np.isfinite(x), np.signbit(x), np.logical_and(x, y)),
        lambda x, y: (x.sum(), x.sum(0), x.sum(axis=-1), x.sum(axis=(0, 1)), np.sum(y, axis=1)),
        lambda x, y: (x.mean(axis=-1, keepdims=True), np.mean(y), x.var(axis=0), x.std(-1)),
        lambda x, y: (x.max(axis=1), np.min(y, axis=0), np.prod(y, axis=-1), x.max()),
        lambda x, y: ((x > 0).any(axis=0), np.all(y > 0), x.argmax(axis=1), np.argmin(y, axis=0)),
        lambda x, y: (x.sum(axis=()), x[0, 0].sum(), x[0, 0].max(keepdims=True), x.sum(keepdims=True)),
        lambda x, y: x - x.mean(axis=-1, keepdims=True) + np.sum(y, keepdims=True),
        lambda x, y: (x @ y.T, np.matmul(x.T, y), np.dot(x, y.T), x @ y[0], x[0] @ y.T, x[0] @ y[0]),
        lambda x, y: (x.T, x.transpose(1, 0), np.transpose(x), x.swapaxes(0, 1), x.reshape(4, 3)),
        lambda x, y: (x.reshape(2, -1), np.reshape(x, (12,)), np.expand_dims(x, 1), x[None]),
        lambda x, y: (x[0], x[-1], x[1:], x[:, 1], x[..., ::2], x[:, None, 1:3], x[::-1, -2]),
        lambda x, y: (np.concatenate([x, y]), np.concatenate([x, y], axis=1), np.flip(x, 1)),
        lambda x, y: (np.cumsum(x, axis=1), np.cumprod(y, axis=0), x.cumsum(0)),
        lambda x, y: (np.zeros_like(x), np.ones_like(y), np.full_like(x, 7.5)),
        lambda x, y: (x.astype("f4") + 1, x.astype(np.float32) * np.float64(2), x * np.float32(2)),
        lambda x, y: np.add.reduce(x) + np.maximum.reduce(y, axis=0),
        lambda x, y: (
            np.exp(x - x.max(-1, keepdims=True)) / np.exp(x - x.max(-1, keepdims=True)).sum(-1)[:, None]
        ),
    ],
)
@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_functions_of_floats(function, dtype):
    alike(function, X.astype(dtype) if dtype == "f4" else X, Y.astype(dtype), rtol=1e-9)


@pytest.mark.parametrize(
    "function",
    [
        lambda i, x: (i + x, i * 2, i / 2, i // 2, i % 3, i**2, i + 0.5, -i, abs(i), i << 1),
        lambda i, x: (np.sin(i), np.sqrt(i + 6), i.sum(), i.sum(axis=0), i.mean(), np.floor(i)),
        lambda i, x: (i & 3, i | 4, i ^ 1, ~i, i > x, np.maximum(i, 0), np.where(i > 0, i, x)),
        lambda i, x: (i.astype("i4") + i, i.astype(bool), (i > 0) + 1, (i > 0) * x, (i > 0).sum()),
        lambda i, x: ((i > 0) + (x > 0), (i > 0) * (x > 0), np.maximum(i > 0, x > 0), (i > 0).mean()),
        lambda i, x: np.take(x, np.array(1) + 0 * 1, axis=0) if False else x[1],
    ],
)
def test_functions_of_integers_and_bools(function):
    alike(function, I, X)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(("float32", "float64", "int32", "int64")).flatmap(pairs))
def test_shapes_broadcast_as_in_numpy(pair):
    with np.errstate(all="ignore"):
        expected = pair[0] * 2 - pair[1]
    found = BROADCAST(*pair)
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found, expected)


BROADCAST = kiln.jit(lambda a, b: a * 2 - b, mode="strict")


def test_one_trace_for_types_and_ranks():
    traces = []

    @kiln.jit
    def double(x):
        traces.append(x.dtype)
        return x * 2

    for shape in ((3,), (5,), (1,)):
        double(np.ones(shape))
    assert len(traces) == 1
    double(np.ones((2, 2)))
    double(np.ones(2, "f4"))
    double(np.ones(2, ">f8"))
    assert len(traces) == 3 or len(traces) == 4
    assert double.__name__ == "double"
    assert double.kernel(np.ones(3)).passes == 1


def test_what_is_shared_is_computed_once():
    @kiln.jit
    def f(x):
        t = np.exp(x)
        return t * t + t

    assert f.kernel(X).text.count("exp") == 1


def test_calls_by_name_static_arguments_and_defaults():
    @kiln.jit(static=("axis",))
    def f(x, w=2.0, axis=-1, scale=True):
        y = (x * w).sum(axis=axis)
        return y * 2 if scale else y

    np.testing.assert_allclose(f(X), 4 * X.sum(-1))
    np.testing.assert_allclose(f(X, axis=0, scale=False), 2 * X.sum(0))
    np.testing.assert_allclose(f(w=Y, x=X), 2 * (X * Y).sum(-1))
    np.testing.assert_allclose(f(X, 3), 6 * X.sum(-1))
    out = np.empty(3)
    assert f(X, out=out) is out
    with pytest.raises(TypeError, match="missing"):
        f()
    with pytest.raises(TypeError, match="static names no parameter: axes"):
        kiln.jit(lambda x: x, static=("axes",))
    total = kiln.jit(lambda *xs: xs[0] + xs[1] * xs[2])
    assert total(1.0, 2.0, np.ones(2)).tolist() == [3, 3]


def test_constants_that_are_equal_are_not_the_same():
    f = kiln.jit(lambda x, n: x + n, static=("n",))
    x = np.arange(3)
    assert f(x, n=1).dtype == np.int64
    assert f(x, n=1.0).dtype == np.float64
    assert f(x, n=True).dtype == np.int64
    g = kiln.jit(lambda x, n: x + n[0])
    assert g(x, (1,)).dtype == np.int64
    assert g(x, (1.0,)).dtype == np.float64


def test_results_are_as_the_function_returns_them():
    Pair = collections.namedtuple("Pair", "low high")
    result = kiln.jit(lambda x: Pair(x.min(), x.max()))(X)
    assert type(result) is Pair
    assert result.high == 2
    assert type(kiln.jit(lambda x: [x + 1, 3])(X)) is list
    assert kiln.jit(lambda x: (x,))(X)[0].shape == X.shape
    with pytest.raises(TypeError, match="returns an array"):
        kiln.jit(lambda x: None)(X)


def branching(x):
    return x if x > 0 else -x


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (branching, r"instead of `if`, write np.where"),
        (lambda x: x + Y, "pass arrays as arguments"),
        (lambda x: np.asarray(x), "no array yet"),
        (lambda x: float(x), "no numbers yet"),
        (lambda x: list(x), "no known size"),
        (lambda x: len(x), "sizes are not known"),
        (lambda x: x / x.shape[0], "name axes"),
        (lambda x: np.linalg.norm(x), "np.linalg.norm cannot be traced|no array yet"),
        (lambda x: np.sort(x), "np.sort cannot be traced"),
        (lambda x: np.spacing(x), "np.spacing cannot be traced"),
        (lambda x: x[np.array([0, 1])], "np.take"),
        (lambda x: x.var(ddof=1), "ddof=0"),
        (lambda x: x.squeeze(), "with an axis"),
        (lambda x: x.astype("i2"), "no type int16"),
        (lambda x: x * 1j, "complex"),
        (lambda x: np.add(x, 1, out=x), "traced without out"),
        (lambda x: x.__iadd__(1), r"write x = x \+ y in place of x \+= y"),
        (lambda x: operator.setitem(x, 0, 1), "not written to: make another, as in np.where"),
    ],
)
def test_what_cannot_be_traced_says_what_to_write(function, message):
    with pytest.raises(TypeError, match=message):
        kiln.jit(function)(X)


def test_axes_that_are_not_there():
    with pytest.raises(np.exceptions.AxisError):
        kiln.jit(lambda x: x.sum(axis=2))(X)


def test_arrays_of_one_trace_are_not_for_another():
    kept = []
    kiln.jit(lambda x: kept.append(x) or x)(X)
    with pytest.raises(TypeError, match="kept for another"):
        kiln.jit(lambda x: x + kept[0])(X)


def test_traced_functions_call_each_other():
    inner = kiln.jit(lambda x: np.exp(x))
    outer = kiln.jit(lambda x: inner(x) + 1)
    np.testing.assert_allclose(outer(X), np.exp(X) + 1)
    assert outer.kernel(X).passes == 1


@kiln.jit
def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def test_traced_functions_are_pickled_by_name():
    assert pickle.loads(pickle.dumps(gelu)) is gelu
    np.testing.assert_allclose(gelu(X), gelu.__wrapped__(X), rtol=1e-12)


def test_functions_as_kernels():
    def layer(x: "f32[n, k]", w: "f32[k, m]", b: "f32[m]"):
        return np.maximum(x @ w + b, 0).sum(axis=-1)

    kernel = kiln.compile(layer)
    x, w, b = (np.ones(shape, "f4") for shape in ((2, 3), (3, 4), (4,)))
    np.testing.assert_allclose(kernel(x, w, b), layer(x, w, b))
    np.testing.assert_allclose(kernel.bind(w=w, b=b)(x), layer(x, w, b))
    assert kiln.compile(lambda x: x * 2, mode="strict")(np.float32(2)) == 4


def test_halves():
    assert kiln.jit(lambda x: x * 2)(np.ones(2, "f2")).dtype == np.float32
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = np.ones((2, 2), ml_dtypes.bfloat16)
    result = kiln.jit(lambda x: (x @ x).astype(ml_dtypes.bfloat16))(x)
    assert result.dtype == ml_dtypes.bfloat16
    assert float(result[0, 0]) == 2


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def test_neural_networks():
    nn = kiln.nn
    np.testing.assert_allclose(nn.softmax(X), softmax(X))
    np.testing.assert_allclose(nn.softmax(X, axis=0), softmax(X, 0))
    np.testing.assert_allclose(nn.log_softmax(X), np.log(softmax(X)))
    np.testing.assert_allclose(nn.logsumexp(X), np.log(np.exp(X).sum(-1)))
    np.testing.assert_allclose(nn.relu(X), np.maximum(X, 0))
    np.testing.assert_allclose(nn.silu(X), X / (1 + np.exp(-X)))
    np.testing.assert_allclose(nn.gelu(X), nn.gelu(X, approximate=True), atol=1e-3)
    np.testing.assert_allclose(nn.softplus(X, beta=2.0), np.log1p(np.exp(2 * X)) / 2)
    np.testing.assert_allclose(nn.elu(X, alpha=0.5), np.where(X > 0, X, 0.5 * np.expm1(X)))
    np.testing.assert_allclose(nn.leaky_relu(X), np.where(X > 0, X, 0.01 * X))
    normal = (X - X.mean(-1, keepdims=True)) / np.sqrt(X.var(-1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(nn.layer_norm(X), normal)
    np.testing.assert_allclose(nn.layer_norm(X, Y[0], Y[1]), normal * Y[0] + Y[1])
    np.testing.assert_allclose(nn.layer_norm(X, bias=Y[1]), normal + Y[1])
    root = np.sqrt((X**2).mean(-1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(nn.rms_norm(X, Y[0]), X / root * Y[0])
    np.testing.assert_allclose(nn.normalize(X), X / np.linalg.norm(X, axis=-1, keepdims=True))
    np.testing.assert_allclose(nn.mse(X, Y), ((X - Y) ** 2).mean())
    np.testing.assert_allclose(nn.mish(X), X * np.tanh(np.log1p(np.exp(X))))
    labels = np.array([0, 3, 1])
    losses = -np.log(softmax(X))[np.arange(3), labels]
    np.testing.assert_allclose(nn.cross_entropy(X, labels), losses)
    np.testing.assert_allclose(nn.cross_entropy(X, np.eye(4)[labels]), losses)
    for name in nn.__all__:
        assert getattr(nn, name).__doc__


def test_attention_is_one_kernel():
    rng = np.random.default_rng(2)
    q, k, v = (rng.normal(size=(2, 5, 8)).astype("f4") for _ in range(3))
    expected = softmax(q @ k.swapaxes(-1, -2) / np.sqrt(8)) @ v
    np.testing.assert_allclose(kiln.nn.attention(q, k, v), expected, rtol=1e-5, atol=1e-6)
    scale = float(1 / np.sqrt(8))
    np.testing.assert_allclose(kiln.nn.attention(q, k, v, scale=scale), expected, rtol=1e-5, atol=1e-6)
    assert kiln.nn.attention.kernel(q, k, v, scale=scale).passes == 1
    mask = np.tril(np.ones((5, 5), bool))
    hidden = np.where(mask, 0, -np.inf).astype("f4")
    expected = softmax(q @ k.swapaxes(-1, -2) / np.sqrt(8) + hidden) @ v
    for given_mask in (mask, hidden):
        found = kiln.nn.attention(q, k, v, given_mask)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_the_functions_are_those_of_traced_code_too():
    @kiln.jit
    def block(x, w):
        return kiln.nn.gelu(kiln.nn.layer_norm(x) @ w, approximate=True)

    w = np.ones((4, 2))
    expected = kiln.nn.gelu(kiln.nn.layer_norm(X) @ w, approximate=True)
    np.testing.assert_allclose(block(X, w), expected)


WEIGHTS = np.arange(3.0)


def test_constants_and_defaults_by_name():
    calls = []

    @kiln.jit(static=("axis", "n"))
    def f(x, w=WEIGHTS, *, n=2, axis=-1, keepdims=False, scale=1.5, dtype=None, name="sum"):
        calls.append((n, axis, keepdims, dtype, name))
        y = (x * w + n) * scale
        y = (
            y.max(axis=axis, keepdims=keepdims)
            if name == "max"
            else y.sum(axis=axis, keepdims=keepdims)
        )
        return y if dtype is None else y.astype(dtype)

    x, w = np.arange(6.0).reshape(2, 3), np.ones(3)
    ways = [
        ((x,), {}),
        ((x, w), {}),
        ((x,), {"w": w}),
        ((), {"w": w, "x": x}),
        ((x,), {"n": 3}),
        ((x,), {"n": 3.0}),
        ((x,), {"n": True}),
        ((x,), {"axis": 0, "keepdims": True}),
        ((x,), {"keepdims": True, "axis": 0}),
        ((x,), {"axis": (0, 1)}),
        ((x,), {"axis": None, "name": "max"}),
        ((x,), {"scale": 2.0}),
        ((x,), {"scale": -7.0, "dtype": np.float32}),
        ((x,), {"scale": 3, "dtype": np.dtype("f4")}),
        ((x,), {"scale": np.float64(3)}),
        ((x, [1.0, 2.0, 3.0]), {"name": "".join(["m", "ax"])}),
    ]
    plain = f.__wrapped__
    expected = [plain(*args, **kwargs) for args, kwargs in ways]
    calls.clear()
    for again in range(3):
        for (args, kwargs), right in zip(ways, expected, strict=True):
            for found in (f(*args, **kwargs), f.kernel(*args, **kwargs) and f(*args, **kwargs)):
                assert (found.dtype, found.shape) == (right.dtype, right.shape)
                np.testing.assert_allclose(found, right, rtol=1e-6)
        traced = len(calls) if again == 0 else traced
        assert len(calls) == traced
    # Where arguments are told apart by name alone, they are.
    g = kiln.jit(lambda a, b: a - b)
    for _ in range(2):
        assert g(a=1.0, b=2.0) == -1
        assert g(b=1.0, a=2.0) == 1
        assert g(1.0, b=np.float64(2)) == -1
        out = np.empty(2)
        assert g(b=np.ones(2), a=2, out=out) is out
        assert out.tolist() == [1, 1]
    for _ in range(2):
        with pytest.raises(TypeError):
            g(1.0)
        with pytest.raises(TypeError):
            g(1.0, 2.0, 3.0)
        with pytest.raises(TypeError):
            g(1.0, 2.0, b=3.0)
        with pytest.raises(TypeError):
            g(1.0, c=3.0)


def test_arguments_of_any_number():
    f = kiln.jit(lambda x, *others, shift=0: x + sum(others) + shift)
    for _ in range(2):
        assert f(X, X, X).tolist() == (3 * X).tolist()
        assert f(X, X, 1.0).tolist() == (2 * X + 1).tolist()
        assert f(X, shift=2).tolist() == (X + 2).tolist()
        assert f(X, X, shift=X).tolist() == (3 * X).tolist()


def test_kernels_used_last_are_kept():
    traced = []

    @kiln.jit(static=("n",))
    def f(x, n):
        traced.append(n)
        return x + n

    def all_of(counts):
        traced.clear()
        for n in counts:
            assert f(1.0, n) == 1 + n
            assert f(1.0, n=n) == 1 + n
        return traced

    assert all_of(range(100)) == list(range(100))
    assert all_of(range(100)) == []
    assert all_of(range(100, 200)) == list(range(100, 200))
    assert all_of(range(199, 79, -1)) == []
    assert all_of(range(10)) == list(range(10))
    assert len(f._kernels) == kiln._jit.MOST_KERNELS == 128


def test_threads_that_crowd_a_cache():
    f = kiln.jit(lambda x, n: x + n, static=("n",))

    def work(seed):
        return all(f(2.0, (i * seed) % 300) == 2 + (i * seed) % 300 for i in range(300))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, (1, 7, 11, 13)))
