"""Hypothesis strategies: arrays of every type and layout that NumPy has."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

FLOATS = ("float32", "float64")
NUMBERS = ("float32", "float64", "int32", "int64", "uint8")
SPECIAL = (0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-45, 5e-324, 3.4e38, 1.7e308)


def elements(dtype):
    """Numbers of a type, special ones among them."""
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        width = dtype.itemsize * 8
        largest = float(np.finfo(dtype).max)
        special = [float(dtype.type(x)) for x in SPECIAL if not largest < abs(x) < np.inf]
        return st.sampled_from(special) | st.floats(width=width)
    if dtype.kind == "b":
        return st.booleans()
    info = np.iinfo(dtype)
    return st.integers(int(info.min), int(info.max))


def in_record(array):
    """The same as a field of records, with a step that is whole elements."""
    item = array.dtype
    records = np.zeros(array.shape, np.dtype([("x", item), ("y", item)]))
    records["x"] = array
    return records["x"]


def in_packed_record(array):
    """The same as a field of records that are packed: its elements are not aligned."""
    records = np.zeros(array.shape, np.dtype([("c", "i1"), ("x", array.dtype)]))
    records["x"] = array
    return records["x"]


def read_only(array):
    """The same, not to be written."""
    array = array.copy()
    array.flags.writeable = False
    return array


LAYOUTS = (
    lambda x: x,
    lambda x: x.T,
    np.asfortranarray,
    lambda x: x[::-1],
    lambda x: x[..., ::-2],
    lambda x: x[1:],
    lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    lambda x: np.broadcast_to(x[:1], x.shape),
    lambda x: x.astype(x.dtype.newbyteorder()),
    in_record,
    in_packed_record,
    read_only,
)


@st.composite
def arrays(draw, dtype, max_dims=3):
    """An array of a type, in some layout."""
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=max_dims, min_side=0, max_side=9))
    array = draw(hnp.arrays(dtype, shape, elements=elements(dtype)))
    return draw(st.sampled_from(LAYOUTS))(array) if shape else array


@st.composite
def pairs(draw, dtype):
    """Two arrays whose shapes broadcast."""
    shapes = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=9))
    pair = []
    for shape in shapes.input_shapes:
        array = draw(hnp.arrays(dtype, shape, elements=elements(dtype)))
        pair.append(draw(st.sampled_from((np.asfortranarray, *LAYOUTS[8:], LAYOUTS[0])))(array))
    return pair


def assert_same(found, expected):
    """The same type, shape and bits, all NaNs being one."""
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found, expected, strict=True)
    if found.dtype.kind == "f":
        numbers = ~np.isnan(expected)
        np.testing.assert_array_equal(np.signbit(found)[numbers], np.signbit(expected)[numbers])
