//! Parquet files, a fused projection and filter, a kernel in an aggregate, groups; and the plan that does it.

use datafusion::arrow::array::{ArrayRef, Float32Array, Int32Array, RecordBatch};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::prelude::{ParquetReadOptions, SessionContext};
use kiln_datafusion::{FuseKernels, KilnFunction, compile_count};
use std::error::Error;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

fn write(path: &Path, seed: u64) -> Result<(), Box<dyn Error>> {
    let mut random = fastrand::Rng::with_seed(seed);
    let shop = Int32Array::from_iter_values((0..20_000).map(|_| random.i32(0..4)));
    let mut column = |least: f32, most: f32| {
        let one = |_| (random.u8(..100) != 0).then(|| least + random.f32() * (most - least));
        Arc::new((0..20_000).map(one).collect::<Float32Array>()) as ArrayRef
    };
    let batch = RecordBatch::try_from_iter([
        ("shop", Arc::new(shop) as ArrayRef),
        ("price", column(1.0, 90.0)),
        ("rate", column(0.0, 0.3)),
        ("heat", column(-3.0, 3.0)),
    ])?;
    let mut writer = ArrowWriter::try_new(File::create(path)?, batch.schema(), None)?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    for file in 0..4 {
        write(&folder.path().join(format!("{file}.parquet")), file)?;
    }
    let builder = SessionStateBuilder::new().with_default_features();
    let context =
        SessionContext::new_with_state(FuseKernels::new().least_rows(0).install(builder).build());
    context.register_udf(KilnFunction::default().into());
    let table = folder.path().to_str().ok_or("a path that is no text")?;
    context.register_parquet("sales", table, ParquetReadOptions::default()).await?;

    // Nothing of it names a kernel but the last column.
    let query = "
        SELECT shop, count(*) AS sales, avg(net) AS net, sum(interest) AS interest
        FROM (
            SELECT shop, price*(1.0 - rate) + 0.5 AS net, kiln('gelu(heat*rate)', heat, rate) AS interest
            FROM sales
            WHERE price > 2.0 AND price < 80.0 AND rate*price < 20.0
        )
        GROUP BY shop ORDER BY shop";
    let plan = context.sql(&format!("EXPLAIN {query}")).await?.collect().await?;
    println!("{}", pretty_format_batches(&plan)?);
    let rows = context.sql(query).await?.collect().await?;
    println!("{}", pretty_format_batches(&rows)?);
    println!("{} kernels compiled", compile_count());
    Ok(())
}
