#!/usr/bin/env python3
"""The table of 2/pi of jit/src/math/payne_hanek.rs (needs mpmath).

Entry i holds the 48 bits of weights 2^4 .. 2^-43 of 2^(16*(i + 65) - 1072) * 2/pi, as the bits of
an f64. An argument whose biased exponent is E needs entry (E >> 4) - 65 and, for the 48 bits after
each, the entries 3, 6 and 9 further on.
"""
import struct
from mpmath import floor, ldexp, mp, pi

mp.prec = 2400
for i in range(127 - 65 + 1 + 9):
    window = int(floor(ldexp(2 / pi, 16 * (i + 65) - 1072 + 43))) % 2**48
    bits = struct.unpack("<Q", struct.pack("<d", window * 2.0**-43))[0]
    print(f"    0x{bits >> 48:04x}_{bits >> 32 & 0xffff:04x}_{bits >> 16 & 0xffff:04x}_{bits & 0xffff:04x},")
