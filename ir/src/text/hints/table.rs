//! Every hint of the parser: what was written, where, and what to write.

use super::Place::{
    Arity, Character, Ending, Free, Function, Keyword, Name, Operand, Operator, Suffix, Symbol,
    Type,
};
use super::{Hint, Place};

// Hints for what the parser finds without the table.

pub(in crate::text) const ARGUMENTS: &str = "arguments go in parentheses: `{}(..)`";
pub(in crate::text) const ARRAY: &str = "`{}` is an array; a product is `{} * (..)`";
pub(in crate::text) const ALONG: &str =
    "write `{}[-1]({})` for the last axis, `{}[..]({})` for all";
pub(in crate::text) const ALONG_ONE: &str = "write `{}[-1]({})` for the last axis";
pub(in crate::text) const AXES: &str = "axes are counted from the last, which is -1, or the first, which is 0: `[-1]`, `[0, 1]`, `[..]`";
pub(in crate::text) const BRACKETS: &str =
    "axes go in brackets: `{}[-1](x)`; other arguments have no names, they come in order";
pub(in crate::text) const BARS: &str =
    "bars name the inputs of a kernel, as in `|x, y| x * y`; a magnitude is `abs(x)`";
pub(in crate::text) const BINDING: &str = "a binding ends with `;`: `let u = x * 2; u + 1`";
pub(in crate::text) const CHAIN: &str = "write `(a {} b) & (b {} c)`";
pub(in crate::text) const CLOSURE: &str =
    "inputs are named between bars at the start: `|x, y| x * y`";
pub(in crate::text) const CLOSURE_INPUT: &str = "inputs are named at the start: `|{}| ..`";
pub(in crate::text) const COMMENTS: &str = "comments begin with `#`; `//` is floor division";
pub(in crate::text) const FUNCTIONS: &str =
    "write it with functions that are here; `kiln ops` lists them all";
pub(in crate::text) const FUSED_INPUT: &str =
    "a fused body sees its parameters only: `fused({}, ..)`";
pub(in crate::text) const FUSED_NAMES: &str = "name them: `let ({}) = fused(..) {..};`";
pub(in crate::text) const CONSTANT: &str = "it is written `{}`, without `{}.`";
pub(in crate::text) const ENDING: &str = "a body ends with its result: `let u = x * 2; u`";
pub(in crate::text) const HEAD: &str =
    "a kernel has a name, and its body stands in braces: `kernel f(x) { x * 2 }`";
pub(in crate::text) const KERNEL_INPUT: &str =
    "inputs are declared in the head: `kernel f({}: f32[..])`";
pub(in crate::text) const IN_PLACE: &str =
    "arguments have no names: write it in its place, `{}{}{})`";
pub(in crate::text) const LARGE: &str = "split it into several kernels";
pub(in crate::text) const LETTERS: &str = "names are ASCII letters, digits and `_`";
pub(in crate::text) const MARKS: &str = "a `_` stands between digits";
pub(in crate::text) const MEANT: &str = "did you mean `{}`?";
pub(in crate::text) const METHOD: &str = "an op is called as a function: `{}({})`";
pub(in crate::text) const NAMED: &str = "choose another name";
pub(in crate::text) const NESTED: &str = "name inner parts with `let`";
pub(in crate::text) const NO_GROUP: &str = "no `(` is open here";
pub(in crate::text) const NO_AXES: &str = "it is elementwise: write `{}`";
pub(in crate::text) const NO_BRACKETS: &str = "it has no axes: write `{}`";
pub(in crate::text) const OCTAL: &str = "write `{}`; octal digits are `0o{}`";
pub(in crate::text) const ONLY_NUMBERS: &str = "only numbers may stand here, no names of sizes; ";
pub(in crate::text) const PARAMETERS: &str =
    "commas stand between parameters, and a type follows its name: `x: f32[n], y`";
pub(in crate::text) const PAYLOAD: &str = "write `{}(0x7fc00001)`";
pub(in crate::text) const POSITIONAL: &str =
    "arguments have no names: they come in order, as in `clamp(x, 0, 1)`";
pub(in crate::text) const PREFIX: &str = "functions stand alone: `{}(x)`, without `{}.`";
pub(in crate::text) const LISTED: &str =
    "a comma stands between arguments; a product is written `a * b`";
pub(in crate::text) const PRODUCT: &str = "a product is written `a * b`";
pub(in crate::text) const RADIX: &str = "it has no suffix: convert it, as in `i64(0x10)`";
pub(in crate::text) const RESERVED: &str = "`{}` is a word of the text format";
pub(in crate::text) const RESULT: &str = "no `;` follows the result";
pub(in crate::text) const RESULT_TYPE: &str = "the result type may be left out";
pub(in crate::text) const SEVERAL: &str =
    "several results are a tuple at the end: `(a, b)`; a name is `let u = ..;`";
pub(in crate::text) const SUFFIX: &str =
    "a product is written `{} * {}`; a suffix is a type, as in `2f64` or `2i32`";
pub(in crate::text) const TUPLE: &str = "a tuple stands only at the end of a kernel";
pub(in crate::text) const TYPE: &str =
    "a type is an element type, and its axes where they matter: `f32`, `f32[n, 3]`";
pub(in crate::text) const UNPACK: &str =
    "only a fused kernel has several values; write one `let` for each name";
pub(in crate::text) const USAGE: &str = "it is written `{}`";
pub(in crate::text) const WRITTEN: &str = "it is a function: call it as `{}(..)`";

// Hints of several rows.

const CHOICE: &str = "a choice is written `select(x > 0, x, 0)`";
const COMPLEX: &str = "there are no complex numbers";
const EQUALITY: &str = "equality is `==`, inequality `!=`";
const GAMMA: &str = "there is no gamma function";
const INTEGERS: &str = "there are integers `u8`, `i32` and `i64`";
const LOOPS: &str = "there are no loops: ops go over whole arrays by themselves";
const NEIGHBOURS: &str =
    "an element sees no neighbours: pass shifted views of the array as inputs of their own";
const RANDOM: &str = "a kernel has no random numbers: pass an array of them";
pub(in crate::text) const STATEMENT: &str =
    "a name is given by `let u = ..;`, and takes the type of its value";
const UPDATE: &str = "a kernel changes no array: write the new value, as in `x + 1`";

const fn hint(place: Place, words: &'static str, says: &'static str) -> Hint {
    Hint { place, words, says }
}

/// The table. A word is in one row of each place at most; `{}` in a hint stands for what was written.
#[rustfmt::skip]
pub(in crate::text) static HINTS: &[Hint] = &[
    // Reductions, by other names.
    hint(Function, "nansum reduce_sum sumsq total rowsums colsums", "write `sum[-1](x)` of each row, `sum(x)` of all elements"),
    hint(Function, "average nanmean reduce_mean rowmeans colmeans", "write `mean[-1](x)` of each row, `mean[..](x)` of all elements"),
    hint(Function, "product nanprod reduce_prod", "write `prod[-1](x)` of each row, `prod(x)` of all elements"),
    hint(Function, "variance nanvar stdev stddev sd nanstd sem", "write `var[-1](x)` or `std[-1](x)`, which divide by the number of elements"),
    hint(Function, "nanmax nanmin reduce_max reduce_min maxval minval ptp reduce fold", "write `max[-1](x)` or `min[-1](x)` of each row, `max[..](x)` of all elements"),
    hint(Function, "nanargmax nanargmin aminmax", "write `argmax[-1](x)` or `argmin[-1](x)`"),
    hint(Function, "median nanmedian quantile percentile mode kthvalue", "there are no order statistics: sort the result in Rust"),
    hint(Function, "none count_nonzero countif sumif allclose array_equal", "how many are true is `sum(x > 0)`, whether all are `all(x > 0)`"),
    hint(Function, "cummax cummin logcumsumexp scan accumulate", "of scans there are `cumsum` and `cumprod` alone: use ndarray on the result, by `accumulate_axis_inplace`"),
    hint(Function, "softmin gumbel_softmax sparsemax", "there is `softmax[-1](x)`"),
    hint(Function, "logsoftmax", "write `log_softmax[-1](x)`"),
    hint(Function, "layernorm batch_norm batchnorm group_norm instance_norm standardize zscore", "write `layer_norm[-1](x)`; scale and shift follow it: `layer_norm[-1](x) * w + b`"),
    hint(Function, "rmsnorm", "write `rms_norm[-1](x)`"),
    hint(Function, "l2_norm vector_norm cdist", "write `norm[-1](x)`; of two numbers it is `hypot(a, b)`"),
    hint(Function, "mse_loss", "write `mse[..](a, b)`"),
    hint(Function, "mae l1_loss", "write `mean[..](abs(a - b))`"),
    hint(Function, "huber huber_loss smooth_l1 smooth_l1_loss", "write `select(abs(x) < 1, 0.5 * square(x), abs(x) - 0.5)` of the difference `x`"),
    hint(Function, "nll_loss", "write `nll[-1](x, y)` of logarithms of probabilities and labels, which keep the axis with size 1"),
    hint(Function, "softmax_cross_entropy sparse_cross_entropy sparse_categorical_crossentropy categorical_crossentropy", "write `cross_entropy[-1](x, p)` of logits and probabilities, `label_cross_entropy[-1](x, i64(y))` of logits and labels, which keep the axis with size 1"),
    hint(Function, "entropy", "write `-sum[-1](p * log(p))`"),
    hint(Function, "binary_cross_entropy bce bce_loss", "write `-(t * log(p) + (1 - t) * log1p(-p))`"),
    hint(Function, "binary_cross_entropy_with_logits bce_with_logits", "write `max(x, 0) - x * t + softplus(-abs(x))`"),
    hint(Function, "kl_div rel_entr", "write `sum[-1](p * log(p / q))`"),
    // Arrays as a whole.
    hint(Function, "dot vdot inner mv", "a product of matrices is `matmul(a, b)` or `a @ b`"),
    hint(Function, "einsum tensordot contract", "a product of matrices is `matmul(a, b)` or `a @ b`; there are no other contractions yet"),
    hint(Function, "outer", "the outer product of a column and a row is `a * b`: pass arrays of shapes [n, 1] and [1, m]"),
    hint(Function, "addmm baddbmm linear gemm", "write `x @ w + b`"),
    hint(Function, "kron cross det inverse pinv solve lstsq svd eig eigh qr lu cholesky trace matrix_power expm", "of linear algebra there are products alone, `a @ b`"),
    hint(Function, "t T mT moveaxis rollaxis permute_dims permuted_axes", "write `transpose(x)` for all axes in reverse, `permute[0, 2, 1](x)` for another order, `swapaxes[-2, -1](x)` for two of them"),
    hint(Function, "view ravel flatten to_shape expand_dims newaxis insert_axis atleast_1d", "write `reshape[-1](x)`, and `unsqueeze[-1](x)` for a new axis"),
    hint(Function, "broadcast broadcast_to tile repeat", "operands broadcast by themselves: an array of shape [n] meets one of shape [m, n] in every row; otherwise write `expand[3, -1](x)`"),
    hint(Function, "concatenate cat stack hstack vstack append", "write `concat[0](a, b)` along an axis"),
    hint(Function, "split chunk unbind unstack narrow subarray", "write a slice for each part, as in `slice[0, 1:10:2](x)`"),
    hint(Function, "fliplr flipud rot90 reverse rev", "write `flip[-1](x)` for the last axis in reverse"),
    hint(Function, "gather scatter scatter_add take_along_axis index_select embedding lookup vlookup put at", "write `take[0](x, i)` for what has the places `i` along an axis, `take_along[-1](x, i)` for places of each row's own"),
    hint(Function, "masked_fill", "write `select(x < 0, value, x)`, or a bool array as the condition"),
    hint(Function, "masked_select compress nonzero argwhere filter", "a result has the shape of its operands: filter it in Rust"),
    hint(Function, "diag tril triu eye identity", "compare places: `iota[-2](x) >= iota[-1](x)` is true on and below the diagonal"),
    hint(Function, "zeros ones full empty arange linspace logspace range meshgrid", "a kernel makes no arrays but the places along an axis of one, `iota[-1](x)`: pass one"),
    hint(Function, "zeros_like", "write the number 0: it broadcasts (`x * 0` has the shape of `x`)"),
    hint(Function, "ones_like full_like empty_like", "write the number: it broadcasts (`x * 0 + 1` has the shape of `x`)"),
    hint(Function, "sort argsort topk unique searchsorted bucketize bincount histogram digitize", "elements are computed one by one: sort and count the result in Rust"),
    hint(Function, "diff gradient trapz convolve conv conv1d conv2d conv3d correlate max_pool2d avg_pool2d interp interp1d unfold", NEIGHBOURS),
    hint(Function, "causal causal_mask is_causal mask", "compare places: `select(iota[-2](s) >= iota[-1](s), s, -inf)` leaves scores `s` on and below the diagonal"),
    hint(Function, "attention sdpa scaled_dot_product_attention flash_attention multihead_attention", "write `softmax[-1](q @ swapaxes[-2, -1](k) * 0.125) @ v`"),
    hint(Function, "masked_softmax softmax_masked", "write `softmax_or_zero[-1](select(m > 0, x, -inf))`, which is 0 where all is masked"),
    hint(Function, "fft ifft rfft irfft dct", "there are no Fourier transforms"),
    hint(Function, "grad vjp jvp backward derivative", "there are no derivatives yet: write the formula as a kernel of its own"),
    hint(Function, "size shape len length ndim rank numel nrow ncol", "a kernel does not know its sizes: pass them as inputs"),
    // Randomness, effects, control.
    hint(Function, "rand randn random uniform normal randint bernoulli poisson multinomial shuffle choice runif rnorm rnd", RANDOM),
    hint(Function, "dropout rrelu", "a kernel has no random numbers: pass a mask, as in `x * mask / (1 - p)`"),
    hint(Function, "print println printf debug assert", "a kernel only computes: make the value one more result, as in `(y, x)`"),
    hint(Function, "map apply vmap vectorize sapply lapply foreach", "every op goes over whole arrays by itself: `exp(x)`"),
    hint(Function, "for while loop do", LOOPS),
    hint(Function, "if cond ternary", CHOICE),
    hint(Function, "switch case choose piecewise match", "choices nest: `select(x < 0, a, select(x < 1, b, c))`"),
    hint(Function, "return", "the last expression is the result: leave `return` out"),
    hint(Function, "lambda fn func function def", CLOSURE),
    // Formulas.
    hint(Function, "fmax fmaxf maximum_number", "`max(a, b)` is NaN where either is; without, write `select(isnan(a), b, select(isnan(b), a, max(a, b)))`"),
    hint(Function, "fmin fminf minimum_number", "`min(a, b)` is NaN where either is; without, write `select(isnan(a), b, select(isnan(b), a, min(a, b)))`"),
    hint(Function, "clamp_min clip_min", "write `max(x, low)`"),
    hint(Function, "clamp_max clip_max", "write `min(x, high)`"),
    hint(Function, "clip_by_value", "write `clamp(x, low, high)`"),
    hint(Function, "saturate clamp01 clip01", "write `clamp(x, 0, 1)`"),
    hint(Function, "divide true_divide", "write `a / b`; of integers that is rounded toward zero, so convert them: `f32(a) / f32(b)`"),
    hint(Function, "div_floor", "write `a // b`"),
    hint(Function, "div_euclid rem_euclid", "write `mod(a, abs(b))` for the remainder"),
    hint(Function, "quotient div_trunc", "of integers write `a / b`, of floats `trunc(a / b)`"),
    hint(Function, "divmod", "write `a // b` and `mod(a, b)`"),
    hint(Function, "drem ieee_remainder", "write `a - b * round(a / b)`"),
    hint(Function, "positive", "write `+x`, or `x`"),
    hint(Function, "inc", "write `x + 1`"),
    hint(Function, "dec", "write `x - 1`"),
    hint(Function, "signbit", "write `copysign(1, x) < 0`"),
    hint(Function, "isposinf", "write `x == inf`"),
    hint(Function, "isneginf", "write `x == -inf`"),
    hint(Function, "isnormal", "write `isfinite(x) & (abs(x) >= 1.1754944e-38)`, the least normal f32"),
    hint(Function, "iszero", "write `x == 0`"),
    hint(Function, "iseven is_even", "write `x % 2 == 0`"),
    hint(Function, "isodd is_odd", "write `x % 2 != 0`"),
    hint(Function, "isreal iscomplex", COMPLEX),
    hint(Function, "isclose", "write `abs(a - b) <= 1e-8 + 1e-5 * abs(b)`"),
    hint(Function, "isin in1d", "write `(x == a) | (x == b)`"),
    hint(Function, "between", "write `(a <= x) & (x <= b)`"),
    hint(Function, "nan_to_num iferror fillna coalesce", "write `select(isnan(x), 0, x)`"),
    hint(Function, "heaviside", "write `select(x < 0, 0, select(x > 0, 1, h))`"),
    hint(Function, "step", "write `select(x < edge, 0, 1)`"),
    hint(Function, "sinc", "write `select(x == 0, 1, sin(pi * x) / (pi * x))`"),
    hint(Function, "radians deg2rad", "write `x * (pi / 180)`"),
    hint(Function, "degrees rad2deg", "write `x * (180 / pi)`"),
    hint(Function, "sind", "write `sin(x * (pi / 180))`"),
    hint(Function, "cosd", "write `cos(x * (pi / 180))`"),
    hint(Function, "tand", "write `tan(x * (pi / 180))`"),
    hint(Function, "sinpi", "write `sin(pi * x)`"),
    hint(Function, "cospi", "write `cos(pi * x)`"),
    hint(Function, "tanpi", "write `tan(pi * x)`"),
    hint(Function, "sincos sin_cos", "write `sin(x)` and `cos(x)`: what they share is computed once"),
    hint(Function, "sec", "write `recip(cos(x))`"),
    hint(Function, "csc", "write `recip(sin(x))`"),
    hint(Function, "cot", "write `recip(tan(x))`"),
    hint(Function, "sech", "write `recip(cosh(x))`"),
    hint(Function, "csch", "write `recip(sinh(x))`"),
    hint(Function, "coth", "write `recip(tanh(x))`"),
    hint(Function, "lerp mix", "write `a + t * (b - a)`"),
    hint(Function, "smoothstep", "of a `t` between 0 and 1 write `t * t * (3 - 2 * t)`"),
    hint(Function, "fract", "write `x - floor(x)`"),
    hint(Function, "frac", "write `x - trunc(x)`"),
    hint(Function, "modf", "write `x - trunc(x)` and `trunc(x)`"),
    hint(Function, "ldexp scalbn", "write `a * exp2(b)`"),
    hint(Function, "frexp", "write `floor(log2(abs(x)))` for the exponent"),
    hint(Function, "ilogb logb", "write `floor(log2(abs(x)))`"),
    hint(Function, "nextafter nexttoward spacing ulp", "there are no neighbours of floats"),
    hint(Function, "fdim", "write `max(a - b, 0)`"),
    hint(Function, "absdiff abs_diff", "write `abs(a - b)`"),
    hint(Function, "logit", "write `log(p / (1 - p))`"),
    hint(Function, "xlogy", "write `select(x == 0, 0, x * log(y))`"),
    hint(Function, "xlog1py", "write `select(x == 0, 0, x * log1p(y))`"),
    hint(Function, "entr", "write `select(x == 0, 0, -x * log(x))`"),
    hint(Function, "logaddexp2", "write `log2(exp2(a) + exp2(b))`, or `logaddexp` of natural logarithms"),
    hint(Function, "log1mexp", "write `log(-expm1(-x))`"),
    hint(Function, "log1pexp", "write `softplus(x)`"),
    hint(Function, "lg", "write `log2(x)` or `log10(x)`"),
    hint(Function, "inv", "write `recip(x)`, or `!x` for every bit flipped"),
    hint(Function, "cube", "write `x^3`"),
    hint(Function, "nthroot root", "write `x^(1 / n)`; there are `sqrt(x)` and `cbrt(x)`"),
    hint(Function, "hypot3 hypotn", "write `hypot(hypot(x, y), z)`"),
    hint(Function, "roundf round_half_away", "`round` takes ties to even; away from zero, write `copysign(floor(abs(x) + 0.5), x)`"),
    hint(Function, "around", "write `round(x)`; to `n` digits, `round(x * 10^n) / 10^n`"),
    hint(Function, "rounddown", "write `trunc(x)`"),
    hint(Function, "roundup", "write `copysign(ceil(abs(x)), x)`"),
    hint(Function, "mround", "write `round(x / n) * n`"),
    hint(Function, "glu", "write `a * sigmoid(b)`"),
    hint(Function, "swiglu", "write `silu(a) * b`"),
    hint(Function, "geglu", "write `gelu(a) * b`"),
    hint(Function, "reglu", "write `relu(a) * b`"),
    hint(Function, "normpdf dnorm gaussian", "write `exp(-0.5 * x * x) / sqrt(2 * pi)`"),
    hint(Function, "log_ndtr", "write `log(normcdf(x))`, which is `-inf` far to the left"),
    hint(Function, "gamma tgamma lgamma gammaln loggamma digamma polygamma beta betaln factorial comb binom", GAMMA),
    hint(Function, "erfinv erfcinv ndtri norminv qnorm probit", "there are `erf`, `erfc` and `normcdf`, but not their inverses"),
    hint(Function, "erfcx erfi dawsn", "there are `erf` and `erfc`, but not this one"),
    hint(Function, "i0 i0e i1 i1e j0 j1 jn y0 y1 yn bessel zeta expint lambertw", "of special functions there are `erf`, `erfc` and `normcdf` alone"),
    hint(Function, "gcd lcm isprime", "there is no number theory"),
    hint(Function, "popcount bit_count count_ones clz ctz rotl rotr reverse_bits", "there is no such op on bits: there are `&`, `|`, `xor(a, b)`, `!x`, `<<` and `>>`"),
    hint(Function, "bitshift", "write `x << n` or `x >> n`"),
    hint(Function, "nand", "write `!(a & b)`"),
    hint(Function, "nor", "write `!(a | b)`"),
    hint(Function, "real imag conj angle arg phase complex complex64 complex128", COMPLEX),
    // Types.
    hint(Function, "float", "say which: `f32(x)` or `f64(x)`"),
    hint(Function, "int", "say which: `i32(x)` or `i64(x)`"),
    hint(Function, "long", "write `i64(x)`"),
    hint(Function, "short int8 int16 uint16 uint32 uint64 uint i8 i16 u16 u32 u64", INTEGERS),
    hint(Function, "astype cast as to type", "write the type: `f32(x)`, `i32(x)`"),
    hint(Function, "view_as bitcast reinterpret transmute", "bits are not read as another type; numbers convert, as in `f32(x)`"),
    // Functions of ours with another number of arguments.
    hint(Arity, "max/1 min/1", "`{}` is of two arrays; of one write `{}[-1](x)`, or `{}[..](x)` over all axes"),
    hint(Arity, "max[-1]/2", "`max[-1](x)` is the largest of each row, `max(a, b)` the larger of two arrays"),
    hint(Arity, "min[-1]/2", "`min[-1](x)` is the least of each row, `min(a, b)` the lesser of two arrays"),
    hint(Arity, "layer_norm[-1]/3 rms_norm[-1]/3", "scale and shift follow it: `{}(x) * w + b`"),
    hint(Arity, "norm[-1]/2", "it is the root of the sum of squares; of magnitudes write `sum[-1](abs(x))` or `max[-1](abs(x))`"),
    hint(Arity, "transpose/3", "two axes change places by `swapaxes[0, 1](x)`; all of them in an order of yours by `permute[1, 0](x)`"),
    hint(Arity, "max/+ min/+", "of three write `{}(a, {}(b, c))`"),
    hint(Arity, "log/2", "write `log(x) / log(b)`"),
    hint(Arity, "atan/2", "write `atan2(y, x)`"),
    hint(Arity, "round/2", "to `n` digits write `round(x * 10^n) / 10^n`"),
    hint(Arity, "ceil/2 floor/2", "of multiples write `{}(x / n) * n`"),
    hint(Arity, "select/1", "a kernel has no indices: `select(x > 0, x, 0)` chooses element by element"),
    hint(Arity, "select/2", "say what else: `select(x > 0, x, 0)`"),
    hint(Arity, "clamp/2", "write `max(x, low)` or `min(x, high)`"),
    hint(Arity, "normcdf/3", "write `normcdf((x - mean) / sd)`"),
    hint(Arity, "hypot/+", "write `hypot(hypot(x, y), z)`"),
    hint(Arity, "matmul/+", "products are written `a @ b @ c`"),
    // Names that a kernel with declared inputs does not know.
    hint(Name, "e E euler M_E", "write `exp(1)`, or `exp(x)` for its powers"),
    hint(Name, "tau TAU", "write `2 * pi`"),
    hint(Name, "i j", COMPLEX),
    hint(Name, "None null NULL nil NA undefined", "there are no missing values: `nan` is a float"),
    hint(Name, "eps epsilon EPSILON", "write the number: 1.1920929e-7 of f32, 2.220446049250313e-16 of f64"),
    hint(Name, "self this", "an array is named as it is declared"),
    hint(Free, "return", "the last expression is the result: leave `return` out"),
    // Words before an operand, where no operator stands between.
    hint(Keyword, "return", "the last expression is the result: leave `return` out"),
    hint(Keyword, "lambda def fn func function", CLOSURE),
    hint(Keyword, "var const val auto mut static float double int long real", STATEMENT),
    hint(Keyword, "if when unless switch case match", CHOICE),
    hint(Keyword, "for while do loop repeat", LOOPS),
    hint(Keyword, "import from using include use", "there is nothing to import: ops are known by their names"),
    // Words after an operand, where an operator could stand.
    hint(Operator, "if then else elif when where", CHOICE),
    hint(Operator, "is", "equality is `==`; whether `x` is NaN, `isnan(x)`"),
    hint(Operator, "eq ne equals", EQUALITY),
    hint(Operator, "lt le gt ge", "comparisons are `<`, `<=`, `>` and `>=`"),
    hint(Operator, "in", "write `(x == a) | (x == b)`"),
    hint(Operator, "not", "write `!x`, or parentheses around it"),
    hint(Operator, "xor", "exclusive or is a function: `xor(a, b)`"),
    hint(Operator, "mod rem", "a remainder is `mod(a, b)`, with the sign of `b`, or `a % b`, with that of `a`"),
    hint(Operator, "div", "floor division is `a // b`"),
    hint(Operator, "as", "a type converts as a function: `f32(x)`"),
    hint(Operator, "shl shr", "shifts are `x << n` and `x >> n`"),
    hint(Operator, "for", LOOPS),
    hint(Operator, "[", "write `slice[0, 1:10:2](x)` for elements along an axis"),
    hint(Operator, "!", "there is no factorial; logical not comes first: `!x`"),
    hint(Operator, "{", HEAD),
    // Signs where an operand should begin.
    hint(Operand, "not", "write `!x`, or parentheses around it"),
    hint(Operand, "*", "a product is `a * b`, a power `a^b`; an array is named as it is, without `*`"),
    hint(Operand, "/", "a quotient is `a / b`, floor division `a // b`"),
    hint(Operand, "&", "logical and is `a & b`; an array is named as it is, without `&`"),
    hint(Operand, "| ||", BARS),
    hint(Operand, "< > <= >= == !=", "comparisons are `<`, `<=`, `>`, `>=`, `==` and `!=`"),
    hint(Operand, "@", "`a @ b` is the matrix product; inputs are named between bars: `|x| x * 2`"),
    hint(Operand, "//", COMMENTS),
    hint(Operand, "[", "a kernel makes no arrays: pass one as an input"),
    hint(Operand, "{", HEAD),
    hint(Operand, ":", "a type follows the name of an input: `|x: f32[n]| x * 2`"),
    // Signs that are nowhere, or not there.
    hint(Symbol, "=", "equality is `==`; a name is `let u = ..;`"),
    hint(Symbol, "=== !==", EQUALITY),
    hint(Symbol, "<> ~=", "inequality is `!=`"),
    hint(Symbol, ":=", "a name is `let u = ..;`"),
    hint(Symbol, "+= -= *= /= %= ^= &= |= //= **=", UPDATE),
    hint(Symbol, "->", CLOSURE),
    hint(Symbol, "=>", "at least is `>=`; inputs are named between bars at the start: `|x, y| x * y`"),
    hint(Symbol, "=<", "at most is `<=`"),
    hint(Symbol, "|>", "an op is called as a function: `exp(x)`"),
    hint(Symbol, "%%", "the remainder with the sign of `b` is `mod(a, b)`"),
    hint(Symbol, "%/%", "floor division is `a // b`"),
    hint(Symbol, "%*%", "the matrix product is `a @ b`"),
    hint(Symbol, "^^", "exclusive or is `xor(a, b)`, of numbers `logical_xor(a, b)`"),
    hint(Symbol, ">>>", "`x >> n` keeps the sign; there is no shift without it"),
    hint(Symbol, "?", CHOICE),
    hint(Symbol, ".", "an op is called as a function: `exp(x)`"),
    hint(Symbol, ".* ./ .^ .+ .-", "every op is elementwise: leave the dot out"),
    hint(Symbol, "::", "functions stand alone: `exp(x)`"),
    hint(Symbol, "..", "there are no ranges: an input is a whole array"),
    hint(Symbol, ":", STATEMENT),
    hint(Symbol, "]", "no `[` is open here"),
    // Signs after which nothing comes.
    hint(Ending, "++", "a kernel changes no array: write `x + 1`"),
    hint(Ending, "--", "a kernel changes no array: write `x - 1`"),
    hint(Ending, "%", "`%` is the remainder: a hundredth is `x / 100`"),
    // Characters that begin no token.
    hint(Character, "× · ∗ ⋅ ⊙ ⨉ ∘", "a product is written `*`"),
    hint(Character, "÷ ∕ ⁄", "a quotient is written `/`"),
    hint(Character, "− – — ‐ ‑ ﹣ －", "a minus is written `-`"),
    hint(Character, "²", "a power is written `x^2`"),
    hint(Character, "³", "a power is written `x^3`"),
    hint(Character, "⁰ ¹ ⁴ ⁵ ⁶ ⁷ ⁸ ⁹ ⁻ ⁿ", "a power is written `x^n`"),
    hint(Character, "₀ ₁ ₂ ₃ ₄ ₅ ₆ ₇ ₈ ₉", "names are ASCII letters, digits and `_`: write `x_0`"),
    hint(Character, "π", "it is written `pi`"),
    hint(Character, "τ", "write `2 * pi`, or a name such as `tau`"),
    hint(Character, "α β γ δ ε ϵ ζ η θ κ λ μ µ ν ξ ρ σ φ ϕ χ ψ ω Γ Δ Θ Λ Ξ Φ Ψ Ω", "names are ASCII letters, digits and `_`: write the letter's name, such as `alpha`"),
    hint(Character, "√", "a square root is written `sqrt(x)`"),
    hint(Character, "∛", "a cube root is written `cbrt(x)`"),
    hint(Character, "∞", "infinity is written `inf`"),
    hint(Character, "½", "write 0.5"),
    hint(Character, "¼", "write 0.25"),
    hint(Character, "¾", "write 0.75"),
    hint(Character, "°", "angles are in radians: `x * (pi / 180)`"),
    hint(Character, "‰", "write `x / 1000`"),
    hint(Character, "± ∓", "write one of them, or two results: `(a + b, a - b)`"),
    hint(Character, "≤ ⩽", "it is written `<=`"),
    hint(Character, "≥ ⩾", "it is written `>=`"),
    hint(Character, "≠", "it is written `!=`"),
    hint(Character, "≈ ≃ ≅", "write `abs(a - b) <= 1e-6`"),
    hint(Character, "≡", "it is written `==`"),
    hint(Character, "¬", "logical not is written `!x`"),
    hint(Character, "∧ ⋀", "logical and is written `a & b`"),
    hint(Character, "∨ ⋁", "logical or is written `a | b`"),
    hint(Character, "⊕ ⊻", "exclusive or is written `xor(a, b)`"),
    hint(Character, "≪", "a shift is written `x << n`"),
    hint(Character, "≫", "a shift is written `x >> n`"),
    hint(Character, "⌊ ⌋", "it is written `floor(x)`"),
    hint(Character, "⌈ ⌉", "it is written `ceil(x)`"),
    hint(Character, "‖ ∥ ∑ Σ ∏ Π ∫", "write `sum[-1](x)`, `prod[-1](x)` or `norm[-1](x)`"),
    hint(Character, "∂ ∇ ′ ″", "there are no derivatives yet: write the formula as a kernel of its own"),
    hint(Character, "→ ⇒ ↦ \\", CLOSURE),
    hint(Character, "← ≔", "a name is `let u = ..;`"),
    hint(Character, "∈", "write `(x == a) | (x == b)`"),
    hint(Character, "ᵀ ⊤", "write `transpose(x)`"),
    hint(Character, "' \" ` ‘ ’ “ ”", "a kernel has no strings; a transpose is `transpose(x)`"),
    hint(Character, "$", "a name is written without `$`"),
    hint(Character, "（ ） ［ ］ ｛ ｝ ， ； ： ＋ ＊ ／ ＝ 、 。", "signs are those of ASCII: `(`, `)`, `,`"),
    hint(Character, "\u{feff} \u{200b} \u{200c} \u{200d} \u{2060} \u{ad}", "a character that cannot be seen: delete it"),
    // Letters after a number.
    hint(Suffix, "f F", "a suffix is a type: write `f32`, or none, as numbers take the type they meet"),
    hint(Suffix, "d D", "a suffix is a type: write `f64`, or none, as numbers take the type they meet"),
    hint(Suffix, "j J i I", "there are no complex numbers; a product is written `2 * {}`"),
    hint(Suffix, "l L u U ul UL ll LL ull ULL", "a suffix is a type: write `i64`, or none, as numbers take the type they meet"),
    hint(Suffix, "i8 i16 u16 u32 u64 i128 u128 usize isize", INTEGERS),
    // Types of inputs and results.
    hint(Type, "float float32 single fp32 Float32 F32 f", "write `f32`"),
    hint(Type, "double float64 fp64 Float64 F64 real number", "write `f64`"),
    hint(Type, "half float16 fp16 Float16 F16", "write `f16`"),
    hint(Type, "bfloat16 bfloat BF16", "write `bf16`"),
    hint(Type, "int int32 Int32 I32 integer", "write `i32`"),
    hint(Type, "long int64 Int64 I64 isize", "write `i64`"),
    hint(Type, "byte uint8 UInt8 U8 char", "write `u8`"),
    hint(Type, "boolean bool_ Bool Boolean logical", "write `bool`"),
    hint(Type, "i8 i16 i128 u16 u32 u64 u128 usize int8 int16 uint uint16 uint32 uint64 short", INTEGERS),
    hint(Type, "complex complex64 complex128 c64", COMPLEX),
    hint(Type, "& Array Array1 Array2 Array3 ArrayD ArrayView Tensor Vec ndarray tensor", TYPE),
];
