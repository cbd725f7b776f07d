//! Flags that several commands share.

use crate::failure::Failure;
use crate::shapes::{Shape, shape};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use kiln::{CompileOptions, DType, EmitterKind, Graph, Mode};

/// How to compile and run.
#[derive(Args)]
pub(crate) struct Execution {
    /// How much rewrites may change: nothing (strict), no accuracy (precise),
    /// or whatever real numbers allow (fast)
    #[arg(long, default_value = "precise", value_parser = modes())]
    pub(crate) mode: Mode,
    /// What makes the machine code
    #[arg(long, default_value = "auto", value_parser = emitters())]
    pub(crate) emitter: EmitterKind,
    /// Use so many threads [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: Option<u32>,
}

impl Execution {
    /// Options to compile with, fused or not.
    pub(crate) fn options(&self, fused: bool) -> CompileOptions {
        let options = if fused { CompileOptions::new() } else { CompileOptions::unfused() };
        let options = options.mode(self.mode).emitter(self.emitter);
        match self.threads {
            Some(threads) => options.threads(threads as usize),
            None => options,
        }
    }

    /// Calls `work` in a pool of as many threads as asked for.
    pub(crate) fn in_pool<T: Send>(
        &self,
        work: impl FnOnce() -> Result<T, Failure> + Send,
    ) -> Result<T, Failure> {
        let Some(threads) = self.threads else { return work() };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads as usize).build();
        let pool = pool
            .map_err(|error| Failure::Failed(format!("cannot start {threads} threads: {error}")))?;
        pool.install(work)
    }
}

/// What inputs are.
#[derive(Args)]
pub(crate) struct Arrays {
    /// Sizes of axes, n=4Ki, or of inputs, x=64x128; an input without a declared shape has all axes,
    /// in this order [default: n=4Mi]
    #[arg(long, value_name = "NAME=SIZES", value_delimiter = ',', value_parser = shape)]
    pub(crate) shape: Vec<Shape>,
    /// The element type of inputs that KERNEL does not type
    #[arg(long, default_value = "f32", value_parser = dtypes())]
    pub(crate) dtype: DType,
}

impl Arrays {
    /// The sizes that were given, or `n` of the default where a kernel has such an axis.
    pub(crate) fn sizes(&self, graph: &Graph) -> Vec<Shape> {
        self.sizes_or(graph, 4 << 20)
    }

    /// The same with another default.
    pub(crate) fn sizes_or(&self, graph: &Graph, n: usize) -> Vec<Shape> {
        let has_axis = graph.inputs().iter().any(|input| match &input.dims {
            None => true,
            Some(dims) => dims.iter().any(|dim| dim.to_string() == "n"),
        });
        match &self.shape[..] {
            [] if has_axis => vec![Shape::axis("n", n)],
            shapes => shapes.to_vec(),
        }
    }
}

/// Reads `--mode`.
pub(crate) fn modes() -> impl TypedValueParser<Value = Mode> {
    PossibleValuesParser::new(["strict", "precise", "fast"]).try_map(|name| name.parse::<Mode>())
}

/// Reads `--emitter`.
pub(crate) fn emitters() -> impl TypedValueParser<Value = EmitterKind> {
    let names = EmitterKind::ALL.map(EmitterKind::name);
    PossibleValuesParser::new(names).try_map(|name| name.parse::<EmitterKind>())
}

/// Reads `--dtype`.
pub(crate) fn dtypes() -> impl TypedValueParser<Value = DType> {
    let numbers = DType::ALL.into_iter().filter(|dtype| *dtype != DType::Bool);
    PossibleValuesParser::new(numbers.map(DType::name))
        .map(|name| DType::from_name(&name).expect("one of the possible values"))
}
