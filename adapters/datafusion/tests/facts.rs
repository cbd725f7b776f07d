//! What the planner is told of a kernel, against what the kernel does: the order of its results, and their bounds.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array, new_null_array};
use datafusion::arrow::compute::{SortOptions, cast, sort};
use datafusion::arrow::datatypes::{DataType, Field, Float64Type};
use datafusion::common::ScalarValue;
use datafusion::common::config::ConfigOptions;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl};
use kiln::Mode;
use kiln_datafusion::KernelFunction;
use std::sync::Arc;

const MODES: [Mode; 3] = [Mode::Strict, Mode::Precise, Mode::Fast];

/// The results of a kernel for some columns, as `f64`.
fn results(function: &KernelFunction, columns: &[ArrayRef]) -> Float64Array {
    let field = |column: &DataType| Arc::new(Field::new("c", column.clone(), true));
    let types: Vec<DataType> = columns.iter().map(|column| column.data_type().clone()).collect();
    let result = function.return_type(&types).unwrap();
    let args = ScalarFunctionArgs {
        args: columns.iter().cloned().map(ColumnarValue::Array).collect(),
        arg_fields: types.iter().map(|column| field(column) as _).collect(),
        number_rows: columns[0].len(),
        return_field: field(&result),
        config_options: Arc::new(ConfigOptions::default()),
    };
    let results = function.invoke_with_args(args).unwrap().to_array(columns[0].len()).unwrap();
    cast(&results, &DataType::Float64).unwrap().as_primitive::<Float64Type>().clone()
}

fn text_of_one(random: &mut fastrand::Rng, of: &DataType) -> String {
    let numbers: &[&str] = match of {
        DataType::Float64 => &["0.0", "-0.0", "1.5", "-2.0", "1e300", "1e-300", "-1e308", "0.1"],
        _ => &["0.0", "-0.0", "1.5", "-2.0", "1e30", "1e-30", "-3e38", "0.1"],
    };
    let mut text = "x".to_owned();
    for _ in 0..random.usize(1..5) {
        let number = numbers[random.usize(..numbers.len())];
        text = match random.u8(..22) {
            0 | 1 => format!("-({text})"),
            2 => format!("floor({text})"),
            3 => format!("ceil({text})"),
            4 => format!("round({text})"),
            5 => format!("trunc({text})"),
            6 | 7 => format!("({text}) + {number}"),
            8 => format!("{number} + ({text})"),
            9 | 10 => format!("({text}) - {number}"),
            11 => format!("{number} - ({text})"),
            12 | 13 => format!("({text}) * {number}"),
            14 => format!("{number} * ({text})"),
            15 => format!("({text}) / {number}"),
            16 => format!("min({text}, {number})"),
            17 => format!("max({number}, {text})"),
            18 => format!("f32({text})"),
            19 => format!("f64({text})"),
            20 => format!("abs({text})"),
            _ => format!("exp({text})"),
        };
    }
    text
}

/// Where a value is in an order; NaNs of one sign are in one place, for no op sees their payloads.
fn place(value: f64) -> (i8, f64) {
    match value.is_nan() {
        true => (if value.is_sign_negative() { -1 } else { 1 }, 0.0),
        false => (0, value),
    }
}

/// Two neighbours that are not in an order.
fn disorder(column: &Float64Array, options: SortOptions) -> Option<[Option<f64>; 2]> {
    let value = |row: usize| column.is_valid(row).then(|| column.value(row));
    let is_sorted = |pair: [Option<f64>; 2]| {
        let [Some(a), Some(b)] = pair else {
            let first = pair.map(|value| value.is_none() != options.nulls_first);
            return first[0] <= first[1];
        };
        let [a, b] = [place(a), place(b)];
        let order = a.0.cmp(&b.0).then(a.1.total_cmp(&b.1));
        if options.descending { order.is_ge() } else { order.is_le() }
    };
    (1..column.len()).map(|row| [value(row - 1), value(row)]).find(|&pair| !is_sorted(pair))
}

/// Columns in each order, with NaNs of both signs, zeros of both, infinities and nulls: what is said to be in an order
/// is in it.
#[test]
fn orders_hold() {
    let mut random = fastrand::Rng::with_seed(5);
    let edges = [0.0, f64::NAN, f64::INFINITY, f64::MAX, f64::MIN_POSITIVE, 1e-310, 3e38, 1e-45];
    let edges = edges.into_iter().flat_map(|edge| [edge, -edge]).map(Some).chain([None, None]);
    let more = (0..150).map(|index| {
        let scale = [1.0, 4.0, 1e30, 1e-30][index % 4];
        Some(scale * (random.f64() - 0.5))
    });
    let column: ArrayRef = Arc::new(edges.chain(more).collect::<Float64Array>());
    let mut claims = [[0u32; 2]; 2];
    for seed in 0..1200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let of = [DataType::Float64, DataType::Float32][random.usize(..2)].clone();
        let mode = MODES[random.usize(..3)];
        let text = text_of_one(&mut random, &of);
        let Ok(function) = KernelFunction::with_mode("f", &text, mode) else { continue };
        let column = cast(&column, &of).unwrap();
        let (descending, nulls_first) = (random.bool(), random.bool());
        let given = SortOptions { descending, nulls_first };
        let sorted = sort(&column, Some(given)).unwrap();
        let properties = ExprProperties {
            sort_properties: SortProperties::Ordered(given),
            range: Interval::make_unbounded(&of).unwrap(),
            ..ExprProperties::new_unknown()
        };
        let SortProperties::Ordered(told) = function.output_ordering(&[properties]).unwrap() else {
            continue;
        };
        claims[usize::from(told.descending)][usize::from(told.descending != descending)] += 1;
        let results = results(&function, &[sorted]);
        let pair = disorder(&results, told);
        assert_eq!(pair, None, "seed {seed}, {text} of {of} in {mode}: {given:?} {told:?}");
    }
    let enough = |&[kept, turned]: &[u32; 2]| kept > 50 && turned > 4;
    assert!(claims.iter().all(enough), "{claims:?}");
}

/// The test above sees what is out of order.
#[test]
fn disorder_is_seen() {
    let ascending = SortOptions { descending: false, nulls_first: false };
    let column = |values: &[Option<f64>]| Float64Array::from(values.to_vec());
    let right = [Some(-f64::NAN), Some(-0.0), Some(0.0), Some(f64::NAN), None];
    assert_eq!(disorder(&column(&right), ascending), None);
    for wrong in [
        [Some(0.0), Some(-0.0)],
        [None, Some(1.0)],
        [Some(f64::NAN), Some(1.0)],
        [Some(1.0), Some(-f64::NAN)],
    ] {
        assert!(disorder(&column(&wrong), ascending).is_some(), "{wrong:?}");
    }
}

fn text_of_two(random: &mut fastrand::Rng, depth: u32) -> String {
    const ONE: [&str; 30] = [
        "abs",
        "sign",
        "floor",
        "ceil",
        "round",
        "trunc",
        "sqrt",
        "cbrt",
        "exp",
        "exp2",
        "expm1",
        "log",
        "log1p",
        "sin",
        "cos",
        "asin",
        "acos",
        "atan",
        "sinh",
        "cosh",
        "tanh",
        "tanhshrink",
        "asinh",
        "atanh",
        "sigmoid",
        "erf",
        "erfc",
        "normcdf",
        "gelu",
        "softplus",
    ];
    if depth == 0 || random.u8(..6) == 0 {
        return ["x", "y", "x", "y", "0.5", "1.0", "-3.0", "0.1"][random.usize(..8)].to_owned();
    }
    let mut operand = || text_of_two(random, depth - 1);
    let [a, b, c] = [operand(), operand(), operand()];
    match random.u8(..16) {
        0..3 => format!("({a} + {b})"),
        3..5 => format!("({a} - {b})"),
        5..8 => format!("({a} * {b})"),
        8 => format!("({a} / {b})"),
        9 => format!("min({a}, {b})"),
        10 => format!("max({a}, {b})"),
        11 => format!("select({a} < {b}, {c}, {a})"),
        12 => format!("fma({a}, {b}, {c})"),
        _ => format!("{}({a})", ONE[random.usize(..ONE.len())]),
    }
}

/// An interval of numbers of a type, and numbers that lie in it, its ends among them.
fn interval(random: &mut fastrand::Rng, of: &DataType) -> (Interval, Vec<f64>) {
    let ends = [0.0, 1.0, -1.0, 1e-3, 20.0, -20.0, 700.0, -700.0, 1e30, -1e30, 1e-30, -1e-30, 0.5];
    let rounded =
        |value: f64| if *of == DataType::Float32 { f64::from(value as f32) } else { value };
    let mut end = || match random.u8(..3) {
        0 => (random.f64() - 0.5) * 8.0,
        _ => ends[random.usize(..ends.len())],
    };
    let (a, b) = (rounded(end()), rounded(end()));
    let (mut low, mut high) = (Some(a.min(b)), Some(a.max(b)));
    match random.u8(..6) {
        0 => low = None,
        1 => high = None,
        2 => high = low.map(|low| rounded(low + low.abs() * 1e-6)),
        _ => {}
    }
    let bound = |end: Option<f64>| match of {
        DataType::Float32 => ScalarValue::Float32(end.map(|end| end as f32)),
        _ => ScalarValue::Float64(end),
    };
    let whole = Interval::try_new(bound(low), bound(high)).unwrap();
    let (least, most) = (low.unwrap_or(f64::NEG_INFINITY), high.unwrap_or(f64::INFINITY));
    let (from, to) =
        (low.unwrap_or(most.abs() * -3.0 - 9.0), high.unwrap_or(least.abs() * 3.0 + 9.0));
    let mut values = vec![least, most];
    values.extend([0.0, -0.0, 1e-310, -1e-310, 1e300, -1e300, from, to].map(rounded));
    values.extend((0..60).map(|_| rounded(from + (to - from) * random.f64())));
    values.extend((0..8).map(|step| rounded(from + from.abs() * f64::from(step) * 1e-15)));
    values.retain(|&value| (least..=most).contains(&value));
    (whole, values)
}

/// Numbers of an interval give what lies within the bounds that are told of it; NaNs may be any row of a column, so
/// where numbers make one, nothing is told.
#[test]
fn bounds_hold() {
    let mut bounded = [0; 2];
    for seed in 0..1500 {
        let mut random = fastrand::Rng::with_seed(seed);
        let of = [DataType::Float64, DataType::Float32][random.usize(..2)].clone();
        let mode = MODES[random.usize(..2)];
        let depth = random.u32(1..4);
        let text = format!("|x, y| {}", text_of_two(&mut random, depth));
        let Ok(function) = KernelFunction::with_mode("f", &text, mode) else { continue };
        let (x, xs) = interval(&mut random, &of);
        let (y, ys) = interval(&mut random, &of);
        let bounds = function.evaluate_bounds(&[&x, &y]).unwrap();
        let end = |end: &ScalarValue| match cast_to_f64(end) {
            ScalarValue::Float64(end) => end,
            other => panic!("{other}"),
        };
        let (low, high) = (end(bounds.lower()), end(bounds.upper()));
        bounded[usize::from(mode == Mode::Precise)] += u32::from(low.is_some() || high.is_some());
        let pairs = xs.iter().flat_map(|&x| ys.iter().map(move |&y| (x, y)));
        let (left, right): (Vec<f64>, Vec<f64>) = pairs.unzip();
        let column = |values: &[f64]| {
            let column: ArrayRef = Arc::new(Float64Array::from(values.to_vec()));
            cast(&column, &of).unwrap()
        };
        let results = results(&function, &[column(&left), column(&right)]);
        for (row, result) in results.values().iter().enumerate() {
            let is_known = low.is_some() || high.is_some();
            let lies =
                low.is_none_or(|low| low <= *result) && high.is_none_or(|high| *result <= high);
            assert!(
                lies && !(is_known && result.is_nan()),
                "seed {seed}, {text} of {of} in {mode}: x {x} y {y}, so {bounds}, but {:e} and {:e} give {result:e}",
                left[row],
                right[row],
            );
        }
    }
    assert!(bounded.iter().all(|&bounded| bounded > 150), "{bounded:?}");
}

fn cast_to_f64(value: &ScalarValue) -> ScalarValue {
    value.cast_to(&DataType::Float64).unwrap()
}

/// A sum that cancels shows how its product was rounded: as it is written the difference is 0, rounded once it is not.
#[test]
fn bounds_allow_for_other_roundings() {
    let function = KernelFunction::new("f", "x*x - y").unwrap();
    for x in [1.1, 1.0 / 3.0, 1e10 / 7.0, -0.7] {
        let square: f64 = x * x;
        let [point, other] =
            [x, square].map(|value| Interval::make(Some(value), Some(value)).unwrap());
        let bounds = function.evaluate_bounds(&[&point, &other]).unwrap();
        let column = |value: f64| Arc::new(Float64Array::from(vec![value])) as ArrayRef;
        let result = results(&function, &[column(x), column(square)]).value(0);
        assert_ne!(result, 0.0, "{x}: it is rounded once");
        let result = ScalarValue::Float64(Some(result));
        assert!(bounds.contains_value(&result).unwrap(), "{x}: {result} is not in {bounds}");
    }
}

/// What is fast keeps neither the last digits nor infinities, and so nothing is told of it.
#[test]
fn nothing_is_told_of_fast_kernels() {
    let fast = KernelFunction::with_mode("f", "x*2 + 1", Mode::Fast).unwrap();
    let x = Interval::make(Some(0.0f64), Some(1.0)).unwrap();
    let bounds = fast.evaluate_bounds(&[&x]).unwrap();
    assert!(bounds.lower().is_null() && bounds.upper().is_null(), "{bounds}");
    let properties = ExprProperties {
        sort_properties: SortProperties::Ordered(SortOptions::default()),
        range: x,
        ..ExprProperties::new_unknown()
    };
    assert_eq!(fast.output_ordering(&[properties]).unwrap(), SortProperties::Unordered);
}

/// Batches without rows, and such that are null in each.
#[test]
fn nothing_of_nothing() {
    let function = KernelFunction::new("f", "|x, y| x*y + 1").unwrap();
    for rows in [0, 1, 7] {
        let nulls = new_null_array(&DataType::Float64, rows);
        let results = results(&function, &[nulls.clone(), nulls]);
        assert_eq!((results.len(), results.null_count()), (rows, rows));
    }
}
