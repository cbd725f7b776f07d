"""Measures Kiln and its peers in one run: every peer is a process, and they take turns round by round.

All processes of a case are alive at once, each warm, with its arrays laid out the same way; only one
works at a time. In each round all are timed once, in an order that rotates, and rounds go through the
placements of `memory.offsets`. Results are compared with exact ones before anything is timed.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import select
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

from cases import all_cases
from formula import ARITHMETIC, Missing, Program, calls, heads, render
from memory import offsets
from reference import Reference

HERE = pathlib.Path(__file__).parent
PEERS = HERE.parent
ENV = pathlib.Path(os.environ["KILN_PEERS_ENV"])
RUST = ENV / "rust/release/kiln-peers"
IN_RUST = "kiln kiln-fast kiln-avx2 ndarray candle fidget symjit gemmkit faer copy copy-streaming read".split()
IN_PYTHON = "numpy numexpr numba numba-fast jax jax-tuned torch torch-compiled onnxruntime gcc".split()
ALL = IN_RUST + IN_PYTHON
MEMORY = ("copy", "copy-streaming", "read")  # what memory allows: they compute nothing
USUAL = [name for name in ALL if name not in ("kiln-avx2",)]

# XLA takes vectors of 256 bits, and keeps to IEEE, unless it is told otherwise.
JAX_TUNED = "--xla_cpu_prefer_vector_width=512 --xla_cpu_enable_fast_math=true"
THREADS = "OMP OPENBLAS MKL NUMEXPR NUMBA RAYON"
SECONDS = 0.012  # of a visit
LARGE, FEWER = 1 << 20, 6  # cases of more elements have at most so many rounds
PATIENCE = 180  # seconds for one answer: compilers take their time
KILN_TEXT = ARITHMETIC | {
    "matmul": "({0} @ {1})",
    "maximum": "maximum({0}, {1})",
    "where": "where({0}, {1}, {2})",
    "softmax": "softmax[-1]({0})",
    "log_softmax": "log_softmax[-1]({0})",
    "layer_norm": "(layer_norm[-1]({0}) * {1} + {2})",
    "rms_norm": "(rms_norm[-1]({0}) * {1})",
    "sum_axis_0": "sum[0]({0})",
    "sum_axis_1": "sum[1]({0})",
    "attention": "(softmax[-1]({0} @ swapaxes[-1, -2]({1}) * 0.125) @ {2})",
    "causal_attention": "(softmax[-1](select(iota[-2]({0}) >= iota[-1](swapaxes[-1, -2]({1})), "
    "{0} @ swapaxes[-1, -2]({1}) * 0.125, -inf)) @ {2})",
} | heads(
    "swapaxes[0, 1](reshape[-1, 12, 64](slice[-1, {first}:{end}]({0})))",
    "reshape[-1, 768](swapaxes[0, 1]({0}))",
)


class Peer:
    """A peer's process. One that dies is started again for the next case."""

    def __init__(self, name, threads, cpus):
        self.name, self.threads, self.cpus = name, threads, cpus
        self.process = None
        self.start()
        self.about = self.ask(do="hello")

    def start(self):
        """Starts the process, on its processors."""
        environment = dict(os.environ, OMP_WAIT_POLICY="passive", CUDA_VISIBLE_DEVICES="")
        environment |= {f"{name}_NUM_THREADS": str(self.threads) for name in THREADS.split()}
        environment["LD_LIBRARY_PATH"] = str(ENV / "venv/lib")
        environment["TORCHINDUCTOR_CACHE_DIR"] = str(ENV / "torch")
        flags = [f"--xla_cpu_multi_thread_eigen={'true' if self.threads > 1 else 'false'}"]
        if self.name == "jax-tuned":
            flags.append(JAX_TUNED)
        environment["XLA_FLAGS"] = " ".join(flags)
        if self.name.startswith("numba"):
            environment["PYTHONPATH"] = str(ENV / "numba")
        rust = self.name in IN_RUST
        command = [RUST] if rust else [sys.executable, HERE / "server.py"]
        self.process = subprocess.Popen(
            [*command, self.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=open(ENV / "log" / f"{self.name}.{self.threads}", "a"),
            env=environment,
            preexec_fn=lambda: os.sched_setaffinity(0, self.cpus),
        )

    def ask(self, **message):
        """The answer to a message. Whoever dies or takes too long is unable."""
        if self.process is None:
            self.start()
        try:
            self.process.stdin.write((json.dumps(message) + "\n").encode())
            self.process.stdin.flush()
            ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
            line = self.process.stdout.readline() if ready else b""
        except BrokenPipeError:
            line = b""
        if line:
            return json.loads(line)
        self.stop()
        return {"unable": "died, or took too long"}

    def stop(self):
        """Ends the process."""
        if self.process:
            self.process.kill()
            self.process.wait()
        self.process = None

    def open(self, case, files):
        """Has the peer make its code. Returns why it cannot."""
        try:
            program = Program(case.formula, self.about["knows"])
        except Missing as why:
            return str(why)
        inputs = [
            {
                "name": one.name,
                "shape": one.shape,
                "stored": one.shape[::-1] if one.transposed else one.shape,
                "weight": one.weight,
                "transposed": one.transposed,
                "file": str(file),
            }
            for one, file in zip(case.inputs, files)
        ]
        answer = self.ask(
            do="open",
            name=case.name,
            kind=case.kind,
            text=kiln_text(case, program),
            nodes=program.nodes,
            inputs=inputs,
            shape=case.shape,
            dtype=case.dtype,
            threads=case.threads,
        )
        return answer.get("unable")


def kiln_text(case, program):
    """A program as text for Kiln."""
    dtype = {"float32": "f32", "float64": "f64"}[case.dtype]
    functions = {op: f"{op}({{0}})" for op, *_ in program.nodes if op not in KILN_TEXT}
    bindings, result = render(program.nodes, functions | KILN_TEXT)
    # A mask of places is part of the kernel where ranks are known.
    def shape(one):
        if case.kind == "layers":
            return ", ".join(map(str, one.shape if one.weight else ("n", *one.shape[1:])))
        return "h, t, d" if case.kind == "attention" else ".."

    parameters = ", ".join(f"{one.name}: {dtype}[{shape(one)}]" for one in case.inputs)
    lets = "".join(f"let {name} = {text}; " for name, text in bindings)
    return f"|{parameters}| {{ {lets}{result} }}"


def make_inputs(case, folder):
    """The case's inputs, the same bits in every run, as arrays and as files."""
    arrays, files = [], []
    for seed, one in enumerate(case.inputs):
        random = np.random.Generator(np.random.PCG64(seed))
        array = random.random(one.shape, np.dtype(case.dtype).type)
        array = (one.low + (one.high - one.low) * array).astype(case.dtype)
        file = folder / one.name
        (array.T if one.transposed else array).copy().tofile(file)
        arrays.append(array)
        files.append(file)
    return arrays, files


def measure(case, peers, rounds, seconds, folder):
    """One case: `{peer: {"ns": .., "rounds": [..], "error": ..}}`, or why a peer was left out."""
    arrays, files = make_inputs(case, folder)
    reference = Reference(case, arrays)
    results, ready = {}, []
    for peer in peers:
        why = peer.open(case, files)
        if why is None and peer.name not in MEMORY:
            file = folder / "result"
            why = peer.ask(do="result", file=str(file)).get("unable")
            if why is None:
                ulps, wrong = reference.error(np.fromfile(file, case.dtype).reshape(case.shape))
                why = "computes something else" if wrong else None
                results[peer.name] = {"error": ulps}
        if why is not None:
            results[peer.name] = {"unable": why}
        else:
            ready.append(peer)
    places = offsets(len(case.inputs))
    times = {peer.name: [] for peer in ready}
    for number in range(rounds):
        place = places[number % len(places)]
        for peer in ready[number % len(ready) :] + ready[: number % len(ready)]:
            answer = peer.ask(do="place", offsets=place)
            if "unable" not in answer:
                answer = peer.ask(do="time", seconds=seconds)
            if "unable" in answer:
                results[peer.name] = {"unable": answer["unable"]}
            else:
                times[peer.name].append(answer["ns"])
    for peer in ready:
        peer.ask(do="close")
        taken = times[peer.name]
        if len(taken) == rounds:
            results[peer.name] = results.get(peer.name, {}) | {"rounds": [round(t, 1) for t in taken]}
    return results


def machine():
    """What was measured on, in words."""
    model = next(
        line.split(":")[1].strip()
        for line in open("/proc/cpuinfo")
        if line.startswith("model name")
    )
    fields = [line.split(":") for line in open("/proc/cpuinfo") if ":" in line]
    numbers = {name.strip(): value.strip() for name, value in fields}
    about = f"{model} (family {numbers['cpu family']}, model {numbers['model']})"
    widest = "AVX-512" if "avx512f" in numbers["flags"] else "AVX2"
    return f"{about}, {os.cpu_count()} hardware threads, {widest}, Linux {platform.release()}"


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(prog="run", description=__doc__.split("\n")[0])
    parser.add_argument("--cases", help="only those whose name, size or kind contains one of these")
    parser.add_argument("--peers", help=f"only these, of: {' '.join(ALL)}")
    parser.add_argument("--rounds", type=int, default=9, help="how often each is timed (9)")
    parser.add_argument("--quick", action="store_true", help="3 rounds of small cases: 3 minutes")
    parser.add_argument("--threads", type=int, help="only cases of so many threads")
    parser.add_argument("--output", type=pathlib.Path, help="the file for the figures")
    parser.add_argument("--minutes", type=float, default=30, help="no case is begun after these (30)")
    return parser.parse_args()


def main():
    """Measures, and keeps the figures as JSON after every case."""
    options = arguments()
    start = time.monotonic()
    (ENV / "log").mkdir(parents=True, exist_ok=True)
    names = options.peers.replace(",", " ").split() if options.peers else USUAL
    unknown = [name for name in names if name not in ALL]
    if unknown:
        sys.exit(f"no peer is named {' or '.join(unknown)}: there are {' '.join(ALL)}")
    processors = sorted(os.sched_getaffinity(0))
    cases = all_cases(len(processors))
    if options.quick:
        cases = [case for case in cases if case.elements <= 256 << 10 and case.products <= 1 << 27]
    if options.threads:
        cases = [case for case in cases if case.threads == options.threads]
    if options.cases:
        wanted = options.cases.split(",")
        cases = [case for case in cases if any(word in f"{case.key} {case.kind}" for word in wanted)]
    # Should time run out, large arrays are what is missing.
    cases.sort(key=lambda case: (case.threads, case.elements > LARGE))
    rounds = 3 if options.quick else options.rounds
    output = options.output or PEERS / "results" / ("quick.json" if options.quick else "all.json")
    output.parent.mkdir(parents=True, exist_ok=True)
    report = {
        "machine": machine(),
        "date": datetime.date.today().isoformat(),
        "rounds": rounds,
        "versions": {},
        "missing": {},
        "cases": [],
    }
    for threads in sorted({case.threads for case in cases}):
        # The last processor serves least else; the one that asks does not disturb it.
        cpus = processors if threads > 1 else processors[-1:]
        peers = []
        for name in names:
            peer = Peer(name, threads, cpus)
            if "unable" in peer.about:
                report["missing"][name] = "did not start"
            else:
                report["versions"][name] = peer.about["version"]
                peers.append(peer)
        print("peers:", " ".join(peer.name for peer in peers), flush=True)
        for case in cases:
            if case.threads != threads:
                continue
            if time.monotonic() - start > 60 * options.minutes:
                report["missing"][case.key] = "no time was left"
                continue
            began = time.monotonic()
            with tempfile.TemporaryDirectory(dir=ENV) as folder:
                times = min(rounds, FEWER) if case.elements > LARGE else rounds
                results = measure(case, peers, times, SECONDS, pathlib.Path(folder))
            entry = {"name": case.name, "size": case.size, "kind": case.kind, "dtype": case.dtype}
            entry |= {"threads": threads, "elements": case.elements, "products": case.products}
            report["cases"].append(entry | {"peers": results})
            output.write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n")
            print(summary(case, results), f"{time.monotonic() - began:.0f} s", flush=True)
        for peer in peers:
            peer.stop()
    print(f"{output}: {(time.monotonic() - start) / 60:.1f} minutes")


def summary(case, results):
    """A case in one line: Kiln, and the best peer."""
    taken = {
        name: statistics.median(result["rounds"]) / case.elements
        for name, result in results.items()
        if "rounds" in result
    }
    others = {name: ns for name, ns in taken.items() if not name.startswith("kiln") and name not in MEMORY}
    parts = [f"{name} {ns:.3f}" for name, ns in taken.items() if name not in others]
    parts += [f"{name} {others[name]:.3f}" for name in sorted(others, key=others.get)[:3]]
    return f"{case.key:32} ns/element: {', '.join(parts)};"


if __name__ == "__main__":
    main()
