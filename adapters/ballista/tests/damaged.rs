//! Payloads that are damaged on their way, on a real cluster: an error for who asked, and nothing else.

use ballista::prelude::SessionContextExt;
use ballista_core::extension::SessionConfigExt;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::{BallistaLogicalExtensionCodec, BallistaPhysicalExtensionCodec};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::datasource::file_format::FileFormatFactory;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::{Extension, LogicalPlan, ScalarUDF};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use datafusion_proto::logical_plan::LogicalExtensionCodec;
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};
use kiln_datafusion::{KernelFunction, KilnCodec};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const QUERY: &str = "SELECT g, count(f(a, b, c)) AS m FROM t GROUP BY g ORDER BY g";

/// What may happen to a payload on its way, and a part of what is said then.
type Damage = (fn(&mut Vec<u8>), &'static str);

const DAMAGES: [Damage; 6] = [
    (|_| {}, ""),
    (|bytes| bytes.truncate(bytes.len() - 3), "payload for the kernel f is damaged"),
    (|bytes| bytes[4] = 9, "version 9"),
    (|bytes| bytes.extend([0; 7]), "7 bytes are left over"),
    // A length beyond all memory.
    (|bytes| bytes[6..14].fill(0xff), "it ends before its parts do"),
    // Brackets that nothing closes.
    (|bytes| bytes.iter_mut().filter(|byte| **byte == b'*').for_each(|byte| *byte = b'('), "^"),
];

/// Which damage the client does, and which the scheduler.
static LOGICAL: AtomicUsize = AtomicUsize::new(0);
static PHYSICAL: AtomicUsize = AtomicUsize::new(0);

/// A codec that damages what it encodes.
#[derive(Debug, Default)]
struct Damaging<C>(KilnCodec<C>);

impl LogicalExtensionCodec for Damaging<BallistaLogicalExtensionCodec> {
    fn try_decode(
        &self,
        buf: &[u8],
        inputs: &[LogicalPlan],
        context: &TaskContext,
    ) -> Result<Extension> {
        self.0.try_decode(buf, inputs, context)
    }

    fn try_encode(&self, node: &Extension, buf: &mut Vec<u8>) -> Result<()> {
        self.0.try_encode(node, buf)
    }

    fn try_decode_table_provider(
        &self,
        buf: &[u8],
        table: &TableReference,
        schema: SchemaRef,
        context: &TaskContext,
    ) -> Result<Arc<dyn TableProvider>> {
        self.0.try_decode_table_provider(buf, table, schema, context)
    }

    fn try_encode_table_provider(
        &self,
        table: &TableReference,
        node: Arc<dyn TableProvider>,
        buf: &mut Vec<u8>,
    ) -> Result<()> {
        self.0.try_encode_table_provider(table, node, buf)
    }

    fn try_decode_file_format(
        &self,
        buf: &[u8],
        context: &TaskContext,
    ) -> Result<Arc<dyn FileFormatFactory>> {
        self.0.try_decode_file_format(buf, context)
    }

    fn try_encode_file_format(
        &self,
        buf: &mut Vec<u8>,
        node: Arc<dyn FileFormatFactory>,
    ) -> Result<()> {
        self.0.try_encode_file_format(buf, node)
    }

    fn try_decode_udf(&self, name: &str, buf: &[u8]) -> Result<Arc<ScalarUDF>> {
        LogicalExtensionCodec::try_decode_udf(&self.0, name, buf)
    }

    fn try_encode_udf(&self, node: &ScalarUDF, buf: &mut Vec<u8>) -> Result<()> {
        LogicalExtensionCodec::try_encode_udf(&self.0, node, buf)?;
        damage(node, buf, &LOGICAL);
        Ok(())
    }
}

impl PhysicalExtensionCodec for Damaging<BallistaPhysicalExtensionCodec> {
    fn try_decode(
        &self,
        buf: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        context: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.0.try_decode(buf, inputs, context, converter)
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        buf: &mut Vec<u8>,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        self.0.try_encode(node, buf, converter)
    }

    fn try_decode_udf(&self, name: &str, buf: &[u8]) -> Result<Arc<ScalarUDF>> {
        PhysicalExtensionCodec::try_decode_udf(&self.0, name, buf)
    }

    fn try_encode_udf(&self, node: &ScalarUDF, buf: &mut Vec<u8>) -> Result<()> {
        PhysicalExtensionCodec::try_encode_udf(&self.0, node, buf)?;
        damage(node, buf, &PHYSICAL);
        Ok(())
    }
}

fn damage(node: &ScalarUDF, buf: &mut Vec<u8>, which: &AtomicUsize) {
    if node.name() == "f" {
        DAMAGES[which.load(Ordering::SeqCst)].0(buf);
    }
}

fn damaging() -> SessionConfig {
    kiln_ballista::config()
        .with_ballista_logical_extension_codec(Arc::new(
            Damaging::<BallistaLogicalExtensionCodec>::default(),
        ))
        .with_ballista_physical_extension_codec(Arc::new(
            Damaging::<BallistaPhysicalExtensionCodec>::default(),
        ))
}

async fn collect(context: &SessionContext) -> Result<RecordBatch> {
    let query = async { context.sql(QUERY).await?.collect().await };
    let batches = tokio::time::timeout(Duration::from_secs(60), query).await.expect("no hang")?;
    Ok(datafusion::arrow::compute::concat_batches(&batches[0].schema(), &batches)?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn damage_comes_back_as_an_error_and_the_cluster_goes_on() -> Result<()> {
    let data = tempfile::tempdir()?;
    kiln_ballista::data::write(data.path(), 4, 1_000)?;
    let state =
        || SessionStateBuilder::new().with_config(damaging()).with_default_features().build();
    let address = ballista_scheduler::standalone::new_standalone_scheduler_from_state(&state())
        .await
        .expect("a scheduler");
    let url = format!("http://localhost:{}", address.port());
    let scheduler = loop {
        match SchedulerGrpcClient::connect(url.clone()).await {
            Ok(scheduler) => break scheduler,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    // One executor of one thread: it must survive, for nobody else can answer.
    ballista_executor::new_standalone_executor_from_state(scheduler, 1, &kiln_ballista::state())
        .await
        .expect("an executor");
    let url = format!("df://localhost:{}", address.port());
    let client = SessionContext::remote_with_state(&url, state()).await?;
    let folder = data.path().to_str().expect("a path of letters");
    client.register_parquet("t", folder, ParquetReadOptions::default()).await?;
    client.register_udf(KernelFunction::new("f", "|a, b, c| gelu(a*b + c)")?.into());

    let expected = collect(&client).await?;
    for way in [&LOGICAL, &PHYSICAL] {
        for (index, (_, said)) in DAMAGES.iter().enumerate().skip(1) {
            way.store(index, Ordering::SeqCst);
            let error = collect(&client).await.expect_err("it is damaged").to_string();
            assert!(error.contains(said), "{error}");
            way.store(0, Ordering::SeqCst);
            assert_eq!(expected, collect(&client).await?);
        }
    }
    Ok(())
}
