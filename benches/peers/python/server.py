"""One peer as a process: lines of JSON come on standard input, and one answers each.

    {"do": "hello"}                        -> {"version": .., "knows": [functions]}
    {"do": "open", nodes, inputs, shape,   -> {} or {"unable": why}
     dtype, kind, threads}
    {"do": "place", "offsets": [..]}       -> {}       lays the arrays out anew
    {"do": "time", "seconds": s}           -> {"ns": median of a call, "low": smallest, "calls": n}
    {"do": "result", "file": path}         -> {}       writes what the last call computed
    {"do": "close"}                        -> {}       forgets the case
"""

import gc
import json
import sys
import time

import numpy as np

from memory import Arena
from peers import PEERS, Unable

BATCH = 50_000  # ns: long enough for the clock


def measure(call, seconds):
    """The median and the smallest time of a call, in nanoseconds, and how many there were."""
    repeat = call if hasattr(call, "repeats") else lambda count: [call() for _ in range(count)]
    clock = time.perf_counter_ns
    repeat(1)
    start = clock()
    repeat(1)
    once = max(clock() - start, 1)
    count = max(1, min(10_000, BATCH // once))
    end = start + int(seconds * 1e9)
    # A call that takes longer than a visit is timed as it is, not once more.
    times = [once] if once > max(seconds * 1e9, BATCH) else []
    while not times or clock() < end:
        before = clock()
        repeat(count)
        times.append((clock() - before) / count)
    return {"ns": float(np.median(times)), "low": min(times), "calls": count * len(times)}


class Server:
    """What a case needs between two messages."""

    def __init__(self, peer):
        self.peer = peer
        self.close()

    def hello(self):
        return {"version": self.peer.version, "knows": list(self.peer.knows)}

    def open(self, **case):
        self.case = case
        dtype = np.dtype(case["dtype"])
        self.inputs = [np.fromfile(one["file"], dtype) for one in case["inputs"]]
        self.arenas = [Arena(array.nbytes) for array in self.inputs]
        self.arenas.append(Arena(int(np.prod(case["shape"])) * dtype.itemsize))
        self.bind = self.peer.prepare(case)
        return self.place([0] * len(self.arenas)) | self.time(0)

    def place(self, offsets):
        self.call = self.read = None
        case, arrays = self.case, []
        shapes = [one["stored"] for one in case["inputs"]] + [case["shape"]]
        for arena, shape, offset in zip(self.arenas, shapes, offsets):
            arrays.append(arena.array(shape, case["dtype"], offset))
        for array, values in zip(arrays, self.inputs):
            array.flat = values
        self.call, self.read = self.bind(arrays[:-1], arrays[-1])
        return {}

    def time(self, seconds):
        return measure(self.call, seconds)

    def result(self, file):
        self.call()
        np.ascontiguousarray(self.read(), self.case["dtype"]).tofile(file)
        return {}

    def close(self):
        self.case = self.inputs = self.arenas = self.bind = self.call = self.read = None
        gc.collect()
        return {}


def main(name):
    """Serves until standard input ends."""
    # Whatever a library prints must not be taken for an answer.
    answers, sys.stdout = sys.stdout, sys.stderr
    server = Server(PEERS[name]())
    gc.disable()
    for line in sys.stdin:
        message = json.loads(line)
        try:
            answer = getattr(server, message.pop("do"))(**message)
        except Unable as why:
            answer = {"unable": str(why)}
        except Exception as error:  # whatever a library raises is reported, and the case left out
            answer = {"unable": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(sys.argv[1])
