"""Checks of the harness itself: `$KILN_PEERS_ENV/venv/bin/python -m unittest discover benches/peers/python`."""

import os
import tempfile
import unittest

import numpy as np

os.environ.setdefault("KILN_PEERS_ENV", tempfile.gettempdir())

from cases import all_cases
from formula import Program
from memory import Arena, offsets
from peers import NumPy
from reference import Reference
from run import kiln_text, make_inputs
from server import measure
from table import Case, behind, time


def entry(**rounds):
    """What `run` writes of a case with these rounds."""
    peers = {name: {"rounds": times, "error": 1.0} for name, times in rounds.items()}
    about = {"name": "relu", "size": "4 Ki", "dtype": "float32", "threads": 1}
    return about | {"elements": 4096, "products": 0, "peers": peers}


class Harness(unittest.TestCase):
    def test_every_formula_is_what_numpy_computes(self):
        """One small case of each: formulas, definitions, inputs and the judge of results."""
        import pathlib

        peer, seen = NumPy(), set()
        for case in all_cases(2):
            if (case.name, case.dtype) in seen or case.elements > 1 << 18:
                continue
            seen.add((case.name, case.dtype))
            with tempfile.TemporaryDirectory() as folder:
                arrays, files = make_inputs(case, pathlib.Path(folder))
                inputs = [{"name": one.name, "transposed": False} for one in case.inputs]
                nodes = Program(case.formula, peer.knows).nodes
                message = {"nodes": nodes, "inputs": inputs, "dtype": case.dtype}
                out = np.empty(case.shape, case.dtype)
                call, read = peer.prepare(message)(arrays, out)
                call()
            judge = Reference(case, arrays)
            ulps, wrong = judge.error(read())
            self.assertFalse(wrong, case.key)
            self.assertGreater(ulps, -1)
            self.assertTrue(judge.error(read() + 1)[1], case.key)

    def test_functions_that_a_peer_lacks_are_spelt_out(self):
        known = Program("gelu_tanh(x)", ["gelu_tanh"])
        self.assertEqual([op for op, *_ in known.nodes], ["input", "gelu_tanh"])
        spelt = Program("gelu_tanh(x)", ["exp"])
        self.assertNotIn("tanh", [op for op, *_ in spelt.nodes])
        self.assertIn("exp", [op for op, *_ in spelt.nodes])

    def test_text_for_kiln(self):
        case = next(case for case in all_cases(1) if case.name == "gelu(x*w+b)")
        text = kiln_text(case, Program(case.formula, ["gelu_tanh"]))
        head = "|x: f32[..], w: f32[..], b: f32[..]|"
        self.assertEqual(text, f"{head} {{ gelu_tanh(((x * w) + b)) }}")

    def test_arrays_begin_where_they_are_placed(self):
        for nbytes in (64, 4 << 20):
            for offset in offsets(2)[1]:
                array = Arena(nbytes).array((nbytes // 4,), "float32", offset)
                self.assertEqual(array.ctypes.data % 4096, offset % 4096)

    def test_a_call_is_timed_at_least_once(self):
        self.assertGreater(measure(lambda: sum(range(100_000)), 0)["ns"], 0)

    def test_a_figure_is_the_mean_of_the_placements_medians(self):
        self.assertEqual(time([1, 10, 100, 3, 10, 100, 2, 10, 100]), (2 + 10 + 100) / 3)

    def test_ratios_are_of_rounds(self):
        case = Case(entry(kiln=[3.0, 30.0, 3.0], gcc=[2.0, 20.0, 2.0], copy=[1.0, 1.0, 1.0]))
        self.assertEqual((case.best, case.ratio("kiln")), ("gcc", 1.5))
        self.assertIn("relu 4 Ki 1.50 (gcc", behind([case]))


if __name__ == "__main__":
    unittest.main()
