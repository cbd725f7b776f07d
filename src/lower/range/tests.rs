//! Values that programs compute lie within their ranges, and what ranges leave out changes no bit.

use super::ranges;
use crate::lower::{Tier, bits_of, lower, lower_op, op_program_in, storage, value_of};
use fastrand::Rng;
use kiln_ir::{DType, Graph, Input, Node, NodeId, Op, Range, Typing};
use kiln_jit::math::Range as Within;
use kiln_jit::vir::{Builder, interp};

/// Tries every op on operands with arbitrary ranges: results on values within them are as the op
/// table says.
fn results_are_as_known(dtype: DType) {
    let mut draw = Draw(Rng::with_seed(3));
    for &op in Op::ALL {
        for operand in operand_types(op, dtype) {
            for round in 0..ROUNDS {
                let tier = draw.of(&[Tier::Default, Tier::Fast]);
                check(&mut draw, op, operand, tier, round % 4 == 0);
            }
        }
    }
}

/// Ranges for each op and type of operand.
const ROUNDS: usize = 100;

/// The types that an op's last operand is tried with, for a float type and for what converts to it.
fn operand_types(op: Op, dtype: DType) -> Vec<DType> {
    match op.info().typing {
        Typing::Integer => vec![],
        Typing::Logic => vec![DType::Bool],
        Typing::Cast(_) => DType::ALL.to_vec(),
        _ => vec![dtype],
    }
}

/// An op with operands of random ranges; `one` says that all are the same value.
fn check(draw: &mut Draw, op: Op, dtype: DType, tier: Tier, one: bool) {
    let program = op_program_in(tier, op, dtype);
    let types: Vec<DType> = (0..op.arity())
        .map(|at| match op.info().typing {
            Typing::Select if at == 0 => DType::Bool,
            _ => dtype,
        })
        .collect();
    let one = one && types.windows(2).all(|pair| pair[0] == pair[1]);
    let computed = |dtype: &DType| if dtype.is_float() { (*dtype).max(DType::F32) } else { *dtype };
    let result = op.result_type(&types.iter().map(computed).collect::<Vec<_>>()).unwrap();
    let mut ranges: Vec<Range> = types.iter().map(|&dtype| random_range(draw, dtype)).collect();
    let mut columns: Vec<Vec<f64>> =
        types.iter().zip(&ranges).map(|(&dtype, range)| values_in(draw, dtype, *range)).collect();
    if one {
        let (range, column) = (ranges[0], columns[0].clone());
        ranges.fill(range);
        columns.fill(column);
    }
    let known = Range::of_op(op, result, &ranges, one);
    let bits: Vec<Vec<u64>> = types
        .iter()
        .zip(&columns)
        .map(|(&dtype, column)| column.iter().map(|&v| bits_of(storage(dtype), v)).collect())
        .collect();
    let slices: Vec<&[u64]> = bits.iter().map(Vec::as_slice).collect();
    let results = interp::run(&program, &slices, LANES).swap_remove(0);
    for (lane, bits) in results.into_iter().enumerate() {
        let value = value_of(storage(result), bits);
        let operands: Vec<f64> = columns.iter().map(|column| column[lane]).collect();
        let of_numbers = operands.iter().all(|value| !value.is_infinite());
        if let Err(fault) = is_as_known(known, value, of_numbers) {
            let name = op.name();
            panic!("{name} of {operands:?}: {value:e} {fault}: {known:?}, {tier:?}, of {ranges:?}");
        }
    }
}

/// Number of values an op is tried on at once.
const LANES: usize = 128;

/// The range of any value of a type, of any number, or between two numbers; sometimes without NaN
/// or -0.
fn random_range(draw: &mut Draw, dtype: DType) -> Range {
    let any = Range::any(dtype);
    if dtype == DType::Bool || draw.below(12) == 0 {
        return any;
    }
    let points = points(dtype);
    let (a, b) = (draw.of(&points), draw.of(&points));
    let (low, high) = if draw.below(8) == 0 { (a, a) } else { (a.min(b), a.max(b)) };
    let may_be_minus_zero = any.may_be_minus_zero && draw.below(2) == 0;
    Range {
        low: low.max(any.low),
        high: high.min(any.high),
        may_be_nan: any.may_be_nan && draw.below(2) == 0,
        may_be_minus_zero: may_be_minus_zero || low == 0.0 && low.is_sign_negative(),
        ..any
    }
}

/// Values that fit a range: its ends and their neighbours, points between them, and any others.
fn values_in(draw: &mut Draw, dtype: DType, range: Range) -> Vec<f64> {
    let points: Vec<f64> = points(dtype).into_iter().filter(|v| range.contains(*v)).collect();
    let mut values = Vec::new();
    while values.len() < LANES {
        let near = |end: f64, next: fn(f64) -> f64, next_f32: fn(f32) -> f32| match dtype {
            DType::F64 => next(end),
            _ => next_f32(end as f32).into(),
        };
        let value = match draw.below(8) {
            0 => range.low,
            1 => range.high,
            2 => near(range.low, f64::next_up, f32::next_up),
            3 => near(range.high, f64::next_down, f32::next_down),
            4 if range.may_be_nan => f64::NAN,
            5 => {
                let (low, high) = (range.low.max(-1e35), range.high.min(1e35));
                low + (high - low) * (draw.below(1 << 20) as f64 / f64::from(1 << 20))
            }
            _ if !points.is_empty() => draw.of(&points),
            _ => range.low,
        };
        let value = dtype.round(value);
        if value.is_nan() && range.may_be_nan || range.contains(value) {
            // The other zero, if there is one.
            let minus = range.may_be_minus_zero && draw.below(2) == 0;
            let zero = if minus { -0.0 } else { 0.0 };
            values.push(if value == 0.0 { zero } else { value });
        }
    }
    values
}

/// Whether a value is among those known to be possible; if it was made of numbers, an infinity is
/// the overflow of a number.
fn is_as_known(known: Range, value: f64, of_numbers: bool) -> Result<(), &'static str> {
    let minus_zero = value == 0.0 && value.is_sign_negative();
    match value.is_nan() {
        true if !known.may_be_nan => Err("is NaN"),
        false if !known.contains(value) => Err("lies outside"),
        false if minus_zero && !known.may_be_minus_zero => Err("is -0"),
        false if value.is_infinite() && of_numbers && !known.may_overflow => Err("overflows"),
        _ => Ok(()),
    }
}

#[test]
fn results_are_as_known_f32() {
    results_are_as_known(DType::F32);
}

#[test]
fn results_are_as_known_f64() {
    results_are_as_known(DType::F64);
}

/// A known value is one of the possible ones, and a contradictory range has none.
#[test]
fn ranges_meet() {
    let number = Range::number(-0.0);
    assert!(number.may_be_minus_zero && !number.never_negative() && number.contains(0.0));
    assert_eq!(number.and(Range::any(DType::F32)), number);
    assert!(number.and(Range::number(1.0)).is_empty());
    assert!(!number.and(Range::number(f64::NAN)).is_empty());
}

#[test]
fn what_ranges_leave_out_changes_no_bit() {
    let ends = [
        f64::NEG_INFINITY,
        -700.0,
        -80.0,
        -1.0,
        -0.2,
        -0.0,
        0.0,
        0.4,
        1.0,
        80.0,
        700.0,
        1e30,
        f64::INFINITY,
    ];
    for dtype in [DType::F32, DType::F64] {
        for op in
            [Op::Exp, Op::Exp2, Op::Exp10, Op::Expm1, Op::Log, Op::Log1p, Op::Sigmoid, Op::Normcdf]
        {
            for (at, &low) in ends.iter().enumerate() {
                for &high in &ends[at..] {
                    check_bits(op, dtype, Within { low, high });
                }
            }
        }
    }
}

fn check_bits(op: Op, dtype: DType, within: Within) {
    let program = |within: Within| {
        let mut b = Builder::new();
        let x = b.input(storage(dtype));
        let result = lower_op(&mut b, Tier::Default, op, dtype, &[x], within);
        b.output(result, storage(dtype));
        b.finish()
    };
    let (low, high) = (within.low.max(-1e35), within.high.min(1e35));
    let steps = (0..=200).map(|i| f64::from(i) / 200.0);
    let between = steps.flat_map(|t| [low + (high - low) * t, (low + (high - low) * t) * t * t]);
    let all =
        between.chain([within.low, within.high, 0.0, -0.0, 1e-40, 0.5, 0.49999997, 0.41421357]);
    let inputs = all.map(|v| dtype.round(v)).filter(|v| within.low <= *v && *v <= within.high);
    let bits = |v: f64| match dtype {
        DType::F64 => v.to_bits(),
        _ => u64::from((v as f32).to_bits()),
    };
    let mut column: Vec<u64> = inputs.map(bits).collect();
    column.push(bits(f64::NAN));
    let run = |within| interp::run(&program(within), &[&column], column.len()).swap_remove(0);
    let (known, unknown) = (run(within), run(Within::ANY));
    let last = column.len() - 1;
    assert_eq!(known[..last], unknown[..last], "{} in {dtype} within {within:?}", op.name());
    let nan = |v: u64| match dtype {
        DType::F64 => f64::from_bits(v).is_nan(),
        _ => f32::from_bits(v as u32).is_nan(),
    };
    assert!(nan(known[last]), "{} of NaN in {dtype} within {within:?}", op.name());
}

/// Numbers drawn in the same order in every run.
struct Draw(Rng);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0.usize(..bound)
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// Where types end and where functions change, with both signs.
fn points(dtype: DType) -> Vec<f64> {
    let (max, normal, least, epsilon) = match dtype {
        DType::F64 => (f64::MAX, f64::MIN_POSITIVE, f64::from_bits(1), f64::EPSILON),
        _ => (
            f32::MAX.into(),
            f32::MIN_POSITIVE.into(),
            f32::from_bits(1).into(),
            f32::EPSILON.into(),
        ),
    };
    let near_limits = [least, 3.0 * least, normal - least, normal, normal.sqrt(), epsilon / 2.0];
    let near_one = [0.25, 0.5, 1.0 - epsilon, 1.0 - epsilon / 2.0, 1.0, 1.0 + epsilon, 1.5];
    let moderate = [2.0, 3.0, 10.0, 38.6, 44.5, 88.72, 104.0, 709.79, 745.2, 1e9, 1e30];
    let large = [max.sqrt(), max * 0.9, max / 2.0, max * (1.0 - epsilon), max, f64::INFINITY];
    let halves = [65504.0, 65520.0, 6e-8, 3.4e38];
    let positive = [&[0.0][..], &near_limits, &near_one, &moderate, &large, &halves].concat();
    positive.iter().flat_map(|&x| [x, -x]).map(|x| dtype.round(x)).collect()
}

/// A graph of random operands, and its inputs `x` and `y`.
struct Chain {
    graph: Graph,
    dtype: DType,
    points: Vec<f64>,
}

impl Chain {
    /// `ops`, the first one innermost, each on the result of the one before and on operands with
    /// arbitrary ranges.
    fn new(draw: &mut Draw, dtype: DType, ops: &[Op]) -> Chain {
        let mut chain = Chain { graph: Graph::new("chain"), dtype, points: points(dtype) };
        for name in ["x", "y"] {
            let input = Input { name: name.into(), dtype, dims: Some(vec![]) };
            chain.graph.input(input).unwrap();
        }
        let mut value = chain.operand(draw);
        for &op in ops {
            let place = draw.below(op.arity());
            let shared = draw.below(4) == 0;
            let operands: Vec<NodeId> = (0..op.arity())
                .map(|at| {
                    let operand = if at == place || shared { value } else { chain.operand(draw) };
                    chain.converted(operand, chain.operand_type(op, at))
                })
                .collect();
            value = chain.graph.op(op, &operands).unwrap();
        }
        let all: Vec<NodeId> = chain.graph.iter().map(|(id, _)| id).collect();
        all.into_iter().for_each(|id| chain.graph.output(id));
        chain
    }

    fn operand_type(&self, op: Op, at: usize) -> DType {
        match op.info().typing {
            Typing::Logic => DType::Bool,
            Typing::Integer => DType::I32,
            Typing::Select if at == 0 => DType::Bool,
            _ => self.dtype,
        }
    }

    fn converted(&mut self, value: NodeId, dtype: DType) -> NodeId {
        match self.graph.dtype(value) == dtype {
            true => value,
            false => self.graph.op(Op::cast_to(dtype), &[value]).unwrap(),
        }
    }

    fn operand(&mut self, draw: &mut Draw) -> NodeId {
        let input = NodeId::new(draw.below(2));
        let mut number = || {
            let value = draw.of(&self.points);
            self.graph.constant(self.dtype, value).unwrap()
        };
        let (low, high) = (number(), number());
        let mut op = |op, operands: &[NodeId]| self.graph.op(op, operands).unwrap();
        match draw.below(10) {
            0 | 1 => input,
            2 => low,
            3 | 4 => op(Op::Clamp, &[input, low, high]),
            5 => op(Op::Max, &[input, low]),
            6 => op(Op::Min, &[input, high]),
            7 => op(Op::Abs, &[input]),
            8 => {
                let magnitude = op(Op::Abs, &[input]);
                op(Op::Neg, &[magnitude])
            }
            _ => {
                let half = op(draw.of(&[Op::ToF16, Op::ToBF16]), &[input]);
                self.converted(half, self.dtype)
            }
        }
    }

    /// Element bits of both inputs: every point and NaN, along with random ones.
    fn columns(&self, draw: &mut Draw) -> [Vec<u64>; 2] {
        let all = [&self.points[..], &[f64::NAN]].concat();
        let x = all.iter().map(|&x| bits_of(storage(self.dtype), x)).collect();
        let y = all.iter().map(|_| bits_of(storage(self.dtype), draw.of(&all))).collect();
        [x, y]
    }

    /// Fails if a value lies outside its node's range, or differs from the value op by op.
    fn check(&self, draw: &mut Draw, tier: Tier) {
        let [x, y] = self.columns(draw);
        let whole = interp::run(&lower(&self.graph, tier), &[&x, &y], x.len());
        let known = ranges(&self.graph);
        let mut alone: Vec<Vec<u64>> = Vec::new();
        for (id, node) in self.graph.iter() {
            let (range, dtype) = (known[id.index()], self.graph.dtype(id));
            let column = match node {
                Node::Op(op, args) => {
                    let operands: Vec<&[u64]> =
                        args.iter().map(|arg| &alone[arg.index()][..]).collect();
                    let last = self.graph.dtype(args[args.len() - 1]);
                    let program = op_program_in(tier, *op, last);
                    interp::run(&program, &operands, x.len()).swap_remove(0)
                }
                _ => whole[id.index()].clone(),
            };
            for (lane, (&alone, &fused)) in column.iter().zip(&whole[id.index()]).enumerate() {
                let value = value_of(storage(dtype), fused);
                let places = [x[lane], y[lane]].map(|bits| value_of(storage(self.dtype), bits));
                let place = || format!("{id:?} at {places:?} of {tier:?}\n{}", self.graph);
                let of_numbers = places.iter().all(|value| !value.is_infinite());
                if let Err(fault) = is_as_known(range, value, of_numbers) {
                    panic!("{value:e} {fault}: {range:?}, {}", place());
                }
                let other = value_of(storage(dtype), alone);
                let same = alone == fused || value.is_nan() && other.is_nan();
                assert!(same, "{value:e} fused, {other:e} alone, {}", place());
            }
            alone.push(column);
        }
    }
}

/// Ops of a chain; integers are only what floats become on the way. The sign that copysign takes
/// from a NaN is unspecified.
fn chained() -> Vec<Op> {
    Op::ALL.iter().copied().filter(|op| *op != Op::CopySign).collect()
}

fn pairs_hold(dtype: DType) {
    let (mut draw, ops) = (Draw(Rng::with_seed(1)), chained());
    for &outer in &ops {
        for &inner in &ops {
            for tier in [Tier::Default, Tier::Fast] {
                Chain::new(&mut draw, dtype, &[inner, outer]).check(&mut draw, tier);
            }
        }
    }
}

fn triples_hold(dtype: DType) {
    let (mut draw, ops) = (Draw(Rng::with_seed(2)), chained());
    for _ in 0..4000 {
        let triple = [draw.of(&ops), draw.of(&ops), draw.of(&ops)];
        let tier = draw.of(&[Tier::Default, Tier::Fast]);
        Chain::new(&mut draw, dtype, &triple).check(&mut draw, tier);
    }
}

#[test]
fn chains_of_two_f32() {
    pairs_hold(DType::F32);
}

#[test]
fn chains_of_two_f64() {
    pairs_hold(DType::F64);
}

#[test]
fn chains_of_three_f32() {
    triples_hold(DType::F32);
}

#[test]
fn chains_of_three_f64() {
    triples_hold(DType::F64);
}
