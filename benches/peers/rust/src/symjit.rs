//! symjit: machine code for vectors of `f64`, over columns.

use crate::peer::{Array, Bound, Case, DType, Node, Peer, Unable};
use symjit::{Compiler, Config, Expr, Matrix};

pub(crate) struct Symjit;

impl Peer for Symjit {
    fn version(&self) -> &'static str {
        "2.28.3"
    }

    fn knows(&self) -> &'static str {
        crate::peer::MATH
    }

    fn bind(&self, case: &Case, inputs: &[Array], output: &Array) -> Result<Bound, Unable> {
        let whole = inputs.iter().all(|input| input.stored == output.stored);
        if case.dtype != DType::Float64 || case.has_product() || !whole {
            return Err("is for f64, elementwise, arrays of one shape".into());
        }
        let variables: Vec<Expr> = case.inputs.iter().map(|one| Expr::var(&one.name)).collect();
        let result = case.build(|node: Node<'_, Expr>| {
            Ok(match node {
                Node::Input(name) => Expr::var(name),
                Node::Number(number) => Expr::from(number),
                Node::Op(op, operands) => match (op, &operands[..]) {
                    ("add", [x, y]) => x.add(y),
                    ("sub", [x, y]) => x.sub(y),
                    ("mul", [x, y]) => x.mul(y),
                    ("div", [x, y]) => x.div(y),
                    ("neg", [x]) => x.neg(),
                    ("exp", [x]) => x.exp(),
                    ("log", [x]) => x.ln(),
                    ("log1p", [x]) => x.ln_1p(),
                    ("expm1", [x]) => x.exp_m1(),
                    ("sqrt", [x]) => x.sqrt(),
                    ("tanh", [x]) => x.tanh(),
                    ("erf", [x]) => x.erf(),
                    ("abs", [x]) => x.abs(),
                    ("maximum", [x, y]) => x.max(y),
                    ("gt", [x, y]) => x.gt(y),
                    ("where", [c, x, y]) => c.ifelse(x, y),
                    _ => return Err(format!("has no {op}")),
                },
            })
        })?;
        let mut config = Config::default();
        config.set_opt_level(2);
        config.set_simd(true);
        config.enable_simd512(true);
        config.set_threads(case.threads > 1);
        let compiled = Compiler::with_config(config).compile(&variables, &[result]);
        let mut application = compiled.map_err(|error| error.to_string())?;
        let (inputs, output) = (inputs.to_vec(), output.clone());
        Ok(Bound::new(move || {
            let (mut states, mut results) = (Matrix::new(), Matrix::new());
            for input in &inputs {
                let column = input.slice_mut::<f64>();
                // SAFETY: the array outlives the call.
                unsafe { states.add_row(column.as_mut_ptr(), column.len()) };
            }
            let column = output.slice_mut::<f64>();
            // SAFETY: as above.
            unsafe { results.add_row(column.as_mut_ptr(), column.len()) };
            application.exec_vectorized(&mut states, &mut results);
        }))
    }
}
