"""Expressions have the types that they have in numexpr, and its values."""

import itertools

import kiln.numexpr as ours
import numpy as np
import pytest

numexpr = pytest.importorskip("numexpr", minversion="2.14.2")

KINDS = ("?", "i4", "i8", "f4", "f8")
OTHERS = ("i1", "u1", "i2", "u2", "u4", "f2")
FUNCTIONS = (
    "copy ones_like sqrt sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh "
    "log log1p log10 log2 exp expm1 abs ceil floor round trunc sign isnan isfinite isinf signbit "
    "real imag"
).split()
BINARY = "fmod arctan2 hypot nextafter copysign maximum minimum".split()
OPERATORS = "+ - * / // % ** << >> & | ^ < <= > >= == !=".split()
CONSTANTS = ("2", "-1", "0", "0.5", "2.5", "3000000000", "True", "-1.5")


def array(kind, seed=0):
    """Numbers of a kind: special ones first, if it has some."""
    rng = np.random.default_rng(seed)
    if kind == "?":
        return rng.integers(0, 2, 40).astype(bool)
    if np.dtype(kind).kind in "iu":
        return rng.integers(0 if kind[0] == "u" else -9, 9, 40).astype(kind)
    values = (rng.normal(size=40) * 3).astype(kind)
    values[:6] = 0, -0.0, np.nan, np.inf, -np.inf, 1
    return values


def outcome(evaluate, text, arrays, options):
    """Return the result, or the exception."""
    try:
        return evaluate(text, local_dict=arrays, global_dict={}, **options)
    except Exception as error:
        return error


def assert_alike(text, arrays, **options):
    """Check that Kiln gives what numexpr does, in its type, or as much as it where that fails."""
    theirs = outcome(numexpr.evaluate, text, arrays, options)
    found = outcome(ours.evaluate, text, arrays, options)
    said = f"{text} of {[str(x.dtype) for x in arrays.values()]}"
    if isinstance(theirs, NotImplementedError | ValueError | KeyError | OverflowError):
        assert isinstance(found, type(theirs)), said
    if isinstance(theirs, Exception):
        return
    assert isinstance(found, np.ndarray), f"{said}: {found}"
    assert (found.dtype, found.shape) == (theirs.dtype, theirs.shape), said
    tolerance = 1e-5 if found.dtype == np.float32 else 1e-12
    same = np.isclose(found, theirs, rtol=tolerance, atol=tolerance, equal_nan=True)
    if "//" in text or "%" in text:
        # Of infinities and of inexact remainders, they are NumPy's.
        same |= ~np.isfinite(found) | ~np.isfinite(theirs)
        for x in arrays.values():
            same |= ~np.isfinite(x) if x.dtype.kind == "f" else False
    assert np.all(same), said


@pytest.fixture(autouse=True)
def _quiet():
    with np.errstate(all="ignore"):
        yield


@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions(function):
    for kind in KINDS + OTHERS:
        assert_alike(f"{function}(a)", {"a": array(kind)})


@pytest.mark.parametrize("function", BINARY)
def test_functions_of_two(function):
    for a, b in itertools.product(KINDS, KINDS):
        assert_alike(f"{function}(a, b)", {"a": array(a), "b": array(b, 1)})
    for kind in KINDS:
        assert_alike(f"{function}(a, 2)", {"a": array(kind)})
        assert_alike(f"{function}(2.5, a)", {"a": array(kind)})


@pytest.mark.parametrize("operator", OPERATORS)
def test_operators(operator):
    for a, b in itertools.product(KINDS, KINDS):
        if operator == "**" and a in ("i4", "i8") and b in ("i4", "i8", "?"):
            continue
        assert_alike(f"a {operator} b", {"a": array(a), "b": array(b, 1)})
    for kind, constant in itertools.product(KINDS, CONSTANTS):
        if operator in ("**", "%") and constant == "3000000000":
            continue
        assert_alike(f"a {operator} {constant}", {"a": array(kind)})
        assert_alike(f"{constant} {operator} a", {"a": array(kind)})


@pytest.mark.parametrize("dtype", ["i4", "i8"])
def test_powers_of_integers_wrap_around_as_in_numpy(dtype):
    a = np.array([-7, 7, -1, -1, 0, 0, 1, 3, 2, 2, 5], dtype)
    n = np.array([2, 3, 64, 65, 0, 64, 1000, 40, 62, 63, 27], dtype)
    np.testing.assert_array_equal(ours.evaluate("a ** n"), a**n, strict=True)
    np.testing.assert_array_equal(ours.evaluate("a ** 13"), a**13, strict=True)
    minus = np.array([-1], dtype)
    assert ours.evaluate("2 ** minus") == 0


@pytest.mark.parametrize("optimization", ["none", "moderate", "aggressive"])
@pytest.mark.parametrize("kind", KINDS)
def test_powers_by_constants(optimization, kind):
    exponents = "0 1 2 3 -1 -2 0.5 1.5 -0.5 -1.0 2.0 0.0 60.0 2.3".split()
    for exponent in exponents:
        assert_alike(f"a**{exponent}", {"a": array(kind)}, optimization=optimization)


@pytest.mark.parametrize("kind", KINDS)
def test_signs_and_choices(kind):
    for text in ("-a", "~a", "+a", "a.real", "a.imag", "a", "where(a > 0, a, 2)", "where(a>0,1,0)"):
        assert_alike(text, {"a": array(kind)})
    for b, c in itertools.product(KINDS, KINDS):
        assert_alike("where(a, b, c)", {"a": array(kind), "b": array(b, 1), "c": array(c, 2)})


@pytest.mark.parametrize("reduction", ["sum", "prod", "min", "max"])
@pytest.mark.parametrize("kind", KINDS)
def test_reductions(reduction, kind):
    rng = np.random.default_rng(3)
    x = (rng.normal(size=(4, 10)) if kind[0] == "f" else array(kind).reshape(4, 10)).astype(kind)
    for axis in ("", ", axis=0", ", axis=1", ", 0", ", axis=None", ", axis=2", ", axis=-1"):
        assert_alike(f"{reduction}(a{axis})", {"a": x})
    assert_alike(f"{reduction}(a*2+1, axis=1)", {"a": x})


@pytest.mark.parametrize(
    "text",
    "1 2.5 True 2**40 1+1 cos(0.5) abs(-3) sign(-3) round(2.5) -True ~True abs(True) 2**64 2**63 "
    "-2**63 1_000 0x10 1e400 3//2 7%3 1<<3 2.0**3 5/2 where(True,1,2.0) sqrt(2) arctan2(1,2) None "
    "a f(1) (1,2) x+1 [1] exp() 1<2 1@2 max(2.5)".split(),
)
def test_constants(text):
    assert_alike(text, {})


def test_neighbours_of_every_size():
    rng = np.random.default_rng(5)
    x = rng.integers(0, 2**64, 200_000, dtype=np.uint64).view(np.float64)
    x[:8] = 0, -0.0, np.inf, -np.inf, np.finfo("f8").max, -np.finfo("f8").max, 5e-324, 2.0**-1022
    small = rng.normal(size=1000) * 2.0 ** rng.integers(-1074, -1000, 1000)
    powers = 2.0 ** np.arange(-1074.0, 1024)
    x = np.concatenate([x, small, powers, -powers])
    for to in (np.inf, -np.inf, 0.0, 1.0):
        expected = np.nextafter(x, to)
        np.testing.assert_array_equal(ours.evaluate("nextafter(x, to)"), expected)
