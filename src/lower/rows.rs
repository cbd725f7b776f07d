//! From a fused body with reductions and scans to stages over rows.
//!
//! A row is what its reductions make one number of, and along which its scans go. The *level* of a value is the
//! largest number of both below it on any path. For each level there is a stage over the elements of rows, then the
//! folds of what it computes, then one over the numbers of rows, which the next level reads:
//!
//! ```text
//! softmax   fold m = max x                  level 0
//!           each e = exp(x - m)             level 1: m is a number of the row
//!           fold s = sum e
//!           each e / s                      level 2, where e was, if its memory is that of a result
//! ```
//!
//! Scans are done at the beginning of the first level that needs them, after a stage over what they read: so nothing
//! waits in between, and where rows are cut, each part goes through all of this before the next one:
//!
//! ```text
//! cumsum(exp(x)) / sum(x)     fold s = sum x       level 0
//!                             each e = exp(x)      level 1, before its scans
//!                             scan c = sum e
//!                             each c / s           level 1
//! ```
//!
//! A value that two stages need is kept if it is stored anyway, for a fold, or is worth more than reading
//! it; else it is computed again, with the same ops and so with the same bits.

mod join;
mod late;
mod listing;
mod memory;
mod needs;
mod sweep;
mod turns;

use super::{Tier, constant_of, lower_op, range, storage, stored_value};
use kiln_ir::{Axes, DType, Graph, Node, NodeId, Range, Reduction, Running};
use kiln_jit::vir::{Builder, Merge, Routine, STRIPE_BYTES, Value};
pub(crate) use late::{Earlier, Late};
use memory::{mark_reads, run_ahead, share};
use needs::{Needs, Reduced, When};
use std::collections::BTreeMap;
pub(crate) use sweep::RowSweep;

/// What a row kernel does: stages, in order.
#[derive(Clone, Debug)]
pub(crate) struct RowProgram<K = Routine, D = K> {
    /// Along which axes rows lie.
    pub(crate) axes: Axes,
    /// The inputs, then the outputs, then what is kept between stages.
    pub(crate) slots: Vec<Slot>,
    /// How many slots are inputs.
    pub(crate) inputs: usize,
    /// How many are outputs.
    pub(crate) outputs: usize,
    /// What is done, in order.
    pub(crate) stages: Vec<Stage<K, D>>,
    /// For the operand of each reduction and scan, what its shape comes of.
    pub(crate) operands: Vec<Operand>,
    /// The stages as one routine, if they can be one.
    pub(crate) sweep: Option<RowSweep>,
}

/// A value that stages read or write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// The type of its elements.
    pub(crate) dtype: DType,
    /// How many there are.
    pub(crate) per: Per,
    /// Another slot of the same type whose memory it may use: it is not read any more once that one is
    /// written.
    pub(crate) shares: Option<usize>,
    /// How many stages read it.
    pub(crate) reads: usize,
    /// Whether one of them folds or scans it.
    pub(crate) is_folded: bool,
}

/// What a value has one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Per {
    Element,
    Row,
}

/// A part of a row kernel. Numbers are those of slots.
#[derive(Clone, Debug)]
pub(crate) enum Stage<K, D = K> {
    /// Once for each element.
    Each(Map<K, D>),
    /// Once for each row, on numbers of rows.
    Once(Map<K, D>),
    /// What becomes of the elements of each row.
    Fold { by: Reduction, from: usize, to: usize },
    /// What each element of a row and those before it come to.
    Scan { by: Running, from: usize, to: usize },
    /// The number of elements of a row.
    Count { to: usize },
}

/// An elementwise stage.
#[derive(Clone, Debug)]
pub(crate) struct Map<K, D = K> {
    /// What computes it.
    pub(crate) kernel: K,
    /// What it loads.
    pub(crate) inputs: Vec<usize>,
    /// What it stores.
    pub(crate) outputs: Vec<usize>,
    /// Whether nothing that it stores is read again.
    pub(crate) is_final: bool,
    /// The same where rows lie apart, if there is anything to gain by that.
    pub(crate) apart: Option<Apart<K>>,
    /// The same where rows lie side by side, if some of what it stores is only summed.
    pub(crate) beside: Option<Beside<D>>,
}

/// An elementwise stage on rows that lie apart. It reads numbers of rows once a row, and folds what it
/// computes, block by block: it leaves what becomes of a block.
#[derive(Clone, Debug)]
pub(crate) struct Apart<K> {
    /// What computes it.
    pub(crate) kernel: K,
    /// What it loads.
    pub(crate) inputs: Vec<usize>,
    /// What it stores, beside what folds leave.
    pub(crate) outputs: Vec<usize>,
    /// How many of the next stages are the folds that it does.
    pub(crate) folds: usize,
}

/// An elementwise stage on rows that lie side by side, which adds what it computes to stripes, those of each fold:
/// operands that come after the others, among inputs and among outputs, and are the same memory.
#[derive(Clone, Debug)]
pub(crate) struct Beside<K> {
    /// What computes it.
    pub(crate) kernel: K,
    /// What it loads, beside stripes.
    pub(crate) inputs: Vec<usize>,
    /// What it stores, beside stripes.
    pub(crate) outputs: Vec<usize>,
    /// How many of the next stages are the folds that it does, and how many stripes each has.
    pub(crate) folds: Vec<usize>,
}

/// What the shape of a reduction's operand comes of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Operand {
    /// Inputs that broadcast to it.
    pub(crate) inputs: Vec<usize>,
    /// Whether it is made of reductions, too.
    pub(crate) has_reductions: bool,
}

impl RowProgram {
    /// The same with other kernels, and with others in place of what not every call runs.
    pub(crate) fn try_map<K, D, E>(
        self,
        mut change: impl FnMut(Routine) -> Result<K, E>,
        mut defer: impl FnMut(Routine, &K) -> D,
    ) -> Result<RowProgram<K, D>, E> {
        let mut map = |map: Map<Routine>| {
            let Map { kernel, inputs, outputs, is_final, apart, beside } = map;
            let kernel = change(kernel)?;
            let apart = apart.map(|apart| {
                let Apart { kernel, inputs, outputs, folds } = apart;
                Ok(Apart { kernel: change(kernel)?, inputs, outputs, folds })
            });
            let beside = beside.map(|beside| {
                let Beside { kernel: routine, inputs, outputs, folds } = beside;
                Beside { kernel: defer(routine, &kernel), inputs, outputs, folds }
            });
            Ok(Map { kernel, inputs, outputs, is_final, apart: apart.transpose()?, beside })
        };
        let stages = self.stages.into_iter().map(|stage| {
            Ok(match stage {
                Stage::Each(each) => Stage::Each(map(each)?),
                Stage::Once(once) => Stage::Once(map(once)?),
                Stage::Fold { by, from, to } => Stage::Fold { by, from, to },
                Stage::Scan { by, from, to } => Stage::Scan { by, from, to },
                Stage::Count { to } => Stage::Count { to },
            })
        });
        let stages = stages.collect::<Result<_, E>>()?;
        let RowProgram { axes, slots, inputs, outputs, operands, sweep, .. } = self;
        Ok(RowProgram { axes, slots, inputs, outputs, stages, operands, sweep })
    }

    /// What computes the stages that compute.
    pub(crate) fn routines(&self) -> impl Iterator<Item = &Routine> {
        self.stages.iter().filter_map(|stage| match stage {
            Stage::Each(map) | Stage::Once(map) => Some(&map.kernel),
            Stage::Fold { .. } | Stage::Scan { .. } | Stage::Count { .. } => None,
        })
    }
}

/// The stages of a body whose calls are reductions and scans along the same axes. `None` if it is no such body, or
/// if one of them is of numbers of rows.
pub(crate) fn rows(body: &Graph, tier: Tier) -> Option<RowProgram> {
    let _env = kiln_fenv::hold_default();
    let needs = Needs::new(body, tier)?;
    let mut lowering = Lowering {
        body,
        tier,
        ranges: range::ranges(body),
        slots: Vec::new(),
        places: BTreeMap::new(),
        stages: Vec::new(),
    };
    for input in 0..body.inputs().len() {
        let id = body.input_node(input);
        let slot = lowering.slot(body.dtype(id), needs.per(id));
        lowering.places.insert(id, slot);
    }
    for &output in body.outputs() {
        lowering.slot(body.dtype(output), needs.per(output));
    }
    for &count in &needs.counts {
        let to = lowering.place(count, Per::Row);
        lowering.stages.push(Stage::Count { to });
    }
    for level in 0..=needs.last {
        lowering.once(&needs, level);
        lowering.each(&needs, (level, When::Before), &[]);
        for scan in needs.scans.iter().filter(|scan| scan.level == level) {
            let from = lowering.places[&scan.operand];
            let to = lowering.place(scan.id, Per::Element);
            lowering.stages.push(Stage::Scan { by: scan.by, from, to });
        }
        lowering.forget(&needs, (level, When::Before));
        let mut folds: Vec<Reduced> =
            needs.folds.iter().filter(|fold| needs.level(fold.operand) == level).copied().collect();
        // Sums come first, then what else code does.
        folds
            .sort_by_key(|fold| merge(fold, body).map_or(2, |merge| u8::from(merge != Merge::Add)));
        lowering.each(&needs, (level, When::After), &folds);
        for Reduced { id, by, operand } in folds {
            let from = lowering.places[&operand];
            let to = lowering.place(id, Per::Row);
            lowering.stages.push(Stage::Fold { by, from, to });
        }
        lowering.forget(&needs, (level, When::After));
    }
    lowering.once(&needs, needs.last + 1);
    let mut program = RowProgram {
        axes: needs.axes,
        slots: lowering.slots,
        inputs: body.inputs().len(),
        outputs: body.outputs().len(),
        stages: lowering.stages,
        operands: needs.operands,
        sweep: None,
    };
    share(&mut program);
    mark_reads(&mut program);
    run_ahead(&mut program);
    program.sweep = sweep::sweep(&program);
    Some(program)
}

struct Lowering<'a> {
    body: &'a Graph,
    tier: Tier,
    ranges: Vec<Range>,
    slots: Vec<Slot>,
    /// Where values are, of those that are anywhere.
    places: BTreeMap<NodeId, usize>,
    stages: Vec<Stage<Routine>>,
}

impl Lowering<'_> {
    fn slot(&mut self, dtype: DType, per: Per) -> usize {
        self.slots.push(Slot { dtype, per, shares: None, reads: 0, is_folded: false });
        self.slots.len() - 1
    }

    /// The slots of the outputs that are this value.
    fn outputs_of(&self, id: NodeId) -> impl Iterator<Item = usize> {
        let first = self.body.inputs().len();
        let outputs = self.body.outputs().iter().enumerate();
        outputs.filter(move |(_, output)| **output == id).map(move |(index, _)| first + index)
    }

    /// Makes a place for a value: that of the first output that it is, else one of its own.
    fn place(&mut self, id: NodeId, per: Per) -> usize {
        let output = self.outputs_of(id).next();
        let slot = output.unwrap_or_else(|| self.slot(self.body.dtype(id), per));
        self.places.insert(id, slot);
        slot
    }

    /// The numbers of rows of a level that anything reads.
    fn once(&mut self, needs: &Needs, level: usize) {
        let is_once = |&id: &NodeId| needs.per(id) == Per::Row && needs.level(id) == level;
        let mut stores: Vec<(NodeId, usize)> = Vec::new();
        for id in needs.row_values.iter().copied().filter(is_once) {
            let known = self.places.get(&id).copied();
            let slot = known.unwrap_or_else(|| self.place(id, Per::Row));
            // Of what is there already, outputs that lie elsewhere are copies.
            let others: Vec<usize> = self.outputs_of(id).filter(|&other| other != slot).collect();
            stores.extend(known.is_none().then_some((id, slot)));
            stores.extend(others.into_iter().map(|other| (id, other)));
        }
        if !stores.is_empty() {
            let map = self.map(&stores);
            self.stages.push(Stage::Once(map));
        }
    }

    /// Forgets where values are that nothing reads any more: what is only folded may be stored nowhere.
    fn forget(&mut self, needs: &Needs, (level, when): (usize, When)) {
        for id in needs.stored(level, when) {
            if !needs.is_kept(*id) && self.outputs_of(*id).next().is_none() {
                self.places.remove(id);
            }
        }
    }

    /// The elements that are stored in a part of a level, and folded.
    fn each(&mut self, needs: &Needs, (level, when): (usize, When), folds: &[Reduced]) {
        let mut stores: Vec<(NodeId, usize)> = Vec::new();
        for &id in needs.stored(level, when) {
            if !self.places.contains_key(&id) {
                let slot = self.place(id, Per::Element);
                stores.push((id, slot));
            }
            let slot = self.places[&id];
            let others: Vec<usize> = self.outputs_of(id).filter(|&other| other != slot).collect();
            stores.extend(others.into_iter().map(|other| (id, other)));
        }
        if stores.is_empty() {
            return;
        }
        let mut map = self.map(&stores);
        let merges: Vec<(NodeId, Merge)> = folds
            .iter()
            .map_while(|fold| merge(fold, self.body).map(|merge| (fold.operand, merge)))
            .collect();
        let reads_rows = map.inputs.iter().any(|&slot| self.is_scalar(slot));
        // Tiles of rows side by side may be as narrow as strips.
        map.kernel.in_strips = reads_rows;
        let here = self.computed(&stores);
        // Without what is only folded, by the first folds.
        let stored = |done: usize| -> Vec<(NodeId, usize)> {
            let is_folded = |id: NodeId, folds: &[Reduced]| folds.iter().any(|f| f.operand == id);
            let is_stored = |&&(id, _): &&(NodeId, usize)| {
                let is_output = self.outputs_of(id).next().is_some();
                let by_others = is_folded(id, &folds[done..]);
                !is_folded(id, &folds[..done]) || by_others || needs.is_kept(id) || is_output
            };
            stores.iter().filter(is_stored).copied().collect()
        };
        if !merges.is_empty() || reads_rows {
            let stores = stored(merges.len());
            let (kernel, inputs) = self.routine(&here, &stores, &merges, Lie::Apart);
            let outputs = stores.iter().map(|&(_, slot)| slot).collect();
            map.apart = Some(Apart { kernel, inputs, outputs, folds: merges.len() });
        }
        let sums = merges.iter().take_while(|&&(_, merge)| merge == Merge::Add).count();
        let left = stored(sums);
        // What is stored anyway is as soon read again as added to stripes.
        if left.len() < stores.len() {
            let (mut kernel, inputs) = self.routine(&here, &left, &merges[..sums], Lie::Beside);
            kernel.in_strips = true;
            let of_elements = |at: &u32| self.slots[inputs[*at as usize]].per == Per::Element;
            kernel.ahead = (0..inputs.len() as u32).filter(of_elements).collect();
            let stripes = |&(id, _): &(NodeId, Merge)| STRIPE_BYTES / self.body.dtype(id).size();
            let folds = merges[..sums].iter().map(stripes).collect();
            let outputs = left.iter().map(|&(_, slot)| slot).collect();
            map.beside = Some(Beside { kernel, inputs, outputs, folds });
        }
        self.stages.push(Stage::Each(map));
    }

    /// The routine that stores values in slots, of what is in others already.
    fn map(&self, stores: &[(NodeId, usize)]) -> Map<Routine> {
        let (kernel, inputs) = self.routine(&self.computed(stores), stores, &[], Lie::Anyhow);
        let outputs = stores.iter().map(|&(_, slot)| slot).collect();
        Map { kernel, inputs, outputs, is_final: false, apart: None, beside: None }
    }

    /// Those of the stored values that are nowhere yet.
    fn computed(&self, stores: &[(NodeId, usize)]) -> Vec<NodeId> {
        let is_here = |&&(id, slot): &&(NodeId, usize)| self.places.get(&id) == Some(&slot);
        stores.iter().filter(is_here).map(|&(id, _)| id).collect()
    }

    /// Whether code can read a slot once a row.
    fn is_scalar(&self, slot: usize) -> bool {
        let Slot { dtype, per, .. } = self.slots[slot];
        per == Per::Row && storage(dtype).fills_lane()
    }

    /// The routine that computes `here`, stores values and merges others as rows lie; and the slots that it loads,
    /// those of rows that lie apart once a row.
    fn routine(
        &self,
        here: &[NodeId],
        stores: &[(NodeId, usize)],
        merges: &[(NodeId, Merge)],
        rows: Lie,
    ) -> (Routine, Vec<usize>) {
        let body = self.body;
        let place = |id: NodeId| self.places.get(&id).copied().filter(|_| !here.contains(&id));
        let mut is_needed = vec![false; body.nodes().len()];
        let mut open: Vec<NodeId> = stores.iter().map(|&(id, _)| id).collect();
        open.extend(merges.iter().map(|&(id, _)| id));
        while let Some(id) = open.pop() {
            if !std::mem::replace(&mut is_needed[id.index()], true) && place(id).is_none() {
                open.extend(body.node(id).operands());
            }
        }
        let mut b = Builder::new();
        let mut inputs = Vec::new();
        let mut values: BTreeMap<NodeId, Value> = BTreeMap::new();
        for (id, node) in body.iter().filter(|(id, _)| is_needed[id.index()]) {
            let value = match (place(id), node) {
                (Some(slot), _) => {
                    inputs.push(slot);
                    let storage = storage(body.dtype(id));
                    match rows {
                        Lie::Apart if self.is_scalar(slot) => b.scalar(storage),
                        _ => b.input(storage),
                    }
                }
                (None, Node::Const(bits)) => constant_of(&mut b, body.dtype(id), *bits),
                (None, Node::Op(op, args)) => {
                    let operands: Vec<Value> = args.iter().map(|arg| values[arg]).collect();
                    let dtype = body.dtype(args[args.len() - 1]);
                    let within = range::within(self.ranges[args[0].index()]);
                    lower_op(&mut b, self.tier, *op, dtype, &operands, within)
                }
                (None, node) => unreachable!("{node:?} has a place"),
            };
            values.insert(id, value);
        }
        for &(id, _) in stores {
            let value = stored_value(&mut b, body, id, |id| values.get(&id).copied());
            b.output(value, storage(body.dtype(id)));
        }
        match rows {
            Lie::Beside => {
                for &(id, _) in merges {
                    let storage = storage(body.dtype(id));
                    let stripe = b.input(storage);
                    let sum = b.add(stripe, values[&id]);
                    b.output(sum, storage);
                }
            }
            _ => merges.iter().for_each(|&(id, merge)| b.fold(values[&id], merge)),
        }
        (b.finish(), inputs)
    }
}

/// How the rows lie that a routine is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lie {
    Anyhow,
    Apart,
    Beside,
}

/// How code merges elements, if it merges them as they are.
fn merge(fold: &Reduced, body: &Graph) -> Option<Merge> {
    merge_of(fold.by, body.dtype(fold.operand))
}

/// The same for elements of a type.
fn merge_of(by: Reduction, dtype: DType) -> Option<Merge> {
    let is_float = matches!(dtype, DType::F32 | DType::F64);
    match by {
        Reduction::Sum if is_float => Some(Merge::Add),
        Reduction::Max if is_float => Some(Merge::Max),
        Reduction::Sup if is_float => Some(Merge::Sup),
        Reduction::Min if is_float => Some(Merge::Min),
        _ => None,
    }
}
