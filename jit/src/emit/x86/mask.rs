//! Masks. With AVX-512 they live in `k` registers, one bit per lane; bits beyond a value's lanes
//! mean nothing. With AVX2 they are vectors, with every bit of a lane set or clear.

use super::isa::{Class, Isa};
use super::opcode::Opcode;
use super::program::{Form, Inst, Reg, Source};
use super::select::{Parts, Selector};
use crate::vir::{BinaryOp, Predicate, Type, Value};
use iced_x86::Code;

impl Selector<'_> {
    /// Appends what `make` builds around a new mask register.
    pub(super) fn mask(&mut self, make: impl FnOnce(Reg) -> Inst) -> Reg {
        let class = match self.isa {
            Isa::Avx512 => Class::Mask,
            Isa::Avx2 => Class::Vector,
        };
        let def = self.function.reg(class);
        self.push(make(def));
        def
    }

    pub(super) fn wide(&self) -> bool {
        self.isa == Isa::Avx512
    }

    /// All lanes set, or none.
    pub(super) fn constant_mask(&mut self, set: bool) -> Reg {
        let code = match (self.wide(), set) {
            (true, true) => Code::VEX_Kxnorw_kr_kr_kr,
            (true, false) => Code::VEX_Kxorw_kr_kr_kr,
            (false, true) => Opcode::IntEqual.code(self.isa, 32),
            (false, false) => Opcode::Xor.code(self.isa, 32),
        };
        self.mask(|def| Inst::new(code, def, &[]).form(Form::Idiom))
    }

    /// The start of a region that is skipped if `mask` is clear in all lanes.
    pub(super) fn cold_start(&mut self, mask: Value) {
        let ty = self.body.ty(mask);
        let mut any = self.reg(mask, 0);
        let mut last = any;
        for part in 1..self.count(ty) {
            // The test itself combines two `k` registers.
            any = if part == 1 { any } else { self.either(ty, any, last) };
            last = self.reg(mask, part);
        }
        let (code, tested) = match (self.isa, ty) {
            (Isa::Avx512, Type::M32) => (Code::VEX_Kortestw_kr_kr, [any, last]),
            (Isa::Avx512, _) => (Code::VEX_Kortestb_kr_kr, [any, last]),
            (Isa::Avx2, _) => {
                any = if any == last { any } else { self.either(ty, any, last) };
                (Code::VEX_Vptest_ymm_ymmm256, [any; 2])
            }
        };
        self.push(Inst::new(code, None, &tested.map(Source::Reg)).form(Form::ColdStart));
    }

    /// Set where `a` or `b` is set.
    fn either(&mut self, ty: Type, a: Reg, b: Reg) -> Reg {
        if !self.wide() {
            return self.two(Opcode::Or, ty, a, Source::Reg(b));
        }
        let both = [a, b].map(Source::Reg);
        self.mask(|def| Inst::new(Code::VEX_Korw_kr_kr_kr, def, &both))
    }

    /// The bits of a mask as integers.
    pub(super) fn mask_bits(&mut self, ty: Type, mask: Value) -> Parts {
        self.each(ty, |s, part| {
            let mask = s.reg(mask, part);
            if !s.wide() {
                return mask;
            }
            let code = Opcode::MaskBits.code(s.isa, ty.bits());
            s.vector(|def| Inst::new(code, def, &[Source::Reg(mask)]))
        })
    }

    pub(super) fn mask_not(&mut self, ty: Type, mask: Value) -> Parts {
        self.each(ty, |s, part| {
            let mask = s.reg(mask, part);
            if s.wide() {
                return s.mask(|def| Inst::new(Code::VEX_Knotw_kr_kr, def, &[Source::Reg(mask)]));
            }
            let ones = s.pooled(ty, u64::MAX >> (64 - ty.bits()));
            s.two(Opcode::Xor, ty, mask, ones)
        })
    }

    pub(super) fn mask_binary(&mut self, op: BinaryOp, ty: Type, a: Value, b: Value) -> Parts {
        let (k, vector) = match op {
            BinaryOp::And => (Code::VEX_Kandw_kr_kr_kr, Opcode::And),
            BinaryOp::Or => (Code::VEX_Korw_kr_kr_kr, Opcode::Or),
            BinaryOp::Xor => (Code::VEX_Kxorw_kr_kr_kr, Opcode::Xor),
            _ => unreachable!("the verifier allows no other primitive on masks"),
        };
        self.each(ty, |s, part| {
            let (a, b) = (s.reg(a, part), Source::Reg(s.reg(b, part)));
            if s.wide() {
                return s.mask(|def| Inst::new(k, def, &[Source::Reg(a), b]));
            }
            s.two(vector, ty, a, b)
        })
    }

    /// A compare. A constant on the left is swapped to the right, since only the right may be
    /// memory.
    pub(super) fn compare(&mut self, pred: Predicate, a: Value, b: Value) -> Parts {
        let ty = self.body.ty(a);
        let swapped = self.constant(a).is_some() && self.constant(b).is_none();
        let (left, right) = if swapped { (b, a) } else { (a, b) };
        if !self.wide() && ty.is_int() {
            return self.int_compare(pred, swapped, left, right);
        }
        let float = ty.is_float();
        // Immediates of `vcmpps` (quiet) and of `vpcmpd`.
        let imm = match (pred, swapped) {
            (Predicate::Eq, _) => 0,
            (Predicate::Ne, _) => 4,
            (Predicate::Lt, false) => {
                if float {
                    0x11
                } else {
                    1
                }
            }
            (Predicate::Le, false) => {
                if float {
                    0x12
                } else {
                    2
                }
            }
            (Predicate::Lt, true) => {
                if float {
                    0x1e
                } else {
                    6
                }
            }
            (Predicate::Le, true) => {
                if float {
                    0x1d
                } else {
                    5
                }
            }
        };
        let op = if float { Opcode::FloatCompare } else { Opcode::IntCompare };
        let code = op.code(self.isa, ty.bits());
        self.each(ty, |s, part| {
            let (left, right) = (s.reg(left, part), s.source(right, part));
            s.mask(|def| Inst::new(code, def, &[Source::Reg(left), right]).memory(1).imm(imm))
        })
    }

    /// AVX2 has only "equal" and "greater": `left` and `right` have been swapped if `swapped`.
    fn int_compare(&mut self, pred: Predicate, swapped: bool, left: Value, right: Value) -> Parts {
        let ty = self.body.ty(left);
        self.each(ty, |s, part| {
            let negated = matches!(pred, Predicate::Ne | Predicate::Le);
            let made = match (pred, swapped) {
                (Predicate::Eq | Predicate::Ne, _) => {
                    let (left, right) = (s.reg(left, part), s.source(right, part));
                    s.two(Opcode::IntEqual, ty, left, right)
                }
                // `a < b` is `b > a`, and `a <= b` is not `a > b`.
                (Predicate::Lt, true) | (Predicate::Le, false) => {
                    let (left, right) = (s.reg(left, part), s.source(right, part));
                    s.two(Opcode::IntGreater, ty, left, right)
                }
                (Predicate::Lt, false) | (Predicate::Le, true) => {
                    let (left, right) = (s.source(left, part), s.reg(right, part));
                    s.two(Opcode::IntGreater, ty, right, left)
                }
            };
            if !negated {
                return made;
            }
            let ones = s.pooled(ty, u64::MAX >> (64 - ty.bits()));
            s.two(Opcode::Xor, ty, made, ones)
        })
    }

    pub(super) fn select(&mut self, ty: Type, mask: Value, a: Value, b: Value) -> Parts {
        if ty.is_mask() && self.wide() {
            return self.each(ty, |s, part| {
                let [mask, a, b] = [mask, a, b].map(|value| Source::Reg(s.reg(value, part)));
                let set = s.mask(|def| Inst::new(Code::VEX_Kandw_kr_kr_kr, def, &[mask, a]));
                let clear = s.mask(|def| Inst::new(Code::VEX_Kandnw_kr_kr_kr, def, &[mask, b]));
                let both = [Source::Reg(set), Source::Reg(clear)];
                s.mask(|def| Inst::new(Code::VEX_Korw_kr_kr_kr, def, &both))
            });
        }
        let or_zero = self.constant(b) == Some(0);
        let blend = Opcode::Blend.code(self.isa, ty.bits());
        self.each(ty, |s, part| {
            let mask = s.reg(mask, part);
            let a = match ty.is_mask() {
                true => Source::Reg(s.reg(a, part)),
                false => s.source(a, part),
            };
            match (s.wide(), or_zero) {
                (true, true) => {
                    let (op, form) = match a {
                        Source::Constant { .. } => (Opcode::Constant, Form::Splat),
                        _ => (Opcode::Move, Form::Plain),
                    };
                    let code = op.code(s.isa, ty.bits());
                    s.vector(|def| Inst::new(code, def, &[a]).form(form).zeroing(mask))
                }
                (true, false) => {
                    let b = Source::Reg(s.reg(b, part));
                    s.vector(|def| Inst::new(blend, def, &[b, a]).memory(1).mask(mask))
                }
                (false, true) => s.two(Opcode::FloatAnd, ty, mask, a),
                (false, false) => {
                    let sources = [Source::Reg(s.reg(b, part)), a, Source::Reg(mask)];
                    s.vector(|def| Inst::new(blend, def, &sources).memory(1))
                }
            }
        })
    }

    /// Two 64-bit masks from each 32-bit one.
    pub(super) fn widen(&mut self, mask: Value) -> Parts {
        if !self.wide() {
            let code = Code::VEX_Vpmovsxdq_ymm_xmmm128;
            return self.halves(mask, |s, half| {
                s.vector(|def| Inst::new(code, def, &[Source::Reg(half)]).halved([0, 1, 0, 0]))
            });
        }
        let mut parts = Parts::new();
        for part in 0..self.count(Type::M32) {
            // The first is the lower eight bits: the register as it is.
            let lower = self.reg(mask, part);
            let code = Code::VEX_Kshiftrw_kr_kr_imm8;
            let upper = self.mask(|def| Inst::new(code, def, &[Source::Reg(lower)]).imm(8));
            parts.extend([lower, upper]);
        }
        parts
    }

    /// One 32-bit mask from every two 64-bit ones.
    pub(super) fn narrow(&mut self, mask: Value) -> Parts {
        self.each(Type::M32, |s, part| {
            let [lower, upper] =
                [2 * part, 2 * part + 1].map(|part| Source::Reg(s.reg(mask, part)));
            if s.wide() {
                let code = Code::VEX_Kunpckbw_kr_kr_kr;
                return s.mask(|def| Inst::new(code, def, &[upper, lower]));
            }
            // Even 32-bit lanes of both, in each 128-bit half; then the halves in order.
            let code = Code::VEX_Vshufps_ymm_ymm_ymmm256_imm8;
            let mixed = s.vector(|def| Inst::new(code, def, &[lower, upper]).imm(0x88));
            let code = Code::VEX_Vpermq_ymm_ymmm256_imm8;
            s.vector(|def| Inst::new(code, def, &[Source::Reg(mixed)]).imm(0xd8))
        })
    }

    /// Bytes that the bools of one register take in memory.
    fn bool_bytes(&self) -> i32 {
        self.isa.bytes() as i32 / 4
    }

    /// A mask from one byte per lane.
    pub(super) fn load_bools(&mut self, slot: u32) -> Parts {
        self.each(Type::M32, |s, part| {
            let from = Source::Input { slot, at: part as i32 * s.bool_bytes() };
            let code = Opcode::LoadBytes.code(s.isa, 32);
            let bytes = s.vector(|def| Inst::new(code, def, &[from]));
            if s.wide() {
                let code = Code::EVEX_Vptestmd_kr_k1_zmm_zmmm512b32;
                return s.mask(|def| Inst::new(code, def, &[Source::Reg(bytes); 2]));
            }
            let zero = s.pooled(Type::I32, 0);
            s.two(Opcode::IntGreater, Type::I32, bytes, zero)
        })
    }

    /// One byte per lane, 0 or 1, from a mask.
    pub(super) fn store_bools(&mut self, output: u32, mask: Value) {
        for part in 0..self.count(Type::M32) {
            let bytes = self.bytes(mask, part);
            let halved = if self.wide() { [2, 2, 0, 0] } else { [1, 1, 0, 0] };
            let code = Opcode::StoreBytes.code(self.isa, 32);
            let form = Form::Store { output, at: part as i32 * self.bool_bytes() };
            self.push(Inst::new(code, None, &[Source::Reg(bytes)]).form(form).halved(halved));
        }
    }

    /// One part of a mask as bytes, at the low end of a vector.
    fn bytes(&mut self, mask: Value, part: usize) -> Reg {
        let mask = self.reg(mask, part);
        let ones = self.byte_ones();
        if self.wide() {
            let code = Code::EVEX_Vmovdqu8_xmm_k1z_xmmm128;
            return self
                .vector(|def| Inst::new(code, def, &[ones]).zeroing(mask).halved([2, 0, 0, 0]));
        }
        let upper = self.upper_half(mask);
        let both = [mask, upper].map(Source::Reg);
        let code = Code::VEX_Vpackssdw_xmm_xmm_xmmm128;
        let words = self.vector(|def| Inst::new(code, def, &both).halved([1, 1, 1, 0]));
        let both = [Source::Reg(words); 2];
        let code = Code::VEX_Vpacksswb_xmm_xmm_xmmm128;
        let bytes = self.vector(|def| Inst::new(code, def, &both).halved([1, 1, 1, 0]));
        self.two(Opcode::And, Type::I32, bytes, ones)
    }

    /// Sixteen bytes of 1, or more.
    fn byte_ones(&mut self) -> Source {
        Source::Pool { at: self.pool.bytes_of_one() }
    }
}
