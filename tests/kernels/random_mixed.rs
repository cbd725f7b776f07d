//! Random kernels of everything: elementwise ops, reductions, scans, products, views, concatenations
//! and gathers, of every element type. Each kernel is called with changing shapes and layouts and
//! back: the bits must be those of one kernel for each op, and in the other modes those of every
//! other emitter, number of threads and layout. `KILN_SEED` and `KILN_CASES` try others.

pub(crate) mod drawing;
pub(crate) mod memory;

use super::random_rows::set;
use common::Rng;
use common::runner::{Runner, runners};
use drawing::{Drawing, Value};
use kiln::{CompileOptions, DType, EmitterKind, Graph, Kernel, Mode, Tensor, View};
use kiln::{RunError, compile_with};
use kiln_ir::parse;
use memory::{Elements, Memory, ORDERS, Order};

/// Lengths about vectors, stripes and blocks.
const LENGTHS: [usize; 16] =
    [0, 1, 2, 7, 53, 63, 64, 65, 100, 511, 512, 513, 1023, 1024, 1025, 3000];
const ROWS: [usize; 7] = [1, 2, 3, 5, 17, 40, 70];
const TYPES: [DType; 9] = [
    DType::F32,
    DType::F32,
    DType::F32,
    DType::F64,
    DType::F16,
    DType::BF16,
    DType::I32,
    DType::I64,
    DType::U8,
];

/// Bits of every output, or why there are none.
type Results = Result<Vec<(DType, Vec<usize>, Vec<u64>)>, RunError>;

fn results(kernel: &Kernel, inputs: &[Memory]) -> Results {
    let views: Vec<View<'_>> = inputs.iter().map(Memory::view).collect();
    let of = |tensor: &Tensor| {
        let mut memory = Memory::new(tensor.dtype(), tensor.shape(), Order::Rows);
        copy(tensor, &mut memory);
        (tensor.dtype(), tensor.shape().to_vec(), memory.bits())
    };
    Ok(kernel.run(&views)?.iter().map(of).collect())
}

fn copy(tensor: &Tensor, memory: &mut Memory) {
    let bytes: Vec<u8> = match tensor {
        Tensor::F16(a) => a.iter().flat_map(|v| v.to_le_bytes()).collect(),
        Tensor::BF16(a) => a.iter().flat_map(|v| v.to_le_bytes()).collect(),
        Tensor::F32(a) => a.iter().flat_map(|v| v.to_le_bytes()).collect(),
        Tensor::F64(a) => a.iter().flat_map(|v| v.to_le_bytes()).collect(),
        Tensor::U8(a) => a.iter().copied().collect(),
        Tensor::I32(a) => a.iter().flat_map(|v| v.to_le_bytes()).collect(),
        Tensor::I64(a) => a.iter().flat_map(|v| v.to_le_bytes()).collect(),
        Tensor::Bool(a) => a.iter().map(|&v| u8::from(v)).collect(),
    };
    memory.bytes()[..bytes.len()].copy_from_slice(&bytes);
}

/// The same, written to arrays that lie so.
fn written(kernel: &Kernel, inputs: &[Memory], known: &Results, order: Order) -> Results {
    let Ok(known) = known else { return results(kernel, inputs) };
    let views: Vec<View<'_>> = inputs.iter().map(Memory::view).collect();
    let memory = |(dtype, shape, _): &(DType, Vec<usize>, _)| Memory::new(*dtype, shape, order);
    let mut outputs: Vec<Memory> = known.iter().map(memory).collect();
    kernel.run_into(&views, &mut outputs.iter_mut().map(Memory::view_mut).collect::<Vec<_>>())?;
    Ok(outputs.iter_mut().map(|o| (o.dtype, o.shape.clone(), o.bits())).collect())
}

fn difference(found: &Results, expected: &Results) -> Option<String> {
    let (found, expected) = match (found, expected) {
        (Ok(found), Ok(expected)) => (found, expected),
        (Err(_), Err(_)) => return None,
        (Err(error), Ok(_)) => return Some(format!("fails: {error}")),
        (Ok(_), Err(error)) => return Some(format!("does not fail: {error}")),
    };
    let at = found.iter().zip(expected).position(|(found, expected)| found != expected)?;
    let ((dtype, shape, a), (other, of, b)) = (&found[at], &expected[at]);
    if (dtype, shape) != (other, of) {
        return Some(format!("output {at} is {dtype}{shape:?}, not {other}{of:?}"));
    }
    let first = (0..a.len()).find(|&i| a[i] != b[i])?;
    let count = (0..a.len()).filter(|&i| a[i] != b[i]).count();
    let (a, b) = (a[first], b[first]);
    Some(format!("element {first} of output {at} {shape:?} is {a:#x}, not {b:#x}; {count} differ"))
}

/// What is called, and the arrays of two shapes.
struct Case {
    graph: Graph,
    about: String,
    arrays: [Vec<Elements>; 2],
    orders: Vec<Order>,
}

impl Case {
    /// `None` where the text has an error of types or shapes.
    fn draw(seed: u64) -> Option<Case> {
        let mut rng = Rng::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let dtype = rng.pick(&TYPES);
        let sizes = [0; 2].map(|_| (rng.pick(&ROWS), rng.pick(&LENGTHS)));
        let shapes = |(m, n): (usize, usize)| {
            [vec![m, n], vec![m, n], vec![n], vec![m, 1], vec![], vec![2, 3, n.min(64)]]
        };
        let names = ["x", "y", "g", "s", "c", "t"];
        let open = rng.below(2) == 0;
        let forms = ["[m, n]", "[m, n]", "[n]", "[m, 1]", "[]", "[2, 3, k]"];
        let ty = |form: &str| if open { "[..]".to_string() } else { form.to_string() };
        let params: Vec<String> = names
            .iter()
            .zip(forms)
            .map(|(name, form)| format!("{name}: {dtype}{}", ty(form)))
            .collect();
        let value = |(name, shape): (&str, Vec<usize>)| Value { name: name.into(), dtype, shape };
        let values = names.into_iter().rev().zip(shapes(sizes[0]).into_iter().rev()).map(value);
        let mut values: Vec<Value> = values.collect();
        values.push(values[values.len() - 1].clone());
        let has_sizes = rng.below(3) == 0;
        let mut drawing = Drawing { rng: &mut rng, dtype, values, lets: String::new(), has_sizes };
        let inputs = drawing.values.len();
        for _ in 0..2 + drawing.rng.below(14) {
            drawing.step();
        }
        if drawing.values.len() == inputs {
            return None;
        }
        let mut outputs = vec![drawing.values[drawing.values.len() - 1].name.clone()];
        for _ in 0..drawing.rng.below(3) {
            outputs.push(drawing.value().name);
        }
        let (lets, outputs) = (drawing.lets, outputs.join(", "));
        let text = format!("kernel k({}, i: i64[3]) {{ {lets}({outputs}) }}", params.join(", "));
        let graph = match parse(&text) {
            Ok(graph) => graph,
            Err(error) => {
                if std::env::var("KILN_REFUSED").is_ok() {
                    println!("{text}\n{error}");
                }
                return None;
            }
        };
        let special = rng.pick(&[0, 0, 3000, 100, 5]);
        let is_shared = rng.below(3) == 0;
        let arrays = sizes.map(|sizes| {
            let shapes = shapes(sizes);
            let array = |shape: &Vec<usize>| Elements::draw(&mut rng, dtype, shape, special);
            let mut arrays: Vec<Elements> = match is_shared {
                true => Elements::windows(&mut rng, dtype, &shapes, special),
                false => shapes.iter().map(array).collect(),
            };
            let places: Vec<u8> = [0i64, -1, 0].iter().flat_map(|i| i.to_le_bytes()).collect();
            arrays.push(Elements {
                dtype: DType::I64,
                shape: vec![3],
                bytes: places,
                repeats: false,
                shared: None,
            });
            arrays
        });
        let order = |_| if is_shared { Order::Shared } else { rng.pick(&ORDERS) };
        let orders: Vec<Order> = (0..7).map(order).collect();
        let windows = |elements: &Elements| elements.shared.as_ref().map(|shared| shared.1.clone());
        let windows: Vec<_> = arrays.iter().flatten().filter_map(windows).collect();
        let about = format!("seed {seed}: {text}\n{sizes:?}, {orders:?} {windows:?}");
        Some(Case { graph, about, arrays, orders })
    }

    fn compiled(&self, options: CompileOptions) -> Kernel {
        compile_with(&self.graph, options).unwrap_or_else(|e| panic!("{}: {e}", self.about))
    }

    /// The arrays of a shape, in rows or as drawn.
    fn memory(&self, which: usize, in_rows: bool, turn: usize) -> Vec<Memory> {
        let arrays = self.arrays[which].iter().enumerate();
        let order = |at: usize| match in_rows {
            true => Order::Rows,
            false => self.orders[(at + turn) % self.orders.len()],
        };
        arrays.map(|(at, elements)| Memory::of(elements, order(at))).collect()
    }

    /// What is wrong with it, and whether it gave results.
    fn fault(&self, kinds: &[EmitterKind], threads: &[usize], ran: &mut usize) -> Option<String> {
        let rows = [self.memory(0, true, 0), self.memory(1, true, 0)];
        let unfused =
            self.compiled(CompileOptions::unfused().emitter(EmitterKind::Interp).threads(1));
        let strict = [results(&unfused, &rows[0]), results(&unfused, &rows[1])];
        *ran += usize::from(strict[0].is_ok());
        for mode in [Mode::Strict, Mode::Precise] {
            let mut expected = (mode == Mode::Strict).then(|| strict.clone());
            for (&kind, &threads) in
                kinds.iter().flat_map(|kind| threads.iter().map(move |t| (kind, t)))
            {
                let options = CompileOptions::new().mode(mode).emitter(kind).threads(threads);
                let kernel = self.compiled(options);
                let fault = |what: &str, found: &Results, expected: &Results| {
                    let difference = difference(found, expected)?;
                    let about = format!("{mode}, {kind}, {threads} threads, {what}: {difference}");
                    Some(format!("{}\n{about}\n{}", self.about, kernel.graph()))
                };
                let expected = expected.get_or_insert_with(|| {
                    [results(&kernel, &rows[0]), results(&kernel, &rows[1])]
                });
                for (which, in_rows, turn) in [
                    (0, true, 0),
                    (0, false, 0),
                    (1, false, 1),
                    (1, true, 0),
                    (0, false, 2),
                    (0, true, 0),
                ] {
                    let inputs = self.memory(which, in_rows, turn);
                    let of = &expected[which];
                    if let Some(fault) =
                        fault(&format!("call {which} {turn}"), &results(&kernel, &inputs), of)
                    {
                        return Some(fault);
                    }
                    let order = match (in_rows, self.orders[turn]) {
                        (true, _) | (_, Order::Repeated) => Order::Rows,
                        (_, order) => order,
                    };
                    let found = written(&kernel, &inputs, of, order);
                    if let Some(fault) =
                        fault(&format!("into {order:?}, {which} {turn}"), &found, of)
                    {
                        return Some(fault);
                    }
                }
            }
        }
        None
    }
}

/// Whatever a kernel is made of, and whatever it was called with before, its bits are the same.
#[test]
fn no_call_changes_a_bit() {
    let native = |runner: &Runner| matches!(runner, Runner::Native(_));
    let kinds: Vec<EmitterKind> =
        runners().iter().filter(|r| native(r)).map(|runner| runner.kind()).collect();
    let (first, cases) = (set("KILN_SEED", 1), set("KILN_CASES", 12));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(7).build().unwrap();
    let (mut faults, mut drawn, mut ran) = (Vec::new(), 0, 0);
    for seed in first..first + cases {
        let Some(case) = Case::draw(seed) else { continue };
        drawn += 1;
        let attempt = || pool.install(|| case.fault(&kinds, &[1, 3 + seed as usize % 5], &mut ran));
        let fault = std::panic::catch_unwind(std::panic::AssertUnwindSafe(attempt));
        let fault = fault.unwrap_or_else(|_| Some(format!("{}\npanics", case.about)));
        if let Some(fault) = fault {
            println!("{fault}");
            faults.push(seed);
        }
    }
    println!("{drawn} of {cases} drawn, {ran} gave results");
    assert!(faults.is_empty(), "seeds {faults:?}");
    // Else there is little that could differ.
    assert!(2 * ran > cases as usize, "{drawn} drawn, {ran} gave results");
}
