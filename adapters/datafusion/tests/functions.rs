//! Kernels as functions: columns of every kind in, and what the planner is told.

mod common;

use common::{batch, contexts, rows};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, Float64Array, RecordBatch,
};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::{SortOptions, sort};
use datafusion::arrow::datatypes::{DataType, Field, Float32Type, Float64Type};
use datafusion::common::ScalarValue;
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use kiln::Mode;
use kiln_datafusion::{KernelFunction, KilnFunction, Layer, LayerFunction};
use std::sync::Arc;

fn context() -> SessionContext {
    let [context, _] = contexts();
    context.register_udf(KilnFunction::default().into());
    context
}

async fn column(context: &SessionContext, query: &str) -> ArrayRef {
    rows(context, query).await.unwrap_or_else(|error| panic!("{query}: {error}")).column(0).clone()
}

async fn error(context: &SessionContext, query: &str) -> String {
    rows(context, query).await.expect_err(query).to_string()
}

/// Slices, nulls, every type, bools in bits: the same as the expression of SQL.
#[tokio::test]
async fn columns_of_every_type_go_through() {
    let context = context();
    for (kernel, sql) in [
        ("kiln('|x, y| x*y', x, y)", "x*y"),
        ("kiln('|x, y| x*y', x, \"Y\")", "x*\"Y\""),
        ("kiln('s*t', s, \"S\")", "s*\"S\""),
        ("kiln('s*t', s, 2.5)", "s*2.5"),
        ("kiln('s*2.5', s)", "arrow_cast(s*arrow_cast(2.5, 'Float32'), 'Float32')"),
        ("kiln('|x: f64| x + 1', n)", "CAST(n AS DOUBLE) + 1.0"),
        ("kiln('i*i', i)", "i*i"),
        ("kiln('n - m', n, \"N\")", "n - \"N\""),
        ("kiln('u + u', u)", "u + u"),
        ("kiln('a & !c', b, \"B\")", "CASE WHEN b IS NULL THEN NULL ELSE b AND NOT \"B\" END"),
        (
            "kiln('select(a, x, y)', b, x, \"Y\")",
            "CASE WHEN b IS NULL OR x IS NULL THEN NULL WHEN b THEN x ELSE \"Y\" END",
        ),
        ("kiln('x + 1', none)", "none + 1.0"),
        ("kiln('x + y', x, NULL)", "x + NULL"),
        ("kiln('x + 1', dec)", "CAST(dec AS DOUBLE) + 1.0"),
        ("kiln('x + y', NULL, NULL)", "CAST(NULL AS DOUBLE)"),
        ("kiln('x + 1', arrow_cast(x, 'Dictionary(Int32, Float64)'))", "x + 1.0"),
        ("kiln('s*t', arrow_cast(s, 'Dictionary(UInt16, Float32)'), s)", "s*s"),
        ("kiln('n*n', arrow_cast(n, 'Dictionary(Int16, Int32)'))", "n*n"),
        ("kiln('n*2', arrow_cast(u, 'UInt16'))", "arrow_cast(arrow_cast(u, 'Int32')*2, 'Int32')"),
        (
            "kiln('s + s', arrow_cast(s, 'Float16'))",
            "arrow_cast(arrow_cast(arrow_cast(s, 'Float16'), 'Float32')*2.0, 'Float32')",
        ),
        // Kiln's text means what it means in Kiln: SQL has an error where integers are divided by zero.
        (
            "kiln('i / k', \"I\", \"K\")",
            "CASE WHEN \"K\" = 0 THEN 0 WHEN \"K\" = -1 THEN -\"I\" ELSE \"I\" / \"K\" END",
        ),
        (
            "kiln('i % k', \"I\", \"K\")",
            "CASE WHEN \"K\" = 0 OR \"K\" = -1 THEN 0 ELSE \"I\" % \"K\" END",
        ),
    ] {
        let query = format!("SELECT {kernel} AS r, {sql} AS s FROM t");
        let both = rows(&context, &query).await.unwrap_or_else(|error| panic!("{query}: {error}"));
        let [left, right] = [both.column(0), both.column(1)];
        let bits = |array: &ArrayRef| -> Vec<Option<u64>> {
            let array = datafusion::arrow::compute::cast(array, &DataType::Float64).unwrap();
            let one = |x: Option<f64>| x.map(|x| if x.is_nan() { u64::MAX } else { x.to_bits() });
            array.as_primitive::<Float64Type>().iter().map(one).collect()
        };
        assert_eq!(left.data_type(), right.data_type(), "{query}");
        let differs = bits(left).into_iter().zip(bits(right)).position(|(l, r)| l != r);
        assert_eq!(differs, None, "{query}");
    }
}

#[tokio::test]
async fn calls_of_literals_are_folded() {
    let context = context();
    let query = "SELECT kiln('x*y + 1', 2.0, 3.0) AS r, kiln('1 + 2.5') AS s";
    let both = rows(&context, query).await.unwrap();
    let one = |index: usize| datafusion::common::ScalarValue::try_from_array(both.column(index), 0);
    assert_eq!(one(0).unwrap().to_string(), "7");
    assert_eq!(one(1).unwrap().to_string(), "3.5");
}

/// What cannot be a function says so, with what to do instead.
#[tokio::test]
async fn faults_are_told_where_they_are() {
    let context = context();
    for (query, part) in [
        ("SELECT kiln('x +', x) FROM t", "^"),
        ("SELECT kiln('sum[-1](x)', x) FROM t", "depends on other rows"),
        ("SELECT kiln('|x: f32[n]| x', s) FROM t", "leave the shape out"),
        ("SELECT kiln('(x, x+1)', x) FROM t", "2 outputs"),
        ("SELECT kiln('f16(x)', x) FROM t", "of f16"),
        ("SELECT kiln('x + y', x) FROM t", "2 numbers or bools (x, y)"),
        ("SELECT kiln('x + 1', word) FROM t", "Utf8"),
        ("SELECT kiln('x + y', x, n) FROM t", "do not mix"),
        ("SELECT kiln(word, x) FROM t", "as a literal"),
        ("SELECT kiln(x) FROM t", "the text of a kernel"),
    ] {
        let error = error(&context, query).await;
        assert!(error.contains(part), "{query}: {error}");
    }
    let error = KernelFunction::new("f", "|x| mean[-1](x)").unwrap_err().to_string();
    assert!(error.contains("kernel f is not a function of columns"), "{error}");
}

/// A function that is registered anew under its name is the new one, for queries that are planned then.
#[tokio::test]
async fn a_name_means_what_it_was_given_last() {
    let context = SessionContext::new();
    let x: ArrayRef = Arc::new(Float64Array::from(vec![2.0]));
    context.register_batch("t", RecordBatch::try_from_iter([("x", x)]).unwrap()).unwrap();
    let mut values = Vec::new();
    for text in ["floor(x)*10", "floor(x)*20", "floor(x)*10"] {
        context.register_udf(KernelFunction::new("f", text).unwrap().into());
        let rows = rows(&context, "SELECT f(x) AS r FROM t").await.unwrap();
        values.push(rows.column(0).as_primitive::<Float64Type>().value(0));
    }
    assert_eq!(values, [20.0, 40.0, 20.0]);
}

/// A sort is left out where a kernel keeps the order, and made where it does not.
#[tokio::test]
async fn rising_kernels_keep_the_order() {
    let [context, _] = contexts();
    context.register_udf(KernelFunction::new("up", "floor(x*2 + 1)").unwrap().into());
    context.register_udf(KernelFunction::new("down", "-x").unwrap().into());
    context.register_udf(KernelFunction::new("rough", "exp(x)").unwrap().into());
    context.register_udf(KernelFunction::new("turned", "x*-2").unwrap().into());
    let sorted = "(SELECT x FROM t ORDER BY x LIMIT 900)";
    for (function, order, sorts) in [
        ("up", "ASC NULLS LAST", 1),
        ("down", "DESC NULLS LAST", 1),
        ("rough", "ASC NULLS LAST", 2),
        ("turned", "DESC NULLS LAST", 2),
    ] {
        let query = format!("SELECT {function}(x) AS r FROM {sorted} ORDER BY r {order}");
        let shown = common::plan(&context, &query).await;
        let physical = shown.split("physical_plan").nth(1).unwrap();
        assert_eq!(physical.matches("SortExec").count(), sorts, "{query}\n{shown}");
        // Not by a query, which would believe what is claimed.
        let results = column(&context, &query).await;
        let descending = order.starts_with("DESC");
        let order = SortOptions { descending, nulls_first: false };
        assert_eq!(&sort(&results, Some(order)).unwrap(), &results, "{query}");
    }
}

/// Bounds hold for every row, and are known for what is bounded.
#[tokio::test]
async fn bounds_follow_from_ranges() {
    use datafusion::logical_expr::ScalarUDFImpl;
    use datafusion::logical_expr::interval_arithmetic::Interval;
    let sigmoid = KernelFunction::new("f", "2*sigmoid(x) + 1").unwrap();
    let interval = |low: f64, high: f64| Interval::make(Some(low), Some(high)).unwrap();
    let bounds = sigmoid.evaluate_bounds(&[&interval(-1e3, 0.0)]).unwrap();
    // Roundings of its own are allowed in this mode, and so a little more than [1, 2].
    let end = |end: &ScalarValue| match *end {
        ScalarValue::Float64(Some(end)) => end,
        ref other => panic!("{other}"),
    };
    let (low, high) = (end(bounds.lower()), end(bounds.upper()));
    assert!((0.99999999..=1.0).contains(&low) && (2.0..2.00000001).contains(&high), "{bounds}");
    let sigmoid = KernelFunction::with_mode("f", "2*sigmoid(x) + 1", Mode::Strict).unwrap();
    let bounds = sigmoid.evaluate_bounds(&[&interval(-1e3, 0.0)]).unwrap();
    assert_eq!((end(bounds.lower()), end(bounds.upper())), (1.0, 2.0));
    let log = KernelFunction::new("f", "log(x)").unwrap();
    let unknown = log.evaluate_bounds(&[&interval(-1.0, 1.0)]).unwrap();
    assert!(unknown.lower().is_null() && unknown.upper().is_null(), "numbers may give NaN");
}

fn vectors(rows: usize, size: usize, outer_nulls: bool) -> RecordBatch {
    let mut random = fastrand::Rng::with_seed(3);
    let numbers: Vec<Option<f32>> =
        (0..rows * size).map(|index| (index % 97 != 5).then(|| random.f32() - 0.5)).collect();
    let numbers = Arc::new(datafusion::arrow::array::Float32Array::from(numbers));
    let item = Arc::new(Field::new_list_field(DataType::Float32, true));
    let nulls = outer_nulls.then(|| NullBuffer::from_iter((0..rows).map(|row| row % 7 != 0)));
    let lists = FixedSizeListArray::new(item, size as i32, numbers, nulls);
    RecordBatch::try_from_iter_with_nullable([("v", Arc::new(lists) as ArrayRef, true)]).unwrap()
}

/// Rows of a layer against the sum written out, slices and nulls of both kinds included.
#[tokio::test]
async fn layers_score_vectors() {
    let (rows_of, size) = (300, 5);
    let whole = vectors(rows_of, size, true);
    let batches =
        vec![whole.slice(0, 1), whole.slice(1, 0), whole.slice(1, 201), whole.slice(202, 98)];
    for outputs in [1, 3] {
        let weights: Vec<f32> = (0..size * outputs).map(|i| i as f32 * 0.25 - 1.0).collect();
        let bias: Vec<f32> = (0..outputs).map(|i| i as f32 * 0.5).collect();
        let layer =
            Layer { weights: weights.clone(), bias: bias.clone(), activation: "relu(y)".into() };
        let context = SessionContext::new();
        context.register_udf(LayerFunction::new("score", layer).unwrap().into());
        let table = MemTable::try_new(whole.schema(), vec![batches.clone()]).unwrap();
        context.register_table("t", Arc::new(table)).unwrap();
        let scores = column(&context, "SELECT score(v) AS s FROM t").await;
        let lists = whole.column(0).as_fixed_size_list();
        let mut nulls = 0;
        for row in 0..rows_of {
            let vector = lists.value(row);
            let vector = vector.as_primitive::<Float32Type>();
            if lists.is_null(row) || vector.null_count() > 0 {
                assert!(scores.is_null(row), "row {row}");
                nulls += 1;
                continue;
            }
            for output in 0..outputs {
                let terms = (0..size).map(|i| vector.value(i) * weights[i * outputs + output]);
                let expected = (terms.sum::<f32>() + bias[output]).max(0.0);
                let found = match outputs {
                    1 => scores.as_primitive::<Float32Type>().value(row),
                    _ => {
                        let list = scores.as_fixed_size_list().value(row);
                        list.as_primitive::<Float32Type>().value(output)
                    }
                };
                assert!((found - expected).abs() < 1e-5, "row {row}: {found} and {expected}");
            }
        }
        assert!(nulls > 40, "{nulls}");
    }
}

#[tokio::test]
async fn layers_refuse_what_does_not_fit() {
    let layer = |weights, bias, activation: &str| {
        let layer = Layer {
            weights: vec![0.5; weights],
            bias: vec![0.0; bias],
            activation: activation.into(),
        };
        LayerFunction::new("f", layer).map(drop).unwrap_err().to_string()
    };
    assert!(layer(5, 2, "y").contains("5 weights are not rows of 2"));
    assert!(layer(0, 0, "y").contains("not rows"));
    assert!(layer(4, 2, "softmax[0](y)").contains("elementwise expression"));
    assert!(layer(4, 2, "y > 0").contains("elementwise expression"));
    assert!(layer(4, 2, "relu(z)").contains('^'));
    let table = batch(4, 1);
    let context = SessionContext::new();
    let good = Layer { weights: vec![1.0; 3], bias: vec![0.0], activation: "y".into() };
    context.register_udf(LayerFunction::new("score", good).unwrap().into());
    context.register_batch("t", table).unwrap();
    let error = error(&context, "SELECT score(x) FROM t").await;
    assert!(error.contains("FixedSizeList<Float32, 3>"), "{error}");
}
