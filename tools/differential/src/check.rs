//! What must hold of every case.

use crate::array::{Elements, Layout, Placed, differ};
use crate::draw::{Case, array};
use crate::judge::{Fault, judge};
use crate::rng::Rng;
use kiln::internals::cpu::Cpu;
use kiln::ir::{Node, NodeId, Op, Scalar, eval, parse, verify};
use kiln::{CompileOptions, DType, EmitterKind, Graph, Kernel, Mode, View, compile_with};
use std::cell::RefCell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a case is tried with.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Machine code, or the interpreter, of each mode; it must have the bits of the interpreter.
    pub(crate) runs: Vec<(Mode, EmitterKind)>,
    /// How each input lies in memory.
    pub(crate) layouts: Vec<Layout>,
    pub(crate) threads: usize,
    /// Whether each op is compared with its reference.
    pub(crate) each_op: bool,
}

/// Emitters of machine code that this machine can run.
pub(crate) fn emitters() -> Vec<EmitterKind> {
    let cpu = Cpu::host();
    let kinds = [EmitterKind::Cranelift, EmitterKind::Avx2, EmitterKind::Avx512];
    kinds
        .into_iter()
        .filter(|kind| match kind {
            EmitterKind::Avx512 => cpu.avx512,
            EmitterKind::Avx2 => cpu.avx2,
            _ => true,
        })
        .collect()
}

impl Plan {
    /// A plan for the seed of a case.
    pub(crate) fn draw(case: &Case, seed: u64, aligned: bool) -> Plan {
        let mut rng = Rng::new(!seed);
        let native = emitters();
        // Cranelift takes as long as all else together.
        let one = |rng: &mut Rng| {
            let fast: Vec<EmitterKind> =
                native.iter().copied().filter(|&kind| kind != EmitterKind::Cranelift).collect();
            if fast.is_empty() || rng.one_in(6) { rng.pick(&native) } else { rng.pick(&fast) }
        };
        let modes: &[Mode] = match rng.below(10) {
            0..=3 => &[Mode::Strict],
            4..=6 => &[Mode::Precise],
            7 | 8 => &[Mode::Strict, Mode::Precise],
            _ => &[Mode::Precise, Mode::Fast],
        };
        let mut runs: Vec<_> = modes.iter().map(|&mode| (mode, one(&mut rng))).collect();
        if rng.one_in(10) {
            let mode = rng.pick(&Mode::ALL);
            runs.extend(native.iter().map(|&emitter| (mode, emitter)));
        }
        // Products read their operands in the order that suits their layout.
        let plain = case.has_matmul() || rng.one_in(3);
        let layout = |_: &Elements| if plain { Layout::Contiguous } else { Layout::draw(&mut rng) };
        let mut layouts: Vec<Layout> = case.inputs.iter().map(layout).collect();
        for (layout, input) in layouts.iter_mut().zip(&case.inputs) {
            if let (Layout::Records { gap, .. }, true) = (layout, aligned) {
                *gap *= input.dtype.size();
            }
        }
        Plan { runs, layouts, threads: 1 + rng.below(2), each_op: rng.one_in(6) }
    }

    /// Everything, of inputs as they are.
    pub(crate) fn full(case: &Case) -> Plan {
        let emitters = emitters();
        let runs = Mode::ALL.iter().flat_map(|&m| emitters.iter().map(move |&e| (m, e))).collect();
        Plan {
            runs,
            layouts: vec![Layout::Contiguous; case.inputs.len()],
            threads: 1,
            each_op: true,
        }
    }
}

/// What was wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A panic, by its message.
    Panic(String),
    /// A typed error where there should be none.
    Refused(String),
    /// Printed and read back, it is another graph.
    RoundTrip,
    /// A mode changed names, types or shapes.
    Signature(Mode),
    /// Strict mode changed bits.
    Strict,
    /// An emitter, a layout or a number of threads changed bits.
    Bits(Mode, EmitterKind),
    /// A mode broke its promise.
    Promise(Mode, Fault),
    /// An op is not what its reference says.
    Reference(Op),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Panic(message) => {
                let line = message.lines().next().unwrap_or_default();
                write!(f, "panic: {line}")
            }
            Kind::Refused(message) => write!(f, "refused: {message}"),
            Kind::RoundTrip => f.write_str("round-trip"),
            Kind::Signature(mode) => write!(f, "signature-{mode}"),
            Kind::Strict => f.write_str("strict-bits"),
            Kind::Bits(mode, emitter) => write!(f, "bits-{mode}-{emitter}"),
            Kind::Promise(mode, fault) => write!(f, "{mode}-{fault:?}"),
            Kind::Reference(op) => write!(f, "reference-{}", op.name()),
        }
    }
}

impl Kind {
    /// Whether two are one kind of failure, to shrink by.
    pub(crate) fn is_like(&self, other: &Kind) -> bool {
        match (self, other) {
            (Kind::Panic(a), Kind::Panic(b)) => without_numbers(a) == without_numbers(b),
            (Kind::Refused(_), Kind::Refused(_)) => true,
            _ => self == other,
        }
    }
}

/// The first line of a message, each number in it as `#`.
pub(crate) fn without_numbers(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let mut text = String::new();
    for c in line.chars() {
        match (c.is_ascii_digit(), text.ends_with('#')) {
            (true, true) => {}
            (true, false) => text.push('#'),
            (false, _) => text.push(c),
        }
    }
    text
}

/// A failure, where it was seen.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    /// The output and the element, if it is about one.
    pub(crate) place: Option<(usize, usize)>,
    /// The shape of that output.
    pub(crate) shape: Vec<usize>,
    pub(crate) detail: String,
}

impl Failure {
    fn new(kind: Kind, detail: String) -> Failure {
        Failure { kind, place: None, shape: Vec::new(), detail }
    }
}

thread_local! {
    static MESSAGE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps the message of a panic instead of printing it.
pub(crate) fn catch_messages() {
    std::panic::set_hook(Box::new(|info| {
        let place =
            info.location().map_or(String::new(), |at| format!(" at {}:{}", at.file(), at.line()));
        let text = info.payload_as_str().unwrap_or("a panic").to_string();
        let first = text.lines().next().unwrap_or_default().to_string();
        MESSAGE.with_borrow_mut(|message| *message = format!("{first}{place}\n{text}"));
    }));
}

/// The first failure of a case.
pub(crate) fn check(case: &Case, plan: &Plan) -> Option<Failure> {
    match catch_unwind(AssertUnwindSafe(|| try_all(case, plan))) {
        Ok(failure) => failure,
        Err(_) => {
            let message = MESSAGE.with_borrow(Clone::clone);
            Some(Failure::new(Kind::Panic(message.clone()), message))
        }
    }
}

fn try_all(case: &Case, plan: &Plan) -> Option<Failure> {
    if let Err(fault) = verify(&case.graph) {
        return Some(Failure::new(
            Kind::Refused(format!("the drawn graph: {fault}")),
            String::new(),
        ));
    }
    let text = case.graph.to_string();
    match parse(&text) {
        Ok(read) if read == case.graph => {}
        Ok(read) => {
            return Some(Failure::new(Kind::RoundTrip, format!("{text}\nis read as\n{read}")));
        }
        Err(error) => return Some(Failure::new(Kind::RoundTrip, format!("{text}\n{error}"))),
    }
    let contiguous: Vec<Placed> =
        case.inputs.iter().map(|input| Placed::new(input, Layout::Contiguous)).collect();
    let placed: Vec<Placed> = case
        .inputs
        .iter()
        .zip(&plan.layouts)
        .map(|(input, &layout)| Placed::new(input, layout))
        .collect();
    let written =
        match run(case, CompileOptions::unfused().emitter(EmitterKind::Interp), &contiguous) {
            Ok(written) => written,
            // Shapes that stay open until the call may not fit together. The reference says so too.
            Err(failure) => return reference(case).is_ok().then_some(failure),
        };
    if plan.each_op
        && let Some(failure) = check_ops(case, &contiguous)
    {
        return Some(failure);
    }
    let mut expected: Vec<(Mode, Vec<Elements>)> = Vec::new();
    for &(mode, emitter) in &plan.runs {
        let options = CompileOptions::new().mode(mode).threads(plan.threads);
        let got = match run(case, options.emitter(emitter), &placed) {
            Ok(got) => got,
            Err(failure) => return Some(failure),
        };
        for (index, (a, b)) in got.iter().zip(&written).enumerate() {
            if a.dtype != b.dtype || a.shape != b.shape {
                let detail = format!(
                    "output {index} is {:?}{:?}, not {:?}{:?}",
                    a.dtype, a.shape, b.dtype, b.shape
                );
                return Some(Failure::new(Kind::Signature(mode), detail));
            }
        }
        let known = expected.iter().position(|(known, _)| *known == mode);
        let reference = match known {
            _ if mode == Mode::Strict => &written,
            Some(at) => &expected[at].1,
            None => {
                expected.push((mode, got));
                continue;
            }
        };
        if let Some((output, index)) = difference(&got, reference) {
            // The interpreter tells which of the two it is.
            let interp = run(case, options.emitter(EmitterKind::Interp), &contiguous).ok()?;
            let same = difference(&interp, reference).is_none();
            let kind = if mode == Mode::Strict && !same {
                Kind::Strict
            } else {
                Kind::Bits(mode, emitter)
            };
            let [a, b, c] = [&got, reference, &interp].map(|all| all[output].bits[index]);
            let detail = format!(
                "{mode} {emitter}: output {output} at {index} is {a:#x}, not {b:#x}; the interpreter gives {c:#x}"
            );
            return Some(Failure {
                kind,
                place: Some((output, index)),
                shape: got[output].shape.clone(),
                detail,
            });
        }
    }
    let (_, got) = expected.iter().find(|(mode, _)| *mode == Mode::Precise)?;
    let failure = check_promise(case, &written, got)?;
    // Only now is it worth asking the interpreter: is the rewriting to blame, or the code?
    let options = CompileOptions::new().mode(Mode::Precise).emitter(EmitterKind::Interp);
    let interp = run(case, options, &contiguous).ok()?;
    let emitter = plan.runs.iter().find(|(mode, _)| *mode == Mode::Precise)?.1;
    match difference(got, &interp) {
        Some(_) => Some(Failure { kind: Kind::Bits(Mode::Precise, emitter), ..failure }),
        None => Some(failure),
    }
}

/// The outputs, as the reference interpreter computes them.
fn reference(case: &Case) -> Result<Vec<kiln::ir::Array>, String> {
    let arrays: Option<Vec<_>> = case.inputs.iter().map(array).collect();
    eval(&case.graph, &arrays.ok_or("no array")?).map_err(|error| error.to_string())
}

/// The outputs of a kernel compiled so.
fn run(case: &Case, options: CompileOptions, placed: &[Placed]) -> Result<Vec<Elements>, Failure> {
    let refused = |error: String| Failure::new(Kind::Refused(error), format!("{options:?}"));
    let kernel: Kernel = compile_with(&case.graph, options).map_err(|e| refused(e.to_string()))?;
    let views: Vec<View<'_>> = placed.iter().map(Placed::view).collect();
    let outputs = kernel.run(&views).map_err(|e| refused(e.to_string()))?;
    Ok(outputs.iter().map(Elements::of_tensor).collect())
}

/// The first element that differs.
fn difference(a: &[Elements], b: &[Elements]) -> Option<(usize, usize)> {
    a.iter().zip(b).enumerate().find_map(|(output, (a, b))| {
        let index = a.bits.iter().zip(&b.bits).position(|(&x, &y)| differ(a.dtype, x, y))?;
        Some((output, index))
    })
}

/// How many elements of each output are computed with 200 bits.
const JUDGED: usize = 6;

fn check_promise(case: &Case, written: &[Elements], got: &[Elements]) -> Option<Failure> {
    let products = case.has_matmul();
    for (output, (a, b)) in written.iter().zip(got).enumerate() {
        let mut judged = 0;
        for index in 0..a.bits.len() {
            if a.bits[index] == b.bits[index] {
                continue;
            }
            let values = [a.value(index), b.value(index)];
            if judged == JUDGED || !is_apart(a.dtype, values) {
                continue;
            }
            judged += 1;
            let place = (output, index);
            let fault = match products {
                // Without a true value, only check what needs none.
                true => matches!(values, [Scalar::Float(a), Scalar::Float(b)] if a.is_finite() && !b.is_finite())
                    .then_some(Fault::NanAtEdge),
                false => judge(&inlined(&case.graph), &case.inputs, output, &a.shape, index, values),
            };
            if let Some(fault) = fault {
                let detail = format!("as written {:?}, precise {:?}", values[0], values[1]);
                return Some(Failure {
                    kind: Kind::Promise(Mode::Precise, fault),
                    place: Some(place),
                    shape: a.shape.clone(),
                    detail,
                });
            }
        }
    }
    None
}

/// Whether two values are so far apart that it is worth a look.
fn is_apart(dtype: DType, values: [Scalar; 2]) -> bool {
    let [Scalar::Float(a), Scalar::Float(b)] = values else { return true };
    let epsilon = match dtype {
        DType::F16 => 2f64.powi(-10),
        DType::BF16 => 2f64.powi(-7),
        DType::F32 => 2f64.powi(-23),
        _ => f64::EPSILON,
    };
    let near = (a - b).abs() <= 8.0 * epsilon * a.abs();
    !near || a == 0.0
}

/// The graph without fused nodes: what it means.
fn inlined(graph: &Graph) -> Graph {
    let has_fused = graph.nodes().iter().any(|node| matches!(node, Node::Fused { .. }));
    if !has_fused {
        return graph.clone();
    }
    let mut flat = Graph::with_inputs(graph.name(), graph.inputs());
    let mut ids: Vec<NodeId> = Vec::new();
    for (id, node) in graph.iter() {
        let operands: Vec<NodeId> =
            node.operands().iter().map(|operand| ids[operand.index()]).collect();
        let copied = match node {
            Node::Fused { body, .. } => flat.copy_graph(body, &operands).map(|outputs| outputs[0]),
            Node::Item { .. } => Ok(operands[0]),
            _ => flat.copy_node(graph, id, &operands),
        };
        ids.push(copied.expect("it was valid before, and only fragments are fused, of one output"));
    }
    for output in graph.outputs() {
        flat.output(ids[output.index()]);
    }
    flat
}

/// Compares every op of the graph with its reference, on the operands that kernels computed.
fn check_ops(case: &Case, contiguous: &[Placed]) -> Option<Failure> {
    let graph = inlined(&case.graph);
    let mut all = graph.clone();
    let ops: Vec<_> =
        graph.iter().filter(|(_, node)| matches!(node, Node::Op(..))).map(|(id, _)| id).collect();
    let before = graph.outputs().len();
    ops.iter().for_each(|&id| all.output(id));
    let whole = Case { graph: all, inputs: case.inputs.clone() };
    let options = CompileOptions::unfused().emitter(EmitterKind::Interp);
    let mut results = run(&whole, options, contiguous).ok()?;
    let results = results.split_off(before);
    for (&id, result) in ops.iter().zip(&results) {
        let Node::Op(op, args) = graph.node(id) else { continue };
        let mut one = Graph::new("op");
        let mut operands: Vec<Elements> = Vec::new();
        let mut ids = Vec::new();
        for (index, &arg) in args.iter().enumerate() {
            let dtype = graph.dtype(arg);
            let elements = match graph.node(arg) {
                Node::Input(input) => case.inputs[*input as usize].clone(),
                Node::Const(bits) => {
                    let bits = crate::array::bits_of(dtype, Scalar::from_bits(dtype, *bits));
                    Elements { dtype, shape: vec![], bits: vec![bits] }
                }
                Node::Op(..) => results[ops.iter().position(|&o| o == arg)?].clone(),
                _ => break,
            };
            let name = format!("x{index}");
            ids.push(one.input(kiln::ir::Input { name, dtype, dims: None }).ok()?);
            operands.push(elements);
        }
        if ids.len() < args.len() {
            continue;
        }
        let output = one.op(*op, &ids).ok()?;
        one.output(output);
        let arrays: Vec<_> = operands.iter().map(array).collect::<Option<_>>()?;
        let expected = eval(&one, &arrays).ok()?.remove(0);
        for index in 0..result.bits.len() {
            let got = result.value(index);
            let want = match expected.dtype().is_integer() {
                true => Scalar::Integer(expected.integers()[index]),
                false => Scalar::Float(expected.data()[index]),
            };
            if !agrees(*op, result.dtype, got, want) {
                let at: Vec<Scalar> = operands
                    .iter()
                    .map(|operand| operand.value(operand.index_in(&result.shape, index)))
                    .collect();
                let detail = format!("{} of {at:?} is {got:?}, not {want:?}", op.name());
                return Some(Failure::new(Kind::Reference(*op), detail));
            }
        }
    }
    None
}

/// Whether a result is within the op's error bound of the reference, which itself errs a little.
fn agrees(op: Op, dtype: DType, got: Scalar, want: Scalar) -> bool {
    let (Scalar::Float(got), Scalar::Float(want)) = (got, want) else { return got == want };
    if (got.is_nan() && want.is_nan()) || got.to_bits() == want.to_bits() {
        return true;
    }
    if !got.is_finite() || !want.is_finite() || dtype == DType::Bool {
        // What is no finite number agrees with itself only.
        return false;
    }
    let (digits, least, own) = match dtype {
        DType::F32 => (23, -149, 0.5),
        DType::F64 => (52, -1074, 1.5),
        _ => return false,
    };
    let exponent = ((want.to_bits() >> 52 & 0x7ff) as i32 - 1023 - digits).max(least);
    op.max_ulp(dtype) > 0.0
        && (got - want).abs() <= (op.max_ulp(dtype) + own) * f64::from(exponent).exp2()
        && (got.is_sign_negative() == want.is_sign_negative())
}
