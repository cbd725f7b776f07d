//! fidget's JIT: 256-bit code over slices of `f32`. It writes into arrays of its own.

use crate::peer::{Array, Bound, Case, DType, Node, Peer, Unable};
use fidget_core::context::Context;
use fidget_core::eval::{BulkEvaluator, Function, MathFunction, Tape};
use fidget_core::var::Var;
use fidget_jit::{JitFloatSliceEval, JitFunction};

pub(crate) struct Fidget;

impl Peer for Fidget {
    fn version(&self) -> &'static str {
        "0.5.1"
    }

    fn knows(&self) -> &'static str {
        "exp log sqrt abs maximum where"
    }

    fn bind(&self, case: &Case, inputs: &[Array], output: &Array) -> Result<Bound, Unable> {
        if case.dtype != DType::Float32 || case.has_product() || case.threads > 1 {
            return Err("is for f32, elementwise, on one thread".into());
        }
        let mut context = Context::new();
        let variables: Vec<Var> = inputs.iter().map(|_| Var::new()).collect();
        let root = case.build(|node: Node<'_, fidget_core::context::Node>| {
            let made = match node {
                Node::Input(name) => {
                    let at = case.inputs.iter().position(|one| one.name == name);
                    Ok(context.var(variables[at.expect("a formula reads its inputs")]))
                }
                Node::Number(number) => Ok(context.constant(number as f32)),
                Node::Op(op, operands) => match (op, &operands[..]) {
                    ("add", [x, y]) => context.add(**x, **y),
                    ("sub", [x, y]) => context.sub(**x, **y),
                    ("mul", [x, y]) => context.mul(**x, **y),
                    ("div", [x, y]) => context.div(**x, **y),
                    ("neg", [x]) => context.neg(**x),
                    ("exp", [x]) => context.exp(**x),
                    ("log", [x]) => context.ln(**x),
                    ("sqrt", [x]) => context.sqrt(**x),
                    ("abs", [x]) => context.abs(**x),
                    ("maximum", [x, y]) => context.max(**x, **y),
                    ("gt", [x, y]) => context.less_than(**y, **x),
                    ("where", [c, x, y]) => context.if_nonzero_else(**c, **x, **y),
                    _ => return Err(format!("has no {op}")),
                },
            };
            made.map_err(|error| error.to_string())
        })?;
        let function = JitFunction::new(&context, &[root]).map_err(|error| error.to_string())?;
        let tape = function.float_slice_tape(Default::default());
        // Where each input goes in what the tape takes.
        let mut places = vec![0; inputs.len()];
        for (at, variable) in variables.iter().enumerate() {
            let place = tape.vars().get(variable);
            places[place.ok_or("an input that fidget does not read")?] = at;
        }
        let columns = output.stored[1];
        let has_rows = inputs.iter().any(|input| input.stored.len() == 1);
        let length = if has_rows { columns } else { output.slice::<f32>().len() };
        let inputs: Vec<Array> = places.into_iter().map(|at| inputs[at].clone()).collect();
        let out = output.slice_mut::<f32>();
        let mut evaluator = JitFloatSliceEval::new();
        Ok(Bound::new(move || {
            // A row that repeats has the whole array done row by row.
            for (row, out) in out.chunks_exact_mut(length).enumerate() {
                let slice = |input: &Array| {
                    let all = input.slice::<f32>();
                    if input.stored.len() == 1 { all } else { &all[row * length..][..length] }
                };
                let slices: Vec<&[f32]> = inputs.iter().map(slice).collect();
                let result = evaluator.eval(&tape, &slices).expect("slices of one length");
                out.copy_from_slice(&result[0]);
            }
        }))
    }
}
