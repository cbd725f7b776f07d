"""What a wheel needs, as far as it is seen without one: `scripts/python wheel` looks at the wheel."""

import sys
from pathlib import Path

import kiln
import pytest

ROOT = Path(__file__).parent.parent

sys.path.insert(0, str(ROOT / "tools"))
check_wheel = pytest.importorskip("check_wheel")


@pytest.mark.skipif(sys.platform != "linux", reason="wheels are built for Linux")
def test_the_library_needs_what_every_linux_has():
    check_wheel.check_library(Path(kiln._kiln.__file__).read_bytes())
    with pytest.raises(AssertionError, match=r"\(2, 99\)"):
        check_wheel.check_library(b"\0GLIBC_2.2.5\0GLIBC_2.99\0")
    with pytest.raises(AssertionError, match="libssl"):
        check_wheel.check_library(b"\0GLIBC_2.2.5\0libssl.so.3\0")


def test_the_package_has_its_files():
    package = Path(kiln.__file__).parent
    assert not [name for name in check_wheel.FILES if not (package / name).exists()]
    assert not [name for name in check_wheel.LICENCES if not (ROOT / name).read_text()]


def test_metadata():
    tomllib = pytest.importorskip("tomllib")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["license"] == "MIT OR Apache-2.0"
    assert project["license-files"] == ["LICENSE-*"]
    assert {path.name for path in ROOT.glob("LICENSE-*")} == set(check_wheel.LICENCES)
    assert project["requires-python"] == ">=3.10"
    assert (ROOT / project["readme"]).read_text().startswith("# Kiln for Python")
    for name in (ROOT.parent / "LICENSE-MIT", ROOT.parent / "LICENSE-APACHE"):
        assert name.read_text() == (ROOT / name.name).read_text()
