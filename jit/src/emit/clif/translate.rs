//! From a vector routine to a loop in Cranelift's IR.
//!
//! ```text
//! entry(launch):          steps into registers
//! row(rows):              pointers into registers; stripes of folds; brif n -> loop, end
//! loop(input.., i):       one vector: loads, body, stores
//!   (a cold region: brif any(mask) -> cold, join; the rest of the body goes on in join)
//!   (stripes merged)
//!   input += step ..; i += lanes; brif i < n -> loop, end
//! end:                    what folds leave; rows -= 1; brif rows -> next, exit
//! next:                   pointers += a row, in memory; jump row
//! ```
//!
//! A value is a number of 128-bit vectors, twice as many for 64-bit lanes as for 32-bit ones; see
//! [`lanes`]. An unrolled loop alternates between the copies of its body, a few instructions of
//! each at a time.

use super::super::native::launch::offsets;
use super::super::native::live::{Scales, live};
use super::super::native::pool::{Line, Pool};
use crate::vir::{Body, Cold, Inst, Routine, Storage, Type, Value};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    self, AbiParam, BlockArg, ConstantData, Endianness, InstBuilder, MemFlagsData, types,
};
use cranelift_codegen::isa::{CallConv, TargetIsa};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use smallvec::{SmallVec, smallvec};
use std::ops::Range;

/// Bodies of up to this many instructions are not unrolled,
const SHORT: usize = 24;
/// those of up to this many by two, and longer ones by six.
const LONG: usize = 48;
/// Instructions of one copy of an unrolled body before those of the next.
const STRIP: usize = 16;

/// Elements that one iteration of the loop handles.
///
/// A body is one long chain of dependent instructions. A short one lets the processor work on
/// several iterations at once; of a long one not even two fit into its window, so the loop is
/// unrolled, with a few instructions of each copy at a time: interleaved one by one, every copy
/// would hold the registers of its widest point at the same time, and sixteen are too few. Measured
/// on a Zen 5 core in L1, ns per element unrolled by 1, 2, 4 and 6, and by 4 one instruction at a
/// time:
///
/// | | instructions | 1 | 2 | 4 | 6 | 4 by instruction |
/// |---|---|---|---|---|---|---|
/// | f32 exp | 21 | .57 | .55 | .56 | | |
/// | f32 tanh | 34 | | .95 | .96 | | |
/// | f32 mish | 76 | 4.5 | 4.2 | 2.6 | 2.3 | 2.9 |
/// | f64 log1p | 37 | | 5.1 | 5.2 | | |
/// | f64 softplus | 53 | 6.0 | 5.3 | 4.0 | 3.5 | 4.7 |
/// | f64 erf | 60 | 5.7 | 5.5 | 4.6 | 4.1 | 4.6 |
/// | f64 mish | 99 | 13 | 11 | 7.9 | 6.2 | 8.4 |
pub(super) fn lanes(routine: &Routine) -> usize {
    let narrow = routine.body().types.iter().any(|ty| ty.bits() == 32);
    (if narrow { 4 } else { 2 }) * unroll(routine)
}

/// How many copies of the body there are, each of a vector of the narrowest type; half vectors are
/// never handled alone.
fn unroll(routine: &Routine) -> usize {
    let body = routine.body();
    let cold = |at: u32| body.cold.iter().any(|cold| (cold.start..cold.end).contains(&at));
    let chain = |(at, inst): &(usize, &Inst)| {
        let free = matches!(inst, Inst::Const { .. } | Inst::Load { .. } | Inst::Scalar { .. });
        !cold(*at as u32) && !free
    };
    let has = |bits| body.types.iter().any(|ty| ty.bits() == bits);
    let length = body.insts.iter().enumerate().filter(chain).count();
    if length <= SHORT || (has(32) && has(64)) {
        1
    } else if length <= LONG {
        2
    } else if routine.stage.folds.is_empty() {
        6
    } else {
        // So that an iteration's stripes are one after the other.
        4
    }
}

/// The kernel function of `routine`, and its constants.
pub(super) fn translate(routine: &Routine, isa: &dyn TargetIsa) -> (ir::Function, Box<[Line]>) {
    let config = isa.frontend_config();
    let mut function = ir::Function::new();
    function.signature.call_conv = CallConv::SystemV;
    let pointer = AbiParam::new(config.pointer_type());
    function.signature.params.push(pointer);

    let mut context = FunctionBuilderContext::new();
    let builder = FunctionBuilder::new(&mut function, &mut context);
    let translator = Translator {
        routine,
        body: routine.body(),
        builder,
        pointer: config.pointer_type(),
        lanes: lanes(routine),
        unroll: unroll(routine),
        copy: None,
        live: live(&routine.stage, Scales::Never),
        values: vec![None; routine.body().insts.len()],
        cursors: Vec::new(),
        pool: Pool::of_vectors(16),
        pool_base: None,
        table_at: Vec::new(),
        // x86 takes constants straight from memory; other machines load them once, before the loop.
        hoist: !matches!(isa.triple().architecture.to_string().as_str(), "x86_64"),
    };
    let pool = translator.kernel(config);
    (function, pool)
}

/// The vectors of a value.
pub(super) type Parts = SmallVec<[ir::Value; 4]>;

pub(super) struct Translator<'a> {
    pub(super) routine: &'a Routine,
    pub(super) body: &'a Body,
    pub(super) builder: FunctionBuilder<'a>,
    pub(super) pointer: ir::Type,
    lanes: usize,
    unroll: usize,
    /// The copy of the body whose instructions are being written; none while writing all copies.
    copy: Option<usize>,
    /// Which values an output depends on.
    live: Vec<bool>,
    values: Vec<Option<Parts>>,
    /// The current address of each input.
    pub(super) cursors: Vec<ir::Value>,
    pool: Pool,
    pub(super) pool_base: Option<ir::Value>,
    /// Where each table begins in the pool.
    pub(super) table_at: Vec<i32>,
    hoist: bool,
}

/// Any address, no trap.
pub(super) fn unaligned() -> MemFlagsData {
    MemFlagsData::new().with_notrap()
}

/// The pool: aligned, and never written.
pub(super) fn constant() -> MemFlagsData {
    MemFlagsData::trusted().with_readonly()
}

/// Lane order of bitcasts between vectors of different lanes.
pub(super) fn little() -> MemFlagsData {
    MemFlagsData::new().with_endianness(Endianness::Little)
}

/// The vector of a lane type.
pub(super) fn vector(ty: Type) -> ir::Type {
    match ty {
        Type::F32 => types::F32X4,
        Type::F64 => types::F64X2,
        Type::I32 | Type::M32 => types::I32X4,
        Type::I64 | Type::M64 => types::I64X2,
    }
}

impl Translator<'_> {
    fn kernel(mut self, config: cranelift_codegen::isa::TargetFrontendConfig) -> Box<[Line]> {
        let [entry, row, body, end, next, exit] = [(); 6].map(|()| self.builder.create_block());
        self.builder.append_block_params_for_function_params(entry);
        self.builder.switch_to_block(entry);
        let launch = self.builder.block_params(entry)[0];
        self.pool_base = Some(self.load_word(launch, offsets::POOL));
        self.table_at = self.routine.tables.iter().map(|table| self.pool.table(table)).collect();
        let n = self.load_word(launch, offsets::N);
        let rows = self.load_word(launch, offsets::ROWS);
        let cursors = self.load_word(launch, offsets::CURSORS);
        let inputs = 0..self.routine.inputs.len();
        let outputs = inputs.end..inputs.end + self.routine.outputs.len();
        let folds = outputs.end..outputs.end + self.routine.stage.folds.len();
        let steps = self.load_fields(cursors, inputs.clone(), offsets::STEP);
        let stripes = self.frame_of_stripes();
        if self.hoist {
            self.hoist_constants();
        }
        self.builder.ins().jump(row, &[rows.into()]);

        let rows = self.builder.append_block_param(row, self.pointer);
        self.builder.switch_to_block(row);
        let bases = self.load_fields(cursors, inputs.clone(), offsets::BASE);
        let targets = self.load_fields(cursors, outputs.clone(), offsets::BASE);
        let results = self.load_fields(cursors, folds.clone(), offsets::BASE);
        self.load_scalars(&bases);
        self.start_folds(&stripes);
        let zero = self.builder.ins().iconst(self.pointer, 0);
        let start: Vec<BlockArg> = bases.into_iter().chain([zero]).map(BlockArg::from).collect();
        self.builder.ins().brif(n, body, &start, end, &[]);

        self.cursors =
            steps.iter().map(|_| self.builder.append_block_param(body, self.pointer)).collect();
        let index = self.builder.append_block_param(body, self.pointer);
        self.builder.switch_to_block(body);
        self.body();
        self.store_outputs(&targets, index);
        self.fold(&stripes, index);

        let mut onward: Vec<BlockArg> = Vec::with_capacity(steps.len() + 1);
        for (&cursor, &step) in self.cursors.clone().iter().zip(&steps) {
            onward.push(self.builder.ins().iadd(cursor, step).into());
        }
        let index = self.builder.ins().iadd_imm_s(index, self.lanes as i64);
        onward.push(index.into());
        let more = self.builder.ins().icmp(IntCC::UnsignedLessThan, index, n);
        self.builder.ins().brif(more, body, &onward, end, &[]);

        self.builder.switch_to_block(end);
        self.finish_folds(&stripes, &results);
        let rows = self.builder.ins().iadd_imm_s(rows, -1);
        self.builder.ins().brif(rows, next, &[], exit, &[]);

        self.builder.switch_to_block(next);
        self.builder.set_cold_block(next);
        self.next_row(cursors, inputs.start..folds.end);
        self.builder.ins().jump(row, &[rows.into()]);

        self.builder.switch_to_block(exit);
        self.builder.ins().return_(&[]);
        self.builder.seal_all_blocks();
        self.builder.finalize(config);
        self.pool.finish()
    }

    /// A word of the launch or of a cursor.
    fn load_word(&mut self, base: ir::Value, at: i32) -> ir::Value {
        self.builder.ins().load(self.pointer, MemFlagsData::trusted(), base, at)
    }

    /// A field of each of these cursors.
    fn load_fields(
        &mut self,
        cursors: ir::Value,
        operands: Range<usize>,
        field: i32,
    ) -> Vec<ir::Value> {
        operands.map(|at| self.load_word(cursors, at as i32 * offsets::CURSOR + field)).collect()
    }

    /// Moves every cursor to the next row.
    fn next_row(&mut self, cursors: ir::Value, operands: Range<usize>) {
        for at in operands.map(|operand| operand as i32 * offsets::CURSOR) {
            let base = self.load_word(cursors, at + offsets::BASE);
            let row = self.load_word(cursors, at + offsets::ROW);
            let base = self.builder.ins().iadd(base, row);
            let flags = MemFlagsData::trusted();
            self.builder.ins().store(flags, base, cursors, at + offsets::BASE);
        }
    }

    fn hoist_constants(&mut self) {
        for index in 0..self.body.insts.len() {
            if let (true, Inst::Const { ty, bits }) = (self.live[index], self.body.insts[index]) {
                let value = self.constant(ty, bits);
                self.values[index] = Some(smallvec![value; self.count(ty)]);
            }
        }
    }

    /// Row scalars, in every lane.
    fn load_scalars(&mut self, bases: &[ir::Value]) {
        for index in 0..self.body.insts.len() {
            if let (true, Inst::Scalar { slot }) = (self.live[index], self.body.insts[index]) {
                let ty = vector(self.body.types[index]);
                let (flags, base) = (unaligned(), bases[slot as usize]);
                let lane = self.builder.ins().load(ty.lane_type(), flags, base, 0);
                let value = self.builder.ins().splat(ty, lane);
                self.values[index] = Some(smallvec![value; self.count(self.body.types[index])]);
            }
        }
    }

    /// Every live instruction, with branches around cold regions.
    fn body(&mut self) {
        let body = self.body;
        let mut at = 0;
        for cold in &body.cold {
            self.straight(at, cold.start as usize);
            self.cold(cold);
            at = cold.end as usize;
        }
        self.straight(at, body.insts.len());
    }

    /// Instructions `start..end`, a few of each copy at a time.
    fn straight(&mut self, start: usize, end: usize) {
        let chosen = (start..end).filter(|&index| {
            // A constant is made where it is used: see the pool.
            let made = matches!(self.body.insts[index], Inst::Const { .. } | Inst::Scalar { .. });
            self.live[index] && !made
        });
        for strip in chosen.collect::<Vec<usize>>().chunks(STRIP) {
            for copy in 0..self.unroll {
                self.copy = Some(copy);
                for &index in strip {
                    let made = self.inst(&self.body.insts[index], self.body.types[index]);
                    self.values[index].get_or_insert_default().extend(made);
                }
            }
        }
        self.copy = None;
    }

    /// A region that is skipped if no lane needs it. Values that escape from it become parameters
    /// of the block after it; a skip passes the mask instead, as any value will do.
    fn cold(&mut self, cold: &Cold) {
        let body = self.body;
        let inside = cold.start as usize..cold.end as usize;
        let after = body.insts.iter().enumerate().skip(inside.end);
        let mut escapes: Vec<Value> = after
            .filter(|&(index, _)| self.live[index])
            .flat_map(|(_, inst)| inst.operands())
            .filter(|value| inside.contains(&value.index()))
            .filter(|&value| !matches!(body.inst(value), Inst::Const { .. }))
            .collect();
        escapes.sort_unstable();
        escapes.dedup();

        let slow = self.builder.create_block();
        let join = self.builder.create_block();
        self.builder.set_cold_block(slow);
        let mask_type = body.ty(cold.mask);
        let masks = self.parts(cold.mask);
        let count = self.count(mask_type);
        let mut any = masks[0];
        for &mask in &masks[1..] {
            any = self.builder.ins().bor(any, mask);
        }
        let any = self.builder.ins().vany_true(any);
        let mut skipped: Vec<BlockArg> = Vec::new();
        let mut params = Vec::new();
        for &value in &escapes {
            let ty = vector(body.ty(value));
            for &mask in &masks {
                skipped.push(self.cast(ty, mask).into());
                params.push(self.builder.append_block_param(join, ty));
            }
        }
        self.builder.ins().brif(any, slow, &[], join, &skipped);

        self.builder.switch_to_block(slow);
        self.straight(inside.start, inside.end);
        let mut results: Vec<BlockArg> = Vec::new();
        for &value in &escapes {
            results.extend(self.parts(value).into_iter().map(BlockArg::from));
        }
        self.builder.ins().jump(join, &results);

        self.builder.switch_to_block(join);
        for (&value, params) in escapes.iter().zip(params.chunks(count)) {
            self.values[value.index()] = Some(SmallVec::from_slice(params));
        }
    }

    fn store_outputs(&mut self, outputs: &[ir::Value], index: ir::Value) {
        let routine = self.routine;
        for store in &routine.stage.stores {
            let (storage, base) =
                (routine.outputs[store.output as usize], outputs[store.output as usize]);
            let parts = self.parts(store.value);
            let shift = storage.size().ilog2();
            let at = match shift {
                0 => index,
                _ => self.builder.ins().ishl_imm_u(index, i64::from(shift)),
            };
            let at = self.builder.ins().iadd(base, at);
            for (part, &value) in parts.iter().enumerate() {
                match storage {
                    Storage::Bool => self.store_bools(value, at, part as i32 * 4),
                    Storage::U8 => self.store_bytes(value, at, part as i32 * 4),
                    Storage::F16 | Storage::BF16 => {
                        self.store_halves(storage, value, at, part as i32 * 8);
                    }
                    Storage::F32 | Storage::F64 | Storage::I32 | Storage::I64 => {
                        self.builder.ins().store(unaligned(), value, at, part as i32 * 16);
                    }
                }
            }
        }
    }

    /// How many vectors a value of this type is.
    fn count(&self, ty: Type) -> usize {
        self.lanes * ty.bits() as usize / 128
    }

    /// Which of them are being written.
    pub(super) fn range(&self, ty: Type) -> Range<usize> {
        let each = self.count(ty) / self.unroll;
        match self.copy {
            Some(copy) => copy * each..(copy + 1) * each,
            None => 0..self.count(ty),
        }
    }

    /// The vectors of a value that are being written; a constant is made again each time.
    pub(super) fn parts(&mut self, value: Value) -> Parts {
        let range = self.range(self.body.ty(value));
        match (&self.values[value.index()], *self.body.inst(value)) {
            (Some(parts), _) => SmallVec::from_slice(&parts[range]),
            // One load per use, so that it can become that use's memory operand.
            (None, Inst::Const { ty, bits }) => self.each(ty, |t, _| t.constant(ty, bits)),
            (None, inst) => unreachable!("{value} = {inst:?} is used, so it is live and defined"),
        }
    }

    /// Makes the vectors of a value of type `ty` that are being written, numbered from 0.
    pub(super) fn each(
        &mut self,
        ty: Type,
        mut make: impl FnMut(&mut Self, usize) -> ir::Value,
    ) -> Parts {
        (0..self.range(ty).len()).map(|part| make(self, part)).collect()
    }

    /// A vector of a constant: from the pool, or built where that takes one instruction.
    pub(super) fn constant(&mut self, ty: Type, bits: u64) -> ir::Value {
        let word = repeat(ty, bits);
        if word == 0 || word == u128::MAX {
            return self.vconst(vector(ty), word);
        }
        self.pooled(vector(ty), ty, bits)
    }

    pub(super) fn pooled(&mut self, vector: ir::Type, ty: Type, bits: u64) -> ir::Value {
        let at = self.pool.splat(ty, bits);
        let base = self.pool_base.expect("set in the entry block");
        self.builder.ins().load(vector, constant(), base, at)
    }

    pub(super) fn vconst(&mut self, ty: ir::Type, word: u128) -> ir::Value {
        let data = ConstantData::from(word.to_le_bytes().as_slice());
        let handle = self.builder.func.dfg.constants.insert(data);
        self.builder.ins().vconst(ty, handle)
    }

    pub(super) fn cast(&mut self, ty: ir::Type, value: ir::Value) -> ir::Value {
        match self.builder.func.dfg.value_type(value) == ty {
            true => value,
            false => self.builder.ins().bitcast(ty, little(), value),
        }
    }
}

/// `bits` in every lane of a vector.
fn repeat(ty: Type, bits: u64) -> u128 {
    let lane = u128::from(bits);
    let pair = if ty.bits() == 32 { lane | lane << 32 } else { lane };
    pair | pair << 64
}
