"""Where arrays lie: the same way for every peer that lets its caller choose."""

import mmap

import numpy as np

HUGE = 2 << 20


class Arena:
    """Memory for one array, which can begin anywhere in a page."""

    def __init__(self, nbytes):
        size = -(-(nbytes + 2 * HUGE) // HUGE) * HUGE if nbytes >= HUGE else nbytes + 4 * 4096
        self.map = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if nbytes >= HUGE:
            self.map.madvise(mmap.MADV_HUGEPAGE)
        self.bytes = np.frombuffer(self.map, np.uint8)
        self.start = -self.bytes.ctypes.data % (HUGE if nbytes >= HUGE else 4096)

    def array(self, shape, dtype, offset):
        """An array `offset` bytes behind the start of a page."""
        count = int(np.prod(shape)) * np.dtype(dtype).itemsize
        begin = self.start + offset
        return self.bytes[begin : begin + count].view(dtype).reshape(shape)


def offsets(inputs):
    """The placements: for each, where in its page each input, and last the output, begins.

    Everything at the start of a page, as large arrays of most allocators lie; everything apart; and
    the output just behind what is read next, where a load looks as if it needed the store before.
    """
    return [
        [0] * (inputs + 1),
        [1088 * place for place in range(inputs + 1)],
        [0] * inputs + [128],
    ]
