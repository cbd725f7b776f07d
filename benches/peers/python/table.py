"""Prints what `run` measured as Markdown, or writes it between the marks of the guide and the README."""

import argparse
import json
import pathlib
import statistics
import textwrap

PEERS = pathlib.Path(__file__).parent.parent
ROOT = PEERS.parent.parent

NAMES = {
    "kiln": "Kiln, Precise",
    "kiln-fast": "Kiln, Fast",
    "kiln-avx2": "Kiln, Precise, AVX2",
    "ndarray": "ndarray `Zip`",
    "numpy": "NumPy",
    "numba": "numba",
    "numba-fast": "numba, fastmath",
    "jax": "JAX",
    "jax-tuned": "JAX, tuned",
    "torch": "PyTorch",
    "torch-compiled": "PyTorch, compiled",
    "onnxruntime": "ONNX Runtime",
    "gcc": "gcc -Ofast, libmvec",
    "copy": "*copy*",
    "copy-streaming": "*copy, non-temporal*",
    "read": "*read*",
}
NOT_PEERS = ("kiln", "kiln-fast", "kiln-avx2", "copy", "copy-streaming", "read")
PLACEMENTS = 3
LEVEL = 1.02  # what is closer is level


def time(rounds):
    """ns of a call: the median for each placement of the arrays, and their mean."""
    each = [rounds[start::PLACEMENTS] for start in range(min(PLACEMENTS, len(rounds)))]
    return statistics.mean(map(statistics.median, each))


class Case:
    """The figures of a case."""

    def __init__(self, entry):
        self.entry = entry
        self.rounds = {
            name: result["rounds"] for name, result in entry["peers"].items() if "rounds" in result
        }
        self.times = {name: time(rounds) for name, rounds in self.rounds.items()}
        peers = [name for name in self.times if name not in NOT_PEERS]
        self.best = min(peers, key=self.times.get, default=None)

    @property
    def name(self):
        """The case's name and type, for a column."""
        wide = " f64" if self.entry["dtype"] == "float64" else ""
        return self.entry["name"].replace("*", "\\*") + wide

    def ratio(self, name):
        """The time of `name` in that of the best peer: the median of the rounds' ratios."""
        pairs = zip(self.rounds[name], self.rounds[self.best])
        return statistics.median(mine / theirs for mine, theirs in pairs)

    def spread(self):
        """How much rounds differ, with the placement the same: the median over all that were timed."""
        spreads = []
        for rounds in self.rounds.values():
            each = [rounds[start::PLACEMENTS] for start in range(min(PLACEMENTS, len(rounds)))]
            spreads += [(max(part) - min(part)) / statistics.median(part) for part in each]
        return statistics.median(spreads) if spreads else 0.0

    def figure(self, name):
        """What a cell of a table shows."""
        if name not in self.times:
            return "-"
        if self.entry["products"]:
            return f"{2 * self.entry['products'] / self.times[name]:.1f}"
        ns = self.times[name] / self.entry["elements"]
        return f"{ns:.3f}" if ns < 10 else f"{ns:.1f}"


def grid(head, rows):
    """A table in Markdown."""
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def figures(title, cases, columns):
    """Every peer's figures for some cases, and what Kiln's are in the best peer's."""
    present = [name for name in order(cases) if any(name in case.times for case in cases)]
    rows = []
    for name in present:
        cells = []
        for case in cases:
            cell = case.figure(name)
            cells.append(f"**{cell}**" if name == case.best else cell)
        rows.append([NAMES.get(name, name), *cells])
    for name in ("kiln", "kiln-fast"):
        if name in present:
            ratios = [
                f"{case.ratio(name):.2f}" if case.best and name in case.rounds else "-"
                for case in cases
            ]
            rows.append([f"{NAMES[name].split(', ')[1]} / best peer, time", *ratios])
    return grid([title, *columns], rows)


def order(cases):
    """The peers, as they were measured."""
    return list(dict.fromkeys(name for case in cases for name in case.entry["peers"]))


def errors(cases):
    """The largest error of each peer in each formula, whatever the size."""
    names = list(dict.fromkeys(case.name for case in cases))
    rows = []
    for peer in order(cases):
        found = {}
        for case in cases:
            error = case.entry["peers"][peer].get("error")
            if error is not None:
                found[case.name] = max(found.get(case.name, 0), error)
        if found:
            cell = lambda e: f"{e:.1f}" if e < 100 else f"{e:.0f}" if e < 1e4 else f"{e:.0e}"
            rows.append(
                [NAMES.get(peer, peer)] + [cell(found[n]) if n in found else "-" for n in names]
            )
    return grid(["largest error, ULP", *names], rows)


def behind(cases):
    """Where Kiln is behind its best peer, in words."""
    worse = [(case.ratio("kiln"), case) for case in cases if case.best and "kiln" in case.rounds]
    worse = sorted((pair for pair in worse if pair[0] > LEVEL), key=lambda pair: -pair[0])
    if not worse:
        return "Precise is behind its best peer nowhere here.\n"
    told = [
        f"{case.name} {case.entry['size']}"
        + (f" on {case.entry['threads']} threads" if case.entry["threads"] > 1 else "")
        + f" {ratio:.2f} ({NAMES.get(case.best, case.best)})"
        for ratio, case in worse
    ]
    text = f"Precise takes longer than its best peer in {len(worse)} of {len(cases)} cells: "
    return textwrap.fill(text + ", ".join(told) + ".", 100) + "\n"


def about(report):
    """What was measured, where, when, and of which versions."""
    versions = ", ".join(
        f"{NAMES.get(name, name)} {version}"
        for name, version in report["versions"].items()
        if name not in NOT_PEERS and not name.endswith(("-fast", "-tuned", "-compiled"))
    )
    text = (
        f"Measured by `benches/peers/run` on {report['date']} on: {report['machine']}; "
        f"{report['rounds']} rounds in which all take turns. Versions: {versions}."
    )
    if report["missing"]:
        missing = ", ".join(f"{name} ({why})" for name, why in report["missing"].items())
        text += f" Left out: {missing}."
    return textwrap.fill(text, 100, break_on_hyphens=False) + "\n"


def noise(cases):
    """A warning, if rounds differ much."""
    spread = statistics.median(case.spread() for case in cases)
    if spread < 0.1:
        return ""
    return f"**The machine was busy: rounds differ by {spread:.0%}.**\n"


def page(report):
    """All tables."""
    cases = [Case(entry) for entry in report["cases"]]
    parts = [about(report), noise(cases), behind(cases)]
    elementwise, products, rows = (
        [case for case in cases if case.entry["kind"] in kinds]
        for kinds in (("elementwise",), ("product", "attention", "layers"), ("rows",))
    )
    for threads in dict.fromkeys(case.entry["threads"] for case in cases):
        on = f"{threads} thread" + ("s" if threads > 1 else "")
        here = [case for case in elementwise if case.entry["threads"] == threads]
        for size in ("4 Ki", "256 Ki", "16 Mi"):
            chosen = [case for case in here if case.entry["size"] == size]
            if chosen:
                columns = [case.name for case in chosen]
                parts.append(figures(f"{size}, {on}: ns per element", chosen, columns))
        here = [case for case in products if case.entry["threads"] == threads]
        for name in dict.fromkeys(case.entry["name"] for case in here):
            chosen = [case for case in here if case.entry["name"] == name]
            columns = [case.entry["size"] for case in chosen]
            parts.append(figures(f"{name}, {on}: GFLOP/s", chosen, columns))
        here = [case for case in rows if case.entry["threads"] == threads]
        for size in dict.fromkeys(case.entry["size"] for case in here):
            chosen = [case for case in here if case.entry["size"] == size]
            columns = [case.name for case in chosen]
            parts.append(figures(f"{size}, {on}: ns per element", chosen, columns))
    parts += [errors(part) for part in (elementwise + products, rows) if part]
    return "\n".join(part for part in parts if part)


def elsewhere(file):
    """Of the other kept files of figures, those of other machines: where Kiln is behind, and where it is ahead by how much."""
    parts = []
    for other in sorted(file.parent.glob("*.json")):
        if other != file:
            report = json.loads(other.read_text())
            cases = [Case(entry) for entry in report["cases"]]
            heading = f"## {report['machine'].split(' (family')[0]}\n"
            parts += [heading, about(report), noise(cases), behind(cases), ahead(cases)]
    return "\n".join(part for part in parts if part)


def ahead(cases):
    """A table of Kiln's time in that of the best peer."""
    rows = [
        [case.name, case.entry["size"], str(case.entry["threads"])]
        + [f"{case.ratio('kiln'):.2f}", NAMES.get(case.best, case.best)]
        for case in cases
        if case.best and "kiln" in case.times
    ]
    return grid(["case", "size", "threads", "Precise / best peer, time", "best peer"], rows) + "\n"


# What the README shows: names and types of cases, at one size, on one thread.
README = ("x*w+b", "silu", "gelu tanh", "gelu erf", "gelu(x*w+b)", "mish", "Black-Scholes")


def excerpt(report):
    """The README's table: Kiln beside the best peer."""
    cases = [Case(entry) for entry in report["cases"]]
    rows = []
    for case in cases:
        entry = case.entry
        wanted = entry["name"] in README and entry["size"] == "256 Ki"
        wanted |= entry["name"] == "linear + gelu" and entry["size"] in (
            "256×256×256",
            "1024×1024×1024",
            "32×1024×1024ᵀ",
        )
        if not wanted or entry["threads"] > 1 or entry["dtype"] != "float32" or not case.best:
            continue
        ratio = case.ratio("kiln")
        verdict = f"{1 / ratio:.2f}×" if ratio <= LEVEL else f"{1 / ratio:.2f}×, behind"
        unit = lambda name: f"{case.times[name] / 1000:.0f} µs"
        rows.append(
            [f"{case.name}, {entry['size']}", unit("kiln")]
            + [unit("kiln-fast") if "kiln-fast" in case.times else "-"]
            + [f"{unit(case.best)} ({NAMES.get(case.best, case.best)})", verdict]
        )
    head = ["`f32`, one thread", "Precise", "Fast", "best peer", "best peer / Precise"]
    where = f"{report['machine']}, {report['date']}"
    note = (
        f"{where}. Each time is by itself, the mean of three medians; the last column is the median of ratios within a "
        f"round, in which all take turns, so it is not the quotient of two times. Up to {LEVEL - 1:.0%} more is level. "
        "All peers, sizes and errors: [measured](docs/measured.md)."
    )
    busy = noise(cases)
    return "\n".join([*([busy] if busy else []), grid(head, rows), textwrap.fill(note, 100), ""])


def put(file, text):
    """Writes `text` between the marks of a file."""
    before, rest = file.read_text().split("<!-- peers: by benches/peers/table -->\n")
    _, after = rest.split("<!-- /peers -->")
    mark = "<!-- peers: by benches/peers/table -->\n"
    file.write_text(f"{before}{mark}{text}<!-- /peers -->{after}")


def main():
    """The command line."""
    parser = argparse.ArgumentParser(prog="table", description=__doc__)
    default = PEERS / "results/all.json"
    parser.add_argument("file", nargs="?", type=pathlib.Path, default=default)
    parser.add_argument("--write", action="store_true", help="into docs/measured.md and README.md")
    options = parser.parse_args()
    report = json.loads(options.file.read_text())
    if options.write:
        put(ROOT / "docs/measured.md", page(report) + "\n" + elsewhere(options.file))
        put(ROOT / "README.md", excerpt(report))
    else:
        print(page(report))


if __name__ == "__main__":
    main()
