//! What a call costs beside its kernel, and what expressions cost with the rule and without, a batch.

use crate::Result;
use crate::data::batch;
use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{DataType, Field, Float64Type};
use datafusion::common::config::ConfigOptions;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::prelude::SessionContext;
use kiln_datafusion::{FuseKernels, KernelFunction};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

const ROWS: usize = 8192;

/// The best time of a closure, in microseconds.
fn best(mut run: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..300 {
        let start = Instant::now();
        for _ in 0..10 {
            run();
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e5);
    }
    best
}

pub(crate) fn measure() -> Result<()> {
    let batch = batch(ROWS, 1)?;
    let args: Vec<ColumnarValue> =
        [0, 4, 1].map(|index| ColumnarValue::Array(batch.column(index).clone())).to_vec();
    let field = |name: &str| Arc::new(Field::new(name, DataType::Float64, true));
    let call = |args: &[ColumnarValue], rows: usize| ScalarFunctionArgs {
        args: args.to_vec(),
        arg_fields: vec![field("s"), field("v"), field("k")],
        number_rows: rows,
        return_field: field("y"),
        config_options: Arc::new(ConfigOptions::default()),
    };
    let function: ScalarUDF = KernelFunction::new("f", "|s, v, k| s*v + k")?.into();
    let kernel = kiln::compile_text("|s: f64, v: f64, k: f64| s*v + k")?;
    let numbers: Vec<&[f64]> =
        [0, 4, 1].map(|i| batch.column(i).as_primitive::<Float64Type>().values().as_ref()).to_vec();
    let mut output = vec![0f64; ROWS];
    // The same pages for every call, and no nulls: the kernel alone.
    let alone = best(|| {
        let views: Vec<kiln::View<'_>> = numbers.iter().map(|&numbers| numbers.into()).collect();
        kernel.run_into(&views, &mut [(&mut output).into()]).expect("it runs");
    });
    let config = call(&args, ROWS);
    let whole = best(|| {
        let args = ScalarFunctionArgs {
            args: config.args.clone(),
            arg_fields: config.arg_fields.clone(),
            number_rows: ROWS,
            return_field: config.return_field.clone(),
            config_options: config.config_options.clone(),
        };
        drop(black_box(function.invoke_with_args(args)));
    });
    println!(
        "s*v + k on {ROWS} rows: the kernel {alone:.2} µs, the call {whole:.2} µs, with two bitmaps"
    );
    let small: Vec<ColumnarValue> =
        [0, 4, 1].map(|index| ColumnarValue::Array(batch.column(index).slice(0, 8))).to_vec();
    let config = call(&small, 8);
    let least = best(|| {
        let args = ScalarFunctionArgs {
            args: config.args.clone(),
            arg_fields: config.arg_fields.clone(),
            number_rows: 8,
            return_field: config.return_field.clone(),
            config_options: config.config_options.clone(),
        };
        drop(black_box(function.invoke_with_args(args)));
    });
    println!("on 8 rows: the call {least:.2} µs");
    expressions(&batch)
}

/// Projections of one batch, by the physical expression that each side plans.
fn expressions(batch: &datafusion::arrow::array::RecordBatch) -> Result<()> {
    println!("| expression | DataFusion, µs | with Kiln, µs |\n|---|--:|--:|");
    for expression in [
        "s + 1.0",
        "s*v",
        "s > 20.0",
        "s*2.0 + 1.0",
        "s*v + k",
        "k*t - r*k",
        "s*v < k",
        "s*2.0 > k + 1.0",
        "k > 20.0 AND t < 1.0",
        "k > 20.0 AND t < 1.0 AND r > 0.01 AND k*t > 5.0",
        "k > 49.98 AND t < 1.0",
        "k > 49.98 AND exp(r)*t > 1.0",
        "k > 49.98 AND exp(r)*t + ln(k)*tanh(t) > 1.0 AND cos(k) < 0.99",
        "k > 49.98 OR t < 1.0 OR r > 0.01 OR k*t > 5.0",
        "CASE WHEN k > 49.98 THEN exp(r*t) + sin(k) WHEN t < 0.3 THEN ln(k)*tanh(t) ELSE k*t END",
        "CASE WHEN k > 20.0 THEN k*t ELSE k + t END",
        "CASE WHEN k > 1.0 THEN k ELSE sin(k) END",
        "CAST(k AS REAL) * CAST(2.0 AS REAL)",
        "abs(s)",
        "abs(k)",
        "floor(k)",
        "-k",
        "k % 0.75",
        "isnan(k)",
        "exp(r)",
        "exp(r) + exp(t)",
        "exp(r) + exp(t) + exp(k)",
        "ln(k)",
        "log10(k)",
        "sin(k)",
        "tan(k)",
        "asin(r)",
        "acos(r)",
        "atan(k)",
        "atan2(k, t)",
        "cbrt(k)",
        "sinh(r)",
        "cosh(r)",
        "tanh(k)",
    ] {
        let mut times = [0.0; 2];
        for (fuses, time) in [false, true].into_iter().zip(&mut times) {
            let mut builder = SessionStateBuilder::new().with_default_features();
            if fuses {
                builder = FuseKernels::new().least_rows(0).least_cost(0).install(builder);
            }
            let context = SessionContext::new_with_state(builder.build());
            context.register_batch("t", batch.clone())?;
            // All columns in their order, so that the expression's are those of the batch.
            let query = format!("SELECT {expression} AS y, s, k, t, r, v FROM t");
            let plan = async { context.sql(&query).await?.create_physical_plan().await };
            let plan =
                tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(plan))?;
            let any: &dyn datafusion::physical_plan::ExecutionPlan = plan.as_ref();
            let projection = any.downcast_ref::<ProjectionExec>().ok_or("no projection")?;
            let expr = projection.expr()[0].expr.clone();
            *time = best(|| drop(black_box(expr.evaluate(batch))));
        }
        println!("| `{expression}` | {:.2} | {:.2} |", times[0], times[1]);
    }
    Ok(())
}
