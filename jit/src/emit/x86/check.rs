//! Checks an allocation symbolically: wherever an instruction reads a register of the machine
//! program, its assigned place holds that register's value on every path.
//!
//! The idea is that of regalloc2's checker: walk over the placed instructions and keep, for every
//! place, the set of registers whose value it holds. A definition leaves its place holding one; a
//! move, a spill or a reload copies the set. Nothing is executed, so code for any machine can be
//! checked on any other.
//!
//! A cold region is a diamond. After it a place holds what it holds on both paths and, from the
//! path through the region, what was defined inside: readers of that know by a mask whether the
//! region ran. At the top of the loop, places hold what both the prologue and the last iteration
//! left there, so a constant kept in a register must survive the body.

use super::allocate::{Address, Allocation, Item, Place, Placed};
use super::isa::{Class, Isa};
use super::opcode::Opcode;
use super::program::{Carry, Form, Function, Inst, Reg, Source, move_code, spill_code};
use smallvec::SmallVec;
use std::collections::HashMap;

/// What a place may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Fact {
    /// The value of a register of the machine program.
    Reg(Reg),
    /// A vector of an input.
    Input { slot: u32, at: i32 },
}

/// All that a place holds: several facts where the program copies in a cold region.
type Facts = SmallVec<[Fact; 2]>;

/// Checks the allocation of `function`.
pub(super) fn check(function: &Function, allocation: &Allocation) -> Result<(), String> {
    let mut checker = Checker::new(function, allocation);
    checker.walk(&function.prologue, &allocation.prologue)?;
    let entry = checker.held.clone();
    checker.iteration(&allocation.items)?;
    let survives = |(before, after): (&Facts, &Facts)| -> Facts {
        before.iter().copied().filter(|fact| after.contains(fact)).collect()
    };
    let next: Vec<Facts> = entry.iter().zip(&checker.held).map(survives).collect();
    if next != entry {
        checker.held = next;
        checker.iteration(&allocation.items)?;
    }
    let after = checker.held.clone();
    checker.walk(&function.epilogue, &allocation.epilogue)?;
    checker.held = after;
    checker.walk(&function.whole, &allocation.whole)
}

struct Checker<'a> {
    function: &'a Function,
    /// For each vector register, each mask register and each slot, what it holds.
    held: Vec<Facts>,
    slots: u32,
    /// What a register is by definition: a copy of another, or of an input.
    copies: HashMap<Reg, Fact>,
    /// For each cold region and each fact, the registers defined inside that have this value.
    inside: HashMap<(usize, Fact), SmallVec<[Reg; 1]>>,
    /// Whether an output was written, so that inputs may be overwritten.
    stored: bool,
    /// The index of the current region, and what was held at its start.
    cold: Option<(usize, Vec<Facts>)>,
    /// Regions so far in this iteration.
    count: usize,
}

/// Masks come after all vector registers, and slots after all masks.
const MASKS: usize = 32;
const SLOTS: usize = MASKS + 8;

impl<'a> Checker<'a> {
    fn new(function: &'a Function, allocation: &Allocation) -> Checker<'a> {
        let copy = |inst: &Inst| Some((inst.def?, copied(function, inst)?));
        let copies: HashMap<Reg, Fact> = function.insts.iter().filter_map(copy).collect();
        let mut inside: HashMap<_, SmallVec<[Reg; 1]>> = HashMap::new();
        let (mut cold, mut count) = (None, 0);
        for inst in &function.insts {
            match inst.form {
                Form::ColdStart => {
                    cold = Some(count);
                    count += 1;
                }
                Form::ColdEnd => cold = None,
                _ => {}
            }
            if let (Some(region), Some(def)) = (cold, inst.def) {
                for fact in values(&copies, def) {
                    inside.entry((region, fact)).or_default().push(def);
                }
            }
        }
        Checker {
            function,
            held: vec![Facts::new(); SLOTS + allocation.slots as usize],
            slots: allocation.slots,
            copies,
            inside,
            stored: false,
            cold: None,
            count: 0,
        }
    }

    /// One iteration of the loop.
    fn iteration(&mut self, items: &[Item]) -> Result<(), String> {
        (self.stored, self.count) = (false, 0);
        self.walk(&self.function.insts, items)
    }

    /// Matches items with their instructions, in order. Copies are skipped: those of the program
    /// and those of the allocation differ.
    fn walk(&mut self, insts: &[Inst], items: &[Item]) -> Result<(), String> {
        let function = self.function;
        let mut due = insts.iter().filter(|inst| copied(function, inst).is_none());
        let mut tested = false;
        for (at, item) in items.iter().enumerate() {
            let was_tested = std::mem::take(&mut tested);
            let done = match item {
                Item::Inst(placed) => match self.copy(placed) {
                    Some((to, from)) => self.copied(to, from),
                    None => match due.next() {
                        None => Err("is of no instruction".to_string()),
                        Some(inst) => {
                            tested = inst.form == Form::ColdStart;
                            self.inst(inst, placed, at == 0)
                                .map_err(|fault| format!("{inst:?}: {fault}"))
                        }
                    },
                },
                Item::ColdStart if was_tested => {
                    self.cold = Some((self.count, self.held.clone()));
                    self.count += 1;
                    Ok(())
                }
                Item::ColdStart => Err("a region begins without a test".to_string()),
                Item::ColdEnd => match due.next() {
                    Some(Inst { form: Form::ColdEnd, .. }) => self.join(),
                    _ => Err("a region ends elsewhere".to_string()),
                },
            };
            done.map_err(|fault| format!("item {at}, {item:?}: {fault}"))?;
        }
        due.next().map_or(Ok(()), |inst| Err(format!("{inst:?} is missing")))
    }

    /// The index of a register or slot, if it exists.
    fn index(&self, place: Place) -> Option<usize> {
        let (vectors, _) = self.function.isa.registers(Class::Vector);
        match place {
            Place::Vector(number) if number < vectors => Some(usize::from(number)),
            Place::Mask(number) if (1..8).contains(&number) => Some(MASKS + usize::from(number)),
            Place::Memory(Address::Stack(slot)) if slot < self.slots => Some(SLOTS + slot as usize),
            _ => None,
        }
    }

    /// What a place holds.
    fn facts(&self, place: Place) -> Result<Facts, String> {
        match place {
            Place::Memory(Address::Input { .. }) if self.stored => {
                Err("an input is read after an output was written".to_string())
            }
            Place::Memory(Address::Input { slot, at }) => {
                Ok(SmallVec::from_slice(&[Fact::Input { slot, at }]))
            }
            _ => match self.index(place) {
                Some(index) => Ok(self.held[index].clone()),
                None => Err(format!("{place:?} holds no value")),
            },
        }
    }

    /// Whether one of `facts` is the value of `reg`.
    fn is_value(&self, facts: &Facts, reg: Reg) -> bool {
        values(&self.copies, reg).any(|fact| facts.contains(&fact))
    }

    /// For an instruction that only moves a whole register: its destination and its source.
    fn copy(&self, placed: &Placed) -> Option<(Place, Place)> {
        let isa = self.function.isa;
        let [to, from, Place::None, Place::None] = placed.operands else { return None };
        if placed.mask != 0 || placed.imm.is_some() || placed.halved != [0; 4] {
            return None;
        }
        let is = |op: Opcode| [32, 64].iter().any(|&bits| op.code(isa, bits) == placed.code);
        let moves = match (to, from) {
            (Place::Vector(_), Place::Vector(_)) => is(Opcode::Move),
            (Place::Vector(_), Place::Memory(Address::Stack(_) | Address::Input { .. })) => {
                is(Opcode::Load)
            }
            (Place::Memory(Address::Stack(_)), Place::Vector(_)) => {
                placed.code == spill_code(isa, Class::Vector)
            }
            (Place::Mask(_), Place::Mask(_) | Place::Memory(Address::Stack(_))) => {
                placed.code == move_code(isa, Class::Mask)
            }
            (Place::Memory(Address::Stack(_)), Place::Mask(_)) => {
                placed.code == spill_code(isa, Class::Mask)
            }
            _ => false,
        };
        moves.then_some((to, from))
    }

    fn copied(&mut self, to: Place, from: Place) -> Result<(), String> {
        let facts = self.facts(from)?;
        let index = self.index(to).ok_or_else(|| format!("{to:?} can hold nothing"))?;
        self.held[index] = facts;
        Ok(())
    }

    /// An instruction of the program, as placed.
    fn inst(&mut self, inst: &Inst, placed: &Placed, first: bool) -> Result<(), String> {
        let agrees = placed.imm == inst.imm
            && placed.zeroing == inst.zeroing
            && placed.halved == inst.halved;
        if !agrees || (placed.code != inst.code && !matches!(inst.form, Form::MultiplyAdd(_))) {
            return Err("is another instruction".to_string());
        }
        match inst.mask {
            None if placed.mask != 0 => return Err("has a predicate".to_string()),
            None => {}
            Some(mask) => self.register(Place::Mask(placed.mask), mask)?,
        }
        let [result, a, b, c] = placed.operands;
        let [x, y, z] = inst.sources;
        let sources: [(Place, Source); 3] = match inst.form {
            Form::Plain
            | Form::Splat
            | Form::Apart
            | Form::Store { .. }
            | Form::Keep(_)
            | Form::Wait { .. }
            | Form::Result { .. } => [(a, x), (b, y), (c, z)],
            // No result, or one that takes the place of the first source.
            Form::ColdStart | Form::Tied => [(result, x), (a, y), (b, z)],
            Form::Idiom => {
                if [a, b, c] != [result, result, Place::None] {
                    return Err("is no idiom".to_string());
                }
                [(Place::None, x), (Place::None, y), (Place::None, z)]
            }
            Form::MultiplyAdd(forms) => {
                let form = forms.iter().position(|&code| code == placed.code);
                let (factors, addend) = match form {
                    Some(0) => ([result, b], a),
                    Some(1) => ([a, result], b),
                    Some(2) => ([a, b], result),
                    _ => return Err("is another instruction".to_string()),
                };
                let [p, q] = factors;
                // The factors may be in either order.
                let are = |p, q| {
                    self.source(p, x, inst, false).and_then(|()| self.source(q, y, inst, false))
                };
                are(p, q).or_else(|_| are(q, p))?;
                [(addend, z), (c, Source::None), (Place::None, Source::None)]
            }
            Form::ColdEnd => return Err("is no instruction".to_string()),
        };
        for (place, source) in sources {
            self.source(place, source, inst, first)?;
        }
        self.effect(inst, placed)
    }

    /// `place` must be what `source` says.
    fn source(&self, place: Place, source: Source, inst: &Inst, first: bool) -> Result<(), String> {
        let expected = match source {
            Source::None => Place::None,
            Source::Reg(reg) => return self.register(place, reg),
            Source::Gather { index, at, scale } => match place {
                Place::Memory(Address::Gather { index: number, at: a, scale: s })
                    if (a, s) == (at, scale) =>
                {
                    return self.register(Place::Vector(number), index);
                }
                _ => return Err(format!("{place:?} is no {source:?}")),
            },
            Source::Left if !first => return Err("what is left is known at first only".to_string()),
            Source::Left => Place::Left,
            Source::Input { .. } if self.stored => {
                return Err("an input is read after an output was written".to_string());
            }
            Source::Input { slot, at } => Place::Memory(Address::Input { slot, at }),
            Source::Stripes(stripes) => Place::Memory(Address::Stripes(stripes)),
            Source::Carry(carry) => Place::Memory(Address::Carry(carry)),
            Source::Pool { at } => Place::Memory(Address::Pool { at, repeated: false }),
            Source::Constant { at, .. } => {
                let isa = self.function.isa;
                let repeated = isa == Isa::Avx512 && inst.form != Form::Splat;
                Place::Memory(Address::Pool { at, repeated })
            }
        };
        match place == expected {
            true => Ok(()),
            false => Err(format!("{place:?} is no {source:?}")),
        }
    }

    /// `place` must hold the value of `reg`.
    fn register(&self, place: Place, reg: Reg) -> Result<(), String> {
        let facts = self.facts(place)?;
        match self.is_value(&facts, reg) {
            true => Ok(()),
            false => Err(format!("{place:?} should hold {reg:?} and holds {facts:?}")),
        }
    }

    /// What an instruction writes.
    fn effect(&mut self, inst: &Inst, placed: &Placed) -> Result<(), String> {
        let isa = self.function.isa;
        let result = placed.operands[0];
        if let Form::Store { output, at } = inst.form {
            self.stored = true;
            return match result {
                Place::Memory(Address::Output { output: o, at: a }) if (o, a) == (output, at) => {
                    Ok(())
                }
                _ => Err(format!("{result:?} is the wrong place")),
            };
        }
        let kept = match inst.form {
            Form::Keep(stripes) => Some(Address::Stripes(stripes)),
            Form::Wait { output } => Some(Address::Carry(Carry::Waiting { output })),
            Form::Result { fold } => Some(Address::Result { fold }),
            _ => None,
        };
        if let Some(address) = kept {
            return match result == Place::Memory(address) {
                true => Ok(()),
                false => Err(format!("{result:?} is the wrong place")),
            };
        }
        let Some(def) = inst.def else { return Ok(()) };
        let is = |op: Opcode| [32, 64].iter().any(|&bits| op.code(isa, bits) == inst.code);
        if inst.mask.is_some() && !inst.zeroing && !is(Opcode::Blend) && !is(Opcode::Gather) {
            return Err("keeps lanes of what its result replaces".to_string());
        }
        if inst.form == Form::Apart {
            let number = |place: &Place| match *place {
                Place::Vector(number) | Place::Memory(Address::Gather { index: number, .. }) => {
                    Some(number)
                }
                _ => None,
            };
            let [result, sources @ ..] = placed.operands.each_ref().map(number);
            if sources.iter().any(|source| source.is_some() && *source == result) {
                return Err("the result shares a register".to_string());
            }
        }
        if is(Opcode::Gather) {
            // A gather clears its mask.
            let mask = if placed.mask != 0 { Place::Mask(placed.mask) } else { placed.operands[2] };
            if let Some(index) = self.index(mask) {
                self.held[index].clear();
            }
        }
        let fits = match self.function.classes[def.0 as usize] {
            Class::Vector => matches!(result, Place::Vector(_)),
            Class::Mask => matches!(result, Place::Mask(_)),
        };
        // Copies of stripes are out of date once they are defined again.
        for held in &mut self.held {
            held.retain(|fact| *fact != Fact::Reg(def));
        }
        match self.index(result) {
            Some(index) if fits => self.held[index] = SmallVec::from_slice(&[Fact::Reg(def)]),
            _ => return Err(format!("{result:?} cannot hold {def:?}")),
        }
        Ok(())
    }

    /// After a cold region: what holds on both paths, and what was defined inside.
    fn join(&mut self) -> Result<(), String> {
        let Some((region, before)) = self.cold.take() else {
            return Err("a region ends that did not begin".to_string());
        };
        for (held, before) in self.held.iter_mut().zip(&before) {
            let after = std::mem::take(held);
            held.extend(after.iter().copied().filter(|fact| before.contains(fact)));
            let inside = after.iter().filter_map(|&fact| self.inside.get(&(region, fact)));
            for &reg in inside.flatten() {
                if !held.contains(&Fact::Reg(reg)) {
                    held.push(Fact::Reg(reg));
                }
            }
        }
        Ok(())
    }
}

/// All facts that are the value of `reg`: the register itself, and what it is a copy of.
fn values(copies: &HashMap<Reg, Fact>, reg: Reg) -> impl Iterator<Item = Fact> {
    std::iter::successors(Some(Fact::Reg(reg)), |fact| match fact {
        Fact::Reg(reg) => copies.get(reg).copied(),
        Fact::Input { .. } => None,
    })
}

/// What an instruction of the program copies, if it does nothing else.
fn copied(function: &Function, inst: &Inst) -> Option<Fact> {
    let plain = inst.form == Form::Plain && inst.mask.is_none() && inst.imm.is_none();
    let is = |op: Opcode| [32, 64].iter().any(|&bits| op.code(function.isa, bits) == inst.code);
    match inst.sources {
        [Source::Reg(reg), Source::None, Source::None] if plain && is(Opcode::Move) => {
            Some(Fact::Reg(reg))
        }
        [Source::Input { slot, at }, Source::None, Source::None] if plain && is(Opcode::Load) => {
            Some(Fact::Input { slot, at })
        }
        _ => None,
    }
}
