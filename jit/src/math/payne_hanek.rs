//! Argument reduction of the trigonometric functions for large arguments.

use super::double_word::{fast_two_sum, two_prod, two_sum};
use crate::vir::{Builder, Type, Value};

/// `a` (an f64, 2^17 or more) minus the nearest multiple `k` of π/2: `[k, high, low]`, where `k` is
/// right modulo 4 and small, and `high + low` is the remainder to a relative 2^-100 or so.
///
/// Payne and Hanek: only the bits of `a * 2/π` with weights below 4 matter, so the product is taken
/// with the window of 2/π that produces them. The argument keeps its mantissa and the low four bits
/// of its exponent; the rest of the exponent selects the window, four adjacent ones of 48 bits in
/// all. That is 120 bits below the binary point, and no f64 is nearer than 2^-62 to a multiple of
/// π/2. Infinity gives NaN.
pub(crate) fn payne_hanek(b: &mut Builder, a: Value) -> [Value; 3] {
    let int = Type::I64;
    let bits = b.bitcast(a, int);
    let index = b.shr(bits, 56);
    let low_bits = b.int(int, 0x00ff_ffff_ffff_ffff);
    let scaled = b.and(bits, low_bits);
    let base_exponent = b.int(int, 0x430 << 52);
    let scaled = b.or(scaled, base_exponent);
    let scaled = b.bitcast(scaled, Type::F64);

    let window = |b: &mut Builder, number: i64| {
        let offset = b.int(int, 3 * number - 65);
        let index = b.add(index, offset);
        let entry = b.table(Type::F64, &TWO_OVER_PI, index);
        let scale = b.f64(2f64.powi(-48 * number as i32));
        b.mul(entry, scale)
    };
    let windows = [0, 1, 2, 3].map(|number| window(b, number));
    let (p0, p1) = two_prod(b, scaled, windows[0]);
    let (p2, p4) = two_prod(b, scaled, windows[1]);
    let (p3, p5) = two_prod(b, scaled, windows[2]);
    let p6 = b.mul(scaled, windows[3]);

    // The first three may contain multiples of 4; the rests of p0 and p1 add up exactly.
    let [p0, p1, p2] = [p0, p1, p2].map(|p| modulo_4(b, p));
    let sum = b.add(p0, p1);
    let k1 = b.nearest(sum);
    let sum = b.sub(sum, k1);
    let (sum, e1) = two_sum(b, sum, p2);
    let k2 = b.nearest(sum);
    let sum = b.sub(sum, k2);
    let (sum, e2) = two_sum(b, sum, p3);
    let (sum, e3) = two_sum(b, sum, p4);
    let (sum, e4) = two_sum(b, sum, e1);
    let mut tail = b.add(p5, p6);
    for error in [e2, e3, e4] {
        tail = b.add(tail, error);
    }
    let (fraction, tail) = fast_two_sum(b, sum, tail);

    let half_pi = b.f64(std::f64::consts::FRAC_PI_2);
    let half_pi_low = b.f64(6.123233995736766e-17);
    let (high, low) = two_prod(b, fraction, half_pi);
    let low = b.fma(fraction, half_pi_low, low);
    let low = b.fma(tail, half_pi, low);
    let zero_or_nan = b.sub(a, a);
    let high = b.add(high, zero_or_nan);
    let k = b.add(k1, k2);
    [k, high, low]
}

/// `x` minus the nearest multiple of 4, exact.
fn modulo_4(b: &mut Builder, x: Value) -> Value {
    let (quarter, minus_four) = (b.f64(0.25), b.f64(-4.0));
    let count = b.mul(x, quarter);
    let count = b.nearest(count);
    b.fma(count, minus_four, x)
}

/// 48-bit windows of 2/π, one every 16 bits, from `tools/coefficients/two_over_pi.py`.
#[rustfmt::skip]
static TWO_OVER_PI: [u64; 72] = [
    0x3de4_5c00_0000_0000, 0x3ee4_5f30_6c00_0000, 0x3fe4_5f30_6dc9_c800, 0x4039_836e_4e44_1520,
    0x402c_9c88_2a53_f840, 0x4010_54a7_f09d_5f00, 0x4023_f84e_afa3_ea40, 0x401d_5f47_d4d3_7700,
    0x4031_f534_ddc0_db60, 0x4034_ddc0_db62_9580, 0x3feb_6c52_b327_8800, 0x4004_acc9_e21c_8200,
    0x4039_3c43_9041_fe40, 0x400c_820f_f28b_1d00, 0x3fff_e516_3abd_ea00, 0x4031_63ab_debb_c560,
    0x4027_bd77_8ac3_6e40, 0x403b_c561_b724_6e20, 0x3ffb_7246_e3a4_2400, 0x4011_b8e9_0937_4b80,
    0x403a_424d_d2e0_0640, 0x402b_a5c0_0c92_5dc0, 0x3f99_24bb_a827_0000, 0x4022_5dd4_13a3_2400,
    0x4024_13a3_2439_fc00, 0x4031_921c_fe1d_eb00, 0x403c_fe1d_eb1c_b120, 0x403d_eb1c_b129_a720,
    0x403c_b129_a73e_e880, 0x4023_4e7d_d104_6bc0, 0x403e_e882_35f5_2ea0, 0x4001_afa9_75da_2400,
    0x4035_2ebb_4484_e980, 0x403b_4484_e99c_7020, 0x4013_a671_c09a_d100, 0x403c_7026_b45f_7e40,
    0x401a_d17d_f904_e600, 0x403f_7e41_3991_d620, 0x3ff3_991d_6398_3400, 0x4031_d639_8353_39e0,
    0x4039_8353_39f4_9c80, 0x4033_39f4_9c84_5f80, 0x4034_9c84_5f8b_bde0, 0x4011_7e2e_f7e4_a080,
    0x4027_7bf2_5076_3fc0, 0x4039_283b_1ff8_97e0, 0x403b_1ff8_97ff_de00, 0x4038_97ff_de05_9800,
    0x403f_de05_980f_ef20, 0x4016_603f_bcbc_4600, 0x402f_de5e_2316_b400, 0x402e_2316_b414_da00,
    0x4026_b414_da3e_da40, 0x4024_da3e_da6c_fd80, 0x403f_6d36_7ecf_27c0, 0x4036_7ecf_27cb_09a0,
    0x402e_4f96_136e_9e80, 0x4026_136e_9e8c_7ec0, 0x4037_4f46_3f66_9e40, 0x4018_fd9a_797f_a880,
    0x401a_797f_a8b5_d480, 0x403f_ea2d_7527_bac0, 0x402a_ea4f_758f_d7c0, 0x401e_eb1f_af97_c580,
    0x401f_af97_c5ec_f400, 0x4017_c5ec_f41c_e780, 0x403b_3d07_39f7_8a40, 0x401c_e7de_294a_4b80,
    0x4037_8a52_92ea_6be0, 0x4032_92ea_6bfb_5fa0, 0x4024_d7f6_bf62_3f00, 0x403b_5fb1_1f8d_5d00,
];
