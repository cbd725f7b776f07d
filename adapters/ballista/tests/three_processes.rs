//! A scheduler and two executors as processes, of which one dies in the middle of a query.

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::Float64Type;
use datafusion::error::Result;
use datafusion::prelude::{ParquetReadOptions, SessionContext};
use kiln_ballista::processes::Processes;
use kiln_datafusion::KernelFunction;
use std::path::Path;
use std::time::{Duration, Instant};

const QUERY: &str =
    "SELECT g, count(f(a, b, c)) AS m, sum(f(a, b, c)) AS s FROM t GROUP BY g ORDER BY g";

async fn prepared(context: SessionContext, folder: &Path) -> Result<SessionContext> {
    let folder = folder.to_str().expect("a path of letters");
    context.register_parquet("t", folder, ParquetReadOptions::default()).await?;
    context.register_udf(KernelFunction::new("f", "gelu(a*b + c)").expect("a kernel").into());
    Ok(context)
}

async fn collect(context: &SessionContext) -> Result<RecordBatch> {
    let batches = context.sql(QUERY).await?.collect().await?;
    Ok(datafusion::arrow::compute::concat_batches(&batches[0].schema(), &batches)?)
}

fn assert_same(left: &RecordBatch, right: &RecordBatch) {
    assert_eq!(left.column(0), right.column(0));
    assert_eq!(left.column(1), right.column(1));
    let sums = [left, right].map(|batch| batch.column(2).as_primitive::<Float64Type>().clone());
    for (left, right) in sums[0].values().iter().zip(sums[1].values()) {
        assert!((left - right).abs() <= 1e-12 * left.abs().max(1.0), "{left} and {right}");
    }
}

/// Whether an executor has written anything of a shuffle.
fn has_shuffled(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).any(|path| {
        path.is_dir() && {
            let mut inside = std::fs::read_dir(path).into_iter().flatten().flatten();
            inside.next().is_some()
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_outlives_an_executor() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    std::fs::create_dir(&data)?;
    kiln_ballista::data::write(&data, 32, 20_000)?;
    let program = Path::new(env!("CARGO_BIN_EXE_kiln-node"));
    let mut cluster = Processes::start(program, 2, folder.path())?;
    let client = prepared(cluster.connect().await?, &data).await?;
    let expected = collect(&prepared(SessionContext::new(), &data).await?).await?;

    assert_same(&expected, &collect(&client).await?);
    // Both had tasks enough to compile a kernel many times.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!([0, 1].map(|executor| cluster.compilations(executor)), [Some(1), Some(1)]);

    // Shuffles of the second query are in folders that are not there yet.
    let victim = cluster.folder(1).to_owned();
    for entry in std::fs::read_dir(&victim)?.flatten().filter(|entry| entry.path().is_dir()) {
        std::fs::remove_dir_all(entry.path())?;
    }
    let query = tokio::spawn(async move { collect(&client).await });
    let start = Instant::now();
    while !has_shuffled(&victim) && start.elapsed() < Duration::from_secs(30) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(!query.is_finished(), "it dies in the middle");
    cluster.kill(1)?;
    assert_same(&expected, &query.await.expect("no panic")?);
    Ok(())
}
