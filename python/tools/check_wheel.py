"""Checks a wheel: its tag, its metadata, its files, and that it works where nothing else of Kiln is.

python tools/check_wheel.py kiln-0.1.0-cp310-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl
"""

from __future__ import annotations

import email
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

NEWEST_GLIBC = (2, 34)
"""Of manylinux_2_34: Linux distributions of 2022 and later, such as Debian 12."""

FILES = ("__init__.py", "py.typed", "_kiln.pyi", "_kiln.abi3.so", "nn.py", "numexpr/__init__.py")
LICENCES = ("LICENSE-APACHE", "LICENSE-MIT")

SMOKE = """
import kiln, numpy as np
assert "site-packages" in kiln.__file__, kiln.__file__
a = np.arange(1000.0)
assert np.array_equal(kiln.evaluate("2*a + 1"), 2 * a + 1)
assert np.allclose(kiln.jit(lambda x: np.tanh(x).sum())(a), np.tanh(a).sum())
assert kiln.nn.softmax(a).shape == a.shape
"""


def check(wheel: Path) -> None:
    """Raise an AssertionError if there is something wrong with a wheel."""
    name, version, python, abi, platform = wheel.stem.split("-")
    assert (name, python, abi) == ("kiln", "cp310", "abi3"), wheel.name
    tags = [tuple(map(int, tag)) for tag in re.findall(r"manylinux_(\d+)_(\d+)_", platform)]
    assert tags, f"{platform}: libraries of this machine alone can load it"
    assert min(tags) <= NEWEST_GLIBC, platform
    with zipfile.ZipFile(wheel) as files:
        names = files.namelist()
        info = f"{name}-{version}.dist-info"
        metadata = email.message_from_bytes(files.read(f"{info}/METADATA"))
    missing = [file for file in FILES if f"{name}/{file}" not in names]
    missing += [file for file in LICENCES if f"{info}/licenses/{file}" not in names]
    assert not missing, missing
    # What is not of the package is not in it.
    outside = [file for file in names if not file.startswith((f"{name}/", f"{info}/"))]
    outside += [file for file in names if "__pycache__" in file or "/tests/" in file]
    assert not outside, outside
    assert metadata["License-Expression"] == "MIT OR Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.10"
    assert "numpy>=1.25" in metadata.get_all("Requires-Dist"), metadata.get_all("Requires-Dist")
    assert metadata["Description-Content-Type"].startswith("text/markdown")
    assert metadata.get_payload().startswith("# Kiln for Python")


def check_installed(wheel: Path) -> None:
    """Install a wheel by itself and use it."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = str(Path(folder) / "bin" / "python")
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel)]
        subprocess.run(install, check=True)
        subprocess.run([python, "-I", "-c", SMOKE], check=True, cwd=folder)


def main() -> None:
    """Check wheels."""
    for wheel in map(Path, sys.argv[1:]):
        check(wheel)
        check_installed(wheel)
        print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB, good")


if __name__ == "__main__":
    main()
