//! What an instruction requires of its operands: a result that replaces a source, or shares a
//! register with none, and sources that are read directly from memory.

use super::super::program::{Carry, Form, Inst, Reg, Source, move_code};
use super::placed::{Address, Place, Placed};
use super::{Allocator, Regs};
use iced_x86::Code;

impl Allocator<'_> {
    /// Places the result of an instruction whose sources are `pinned` to their places, one of them
    /// possibly `in_memory`; frees the registers of values read for the last time.
    pub(super) fn constrain(
        &mut self,
        inst: &Inst,
        pinned: &[Reg],
        in_memory: Option<Reg>,
        placed: &mut Placed,
    ) {
        match inst.form {
            Form::Plain | Form::Splat => {
                // The result may take over a source's register, but not that of a source that is
                // read from memory, which is released afterwards.
                let (kept, read): (Regs, Regs) =
                    pinned.iter().copied().partition(|&reg| Some(reg) == in_memory);
                self.release_dead(&read);
                placed.operands[0] = self.define(inst, pinned);
                self.release_dead(&kept);
            }
            Form::Apart => {
                placed.operands[0] = self.define(inst, pinned);
                self.release_dead(pinned);
            }
            Form::Idiom => {
                let def = self.define(inst, pinned);
                placed.operands[..3].fill(def);
            }
            Form::Tied => {
                let [.., second, third] = placed.operands;
                let def = self.define_tied(inst, 0, pinned);
                placed.operands = [def, second, third, Place::None];
                self.release_dead(pinned);
            }
            Form::MultiplyAdd(forms) => {
                let tied = self.tied_operand(inst, &placed.operands[1..]);
                let def = self.define_tied(inst, tied, pinned);
                (placed.code, placed.operands) = multiply_add(forms, tied, def, placed.operands);
                self.release_dead(pinned);
            }
            Form::Store { output, at } => {
                placed.operands[0] = Place::Memory(Address::Output { output, at });
                self.release_dead(pinned);
            }
            Form::Keep(stripes) => {
                placed.operands[0] = Place::Memory(Address::Stripes(stripes));
                self.release_dead(pinned);
            }
            Form::Wait { output } => {
                placed.operands[0] = Place::Memory(Address::Carry(Carry::Waiting { output }));
                self.release_dead(pinned);
            }
            Form::Result { fold } => {
                placed.operands[0] = Place::Memory(Address::Result { fold });
                self.release_dead(pinned);
            }
            Form::ColdStart => {
                placed.operands.rotate_left(1);
                self.release_dead(pinned);
            }
            Form::ColdEnd => unreachable!("it is no instruction"),
        }
    }

    /// A source to be read directly from memory: at its last use, where memory is allowed.
    pub(super) fn read_in_place(&self, inst: &Inst) -> Option<Reg> {
        let in_place = |source: &Source| match *source {
            Source::Reg(reg) => {
                let (start, end) = self.pending[reg.0 as usize];
                (self.homes[reg.0 as usize].register.is_none() && end - start == 1).then_some(reg)
            }
            _ => None,
        };
        match inst.form {
            // Any one of the three, if none is memory yet.
            Form::MultiplyAdd(_) => {
                let registers = inst.sources.iter().all(|s| matches!(s, Source::Reg(_)));
                inst.sources.iter().find_map(in_place).filter(|_| registers)
            }
            _ => in_place(&inst.sources[usize::from(inst.memory?)]),
        }
    }

    /// Gives the result a register.
    fn define(&mut self, inst: &Inst, pinned: &[Reg]) -> Place {
        let Some(def) = inst.def else { return Place::None };
        if self.home(def).register.is_some() {
            // Stripes, which have a register of their own.
            return self.place(def);
        }
        self.cold.iter_mut().for_each(|cold| cold.inside.push(def));
        self.settle(def, pinned);
        self.place(def)
    }

    /// Gives the result the register of source `tied`, or a copy of it.
    fn define_tied(&mut self, inst: &Inst, tied: usize, pinned: &[Reg]) -> Place {
        let def = inst.def.expect("a tied instruction has a result");
        let Source::Reg(source) = inst.sources[tied] else { unreachable!("a tied register") };
        if !self.is_dead(source) {
            let result = self.define(inst, pinned);
            let from = self.place(source);
            self.emit(move_code(self.isa, self.class(def)), [result, from]);
            return result;
        }
        self.cold.iter_mut().for_each(|cold| cold.inside.push(def));
        let register = self.home(source).register.take().expect("a source is in a register");
        let class = self.class(def);
        self.files[class as usize][usize::from(register)] = Some(def);
        self.home(def).register = Some(register);
        self.place(def)
    }

    /// Which operand of a multiply-add its result replaces: a dead one, if any.
    fn tied_operand(&self, inst: &Inst, places: &[Place]) -> usize {
        let is_register = |&i: &usize| matches!(places[i], Place::Vector(_));
        let dies = |&i: &usize| match inst.sources[i] {
            Source::Reg(reg) => is_register(&i) && self.is_dead(reg),
            _ => false,
        };
        let order = [2, 0, 1];
        let tied = order.into_iter().find(dies).or_else(|| order.into_iter().find(is_register));
        tied.expect("at most one operand is memory")
    }
}

/// The form of a multiply-add whose result replaces operand `tied`, and its operands in order.
///
/// `x1, x2, x3` become `x1*x3 + x2` (132), `x2*x1 + x3` (213) or `x2*x3 + x1` (231); only the
/// third may be memory.
fn multiply_add(
    [f132, f213, f231]: [Code; 3],
    tied: usize,
    result: Place,
    operands: [Place; 4],
) -> (Code, [Place; 4]) {
    let [_, a, b, c] = operands;
    let is_memory = |place: Place| matches!(place, Place::Memory(_));
    let (code, second, third) = match tied {
        2 if is_memory(a) => (f231, b, a),
        2 => (f231, a, b),
        tied => {
            let factor = if tied == 0 { b } else { a };
            if is_memory(factor) { (f132, c, factor) } else { (f213, factor, c) }
        }
    };
    (code, [result, second, third, Place::None])
}
