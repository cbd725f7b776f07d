//! Random kernels with running sums and products in their midst: fused against unfused, bit by bit, on rows short and
//! long, along every axis, by every emitter, on several threads, wherever arrays lie. `KILN_SEED` and `KILN_CASES` try
//! others.

use super::random_mixed::memory::{Elements, Memory, ORDERS, Order};
use super::random_rows::{recent, set};
use common::Rng;
use common::runner::{Runner, runners};
use kiln::{CompileOptions, DType, EmitterKind, Graph, Kernel, Mode, View, compile_with};
use kiln_ir::parse;

/// Shapes with rows that are cut, that are not, and that are short, along each axis.
const SHAPES: [&[usize]; 17] = [
    &[1, 70_000],
    &[2, 30_001],
    &[7, 9000],
    &[6, 1025],
    &[70, 53],
    &[300, 7],
    &[64, 16],
    &[3000, 5],
    &[9000, 3],
    &[700, 130],
    &[20_000, 1],
    &[4, 3000, 5],
    &[40, 3, 70],
    &[3, 40, 8],
    &[2, 0],
    &[0, 3],
    &[1, 1],
];
const TYPES: [DType; 5] = [DType::F32, DType::F32, DType::F64, DType::I64, DType::U8];

/// The text of a kernel of arrays of this type, whose scans go along an axis, most of them.
fn draw_text(rng: &mut Rng, dtype: DType, axis: &str) -> String {
    let mut values = vec!["y".to_string(), "x".into()];
    let mut lets = String::new();
    for index in 0..2 + rng.below(7) {
        let (a, b) = (recent(rng, &values), recent(rng, &values));
        let axis = if rng.below(12) == 0 { rng.pick(&["-1", "0"]) } else { axis };
        let text = match (rng.below(12), dtype.is_float()) {
            (0..=3, _) => {
                format!("{}[{axis}]({a})", rng.pick(&["cumsum", "cumsum", "cumprod"]))
            }
            (4 | 5, true) => format!("{}({a})", rng.pick(&["exp", "tanh", "abs", "sigmoid"])),
            (6, true) => format!("softmax[{axis}]({a})"),
            (7, true) => format!("{a} / sum[{axis}]({b})"),
            (8, _) => format!("{a} - max[{axis}]({b})"),
            (9, _) => format!("select({a} < {b}, {a}, y)"),
            _ => format!("{a} {} {b}", rng.pick(&["+", "*", "-"])),
        };
        lets += &format!("let v{index} = {text}; ");
        values.push(format!("v{index}"));
    }
    let mut outputs = vec![values[values.len() - 1].clone()];
    for _ in 0..rng.below(3) {
        outputs.push(recent(rng, &values));
    }
    if rng.below(6) == 0 {
        outputs.push(format!("max[{axis}]({})", recent(rng, &values)));
    }
    format!("kernel k(x: {dtype}[..], y: {dtype}[..]) {{ {lets}({}) }}", outputs.join(", "))
}

struct Case {
    graph: Graph,
    about: String,
    arrays: [Elements; 2],
    orders: [Order; 3],
}

impl Case {
    /// `None` where there is no such kernel.
    fn draw(seed: u64) -> Option<Case> {
        let mut rng = Rng::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (dtype, shape) = (rng.pick(&TYPES), rng.pick(&SHAPES));
        let axis = rng.below(shape.len()).to_string();
        let text = draw_text(&mut rng, dtype, &axis);
        let graph = parse(&text).ok()?;
        let special = rng.pick(&[0, 0, 3000, 50]);
        let of_y = match rng.below(6) {
            0 => shape[shape.len() - 1..].to_vec(),
            _ => shape.to_vec(),
        };
        let arrays =
            [shape.to_vec(), of_y].map(|shape| Elements::draw(&mut rng, dtype, &shape, special));
        let order = |_| rng.pick(&ORDERS);
        let orders = [0, 1, 2].map(order);
        let about = format!("seed {seed}: {text}\n{shape:?}, {orders:?}");
        Some(Case { graph, about, arrays, orders })
    }

    fn kernel(&self, options: CompileOptions) -> Kernel {
        compile_with(&self.graph, options).unwrap_or_else(|e| panic!("{}: {e}", self.about))
    }

    fn memory(&self, orders: [Order; 2]) -> [Memory; 2] {
        [0, 1].map(|at| Memory::of(&self.arrays[at], orders[at]))
    }

    /// What is wrong with it.
    fn fault(&self, kinds: &[EmitterKind], threads: &[usize], seen: &mut Seen) -> Option<String> {
        let options = CompileOptions::unfused().emitter(EmitterKind::Interp).threads(1);
        let unfused = self.kernel(options);
        let rows = self.memory([Order::Rows; 2]);
        let expected = results(&unfused, &rows, None)?;
        seen.ran += 1;
        for (&kind, &threads) in
            kinds.iter().flat_map(|kind| threads.iter().map(move |t| (kind, t)))
        {
            let options = CompileOptions::new().mode(Mode::Strict).emitter(kind).threads(threads);
            let kernel = self.kernel(options);
            seen.fused += kernel.pass_count();
            seen.unfused += unfused.pass_count();
            let fault = |what: &str, found: &[Written]| {
                let at = found.iter().zip(&expected).position(|(found, of)| found.2 != of.2)?;
                let (found, of) = (&found[at], &expected[at]);
                let first = (0..of.2.len()).find(|&i| found.2[i] != of.2[i]);
                let about = format!("{kind}, {threads} threads, {what}: output {at}, {first:?}");
                Some(format!("{}\n{about}\n{}", self.about, kernel.graph()))
            };
            for (orders, into) in [
                ([Order::Rows; 2], None),
                ([self.orders[0], self.orders[1]], Some(self.orders[2])),
                ([Order::Rows, self.orders[2]], Some(self.orders[0])),
            ] {
                let memory = self.memory(orders);
                let into = into.filter(|&into| into != Order::Repeated);
                let found = results(&kernel, &memory, into.map(|into| (&expected[..], into)));
                let found = found.expect("the same kernel ran");
                if let Some(fault) = fault(&format!("{orders:?} into {into:?}"), &found) {
                    return Some(fault);
                }
            }
            let [mut array, other] = self.memory([Order::Rows; 2]);
            let is_able =
                matches!(&expected[..], [one] if one.1 == array.shape && one.0 == array.dtype);
            if is_able && kernel.run_in_place(array.view_mut(), &[other.view()]).is_ok() {
                seen.in_place += 1;
                let (dtype, shape) = (array.dtype, array.shape.clone());
                if let Some(fault) = fault("in place", &[(dtype, shape, array.bits())]) {
                    return Some(fault);
                }
            }
        }
        None
    }
}

/// What cases were like.
#[derive(Debug, Default)]
struct Seen {
    ran: usize,
    in_place: usize,
    /// Passes of all.
    fused: usize,
    unfused: usize,
}

type Written = (DType, Vec<usize>, Vec<u64>);

/// Bits of every output, which lies so where it is told; none where shapes do not fit.
fn results(
    kernel: &Kernel,
    inputs: &[Memory],
    into: Option<(&[Written], Order)>,
) -> Option<Vec<Written>> {
    let views: Vec<View<'_>> = inputs.iter().map(Memory::view).collect();
    let mut outputs: Vec<Memory> = match into {
        Some((known, order)) => {
            known.iter().map(|(dtype, shape, _)| Memory::new(*dtype, shape, order)).collect()
        }
        None => {
            let found = kernel.run(&views).ok()?;
            let memory = |t: &kiln::Tensor| Memory::new(t.dtype(), t.shape(), Order::Rows);
            found.iter().map(memory).collect()
        }
    };
    let mut written: Vec<_> = outputs.iter_mut().map(Memory::view_mut).collect();
    kernel.run_into(&views, &mut written).ok()?;
    Some(outputs.iter_mut().map(|o| (o.dtype, o.shape.clone(), o.bits())).collect())
}

#[test]
fn scans_in_kernels_change_no_bit() {
    let native = |runner: &&Runner| matches!(runner, Runner::Native(_));
    let kinds: Vec<EmitterKind> =
        runners().iter().filter(native).map(|runner| runner.kind()).collect();
    let (first, cases) = (set("KILN_SEED", 1), set("KILN_CASES", 40));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
    let (mut faults, mut seen) = (Vec::new(), Seen::default());
    for seed in first..first + cases {
        let Some(case) = Case::draw(seed) else { continue };
        let threads = [1, 2 + seed as usize % 3];
        // Of the slowest emitter, one in four.
        let few: Vec<EmitterKind> = kinds
            .iter()
            .copied()
            .filter(|&kind| kind != EmitterKind::Interp || seed.is_multiple_of(4))
            .collect();
        let attempt = || match seed % 2 {
            0 => case.fault(&few, &threads, &mut seen),
            _ => pool.install(|| case.fault(&few, &threads, &mut seen)),
        };
        let fault = std::panic::catch_unwind(std::panic::AssertUnwindSafe(attempt));
        let fault = fault.unwrap_or_else(|_| Some(format!("{}\npanics", case.about)));
        if let Some(fault) = fault {
            println!("{fault}");
            faults.push(seed);
        }
    }
    println!("{seen:?}");
    assert!(faults.is_empty(), "seeds {faults:?}");
    // Else there is little that could differ.
    assert!(2 * seen.ran > cases as usize, "{seen:?}");
    assert!(3 * seen.fused < 2 * seen.unfused, "{seen:?}");
}
