//! What a row kernel needs to know of operands that lie so, worked out once for calls that are alike: how
//! each value reaches its stages, and how many rows a tile has.

use super::Stage;
use super::grid::Grid;
use super::launch::Launch;
use super::long::Long;
use super::operands::{in_place, is_aligned, lead, only_folds_floats, written_early};
use super::spread::Spread;
use super::sweep::Sweeping;
use super::{Program, SHORT};
use super::{narrow, short};
use crate::lower::rows::Per;
use crate::run::layout::OPERANDS;
use crate::run::scan::Scanner;
use crate::run::view::Layout;
use kiln_jit::cpu::last_level_cache;
use kiln_reduce::{BLOCK, Folder, folder};
use smallvec::SmallVec;
use std::sync::OnceLock;

/// Bytes between packed rows. Where rows are a power of two apart, a column has only one set of a cache.
const GAP: usize = 64;

/// Bytes from one packed row of so many bytes to the next.
fn with_gap(row: usize) -> usize {
    row.div_ceil(GAP).saturating_add(1).saturating_mul(GAP)
}

/// How the elements of a slot reach the stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Where they lie.
    Direct,
    /// One for a row, which is repeated. It reaches a tile of rows side by side only if it is one for all.
    Splat,
    /// Packed, tile by tile.
    Packed,
    /// Nowhere else than in a tile.
    Kept,
    /// One number for each row of a tile, in memory of its own.
    Row,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) grid: Grid,
    /// Bytes of an element of each slot.
    pub(super) sizes: SmallVec<[usize; 12]>,
    /// Whether rows are side by side in a tile.
    pub(super) side_by_side: bool,
    /// Whether rows are [short](super::short), and the elements of a tile one row.
    pub(super) is_flat: bool,
    /// Rows of each run of short rows that lie side by side; 1 if they lie one after the other.
    pub(super) beside: usize,
    /// Bytes of elements that L2 holds.
    pub(super) near: usize,
    /// Elements of each row that a call takes as one, if rows are [few](super::narrow).
    pub(super) group: Option<usize>,
    /// What is spread over several runs, so that these are one.
    pub(super) spread: Option<Spread>,
    pub(super) access: SmallVec<[Access; OPERANDS]>,
    /// Whose memory each slot uses.
    pub(super) home: SmallVec<[usize; OPERANDS]>,
    /// Rows of a tile, and elements of each.
    pub(super) tile: [usize; 2],
    /// Whether operands are larger than the caches that are near.
    pub(super) is_large: bool,
    /// Whether results should bypass the caches, and whether they do as they lie.
    pub(super) bypasses: bool,
    pub(super) streams: bool,
    /// Whether an output is the memory of an input.
    pub(super) is_in_place: bool,
    /// Whether one of numbers of rows is.
    pub(super) numbers_are_in_place: bool,
    /// Blocks of a row.
    pub(super) blocks: usize,
    /// What folds elements, for each stage that is a fold.
    pub(super) folders: SmallVec<[Option<Folder>; OPERANDS]>,
    /// What scans elements, for each stage that is a scan; empty if none is.
    pub(super) scanners: SmallVec<[Option<Scanner>; 0]>,
    /// Slots of which there are whole rows where tiles are parts of them; empty if there are none.
    pub(super) whole: SmallVec<[bool; 0]>,
    /// Bytes that each slot takes in a worker's memory, then the blocks of folds.
    pub(super) room: SmallVec<[usize; 12]>,
    /// The call of each stage of code.
    pub(super) launches: SmallVec<[Launch; 0]>,
    /// The call that does what all stages do, if there is one.
    pub(super) sweeping: Option<Sweeping>,
    /// What it is for rows that are cut, once that is asked for.
    /// For one thread, and for several.
    pub(super) long: [OnceLock<Box<Long>>; 2],
    /// Slots that are elsewhere in each tile.
    pub(super) moving: SmallVec<[usize; OPERANDS]>,
    /// Operands that are packed, or numbers of rows.
    pub(super) packed: SmallVec<[usize; OPERANDS]>,
}

impl Setup {
    /// The rows of `domain`, for operands that fit.
    pub(super) fn new(
        program: Program<'_>,
        domain: &[usize],
        is_reduced: &[bool],
        operands: &[&Layout],
    ) -> Setup {
        let grid = Grid::new(domain, is_reduced, operands, lead(program, domain, operands));
        let is_in_place = in_place(operands, program.inputs).any(|is| is);
        let outputs = program.slots[program.inputs..].iter();
        let numbers_are_in_place = in_place(operands, program.inputs)
            .zip(outputs)
            .any(|(is, slot)| is && slot.per == Per::Row);
        let mut setup = Setup {
            grid,
            sizes: program.slots.iter().map(|slot| slot.dtype.size()).collect(),
            side_by_side: false,
            is_flat: false,
            beside: 1,
            near: program.near,
            group: None,
            spread: None,
            access: SmallVec::new(),
            home: SmallVec::new(),
            tile: [1, 1],
            is_large: false,
            bypasses: false,
            streams: false,
            is_in_place,
            numbers_are_in_place,
            blocks: 0,
            folders: SmallVec::new(),
            scanners: SmallVec::new(),
            whole: SmallVec::new(),
            room: SmallVec::new(),
            launches: SmallVec::new(),
            sweeping: None,
            long: Default::default(),
            moving: SmallVec::new(),
            packed: SmallVec::new(),
        };
        let bytes = setup.elements() * setup.moved(program) as f64;
        let is_large = bytes > last_level_cache() as f64 / 2.0;
        setup.is_flat = short::fits(program, &setup.grid, 1, is_in_place, is_large);
        if let Some((grid, beside)) = setup.grid.untangled().filter(|_| !setup.is_flat)
            && short::fits(program, &grid, beside, is_in_place, is_large)
        {
            (setup.grid, setup.beside, setup.is_flat) = (grid, beside, true);
        }
        setup.side_by_side = !setup.is_flat && setup.rows_are_nearer(program);
        if setup.side_by_side {
            setup.spread = Spread::of(program, &mut setup.grid);
            setup.group = narrow::group(program, &setup.grid, &setup.sizes);
        }
        setup.is_large = bytes > setup.large_above(program) && !is_in_place;
        setup.bypasses = bytes > setup.stream_above(program) && !is_in_place;
        setup.streams = setup.bypasses && setup.rows_are_lines(program, operands);
        for (slot, about) in program.slots.iter().enumerate() {
            let is_apart = |&other: &usize| {
                let is_output = other < program.operands();
                // What is stored past the caches should not be in them.
                !is_output || !(is_in_place || setup.streams || setup.is_scattered(other))
            };
            let home = about.shares.filter(is_apart).unwrap_or(slot);
            setup.home.push(home);
            setup.access.push(setup.access_of(program, slot, operands));
        }
        if is_in_place {
            // An input that is the same memory is read until the last stage.
            for slot in written_early(program) {
                setup.access[slot] = Access::Packed;
            }
        }
        setup.tile = [setup.rows_of_tile(program), setup.grid.len];
        setup.folders.extend(program.stages.iter().map(|stage| match stage {
            Stage::Fold { by, from, .. } => Some(folder(*by, program.slots[*from].dtype)),
            _ => None,
        }));
        if program.has_scans() {
            setup.scanners.extend(program.stages.iter().map(|stage| match stage {
                Stage::Scan { by, from, .. } => Some(Scanner::new(*by, program.slots[*from].dtype)),
                _ => None,
            }));
        }
        setup.blocks = setup.grid.len.div_ceil(BLOCK);
        setup.prepare(program, setup.blocks, |_| false);
        setup.sweeping = Sweeping::new(program, &setup);
        setup
    }

    /// How many rows later the rows are that memory is asked for while one is computed: those of the next
    /// tile. Layer norm of (65536, 64) takes .40 ns an element without it on a Zen 4, and .35 with it.
    pub(super) fn ahead(&self) -> usize {
        if self.is_large && !self.side_by_side && !self.is_flat { self.tile[0] } else { 0 }
    }

    /// How many elements there are.
    pub(super) fn elements(&self) -> f64 {
        let (run, runs) = self.grid.runs();
        run as f64 * runs as f64 * self.grid.len as f64
    }

    /// Bytes of an element that are read from memory and written to it.
    pub(super) fn moved(&self, program: Program<'_>) -> usize {
        let is_moved = |&op: &usize| {
            let repeats = !self.grid.kept.is_empty() && self.grid.repeats_rows(op);
            program.slots[op].per == Per::Element && !repeats
        };
        (0..program.operands()).filter(is_moved).map(|op| self.grid.sizes[op]).sum()
    }

    /// Works out what follows from the rest: what a worker's memory has room for, its slots but for those
    /// that all workers share, and so many blocks of each fold; and the calls.
    pub(super) fn prepare(
        &mut self,
        program: Program<'_>,
        blocks: usize,
        is_shared: impl Fn(usize) -> bool,
    ) {
        let slots = 0..program.slots.len();
        let bytes = |slot| if is_shared(slot) { 0 } else { self.bytes(slot) };
        let mut room: SmallVec<[usize; 12]> = slots.clone().map(bytes).collect();
        let of_folds = (0..program.stages.len()).map(|stage| self.block_bytes(stage, blocks));
        room.push(of_folds.map(|b| b.div_ceil(8).saturating_mul(8)).fold(0, usize::saturating_add));
        self.room = room;
        let moves = |&slot: &usize| match self.access[slot] {
            Access::Direct | Access::Splat => slot < program.operands(),
            Access::Kept => is_shared(slot),
            Access::Packed | Access::Row => false,
        };
        self.moving = slots.filter(moves).collect();
        let is_packed = |&slot: &usize| matches!(self.access[slot], Access::Packed | Access::Row);
        self.packed = (0..program.operands()).filter(is_packed).collect();
        self.launches =
            program.stages.iter().map(|stage| Launch::new(program, self, stage)).collect();
    }

    /// Bytes from row to row of a slot in a tile; if they are side by side, from element to element.
    pub(super) fn step(&self, program: Program<'_>, slot: usize) -> isize {
        let (home, size) = (self.home[slot], self.sizes[self.home[slot]]);
        match self.access[home] {
            Access::Direct if self.side_by_side => self.grid.element_step(home).unwrap_or(0),
            Access::Splat if self.side_by_side => 0,
            Access::Direct | Access::Splat => self.grid.row_step(home),
            Access::Row => size as isize,
            Access::Packed if self.is_repeated(program, home) => 0,
            Access::Packed | Access::Kept => self.pitch_of(home) as isize,
        }
    }

    /// What scans elements in a stage that is a scan.
    pub(super) fn scanner(&self, stage: usize) -> &Scanner {
        self.scanners[stage].as_ref().expect("the stage is a scan")
    }

    /// [`pitch`](Setup::pitch) of a slot, which may have whole rows.
    pub(super) fn pitch_of(&self, slot: usize) -> usize {
        let size = self.sizes[slot];
        match self.whole.get(slot) {
            Some(true) if !self.side_by_side => with_gap(self.grid.len.saturating_mul(size)),
            _ => self.pitch(size),
        }
    }

    /// Bytes from one row of a tile in memory to the next; if they are side by side, from one element to
    /// the next.
    pub(super) fn pitch(&self, size: usize) -> usize {
        let (rows, row) = (self.tile[0], self.tile[1].saturating_mul(size));
        match self.side_by_side {
            true => rows * size,
            false if rows == 1 || self.is_flat => row,
            false => with_gap(row),
        }
    }

    /// Bytes of a slot in a tile.
    pub(super) fn bytes(&self, slot: usize) -> usize {
        let ([rows, len], size) = (self.tile, self.sizes[slot]);
        match self.access[slot] {
            _ if self.home[slot] != slot => 0,
            Access::Direct | Access::Splat => 0,
            Access::Row => rows * size,
            Access::Packed | Access::Kept => match self.side_by_side {
                true => len.saturating_mul(self.pitch(size)),
                false => rows.saturating_mul(self.pitch_of(slot)),
            },
        }
    }

    /// Bytes of what blocks become: of a row or several, `blocks` of each.
    pub(super) fn block_bytes(&self, stage: usize, blocks: usize) -> usize {
        self.block_size(stage).saturating_mul(blocks * self.tile[0])
    }

    /// What folds elements in a stage that is a fold.
    pub(super) fn folder(&self, stage: usize) -> &Folder {
        self.folders[stage].as_ref().expect("the stage is a fold")
    }

    /// Bytes of one block of a fold.
    pub(super) fn block_size(&self, stage: usize) -> usize {
        self.folders[stage].map_or(0, |folder| folder.block_size)
    }

    /// Whether rows of an input are the same elements, and packed once.
    pub(super) fn is_repeated(&self, program: Program<'_>, slot: usize) -> bool {
        let is_one = !self.side_by_side && !self.is_flat;
        is_one && slot < program.inputs && self.grid.repeats_rows(slot)
    }

    /// Whether an input is packed for all tiles at once.
    pub(super) fn is_packed_once(&self, program: Program<'_>, slot: usize) -> bool {
        self.access[slot] == Access::Packed
            && slot < program.inputs
            && self.grid.repeats_rows(slot)
            && self.tile[1] == self.grid.len
    }

    /// Whether neighbouring rows lie nearer to one another than the elements of one, or rows are short.
    fn rows_are_nearer(&self, program: Program<'_>) -> bool {
        let is_element = |op: &usize| program.slots[*op].per == Per::Element;
        let grid = &self.grid;
        let operands = (0..program.operands()).filter(is_element);
        let Some(kept) = grid.kept.last() else { return false };
        let Some(reduced) = grid.reduced.last() else { return true };
        if grid.len <= SHORT && !only_folds_floats(program) {
            return true;
        }
        // Of the first operand in which they differ.
        let mut steps = operands
            .map(|op| [kept.steps[op].unsigned_abs(), reduced.steps[op].unsigned_abs()])
            .filter(|[kept, reduced]| *kept != 0 && *reduced != 0);
        steps.next().is_some_and(|[kept, reduced]| kept < reduced)
    }

    /// Whether nothing is done but to fold elements of inputs where they lie, side by side.
    pub(super) fn only_folds_where_elements_lie(&self, program: Program<'_>) -> bool {
        let is_direct =
            self.access[..program.inputs].iter().all(|&access| access == Access::Direct);
        let only_folds = program.stages.iter().all(|stage| matches!(stage, Stage::Fold { .. }));
        self.side_by_side && only_folds && is_direct
    }

    /// Whether L2 has the elements of a slot that a tile or a call is of.
    pub(super) fn is_near(&self, slot: usize) -> bool {
        let home = self.home[slot];
        match self.access[home] {
            Access::Packed | Access::Kept => self.bytes(home) <= self.near,
            _ => self.elements() * self.sizes[home] as f64 <= self.near as f64,
        }
    }

    /// How a value reaches the stages.
    fn access_of(&self, program: Program<'_>, slot: usize, operands: &[&Layout]) -> Access {
        let grid = &self.grid;
        // Or what shares its memory.
        let shares = |other: usize| other == slot || program.slots[other].shares == Some(slot);
        let is_used =
            (0..program.slots.len()).any(|other| shares(other) && self.is_used(program, other));
        match program.slots[slot].per {
            Per::Row if self.is_written_where_it_lies(program, slot, operands) => {
                return Access::Direct;
            }
            Per::Row => return Access::Row,
            // Nobody looks at what is only counted, or only folded, by the code that computes it.
            Per::Element if !is_used => return Access::Direct,
            Per::Element => {}
        }
        if slot >= program.operands() {
            return Access::Kept;
        }
        let size = self.sizes[slot];
        let (row, element) = (grid.row_step(slot), grid.element_step(slot));
        let is_whole = |step: isize| step % size as isize == 0;
        let mut steps = grid.kept.iter().chain(&grid.reduced).map(|axis| axis.steps[slot]);
        let is_aligned = is_aligned(operands[slot]) && steps.all(is_whole);
        let repeats = !grid.reduced.is_empty() && element == Some(0);
        let is_folded = program.stages.iter().any(|stage| {
            matches!(stage, Stage::Fold { from, .. } | Stage::Scan { from, .. }
                if *from == slot)
        });
        let is_one = if self.side_by_side { repeats && row == 0 } else { repeats };
        if is_one && slot < program.inputs && !is_folded {
            return Access::Splat;
        }
        let fits = match self.side_by_side {
            true if self.group.is_some() => {
                let next = (grid.runs().0 * size) as isize;
                row == size as isize && (element == Some(0) || element == Some(next))
            }
            true => row == size as isize && element.is_some(),
            false => element == Some(size as isize),
        };
        // Repeated rows are so in memory where all are one.
        let repeats_rows = self.is_flat && slot < program.inputs && grid.repeats_rows(slot);
        if fits && is_aligned && !repeats_rows { Access::Direct } else { Access::Packed }
    }

    /// Whether the numbers of rows are written where the result lies: nothing reads them, and no input is there.
    fn is_written_where_it_lies(
        &self,
        program: Program<'_>,
        slot: usize,
        operands: &[&Layout],
    ) -> bool {
        let is_output = (program.inputs..program.operands()).contains(&slot);
        is_output
            && !self.is_in_place
            && program.slots[slot].reads == 0
            && is_aligned(operands[slot])
            && self.grid.row_step(slot) == self.sizes[slot] as isize
    }
}
