"""Random functions give what NumPy gives: in its types and shapes, on one call and the next."""

import kiln
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

DTYPES = ("float64", "float32", "int64", "int32", "bool")
MOST_ELEMENTS = 4000


class Value:
    """What a step computes, and whether it has no rounding, so that it may be compared."""

    def __init__(self, array, exact):
        self.array, self.exact = array, exact
        self.kind, self.ndim = array.dtype.kind, array.ndim

    @property
    def is_number(self):
        return self.kind in "fi"


def broadcast(a, b):
    try:
        return np.prod(np.broadcast_shapes(a.array.shape, b.array.shape)) <= MOST_ELEMENTS
    except ValueError:
        return False


def numbers(a, b):
    return a.is_number and b.is_number and broadcast(a, b)


def compared(a, b):
    return numbers(a, b) and a.exact and b.exact


def chained(a, b):
    """Whether they can be multiplied: Kiln has products of floats."""
    return (
        a.kind == b.kind == "f"
        and a.ndim in (1, 2)
        and b.ndim == 2
        and a.array.shape[-1] == b.array.shape[0]
    )


# Each step: what it takes, and whether its result is exact if its operands are. What it does has an
# axis, if there is one, and a small number besides.
UNARY = {
    "neg": (lambda x, axis, n: -x, lambda a: a.is_number, True),
    "abs": (lambda x, axis, n: abs(x), lambda a: a.is_number, True),
    "add": (lambda x, axis, n: x + n, lambda a: a.is_number, True),
    "from": (lambda x, axis, n: n - x, lambda a: a.is_number, True),
    "times": (lambda x, axis, n: n * x * 0.25, lambda a: a.is_number, False),
    "halve": (lambda x, axis, n: x / 4, lambda a: a.is_number, False),
    "square": (lambda x, axis, n: x**2 - n, lambda a: a.is_number, False),
    "remainder": (lambda x, axis, n: x % n + x // n, lambda a: a.is_number and a.exact, True),
    "tanh": (lambda x, axis, n: np.tanh(x), lambda a: a.is_number, False),
    "sin": (lambda x, axis, n: np.sin(x), lambda a: a.is_number and abs(a.array).max() < 100, False),
    "exp": (lambda x, axis, n: np.exp(-abs(x)), lambda a: a.is_number, False),
    "sqrt": (lambda x, axis, n: np.sqrt(abs(x) + n), lambda a: a.is_number, False),
    "clip": (lambda x, axis, n: np.clip(x, -n, n), lambda a: a.is_number, True),
    "floor": (lambda x, axis, n: np.floor(x), lambda a: a.kind == "f" and a.exact, True),
    "not": (lambda x, axis, n: ~x, lambda a: a.kind in "ib", True),
    "f4": (lambda x, axis, n: x.astype("f4"), lambda a: a.kind in "fb", False),
    "f8": (lambda x, axis, n: x.astype("f8"), lambda a: True, True),
    "sum": (lambda x, axis, n: x.sum(axis=axis), lambda a: True, False),
    "mean": (lambda x, axis, n: x.mean(axis=axis, keepdims=True), lambda a: a.is_number, False),
    "max": (lambda x, axis, n: x.max(axis=axis), lambda a: a.is_number, True),
    "min": (lambda x, axis, n: np.min(x, axis, keepdims=True), lambda a: a.is_number, True),
    "any": (lambda x, axis, n: x.any(axis=axis), lambda a: a.kind == "b", True),
    "argmax": (lambda x, axis, n: np.argmax(x, axis=axis), lambda a: a.is_number and a.exact, True),
    "cumsum": (lambda x, axis, n: np.cumsum(x, axis), lambda a: a.ndim > 0 and a.is_number, False),
    "turn": (lambda x, axis, n: x.T, lambda a: True, True),
    "flat": (lambda x, axis, n: x.reshape(-1), lambda a: True, True),
    "new": (lambda x, axis, n: x[None], lambda a: a.ndim < 3, True),
    "last": (lambda x, axis, n: x[..., -1], lambda a: a.ndim > 0, True),
    "some": (lambda x, axis, n: x[..., ::-n], lambda a: a.ndim > 0, True),
    "twice": (lambda x, axis, n: np.concatenate([x, x], axis), lambda a: a.ndim > 0, True),
}
BINARY = {
    "sum": (lambda a, b: a + b, numbers, True),
    "difference": (lambda a, b: a - b, numbers, True),
    "product": (lambda a, b: a * b, numbers, False),
    "quotient": (lambda a, b: a / (b * b + 1), numbers, False),
    "maximum": (np.maximum, numbers, True),
    "hypot": (np.hypot, numbers, False),
    "less": (lambda a, b: a < b, compared, True),
    "equal": (lambda a, b: a == b, compared, True),
    "where": (lambda a, b: np.where(a > 0, b, 0), compared, True),
    "select": (
        lambda a, b: np.where(a, b, -b),
        lambda a, b: a.kind == "b" and b.is_number and broadcast(a, b),
        True,
    ),
    "and": (lambda a, b: a & b, lambda a, b: a.kind == b.kind == "b" and broadcast(a, b), True),
    "matmul": (lambda a, b: a @ b, chained, False),
}


@st.composite
def inputs(draw):
    """Arrays whose shapes broadcast, or are factors of a product, of quarters and small integers."""
    rows, columns = draw(st.integers(1, 9)), draw(st.integers(1, 40))
    shapes = st.sampled_from([(rows, columns), (columns,), (rows, 1), (columns, rows), ()])
    seed = draw(st.integers(0, 2**32 - 1))
    generator = np.random.default_rng(seed)
    arrays = []
    for _ in range(draw(st.integers(1, 3))):
        array = np.asarray(generator.integers(-12, 13, draw(shapes)) / 4)
        dtype = np.dtype(draw(st.sampled_from(DTYPES)))
        array = np.asarray(array > 0 if dtype.kind == "b" else array.astype(dtype))
        layout = draw(st.sampled_from([lambda x: x, np.asfortranarray, lambda x: x[..., ::-1]]))
        arrays.append(layout(array) if array.ndim else array)
    return arrays


@st.composite
def programs(draw):
    """A function of arrays, as steps that read what others made, and arrays for it."""
    arrays = draw(inputs())
    values, steps = [Value(array, True) for array in arrays], []
    for _ in range(draw(st.integers(1, 9))):
        first, second = draw(st.sampled_from(values)), draw(st.sampled_from(values))
        one = [(name, step) for name, step in UNARY.items() if step[1](first)]
        two = [(name, step) for name, step in BINARY.items() if step[1](first, second)]
        name, (does, takes, keeps) = draw(st.sampled_from(one + two))
        if (name, (does, takes, keeps)) in two:
            places = [values.index(first), values.index(second)]
            exact = keeps and first.exact and second.exact
            steps.append((name, does, places, ()))
        else:
            axes = (
                [None] if name == "argmax" and first.ndim == 0 else [*range(-first.ndim, 0)] or [None]
            )
            axis, number = draw(st.sampled_from(axes)), draw(st.integers(1, 3))
            # Sums of integers and bools have no rounding.
            exact = first.exact and (keeps or (name == "sum" and first.kind in "ib"))
            steps.append((name, does, [values.index(first)], (axis, number)))
        operands = [values[place].array for place in steps[-1][2]]
        with np.errstate(all="ignore"):
            result = np.asarray(does(*operands, *steps[-1][3]))
        exact = exact and abs(result.astype("f8")).max() < 2**20
        values.append(Value(result, exact))
    return arrays, steps


@settings(deadline=None, max_examples=250, suppress_health_check=[HealthCheck.too_slow])
@given(programs(), st.sampled_from(["strict", "precise"]))
def test_random_functions_give_what_numpy_gives(program, mode):
    arrays, steps = program

    def function(*arrays):
        values = list(arrays)
        for _, does, places, parameters in steps:
            values.append(does(*(values[place] for place in places), *parameters))
        # The last one, and one on the way.
        return values[-1], values[len(values) // 2] if len(steps) > 3 else values[-1]

    traced = kiln.jit(function, mode=mode)
    with np.errstate(all="ignore"):
        expected = function(*arrays)
    named = [(name, places, parameters) for name, _, places, parameters in steps]
    is_single = any(array.dtype == "f4" for array in arrays) or "f4" in {name for name, *_ in named}
    for found in (traced(*arrays), traced(*arrays)):
        for one, other in zip(found, expected, strict=True):
            other = np.asarray(other)
            assert (one.dtype, one.shape) == (other.dtype, other.shape), named
            if one.dtype.kind != "f":
                np.testing.assert_array_equal(one, other, err_msg=str(named))
                continue
            # Sums of what nearly cancels are as exact as what is added.
            scale = max(1.0, float(np.abs(other[np.isfinite(other)]).max(initial=0.0)))
            near = 2e-4 if is_single else 1e-9
            np.testing.assert_allclose(one, other, rtol=near, atol=near * scale, err_msg=str(named))
