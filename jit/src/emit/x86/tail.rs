//! The loop for the remainder: iterations of at most a vector, with masked loads and stores.
//!
//! A masked load or store touches nothing beyond its mask and cannot fault there, so a routine
//! handles any number of elements in place. AVX-512 masks are `k` registers, and every instruction
//! takes one; AVX2 masks are vectors, and `vmaskmovps` takes one, for elements of 32 and 64 bits
//! only: a routine with other elements does without this loop.
//!
//! Lanes beyond the mask compute on zeros. Nothing reads the results, and no cold region runs for them:
//! stripes of a fold keep what they are where there is no element.
//!
//! Measured on a Zen 5, ns for a tail of 1 to 7 `f32` with AVX2: by `vmaskmovps` 1.0, as long as a
//! whole vector; through padded vectors 8. If the vector reaches beyond the array into an unmapped
//! page, 130 (AVX-512: 140).

use super::isa::{Class, Isa};
use super::opcode::Opcode;
use super::program::{Form, Function, Inst, Reg, Source, Stripes};
use super::realign;
use super::select::Constants;
use crate::vir::{Routine, Type, Value};
use iced_x86::Code;

/// Whether every load and store of `routine` can be masked.
pub(super) fn can_mask(routine: &Routine, isa: Isa) -> bool {
    let mut all = routine.inputs.iter().chain(&routine.outputs);
    isa == Isa::Avx512 || all.all(|storage| storage.fills_lane())
}

/// Turns `single`, which handles one vector per iteration, into iterations of as many lanes as
/// [`Source::Left`] says.
pub(super) fn masked(
    routine: &Routine,
    mut single: Function,
    constants: &mut Constants,
) -> Function {
    let isa = single.isa;
    let body = std::mem::take(&mut single.insts);
    let masks = match isa {
        Isa::Avx512 => Masks::bits(&mut single),
        Isa::Avx2 => Masks::vectors(&mut single, constants),
    };
    let made = single.insts.len();
    // Stripes as they were, for each half of the vector.
    let mut stripes: Vec<(Stripes, Reg)> = Vec::new();
    for mut inst in body {
        if let (Source::Stripes(of), Some(def)) = (inst.sources[0], inst.def) {
            stripes.push((of, def));
        }
        if let Form::Keep(of) = inst.form {
            let (_, old) = stripes.iter().find(|(known, _)| *known == of).expect("they are loaded");
            let bytes = routine.fold_type(of.fold).bits() as usize / 8;
            let mask = masks.of(of.at, bytes * single.lanes, isa);
            let [new, ..] = inst.sources;
            let def = single.reg(Class::Vector);
            single.insts.push(blend(isa, bytes, mask, [Source::Reg(*old), new], def, inst.origin));
            inst.sources[0] = Source::Reg(def);
        }
        if let Form::Wait { output } = inst.form {
            realign::wait_after_rest(output, &mut inst, &mut single);
        }
        // The offset in a vector, and the size of an element, in bytes.
        let accessed = match (inst.form, inst.sources[0]) {
            // A row scalar.
            (Form::Splat, _) => None,
            // What is not whole is not stored.
            (Form::Store { output, .. }, _) if routine.realigned.contains(&output) => None,
            (Form::Store { output, at }, _) => Some((at, routine.outputs[output as usize].size())),
            (_, Source::Input { slot, at }) => Some((at, routine.inputs[slot as usize].size())),
            _ => None,
        };
        if let Some((at, size)) = accessed {
            debug_assert!(
                inst.mask.is_none() && [0, size * single.lanes / 2].contains(&(at as usize))
            );
            let mask = masks.of(at, size * single.lanes, isa);
            put_under(mask, &mut inst, isa, 8 * size as u32);
        }
        if inst.form == Form::ColdStart {
            let bits = routine.body().ty(Value(inst.origin)).bits() as usize;
            let halved = bits / 8 * single.lanes > isa.bytes();
            test_under(&masks, halved, &mut inst, &mut single);
        }
        single.insts.push(inst);
    }
    // Drop masks that nothing reads, last first: `halves` is built from `whole`.
    for at in (0..made).rev() {
        let def = single.insts[at].def;
        if !single.insts[at + 1..].iter().any(|inst| inst.reads().any(|reg| Some(reg) == def)) {
            single.insts.remove(at);
        }
    }
    single
}

/// A mask of the lanes that have an element.
struct Masks {
    whole: Reg,
    /// For the two vectors of 64-bit lanes, if `whole` is for 32-bit ones.
    halves: [Reg; 2],
}

impl Masks {
    /// That of the vector at a byte offset among `bytes` of one iteration.
    fn of(&self, at: i32, bytes: usize, isa: Isa) -> Reg {
        let [lower, upper] = self.halves;
        match at {
            0 if bytes <= isa.bytes() => self.whole,
            0 => lower,
            _ => upper,
        }
    }

    /// One bit per lane; a 64-bit value uses the low half of them.
    fn bits(function: &mut Function) -> Masks {
        let half = function.lanes as u8 / 2;
        let left = Inst::new(Code::VEX_Kmovw_kr_r32, None, &[Source::Left]);
        let whole = push(function, Class::Mask, left);
        let shift = Inst::new(Code::VEX_Kshiftrw_kr_kr_imm8, None, &[Source::Reg(whole)]);
        let upper = push(function, Class::Mask, shift.imm(half));
        Masks { whole, halves: [whole, upper] }
    }

    /// Vectors: set where the lane's number is below the number of elements.
    fn vectors(function: &mut Function, constants: &mut Constants) -> Masks {
        let (isa, lanes) = (function.isa, function.lanes);
        let (ty, repeat) = match lanes * 8 > isa.bytes() {
            true => (Type::I32, Code::VEX_Vpbroadcastd_ymm_xmmm32),
            false => (Type::I64, Code::VEX_Vpbroadcastq_ymm_xmmm64),
        };
        let mut push = |inst| push(function, Class::Vector, inst);
        let new = |code, from| Inst::new(code, None, &[from]);
        let left = push(new(Code::VEX_Vmovd_xmm_rm32, Source::Left).halved([1, 0, 0, 0]));
        let left = push(new(repeat, Source::Reg(left)).halved([0, 1, 0, 0]));
        let numbers = Source::Pool { at: constants.lane_numbers(ty, lanes) };
        let greater = Opcode::IntGreater.code(isa, ty.bits());
        let whole = push(Inst::new(greater, None, &[Source::Reg(left), numbers]));
        let cut = new(Opcode::UpperHalf.code(isa, 32), Source::Reg(whole));
        let upper = push(cut.halved([1, 0, 0, 0]).imm(1));
        let halves = [whole, upper].map(|half| {
            let widen = new(Code::VEX_Vpmovsxdq_ymm_xmmm128, Source::Reg(half));
            push(widen.halved([0, 1, 0, 0]))
        });
        Masks { whole, halves }
    }
}

/// `new` where there are elements, and what is `old` elsewhere.
fn blend(
    isa: Isa,
    bytes: usize,
    mask: Reg,
    [old, new]: [Source; 2],
    def: Reg,
    origin: u32,
) -> Inst {
    let code = Opcode::Blend.code(isa, 8 * bytes as u32);
    let made = match isa {
        Isa::Avx512 => Inst::new(code, def, &[old, new]).mask(mask),
        Isa::Avx2 => Inst::new(code, def, &[old, new, Source::Reg(mask)]),
    };
    Inst { origin, ..made }
}

/// Appends `inst` with a new register for its result.
fn push(function: &mut Function, class: Class, inst: Inst) -> Reg {
    let def = function.reg(class);
    function.insts.push(Inst { def: Some(def), ..inst });
    def
}

/// Puts a load or store of elements of this many bits under a mask.
fn put_under(mask: Reg, access: &mut Inst, isa: Isa, bits: u32) {
    if isa == Isa::Avx512 {
        access.mask = Some(mask);
        access.zeroing = access.def.is_some();
        return;
    }
    let op = if access.def.is_some() { Opcode::MaskedLoad } else { Opcode::MaskedStore };
    access.code = op.code(isa, bits);
    access.sources = [Source::Reg(mask), access.sources[0], Source::None];
}

/// At the start of a cold region, tests only lanes that have an element. The tested mask may be one
/// of two halves.
fn test_under(masks: &Masks, halved: bool, test: &mut Inst, function: &mut Function) {
    let [mut tested, upper, _] = test.sources;
    if function.isa == Isa::Avx2 {
        // Two halves were joined into one. The lower half's mask covers every lane of the upper's,
        // so no lane that needs the region is missed.
        let mask = if halved { masks.halves[0] } else { masks.whole };
        test.sources = [tested, Source::Reg(mask), Source::None];
        return;
    }
    if tested != upper {
        let both = function.reg(Class::Mask);
        let join = Inst::new(Code::VEX_Kunpckbw_kr_kr_kr, both, &[upper, tested]);
        function.insts.push(Inst { origin: test.origin, ..join });
        tested = Source::Reg(both);
    }
    test.code = if function.lanes == 8 { Code::VEX_Ktestb_kr_kr } else { Code::VEX_Ktestw_kr_kr };
    test.sources = [tested, Source::Reg(masks.whole), Source::None];
}

#[cfg(test)]
mod tests {
    use super::super::isa::Isa;
    use super::super::listing::listing;
    use crate::vir::{Builder, Routine, Storage};

    fn assembly(routine: &Routine) -> String {
        listing(routine, Isa::Avx2).unwrap()
    }

    /// 64-bit lanes, which take two registers, among 32-bit ones.
    #[test]
    fn avx2_masks_every_access_of_the_last_loop() {
        let mut b = Builder::new();
        let (x, wide) = (b.input(Storage::F32), b.input(Storage::F64));
        let (promoted, bound) = (b.promote(x), b.f64(10.0));
        let large = b.gt(wide, bound);
        let [root] = b.cold(large, [wide], |b| [b.sqrt(wide)]);
        let sum = b.add(promoted, root);
        b.output(sum, Storage::F64);
        b.output(x, Storage::F32);
        let text = assembly(&b.finish());
        // The number of elements that are left.
        let (_, tail) = text.split_once("vmovd ").unwrap();
        let (tail, _) = tail.split_once("ret").unwrap();
        // Neither from the stack nor from the pool.
        let is_access = |line: &str| !["[rsp", "[r8"].iter().any(|own| line.contains(own));
        let (pd, ps) = (tail.matches("vmaskmovpd").count(), tail.matches("vmaskmovps").count());
        assert_eq!((pd, ps), (4, 2), "{text}");
        let whole = tail.lines().filter(|line| line.contains("vmovup") && is_access(line));
        assert_eq!(whole.count(), 0, "{text}");
        let test = tail.lines().find_map(|line| line.split_once("vptest ")).unwrap().1;
        let (tested, under) = test.split_whitespace().next().unwrap().split_once(',').unwrap();
        assert_ne!(tested, under, "{text}");
    }

    #[test]
    fn avx2_masks_no_bytes() {
        let mut b = Builder::new();
        let x = b.input(Storage::F32);
        let zero = b.f32(0.0);
        let negative = b.lt(x, zero);
        b.output(negative, Storage::Bool);
        let text = assembly(&b.finish());
        assert!(!text.contains("vmaskmov"), "{text}");
    }
}
