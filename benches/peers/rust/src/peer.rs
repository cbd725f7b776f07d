//! What a peer is, and what it is given.

use crate::memory::Arena;
use crate::{candle, copy, fidget, kiln, ndarray as with_ndarray, products, symjit};
use ndarray::{ArrayViewD, ArrayViewMutD, IxDyn, ShapeBuilder};
use serde::Deserialize;
use serde_json::Value;

/// Why a peer cannot do a case.
pub(crate) type Unable = String;

/// Code that Kiln is measured against, or Kiln.
pub(crate) trait Peer {
    fn version(&self) -> &'static str;

    /// The functions that a program may contain, with spaces between.
    fn knows(&self) -> &'static str;

    /// Makes code for a case, and binds these arrays to it.
    fn bind(&self, case: &Case, inputs: &[Array], output: &Array) -> Result<Bound, Unable>;
}

/// A call, and what takes its result to the output if the peer wrote it elsewhere.
pub(crate) struct Bound {
    pub(crate) call: Box<dyn FnMut()>,
    pub(crate) read: Box<dyn FnMut()>,
}

impl Bound {
    /// A call that writes into the output.
    pub(crate) fn new(call: impl FnMut() + 'static) -> Bound {
        Bound { call: Box::new(call), read: Box::new(|| {}) }
    }
}

/// What is to be computed.
#[derive(Deserialize)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) kind: String,
    /// The formula as text for Kiln.
    pub(crate) text: String,
    /// The formula as a program: see [`nodes`].
    nodes: Vec<Vec<Value>>,
    pub(crate) inputs: Vec<Input>,
    pub(crate) shape: Vec<usize>,
    pub(crate) dtype: DType,
    pub(crate) threads: usize,
}

#[derive(Deserialize)]
pub(crate) struct Input {
    pub(crate) name: String,
    /// Whether it stays the same from call to call.
    pub(crate) weight: bool,
    pub(crate) file: String,
    pub(crate) stored: Vec<usize>,
    pub(crate) transposed: bool,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DType {
    Float32,
    Float64,
}

impl DType {
    pub(crate) fn bytes(self) -> usize {
        if self == DType::Float32 { 4 } else { 8 }
    }
}

/// One step of a program.
pub(crate) enum Node<'c, T> {
    Input(&'c str),
    Number(f64),
    Op(&'c str, Vec<&'c T>),
}

impl Case {
    /// Whether a matrix product is part of it.
    pub(crate) fn has_product(&self) -> bool {
        self.nodes.iter().any(|node| node[0] == "matmul")
    }

    /// Builds the program's result by `step`, which is given what it made of the operands.
    pub(crate) fn build<T>(
        &self,
        mut step: impl FnMut(Node<'_, T>) -> Result<T, Unable>,
    ) -> Result<T, Unable> {
        let mut values: Vec<T> = Vec::new();
        for node in &self.nodes {
            let op = node[0].as_str().expect("a node begins with its op");
            let value = match op {
                "input" => step(Node::Input(node[1].as_str().expect("an input has a name")))?,
                "number" => step(Node::Number(node[1].as_f64().expect("a number is one")))?,
                _ => {
                    let place = |operand: &Value| operand.as_u64().expect("a place") as usize;
                    let operands = node[1..].iter().map(|operand| &values[place(operand)]);
                    step(Node::Op(op, operands.collect()))?
                }
            };
            values.push(value);
        }
        values.pop().ok_or_else(|| "an empty program".into())
    }
}

/// An array that lies in an [`Arena`], which outlives every use of it.
#[derive(Clone)]
pub(crate) struct Array {
    start: *mut u8,
    /// As it is stored.
    pub(crate) stored: Vec<usize>,
    dtype: DType,
    pub(crate) transposed: bool,
}

impl Array {
    pub(crate) fn new(
        arena: &Arena,
        offset: usize,
        stored: &[usize],
        dtype: DType,
        transposed: bool,
    ) -> Array {
        Array { start: arena.at(offset), stored: stored.into(), dtype, transposed }
    }

    fn len(&self) -> usize {
        self.stored.iter().product()
    }

    /// Its memory.
    #[allow(clippy::mut_from_ref, reason = "a server runs one thing at a time")]
    pub(crate) fn bytes(&self) -> &'static mut [u8] {
        // SAFETY: the arena holds that many bytes and outlives the call; the server reads and
        // writes only between calls.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.len() * self.dtype.bytes()) }
    }

    /// Its elements, in the order of memory.
    pub(crate) fn slice<T>(&self) -> &'static [T] {
        assert!(size_of::<T>() == self.dtype.bytes());
        // SAFETY: as in `bytes`; any bits are a float's.
        unsafe { std::slice::from_raw_parts(self.start.cast(), self.len()) }
    }

    /// Its elements, to be written: only outputs are, and each by one call.
    #[allow(clippy::mut_from_ref, reason = "a server runs one thing at a time")]
    pub(crate) fn slice_mut<T>(&self) -> &'static mut [T] {
        assert!(size_of::<T>() == self.dtype.bytes());
        // SAFETY: as in `slice`.
        unsafe { std::slice::from_raw_parts_mut(self.start.cast(), self.len()) }
    }

    /// As the formula has it.
    pub(crate) fn view<T>(&self) -> ArrayViewD<'static, T> {
        let view = ArrayViewD::from_shape(IxDyn(&self.stored), self.slice()).expect("it is whole");
        if self.transposed { view.reversed_axes() } else { view }
    }

    /// As the formula has it, to be written.
    pub(crate) fn view_mut<T>(&self) -> ArrayViewMutD<'static, T> {
        let shape = IxDyn(&self.stored).into_shape_with_order();
        ArrayViewMutD::from_shape(shape, self.slice_mut()).expect("it is whole")
    }

    /// Rows, columns, and what a step along each is, in elements: of a matrix.
    pub(crate) fn matrix(&self) -> (usize, usize, isize, isize) {
        let (rows, columns) = (self.stored[0], self.stored[1]);
        let step = columns as isize;
        if self.transposed { (columns, rows, 1, step) } else { (rows, columns, step, 1) }
    }
}

/// Every peer by its name.
pub(crate) const PEERS: [(&str, &dyn Peer); 12] = [
    ("kiln", &kiln::PRECISE),
    ("kiln-fast", &kiln::FAST),
    ("kiln-avx2", &kiln::AVX2),
    ("ndarray", &with_ndarray::NdArray),
    ("candle", &candle::Candle),
    ("fidget", &fidget::Fidget),
    ("symjit", &symjit::Symjit),
    ("gemmkit", &products::Gemmkit),
    ("faer", &products::Faer),
    ("copy", &copy::Copy { streaming: false }),
    ("copy-streaming", &copy::Copy { streaming: true }),
    ("read", &copy::Read),
];

/// Functions that most peers have.
pub(crate) const MATH: &str = "exp log log1p expm1 sqrt tanh erf abs maximum where";
