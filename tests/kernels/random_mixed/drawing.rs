//! Random steps: the text of a kernel, with the shape of each value.

use common::Rng;
use kiln::DType;

const UNARY: &[&str] =
    &["exp", "tanh", "abs", "sqrt", "-", "sigmoid", "recip", "floor", "relu", "square", "erf"];
const UNARY_OF_INTEGERS: &[&str] = &["abs", "square", "-", "relu"];
const REDUCTIONS: &[&str] = &["sum", "sum", "max", "min", "prod", "count"];
const OF_FLOATS: &[&str] = &[
    "sum",
    "mean",
    "var",
    "std",
    "logsumexp",
    "softmax",
    "log_softmax",
    "layer_norm",
    "rms_norm",
    "max",
];

#[derive(Clone, Debug)]
pub(crate) struct Value {
    pub(crate) name: String,
    pub(crate) dtype: DType,
    pub(crate) shape: Vec<usize>,
}

/// A kernel under construction, and the values that later steps may read.
pub(crate) struct Drawing<'a> {
    pub(crate) rng: &'a mut Rng,
    pub(crate) dtype: DType,
    pub(crate) values: Vec<Value>,
    pub(crate) lets: String,
    /// Whether sizes may be written out, which fits one shape only.
    pub(crate) has_sizes: bool,
}

/// What two shapes broadcast to.
fn joined(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let size = |shape: &[usize], at: usize| match (at + shape.len()).checked_sub(rank) {
        Some(at) => shape[at],
        None => 1,
    };
    let join = |at| match (size(a, at), size(b, at)) {
        (1, size) | (size, 1) => Some(size),
        (a, b) => (a == b).then_some(a),
    };
    (0..rank).map(join).collect()
}

impl Drawing<'_> {
    /// Mostly a recent one.
    pub(crate) fn value(&mut self) -> Value {
        let count = self.values.len();
        let back = match self.rng.below(3) {
            0 => self.rng.below(count),
            _ => self.rng.below(count.min(4)),
        };
        self.values[count - 1 - back].clone()
    }

    /// A number that fits beside `like`, of the same type; else `like` itself.
    fn beside(&mut self, like: &Value) -> Value {
        for _ in 0..6 {
            let value = self.value();
            let joined = joined(&value.shape, &like.shape);
            let is_small = |shape: Vec<usize>| shape.iter().product::<usize>() < 300_000;
            if value.dtype == like.dtype && joined.is_some_and(is_small) {
                return value;
            }
        }
        like.clone()
    }

    /// A number: a value that is no bool.
    fn number(&mut self) -> Value {
        for _ in 0..8 {
            let value = self.value();
            if value.dtype != DType::Bool {
                return value;
            }
        }
        self.values[0].clone()
    }

    fn push(&mut self, text: String, dtype: DType, shape: Vec<usize>) {
        let name = format!("v{}", self.values.len());
        self.lets += &format!("let {name} = {text}; ");
        self.values.push(Value { name, dtype, shape });
    }

    /// One more value, if it fits.
    pub(crate) fn step(&mut self) {
        let value = self.number();
        let Value { name: a, dtype, shape } = value.clone();
        let rank = shape.len();
        let is_float = dtype.is_float();
        match self.rng.below(26) {
            0..=2 => {
                let op = self.rng.pick(if is_float { UNARY } else { UNARY_OF_INTEGERS });
                if !(op == "-" && dtype == DType::U8) {
                    self.push(format!("{op}({a})"), dtype, shape);
                }
            }
            3..=7 => {
                let Value { name: b, shape: other, .. } = self.beside(&value);
                let shape = joined(&shape, &other).expect("it fits");
                let text = match self.rng.pick(&["+", "-", "*", "*", "/", "max", "min"]) {
                    by @ ("max" | "min") => format!("{by}({a}, {b})"),
                    "/" if !is_float => format!("{a} + {b}"),
                    by => format!("{a} {by} {b}"),
                };
                self.push(text, dtype, shape);
            }
            8 => {
                let Value { name: b, shape: other, .. } = self.beside(&value);
                let shape = joined(&shape, &other).expect("it fits");
                let by = self.rng.pick(&["<", ">=", "==", "!="]);
                let text = format!("select({a} {by} {b}, {a}, {b})");
                self.push(text, dtype, shape);
            }
            9 => {
                let to = self.rng.pick(&[self.dtype, self.dtype, DType::F32, DType::I32]);
                self.push(format!("{to}({a})"), to, shape);
            }
            10..=14 => self.reduction(value),
            15 if rank > 0 => {
                let by = self.rng.pick(&["cumsum", "cumsum", "cumprod"]);
                let axis = self.axis(rank);
                if dtype == self.dtype {
                    self.push(format!("{by}[{axis}]({a})"), dtype, shape);
                }
            }
            16 | 17 => self.product(value),
            18..=21 => self.view(value),
            22 if rank > 0 => {
                let axis = self.rng.below(rank);
                let other = self.beside(&value);
                let mut sizes = shape.clone();
                let fits = other.shape.len() == rank
                    && (0..rank).all(|at| at == axis || other.shape[at] == shape[at]);
                let other = if fits { other } else { value };
                sizes[axis] += other.shape[axis];
                self.push(format!("concat[{axis}]({a}, {})", other.name), dtype, sizes);
            }
            23 if rank > 0 => {
                let axis = self.rng.below(rank);
                let (before, after) = (self.rng.below(3), self.rng.below(3));
                let mut sizes = shape;
                sizes[axis] += before + after;
                self.push(format!("pad[{axis}, {before}, {after}]({a}, 1)"), dtype, sizes);
            }
            24 if rank > 0 => {
                let axis = self.rng.below(rank);
                let mut sizes = shape;
                sizes[axis] = 3;
                self.push(format!("take[{axis}]({a}, i)"), dtype, sizes);
            }
            _ if rank > 1 => {
                let text = self.rng.pick(&[
                    "select(iota[-1](A) <= iota[-2](A), A, 0)",
                    "select(iota[-1](A) == 1, A, A + A)",
                    "A * T(iota[0](A))",
                ]);
                let text = text.replace('A', &a).replace('T', dtype.name());
                self.push(text, dtype, shape);
            }
            _ => {}
        }
    }

    /// An axis, counted from either end.
    fn axis(&mut self, rank: usize) -> i64 {
        let axis = self.rng.below(rank) as i64;
        if self.rng.below(2) == 0 { axis } else { axis - rank as i64 }
    }

    fn reduction(&mut self, value: Value) {
        let Value { name: a, dtype, shape } = value;
        let rank = shape.len();
        let sets: &[&[usize]] = match rank {
            0 => &[],
            1 => &[&[0]],
            2 => &[&[1], &[1], &[0], &[0, 1]],
            _ => &[&[rank - 1], &[rank - 2], &[0], &[rank - 2, rank - 1], &[0, rank - 1]],
        };
        let is_all = sets.is_empty() || self.rng.below(6) == 0;
        let set = if is_all { &[][..] } else { sets[self.rng.below(sets.len())] };
        let axes: Vec<String> = set.iter().map(|axis| axis.to_string()).collect();
        let axes = if is_all { "..".to_string() } else { axes.join(", ") };
        let mut small = shape.clone();
        set.iter().for_each(|&axis| small[axis] = 1);
        if is_all {
            small.clear();
        }
        let by = self.rng.pick(if dtype.is_float() { OF_FLOATS } else { REDUCTIONS });
        match by {
            _ if self.rng.below(8) == 0 => {
                let by = self.rng.pick(&["argmax", "argmin"]);
                self.push(format!("{dtype}({by}[{axes}]({a}))"), dtype, small);
            }
            "softmax" | "log_softmax" | "layer_norm" | "rms_norm" => {
                self.push(format!("{by}[{axes}]({a})"), dtype, shape);
            }
            // Sums of small integers, and counts, are of wider types.
            by => self.push(format!("{dtype}({by}[{axes}]({a}))"), dtype, small),
        }
    }

    /// `x @ transpose(y)` of anything with the same last axis, or a product with itself.
    fn product(&mut self, value: Value) {
        let Value { name: a, dtype, shape } = value.clone();
        let other = self.beside(&value);
        if !dtype.is_float() || shape.len() != 2 {
            return;
        }
        let fits = other.shape.len() == 2 && other.shape[1] == shape[1];
        let other = if fits { other } else { value };
        let (b, n) = (other.name, other.shape[0]);
        if shape[0] * shape[1] * n > 4_000_000 {
            return;
        }
        // Of 16 bits, products are of 32.
        let to = if dtype == DType::F64 { DType::F64 } else { DType::F32 };
        self.push(format!("{a} @ transpose({b})"), to, vec![shape[0], n]);
    }

    fn view(&mut self, value: Value) {
        let Value { name: a, dtype, mut shape } = value;
        let rank = shape.len();
        if rank == 0 {
            return;
        }
        let at = self.rng.below(rank);
        let text = match self.rng.below(8) {
            0 => {
                shape.reverse();
                format!("transpose({a})")
            }
            1 | 2 => {
                let (text, size) = match self.rng.below(4) {
                    0 => ("::2", shape[at].div_ceil(2)),
                    1 => ("::-3", shape[at].div_ceil(3)),
                    2 => ("1:", shape[at].saturating_sub(1)),
                    _ => (":-1", shape[at].saturating_sub(1)),
                };
                shape[at] = size;
                format!("slice[{at}, {text}]({a})")
            }
            3 => format!("flip[{at}]({a})"),
            4 if rank < 4 => {
                shape.insert(at, 1);
                format!("unsqueeze[{at}]({a})")
            }
            5 => match shape.iter().position(|&size| size == 1) {
                Some(axis) => {
                    shape.remove(axis);
                    format!("squeeze[{axis}]({a})")
                }
                None => return,
            },
            6 if self.has_sizes => {
                let mut sizes = shape.clone();
                sizes.iter_mut().filter(|size| **size == 1).for_each(|size| *size = 4);
                let written: Vec<String> = sizes.iter().map(|size| size.to_string()).collect();
                shape = sizes;
                format!("expand[{}]({a})", written.join(", "))
            }
            _ if self.has_sizes && rank > 1 && !shape.contains(&0) => {
                let first = shape.remove(0);
                shape[0] *= first;
                if shape[0].is_multiple_of(2) && self.rng.below(2) == 0 {
                    shape[0] /= 2;
                    shape.insert(1, 2);
                }
                let written: Vec<String> = shape.iter().map(|size| size.to_string()).collect();
                format!("reshape[{}]({a})", written.join(", "))
            }
            _ => return,
        };
        self.push(text, dtype, shape);
    }
}
