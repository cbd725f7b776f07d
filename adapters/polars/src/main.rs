//! A kernel as an expression of Polars, by `map_many`: columns are read where they lie, and null where any is.

use kiln::{CompileOptions, Kernel, Mode, RunError, View};
use polars::prelude::{
    ChunkFullNull, Column, DataFrame, DataType, Expr, Field, Float64Chunked, IntoColumn, IntoLazy,
    PolarsError, PolarsResult, Schema, col, df, lit,
};
use std::borrow::Cow;
use std::error::Error;
use std::time::Instant;

/// The kernel of these expressions of `f64`, in the order of its inputs.
fn fused(kernel: Kernel, inputs: &[Expr]) -> Expr {
    let compute = move |columns: &mut [Column]| column(&kernel, columns);
    let field =
        |_: &Schema, fields: &[Field]| Ok(Field::new(fields[0].name().clone(), DataType::Float64));
    inputs[0].clone().map_many(compute, &inputs[1..], field)
}

fn column(kernel: &Kernel, columns: &[Column]) -> PolarsResult<Column> {
    let failed = |error: RunError| PolarsError::ComputeError(error.to_string().into());
    // A column in several chunks is copied into one; a literal is one element, which Kiln broadcasts.
    let numbers: Vec<Cow<'_, Float64Chunked>> =
        columns.iter().map(|column| Ok(column.f64()?.rechunk())).collect::<PolarsResult<_>>()?;
    let views: Vec<View<'_>> =
        numbers.iter().map(|numbers| (&numbers.downcast_as_array().values()[..]).into()).collect();
    let [output] = kernel.run(&views).map_err(failed)?.try_into().expect("it has one output");
    let output = output.into_f64().map_err(failed)?.into_raw_vec_and_offset().0;
    let name = columns[0].name().clone();
    if numbers.iter().any(|numbers| numbers.len() == 1 && numbers.null_count() == 1) {
        return Ok(Float64Chunked::full_null(name, output.len()).into_column());
    }
    let arrays = numbers.iter().filter(|numbers| numbers.len() > 1);
    let validity =
        arrays.fold(None, |all, numbers| match (all, numbers.downcast_as_array().validity()) {
            (Some(all), Some(valid)) => Some(&all & valid),
            (all, valid) => all.or_else(|| valid.cloned()),
        });
    Ok(Float64Chunked::from_vec_validity(name, output, validity).into_column())
}

fn main() -> Result<(), Box<dyn Error>> {
    let frame = df!(
        "x" => [Some(-1.0), Some(0.5), None, Some(2.0)],
        "w" => [2.0, -2.0, 1.0, 0.25],
        "b" => [0.0, 1.5, 1.0, 0.25],
    )?;
    let relu = kiln::compile_text("|x: f64, w: f64, b: f64| relu(x*w + b)")?;
    let scored = fused(relu, &[col("x"), col("w"), col("b")]).alias("y");
    let query = frame.lazy().with_column(scored);
    let scores: Vec<Option<f64>> = query.collect()?.column("y")?.f64()?.iter().collect();
    println!("relu(x*w + b): {scores:?}");
    assert_eq!(scores, [Some(0.0), Some(0.5), None, Some(0.75)]);

    // A chain of arithmetic, as Polars has it and as one kernel: in strict mode the same bits.
    let rows = 1_000_000;
    let number = |step: usize| (0..rows).map(move |row| ((row * step) % 1000) as f64 / 500.0 - 1.0);
    let columns = [("x", 7), ("w", 11), ("b", 13)].map(|(name, step)| {
        let numbers: Float64Chunked = number(step).map(|x| (x != 0.5).then_some(x)).collect();
        numbers.with_name(name.into()).into_column()
    });
    let frame = DataFrame::new(rows, columns.to_vec())?.lazy();
    let (x, w, b) = (|| col("x"), || col("w"), || col("b"));
    let stock = x() * x() * w() + lit(2.0) * x() * b() - w() * b() + lit(1.0);
    let text = "|x: f64, w: f64, b: f64, two: f64| x*x*w + two*x*b - w*b + 1";
    let options = CompileOptions::new().mode(Mode::Strict);
    let kernel = kiln::compile_with(&kiln::ir::parse(text)?, options)?;
    let one = fused(kernel, &[x(), w(), b(), lit(2.0)]);
    let both = [stock.alias("stock"), one.alias("fused")];
    // Worth a look where it is built with `--release`.
    for (expression, name) in both.iter().zip(["Polars", "Kiln"]) {
        let mut best = f64::INFINITY;
        for _ in 0..10 {
            let start = Instant::now();
            frame.clone().select([expression.clone()]).collect()?;
            best = best.min(start.elapsed().as_secs_f64());
        }
        println!("{name}: {:.2} ms", best * 1e3);
    }
    let result = frame.select(both).collect()?;
    let [stock, fused] = [result.column("stock")?, result.column("fused")?];
    assert!(stock.equals_missing(fused) && stock.null_count() > 0, "the same bits, the same nulls");
    println!("a chain of 8 ops: {} rows, {} null, as Polars has them", rows, fused.null_count());
    Ok(())
}
