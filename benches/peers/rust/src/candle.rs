//! candle's tensors on the CPU: an array for each operation, in its own memory.

use crate::peer::{Array, Bound, Case, DType, Node, Peer, Unable};
use candle_core::{Device, Result, Tensor, WithDType};
use std::cell::RefCell;
use std::rc::Rc;

pub(crate) struct Candle;

impl Peer for Candle {
    fn version(&self) -> &'static str {
        "0.11.1"
    }

    fn knows(&self) -> &'static str {
        "exp log sqrt tanh erf abs maximum where relu silu gelu gelu_tanh"
    }

    fn bind(
        &self,
        case: &Case,
        inputs: &[Array],
        output: &Array,
    ) -> std::result::Result<Bound, Unable> {
        match case.dtype {
            DType::Float32 => bind::<f32>(case, inputs, output),
            DType::Float64 => bind::<f64>(case, inputs, output),
        }
    }
}

/// A step of the program, as a function of the tensors before it.
enum Step {
    Input(usize),
    Number(f64),
    Op(String, Vec<usize>),
}

fn bind<T: WithDType>(
    case: &Case,
    inputs: &[Array],
    output: &Array,
) -> std::result::Result<Bound, Unable> {
    let tensor = |array: &Array| {
        let tensor = Tensor::from_slice(array.slice::<T>(), &array.stored[..], &Device::Cpu)?;
        if array.transposed { tensor.t() } else { Ok(tensor) }
    };
    let inputs = inputs.iter().map(tensor).collect::<Result<Vec<_>>>();
    let inputs = inputs.map_err(|error| error.to_string())?;
    let steps = RefCell::new(Vec::new());
    case.build(|node| {
        let mut steps = steps.borrow_mut();
        steps.push(match node {
            Node::Input(name) => {
                let at = case.inputs.iter().position(|one| one.name == name);
                Step::Input(at.expect("a formula reads its inputs"))
            }
            Node::Number(number) => Step::Number(number),
            Node::Op(op, operands) => Step::Op(op.into(), operands.into_iter().copied().collect()),
        });
        Ok(steps.len() - 1)
    })?;
    let steps = steps.into_inner();
    let result = Rc::new(RefCell::new(None));
    let (kept, output) = (result.clone(), output.clone());
    run(&steps, &inputs).map_err(|error| error.to_string())?;
    Ok(Bound {
        call: Box::new(move || {
            *result.borrow_mut() = Some(run(&steps, &inputs).expect("it ran before"));
        }),
        read: Box::new(move || {
            let result = kept.borrow();
            let flat = result.as_ref().and_then(|tensor| tensor.flatten_all().ok());
            let values: Vec<T> = flat.and_then(|flat| flat.to_vec1().ok()).expect("it was called");
            output.slice_mut().copy_from_slice(&values);
        }),
    })
}

/// A tensor, or a number, for which there are operations of their own.
#[derive(Clone)]
enum Value {
    Tensor(Tensor),
    Number(f64),
}

fn run(steps: &[Step], inputs: &[Tensor]) -> Result<Tensor> {
    let mut values: Vec<Value> = Vec::with_capacity(steps.len());
    for step in steps {
        values.push(match step {
            Step::Input(at) => Value::Tensor(inputs[*at].clone()),
            Step::Number(number) => Value::Number(*number),
            Step::Op(op, operands) => {
                let operands: Vec<&Value> = operands.iter().map(|&at| &values[at]).collect();
                Value::Tensor(apply(op, &operands)?)
            }
        });
    }
    match values.pop() {
        Some(Value::Tensor(tensor)) => Ok(tensor),
        _ => candle_core::bail!("a formula computes an array"),
    }
}

fn apply(op: &str, operands: &[&Value]) -> Result<Tensor> {
    use Value::{Number, Tensor as T};
    match (op, operands) {
        ("add", [T(x), Number(c)] | [Number(c), T(x)]) => x.affine(1.0, *c),
        ("sub", [T(x), Number(c)]) => x.affine(1.0, -c),
        ("sub", [Number(c), T(x)]) => x.affine(-1.0, *c),
        ("mul", [T(x), Number(c)] | [Number(c), T(x)]) => x.affine(*c, 0.0),
        ("div", [T(x), Number(c)]) => x.affine(1.0 / c, 0.0),
        ("div", [Number(c), T(x)]) => x.recip()?.affine(*c, 0.0),
        ("add", [T(x), T(y)]) => x.broadcast_add(y),
        ("sub", [T(x), T(y)]) => x.broadcast_sub(y),
        ("mul", [T(x), T(y)]) => x.broadcast_mul(y),
        ("div", [T(x), T(y)]) => x.broadcast_div(y),
        ("matmul", [T(x), T(y)]) => x.matmul(y),
        ("neg", [T(x)]) => x.neg(),
        ("exp", [T(x)]) => x.exp(),
        ("log", [T(x)]) => x.log(),
        ("sqrt", [T(x)]) => x.sqrt(),
        ("tanh", [T(x)]) => x.tanh(),
        ("erf", [T(x)]) => x.erf(),
        ("abs", [T(x)]) => x.abs(),
        ("relu", [T(x)]) => x.relu(),
        ("silu", [T(x)]) => x.silu(),
        ("gelu", [T(x)]) => x.gelu_erf(),
        ("gelu_tanh", [T(x)]) => x.gelu(),
        ("maximum", [T(x), Number(c)]) => x.maximum(*c),
        ("gt", [T(x), Number(c)]) => x.gt(*c),
        ("where", [T(condition), T(x), T(y)]) => condition.where_cond(x, y),
        _ => candle_core::bail!("has no {op} of these"),
    }
}
