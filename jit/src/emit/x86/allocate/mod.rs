//! Register allocation, in one pass over the straight line.
//!
//! If a register is needed and none is free, the value whose next use is furthest away gives up its
//! own (Belady's rule, which is optimal without branches). A value never changes, so it is written
//! to the stack at most once; an input's value is in memory already.
//!
//! A cold region starts with the registers as they are and must end with them the same: what it
//! evicted is loaded again at its end. Its results leave through the stack; if the region is
//! skipped, they are whatever the stack holds, which a `select` then ignores. So the hot path pays
//! for neither.

mod cold;
mod constraints;
mod placed;

pub(super) use placed::{Address, Allocation, Item, Place, Placed};

use super::check;
use super::isa::{Class, Isa};
use super::opcode::Opcode;
use super::program::{Form, Function, Inst, Reg, Source, move_code, spill_code};
use cold::Snapshot;
use iced_x86::Code;
use smallvec::SmallVec;

/// Gives every register of `function` a place.
pub(super) fn allocate(function: &Function) -> Allocation {
    let mut allocator = Allocator::new(function);
    allocator.prologue(&function.prologue);
    let prologue = std::mem::take(&mut allocator.items);
    for (at, inst) in function.insts.iter().enumerate() {
        allocator.origin = inst.origin;
        match inst.form {
            Form::ColdEnd => allocator.cold_end(),
            _ => allocator.inst(at as u32, inst),
        }
    }
    let items = std::mem::take(&mut allocator.items);
    for (at, inst) in (function.insts.len()..).zip(&function.epilogue) {
        allocator.inst(at as u32, inst);
    }
    let epilogue = std::mem::take(&mut allocator.items);
    for (at, inst) in (function.whole_from()..).zip(&function.whole) {
        allocator.origin = inst.origin;
        allocator.inst(at as u32, inst);
    }
    let Allocator { items: whole, slots, .. } = allocator;
    let allocation = Allocation { lanes: function.lanes, prologue, items, epilogue, whole, slots };
    debug_assert_eq!(check::check(function, &allocation), Ok(()));
    allocation
}

/// Where a value currently is.
#[derive(Clone, Copy, Debug, Default)]
struct Home {
    register: Option<u8>,
    /// Its place in memory: a slot of the stack frame, or where it was loaded from.
    memory: Option<Address>,
    /// Whether it has been written there.
    stored: bool,
}

/// The registers that an instruction reads.
type Regs = SmallVec<[Reg; 6]>;

/// A position after all others.
const NEVER: u32 = u32::MAX - 1;

/// The value in each register of a class.
type File = Vec<Option<Reg>>;

struct Allocator<'a> {
    isa: Isa,
    classes: &'a [Class],
    /// Positions of uses, ascending, of all values one after the other.
    uses: Vec<u32>,
    /// Per value, its remaining uses, as a range of `uses`.
    pending: Vec<(u32, u32)>,
    homes: Vec<Home>,
    files: [File; 2],
    /// Where the first output is written.
    first_store: u32,
    free_slots: Vec<u32>,
    slots: u32,
    cold: Option<Snapshot>,
    items: Vec<Item>,
    origin: u32,
}

impl<'a> Allocator<'a> {
    fn new(function: &'a Function) -> Allocator<'a> {
        let count = function.classes.len();
        let mut pending = vec![(0, 0); count];
        let whole = (function.whole_from()..).zip(&function.whole);
        let insts = || function.insts.iter().enumerate().chain(whole.clone());
        for reg in insts().flat_map(|(_, inst)| inst.reads()) {
            pending[reg.0 as usize].1 += 1;
        }
        let mut total = 0;
        for range in &mut pending {
            let uses = range.1;
            *range = (total, total);
            total += uses;
        }
        let mut uses = vec![0; total as usize];
        for (at, inst) in insts() {
            for reg in inst.reads() {
                let end = &mut pending[reg.0 as usize].1;
                uses[*end as usize] = at as u32;
                *end += 1;
            }
        }
        let isa = function.isa;
        Allocator {
            isa,
            classes: &function.classes,
            uses,
            pending,
            homes: vec![Home::default(); count],
            files: [(Class::Vector, function.prologue.len()), (Class::Mask, 0)]
                .map(|(class, taken)| vec![None; isa.registers(class).0 as usize - taken]),
            first_store: function.first_store(),
            free_slots: Vec::new(),
            slots: 0,
            cold: None,
            items: Vec::with_capacity(function.insts.len() * 2),
            origin: 0,
        }
    }

    /// Gives values defined before the loop the registers beyond the files, where nothing in the
    /// loop can move them.
    fn prologue(&mut self, insts: &[Inst]) {
        let first = self.files[Class::Vector as usize].len() as u8;
        for (index, inst) in (first..).zip(insts) {
            let def = inst.def.expect("a prologue defines registers");
            // A sentinel use past the end keeps it live for the whole loop.
            self.pending[def.0 as usize] = (self.uses.len() as u32, self.uses.len() as u32 + 1);
            self.home(def).register = Some(index);
            self.origin = inst.origin;
            let from = match inst.sources[0] {
                Source::Constant { at, .. } => Address::Pool { at, repeated: false },
                Source::Stripes(stripes) => Address::Stripes(stripes),
                Source::Carry(carry) => Address::Carry(carry),
                Source::Input { slot, at } => Address::Input { slot, at },
                _ => unreachable!("a prologue loads constants, row scalars and stripes"),
            };
            self.emit(inst.code, [self.place(def), Place::Memory(from)]);
        }
        self.uses.push(NEVER);
    }

    fn class(&self, reg: Reg) -> Class {
        self.classes[reg.0 as usize]
    }

    fn home(&mut self, reg: Reg) -> &mut Home {
        &mut self.homes[reg.0 as usize]
    }

    /// Where a value is used next; `u32::MAX` if nowhere.
    fn next_use(&self, reg: Reg) -> u32 {
        let (start, end) = self.pending[reg.0 as usize];
        if start < end { self.uses[start as usize] } else { u32::MAX }
    }

    /// Where a value is used last; 0 if nowhere.
    fn last_use(&self, reg: Reg) -> u32 {
        let (start, end) = self.pending[reg.0 as usize];
        self.uses[start as usize..end as usize].last().copied().unwrap_or(0)
    }

    fn is_dead(&self, reg: Reg) -> bool {
        self.next_use(reg) == u32::MAX
    }

    fn place(&self, reg: Reg) -> Place {
        let register = self.homes[reg.0 as usize].register.expect("a pinned value has a register");
        self.register(self.class(reg), register)
    }

    fn register(&self, class: Class, index: u8) -> Place {
        let number = self.isa.registers(class).1 + index;
        match class {
            Class::Vector => Place::Vector(number),
            Class::Mask => Place::Mask(number),
        }
    }

    fn number(&self, reg: Reg) -> u8 {
        match self.place(reg) {
            Place::Vector(number) | Place::Mask(number) => number,
            Place::None | Place::Left | Place::Memory(_) => {
                unreachable!("a value is in a register")
            }
        }
    }

    fn emit(&mut self, code: Code, operands: [Place; 2]) {
        let [a, b] = operands;
        self.items.push(Item::Inst(Placed {
            code,
            operands: [a, b, Place::None, Place::None],
            halved: [0; 4],
            mask: 0,
            zeroing: false,
            imm: None,
            origin: self.origin,
        }));
    }

    /// Moves a value into a register of its own.
    fn settle(&mut self, reg: Reg, pinned: &[Reg]) {
        let class = self.class(reg);
        let file = &self.files[class as usize];
        let index = match file.iter().position(Option::is_none) {
            Some(free) => free as u8,
            None => self.evict(class, pinned),
        };
        self.files[class as usize][usize::from(index)] = Some(reg);
        self.home(reg).register = Some(index);
    }

    /// Frees the register of the value whose next use is furthest away.
    fn evict(&mut self, class: Class, pinned: &[Reg]) -> u8 {
        let file = &self.files[class as usize];
        let candidates = file.iter().enumerate().filter_map(|(i, reg)| Some((i, (*reg)?)));
        let (index, victim) = candidates
            .filter(|(_, reg)| !pinned.contains(reg))
            .max_by_key(|&(_, reg)| self.next_use(reg))
            .expect("an instruction has fewer operands than there are registers");
        self.spill(victim);
        self.home(victim).register = None;
        self.files[class as usize][index] = None;
        index as u8
    }

    /// Makes sure that a value is on the stack.
    fn spill(&mut self, reg: Reg) {
        if self.home(reg).stored {
            return;
        }
        let memory = self.home(reg).memory.unwrap_or_else(|| {
            let slot = self.free_slots.pop().unwrap_or_else(|| {
                self.slots += 1;
                self.slots - 1
            });
            Address::Stack(slot)
        });
        let code = spill_code(self.isa, self.class(reg));
        self.emit(code, [Place::Memory(memory), self.place(reg)]);
        let home = self.home(reg);
        home.memory = Some(memory);
        home.stored = true;
    }

    /// Loads a value from memory into its register.
    fn reload(&mut self, reg: Reg) {
        let memory = self.home(reg).memory.expect("a value is in a register or in memory");
        let code = match self.class(reg) {
            Class::Vector => Opcode::Load.code(self.isa, 32),
            Class::Mask => move_code(self.isa, Class::Mask),
        };
        self.emit(code, [self.place(reg), Place::Memory(memory)]);
    }

    /// Forgets a dead value.
    fn release(&mut self, reg: Reg) {
        let home = std::mem::take(self.home(reg));
        if let Some(register) = home.register {
            let class = self.class(reg);
            self.files[class as usize][usize::from(register)] = None;
        }
        if let Some(Address::Stack(slot)) = home.memory {
            self.free_slots.push(slot);
        }
    }

    fn inst(&mut self, at: u32, inst: &Inst) {
        let pinned: Regs = inst.reads().collect();
        let in_memory = self.read_in_place(inst);
        for &reg in &pinned {
            if self.home(reg).register.is_none() && Some(reg) != in_memory {
                self.settle(reg, &pinned);
                self.reload(reg);
            }
            while self.next_use(reg) <= at {
                self.pending[reg.0 as usize].0 += 1;
            }
        }
        let mut operands = [Place::None; 4];
        for (place, source) in operands[1..].iter_mut().zip(inst.sources) {
            *place = match source {
                Source::None => Place::None,
                Source::Reg(reg) if Some(reg) == in_memory => {
                    Place::Memory(self.home(reg).memory.expect("it was chosen for being there"))
                }
                Source::Reg(reg) => self.place(reg),
                Source::Left => Place::Left,
                Source::Pool { at } => Place::Memory(Address::Pool { at, repeated: false }),
                Source::Constant { at, .. } => {
                    // A splat instruction broadcasts a scalar by itself.
                    let repeated = inst.form != Form::Splat && self.isa == Isa::Avx512;
                    Place::Memory(Address::Pool { at, repeated })
                }
                Source::Input { slot, at } => Place::Memory(Address::Input { slot, at }),
                Source::Stripes(stripes) => Place::Memory(Address::Stripes(stripes)),
                Source::Carry(carry) => Place::Memory(Address::Carry(carry)),
                Source::Gather { index, at, scale } => {
                    Place::Memory(Address::Gather { index: self.number(index), at, scale })
                }
            };
        }
        let mut placed = Placed {
            code: inst.code,
            operands,
            halved: inst.halved,
            mask: inst.mask.map_or(0, |mask| self.number(mask)),
            zeroing: inst.zeroing,
            imm: inst.imm,
            origin: inst.origin,
        };
        self.constrain(inst, &pinned, in_memory, &mut placed);
        self.items.push(Item::Inst(placed));
        self.remember_load(inst);
        if inst.form == Form::ColdStart {
            self.cold_start();
        }
        if let Some(def) = inst.def.filter(|&def| self.is_dead(def)) {
            self.release(def);
        }
    }

    /// A value loaded from an input can be loaded again until outputs are written, which may be the
    /// same memory. Masked loads are not remembered: the mask may have been evicted.
    fn remember_load(&mut self, inst: &Inst) {
        if let (Some(def), Source::Input { slot, at }, None) =
            (inst.def, inst.sources[0], inst.mask)
            && [32, 64].map(|bits| Opcode::Load.code(self.isa, bits)).contains(&inst.code)
            && self.last_use(def) < self.first_store
        {
            let home = self.home(def);
            (home.memory, home.stored) = (Some(Address::Input { slot, at }), true);
        }
    }

    fn release_dead(&mut self, regs: &[Reg]) {
        for (i, &reg) in regs.iter().enumerate() {
            if self.is_dead(reg) && !regs[..i].contains(&reg) {
                self.release(reg);
            }
        }
    }
}
