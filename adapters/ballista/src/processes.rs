//! A cluster of processes: a scheduler, and executors that know no function of ours.

use ballista::prelude::SessionContextExt;
use ballista_core::error::BallistaError;
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::start_server;
use datafusion::error::{DataFusionError, Result};
use datafusion::prelude::SessionContext;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a program does that is started as a node, with `arguments` as [`Processes`] gives them; none for
/// any other program.
pub async fn node(arguments: &[String]) -> Option<Result<(), BallistaError>> {
    let [kind, numbers @ ..] = arguments else { return None };
    let port = |index: usize| numbers.get(index)?.parse::<u16>().ok();
    match kind.as_str() {
        "scheduler" => Some(scheduler(port(0)?).await),
        "executor" => Some(executor([port(0)?, port(1)?, port(2)?], numbers.get(3)?).await),
        _ => None,
    }
}

async fn scheduler(port: u16) -> Result<(), BallistaError> {
    let config = SchedulerConfig {
        bind_port: port,
        // A dead executor is found out in seconds, not in minutes.
        executor_timeout_seconds: 4,
        expire_dead_executor_interval_seconds: 1,
        override_config_producer: Some(Arc::new(crate::config)),
        override_session_builder: Some(Arc::new(|config| Ok(crate::planner(config)))),
        override_logical_codec: Some(codecs().0),
        override_physical_codec: Some(codecs().1),
        ..SchedulerConfig::default()
    };
    let cluster = BallistaCluster::new_from_config(&config).await?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    start_server(cluster, address, Arc::new(config)).await
}

async fn executor([scheduler, port, grpc]: [u16; 3], folder: &str) -> Result<(), BallistaError> {
    tokio::spawn(tell_compilations(PathBuf::from(folder)));
    let config = ExecutorProcessConfig {
        port,
        grpc_port: grpc,
        scheduler_port: scheduler,
        scheduler_connect_timeout_seconds: 20,
        vcores: 1,
        work_dir: Some(folder.into()),
        executor_heartbeat_interval_seconds: 1,
        override_config_producer: Some(Arc::new(crate::config)),
        override_logical_codec: Some(codecs().0),
        override_physical_codec: Some(codecs().1),
        ..ExecutorProcessConfig::default()
    };
    start_executor_process(Arc::new(config)).await
}

type Codecs = (
    Arc<dyn datafusion_proto::logical_plan::LogicalExtensionCodec>,
    Arc<dyn datafusion_proto::physical_plan::PhysicalExtensionCodec>,
);

fn codecs() -> Codecs {
    use ballista_core::extension::SessionConfigExt;
    let config = crate::config();
    (config.ballista_logical_extension_codec(), config.ballista_physical_extension_codec())
}

/// Keeps the number of compilations of this process in a file, for who started it.
async fn tell_compilations(folder: PathBuf) {
    let mut told = None;
    loop {
        let count = kiln_datafusion::compile_count();
        if told != Some(count) && std::fs::write(folder.join(COUNT), count.to_string()).is_ok() {
            told = Some(count);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

const COUNT: &str = "compilations";

/// A scheduler and executors, each a process; they end with this.
pub struct Processes {
    port: u16,
    scheduler: Child,
    executors: Vec<(Child, PathBuf)>,
}

impl Processes {
    /// Starts a scheduler and `executors` executors of one thread, as `program` with arguments for
    /// [`node`]. They keep their files in folders of `folder`.
    pub fn start(program: &Path, executors: usize, folder: &Path) -> Result<Processes> {
        let port = free_port()?;
        let scheduler = spawn(program, &["scheduler".into(), port.to_string()])?;
        let mut cluster = Processes { port, scheduler, executors: Vec::new() };
        wait_for(port)?;
        for index in 0..executors {
            let folder = folder.join(format!("executor-{index}"));
            std::fs::create_dir_all(&folder)?;
            let (flight, grpc) = (free_port()?, free_port()?);
            let mut arguments: Vec<String> = vec!["executor".into()];
            arguments.extend([port, flight, grpc].map(|port| port.to_string()));
            arguments.push(folder.display().to_string());
            cluster.executors.push((spawn(program, &arguments)?, folder));
            wait_for(flight)?;
        }
        Ok(cluster)
    }

    /// A client. Functions are registered on what this returns: what its state had, is replaced.
    pub async fn connect(&self) -> Result<SessionContext> {
        let url = format!("df://localhost:{}", self.port);
        SessionContext::remote_with_state(&url, crate::state()).await
    }

    /// The folder in which an executor keeps what it shuffles.
    pub fn folder(&self, executor: usize) -> &Path {
        &self.executors[executor].1
    }

    /// How many kernels an executor has compiled.
    pub fn compilations(&self, executor: usize) -> Option<usize> {
        std::fs::read_to_string(self.folder(executor).join(COUNT)).ok()?.parse().ok()
    }

    /// Ends an executor at once, with whatever it is doing.
    pub fn kill(&mut self, executor: usize) -> Result<()> {
        let (child, _) = &mut self.executors[executor];
        child.kill()?;
        child.wait()?;
        Ok(())
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        let children = self.executors.iter_mut().map(|(child, _)| child);
        for child in children.chain([&mut self.scheduler]) {
            // It may have ended, and there is nobody to tell.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn spawn(program: &Path, arguments: &[String]) -> Result<Child> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
    Ok(command.spawn()?)
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Waits until something listens.
fn wait_for(port: u16) -> Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let end = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect(address).is_err() {
        if Instant::now() > end {
            let message = format!("no node listens at {address} after 30 seconds");
            return Err(DataFusionError::Execution(message));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
