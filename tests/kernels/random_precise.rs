//! Random kernels in Precise against the exact numbers: what is written may be rounded so much, and what it is
//! rewritten to may be no worse. That the bits are those of any emitter, number of threads and layout, is
//! tested in `random_mixed.rs`. `KILN_SEED` and `KILN_CASES` try others.

use super::random_mixed::drawing::{Drawing, Value};
use super::random_mixed::memory::{Elements, Memory, ORDERS, Order};
use super::random_rows::set;
use common::Rng;
use common::balls::{Balls, outputs};
use kiln::{CompileOptions, DType, Graph, Mode, Tensor, View, compile_with};
use kiln_ir::{Array, parse};

/// Lengths about vectors, stripes and blocks.
const LENGTHS: [usize; 14] = [0, 1, 7, 53, 63, 64, 65, 511, 512, 513, 1023, 1024, 1025, 3000];
const ROWS: [usize; 6] = [1, 2, 3, 5, 17, 40];
/// Most elements of an array: the reference is slow.
const MOST: usize = 8_000;

/// What was compared.
#[derive(Debug, Default)]
struct Seen {
    /// Kernels that gave results, and nodes of the largest.
    ran: usize,
    nodes: usize,
    /// Elements of floats, and those of them of which something is known, and four digits at least.
    elements: usize,
    bounded: usize,
    narrow: usize,
    /// The largest error, of what it may be.
    largest: f64,
}

/// A kernel and its inputs.
struct Case {
    graph: Graph,
    inputs: Vec<Elements>,
    orders: Vec<Order>,
    about: String,
}

impl Case {
    /// `None` where the text has an error of types or shapes.
    fn draw(seed: u64) -> Option<Case> {
        let mut rng = Rng::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let dtype = DType::F32;
        let (m, n) = (rng.pick(&ROWS), rng.pick(&LENGTHS));
        let m = m.min((MOST / n.max(1)).max(1));
        let names = ["x", "y", "g", "s", "c", "t"];
        let shapes = [vec![m, n], vec![m, n], vec![n], vec![m, 1], vec![], vec![2, 3, n.min(64)]];
        let value = |(name, shape): (&str, &Vec<usize>)| Value {
            name: name.into(),
            dtype,
            shape: shape.clone(),
        };
        let mut values: Vec<Value> = names.into_iter().zip(&shapes).map(value).rev().collect();
        values.push(values[values.len() - 1].clone());
        let has_sizes = rng.below(3) == 0;
        let mut drawing = Drawing { rng: &mut rng, dtype, values, lets: String::new(), has_sizes };
        for _ in 0..2 + drawing.rng.below(16) {
            drawing.step();
        }
        let mut outputs = vec![drawing.values[drawing.values.len() - 1].name.clone()];
        for _ in 0..drawing.rng.below(3) {
            outputs.push(drawing.value().name);
        }
        let params: Vec<String> = names.iter().map(|name| format!("{name}: f32[..]")).collect();
        let (lets, outputs) = (drawing.lets, outputs.join(", "));
        let text = format!("kernel k({}, i: i64[3]) {{ {lets}({outputs}) }}", params.join(", "));
        let graph = parse(&text).ok()?;
        let is_shared = rng.below(3) == 0;
        let mut inputs: Vec<Elements> = match is_shared {
            true => Elements::windows(&mut rng, dtype, &shapes, 0),
            false => shapes.iter().map(|s| Elements::draw(&mut rng, dtype, s, 0)).collect(),
        };
        let places = [0i64, -1, 0].iter().flat_map(|place| place.to_le_bytes()).collect();
        inputs.push(Elements {
            dtype: DType::I64,
            shape: vec![3],
            bytes: places,
            repeats: false,
            shared: None,
        });
        let order = |_| if is_shared { Order::Shared } else { rng.pick(&ORDERS) };
        let orders = inputs.iter().map(order).collect();
        let about = format!("seed {seed}: {text}\n{m} rows of {n}");
        Some(Case { graph, inputs, orders, about })
    }

    /// The numbers of its inputs.
    fn balls(&self) -> Vec<Balls> {
        let numbers = |elements: &Elements| {
            let shape = elements.shape.clone();
            let array = match elements.dtype {
                DType::F32 => {
                    let (words, _) = elements.bytes.as_chunks::<4>();
                    let data = words.iter().map(|word| f64::from(f32::from_le_bytes(*word)));
                    Array::new(DType::F64, shape, data.collect())
                }
                _ => {
                    let (words, _) = elements.bytes.as_chunks::<8>();
                    let data = words.iter().map(|word| i64::from_le_bytes(*word));
                    Array::new(DType::I64, shape, data.collect())
                }
            };
            Balls::known(array.expect("there is a number for each element"))
        };
        self.inputs.iter().map(numbers).collect()
    }

    /// What its kernel gives; nothing where shapes do not fit.
    fn results(&self) -> Option<Vec<Tensor>> {
        let kernel = compile_with(&self.graph, CompileOptions::new().mode(Mode::Precise))
            .unwrap_or_else(|error| panic!("{}: {error}", self.about));
        let memory = |(elements, order)| Memory::of(elements, order);
        let arrays: Vec<Memory> =
            self.inputs.iter().zip(self.orders.iter().copied()).map(memory).collect();
        let views: Vec<View<'_>> = arrays.iter().map(Memory::view).collect();
        kernel.run(&views).ok()
    }

    /// Where results are farther from the exact numbers than what is written may be.
    fn fault(&self, results: &[Tensor], seen: &mut Seen) -> Option<String> {
        let expected = outputs(&self.graph, &self.balls()).unwrap_or_else(|error| {
            panic!("{}: there is a result, and the reference says {error}", self.about)
        });
        for (index, (tensor, balls)) in results.iter().zip(&expected).enumerate() {
            assert_eq!(tensor.shape(), balls.exact.shape(), "output {index} of {}", self.about);
            let found: Vec<f64> = match tensor {
                Tensor::F32(array) => array.iter().copied().map(f64::from).collect(),
                Tensor::I32(array) => array.iter().copied().map(f64::from).collect(),
                Tensor::I64(array) => array.iter().map(|&number| number as f64).collect(),
                Tensor::Bool(array) => array.iter().copied().map(f64::from).collect(),
                other => panic!("{}: an output of {}", self.about, other.dtype()),
            };
            let is_float = matches!(tensor, Tensor::F32(_));
            let expected = balls.centres().into_iter().zip(balls.radii.iter().copied());
            for (at, (found, (exact, radius))) in found.into_iter().zip(expected).enumerate() {
                let error = (found - exact).abs();
                let is_bounded = radius.is_finite();
                if is_float {
                    seen.elements += 1;
                    seen.bounded += usize::from(is_bounded);
                    seen.narrow += usize::from(radius < 1e-4 * exact.abs());
                    if is_bounded && radius > 0.0 && error / radius > seen.largest {
                        seen.largest = error / radius;
                    }
                }
                let is_right = !is_bounded || error <= radius;
                if !is_right {
                    let shape = tensor.shape();
                    return Some(format!(
                        "{}\noutput {index} of {shape:?}, at {at}: {found:e}, not {exact:e} by {radius:e}",
                        self.about
                    ));
                }
            }
        }
        None
    }
}

/// Kernels that gave results, each with those.
fn ran(cases: u64) -> impl Iterator<Item = (u64, Case, Vec<Tensor>)> {
    let first = set("KILN_SEED", 1);
    let drawn = (first..first + cases).filter_map(|seed| Some((seed, Case::draw(seed)?)));
    drawn.filter_map(|(seed, case)| {
        let results = case.results()?;
        Some((seed, case, results))
    })
}

#[test]
fn precise_fusion_is_as_close_as_what_is_written_may_be() {
    let (cases, mut seen, mut faults) = (set("KILN_CASES", 120), Seen::default(), Vec::new());
    for (seed, case, results) in ran(cases) {
        seen.ran += 1;
        seen.nodes = seen.nodes.max(case.graph.nodes().len());
        if let Some(fault) = case.fault(&results, &mut seen) {
            println!("{fault}");
            faults.push(seed);
        }
    }
    println!("{seen:?}");
    assert!(faults.is_empty(), "seeds {faults:?}");
    // Else there is little that could be wrong.
    let half = |part: usize, whole: usize| 2 * part > whole;
    assert!(half(seen.ran, cases as usize) && half(seen.bounded, seen.elements), "{seen:?}");
    assert!(half(seen.narrow, seen.bounded), "{seen:?}");
}

/// Were results off by some more units in the last place, that would be seen.
#[test]
fn what_is_farther_off_is_seen() {
    for (units, least) in [(8, 15), (64, 25), (1024, 35)] {
        let off = |tensor: &Tensor| match tensor {
            Tensor::F32(array) => {
                Tensor::F32(array.mapv(|x| x * (1.0 + units as f32 * f32::EPSILON)))
            }
            other => other.clone(),
        };
        let is_seen = |(_, case, results): &(u64, Case, Vec<Tensor>)| {
            let results: Vec<Tensor> = results.iter().map(off).collect();
            case.fault(&results, &mut Seen::default()).is_some()
        };
        let seen = ran(50).filter(is_seen).count();
        println!("{units} units: {seen} of 50");
        assert!(seen >= least, "{units} units: {seen}");
    }
}
