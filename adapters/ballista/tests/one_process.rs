//! The real scheduler and two real executors in one process, over the loopback: kernels travel as text.

use ballista::prelude::SessionContextExt;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::Float64Type;
use datafusion::error::Result;
use datafusion::logical_expr::ScalarUDF;
use datafusion::prelude::{ParquetReadOptions, SessionContext};
use kiln_datafusion::{KernelFunction, KilnFunction, compile_count};

const TEXT: &str = "|a, b, c| gelu(a*b + c)";
/// A shuffle by groups, and a sort.
const QUERY: &str = "SELECT g, count(*) AS n, count(f(a, b, c)) AS m, sum(f(a, b, c)) AS s \
                     FROM t GROUP BY g ORDER BY g";

async fn with_table(context: SessionContext, folder: &str) -> Result<SessionContext> {
    context.register_parquet("t", folder, ParquetReadOptions::default()).await?;
    Ok(context)
}

async fn collect(context: &SessionContext, query: &str) -> Result<RecordBatch> {
    let batches = context.sql(query).await?.collect().await?;
    Ok(datafusion::arrow::compute::concat_batches(&batches[0].schema(), &batches)?)
}

/// Equal counts, and sums up to the order in which they were added.
fn assert_same(left: &RecordBatch, right: &RecordBatch) {
    assert_eq!((left.num_rows(), left.num_columns()), (right.num_rows(), right.num_columns()));
    for (left, right) in left.columns().iter().zip(right.columns()) {
        let floats =
            (left.as_primitive_opt::<Float64Type>(), right.as_primitive_opt::<Float64Type>());
        let (Some(left), Some(right)) = floats else {
            assert_eq!(left, right);
            continue;
        };
        for (left, right) in left.iter().zip(right) {
            let (left, right) = (left.unwrap(), right.unwrap());
            assert!((left - right).abs() <= 1e-12 * left.abs().max(1.0), "{left} and {right}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn kernels_travel_as_text() -> Result<()> {
    let data = tempfile::tempdir()?;
    kiln_ballista::data::write(data.path(), 8, 5_000)?;
    let folder = data.path().to_str().expect("a path of letters");

    let planner = kiln_ballista::planner(kiln_ballista::config());
    let address = ballista_scheduler::standalone::new_standalone_scheduler_from_state(&planner)
        .await
        .expect("a scheduler");
    let url = format!("http://localhost:{}", address.port());
    let scheduler = loop {
        match SchedulerGrpcClient::connect(url.clone()).await {
            Ok(scheduler) => break scheduler,
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
        }
    };
    for _ in 0..2 {
        let state = kiln_ballista::state();
        assert!(!state.scalar_functions().contains_key("f"), "executors know no function of ours");
        ballista_executor::new_standalone_executor_from_state(scheduler.clone(), 1, &state)
            .await
            .expect("an executor");
    }
    let url = format!("df://localhost:{}", address.port());
    let client = SessionContext::remote_with_state(&url, kiln_ballista::state()).await?;
    let client = with_table(client, folder).await?;
    client.register_udf(KernelFunction::new("f", TEXT).expect("a kernel").into());
    client.register_udf(KilnFunction::default().into());

    // Two executors of one process, several tasks each, three queries: one compilation.
    assert_eq!(compile_count(), 0);
    let first = collect(&client, QUERY).await?;
    for _ in 0..2 {
        assert_same(&first, &collect(&client, QUERY).await?);
    }
    assert_eq!(compile_count(), 1);

    let local = with_table(SessionContext::new(), folder).await?;
    local.register_udf(KernelFunction::new("f", TEXT).expect("a kernel").into());
    local.register_udf(KilnFunction::default().into());
    assert_same(&first, &collect(&local, QUERY).await?);
    assert_eq!(compile_count(), 1, "the client is in this process, too");

    // A kernel in the query, and arithmetic that the scheduler fuses.
    let by_text = "SELECT g, sum(kiln('a*b + silu(c)', a, b, c)) AS s FROM t GROUP BY g ORDER BY g";
    assert_same(&collect(&client, by_text).await?, &collect(&local, by_text).await?);
    let before = compile_count();
    let plain = "SELECT g, sum(a*b*2.0 + c) AS s, count(*) AS n FROM t WHERE a*2.0 + c > b GROUP BY g ORDER BY g";
    let stock = with_table(SessionContext::new(), folder).await?;
    assert_same(&collect(&client, plain).await?, &collect(&stock, plain).await?);
    assert_eq!(compile_count(), before + 2, "a sum and a filter");

    // Two clients at once, whose functions have one name: each gets its own.
    let other = SessionContext::remote_with_state(&url, kiln_ballista::state()).await?;
    let other = with_table(other, folder).await?;
    const OTHER: &str = "|a, b, c| a*b - 0.25*c*c";
    other.register_udf(KernelFunction::new("f", OTHER).expect("a kernel").into());
    let other_local = with_table(SessionContext::new(), folder).await?;
    other_local.register_udf(KernelFunction::new("f", OTHER).expect("a kernel").into());
    let second = collect(&other_local, QUERY).await?;
    let before = compile_count();
    for _ in 0..2 {
        let (of_client, of_other) = tokio::join!(collect(&client, QUERY), collect(&other, QUERY));
        assert_same(&first, &of_client?);
        assert_same(&second, &of_other?);
    }
    assert_eq!(compile_count(), before, "both were compiled already");

    // What the codec does not know is an error, and so is what is damaged; the cluster goes on.
    let stranger = ScalarUDF::from(Stranger::default());
    client.register_udf(stranger);
    let error = collect(&client, "SELECT stranger(a) AS s FROM t").await.unwrap_err().to_string();
    assert!(error.contains("stranger"), "{error}");
    assert_same(&first, &collect(&client, QUERY).await?);
    Ok(())
}

/// A function that nobody can decode.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Stranger(datafusion::logical_expr::Signature);

impl Default for Stranger {
    fn default() -> Stranger {
        use datafusion::arrow::datatypes::DataType;
        use datafusion::logical_expr::{Signature, Volatility};
        Stranger(Signature::exact(vec![DataType::Float64], Volatility::Immutable))
    }
}

impl datafusion::logical_expr::ScalarUDFImpl for Stranger {
    fn name(&self) -> &str {
        "stranger"
    }

    fn signature(&self) -> &datafusion::logical_expr::Signature {
        &self.0
    }

    fn return_type(
        &self,
        _: &[datafusion::arrow::datatypes::DataType],
    ) -> Result<datafusion::arrow::datatypes::DataType> {
        Ok(datafusion::arrow::datatypes::DataType::Float64)
    }

    fn invoke_with_args(
        &self,
        args: datafusion::logical_expr::ScalarFunctionArgs,
    ) -> Result<datafusion::logical_expr::ColumnarValue> {
        Ok(args.args[0].clone())
    }
}
