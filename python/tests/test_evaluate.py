"""`evaluate` and its kin: where names come from, where results go, and what is an error."""

import contextvars
import gc
import subprocess
import sys
import textwrap
import threading
import weakref
from collections import ChainMap

import kiln
import kiln.numexpr as ne
import numpy as np
import pytest

G = np.arange(4.0)


def run(script):
    """Run a script in a new interpreter, and return what it prints."""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_names_of_the_callers_frame():
    a = np.arange(4.0)
    np.testing.assert_array_equal(kiln.evaluate("2*a + G"), 2 * a + G)

    def inner():
        return kiln.evaluate("a + 1") if a is not None else None

    np.testing.assert_array_equal(inner(), a + 1)
    for i in range(3):
        assert kiln.evaluate("a + i")[0] == i
    with pytest.raises(KeyError, match="missing"):
        kiln.evaluate("a + missing")


def test_names_of_a_class_and_of_a_module():
    class Body:
        x = np.arange(3.0)
        y = kiln.evaluate("x * 2")

    assert Body.y.tolist() == [0, 2, 4]
    assert Body.x.tolist() == [0, 1, 2]
    namespace = {"kiln": kiln, "x": np.arange(3.0)}
    exec("y = kiln.evaluate('x * 2'); z = kiln.evaluate('y + 1')", namespace)
    assert namespace["z"].tolist() == [1, 3, 5]
    local = {}
    exec("w = 3; v = kiln.evaluate('x + w')", namespace, local)
    assert local["v"].tolist() == [3, 4, 5]
    assert local["w"] == 3


def test_names_of_frames_above():
    def wrapper(text):
        return kiln.evaluate(text, _frame_depth=4)

    hidden = np.arange(3.0)
    assert wrapper("hidden * 2").tolist() == [0, 2, 4]


def test_dictionaries_of_names():
    a, b = np.arange(3.0), np.ones(3)
    assert kiln.evaluate("a + b", {"a": b, "b": b}).tolist() == [2, 2, 2]
    assert kiln.evaluate("a + b", {"a": a}, {"b": b}).tolist() == [1, 2, 3]
    assert kiln.evaluate("a + b", ChainMap({"a": a}, {"b": b})).tolist() == [1, 2, 3]
    assert kiln.evaluate("a + b", global_dict={}).tolist() == [1, 2, 3]
    with pytest.raises(KeyError):
        kiln.evaluate("a + b", local_dict={"a": a}, global_dict={})


def test_any_name_of_python_is_a_variable():
    names = [
        "x",
        "exp",
        "pi",
        "inf",
        "nan",
        "kernel",
        "let",
        "t0",
        "t1",
        "_",
        "é",
        "f32",
        "sum",
        "true",
    ]
    values = {name: np.array([float(i)]) for i, name in enumerate(names)}
    text = " + ".join(f"{name}*{i + 1}" for i, name in enumerate(names))
    expected = sum(i * (i + 1) for i in range(len(names)))
    assert kiln.evaluate(text, values, {}).item() == expected


def test_nothing_is_kept_alive():
    class Held(np.ndarray):
        pass

    def call():
        x = np.ones(3).view(Held)
        kiln.evaluate("x + 1")
        gone = weakref.ref(x)
        del x
        gc.collect()
        return gone()

    assert call() is None


def test_dictionaries_of_locals_stay_as_they_are():
    a = np.arange(3.0)
    names = locals()
    assert kiln.evaluate("a + 1").tolist() == [1, 2, 3]
    assert names["a"] is a


def test_results_in_the_callers_memory():
    a = np.arange(6.0).reshape(2, 3)
    out = np.empty((2, 3))
    assert kiln.evaluate("a + 1", out=out) is out
    np.testing.assert_array_equal(out, a + 1)
    narrow = np.empty((2, 3), "f4")
    kiln.evaluate("a / 3", out=narrow)
    np.testing.assert_array_equal(narrow, (a / 3).astype("f4"))
    whole = np.empty((2, 3), int)
    with pytest.raises(TypeError, match="same_kind"):
        kiln.evaluate("a / 3", out=whole)
    kiln.evaluate("a / 3", out=whole, casting="unsafe")
    assert whole.tolist() == [[0, 0, 0], [1, 1, 1]]
    wide = np.empty((4, 2, 3))
    kiln.evaluate("a * 2", out=wide)
    np.testing.assert_array_equal(wide[3], a * 2)
    with pytest.raises(ValueError, match="broadcast"):
        kiln.evaluate("a + 1", out=np.empty((3, 2)))
    with pytest.raises(ValueError, match="read-only"):
        kiln.evaluate("a + 1", out=np.broadcast_to(1.0, (2, 3)))


def test_results_over_their_own_operands():
    x = np.arange(10.0)
    kiln.evaluate("x + 1", out=x)
    assert x.tolist() == list(range(1, 11))
    base = np.arange(10.0)
    a, out = base[:-1], base[1:]
    kiln.evaluate("a * 2", out=out)
    assert base.tolist() == [0, *range(0, 18, 2)]
    m = np.arange(9.0).reshape(3, 3)
    t = m.T
    expected = m + m.T
    kiln.evaluate("m + t", out=m)
    np.testing.assert_array_equal(m, expected)
    v = np.arange(4.0)
    kiln.evaluate("v - sum(v)", out=v)
    assert v.tolist() == [-6, -5, -4, -3]


def test_order_and_casting():
    a = np.asfortranarray(np.ones((5, 4)))
    assert kiln.evaluate("a + 1").flags.f_contiguous
    assert kiln.evaluate("a + 1", order="C").flags.c_contiguous
    assert kiln.evaluate("a + 1", order="F").flags.f_contiguous
    with pytest.raises(ValueError, match="order"):
        kiln.evaluate("a + 1", order="X")
    large = np.array([1, 2], np.uint64)
    assert kiln.evaluate("large + 1").dtype == np.int64
    with pytest.raises(TypeError, match="'safe'"):
        kiln.evaluate("large + 1", casting="safe")


def test_arrays_of_any_layout():
    records = np.zeros(5, [("c", "i1"), ("x", "f8"), ("y", ">i4")])
    records["x"], records["y"] = np.arange(5), np.arange(5)
    x, y = records["x"], records["y"]
    np.testing.assert_array_equal(kiln.evaluate("x*2 + y"), x * 2 + y)
    back = np.arange(5.0)[::-1]
    np.testing.assert_array_equal(kiln.evaluate("back - 1"), back - 1)
    masked = np.ma.masked_array([1.0, 2.0], [True, False])
    assert kiln.evaluate("masked + 1").tolist() == [2, 3]
    items = [1, 2, 3]
    assert kiln.evaluate("items * 2").tolist() == [2, 4, 6]
    assert kiln.evaluate("where(items > 1, items, 0)").tolist() == [0, 2, 3]


def test_numbers_of_python():
    i, f, t, large = 2, 0.5, True, 2**70
    assert kiln.evaluate("i").dtype == np.int64
    assert kiln.evaluate("f").dtype == np.float64
    assert kiln.evaluate("t").dtype == bool
    assert kiln.evaluate("i + f + t") == 3.5
    with pytest.raises((ValueError, TypeError, OverflowError)):
        kiln.evaluate("large + 1")


def test_re_evaluate_finds_the_last_expression():
    a = np.arange(3.0)
    kiln.evaluate("a + 1")
    a = np.arange(3.0) * 2
    assert kiln.re_evaluate().tolist() == [1, 3, 5]
    assert kiln.re_evaluate({"a": np.zeros(1)}).tolist() == [1]
    assert ne.validate("a * 2") is None
    assert kiln.re_evaluate().tolist() == [0, 4, 8]
    kiln.evaluate("a + 7", disable_cache=True)
    assert kiln.re_evaluate().tolist() == [0, 4, 8]

    def elsewhere():
        with pytest.raises(RuntimeError, match="previous evaluate"):
            kiln.re_evaluate()

    contextvars.Context().run(elsewhere)
    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()


def test_validate_returns_what_evaluate_would_raise():
    a = np.arange(3.0)
    assert ne.validate("a + 1") is None
    assert isinstance(ne.validate("a +"), SyntaxError)
    assert isinstance(ne.validate("a + missing"), KeyError)
    assert isinstance(ne.validate("a & 1"), NotImplementedError)
    assert isinstance(ne.validate("a", optimization="most"), ValueError)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", SyntaxError),
        ("a +", SyntaxError),
        ("a; b", ValueError),
        ("a.T", ValueError),
        ("a.__class__", ValueError),
        ("__import__('os').system('true')", ValueError),
        ("(lambda: 1)()", ValueError),
        ("a[0]", ValueError),
        ("(a := 1)", ValueError),
        ("open('x')", TypeError),
        ("exec('1')", TypeError),
        ("f'{a}'", TypeError),
        ("a if a else a", TypeError),
        ("a and a", TypeError),
        ("not a", TypeError),
        ("0 < a < 1", TypeError),
        ("[a]", ValueError),
        ("{a}", TypeError),
        ("*a", SyntaxError),
        ("a @ a", TypeError),
        ("a is a", TypeError),
        ("sin()", TypeError),
        ("sin(a, a)", TypeError),
        ("sin(x=a)", TypeError),
        ("sum(a, axis=a)", TypeError),
        ("sum(a, axis=1.5)", TypeError),
        ("sum(a, axis=True)", TypeError),
        ("sum(a, keepdims=1)", TypeError),
        ("sum(a, axis=999)", ValueError),
        ("sum(axis=1)", TypeError),
        ("9**9**9**9", OverflowError),
        ("1 << 10**9", OverflowError),
        ("2**64", OverflowError),
        ("1/0", ZeroDivisionError),
        ("a**(10**400)", (OverflowError, ValueError)),
        ("(" * 300 + "a" + ")" * 300, (ValueError, SyntaxError, MemoryError)),
        ("-" * 5000 + "a", ValueError),
        ("sin(" * 90 + "a" + ")" * 90, None),
        ("+".join(["a"] * 2000), None),
        ("a\0", (ValueError, SyntaxError)),
        ("'text' == a", NotImplementedError),
        ("a + 1j", NotImplementedError),
        ("complex(a, a)", NotImplementedError),
        ("contains(a, a)", NotImplementedError),
    ],
)
def test_hostile_and_mistaken_texts(text, error):
    a = np.arange(3.0)
    if error is None:
        assert kiln.evaluate(text).shape == (3,)
        return
    with pytest.raises(error):
        kiln.evaluate(text)
    if not isinstance(error, tuple) and error is ValueError:
        # No name is looked up, and nothing is called, if nobody forbids it either.
        with pytest.raises((TypeError, ValueError, SyntaxError)):
            kiln.evaluate(text, sanitize=False)
    assert a.tolist() == [0, 1, 2]


def test_what_kiln_has_not_is_named():
    z, s, u = np.ones(2) * 1j, np.array([b"a"]), np.array(["a"])
    with pytest.raises(NotImplementedError, match="complex numbers"):
        kiln.evaluate("z + 1")
    with pytest.raises(NotImplementedError, match="Kiln has no strings"):
        kiln.evaluate("s == s")
    with pytest.raises(ValueError, match="Unicode"):
        kiln.evaluate("u == u")
    assert s is not None
    assert z is not None
    assert u is not None


def test_options_are_checked():
    a = np.arange(3)
    assert kiln.evaluate("a**2.0").dtype == a.dtype
    assert kiln.evaluate("a**2.0", optimization="none").dtype == np.float64
    assert kiln.evaluate("a/2", truediv=False).dtype == np.float64
    for options in ({"optimization": "most"}, {"truediv": 3}, {"unknown": 1}):
        with pytest.raises(ValueError, match=r"must be one of|Unknown keyword"):
            kiln.evaluate("a", **options)
    with pytest.raises(ValueError, match="as a string"):
        kiln.evaluate(3)
    with pytest.raises(ValueError, match="casting must be one of"):
        kiln.evaluate("a", casting="wrong")
    assert isinstance(kiln.validate("a", casting="wrong"), ValueError)
    with pytest.raises(ValueError, match="order must be one of"):
        kiln.evaluate("a", order="wrong")


def test_more_expressions_than_are_kept():
    a = np.arange(3.0)
    for i in range(600):
        assert kiln.evaluate(f"a + {i}")[1] == 1 + i
    assert a[1] == 1


def test_compiled_expressions():
    f = ne.NumExpr("2*a + b", signature=[("b", np.int32), ("a", float)])
    assert f.input_names == ("b", "a")
    assert f.signature == b"if"
    result = f(np.arange(3, dtype="i4"), np.ones(3, "f4"))
    assert result.dtype == np.float32
    assert result.tolist() == [2, 3, 4]
    assert f.run(np.arange(3, dtype="i4"), np.ones(3, "f4")).tolist() == [2, 3, 4]
    with pytest.raises(TypeError, match="safe"):
        f(np.arange(3), np.ones(3, "f4"))
    with pytest.raises(ValueError, match="inputs"):
        f(np.arange(3))
    assert ne.NumExpr("a + b", [("a", np.float32), ("b", int)]).signature == b"fl"
    with pytest.raises(TypeError, match=r"a has the unknown type 'f4'; there are bool, .*float64"):
        ne.NumExpr("a", [("a", "f4")])
    with pytest.raises(ValueError, match="don't match"):
        ne.NumExpr("a + b", signature=[("a", float)])
    built = ne.NumExpr((ne.E.a + 2.0 * ne.E.b) / (1 - ne.E.a) ** 2)
    a, b = np.array([3.0]), np.array([5.0])
    assert built(a, b) == (3 + 10) / 4
    assert ne.NumExpr((ne.E.a < 2) & ~(ne.E.b >= -ne.E.a))(a, b).tolist() == [False]
    with pytest.raises(TypeError, match="standard boolean operators"):
        bool(ne.E.a)
    stages = dict(ne.disassemble(f))
    assert set(stages) == {"ir", "fused", "vir", "asm"}


def test_threads():
    before = ne.get_num_threads()
    x = np.linspace(0, 1, 300_000)
    results = []
    for threads in (1, 2, 3):
        ne.set_num_threads(threads)
        assert ne.get_num_threads() == threads
        results.append(ne.evaluate("sin(x)**2 + sum(x)"))
    assert ne.set_num_threads(before) == 3
    assert all(np.array_equal(result, results[0]) for result in results)
    for wrong in (0, -1, ne.MAX_THREADS + 1):
        with pytest.raises(ValueError, match="threads"):
            ne.set_num_threads(wrong)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"OMP_NUM_THREADS": "5"}, "5 64"),
        ({"OMP_NUM_THREADS": "5", "NUMEXPR_NUM_THREADS": "3"}, "3 64"),
        ({"NUMEXPR_MAX_THREADS": "4", "NUMEXPR_NUM_THREADS": "2"}, "2 4"),
        ({"OMP_NUM_THREADS": "", "NUMEXPR_NUM_THREADS": "1"}, "1 64"),
        # What is meant for other libraries is no reason not to be imported.
        ({"OMP_NUM_THREADS": "3,2"}, "3 64"),
        ({"OMP_NUM_THREADS": "500"}, "64 64"),
        ({"OMP_NUM_THREADS": "many", "NUMEXPR_NUM_THREADS": "2"}, "2 64"),
        ({"NUMEXPR_MAX_THREADS": "-1", "NUMEXPR_NUM_THREADS": "0", "OMP_NUM_THREADS": "2"}, "2 64"),
    ],
)
def test_environment(environment, expected):
    names = ("OMP_NUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMEXPR_MAX_THREADS")
    script = (
        f"import os; [os.environ.pop(name, None) for name in {names}]\n"
        f"os.environ.update({environment})\n"
        "import kiln.numexpr as ne; print(ne.nthreads, ne.MAX_THREADS)"
    )
    assert run(script) == expected


def test_pandas_evaluates_with_kiln():
    pytest.importorskip("pandas")
    script = """
import kiln.numexpr
kiln.numexpr.install()
import numexpr, numpy as np
assert numexpr is kiln.numexpr
calls = []
evaluate = numexpr.evaluate
numexpr.evaluate = lambda *args, **kwargs: (calls.append(args), evaluate(*args, **kwargs))[1]
import pandas as pd
frame = pd.DataFrame({"a": np.arange(20000.0), "b": np.arange(20000) % 7, "c": True})
limit = 5
assert (frame.eval("a * 2 + b") == frame.a * 2 + frame.b).all()
assert frame.query("a > @limit and b < 3 and c").equals(frame[(frame.a > 5) & (frame.b < 3)])
assert (pd.eval("frame.a + frame.b / 2") == frame.a + frame.b / 2).all()
assert (frame.eval("sin(a)") - np.sin(frame.a)).abs().max() < 1e-12
frame.eval("d = a ** 2 - b", inplace=True)
assert (frame.d == frame.a**2 - frame.b).all()
assert (frame + frame.a.mean()).shape == frame.shape
print(len(calls) >= 5)
"""
    assert run(script) == "True"


def test_what_numexpr_has():
    numexpr = pytest.importorskip("numexpr")
    public = {name for name in dir(numexpr) if not name.startswith("__")}
    assert {name for name in public if not hasattr(ne, name)} == {"interpreter"}
    settings = {
        name for name in dir(numexpr.utils) if name.endswith(("_threads", "_cores")) or "vml" in name
    }
    private = {"_get_num_threads", "_set_num_threads"}
    assert {name for name in settings if not hasattr(ne.utils, name)} == private
    with pytest.raises(AttributeError, match=r"no numexpr\.interpreter: .* opcodes"):
        _ = ne.interpreter
    with pytest.raises(AttributeError, match=r"no numexpr\.necompiler\.typeCompileAst"):
        _ = ne.necompiler.typeCompileAst
    with pytest.raises(AttributeError, match=r"no numexpr\.expressions\.FuncNode"):
        _ = ne.expressions.FuncNode
    with pytest.raises(ImportError, match=r"kiln\.numexpr\.tests"):
        ne.test()
    assert ne.necompiler.getExprNames("b * sin(a) + where(b > 0, c, 1)") == (["a", "b", "c"], False)


def test_modules_of_numexpr_are_there_once():
    script = """
        import kiln.numexpr as ne
        ne.install()
        import numexpr
        from numexpr.utils import set_num_threads
        from numexpr.necompiler import evaluate
        from numexpr.version import version
        set_num_threads(1)
        assert ne.get_num_threads() == 1 and evaluate is ne.evaluate and version == numexpr.__version__
        try:
            from numexpr.necompiler import stringToExpression
        except ImportError as error:
            print(error)
    """
    assert "stringToExpression" in run(textwrap.dedent(script))
