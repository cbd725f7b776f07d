//! Cold regions: they end with the registers as they found them.

use super::super::isa::Class;
use super::super::program::Reg;
use super::placed::Item;
use super::{Allocator, File};

/// The registers at the start of a cold region.
pub(super) struct Snapshot {
    files: [File; 2],
    /// Values in registers that were also on the stack.
    stored: Vec<Reg>,
    /// Values defined inside.
    pub(super) inside: Vec<Reg>,
}

impl Allocator<'_> {
    pub(super) fn cold_start(&mut self) {
        let inhabitants = self.files.iter().flatten().copied().flatten();
        let stored = inhabitants.filter(|reg| self.homes[reg.0 as usize].stored).collect();
        self.cold = Some(Snapshot { files: self.files.clone(), stored, inside: Vec::new() });
        self.items.push(Item::ColdStart);
    }

    pub(super) fn cold_end(&mut self) {
        let snapshot = self.cold.take().expect("a region ends after its start");
        let inhabitants: Vec<Reg> = self.files.iter().flatten().copied().flatten().collect();
        for &reg in &inhabitants {
            if snapshot.inside.contains(&reg) {
                self.spill(reg);
            }
        }
        // Every value evicted inside was stored, so they can be loaded back in any order.
        let register = |reg: &Option<Reg>| self.homes[reg.as_ref()?.0 as usize].register;
        let before = snapshot.files.each_ref().map(|file| file.iter().map(register).collect());
        let before: [Vec<Option<u8>>; 2] = before;
        for reg in inhabitants {
            self.home(reg).register = None;
        }
        for class in [Class::Vector, Class::Mask] {
            for (index, inhabitant) in snapshot.files[class as usize].iter().enumerate() {
                let inhabitant = inhabitant.filter(|&reg| !self.is_dead(reg));
                self.files[class as usize][index] = inhabitant;
                let Some(reg) = inhabitant else { continue };
                self.home(reg).register = Some(index as u8);
                if before[class as usize][index] != Some(index as u8) {
                    self.reload(reg);
                }
                self.home(reg).stored = snapshot.stored.contains(&reg);
            }
        }
        self.items.push(Item::ColdEnd);
    }
}
