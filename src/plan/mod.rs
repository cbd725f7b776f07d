//! Plans: the passes over memory of a fused graph, in order, and where every value lives.
//!
//! In: a fused graph. Out: a [`Plan`], which knows no array and no code: what runs a fused body is
//! its `K`. In it, every output has one step that writes it. Every intermediate has a [`Buffer`],
//! which is live from the step that writes it to the last one that reads it.

mod memory;
mod parts;
mod pattern;
mod shape;
mod specialize;
mod traffic;
mod viewed;

pub(crate) use memory::ALIGNMENT;
pub use memory::Memory;
pub(crate) use parts::Part;
use shape::LastCall;
pub(crate) use shape::{Dims, ShapeError, Shapes};
pub(crate) use specialize::{Chosen, Failure, Kept, Matters, Plans, Shaped, SizeClass, Specialize};
pub use traffic::Traffic;
pub(crate) use viewed::{Check, Numbers, Through, Viewed};

use kiln_ir::{Body, Call, DType, Graph, Iota, Node, NodeId, ShapeRules};
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use viewed::{viewed, written_through};

/// Passes over memory, in order.
#[derive(Debug)]
pub(crate) struct Plan<K> {
    pub(crate) steps: Vec<Step<K>>,
    /// How many shapes a call has: of what each step loops over, and of results that are smaller.
    shapes: usize,
    /// Intermediates, which need memory from the kernel.
    pub(crate) buffers: Vec<Buffer>,
    /// Values as steps read them in another order or shape.
    pub(crate) views: Vec<Viewed>,
    /// Places along axes that steps read.
    pub(crate) numbers: Vec<Numbers>,
    /// What must hold of elements, in the order of the steps that need it.
    pub(crate) checks: Vec<Check>,
    /// What each output is.
    pub(crate) written: Vec<Written>,
    /// Outputs that are views of what a step gives: it writes where they have its elements.
    pub(crate) through: Vec<Through>,
    /// For each input, the last step that reads it.
    pub(crate) read: Vec<usize>,
    last: Option<LastCall>,
}

/// One pass over memory.
#[derive(Debug)]
pub(crate) struct Step<K> {
    pub(crate) action: Action<K>,
    /// What runs a call, if anything is made for that.
    pub(crate) call: Option<K>,
    /// What it reads.
    pub(crate) args: Vec<Access>,
    /// What it writes.
    pub(crate) results: Vec<Access>,
    /// Which of the shapes of a call is what it loops over.
    domain: usize,
    /// Results that do not have this shape, by position; theirs are the next ones of the call.
    smaller: Vec<usize>,
}

impl<K> Step<K> {
    /// What runs it, if that was made for it.
    pub(crate) fn kernel(&self) -> Option<&K> {
        match &self.action {
            Action::Map { kernel, .. } => Some(kernel),
            Action::Call(_) => self.call.as_ref(),
        }
    }

    /// Whether all of its results have the shape that it loops over.
    pub(crate) fn fills_domain(&self) -> bool {
        self.smaller.is_empty()
    }
}

/// What a step writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// The step.
    pub(crate) step: usize,
    /// Which of the shapes of a call it has.
    pub(crate) shape: usize,
}

#[derive(Debug)]
pub(crate) enum Action<K> {
    /// A fused body over every element, and what runs it.
    Map {
        body: Arc<Body>,
        /// The names of its parameters.
        names: Vec<String>,
        /// How the shapes of its results follow.
        shapes: ShapeRules,
        kernel: K,
    },
    Call(Call),
}

/// A value that a step reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) place: Place,
    pub(crate) dtype: DType,
    /// Which of the plan's views of the value it is, if it is one.
    pub(crate) view: Option<usize>,
}

/// Where a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Input(usize),
    Output(usize),
    Buffer(usize),
    Numbers(usize),
}

impl Place {
    /// What text calls it.
    pub(crate) fn name(self, graph: &Graph) -> String {
        match self {
            Place::Input(index) => graph.inputs()[index].name.clone(),
            Place::Output(index) => format!("output {index}"),
            Place::Buffer(index) => format!("t{index}"),
            Place::Numbers(index) => format!("iota {index}"),
        }
    }
}

/// An intermediate.
#[derive(Clone, Debug)]
pub(crate) struct Buffer {
    pub(crate) dtype: DType,
    pub(crate) written: Written,
    /// The first and last step during which nothing else may lie in its place.
    pub(crate) live: [usize; 2],
    /// Where it lies if it needs no memory of its own.
    pub(crate) part: Option<Part>,
}

impl<K> Plan<K> {
    /// Plans a fused graph; `kernel` makes what runs a fused body. Without `reuse`, every
    /// intermediate has memory of its own.
    ///
    /// # Panics
    ///
    /// If outputs are not distinct results of the graph's kernels and products: an output that no
    /// step writes would be returned as it was allocated.
    pub(crate) fn new<E>(
        graph: &Graph,
        reuse: bool,
        mut kernel: impl FnMut(&Body) -> Result<K, E>,
    ) -> Result<Plan<K>, E> {
        let mut places = Places::new(graph);
        let mut steps = Vec::new();
        for (id, node) in graph.iter() {
            let mut smaller = Vec::new();
            let action = match node {
                Node::Fused { body, args } => {
                    let is_smaller =
                        |&at: &usize| body.shape(body.outputs()[at]) != graph.shape(id);
                    smaller.extend((0..body.outputs().len()).filter(is_smaller));
                    let names = graph.parameter_names(body, args);
                    let (shapes, kernel) = (ShapeRules::of(body), kernel(body)?);
                    Action::Map { body: body.clone(), names, shapes, kernel }
                }
                Node::Call(call, _) if call.is_free() => continue,
                Node::Call(call, _) => Action::Call(*call),
                Node::Input(_) | Node::Item { .. } => continue,
                Node::Const(_) | Node::Op(..) => panic!("a fused graph has no bare ops: {graph}"),
            };
            let read = |arg: NodeId| places.read(arg, steps.len());
            let args = node.operands().into_iter().map(read).collect();
            let domain = places.shapes;
            places.shapes += 1 + smaller.len();
            let results = places.results(id);
            steps.push(Step { action, call: None, args, results, domain, smaller });
        }
        let mut written = vec![None; graph.outputs().len()];
        let mut read = vec![0; graph.inputs().len()];
        let mut buffers: Vec<Buffer> = Vec::new();
        for (index, step) in steps.iter().enumerate() {
            for arg in &step.args {
                match arg.place {
                    Place::Input(input) => read[input] = index,
                    Place::Buffer(buffer) => {
                        let last = &mut buffers[buffer].live[1];
                        *last = index.max(*last);
                    }
                    Place::Output(_) | Place::Numbers(_) => {}
                }
            }
            for (at, result) in step.results.iter().enumerate() {
                let smaller = step.smaller.iter().position(|&smaller| smaller == at);
                let shape = step.domain + smaller.map_or(0, |smaller| smaller + 1);
                let result_written = Written { step: index, shape };
                match result.place {
                    Place::Output(output) => written[output] = Some(result_written),
                    // Buffers are numbered in the order in which steps write them.
                    Place::Buffer(_) => {
                        let live = if reuse { [index; 2] } else { [0, usize::MAX] };
                        let (dtype, written) = (result.dtype, result_written);
                        buffers.push(Buffer { dtype, written, live, part: None });
                    }
                    place => unreachable!("no step writes {place:?}"),
                }
            }
        }
        let written: Option<Vec<Written>> = written.into_iter().collect();
        let Some(mut written) = written else { panic!("no step writes an output: {graph}") };
        let Places { mut shapes, views, numbers, checks, .. } = places;
        let mut through = Vec::new();
        for (output, &id) in graph.outputs().iter().enumerate() {
            let (_, chain) = written_through(graph, id);
            if !chain.is_empty() {
                let shape = std::mem::replace(&mut written[output].shape, shapes);
                through.push(Through { output, chain, shape });
                shapes += 1;
            }
        }
        let last = LastCall::of(&steps);
        let mut plan =
            Plan { steps, shapes, buffers, views, numbers, checks, written, through, read, last };
        if reuse {
            plan.place_parts();
        }
        Ok(plan)
    }
}

impl Plan<()> {
    /// The plan of a graph that is not to be run.
    pub(crate) fn outline(graph: &Graph) -> Plan<()> {
        let Ok(plan) = Plan::new(graph, true, |_| Ok::<(), Infallible>(()));
        plan
    }
}

/// The place of every value of a graph, and how steps read values.
struct Places<'g> {
    graph: &'g Graph,
    /// Of each output, what a step gives.
    outputs: Vec<NodeId>,
    buffers: usize,
    /// How many shapes a call has so far.
    shapes: usize,
    views: Vec<Viewed>,
    numbers: Vec<Numbers>,
    checks: Vec<Check>,
    of: HashMap<NodeId, Place>,
    /// The nodes of the outputs of fused kernels, if anything reads them.
    items: HashMap<(NodeId, u32), NodeId>,
}

impl<'g> Places<'g> {
    fn new(graph: &'g Graph) -> Places<'g> {
        let inputs = graph.iter().filter_map(|(id, node)| match node {
            Node::Input(index) => Some((id, Place::Input(*index as usize))),
            _ => None,
        });
        let items = graph.iter().filter_map(|(id, node)| match *node {
            Node::Item { of, index } => Some(((of, index), id)),
            _ => None,
        });
        let given = |&output: &NodeId| written_through(graph, output).0;
        Places {
            graph,
            outputs: graph.outputs().iter().map(given).collect(),
            buffers: 0,
            shapes: 0,
            views: Vec::new(),
            numbers: Vec::new(),
            checks: Vec::new(),
            of: inputs.collect(),
            items: items.collect(),
        }
    }

    /// How a step reads a value.
    fn read(&mut self, id: NodeId, step: usize) -> Access {
        let (of, chain, checks) = viewed(self.graph, id);
        for (within, id) in checks {
            let args = self.graph.node(id).operands();
            let mut args = args.into_iter().map(|arg| self.read(arg, step));
            let places = args.next().expect("there are places to check");
            let check = Check { within, places, of: args.collect(), step };
            let is_same = |known: &Check| {
                (known.within, known.places, &known.of) == (within, places, &check.of)
            };
            if !self.checks.iter().any(is_same) {
                self.checks.push(check);
            }
        }
        let place = match self.graph.node(of) {
            Node::Call(Call::Iota(iota), args) => self.numbers(*iota, args, step),
            _ => self.of[&of],
        };
        let view = (!chain.is_empty()).then(|| {
            let known = self.views.iter().position(|it| it.place == place && it.chain == chain);
            known.unwrap_or_else(|| {
                self.views.push(Viewed { place, chain, shape: self.shapes });
                self.shapes += 1;
                self.views.len() - 1
            })
        });
        Access { place, dtype: self.graph.dtype(id), view }
    }

    /// The place of the places along an axis.
    fn numbers(&mut self, iota: Iota, args: &[NodeId], step: usize) -> Place {
        let of: Vec<Access> = args.iter().map(|&arg| self.read(arg, step)).collect();
        let known = self.numbers.iter().position(|it| (it.iota, &it.of) == (iota, &of));
        Place::Numbers(known.unwrap_or_else(|| {
            self.numbers.push(Numbers { iota, of, shape: self.shapes });
            self.shapes += 1;
            self.numbers.len() - 1
        }))
    }

    /// Places for the values that a fused kernel or a call computes.
    fn results(&mut self, id: NodeId) -> Vec<Access> {
        let values: Vec<(Option<NodeId>, DType)> = match self.graph.node(id) {
            Node::Fused { body, .. } => {
                let item = |index| self.items.get(&(id, index)).copied();
                let outputs = (0..).zip(body.outputs());
                outputs.map(|(index, &output)| (item(index), body.dtype(output))).collect()
            }
            _ => vec![(Some(id), self.graph.dtype(id))],
        };
        values
            .into_iter()
            .map(|(value, dtype)| Access { place: self.place(value), dtype, view: None })
            .collect()
    }

    /// An output's place if the value is one, else a new buffer.
    fn place(&mut self, value: Option<NodeId>) -> Place {
        let output = value.and_then(|value| self.outputs.iter().position(|&of| of == value));
        let place = output.map_or(Place::Buffer(self.buffers), Place::Output);
        self.buffers += usize::from(output.is_none());
        self.of.extend(value.map(|value| (value, place)));
        place
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, Plan, Shapes, Step, Traffic, Written};
    use kiln_ir::parse;

    #[test]
    fn values_have_places_and_lives() {
        let graph = parse(
            "kernel k(x: f32[n, n], w: f32[n, n]) {
                let a = fused(x) { x * 2 };
                let b = a @ w;
                let (c, d) = fused(a, b) { (a + b, a - b) };
                (c, fused(d) { exp(d) })
            }",
        )
        .unwrap();
        let shared = Plan::outline(&graph);
        let results: Vec<Vec<Place>> =
            shared.steps.iter().map(|s| s.results.iter().map(|r| r.place).collect()).collect();
        let [a, b, d] = [0, 1, 2].map(Place::Buffer);
        assert_eq!(results, [vec![a], vec![b], vec![Place::Output(0), d], vec![Place::Output(1)]]);
        let written = [2, 3].map(|step| Written { step, shape: step });
        assert_eq!((&shared.written[..], &shared.read[..]), (&written[..], &[0, 1][..]));
        let lives = |plan: &Plan<()>| plan.buffers.iter().map(|b| b.live).collect::<Vec<_>>();
        assert_eq!(lives(&shared), [[0, 2], [1, 2], [2, 3]]);
    }

    /// A result has the shape of what its body gives, which may be less than the step loops over.
    #[test]
    fn results_have_shapes_of_their_own() {
        let graph = parse(
            "kernel k(x: f32[n], y: f32[m, n]) {
                let (a, b, c) = fused(x, y) { (x * 2, x + y, 1) };
                (a, b, fused(a, c) { a + c })
            }",
        )
        .unwrap();
        let plan = Plan::outline(&graph);
        let mut shapes = Shapes::new();
        let inputs: [&[usize]; 2] = [&[3], &[2, 3]];
        plan.add_shapes(|input| inputs[input], &mut shapes).unwrap();
        let outputs: Vec<&[usize]> =
            plan.written.iter().map(|written| &shapes[written.shape][..]).collect();
        assert_eq!(outputs, [&[3][..], &[2, 3], &[3]]);
        assert!(plan.steps.iter().map(Step::fills_domain).eq([false, true]));
        // Of the intermediate, one number, rounded up to a line.
        assert_eq!(plan.memory(&shapes).unwrap().peak(), 64);
        let traffic = plan.traffic(&shapes, &|input| inputs[input]);
        let numbers = |count: usize| 4 * count;
        let first = Traffic { ops: 12, loaded: numbers(3 + 6), stored: numbers(3 + 6 + 1) };
        let second = Traffic { ops: 3, loaded: numbers(3 + 1), stored: numbers(3) };
        assert_eq!(traffic, [first, second]);
    }

    #[test]
    #[should_panic(expected = "no step writes an output: kernel")]
    fn an_output_that_no_step_writes_is_refused() {
        Plan::outline(&parse("x").unwrap());
    }

    #[test]
    #[should_panic(expected = "no step writes an output: kernel")]
    fn an_output_twice_is_refused() {
        let mut graph = parse("fused(x) { x * 2 }").unwrap();
        graph.output(graph.outputs()[0]);
        Plan::outline(&graph);
    }
}
