//! What tests share: random inputs, programs and graphs, and emitters that run on any machine.

#![allow(missing_docs, reason = "for tests only")]

pub mod balls;
#[cfg_attr(not(feature = "x86"), path = "emulation/absent.rs")]
pub mod emulation;
pub mod graphs;
pub mod runner;
pub mod texts;
pub mod windows;

use half::{bf16, f16};
use kiln::internals::emit::Code;
use kiln::internals::vir::{Builder, Routine, Storage, Type, Value};

/// What every emitter makes of a program, whatever the machine. The interpreter is one: its ABI is
/// under test.
pub fn emitters(program: &Routine) -> Vec<Code> {
    runner::runners().iter().map(|runner| runner.code(program)).collect()
}

/// SplitMix64: small, seeded, the same on every machine.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    #[allow(clippy::should_implement_trait, reason = "it never ends, and returns no option")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// The bits of an element: ordinary, special or arbitrary.
    pub fn element(&mut self, storage: Storage) -> u64 {
        match storage {
            Storage::Bool => self.pick(&[0, 0, 1, 1, 2, 0x80, 0xff]),
            Storage::F16 => match self.below(2) {
                0 => self.next() & 0xffff,
                _ => f16::from_f64(self.ordinary()).to_bits().into(),
            },
            Storage::BF16 => self.element(Storage::F32) >> 16,
            Storage::F32 => match self.below(4) {
                0 => u64::from((self.pick(&SPECIAL) as f32).to_bits()),
                1 => self.next() & 0xffff_ffff,
                _ => u64::from((self.ordinary() as f32).to_bits()),
            },
            Storage::U8 => self.next() & 0xff,
            Storage::I32 => match self.below(3) {
                0 => self.pick(&[0, 1, -1, i32::MIN, i32::MAX, 255]) as u32 as u64,
                _ => self.next() & 0xffff_ffff,
            },
            Storage::I64 => match self.below(3) {
                0 => self.pick(&[0, 1, -1, i64::MIN, i64::MAX, 1 << 53]) as u64,
                _ => self.next(),
            },
            Storage::F64 => match self.below(4) {
                0 => self.pick(&SPECIAL).to_bits(),
                1 => self.next(),
                _ => self.ordinary().to_bits(),
            },
        }
    }

    /// A number of everyday size.
    pub fn ordinary(&mut self) -> f64 {
        let unit = self.next() as f64 / u64::MAX as f64 * 2.0 - 1.0;
        unit * self.pick(&[1.0, 10.0, 1e-3, 1e3, 1e6])
    }
}

/// Numbers where things go wrong.
pub const SPECIAL: [f64; 22] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -0.5,
    1.5,
    2.5,
    -2.5,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
    f64::MAX,
    f64::MIN,
    f32::MAX as f64,
    f64::MIN_POSITIVE,
    f32::MIN_POSITIVE as f64,
    1e-45,
    4503599627370497.5,
    8388609.0,
    2147483648.0,
    -2147483648.0,
];

/// Where the bits of two results differ, two NaN counting as equal.
pub fn differs(storage: Storage, a: u64, b: u64) -> bool {
    let both_nan = match storage {
        Storage::F16 => f16::from_bits(a as u16).is_nan() && f16::from_bits(b as u16).is_nan(),
        Storage::BF16 => bf16::from_bits(a as u16).is_nan() && bf16::from_bits(b as u16).is_nan(),
        Storage::F32 => f32::from_bits(a as u32).is_nan() && f32::from_bits(b as u32).is_nan(),
        Storage::F64 => f64::from_bits(a).is_nan() && f64::from_bits(b).is_nan(),
        Storage::Bool | Storage::U8 | Storage::I32 | Storage::I64 => false,
    };
    a != b && !both_nan
}

/// Draws programs over every primitive.
pub struct Draw<'a> {
    pub rng: &'a mut Rng,
    pub b: Builder,
    pool: Vec<Value>,
}

const TYPES: [Type; 6] = [Type::F32, Type::F64, Type::I32, Type::I64, Type::M32, Type::M64];

/// A random program of about `size` instructions; of 64-bit lanes only if `wide`.
pub fn random_program(rng: &mut Rng, size: usize, wide: bool) -> Routine {
    let mut draw = Draw { rng, b: Builder::new(), pool: Vec::new() };
    for _ in 0..1 + draw.rng.below(4) {
        let storage = match wide {
            true => draw.rng.pick(&[Storage::F64, Storage::F64, Storage::I64]),
            false => draw.rng.pick(&[
                Storage::F32,
                Storage::F32,
                Storage::F64,
                Storage::Bool,
                Storage::F16,
                Storage::BF16,
                Storage::U8,
                Storage::I32,
                Storage::I64,
            ]),
        };
        let input = draw.b.input(storage);
        draw.pool.push(input);
    }
    for _ in 0..size {
        match draw.rng.below(12) {
            0 => draw.cold(wide),
            _ => {
                draw.step(wide);
            }
        }
    }
    for _ in 0..1 + draw.rng.below(3) {
        let storage = match wide {
            true => Storage::F64,
            false => draw.rng.pick(&[
                Storage::F32,
                Storage::F64,
                Storage::Bool,
                Storage::F16,
                Storage::I32,
                Storage::I64,
                Storage::U8,
            ]),
        };
        let mut value = draw.value(storage.lane());
        if storage == Storage::U8 {
            let byte = draw.b.int(Type::I32, 0xff);
            value = draw.b.and(value, byte);
        }
        draw.b.output(value, storage);
    }
    draw.b.finish()
}

impl Draw<'_> {
    /// A value of type `ty`: one that there is, or a new one.
    fn value(&mut self, ty: Type) -> Value {
        let b = &self.b;
        let fitting: Vec<Value> = self.pool.iter().copied().filter(|&v| b.ty(v) == ty).collect();
        if !fitting.is_empty() && self.rng.below(8) > 0 {
            // Mostly recent ones, so that chains grow deep.
            let back = self.rng.below(fitting.len().min(6));
            return fitting[fitting.len() - 1 - back];
        }
        let made = match ty {
            Type::F32 | Type::F64 => {
                let value = match self.rng.below(2) {
                    0 => self.rng.pick(&SPECIAL),
                    _ => self.rng.ordinary(),
                };
                self.b.float(ty, value)
            }
            Type::I32 | Type::I64 => {
                let value = self.rng.pick(&[0, 1, -1, 127, 23, 1 << 20, i64::MAX, i64::MIN]);
                self.b.int(ty, value)
            }
            Type::M32 | Type::M64 => match self.rng.below(4) {
                0 => {
                    let set = self.rng.below(2) == 0;
                    self.b.mask(ty, set)
                }
                _ => {
                    let number = if self.rng.below(2) == 0 { ty.float() } else { ty.int() };
                    self.compare(number)
                }
            },
        };
        self.pool.push(made);
        made
    }

    /// A float whose NaN, if it is one, has known bits: what comes out of arithmetic has not.
    fn clean(&mut self, ty: Type) -> Value {
        let value = self.value(ty);
        let ordered = self.b.eq(value, value);
        let nan = self.b.float(ty, f64::NAN);
        self.b.select(ordered, value, nan)
    }

    fn compare(&mut self, ty: Type) -> Value {
        let (x, y) = (self.value(ty), self.value(ty));
        match self.rng.below(6) {
            0 => self.b.eq(x, y),
            1 => self.b.ne(x, y),
            2 => self.b.lt(x, y),
            3 => self.b.le(x, y),
            4 => self.b.gt(x, y),
            _ => self.b.ge(x, y),
        }
    }

    /// One more value.
    fn step(&mut self, wide: bool) -> Value {
        let types: Vec<Type> = TYPES.into_iter().filter(|ty| !wide || ty.bits() == 64).collect();
        let ty = self.rng.pick(&types);
        let made = if ty.is_float() {
            self.float_op(ty, wide)
        } else if ty.is_int() {
            self.int_op(ty, wide)
        } else {
            self.mask_op(ty, wide)
        };
        self.pool.push(made);
        made
    }

    fn float_op(&mut self, ty: Type, wide: bool) -> Value {
        let x = self.value(ty);
        match self.rng.below(24) {
            0 => self.b.neg(x),
            1 => self.b.abs(x),
            2 => self.b.sqrt(x),
            3 => self.b.floor(x),
            4 => self.b.ceil(x),
            5 => self.b.trunc(x),
            6 => self.b.nearest(x),
            7 => {
                let sign = self.clean(ty);
                self.b.copysign(x, sign)
            }
            8 | 9 => {
                let int = self.value(ty.int());
                self.b.bitcast(int, ty)
            }
            10 if !wide => match ty {
                Type::F64 => {
                    let narrow = self.value(Type::F32);
                    self.b.promote(narrow)
                }
                _ => {
                    let double = self.value(Type::F64);
                    self.b.demote(double)
                }
            },
            11 => {
                let entries: Vec<u64> = (0..1 + self.rng.below(20))
                    .map(|i| match ty {
                        Type::F32 => u64::from((i as f32 * 1.25).to_bits()),
                        _ => (i as f64 * -1.25).to_bits(),
                    })
                    .collect();
                let index = self.value(ty.int());
                self.b.table(ty, &entries, index)
            }
            op => {
                let y = self.value(ty);
                match op {
                    12 => self.b.min(x, y),
                    13 => self.b.max(x, y),
                    14 | 15 => self.b.add(x, y),
                    16 => self.b.sub(x, y),
                    17 | 18 => self.b.mul(x, y),
                    19 => self.b.div(x, y),
                    20 => {
                        let mask = self.value(ty.mask());
                        self.b.select(mask, x, y)
                    }
                    _ => {
                        let mut operands = [x, y, self.value(ty)];
                        for operand in &mut operands {
                            if self.rng.below(4) == 0 {
                                *operand = self.b.neg(*operand);
                            }
                        }
                        let [x, y, z] = operands;
                        self.b.fma(x, y, z)
                    }
                }
            }
        }
    }

    fn int_op(&mut self, ty: Type, wide: bool) -> Value {
        let (x, y) = (self.value(ty), self.value(ty));
        let by = self.rng.below(ty.bits() as usize) as u8;
        match self.rng.below(15) {
            13 => self.b.mul(x, y),
            14 if !wide => {
                let other = if ty == Type::I32 { Type::I64 } else { Type::I32 };
                let value = self.value(other);
                self.b.resize_int(value, ty)
            }
            0 => self.b.add(x, y),
            1 => self.b.sub(x, y),
            2 => self.b.and(x, y),
            3 => self.b.or(x, y),
            4 => self.b.xor(x, y),
            5 => self.b.not(x),
            6 => self.b.shl(x, by),
            7 => self.b.shr(x, by),
            8 => self.b.sar(x, by),
            9 => {
                let mask = self.value(ty.mask());
                self.b.select(mask, x, y)
            }
            10 => {
                let mask = self.value(ty.mask());
                self.b.bitcast(mask, ty)
            }
            11 => {
                let entries: Vec<u64> = (0..1 + self.rng.below(9) as u64).map(|i| i * 77).collect();
                self.b.table(ty, &entries, x)
            }
            _ => {
                let float = self.clean(ty.float());
                self.b.bitcast(float, ty)
            }
        }
    }

    fn mask_op(&mut self, ty: Type, wide: bool) -> Value {
        let (x, y) = (self.value(ty), self.value(ty));
        match self.rng.below(9) {
            0 => self.b.and(x, y),
            1 => self.b.or(x, y),
            2 => self.b.xor(x, y),
            3 => self.b.not(x),
            4 => {
                let mask = self.value(ty);
                self.b.select(mask, x, y)
            }
            5 if !wide => {
                let other = if ty == Type::M32 { Type::M64 } else { Type::M32 };
                let mask = self.value(other);
                self.b.resize_mask(mask, ty)
            }
            6 | 7 => self.compare(ty.int()),
            _ => self.compare(ty.float()),
        }
    }

    fn cold(&mut self, wide: bool) {
        let ty = match wide {
            true => self.rng.pick(&[Type::F64, Type::I64]),
            false => self.rng.pick(&[Type::F32, Type::F64, Type::I32, Type::I64]),
        };
        let mask = match self.rng.below(3) {
            // Seldom set, as large arguments are.
            0 if ty.is_float() => {
                let x = self.value(ty);
                let (x, bound) = (self.b.abs(x), self.b.float(ty, 1e5));
                self.b.gt(x, bound)
            }
            _ => self.value(ty.mask()),
        };
        let fast = [self.value(ty), self.value(ty)];
        let before = self.pool.clone();
        let size = self.rng.below(12);
        // The builder is lent to the closure, and from there to a drawer of its own.
        let mut b = std::mem::take(&mut self.b);
        // Every call of the closure builds the same.
        let seed = self.rng.next();
        let results = b.cold(mask, fast, |inner| {
            let rng = &mut Rng::new(seed);
            let mut draw = Draw { rng, b: std::mem::take(inner), pool: before.clone() };
            for _ in 0..size {
                draw.step(wide);
            }
            let results = [draw.value(ty), draw.value(ty)];
            *inner = draw.b;
            results
        });
        self.b = b;
        self.pool.extend(results);
    }
}
