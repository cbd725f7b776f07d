"""Arrays of every layout are read and written where they lie, and give what NumPy gives."""

import sys
import types

import kiln
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from layouts import NUMBERS, arrays, assert_same, in_packed_record, pairs

STRICT = kiln.compile("|a, b| a * b + a - b", mode="strict")
NEGATED = kiln.compile("-x", mode="strict")


@pytest.fixture(autouse=True)
def _quiet():
    with np.errstate(all="ignore"):
        yield


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(NUMBERS).flatmap(pairs))
def test_two_arrays_broadcast_as_in_numpy(pair):
    a, b = pair
    assert_same(STRICT(a, b), np.asarray(a * b + a - b, a.dtype.newbyteorder("=")))


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(("float32", "float64", "int32", "int64")).flatmap(arrays))
def test_one_array_of_any_layout(x):
    assert_same(NEGATED(x), np.asarray(-x, x.dtype.newbyteorder("=")))


@settings(deadline=None, max_examples=100)
@given(arrays("float64"), st.data())
def test_results_go_into_arrays_of_any_layout(x, data):
    out = data.draw(st.sampled_from(("C", "F", "reversed", "packed", "swapped")))
    target = np.full(x.shape, 7.0, order="F" if out == "F" else "C")
    if out == "reversed" and x.ndim:
        target = target[::-1]
    if out == "packed":
        target = in_packed_record(target)
    if out == "swapped":
        target = target.astype(target.dtype.newbyteorder())
    assert NEGATED(x, out=target) is target
    assert_same(np.asarray(target, "=f8"), np.asarray(-x, "=f8"))


@st.composite
def windows(draw):
    """Two operands and a place for the result, all of one shape, and in one memory."""
    base = np.arange(60.0) % 17 - 8
    shape = draw(st.sampled_from([(5,), (3, 4), (2, 3, 2), (1, 4)]))

    def window():
        steps = draw(st.lists(st.integers(-5, 7), min_size=len(shape), max_size=len(shape)))
        spans = [(size - 1) * step for size, step in zip(shape, steps, strict=True)]
        first = -sum(span for span in spans if span < 0)
        last = len(base) - sum(span for span in spans if span > 0)
        assume(first < last)
        at = draw(st.integers(first, last - 1))
        return np.lib.stride_tricks.as_strided(base[at:], shape, [8 * step for step in steps])

    return base, window(), window(), window()


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.filter_too_much])
@given(windows())
def test_results_anywhere_in_the_memory_of_operands(given_windows):
    base, a, b, out = given_windows
    before, expected = base.copy(), a * b + a - b
    places = np.unique(
        np.lib.stride_tricks.as_strided(np.arange(60)[first_of(out, base) :], out.shape, out.strides)
    )
    elsewhere = np.setdiff1d(np.arange(60), places)
    has_room = len(places) == out.size
    try:
        STRICT(a, b, out=out)
    except ValueError:
        np.testing.assert_array_equal(base, before)
        kiln.evaluate("a * b + a - b", out=out)
    else:
        assert has_room
    if has_room:
        np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(base[elsewhere], before[elsewhere])


def first_of(array, base):
    """Which element of its memory an array begins with."""
    return (array.__array_interface__["data"][0] - base.__array_interface__["data"][0]) // 8


def test_results_lie_as_the_inputs_do():
    x = np.ones((40, 60), order="F")
    assert NEGATED(x).flags.f_contiguous
    assert NEGATED(x[:4, :4].copy(order="F")).flags.f_contiguous
    assert NEGATED(x.copy(order="C")).flags.c_contiguous
    large = np.ones((3, 200, 50)).transpose(1, 2, 0)
    assert NEGATED(large).strides == large.strides


def test_large_results_own_their_memory():
    x = np.arange(1e6)
    results = [NEGATED(x) for _ in range(4)]
    assert all(np.array_equal(result, -x) for result in results)
    results[0][:] = 0
    assert results[1][5] == -5
    assert results[0].flags.writeable


def test_single_elements_and_no_elements():
    assert NEGATED(np.float64(3)).shape == ()
    assert NEGATED(2.5) == -2.5
    assert NEGATED(np.empty((0, 3))).shape == (0, 3)
    assert NEGATED(np.empty((3, 0)), out=np.empty((3, 0))).shape == (3, 0)


def test_numbers_take_the_type_of_what_they_meet():
    x = np.ones(3, np.float32)
    assert STRICT(x, 2.5).dtype == np.float32
    assert STRICT(x, 2).dtype == np.float32
    assert STRICT(np.ones(3, np.int32), 2).dtype == np.int32
    assert STRICT(np.ones(3, np.float32), np.float64(2)).dtype == np.float64
    assert STRICT(1, 2).dtype == np.int64
    assert STRICT(1.0, 2).dtype == np.float64


def test_what_numpy_makes_arrays_of():
    assert NEGATED([1.0, 2.0]).tolist() == [-1, -2]
    assert NEGATED(memoryview(np.arange(3.0))).tolist() == [0, -1, -2]
    pandas = pytest.importorskip("pandas")
    assert NEGATED(pandas.Series([1.0, 2.0])).tolist() == [-1, -2]


class OnlyDLPack:
    """An array of another library, which has this one way to share its memory."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **kwargs):
        return self.array.__dlpack__(**kwargs)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def test_arrays_of_other_libraries_share_their_memory():
    x, out = np.arange(3.0), np.empty(3)
    assert NEGATED(OnlyDLPack(x)).tolist() == [0, -1, -2]
    assert isinstance(NEGATED(x, out=OnlyDLPack(out)), OnlyDLPack)
    assert out.tolist() == [0, -1, -2]


class OnlyArrow:
    """An array that has Arrow's interface alone."""

    def __init__(self, array):
        self.array = array

    def __arrow_c_array__(self, requested_schema=None):
        return self.array.__arrow_c_array__(requested_schema)


def test_arrays_of_arrow():
    pyarrow = pytest.importorskip("pyarrow")
    for dtype in ("f8", "f4", "i8", "i4"):
        x = np.arange(6, dtype=dtype)
        array = pyarrow.array(x)
        assert_same(NEGATED(OnlyArrow(array)), -x)
        assert_same(NEGATED(OnlyArrow(array[2:5])), -x[2:5])
        assert_same(NEGATED(array), -x)
    assert NEGATED(OnlyArrow(pyarrow.array([], pyarrow.float64()))).shape == (0,)
    with pytest.raises(ValueError, match="nulls"):
        NEGATED(OnlyArrow(pyarrow.array([1.0, None])))
    with pytest.raises(TypeError, match="format"):
        NEGATED(OnlyArrow(pyarrow.array(["text"])))
    with pytest.raises(TypeError, match="out is OnlyArrow, not an array"):
        NEGATED(np.ones(1), out=OnlyArrow(pyarrow.array([1.0])))


def test_halves_and_bfloat16():
    assert kiln.compile("2 * x")(np.ones(3, np.float16)).dtype == np.float32
    assert kiln.compile("|x: f16| f16(2 * x)")(np.ones(3, np.float16)).dtype == np.float16
    ml_dtypes = pytest.importorskip("ml_dtypes")
    result = kiln.compile("bf16(x * 1.5)")(np.ones(3, ml_dtypes.bfloat16))
    assert result.dtype == ml_dtypes.bfloat16
    assert result.tolist() == [1.5] * 3


class Tensor:
    """A tensor of PyTorch's `bfloat16`, as far as Kiln looks at it: NumPy cannot take it as it is."""

    dtype = "torch.bfloat16"

    def __init__(self, array):
        self.array = array

    def view(self, dtype):
        return self.array.view(dtype)

    def __array__(self, *args, **kwargs):
        raise TypeError("Got unsupported ScalarType BFloat16")

    def __dlpack__(self, **kwargs):
        raise RuntimeError("Unsupported dtype in DLTensor")


@pytest.mark.parametrize("is_real", [False, True])
def test_bfloat16_of_torch(is_real, monkeypatch):
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    x = np.arange(6.0).reshape(2, 3).astype(bfloat16)
    if is_real:
        torch = pytest.importorskip("torch")
        tensor = torch.arange(6.0).reshape(2, 3).to(torch.bfloat16)
        out = torch.zeros((3, 2), dtype=torch.bfloat16)
        written = lambda: out.to(torch.float32).numpy()  # noqa: E731
    else:
        monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(int16=np.int16))
        tensor, out = Tensor(x), Tensor(np.zeros((3, 2), bfloat16))
        out.T, tensor.T = Tensor(out.array.T), Tensor(x.T)
        written = lambda: out.array.astype(np.float32)  # noqa: E731
    kernel = kiln.compile("|x: bf16[..]| bf16(x * 1.5)")
    expected = (x.astype(np.float32) * 1.5).astype(bfloat16)
    assert_same(kernel(tensor), expected)
    assert_same(kernel(tensor.T), expected.T)
    assert kernel(tensor.T, out=out) is out
    np.testing.assert_array_equal(written(), expected.T.astype(np.float32))
    assert_same(kiln.jit(lambda x: -x)(tensor), -x.astype(np.float32))
    assert_same(kiln.compile("x * 1.5").bind(x=tensor)(), x.astype(np.float32) * np.float32(1.5))


def test_nothing_is_written_where_one_of_several_results_has_no_place():
    kernel = kiln.compile("|x| (x + 1, x > 1)")
    x = np.arange(3.0)
    packed = in_packed_record(np.zeros(3))
    for other in (np.broadcast_to(False, 3), np.zeros(3, "i2"), np.zeros(2, bool), np.zeros(3)):
        with pytest.raises((TypeError, ValueError)):
            kernel(x, out=(packed, other))
        assert packed.tolist() == [0, 0, 0]
    truths = np.zeros(3, bool)
    kernel(x, out=(packed, truths))
    assert (packed.tolist(), truths.tolist()) == ([1, 2, 3], [False, False, True])


def test_what_may_be_a_copy_is_no_place_for_results():
    pandas = pytest.importorskip("pandas")
    with pytest.raises(TypeError, match="out is Series, not an array"):
        NEGATED(np.ones(2), out=pandas.Series([1.0, 2.0]))


def test_foreign_arrays_are_refused_by_choice():
    kernel = kiln.compile("-x", copy=False)
    x = np.arange(4.0)
    assert kernel(x).tolist() == [0, -1, -2, -3]
    with pytest.raises(TypeError, match=r"another byte order.*copy=False"):
        kernel(x.astype(">f8"))
    with pytest.raises(TypeError, match="not aligned"):
        kernel(in_packed_record(x))
    with pytest.raises(TypeError, match="not aligned"):
        kernel(x, out=in_packed_record(x))


def test_masked_arrays_are_refused():
    with pytest.raises(TypeError, match="masked"):
        NEGATED(np.ma.masked_array([1.0, 2.0], [True, False]))


class Sub(np.ndarray):
    pass


def test_arrays_of_derived_types():
    assert NEGATED(np.arange(3.0).view(Sub)).tolist() == [0, -1, -2]
