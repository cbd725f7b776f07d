//! What is compiled of one text: a kernel for each list of element types that calls brought.

use crate::error;
use crate::options::Options;
use crate::run::Shaping;
use kiln::ir::{FreeInput, Graph, parse_with};
use kiln::{DType, Kernel};
use pyo3::prelude::*;
use smallvec::SmallVec;
use std::sync::{Arc, Mutex, PoisonError};

/// The element type of each input, in the order of the text.
pub(crate) type Types = SmallVec<[DType; 8]>;

/// A text that was compiled for inputs of these types.
pub(crate) struct Variant {
    pub(crate) types: Types,
    /// As written. The kernel's graph is fused.
    pub(crate) graph: Graph,
    pub(crate) kernel: Kernel,
    pub(crate) shaping: Shaping,
}

/// The most kernels of one text. Programs that bring more lists of types than that wait for the compiler
/// again.
const MOST: usize = 64;

/// Those used last, the last one first.
#[derive(Default)]
pub(crate) struct Variants(Mutex<Vec<Arc<Variant>>>);

impl Variants {
    /// The variant of these types, if it is there.
    #[inline]
    pub(crate) fn get(&self, types: &[DType]) -> Option<Arc<Variant>> {
        let mut variants = self.lock();
        let at = variants.iter().position(|variant| variant.types[..] == *types)?;
        variants[..=at].rotate_right(1);
        Some(variants[0].clone())
    }

    /// The one used last.
    pub(crate) fn last(&self) -> Option<Arc<Variant>> {
        self.lock().first().cloned()
    }

    /// Adds a variant, and gives the one that is there: another thread may have been faster.
    pub(crate) fn add(&self, variant: Variant) -> Arc<Variant> {
        let types = variant.types.clone();
        let mut variants = self.lock();
        if variants.iter().all(|known| known.types != types) {
            variants.truncate(MOST - 1);
            variants.insert(0, Arc::new(variant));
        }
        let at = variants.iter().position(|known| known.types == types);
        variants[at.expect("it is there")].clone()
    }

    /// Nothing runs while the lock is held, and every list is whole.
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Variant>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Variant {
    /// Compiles a text whose inputs have these types.
    pub(crate) fn compile(
        text: &str,
        inputs: &[FreeInput],
        types: &[DType],
        options: Options,
    ) -> PyResult<Variant> {
        let type_of = |name: &str| {
            let index = inputs.iter().position(|input| input.name == name)?;
            Some((types[index], None))
        };
        let graph = parse_with(text, type_of).map_err(error::text)?;
        let compiled = kiln::compile_with(&graph, options.compile_options());
        let (kernel, shaping) = (compiled.map_err(error::compile)?, Shaping::of(&graph));
        Ok(Variant { types: types.into(), graph, kernel, shaping })
    }
}
