//! The same bits from every emitter, for every op, length, offset, layout and number of threads.
//!
//! The interpreter says what each element must be: it knows of no layout, for an element's result
//! depends on nothing but the element. Random graphs are in `random_bits.rs`.

use Class::{Column, Contiguous, Reversed, Row, Splat, Strided, Transposed};
use common::{Rng, differs, emitters};
use kiln::internals::emit::Code;
use kiln::internals::vir::{Routine, Storage, interp};
use kiln::internals::{Tier, Work, dtype, execute, op_program, op_program_in};
use kiln::{EmitterKind, Mode, View, ViewMut};
use kiln_ir::{DType, Derived, Op, Typing};

/// The longest of the short rows: two AVX-512 vectors of every unrolling, and a tail.
const LONGEST: usize = 131;
/// Rows of distinct values.
const ROWS: usize = 3;

/// How an operand lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Contiguous,
    /// Every second element.
    Strided,
    Reversed,
    Transposed,
    /// One element for all.
    Splat,
    /// One row for all rows.
    Row,
    /// One element for each row.
    Column,
}

/// Operands of one call, and what it must give.
struct Arrangement {
    inputs: Vec<Class>,
    outputs: Class,
    /// The input whose memory the first output is.
    in_place: Option<usize>,
    /// For which lengths, modulo the second number, it is tried: operands take turns.
    turn: (usize, usize),
    /// For each output, what element (i, j) is, at `i * LONGEST + j`.
    expected: Vec<Vec<u64>>,
}

impl Arrangement {
    fn rows(&self) -> usize {
        let two = |class: &Class| matches!(class, Transposed | Row | Column);
        if two(&self.outputs) || self.inputs.iter().any(two) { ROWS } else { 1 }
    }

    /// Rows and columns that are several blocks, so that threads have something to share: arrays
    /// are cut into blocks of 64 Ki elements, those that must be packed into blocks of 2 Ki.
    fn large(&self) -> [usize; 2] {
        let packed = |class: &Class| matches!(class, Strided | Reversed);
        match self.rows() {
            1 if packed(&self.outputs) || self.inputs.iter().any(packed) => [1, 9_001],
            1 => [1, 140_003],
            _ => [41, 263],
        }
    }
}

/// Where the value of element (i, j) is in a column of values.
fn index(class: Class, i: usize, j: usize) -> usize {
    let (i, j) = (i % ROWS, j % LONGEST);
    match class {
        Splat => 0,
        Row => j,
        Column => i * LONGEST,
        Contiguous | Strided | Reversed | Transposed => i * LONGEST + j,
    }
}

/// An operand in memory: bytes, and a view's base, shape and strides.
struct Placed {
    bytes: Vec<u8>,
    base: usize,
    shape: Vec<usize>,
    strides: Vec<isize>,
}

const BACKGROUND: u8 = 0xa5;
/// Bytes behind an operand that nobody may touch.
const GUARD: usize = 24;

impl Placed {
    /// An operand of `rows` times `n` elements, `offset` bytes from where the allocator puts it.
    fn new(class: Class, storage: Storage, [rows, n]: [usize; 2], offset: usize) -> Placed {
        let size = storage.size() as isize;
        let (shape, strides) = match class {
            Contiguous => (vec![rows, n], vec![n as isize * size, size]),
            Strided => (vec![rows, n], vec![2 * n as isize * size, 2 * size]),
            Reversed => (vec![rows, n], vec![n as isize * size, -size]),
            Transposed => (vec![rows, n], vec![size, rows as isize * size]),
            Splat => (vec![], vec![]),
            Row => (vec![n], vec![size]),
            Column => (vec![rows, 1], vec![size, size]),
        };
        let elements = match class {
            Strided => 2 * rows * n,
            _ => shape.iter().product(),
        };
        let bytes = vec![BACKGROUND; offset + elements * storage.size() + GUARD];
        let back = if class == Reversed { n.saturating_sub(1) * storage.size() } else { 0 };
        let (mut shape, mut strides) = (shape, strides);
        if rows == 1 && shape.len() == 2 {
            shape.remove(0);
            strides.remove(0);
        }
        Placed { bytes, base: offset + back, shape, strides }
    }

    /// Writes what element (i, j) is, for all of them.
    fn fill(
        &mut self,
        storage: Storage,
        [rows, n]: [usize; 2],
        value: impl Fn(usize, usize) -> u64,
    ) {
        for i in 0..rows {
            for j in 0..n {
                let (at, size) = (self.at(i, j), storage.size());
                self.bytes[at..at + size].copy_from_slice(&value(i, j).to_le_bytes()[..size]);
            }
        }
    }

    /// Where element (i, j) is.
    fn at(&self, i: usize, j: usize) -> usize {
        let steps = match (&self.strides[..], &self.shape[..]) {
            ([], _) => 0,
            ([column], _) => j as isize * column,
            ([row, _], [_, 1]) => i as isize * row,
            ([row, column], _) => i as isize * row + j as isize * column,
            _ => unreachable!("at most two axes"),
        };
        self.base.checked_add_signed(steps).unwrap()
    }
}

/// A program with its code from every emitter, and the values that its inputs take.
struct Subject {
    name: String,
    program: Routine,
    codes: Vec<Code>,
    /// For each input, `ROWS * LONGEST` elements.
    columns: Vec<Vec<u64>>,
}

impl Subject {
    fn new(name: String, program: Routine, rng: &mut Rng) -> Subject {
        let codes = emitters(&program);
        let mut element = |storage| match storage {
            Storage::Bool => rng.next() & 1,
            _ => rng.element(storage),
        };
        let mut column =
            |&storage: &Storage| (0..ROWS * LONGEST).map(|_| element(storage)).collect();
        let columns = program.inputs.iter().map(&mut column).collect();
        Subject { name, program, codes, columns }
    }

    fn arrangement(
        &self,
        inputs: Vec<Class>,
        outputs: Class,
        in_place: Option<usize>,
        turn: (usize, usize),
    ) -> Arrangement {
        let of = |(class, column): (&Class, &Vec<u64>)| -> Vec<u64> {
            let places = (0..ROWS * LONGEST).map(|at| index(*class, at / LONGEST, at % LONGEST));
            places.map(|place| column[place]).collect()
        };
        let gathered: Vec<Vec<u64>> = inputs.iter().zip(&self.columns).map(of).collect();
        let slices: Vec<&[u64]> = gathered.iter().map(Vec::as_slice).collect();
        let expected = interp::run(&self.program, &slices, ROWS * LONGEST);
        Arrangement { inputs, outputs, in_place, turn, expected }
    }

    /// Every layout class: of one input after the other and of all, of the outputs, in place.
    fn arrangements(&self) -> Vec<Arrangement> {
        let inputs = self.program.inputs.len();
        let all = |class| vec![class; inputs];
        let mut list = vec![self.arrangement(all(Contiguous), Contiguous, None, (0, 1))];
        for class in [Splat, Strided, Reversed, Transposed, Row, Column] {
            let turns = if inputs == 1 { 1 } else { inputs + 1 };
            for one in 0..turns {
                let of =
                    |at| if turns == 1 || one == at || one == inputs { class } else { Contiguous };
                let classes = (0..inputs).map(of).collect();
                list.push(self.arrangement(classes, Contiguous, None, (one, turns)));
            }
        }
        for class in [Strided, Reversed, Transposed] {
            list.push(self.arrangement(all(Contiguous), class, None, (0, 1)));
        }
        let output = self.program.outputs[0];
        let fitting: Vec<usize> =
            (0..inputs).filter(|&i| self.program.inputs[i] == output).collect();
        for (turn, &input) in fitting.iter().enumerate() {
            let turn = (turn, fitting.len());
            list.push(self.arrangement(all(Contiguous), Contiguous, Some(input), turn));
        }
        list
    }

    /// Runs every code on rows of `n` elements.
    fn check(&self, arrangement: &Arrangement, [rows, n]: [usize; 2]) {
        let Arrangement { inputs, outputs, in_place, expected, .. } = arrangement;
        let (program, shape) = (&self.program, [rows, n]);
        // Addresses fit no vector, and no element either.
        let offset = |operand: usize| (n + 5 * operand) % 17;
        let mut placed: Vec<Placed> = Vec::new();
        for (at, (&class, column)) in inputs.iter().zip(&self.columns).enumerate() {
            let storage = program.inputs[at];
            let mut operand = Placed::new(class, storage, shape, offset(at));
            operand.fill(storage, shape, |i, j| column[index(class, i, j)]);
            placed.push(operand);
        }
        let storages: Vec<Storage> = program.outputs.clone();
        let images: Vec<Placed> = storages
            .iter()
            .zip(expected)
            .enumerate()
            .map(|(at, (&storage, expected))| {
                let offset = match in_place {
                    Some(input) if at == 0 => offset(*input),
                    _ => offset(inputs.len() + at),
                };
                let mut image = Placed::new(*outputs, storage, shape, offset);
                image.fill(storage, shape, |i, j| expected[index(Contiguous, i, j)]);
                image
            })
            .collect();
        for code in &self.codes {
            // The interpreter takes element after element, so one length is like another; software
            // that stands in for a machine takes its time.
            let enough: &[usize] = match (code.emitter(), code.is_emulated()) {
                (EmitterKind::Interp, _) => &[0, 1, 7, LONGEST],
                (_, true) => &[0, 1, 7, 15, 16, 33, 64, 97, LONGEST, 263],
                _ => &[n],
            };
            if !enough.contains(&n) {
                continue;
            }
            let threads = if code.is_emulated() { 1 + n % 3..=1 + n % 3 } else { 1..=3 };
            for threads in threads {
                let mut results: Vec<Vec<u8>> =
                    images.iter().map(|image| vec![BACKGROUND; image.bytes.len()]).collect();
                if let Some(input) = *in_place {
                    results[0].copy_from_slice(&placed[input].bytes);
                }
                let shared = results[0].as_mut_ptr();
                let views: Vec<View<'_>> = placed
                    .iter()
                    .zip(&program.inputs)
                    .enumerate()
                    .map(|(at, (operand, &storage))| {
                        let memory = match in_place {
                            Some(input) if *input == at => shared.cast_const(),
                            _ => operand.bytes.as_ptr(),
                        };
                        let Placed { base, shape, strides, .. } = operand;
                        // SAFETY: `Placed` made the memory for this base, shape and strides.
                        unsafe {
                            View::from_raw(
                                memory.wrapping_add(*base),
                                dtype(storage),
                                shape,
                                strides,
                            )
                        }
                    })
                    .collect();
                let mut targets: Vec<ViewMut<'_>> = images
                    .iter()
                    .zip(&storages)
                    .zip(&mut results)
                    .enumerate()
                    .map(|(at, ((image, &storage), result))| {
                        let memory = if at == 0 { shared } else { result.as_mut_ptr() };
                        let Placed { base, shape, strides, .. } = image;
                        // SAFETY: as above, the image having the result's layout.
                        unsafe {
                            ViewMut::from_raw(
                                memory.wrapping_add(*base),
                                dtype(storage),
                                shape,
                                strides,
                            )
                        }
                    })
                    .collect();
                // So dear that two elements are worth a thread.
                let work = Work { threads: Some(threads), cost: 1e6, ..Work::default() };
                execute(code, &views, &mut targets, work).unwrap();
                for (at, (result, image)) in results.iter_mut().zip(&images).enumerate() {
                    if *result != image.bytes {
                        self.compare(result, image, at, shape, &|element| {
                            format!(
                                "{} by {}, {threads} threads, {n} elements, {rows} rows, inputs {inputs:?}, \
                                 output {outputs:?}, in place of {in_place:?}: output {at} {element}\n{program}",
                                self.name,
                                code.emitter(),
                            )
                        });
                    }
                }
            }
        }
    }

    /// Bytes that differ may be those of two NaN.
    fn compare(
        &self,
        result: &mut [u8],
        image: &Placed,
        output: usize,
        [rows, n]: [usize; 2],
        message: &dyn Fn(&str) -> String,
    ) {
        let storage = self.program.outputs[output];
        let size = storage.size();
        let read = |bytes: &[u8]| {
            let mut word = [0; 8];
            word[..size].copy_from_slice(bytes);
            u64::from_le_bytes(word)
        };
        for i in 0..rows {
            for j in 0..n {
                let range = image.at(i, j)..image.at(i, j) + size;
                let (got, want) = (read(&result[range.clone()]), read(&image.bytes[range.clone()]));
                if got == want {
                    continue;
                }
                let element = format!("({i}, {j}) is {got:#x}, not {want:#x}");
                assert!(!differs(storage, got, want), "{}", message(&element));
                result[range.clone()].copy_from_slice(&image.bytes[range]);
            }
        }
        assert!(*result == image.bytes[..], "{}", message("was written outside of its elements"));
    }
}

fn check_all(subjects: impl Iterator<Item = (String, Routine)>) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    let mut rng = Rng::new(1);
    for (name, program) in subjects {
        let subject = Subject::new(name, program, &mut rng);
        pool.install(|| {
            for arrangement in subject.arrangements() {
                let (turn, turns) = arrangement.turn;
                for n in (0..=LONGEST).filter(|n| n % turns == turn) {
                    subject.check(&arrangement, [arrangement.rows(), n]);
                }
                // The last turn is that of all inputs.
                if turn + 1 == turns {
                    subject.check(&arrangement, arrangement.large());
                }
            }
        });
    }
}

/// The ops of the table, one at a time, in each tier that makes a difference.
fn ops(dtype: DType) -> impl Iterator<Item = (String, Routine)> {
    Op::ALL.iter().flat_map(move |&op| {
        let usual = (format!("{} of {dtype}", op.name()), op_program(op, dtype));
        let fast = (format!("fast {}", usual.0), op_program_in(Tier::Fast, op, dtype));
        let differs = fast.1.to_string() != usual.1.to_string();
        [usual].into_iter().chain(differs.then_some(fast))
    })
}

/// The derived ops, rewritten in each mode where that makes a difference.
fn derived(dtype: DType) -> impl Iterator<Item = (String, Routine)> {
    kiln::derived::DERIVED.iter().flat_map(move |op: &Derived| {
        let required = op.parameters.iter().filter(|parameter| parameter.default.is_none());
        let names: Vec<&str> = required.map(|parameter| parameter.name).collect();
        let typed: Vec<String> = names.iter().map(|name| format!("{name}: {dtype}")).collect();
        let text =
            format!("kernel k({}) {{ {}({}) }}", typed.join(", "), op.name, names.join(", "));
        let graph = kiln::ir::parse(&text).unwrap();
        let mut programs: Vec<(String, Routine)> = Vec::new();
        for mode in Mode::ALL {
            for program in kiln::internals::programs(&graph, mode) {
                if programs.iter().all(|(_, other)| other.to_string() != program.to_string()) {
                    programs.push((format!("{} of {dtype}, {mode}", op.name), program));
                }
            }
        }
        programs
    })
}

#[test]
fn ops_of_f32() {
    check_all(ops(DType::F32));
}

#[test]
fn ops_of_f64() {
    check_all(ops(DType::F64));
}

/// Of the others the operands are floats or, whatever is asked for, `bool`.
#[test]
fn casts_of_bool() {
    let is_cast = |op: &&Op| matches!(op.info().typing, Typing::Cast(_));
    let program = |op: &Op| (format!("{} of bool", op.name()), op_program(*op, DType::Bool));
    check_all(Op::ALL.iter().filter(is_cast).map(program));
}

#[test]
fn ops_of_f16() {
    check_all(ops(DType::F16));
}

#[test]
fn ops_of_bf16() {
    check_all(ops(DType::BF16));
}

#[test]
fn derived_ops_of_f32() {
    check_all(derived(DType::F32));
}

#[test]
fn derived_ops_of_f64() {
    check_all(derived(DType::F64));
}

/// Arrays that no cache holds are written past the caches, by whole cache lines where these are
/// whole: neither shows in the bits.
#[test]
fn arrays_larger_than_caches() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    let mut rng = Rng::new(2);
    let gelu = derived(DType::F32).find(|(name, _)| name.starts_with("gelu_tanh")).unwrap();
    let ops = [(Op::Add, DType::F32), (Op::Lt, DType::F64)];
    let ops = ops.map(|(op, dtype)| (op.name().to_string(), op_program(op, dtype)));
    for (name, program) in ops.into_iter().chain([gelu]) {
        let subject = Subject::new(name, program, &mut rng);
        let inputs = vec![Contiguous; subject.program.inputs.len()];
        let arrangement = subject.arrangement(inputs, Contiguous, None, (0, 1));
        pool.install(|| subject.check(&arrangement, [1, 12_000_003]));
    }
}
