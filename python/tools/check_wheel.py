"""Checks a wheel: its tag, its metadata, its files, and that it works where nothing else of Kiln is.

python tools/check_wheel.py kiln-0.1.0-cp310-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl

It is used with this Python, and with every other one from 3.10 on that is found by name (`python3.12`).
"""

from __future__ import annotations

import email
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

NEWEST_GLIBC = (2, 34)
"""Of manylinux_2_34: Linux distributions of 2022 and later, such as Debian 12."""

FILES = ("__init__.py", "py.typed", "_kiln.pyi", "_kiln.abi3.so", "nn.py", "numexpr/__init__.py")
LICENCES = ("LICENSE-APACHE", "LICENSE-MIT")
LIBRARIES = {"libc.so.6", "libm.so.6", "libgcc_s.so.1", "libpthread.so.0", "libdl.so.2", "librt.so.1"}
"""What is on every such Linux, but for the loader."""

NAMES = [f"python3.{minor}" for minor in range(10, 20)]

SMOKE = """
import pickle, sys
import kiln, kiln.numexpr, numpy as np
assert "site-packages" in kiln.__file__, kiln.__file__
a = np.arange(1000.0)
def inner():
    b = 2 * a
    return kiln.evaluate("a + b")
assert np.array_equal(inner(), 3 * a)
assert np.allclose(kiln.jit(lambda x: np.tanh(x).sum())(a), np.tanh(a).sum())
assert kiln.nn.softmax(a).shape == a.shape
kernel = pickle.loads(pickle.dumps(kiln.compile("|x, w| x * w + 1")))
out = np.empty_like(a)
assert kernel(a, w=a[::-1], out=out) is out and np.array_equal(out, a * a[::-1] + 1)
assert "data:image/svg" in kernel._repr_html_()
try:
    kernel(a, w=1j)
except TypeError as error:
    assert "complex128" in str(error)
print(f"  Python {sys.version.split()[0]}, NumPy {np.__version__}: works")
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
        check_library(files.read(f"{name}/_kiln.abi3.so"))
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


def check_library(library: bytes) -> None:
    """Raise an AssertionError if a library needs what a system need not have."""
    # Names that the loader looks for: whole strings of the library.
    libraries = {name.decode() for name in re.findall(rb"(?<=\0)lib[\w.+-]+\.so\.\d+(?=\0)", library)}
    assert libraries <= LIBRARIES, libraries - LIBRARIES
    versions = re.findall(rb"(?<=\0)GLIBC_(\d+)\.(\d+)(?:\.\d+)?(?=\0)", library)
    assert versions, "it is no library of Linux"
    newest = max((int(major), int(minor)) for major, minor in versions)
    assert newest <= NEWEST_GLIBC, newest


def interpreters() -> list[str]:
    """Return this Python, and others that are found and run."""
    found = {sys.version_info[:2]: sys.executable}
    for name in filter(None, map(shutil.which, NAMES)):
        asked = [name, "-c", "import sys, venv; print(*sys.version_info[:2])"]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            major, minor = map(int, done.stdout.split())
            found.setdefault((major, minor), name)
    return list(found.values())


def check_installed(wheel: Path, interpreter: str) -> None:
    """Install a wheel by itself and use it."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([interpreter, "-m", "venv", folder], check=True)
        python = str(Path(folder) / "bin" / "python")
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel)]
        subprocess.run(install, check=True)
        subprocess.run([python, "-I", "-c", SMOKE], check=True, cwd=folder)


def main() -> None:
    """Check wheels."""
    for wheel in map(Path, sys.argv[1:]):
        check(wheel)
        for interpreter in interpreters():
            check_installed(wheel, interpreter)
        print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB, good")


if __name__ == "__main__":
    main()
