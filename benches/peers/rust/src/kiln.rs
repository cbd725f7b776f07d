//! Kiln: a function of the formula's text, which writes into the given array.

use crate::peer::{Array, Bound, Case, DType, Peer, Unable};
use kiln::{CompileOptions, EmitterKind, Function, Mode, compile_with};
use std::sync::Arc;

pub(crate) struct Kiln {
    mode: Mode,
    emitter: EmitterKind,
}

pub(crate) const PRECISE: Kiln = Kiln { mode: Mode::Precise, emitter: EmitterKind::Auto };
pub(crate) const FAST: Kiln = Kiln { mode: Mode::Fast, emitter: EmitterKind::Auto };
pub(crate) const AVX2: Kiln = Kiln { mode: Mode::Precise, emitter: EmitterKind::Avx2 };

impl Peer for Kiln {
    fn version(&self) -> &'static str {
        "this one"
    }

    fn knows(&self) -> &'static str {
        "exp log log1p expm1 sqrt tanh erf abs maximum where relu sigmoid silu gelu gelu_tanh \
         softplus mish selu softmax log_softmax layer_norm rms_norm sum_axis_0 sum_axis_1 \
         attention causal_attention queries keys values joined"
    }

    fn bind(&self, case: &Case, inputs: &[Array], output: &Array) -> Result<Bound, Unable> {
        let graph = kiln::ir::parse(&case.text).map_err(|error| error.to_string())?;
        let options = CompileOptions::new().mode(self.mode).threads(case.threads);
        let kernel = compile_with(&graph, options.emitter(self.emitter));
        let mut kernel = kernel.map_err(|error| error.to_string())?;
        // Of a layer or two the weights are constants, as ONNX Runtime has them.
        let (weights, inputs): (Vec<_>, Vec<_>) = case
            .inputs
            .iter()
            .zip(inputs)
            .partition(|(input, _)| case.kind == "layers" && input.weight);
        for (input, array) in weights {
            let bound = kernel.bind_constant(&input.name, &array.view::<f32>());
            kernel = bound.map_err(|error| error.to_string())?;
        }
        let inputs: Vec<&Array> = inputs.into_iter().map(|(_, array)| array).collect();
        let kernel = Arc::new(kernel);
        // A function's arguments are a tuple, so there is one way of calling for each length.
        macro_rules! bound {
            ($T:ty: $($x:ident)+, $($U:ty)+) => {{
                let function = Function::<($($U,)+), ($T,)>::new(kernel);
                let function = function.map_err(|error| error.to_string())?;
                let [$($x),+] = inputs[..] else { unreachable!("as many as were counted") };
                $(let $x = $x.view::<$T>();)+
                let mut output = output.view_mut::<$T>();
                Ok(Bound::new(move || {
                    function.call_into(($(&$x,)+), &mut output).expect("the arrays fit");
                }))
            }};
        }
        match (case.dtype, inputs.len()) {
            (DType::Float32, 1) => bound!(f32: a, f32),
            (DType::Float32, 2) => bound!(f32: a b, f32 f32),
            (DType::Float32, 3) => bound!(f32: a b c, f32 f32 f32),
            (DType::Float32, 4) => bound!(f32: a b c d, f32 f32 f32 f32),
            (DType::Float64, 1) => bound!(f64: a, f64),
            (DType::Float64, 4) => bound!(f64: a b c d, f64 f64 f64 f64),
            _ => Err("no case has had so many inputs".into()),
        }
    }
}
