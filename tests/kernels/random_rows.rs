//! Random expressions with reductions: fused against unfused, bit by bit.
//!
//! Each case draws an expression, shapes, layouts and numbers, and runs it on every emitter of the
//! machine and several numbers of threads. `KILN_SEED` and `KILN_CASES` try others.

mod shared;

use common::Rng;
use common::runner::{Runner, runners};
use kiln::{
    CompileOptions, DType, EmitterKind, Graph, Kernel, Mode, RunError, Tensor, View, ViewMut,
    compile_with,
};
use kiln_ir::parse;
use ndarray::{ArrayD, Axis, IxDyn, ShapeBuilder, Slice};
use shared::Shared;

/// Lengths about vectors, stripes and blocks.
const LENGTHS: [usize; 17] =
    [0, 1, 7, 53, 63, 64, 65, 130, 200, 511, 512, 513, 1023, 1024, 1025, 3000, 20_000];
const ROWS: [usize; 5] = [1, 2, 3, 17, 70];

pub(super) const UNARY: &[&str] = &[
    "exp", "tanh", "abs", "sqrt", "neg", "tanh", "sigmoid", "recip", "floor", "relu", "square",
    "sin", "expm1", "erf", "softplus",
];
const BINARY: &[&str] = &["+", "-", "*", "/", "max", "min", "*", "-", "+"];
/// Of floats, floats.
const REDUCTIONS: &[&str] = &[
    "sum",
    "sum",
    "mean",
    "amax",
    "amin",
    "max",
    "min",
    "prod",
    "var",
    "std",
    "norm",
    "logsumexp",
    "count",
    "softmax",
    "log_softmax",
    "layer_norm",
    "rms_norm",
    "cumsum",
];
const SCALED: &[&str] = &["mean", "sum", "max"];

/// An expression: its inputs' types, and its text.
fn expression(rng: &mut Rng, dtype: DType) -> String {
    let types = match rng.below(3) {
        0 => ["[..]", "[..]", "[..]", "[..]", "[..]"],
        1 => ["[m, n]", "[m, n]", "[n]", "[m, 1]", "[]"],
        _ => ["[m, n]", "[..]", "[n]", "[..]", "[]"],
    };
    let names = ["x", "y", "g", "s", "c"];
    let used = 1 + rng.below(5);
    let params: Vec<String> =
        names.iter().zip(types).map(|(name, ty)| format!("{name}: {dtype}{ty}")).collect();
    let mut values: Vec<String> = names[..used].iter().map(|name| name.to_string()).collect();
    values.push("x".into());
    // Most have rows of one kind.
    let usual = rng.pick(&["-1", "-1", "-1", "1", "0", "..", "0, 1"]);
    let mut lets = String::new();
    for index in 0..1 + rng.below(20) {
        let a = recent(rng, &values);
        let b = recent(rng, &values);
        let axes = match rng.below(12) {
            0 => rng.pick(&["-1", "0", "..", "0, 1"]),
            _ => usual,
        };
        let text = match rng.below(20) {
            0..=3 => format!("{}({a})", rng.pick(UNARY)),
            4..=9 => binary(rng, &a, &b),
            10 => {
                let compare = rng.pick(&["<", ">=", "==", "!="]);
                let (c, d) = (recent(rng, &values), recent(rng, &values));
                format!("select({a} {compare} {b}, {c}, {d})")
            }
            11 => {
                let number = rng.pick(&["0.5", "2", "1e-3", "0", "-1.5"]);
                binary(rng, &a, number)
            }
            12 => match rng.below(4) {
                0 => format!("{dtype}(any[{axes}]({a} > {b}))"),
                1 => format!("{dtype}(all[{axes}]({a} < 3))"),
                2 => format!("{dtype}(argmax[{axes}]({a}))"),
                _ => format!("{dtype}(argmin[{axes}]({a}))"),
            },
            13 => format!("{}[{axes}]({a} * {b})", rng.pick(SCALED)),
            _ => match rng.pick(REDUCTIONS) {
                "cumsum" => format!("cumsum[{}]({a})", rng.pick(&["-1", "0"])),
                "norm" => format!("sqrt(sum[{axes}]({a} * {a}))"),
                by => format!("{by}[{axes}]({a})"),
            },
        };
        lets += &format!("let v{index} = {text}; ");
        values.push(format!("v{index}"));
    }
    let mut outputs: Vec<String> = vec![values[values.len() - 1].clone()];
    for _ in 0..rng.below(3) {
        outputs.push(recent(rng, &values));
    }
    if rng.below(12) == 0 {
        outputs.push(format!("argmax[{usual}]({})", recent(rng, &values)));
    }
    if rng.below(12) == 0 {
        let (a, b) = (recent(rng, &values), recent(rng, &values));
        outputs.push(format!("{a} <= {b}"));
    }
    let outputs = match &outputs[..] {
        [one] => one.clone(),
        all => format!("({})", all.join(", ")),
    };
    format!("kernel k({}) {{ {lets}{outputs} }}", params.join(", "))
}

pub(super) fn recent(rng: &mut Rng, values: &[String]) -> String {
    let back = match rng.below(3) {
        0 => rng.below(values.len()),
        _ => rng.below(values.len().min(4)),
    };
    values[values.len() - 1 - back].clone()
}

fn binary(rng: &mut Rng, a: &str, b: &str) -> String {
    match rng.pick(BINARY) {
        by @ ("max" | "min") => format!("{by}({a}, {b})"),
        by => format!("{a} {by} {b}"),
    }
}

/// Where the elements of an array lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Order {
    Rows,
    Columns,
    Backwards(usize),
    Apart(usize),
    /// Rows are the beginnings of rows so long.
    Pitched(usize),
}

pub(super) const ORDERS: [Order; 7] = [
    Order::Rows,
    Order::Rows,
    Order::Columns,
    Order::Backwards(0),
    Order::Backwards(1),
    Order::Apart(1),
    Order::Apart(0),
];

/// An array of this shape, its elements in this order.
fn empty<T: Clone + Default>(shape: &[usize], order: Order) -> ArrayD<T> {
    let axis = |at: usize| Axis(at.min(shape.len().saturating_sub(1)));
    match order {
        _ if shape.is_empty() => ArrayD::default(IxDyn(shape)),
        Order::Rows => ArrayD::default(IxDyn(shape)),
        Order::Columns => ArrayD::default(IxDyn(shape).f()),
        Order::Backwards(at) => {
            let mut array = ArrayD::default(IxDyn(shape));
            array.invert_axis(axis(at));
            array
        }
        Order::Apart(at) => {
            let mut wide = shape.to_vec();
            wide[axis(at).index()] = 3 * shape[axis(at).index()] + 1;
            let mut array = ArrayD::default(IxDyn(&wide));
            array.slice_axis_inplace(axis(at), Slice::new(1, None, 3));
            array
        }
        Order::Pitched(pitch) => {
            let (last, mut wide) = (shape.len() - 1, shape.to_vec());
            wide[last] = pitch.max(shape[last]);
            let mut array = ArrayD::default(IxDyn(&wide));
            array.slice_axis_inplace(Axis(last), Slice::from(..shape[last]));
            array
        }
    }
}

fn zeros(dtype: DType, shape: &[usize], order: Order) -> Tensor {
    match dtype {
        DType::F32 => Tensor::F32(empty(shape, order)),
        DType::F64 => Tensor::F64(empty(shape, order)),
        DType::Bool => Tensor::Bool(empty(shape, order)),
        DType::I64 => Tensor::I64(empty(shape, order)),
        other => unreachable!("no expression gives {other}"),
    }
}

pub(super) fn array(
    rng: &mut Rng,
    dtype: DType,
    shape: &[usize],
    order: Order,
    special: usize,
) -> Tensor {
    let mut tensor = zeros(dtype, shape, order);
    let scale = rng.pick(&[0.1, 1.0, 4.0, 50.0]);
    let mut element = || match special > 0 && rng.below(special) == 0 {
        true => rng.pick(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.0, 1e30, -1e-40]),
        false => (rng.below(1 << 20) as f64 / (1 << 19) as f64 - 1.0) * scale,
    };
    match &mut tensor {
        Tensor::F32(array) => array.iter_mut().for_each(|x| *x = element() as f32),
        Tensor::F64(array) => array.iter_mut().for_each(|x| *x = element()),
        _ => unreachable!("inputs are floats"),
    }
    tensor
}

/// What stands for a NaN, itself the bits of one.
const NAN: u64 = u64::MAX;

/// Bits of every element, any NaN as one NaN.
fn bits(tensor: &Tensor) -> Vec<u64> {
    match tensor {
        Tensor::F32(a) => {
            a.iter().map(|v| if v.is_nan() { NAN } else { v.to_bits().into() }).collect()
        }
        Tensor::F64(a) => a.iter().map(|v| if v.is_nan() { NAN } else { v.to_bits() }).collect(),
        Tensor::Bool(a) => a.iter().map(|&v| v.into()).collect(),
        Tensor::I64(a) => a.iter().map(|&v| v as u64).collect(),
        other => unreachable!("no expression gives {}", other.dtype()),
    }
}

type Results = Result<Vec<Tensor>, String>;

fn told(error: RunError) -> String {
    error.to_string()
}

fn views(inputs: &[Tensor]) -> Vec<View<'_>> {
    inputs.iter().map(Tensor::view).collect()
}

/// Where `found` is not `expected`.
fn difference(found: &Results, expected: &Results) -> Option<String> {
    let (found, expected) = match (found, expected) {
        (Ok(found), Ok(expected)) => (found, expected),
        (Err(_), Err(_)) => return None,
        (Err(error), Ok(_)) => return Some(format!("fails: {error}")),
        (Ok(_), Err(error)) => return Some(format!("does not fail: {error}")),
    };
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        if found.shape() != expected.shape() || found.dtype() != expected.dtype() {
            let (a, b) = (found.shape(), expected.shape());
            return Some(format!("output {index} has the shape {a:?}, not {b:?}"));
        }
        let (a, b) = (bits(found), bits(expected));
        if let Some(at) = (0..a.len()).find(|&at| a[at] != b[at]) {
            let count = (0..a.len()).filter(|&at| a[at] != b[at]).count();
            let (a, b) = (a[at], b[at]);
            let what = format!("element {at} of output {index} of {:?}", found.shape());
            return Some(format!("{what} is {a:#x}, not {b:#x}; {count} differ"));
        }
    }
    None
}

/// What cases were like.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Those that gave results.
    pub(super) ran: usize,
    /// Those with results that are not all NaN.
    pub(super) numbers: usize,
    /// Passes over memory, fused and not.
    pub(super) fused: usize,
    pub(super) unfused: usize,
}

pub(super) struct Case {
    pub(super) graph: Graph,
    pub(super) inputs: Vec<Tensor>,
    pub(super) about: String,
    pub(super) into: [Order; 4],
    /// Where the inputs' elements lie, if that is in one memory.
    pub(super) shared: Option<Shared>,
}

impl Case {
    /// Often, the same with inputs that share memory.
    pub(super) fn or_shared(self, rng: &mut Rng, special: usize) -> Case {
        if rng.below(3) == 0 { self.share(rng, special) } else { self }
    }

    /// The same with inputs that are windows of one memory, and results whose rows lie as far apart as those of the
    /// first one.
    pub(super) fn share(mut self, rng: &mut Rng, special: usize) -> Case {
        let shapes: Vec<_> = self.inputs.iter().map(|tensor| tensor.shape().to_vec()).collect();
        let shared = Shared::draw(rng, self.inputs[0].dtype(), &shapes, special);
        self.inputs = shared.apart();
        if let [.., row, _] = shared.windows[0].steps[..] {
            self.into[..2].fill(Order::Pitched(row.unsigned_abs()));
        }
        self.about += &format!("\nof one memory: {:?}", shared.windows);
        self.shared = Some(shared);
        self
    }

    /// The inputs, where they lie.
    fn views(&self) -> Vec<View<'_>> {
        self.shared.as_ref().map_or_else(|| views(&self.inputs), Shared::views)
    }

    /// `None` where the expression has an error of types or shapes.
    fn draw(seed: u64) -> Option<Case> {
        let mut rng = Rng::new(seed.wrapping_mul(0x9e37_79b9));
        let rng = &mut rng;
        let dtype = rng.pick(&[DType::F32, DType::F32, DType::F64]);
        let text = expression(rng, dtype);
        let graph = parse(&text).ok()?;
        let (mut rows, mut n) = (rng.pick(&ROWS), rng.pick(&LENGTHS));
        if n > 3000 {
            rows = rows.min(3);
        }
        if rng.below(8) == 0 {
            (rows, n) = (n, rows);
        }
        let shapes: [&[usize]; 5] = [&[rows, n], &[rows, n], &[n], &[rows, 1], &[]];
        // Open shapes may be any that broadcast.
        let mut shapes = shapes.map(|shape| shape.to_vec());
        if rng.below(4) == 0 {
            let forms = [vec![1, n], vec![rows, 1], vec![n], vec![2, rows, n], vec![2, 1, n]];
            for (shape, input) in shapes.iter_mut().zip(graph.inputs()) {
                if rng.below(2) == 0 && input.to_string().ends_with("[..]") {
                    *shape = forms[rng.below(forms.len())].clone();
                }
            }
        }
        let special = rng.pick(&[0, 0, 0, 3000, 100, 5]);
        let mixed = rng.below(2) == 0;
        let orders = [0; 5].map(|_| if mixed { rng.pick(&ORDERS) } else { Order::Rows });
        let mut inputs = Vec::new();
        for (shape, order) in shapes.iter().zip(orders) {
            inputs.push(array(rng, dtype, shape, order, special));
        }
        let into = [0; 4].map(|_| rng.pick(&ORDERS));
        let about = format!("seed {seed}: {text}\n{shapes:?}, {orders:?} into {into:?}");
        Some(Case { graph, inputs, about, into, shared: None }.or_shared(rng, special))
    }

    fn compiled(&self, options: CompileOptions) -> Kernel {
        compile_with(&self.graph, options).unwrap_or_else(|e| panic!("{}: {e}", self.about))
    }

    /// What is wrong with it.
    pub(super) fn fault(
        &self,
        kinds: &[EmitterKind],
        threads: &[usize],
        seen: &mut Seen,
    ) -> Option<String> {
        let unfused = CompileOptions::unfused().emitter(EmitterKind::Interp).threads(1);
        let expected = self.compiled(unfused).run(&views(&self.inputs)).map_err(told);
        if let Ok(results) = &expected {
            let is_number = |tensor: &Tensor| !bits(tensor).iter().all(|&bits| bits == NAN);
            seen.ran += 1;
            seen.numbers += usize::from(results.iter().any(is_number));
            let passes = |options| self.compiled(options).pass_count();
            seen.fused += passes(CompileOptions::new().mode(Mode::Strict));
            seen.unfused += passes(CompileOptions::unfused());
        }
        for &kind in kinds {
            let fault = |what: &str, kernel: &Kernel, found: &Results| {
                let difference = difference(found, &expected)?;
                Some(format!("{}\n{kind}, {what}: {difference}\n{}", self.about, kernel.graph()))
            };
            if kind != EmitterKind::Interp || self.shared.is_some() {
                let kernel = self.compiled(CompileOptions::unfused().emitter(kind).threads(1));
                let found = kernel.run(&self.views()).map_err(told);
                if let Some(fault) = fault("unfused", &kernel, &found) {
                    return Some(fault);
                }
            }
            for &threads in threads {
                let options =
                    CompileOptions::new().mode(Mode::Strict).emitter(kind).threads(threads);
                let kernel = self.compiled(options);
                let found = kernel.run(&self.views()).map_err(told);
                if let Some(fault) = fault(&format!("{threads} threads"), &kernel, &found) {
                    return Some(fault);
                }
                let Ok(known) = &expected else { continue };
                let mut targets: Vec<Tensor> = known
                    .iter()
                    .zip(self.into.iter().cycle())
                    .map(|(tensor, &order)| zeros(tensor.dtype(), tensor.shape(), order))
                    .collect();
                let mut outputs: Vec<ViewMut<'_>> =
                    targets.iter_mut().map(Tensor::view_mut).collect();
                let done = kernel.run_into(&self.views(), &mut outputs).map_err(told);
                drop(outputs);
                let found = done.map(|()| targets);
                if let Some(fault) = fault(&format!("into, {threads}"), &kernel, &found) {
                    return Some(fault);
                }
                let fits = |tensor: &Tensor| {
                    tensor.shape() == self.inputs[0].shape()
                        && tensor.dtype() == self.inputs[0].dtype()
                };
                if let Some(place) = known.iter().position(fits) {
                    let mut state = self.inputs[0].clone();
                    let mut targets = known.clone();
                    let done = {
                        let strides = state.view().strides().to_vec();
                        let base = match &mut state {
                            Tensor::F32(array) => array.as_mut_ptr().cast::<u8>(),
                            Tensor::F64(array) => array.as_mut_ptr().cast(),
                            _ => unreachable!("inputs are floats"),
                        };
                        let (dtype, shape) = (known[place].dtype(), known[place].shape());
                        let mut inputs = self.views();
                        // SAFETY: it is the memory of `state`, which nothing else uses meanwhile.
                        inputs[0] = unsafe { View::from_raw(base, dtype, shape, &strides) };
                        let mut outputs: Vec<ViewMut<'_>> =
                            targets.iter_mut().map(Tensor::view_mut).collect();
                        // SAFETY: as above; an output may be exactly an input.
                        outputs[place] = unsafe { ViewMut::from_raw(base, dtype, shape, &strides) };
                        kernel.run_into(&inputs, &mut outputs)
                    };
                    // Several passes may read it later.
                    if matches!(done, Err(RunError::InPlace { .. } | RunError::Overlap { .. })) {
                        continue;
                    }
                    targets[place] = state;
                    let done = done.map_err(told);
                    let found = done.map(|()| targets);
                    if let Some(fault) = fault(&format!("in place, {threads}"), &kernel, &found) {
                        return Some(fault);
                    }
                }
            }
        }
        None
    }
}

pub(super) fn set(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// The bits of a strictly fused kernel are those of one kernel for each op.
#[test]
fn strict_fusion_changes_no_bit() {
    let native = |runner: &Runner| matches!(runner, Runner::Native(_));
    let kinds: Vec<EmitterKind> =
        runners().iter().filter(|r| native(r)).map(|runner| runner.kind()).collect();
    let (first, cases) = (set("KILN_SEED", 1), set("KILN_CASES", 40));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(7).build().unwrap();
    let mut faults = Vec::new();
    let mut seen = Seen::default();
    for seed in first..first + cases {
        let Some(case) = Case::draw(seed) else { continue };
        if let Some(fault) = pool.install(|| case.fault(&kinds, &[1, 2, 7], &mut seen)) {
            println!("{fault}");
            faults.push(seed);
        }
    }
    println!("{seen:?}");
    assert!(faults.is_empty(), "seeds {faults:?}");
    // Else there is little that could differ.
    let half = cases as usize / 2;
    assert!(seen.ran > half && seen.numbers > half && 2 * seen.fused < seen.unfused, "{seen:?}");
}
