"""What is shown of kernels: pages, tables, roofs, and the notebook that uses them."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import kiln
import numpy as np
import pytest

NOTEBOOK = Path(__file__).parent.parent / "examples" / "fusion.ipynb"


def test_pages_of_kernels():
    kernel = kiln.compile("|x| select(x < 1 & x > 0, x, 0)")
    page = kernel._repr_html_()
    assert page.startswith('<div class="kiln-kernel"><code>|x| select(x &lt; 1')
    assert page.count("<details>") == page.count("</details>") == 6
    assert "1 pass" in page


def picture(kernel):
    """Return the picture on the page of a kernel, read as XML."""
    url = re.search(
        r'<img alt="[^"]+" style="max-width:100%" src="data:image/svg\+xml,([^"<>]*)">', page_of(kernel)
    )
    return ElementTree.fromstring(unquote(url[1]))


def page_of(kernel):
    page = kernel._repr_html_()
    # Everything is closed, and nothing that a text says is markup.
    seen = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, _: seen.append(tag) if tag != "img" else None
    parser.handle_endtag = lambda tag: seen.remove(tag)
    parser.feed(page)
    assert not seen
    return page


def words(kernel):
    return [text.text for text in picture(kernel).iter("{http://www.w3.org/2000/svg}text")]


def test_pages_have_a_picture():
    kernel = kiln.compile("|x, w| select(x < w & x > 0, exp(x) * w, 0)")
    assert {"x: f32[..]", "exp(·)", "as written", "fused"} <= set(words(kernel))
    product = kiln.compile("|x: f32[n, k], w: f32[k, m]| relu(x @ w)")
    assert any("@" in word for word in words(product))
    steps = "".join(f"let t{n + 1} = t{n} - sqrt(x);" for n in range(420))
    long = kiln.compile("|x| { let t0 = x;" + steps + "t420 }")
    assert "<img" not in page_of(long)


def test_kernels_unfused_give_the_same():
    kernel = kiln.compile("|x| exp(x) + x * 2", mode="strict")
    unfused = kernel.unfused()
    x = np.linspace(-3, 3, 100)
    np.testing.assert_array_equal(kernel(x), unfused(x))
    assert (kernel.passes, unfused.passes) == (1, 3)
    bound = kiln.compile("|x, w| x * w + x").bind(w=2.0).unfused()
    assert bound.inputs == ["x"]
    assert bound(x).tolist() == (x * 3).tolist()


def test_benches():
    x = np.ones(1000)
    table = kiln.bench(kiln.jit(lambda x: 2 * x + 1), x, other=lambda x: x)
    assert [row.name for row in table.rows] == ["kiln", "kiln, unfused", "numpy", "other"]
    assert table.rows[0].ratio == 1
    assert all(row.seconds > 0 for row in table.rows)
    assert "ns/element" in repr(table)
    assert table._repr_html_().startswith("<table>")
    table = kiln.bench(kiln.compile("2*x + 1"), x, numpy=lambda x: 2 * x + 1)
    assert [row.name for row in table.rows] == ["kiln", "kiln, unfused", "numpy"]
    assert [row.name for row in kiln.bench(kiln.compile("2*x"), x).rows] == ["kiln", "kiln, unfused"]


def cells():
    notebook = json.loads(NOTEBOOK.read_text())
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_the_notebook_runs(capsys):
    namespace = {}
    for cell in cells():
        exec(compile(cell, str(NOTEBOOK), "exec"), namespace)
    shown = capsys.readouterr().out
    assert "peak, GFLOP/s" in shown
    assert "1 pass over memory" in shown
    assert "because" in shown


def test_roofs():
    roofs = kiln.roofline()
    assert roofs.threads >= 1
    assert roofs.gflops > 0
    assert roofs.gbytes > 0
    assert "bandwidth" in repr(roofs)
    assert kiln.compile("2*x", threads=1).place(np.ones(1000))


def test_the_examples_of_the_package_run():
    import doctest

    for module in (kiln, kiln.numexpr, kiln.nn):
        assert doctest.testmod(module).failed == 0
    assert doctest.run_docstring_examples(kiln.jit, {"kiln": kiln, "np": np}) is None


@pytest.mark.parametrize("name", [name for name in kiln.__all__ if name != "STAGES"])
def test_everything_is_documented(name):
    assert getattr(kiln, name).__doc__
