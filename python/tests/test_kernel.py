"""Kernels: how they are called, looked at, bound and kept."""

import pickle
import threading

import kiln
import numpy as np
import pytest

A, B = np.arange(8.0), np.arange(8.0) + 1


def test_arguments_by_position_and_by_name():
    kernel = kiln.compile("|a, b| 2*a + 3*b")
    expected = 2 * A + 3 * B
    for result in (kernel(A, B), kernel(A, b=B), kernel(b=B, a=A)):
        np.testing.assert_array_equal(result, expected)
    assert kernel.inputs == ["a", "b"]


def test_inputs_that_the_text_does_not_order_are_given_by_name():
    kernel = kiln.compile("p - g*lr")
    np.testing.assert_array_equal(kernel(p=A, g=B, lr=0.5), A - B * 0.5)
    with pytest.raises(TypeError, match=r"order of the inputs p, g, lr.*\|p, g, lr\|"):
        kernel(A, B, 0.5)
    assert kiln.compile("2*x")(A)[1] == 2


def test_several_results_are_a_tuple():
    kernel = kiln.compile("|x| (x + 1, x > 3)")
    more, large = kernel(A)
    assert more.dtype == np.float64
    assert large.dtype == bool
    outs = np.empty(8), np.empty(8, bool)
    assert kernel(A, out=outs) is outs
    np.testing.assert_array_equal(outs[1], A > 3)


def test_out_may_be_an_input():
    x = A.copy()
    kiln.compile("2*x")(x, out=x)
    np.testing.assert_array_equal(x, 2 * A)


@pytest.mark.parametrize(
    "text", ["x + sum[0](x)", "cumsum[-1](x)", "flip[0](x)", "permute[1, 0](x)", "x @ x", "softmax[0](x) @ x"]
)
def test_out_may_be_an_input_that_is_read_again(text):
    x = np.arange(9.0).reshape(3, 3) / 7
    kernel = kiln.compile(text)
    expected = kernel(x)
    assert kernel(x, out=x) is x
    np.testing.assert_array_equal(x, expected)


def test_several_outs_may_be_inputs():
    x, y = np.arange(9.0).reshape(3, 3), np.ones((3, 3))
    kernel = kiln.compile("|x, y| (x @ y, y + x)")
    expected = kernel(x, y)
    kernel(x, y, out=(x, y))
    np.testing.assert_array_equal((x, y), expected)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda k: k(A), TypeError, "takes 2 inputs"),
        (lambda k: k(A, B, A), TypeError, "found 3"),
        (lambda k: k(A, B, c=1), TypeError, "no input c; its inputs are a, b"),
        (lambda k: k(A, c=1), TypeError, "no input c"),
        (lambda k: k(a=A), TypeError, "input b is missing"),
        (lambda k: k(A, a=A), TypeError, "input a is given twice"),
        (lambda k: k(A, np.ones(3)), ValueError, "do not broadcast"),
        (lambda k: k(A.astype(np.int16), B), TypeError, "a is int16, which Kiln has not"),
        (lambda k: k(A, None), TypeError, "b is object"),
        (lambda k: k(A, B * 1j), TypeError, "b is complex128"),
        (lambda k: k(A, B, out=np.empty(8, "f4")), TypeError, "output 0 is f32"),
        (lambda k: k(A, B, out=np.empty(7)), ValueError, r"output 0 has shape \[7\]"),
        (lambda k: k(A, B, out=A[::-1]), ValueError, "overlaps input a"),
        (lambda k: k(A, B, out=np.broadcast_to(A, 8)), ValueError, "read-only"),
        (lambda k: k(A, B, out=[A]), TypeError, "tuple of arrays"),
        (lambda k: k(A, B, out=(A, B)), TypeError, "1 output, found 2"),
        (lambda k: k(A, B, out=3), TypeError, "out is int, not an array"),
        (lambda k: k(np.ones((1,) * 32), B, out=A[:3]), ValueError, "shape|axes"),
    ],
)
def test_mistakes_are_told_and_change_nothing(call, error, message):
    kernel = kiln.compile("|a, b| 2*a + 3*b")
    before = A.copy(), B.copy()
    with pytest.raises(error, match=message):
        call(kernel)
    np.testing.assert_array_equal((A, B), before)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("sinn(x)", ValueError, "did you mean"),
        ("2 +", ValueError, "1:4"),
        ("", ValueError, "expected"),
        ("|x: f32| x << 2", TypeError, "shl|<<|integers"),
        ("(" * 10_000, ValueError, "."),
        ("x" * 10_000_000, ValueError, "bytes long"),
        ("x\0y", ValueError, "."),
        ("\u0430 + 1", ValueError, "."),
    ],
)
def test_texts_that_are_no_kernels(text, error, message):
    with pytest.raises(error, match=message):
        kiln.compile(text)


def test_numbers_must_fit_what_is_declared():
    kernel = kiln.compile("|x: u8| x")
    assert kernel(255) == 255
    with pytest.raises(OverflowError, match="does not fit u8"):
        kernel(256)
    with pytest.raises(TypeError, match="a float is no u8"):
        kernel(1.5)
    with pytest.raises(TypeError, match="takes bool"):
        kiln.compile("|x: bool| x")(1)
    with pytest.raises(TypeError, match="declare x: f64"):
        kiln.compile("|x: f32| x")(A)


def test_options():
    assert kiln.compile("x", mode="fast").mode == "fast"
    assert kiln.compile("x", emitter="interp").emitter[0] == "interp"
    with pytest.raises(ValueError, match="strict"):
        kiln.compile("x", mode="quick")
    with pytest.raises(ValueError, match="interp"):
        kiln.compile("x", emitter="llvm")
    for threads in (0, -1):
        with pytest.raises(ValueError, match=f"threads is {threads}: use 1 or more"):
            kiln.compile("x", threads=threads)
    with pytest.raises(TypeError, match="of text or of a function, not of None"):
        kiln.compile(None)


def test_constants_are_bound():
    layer = kiln.compile("|x: f64[n, k], w: f64[k, m], b: f64[m]| relu(x @ w + b)")
    rng = np.random.default_rng(1)
    x, w, b = rng.normal(size=(3, 4)), rng.normal(size=(4, 5)), rng.normal(size=5)
    expected = np.maximum(x @ w + b, 0)
    bound = layer.bind(w=w, b=b)
    w_before = w.copy()
    w[:] = 0
    assert bound.inputs == ["x"]
    np.testing.assert_allclose(bound(x), expected)
    np.testing.assert_allclose(pickle.loads(pickle.dumps(bound))(x), expected)
    np.testing.assert_allclose(layer.bind(b=b)(x, w_before), expected)
    assert bound.memory(x).bound > 0
    with pytest.raises(TypeError, match="w is bound already"):
        bound(x, w=w)
    with pytest.raises(TypeError, match="no input w"):
        bound.bind(w=w)
    with pytest.raises(TypeError, match="f32"):
        layer.bind(w=w.astype("f4"))


def test_constants_of_undeclared_types():
    kernel = kiln.compile("|x, w| x * w").bind(w=np.float32(3))
    assert kernel(np.ones(2, "f4")).dtype == np.float32
    assert kernel.graph.startswith("kernel")


def test_pickled_by_text():
    kernel = kiln.compile("|a, b| a - b", mode="strict", threads=1)
    again = pickle.loads(pickle.dumps(kernel))
    assert (again.text, again.mode) == (kernel.text, "strict")
    np.testing.assert_array_equal(again(A, B), A - B)


def test_looking_at_a_kernel():
    kernel = kiln.compile("x * sigmoid(x)")
    assert "f32[..]" in kernel.graph
    kernel(A)
    assert "f64[..]" in kernel.graph
    assert kernel.passes == 1
    assert repr(kernel) == "Kernel('x * sigmoid(x)')"
    assert "as written" in kernel.explain()
    for stage in kiln.STAGES:
        assert kernel.explain(stage)
    with pytest.raises(ValueError, match="no stage is named"):
        kernel.explain("assembler")
    name, bits = kernel.emitter
    assert isinstance(name, str)
    assert bits >= 64
    assert kernel.memory(A).peak == 0


def test_profile():
    profile = kiln.compile("2*x")(A) is not None and kiln.compile("2*x").profile(np.ones(1000))
    assert profile.flops == 1000
    assert profile.bytes == 16_000
    assert 0 < profile.minimum <= profile.median
    assert "latency" in repr(profile)


def test_threads_share_a_kernel():
    kernel = kiln.compile("|x| exp(sin(x))")
    arrays = [np.full(100_000, i, dtype) for i in range(4) for dtype in ("f4", "f8")]
    results = [None] * len(arrays)

    def work(i):
        for _ in range(5):
            results[i] = kernel(arrays[i])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(arrays))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for x, result in zip(arrays, results, strict=True):
        assert result.dtype == x.dtype
        np.testing.assert_allclose(result, np.exp(np.sin(x)), rtol=1e-6)


def test_other_threads_run_meanwhile():
    kernel = kiln.compile("exp(sin(exp(cos(x))))", threads=1)
    x = np.ones(4_000_000)
    kernel(x)
    ticks, done = 0, threading.Event()

    def call():
        kernel(x)
        done.set()

    thread = threading.Thread(target=call)
    thread.start()
    while not done.is_set():
        ticks += 1
        done.wait(0.001)
    thread.join()
    assert ticks > 3
