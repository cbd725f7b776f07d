"""Types that the package states are those that it has."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

pytest.importorskip("mypy")

USER = """
from typing import Any

import numpy as np
import kiln
import kiln.numexpr as ne

kernel = kiln.compile("2 * x", mode="strict", threads=1)
passes: int = kernel.passes
stages: list[str] = list(kiln.STAGES)

@kiln.jit(static=("axis",))
def total(x: Any, axis: int = 0) -> Any:
    return x.sum(axis=axis)

total(np.ones(3), axis=0)
inner: kiln.Kernel = total.kernel(np.ones(3))
ne.evaluate("a + 1", {"a": np.ones(3)})
"""


def mypy(*arguments, cwd=ROOT):
    """Run a tool of mypy's, and return what it finds."""
    done = subprocess.run([sys.executable, "-m", *arguments], cwd=cwd, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_the_package_is_typed():
    code, found = mypy("mypy")
    assert code == 0, found


def test_stubs_are_of_what_is_there():
    code, found = mypy("mypy.stubtest", "kiln._kiln")
    assert code == 0, found


def test_users_see_types(tmp_path):
    (tmp_path / "good.py").write_text(USER)
    (tmp_path / "wrong.py").write_text(
        'import kiln\nkiln.compile(3)\nkiln.compile("x").passes.upper()\n'
    )
    code, found = mypy("mypy", "--strict", "good.py", cwd=tmp_path)
    assert code == 0, found
    code, found = mypy("mypy", "wrong.py", cwd=tmp_path)
    assert code == 1, found
    assert found.count("error:") == 2, found
