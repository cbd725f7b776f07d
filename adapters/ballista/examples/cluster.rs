//! A cluster on this machine, and a query whose kernels each executor compiles for itself: a scheduler and
//! two executors as processes, Parquet files, a fused projection, a shuffle by groups.
//!
//! `cargo run --example cluster` in `adapters/`

use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::prelude::ParquetReadOptions;
use kiln_ballista::processes::{Processes, node};
use kiln_datafusion::KernelFunction;
use std::error::Error;
use std::time::Instant;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // This program is its nodes, too.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(ended) = node(&arguments).await {
        return Ok(ended?);
    }

    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    std::fs::create_dir(&data)?;
    kiln_ballista::data::write(&data, 8, 50_000)?;
    let cluster = Processes::start(&std::env::current_exe()?, 2, folder.path())?;
    println!("a scheduler and 2 executors, each a process; 8 Parquet files of 50,000 rows");

    let context = cluster.connect().await?;
    let table = data.to_str().ok_or("a path that is no text")?;
    context.register_parquet("t", table, ParquetReadOptions::default()).await?;
    let kernel = KernelFunction::new("bias_gelu", "|a, b, c| gelu(a*b + c)")?;
    context.register_udf(kernel.into());

    for query in [
        "SELECT g, count(*) AS n, sum(bias_gelu(a, b, c)) AS total FROM t GROUP BY g ORDER BY g",
        "SELECT g, avg(a*b + c*c - 2.0*a) AS mean FROM t WHERE a*a + b*b < 9.0 GROUP BY g ORDER BY g",
    ] {
        let start = Instant::now();
        let rows = context.sql(query).await?.collect().await?;
        println!("\n{query}\n{}", pretty_format_batches(&rows)?);
        println!("{:.1} s", start.elapsed().as_secs_f64());
    }
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    for executor in 0..2 {
        let count = cluster.compilations(executor).ok_or("an executor that says nothing")?;
        println!("executor {executor} has compiled {count} kernels");
    }
    Ok(())
}
