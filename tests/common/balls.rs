//! What a kernel of `f32` may give: each value is a ball, an exact number and how far rounding may take it.
//!
//! A graph is evaluated as written, in `f64`. An op moves the radii of its operands as far as the corners of
//! the box say that they span, and adds its own bound of error. Where that says nothing (a divisor that may
//! be 0, a condition that may be either, an overflow) the radius is infinite.

use kiln_ir::{Array, Call, DType, EvalError, Graph, Input, Node, Op, Reduction, Scalar, eval};

/// The relative error of half a unit in the last place.
const HALF_ULP: f64 = 1.0 / (1u64 << 24) as f64;
/// The least `f32` above 0.
const TINY: f64 = 1.0 / (1u64 << 63) as f64 / (1u64 << 63) as f64 / (1u64 << 23) as f64;
/// Roundings on the way of an element into a sum: in its block, the stripes' halves, and the result.
const ROUNDINGS_OF_A_SUM: f64 = 16.0;

/// Exact numbers, those of `f32` as `f64`, and a radius for each.
#[derive(Clone, Debug)]
pub struct Balls {
    pub exact: Array,
    pub radii: Vec<f64>,
}

impl Balls {
    /// Numbers that are known. Those of `f32` are given as `f64`.
    pub fn known(exact: Array) -> Balls {
        let count = exact.shape().iter().product();
        Balls { exact, radii: vec![0.0; count] }
    }

    fn is_float(&self) -> bool {
        self.exact.dtype() == DType::F64
    }

    /// The elements, whatever their type.
    pub fn centres(&self) -> Vec<f64> {
        match self.exact.dtype().is_integer() {
            true => self.exact.integers().iter().map(|&number| number as f64).collect(),
            false => self.exact.data().to_vec(),
        }
    }

    fn radii(&self) -> Array {
        floats(self.exact.shape(), self.radii.clone())
    }

    /// As large as each element may be.
    fn magnitudes(&self) -> Array {
        let all = self.centres().into_iter().zip(&self.radii);
        floats(self.exact.shape(), all.map(|(centre, radius)| centre.abs() + radius).collect())
    }

    /// Floats, each rounded so many halves of a unit in the last place. What may overflow is unknown.
    fn rounded(shape: &[usize], balls: impl Iterator<Item = (f64, f64)>, halves: f64) -> Balls {
        let settle = |(centre, radius): (f64, f64)| {
            let rounding = match halves > 0.0 {
                true => halves * (HALF_ULP * (centre.abs() + radius) + TINY),
                false => 0.0,
            };
            let radius = radius + rounding;
            let is_known = centre.abs() + radius <= f64::from(f32::MAX);
            if is_known { (centre, radius) } else { (0.0, f64::INFINITY) }
        };
        let (centres, radii) = balls.map(settle).unzip();
        Balls { exact: floats(shape, centres), radii }
    }
}

fn floats(shape: &[usize], data: Vec<f64>) -> Array {
    Array::new(DType::F64, shape.to_vec(), data).expect("there is a number for each element")
}

/// The outputs of a graph of `f32` (and integers and bools) as written. Fails where shapes do not fit.
pub fn outputs(graph: &Graph, inputs: &[Balls]) -> Result<Vec<Balls>, EvalError> {
    let mut values: Vec<Balls> = Vec::new();
    for (id, node) in graph.iter() {
        let operands: Vec<&Balls> =
            node.operands().iter().map(|operand| &values[operand.index()]).collect();
        let dtype = graph.dtype(id);
        let value = match node {
            Node::Input(index) => inputs[*index as usize].clone(),
            Node::Const(bits) => {
                Balls::known(Array::scalar(wide(dtype), Scalar::from_bits(dtype, *bits)))
            }
            Node::Op(op, _) => elementwise(*op, dtype, &operands)?,
            Node::Call(call, _) => self::call(*call, &operands)?,
            Node::Fused { .. } | Node::Item { .. } => unreachable!("it is as written"),
        };
        values.push(value);
    }
    Ok(graph.outputs().iter().map(|output| values[output.index()].clone()).collect())
}

/// The type in which balls of a type have their numbers.
fn wide(dtype: DType) -> DType {
    if dtype.is_float() { DType::F64 } else { dtype }
}

/// What the reference makes of some arrays in one step.
fn alone(
    operands: &[&Array],
    step: impl FnOnce(&mut Graph, &[kiln_ir::NodeId]) -> kiln_ir::NodeId,
) -> Result<Array, EvalError> {
    let mut graph = Graph::unbounded("step");
    let input = |(at, array): (usize, &&Array)| {
        let input = Input { name: format!("x{at}"), dtype: array.dtype(), dims: None };
        graph.input(input).expect("names differ")
    };
    let ids: Vec<_> = operands.iter().enumerate().map(input).collect();
    let result = step(&mut graph, &ids);
    graph.output(result);
    let arrays: Vec<Array> = operands.iter().map(|array| (*array).clone()).collect();
    Ok(eval(&graph, &arrays)?.remove(0))
}

fn call_alone(call: Call, operands: &[&Array]) -> Result<Array, EvalError> {
    alone(operands, |graph, ids| graph.call(call, ids).expect("types fit"))
}

/// For each element of a shape, the place of the one that is broadcast to it.
fn places(from: &[usize], to: &[usize]) -> Vec<usize> {
    let count = to.iter().product();
    let place = |mut index: usize| {
        let (mut place, mut step) = (0, 1);
        for (axis, &size) in to.iter().enumerate().rev() {
            let at = index % size;
            index /= size;
            let Some(own) = (axis + from.len()).checked_sub(to.len()) else { break };
            place += if from[own] == 1 { 0 } else { at * step };
            step *= from[own];
        }
        place
    };
    (0..count).map(place).collect()
}

fn elementwise(op: Op, dtype: DType, operands: &[&Balls]) -> Result<Balls, EvalError> {
    let is_known = operands.iter().all(|balls| balls.radii.iter().all(|&radius| radius == 0.0));
    let exact: Vec<&Array> = operands.iter().map(|balls| &balls.exact).collect();
    let any_float = operands.iter().any(|balls| balls.is_float());
    let of_integers = alone(&exact, |graph, ids| match op {
        // An `f32` has its exact number already.
        Op::ToF32 if any_float => graph.op(Op::ToF64, ids).expect("types fit"),
        op => graph.op(op, ids).expect("types fit"),
    })?;
    let shape = of_integers.shape().to_vec();
    if is_known && !any_float {
        let is_wide = of_integers.dtype() == wide(dtype);
        return Ok(Balls::known(match is_wide {
            true => of_integers,
            false => floats(&shape, of_integers.data().to_vec()),
        }));
    }
    let all: Vec<(Vec<f64>, &Balls, Vec<usize>)> = operands
        .iter()
        .map(|balls| (balls.centres(), *balls, places(balls.exact.shape(), &shape)))
        .collect();
    let count: usize = shape.iter().product();
    let balls = (0..count).map(|at| {
        let boxed: Vec<(f64, f64)> = all
            .iter()
            .map(|(centres, balls, places)| (centres[places[at]], balls.radii[places[at]]))
            .collect();
        image(op, &boxed)
    });
    if dtype.is_float() {
        let halves = 2.0 * op.max_ulp(DType::F32);
        return Ok(Balls::rounded(&shape, balls, halves));
    }
    // An integer or a bool is known, or it is not.
    let radii = balls.map(|(_, radius)| if radius > 0.0 { f64::INFINITY } else { 0.0 }).collect();
    Ok(Balls { exact: of_integers, radii })
}

/// Where an op takes a box: the exact result, and how far others are from it.
fn image(op: Op, boxed: &[(f64, f64)]) -> (f64, f64) {
    const UNKNOWN: (f64, f64) = (0.0, f64::INFINITY);
    let numbers: Vec<f64> = boxed.iter().map(|ball| ball.0).collect();
    let value = |numbers: &[f64]| match op {
        Op::ToF32 => numbers[0],
        op => op.eval(DType::F64, numbers),
    };
    if op == Op::Select {
        let [(_, condition), (a, of_a), (b, of_b)] = [boxed[0], boxed[1], boxed[2]];
        let between = if condition > 0.0 { (a - b).abs() + of_a + of_b } else { 0.0 };
        let own = if numbers[0] != 0.0 { of_a } else { of_b };
        return (value(&numbers), own.max(between));
    }
    if boxed.iter().any(|ball| !ball.1.is_finite()) {
        return UNKNOWN;
    }
    let may_be_zero = |(centre, radius): (f64, f64)| centre.abs() <= radius;
    let may_be_equal = || (boxed[0].0 - boxed[1].0).abs() <= boxed[0].1 + boxed[1].1;
    let is_known = boxed.iter().all(|ball| ball.1 == 0.0);
    let spans_corners = match op {
        _ if is_known => true,
        Op::Div => !may_be_zero(boxed[1]),
        Op::Recip | Op::Rsqrt | Op::ToBool => !may_be_zero(boxed[0]),
        Op::Eq | Op::Ne => !may_be_equal(),
        Op::Neg
        | Op::Not
        | Op::Add
        | Op::Sub
        | Op::Mul
        | Op::Fma
        | Op::Min
        | Op::Max
        | Op::Clamp => true,
        Op::And | Op::Or | Op::Xor | Op::Lt | Op::Le | Op::Gt | Op::Ge => true,
        Op::Abs | Op::Cosh | Op::Erfc | Op::Acos | Op::ToU8 | Op::ToI32 | Op::ToI64 => true,
        op => op.is_rising(),
    };
    if !spans_corners {
        return UNKNOWN;
    }
    let exact = value(&numbers);
    let mut radius = 0f64;
    for corner in 0..1 << boxed.len() {
        let end = |(at, ball): (usize, &(f64, f64))| {
            ball.0 + if corner >> at & 1 == 0 { ball.1 } else { -ball.1 }
        };
        let corner: Vec<f64> = boxed.iter().enumerate().map(end).collect();
        let away = (value(&corner) - exact).abs();
        radius = if away.is_nan() { f64::INFINITY } else { radius.max(away) };
    }
    if exact.is_finite() { (exact, radius) } else { UNKNOWN }
}

fn call(call: Call, operands: &[&Balls]) -> Result<Balls, EvalError> {
    let exact: Vec<&Array> = operands.iter().map(|balls| &balls.exact).collect();
    let result = call_alone(call, &exact)?;
    let shape = result.shape().to_vec();
    let is_known = operands.iter().all(|balls| balls.radii.iter().all(|&radius| radius == 0.0));
    let any_float = operands.iter().any(|balls| balls.is_float());
    if !call.reads() || is_known && !any_float {
        return Ok(Balls::known(result));
    }
    let unknown = |result: Array| {
        let radii = vec![f64::INFINITY; result.shape().iter().product()];
        Balls { exact: result, radii }
    };
    let [centres, radii, most] =
        [operands[0].exact.clone(), operands[0].radii(), operands[0].magnitudes()];
    // What operands of places, and of integers, say is moved as it is.
    let moved = |radii: &[Array]| {
        let mixed: Vec<&Array> = operands
            .iter()
            .zip(radii)
            .map(|(balls, radii)| if balls.is_float() { radii } else { &balls.exact })
            .collect();
        call_alone(call, &mixed)
    };
    let all_radii: Vec<Array> = operands.iter().map(|balls| balls.radii()).collect();
    match call {
        _ if call.moves() && any_float => {
            let radii = moved(&all_radii)?.data().to_vec();
            Ok(Balls { exact: result, radii })
        }
        Call::Matmul => {
            let product = |a: &Array, b: &Array| call_alone(call, &[a, b]);
            let [a, b] = [operands[0], operands[1]];
            let absolute = |balls: &Balls| {
                floats(balls.exact.shape(), balls.centres().iter().map(|x| x.abs()).collect())
            };
            let (left, right) = (absolute(a), b.magnitudes());
            let [first, second, all] = [
                product(&a.radii(), &right)?,
                product(&left, &b.radii())?,
                product(&a.magnitudes(), &right)?,
            ];
            let terms = *a.exact.shape().last().unwrap_or(&1) as f64;
            let radius = |at: usize| {
                first.data()[at]
                    + second.data()[at]
                    + terms * HALF_ULP * all.data()[at]
                    + terms * TINY
            };
            let balls = result.data().iter().enumerate().map(|(at, &centre)| (centre, radius(at)));
            Ok(Balls::rounded(&shape, balls, 1.0))
        }
        Call::Reduce(_) | Call::Scan(_) if !operands[0].is_float() => Ok(unknown(result)),
        Call::Reduce(reduce) => match reduce.by {
            Reduction::Sum => {
                let [radii, most] = [call_alone(call, &[&radii])?, call_alone(call, &[&most])?];
                let radius =
                    |at: usize| radii.data()[at] + ROUNDINGS_OF_A_SUM * HALF_ULP * most.data()[at];
                let balls =
                    result.data().iter().enumerate().map(|(at, &centre)| (centre, radius(at)));
                Ok(Balls::rounded(&shape, balls, 1.0))
            }
            Reduction::Max | Reduction::Min | Reduction::Sup => {
                let moved = |sign: f64| {
                    let ends = centres.data().iter().zip(radii.data());
                    let ends = ends.map(|(centre, radius)| centre + sign * radius);
                    call_alone(call, &[&floats(centres.shape(), ends.collect())])
                };
                let [low, high] = [moved(-1.0)?, moved(1.0)?];
                let radius = |at: usize| {
                    let centre = result.data()[at];
                    (high.data()[at] - centre).abs().max((low.data()[at] - centre).abs())
                };
                let balls =
                    result.data().iter().enumerate().map(|(at, &centre)| (centre, radius(at)));
                Ok(Balls::rounded(&shape, balls, 0.0))
            }
            Reduction::Count => Ok(Balls::known(result)),
            // Which element it is, or how a product goes on its way, is another matter.
            _ if is_known && reduce.by != Reduction::Prod => Ok(Balls::known(result)),
            _ => Ok(unknown(result)),
        },
        _ => Ok(unknown(result)),
    }
}
