//! What a call does, counted: FLOPs, bytes and memory.

use super::error::ProfileError;
use super::flops::Flops;
use crate::run::{CallStep, FusedStep, Kernel, RunError, View};
use kiln_ir::{Call, DType, Node, NodeId};

/// What one call does. [`Counts::of`] and [`Counts::at`] take it from a kernel's plan; for other code,
/// fill in what you know of it:
///
/// ```
/// use kiln::profile::{Counts, Flops};
///
/// // y += a * x, of 1000 elements of f32.
/// let axpy = Counts {
///     elements: 1000,
///     flops: Flops { fmas: 1000, ..Flops::default() },
///     loaded: 8000,
///     stored: 4000,
///     ..Counts::default()
/// };
/// assert_eq!((axpy.flops.total(), axpy.bytes()), (2000, 12_000));
/// assert_eq!(axpy.intensity(), 2000.0 / 12_000.0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Elements of the largest output, or of the largest array that is reduced if that has more: what
    /// times per element are for.
    pub elements: u64,
    /// Operations.
    pub flops: Flops,
    /// Bytes read: every operand of every pass once.
    pub loaded: u64,
    /// Bytes written: every result of every pass once.
    pub stored: u64,
    /// The most bytes that inputs, outputs and intermediates take together.
    pub memory: u64,
}

impl Counts {
    /// What a call of `kernel` with these inputs does, exactly: the operations of the program that runs,
    /// by [the plan that the call takes](Kernel::plan_for), and the arrays that its passes read and write.
    /// A kernel [compiled unfused](crate::CompileOptions::unfused) writes and reads every temporary.
    ///
    /// Arrays count by their shape, each once for every pass: a view that repeats elements counts as
    /// large as it seems. What is skipped for all but extreme values, as the reduction of huge arguments
    /// of `sin`, is not counted. Fails where [`Kernel::run`] does, and where a count overflows.
    ///
    /// ```
    /// use kiln::profile::Counts;
    /// use ndarray::Array2;
    ///
    /// let kernel = kiln::compile_text("|x: f32[m, k], w: f32[k, n], b: f32[n]| relu(x @ w + b)")?;
    /// let (x, w) = (Array2::<f32>::ones((8, 16)), Array2::<f32>::ones((16, 4)));
    /// let counts = Counts::of(&kernel, &[(&x).into(), (&w).into(), (&[1f32; 4]).into()])?;
    /// assert_eq!(counts.flops.products, 2 * 8 * 16 * 4);
    /// assert_eq!(counts.flops.total(), 2 * 8 * 16 * 4 + 8 * 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of(kernel: &Kernel, inputs: &[View<'_>]) -> Result<Counts, ProfileError> {
        let plan = kernel.plan_for(inputs)?;
        let mut counts = Counts::default();
        for step in plan.steps() {
            let pass = Counts::of_pass(step)?;
            counts.elements = counts.elements.max(pass.elements);
            counts.flops = sum(counts.flops, pass.flops)?;
            counts.loaded = add(counts.loaded, pass.loaded, BYTES)?;
            counts.stored = add(counts.stored, pass.stored, BYTES)?;
        }
        counts.memory = plan.memory().peak() as u64;
        for input in inputs {
            let (_, bytes) = size(input.shape(), input.dtype())?;
            counts.memory = add(counts.memory, bytes, BYTES)?;
        }
        for (index, shape) in kernel.output_shapes(inputs)?.iter().enumerate() {
            let (elements, bytes) = size(shape, kernel.output_dtype(index))?;
            counts.elements = counts.elements.max(elements);
            counts.memory = add(counts.memory, bytes, BYTES)?;
        }
        if counts.loaded.checked_add(counts.stored).is_none() {
            return Err(ProfileError::Overflow { what: BYTES });
        }
        Ok(counts)
    }

    /// [`Counts::of`] a call with inputs of these shapes, which need not exist.
    ///
    /// ```
    /// use kiln::profile::Counts;
    ///
    /// let product = kiln::compile_text("|a: f32[m, k], b: f32[k, n]| a @ b")?;
    /// let counts = Counts::at(&product, &[[1024, 1024], [1024, 1024]])?;
    /// assert_eq!(counts.flops.total(), 2 << 30);
    /// assert_eq!(counts.bytes(), 3 * 4 << 20);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn at(kernel: &Kernel, shapes: &[impl AsRef<[usize]>]) -> Result<Counts, ProfileError> {
        let declared = kernel.inputs();
        if shapes.len() != declared.len() {
            let inputs = declared.iter().map(ToString::to_string).collect();
            return Err(RunError::InputCount { inputs, found: shapes.len() }.into());
        }
        let zeros = declared.iter().zip(shapes);
        let zeros = zeros.map(|(input, shape)| View::zeros(input.dtype, shape.as_ref()));
        Counts::of(kernel, &zeros.collect::<Vec<_>>())
    }

    /// What one pass of a call does. Its elements are those that it reduces, and 0 if it does not; what
    /// memory a call takes is not known of a pass.
    pub fn of_pass(step: &CallStep) -> Result<Counts, ProfileError> {
        let traffic = step.traffic();
        Ok(Counts {
            elements: reduced(step)?,
            flops: flops(step)?,
            loaded: exact(traffic.loaded, BYTES)?,
            stored: exact(traffic.stored, BYTES)?,
            memory: 0,
        })
    }

    /// Bytes read and written.
    pub fn bytes(&self) -> u64 {
        self.loaded.saturating_add(self.stored)
    }

    /// Arithmetic intensity: FLOPs for each byte that is read or written. It is infinite where nothing
    /// is, 0 where nothing is done either.
    pub fn intensity(&self) -> f64 {
        match (self.flops.total(), self.bytes()) {
            (0, _) => 0.0,
            (flops, bytes) => flops as f64 / bytes as f64,
        }
    }
}

const BYTES: &str = "the bytes";
const FLOPS: &str = "the operations";

/// What a pass does.
fn flops(step: &CallStep) -> Result<Flops, ProfileError> {
    let Some(fused) = step.fused() else {
        let (call, dtype) = step.call().expect("a pass is a fused kernel or a call");
        return Ok(Flops::of_call(call, dtype, exact(step.traffic().ops, FLOPS)?));
    };
    let all = match fused.sizes.is_empty() {
        true => {
            let elements = exact(fused.elements, FLOPS)?;
            let each = Flops::of_body(&fused.body, &fused.tally);
            let all = each.zip(&each, |count, _| count.checked_mul(elements));
            all.ok_or(ProfileError::Overflow { what: FLOPS })?
        }
        false => of_each(fused)?,
    };
    let product = exact(fused.product, FLOPS)?;
    sum(all, Flops { products: product, ..Flops::default() })
}

/// The elements of the largest array that a pass reduces, 0 if there is none.
fn reduced(step: &CallStep) -> Result<u64, ProfileError> {
    match (step.fused(), step.call()) {
        (Some(fused), _) => {
            let operand = |(id, _): (NodeId, _)| fused.body.node(id).operands().first().copied();
            let reduced = fused.body.reductions().filter_map(operand);
            exact(reduced.map(|id| fused.sizes[id.index()]).max().unwrap_or(0), FLOPS)
        }
        (None, Some((Call::Reduce(_), _))) => exact(step.traffic().ops, FLOPS),
        _ => Ok(0),
    }
}

/// What a pass does beside products: each op once for each element that it has.
fn of_each(fused: &FusedStep) -> Result<Flops, ProfileError> {
    let mut all = Flops::default();
    for (id, node) in fused.body.iter() {
        let size = |id: NodeId| exact(fused.sizes[id.index()], FLOPS);
        let (each, elements) = match node {
            Node::Op(op, args) => (Flops::of_op(&fused.body, id, *op, args), size(id)?),
            // These are counted apart.
            Node::Call(call, _) if call.multiplies() => continue,
            Node::Call(call, args) => {
                let each = if call.reads() { 1 } else { 0 };
                (Flops::of_call(*call, fused.body.dtype(args[0]), each), size(args[0])?)
            }
            _ => continue,
        };
        let part = each.zip(&each, |count, _| count.checked_mul(elements));
        all = sum(all, part.ok_or(ProfileError::Overflow { what: FLOPS })?)?;
    }
    Ok(all)
}

/// The sum of two passes, whose total is a number too.
fn sum(left: Flops, right: Flops) -> Result<Flops, ProfileError> {
    let sum = left.zip(&right, u64::checked_add);
    sum.filter(|sum| sum.total() < u64::MAX).ok_or(ProfileError::Overflow { what: FLOPS })
}

fn add(left: u64, right: u64, what: &'static str) -> Result<u64, ProfileError> {
    left.checked_add(right).ok_or(ProfileError::Overflow { what })
}

/// A count of a plan, where what is too large is `usize::MAX`.
fn exact(count: usize, what: &'static str) -> Result<u64, ProfileError> {
    match count {
        usize::MAX => Err(ProfileError::Overflow { what }),
        count => Ok(count as u64),
    }
}

/// Elements and bytes of an array.
fn size(shape: &[usize], dtype: DType) -> Result<(u64, u64), ProfileError> {
    let elements = shape.iter().try_fold(1u64, |count, &size| count.checked_mul(size as u64));
    let sizes = elements.and_then(|n| Some((n, n.checked_mul(dtype.size() as u64)?)));
    sizes.ok_or(ProfileError::Overflow { what: BYTES })
}
