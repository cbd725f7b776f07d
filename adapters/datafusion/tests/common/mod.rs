//! Tables with what is hostile in them, and queries run with the rule and without.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, DictionaryArray, Float32Array,
    Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, UInt8Array,
};
use datafusion::arrow::datatypes::{DataType, Float32Type, Float64Type, Int32Type};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::datasource::MemTable;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use kiln_datafusion::FuseKernels;
use std::sync::Arc;

/// Numbers that go wrong easily.
const EDGES: [f64; 14] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    f64::NAN,
    -f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::MAX,
    f64::MIN_POSITIVE,
    1e-310,
    -3.75,
    1e10,
];

/// `rows` rows of edges and random numbers; columns in capitals have no nulls.
pub fn batch(rows: usize, seed: u64) -> RecordBatch {
    numbers(rows, seed, &EDGES, &[0, i64::MIN, i64::MAX, -1, i32::MAX.into()])
}

fn numbers(rows: usize, seed: u64, floats: &[f64], integers: &[i64]) -> RecordBatch {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut float = || match random.u8(..8) {
        0 => floats[random.usize(..floats.len())],
        _ => (random.f64() - 0.5) * 20.0,
    };
    let (x, y, z): (Vec<f64>, Vec<f64>, Vec<f64>) = (
        (0..rows).map(|_| float()).collect(),
        (0..rows).map(|_| float()).collect(),
        (0..rows).map(|_| float()).collect(),
    );
    let mut integer = || match random.u8(..6) {
        0 => integers[random.usize(..integers.len())],
        _ => random.i64(-50..50),
    };
    let (i, k): (Vec<i64>, Vec<i64>) =
        ((0..rows).map(|_| integer()).collect(), (0..rows).map(|_| integer()).collect());
    let narrow: Vec<i32> = i.iter().map(|&i| i as i32).collect();
    let bytes: Vec<u8> = k.iter().map(|&k| k as u8).collect();
    let mut random = fastrand::Rng::with_seed(seed + 1);
    let mut null = || random.u8(..5) == 0;
    let some = |values: &[f64], null: &mut dyn FnMut() -> bool| -> Vec<Option<f64>> {
        values.iter().map(|&value| (!null()).then_some(value)).collect()
    };
    let nx = some(&x, &mut null);
    let ny = some(&y, &mut null);
    let singles: Vec<Option<f32>> = nx.iter().map(|x| x.map(|x| x as f32)).collect();
    let ni: Vec<Option<i64>> = i.iter().map(|&i| (!null()).then_some(i)).collect();
    let nn: Vec<Option<i32>> = narrow.iter().map(|&i| (!null()).then_some(i)).collect();
    let words: Vec<Option<&str>> =
        (0..rows).map(|row| [Some("1.5"), Some("2"), None][row % 3]).collect();
    let decimals: Vec<Option<i128>> =
        k.iter().map(|&k| (k != 0).then_some(i128::from(k % 10_000))).collect();
    let decimals = Decimal128Array::from(decimals).with_precision_and_scale(10, 2).unwrap();
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("row", Arc::new(Int64Array::from_iter_values(0..rows as i64)), false),
        ("X", Arc::new(Float64Array::from(x.clone())), false),
        ("Y", Arc::new(Float64Array::from(y.clone())), false),
        ("Z", Arc::new(Float64Array::from(z)), false),
        ("x", Arc::new(Float64Array::from(nx)), true),
        ("y", Arc::new(Float64Array::from(ny)), true),
        ("s", Arc::new(Float32Array::from(singles)), true),
        ("S", Arc::new(Float32Array::from_iter_values(y.iter().map(|&y| y as f32))), false),
        ("I", Arc::new(Int64Array::from(i)), false),
        ("K", Arc::new(Int64Array::from(k)), false),
        ("i", Arc::new(Int64Array::from(ni)), true),
        ("N", Arc::new(Int32Array::from(narrow)), false),
        ("n", Arc::new(Int32Array::from(nn)), true),
        ("u", Arc::new(UInt8Array::from(bytes)), false),
        ("B", Arc::new(BooleanArray::from_iter((0..rows).map(|row| Some(row % 3 == 0)))), false),
        (
            "b",
            Arc::new(BooleanArray::from_iter(
                (0..rows).map(|row| (row % 5 != 0).then_some(row % 2 == 0)),
            )),
            true,
        ),
        ("word", Arc::new(StringArray::from(words.clone())), true),
        ("dict", Arc::new(DictionaryArray::<Int32Type>::from_iter(words)), true),
        ("dec", Arc::new(decimals), true),
        ("none", Arc::new(Float64Array::from(vec![None::<f64>; rows])), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

/// Two contexts with the table `t`, that of batches of several lengths, one empty, all of them slices:
/// without the rule, and with it.
pub fn contexts() -> [SessionContext; 2] {
    [false, true].map(|fuses| {
        let rule = fuses.then(|| FuseKernels::new().least_rows(0));
        context(rule, &[("t", batch(ROWS, 7))])
    })
}

/// As [`contexts`], with the table `tame` beside it, in which no number is a NaN or too large; the rule fuses
/// whatever it can.
pub fn tables() -> [SessionContext; 2] {
    let rule = FuseKernels::new().least_rows(0).least_cost(0);
    let tables = [
        ("t", batch(ROWS, 7)),
        ("tame", numbers(ROWS, 9, &[0.0, -0.0, 1.0, -1.0, 0.5, 4.0], &[0, 1, -1])),
    ];
    [None, Some(rule)].map(|rule| context(rule, &tables))
}

const ROWS: usize = 1003;

fn context(rule: Option<FuseKernels>, tables: &[(&str, RecordBatch)]) -> SessionContext {
    let pieces = [(3, 100), (103, 1), (104, 0), (104, 650), (754, 249)];
    let config = SessionConfig::new().with_target_partitions(1);
    let mut builder = SessionStateBuilder::new().with_config(config).with_default_features();
    if let Some(rule) = rule {
        builder = rule.install(builder);
    }
    let context = SessionContext::new_with_state(builder.build());
    for (name, whole) in tables {
        let batches = pieces.iter().map(|&(start, rows)| whole.slice(start, rows)).collect();
        let table = MemTable::try_new(whole.schema(), vec![batches]).unwrap();
        context.register_table(*name, Arc::new(table)).unwrap();
    }
    context
}

/// The rows of a query, in one batch.
pub async fn rows(context: &SessionContext, query: &str) -> datafusion::error::Result<RecordBatch> {
    let frame = context.sql(query).await?;
    let schema = frame.schema().inner().clone();
    let batches = frame.collect().await?;
    Ok(datafusion::arrow::compute::concat_batches(&schema, &batches)?)
}

/// The physical plan of a query, as text.
pub async fn plan(context: &SessionContext, query: &str) -> String {
    let rows = context.sql(&format!("EXPLAIN {query}")).await.unwrap().collect().await.unwrap();
    pretty_format_batches(&rows).unwrap().to_string()
}

/// Whether two columns are the same: nulls, bits, and NaNs as NaNs.
fn same(left: &ArrayRef, right: &ArrayRef, ulp: u64) -> Result<(), String> {
    if left.data_type() != right.data_type() || left.logical_nulls() != right.logical_nulls() {
        return Err(format!("types or nulls differ: {} {}", left.data_type(), right.data_type()));
    }
    let near = |row: usize, a: f64, b: f64, distance: u64| {
        let fits = a.is_nan() && b.is_nan() || a.to_bits() == b.to_bits() || distance <= ulp;
        let shown = || format!("row {row}: {a:e} and {b:e}, {distance} ULP");
        if left.is_null(row) || fits { Ok(()) } else { Err(shown()) }
    };
    match left.data_type() {
        DataType::Float64 => {
            let pair = (left.as_primitive::<Float64Type>(), right.as_primitive::<Float64Type>());
            (0..left.len()).try_for_each(|row| {
                let (a, b) = (pair.0.value(row), pair.1.value(row));
                near(row, a, b, a.to_bits().abs_diff(b.to_bits()))
            })
        }
        DataType::Float32 => {
            let pair = (left.as_primitive::<Float32Type>(), right.as_primitive::<Float32Type>());
            (0..left.len()).try_for_each(|row| {
                let (a, b) = (pair.0.value(row), pair.1.value(row));
                let distance = a.to_bits().abs_diff(b.to_bits()).into();
                near(row, a.into(), b.into(), distance)
            })
        }
        _ if left == right => Ok(()),
        _ => {
            let differs = (0..left.len()).find(|&row| left.slice(row, 1) != right.slice(row, 1));
            let row = differs.unwrap_or_default();
            Err(format!("row {row}: {:?} and {:?}", left.slice(row, 1), right.slice(row, 1)))
        }
    }
}

/// Results of a query without the rule and with it, which must be the same up to so many ULP.
pub fn assert_same(query: &str, pair: [&RecordBatch; 2], ulp: u64) {
    same_rows(pair, ulp).unwrap_or_else(|difference| panic!("{query}: {difference}"));
}

/// Whether two results are the same up to so many ULP.
pub fn same_rows([stock, fused]: [&RecordBatch; 2], ulp: u64) -> Result<(), String> {
    if stock.num_rows() != fused.num_rows() {
        return Err(format!("{} rows and {}", stock.num_rows(), fused.num_rows()));
    }
    if stock.schema() != fused.schema() {
        return Err(format!("{} and {}", stock.schema(), fused.schema()));
    }
    let mut columns = stock.columns().iter().zip(fused.columns());
    columns.try_for_each(|(left, right)| same(left, right, ulp))
}
