//! Entries of constant tables, gathered.

use super::isa::Isa;
use super::opcode::Opcode;
use super::program::{Form, Inst, Reg, Source};
use super::select::{Parts, Selector};
use crate::vir::{Type, Value};

impl Selector<'_> {
    /// The entries of a table, the index clamped to it.
    pub(super) fn table(&mut self, table: usize, index: Value) -> Parts {
        let entries = &self.routine.tables[table];
        let (ty, last) = (entries.ty.int(), entries.entries.len() as u64 - 1);
        let at = self.tables[table];
        self.each(ty, |s, part| {
            let index = s.reg(index, part);
            let index = s.clamp(ty, index, last);
            let from = Source::Gather { index, at, scale: (ty.bits() / 8) as u8 };
            s.gather(ty, from)
        })
    }

    fn clamp(&mut self, ty: Type, index: Reg, last: u64) -> Reg {
        if self.isa == Isa::Avx2 && ty == Type::I64 {
            return self.wide_clamp(index, last);
        }
        let (zero, last) = (self.pooled(ty, 0), self.pooled(ty, last));
        let index = self.two(Opcode::IntMax, ty, index, zero);
        self.two(Opcode::IntMin, ty, index, last)
    }

    /// Loads from a table: for every lane, so the predicate is all ones.
    fn gather(&mut self, ty: Type, from: Source) -> Reg {
        let all = self.constant_mask(true);
        let code = Opcode::Gather.code(self.isa, ty.bits());
        if self.wide() {
            return self.vector(|def| Inst::new(code, def, &[from]).form(Form::Apart).mask(all));
        }
        self.vector(|def| Inst::new(code, def, &[from, Source::Reg(all)]).form(Form::Apart))
    }

    /// `index` clamped to `0..=last` where the machine has no minimum of 64-bit integers.
    fn wide_clamp(&mut self, index: Reg, last: u64) -> Reg {
        let ty = Type::I64;
        let (zero, last) = (self.pooled(ty, 0), self.splat(ty, last));
        let above = self.two(Opcode::IntGreater, ty, index, Source::Reg(last));
        let blend = Opcode::Blend.code(self.isa, 64);
        let sources = [index, last, above].map(Source::Reg);
        let index = self.vector(|def| Inst::new(blend, def, &sources));
        // A negative lane is its own mask: `vblendvpd` looks at the sign.
        let sources = [Source::Reg(index), zero, Source::Reg(index)];
        self.vector(|def| Inst::new(blend, def, &sources))
    }
}
