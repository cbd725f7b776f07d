"""Runs numexpr's own test suite, which is in its wheel, with Kiln in numexpr's place.

    python tools/numexpr_suite.py          evaluate, re_evaluate and validate are Kiln's
    python tools/numexpr_suite.py --all    NumExpr, E and disassemble, too

It prints what passes, and the names of what does not. `NUMEXPR.md` says why.
"""

from __future__ import annotations

import contextlib
import io
import sys

import kiln.numexpr as ours
import numexpr
import numexpr.tests.test_numexpr as suite
import pytest

NAMES = ("evaluate", "re_evaluate", "validate")
MORE = ("NumExpr", "E", "disassemble")


class Outcomes:
    """Counts what becomes of tests: a plugin of pytest."""

    def __init__(self) -> None:
        self.expressions: dict[str, int] = {}
        self.methods: dict[str, str] = {}
        self.failures: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and not report.failed and not report.skipped:
            return
        name = report.nodeid.split("::", 1)[1].replace("::", ".")
        if name.startswith("test_expressions["):
            self.expressions[report.outcome] = self.expressions.get(report.outcome, 0) + 1
            if report.failed:
                self.failures.append(name)
        else:
            self.methods[name] = report.outcome


def run(names: tuple[str, ...] = NAMES) -> Outcomes:
    """Run the suite with these names replaced."""
    for name in names:
        setattr(suite, name, getattr(ours, name))
    theirs = numexpr.set_num_threads

    def set_num_threads(threads: int) -> int:
        ours.set_num_threads(threads)
        return theirs(threads)

    numexpr.set_num_threads = set_num_threads
    outcomes = Outcomes()
    with contextlib.redirect_stdout(io.StringIO()):
        pytest.main(["-q", "-p", "no:cacheprovider", suite.__file__], plugins=[outcomes])
    return outcomes


def report(outcomes: Outcomes) -> str:
    """Say what passed, and name what did not."""
    counts = ", ".join(f"{count} {what}" for what, count in sorted(outcomes.expressions.items()))
    methods = outcomes.methods
    passed = sum(outcome == "passed" for outcome in methods.values())
    failed = sorted(name for name, outcome in methods.items() if outcome != "passed")
    lines = [f"expressions: {counts}", f"methods: {passed} of {len(methods)} passed", *failed]
    return "\n".join([*lines, *outcomes.failures])


if __name__ == "__main__":
    print(report(run(NAMES + MORE if "--all" in sys.argv[1:] else NAMES)))
