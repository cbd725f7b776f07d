//! A node of a cluster: `kiln-node scheduler PORT`, or `kiln-node executor SCHEDULER PORT GRPC FOLDER`.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match kiln_ballista::processes::node(&arguments).await {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(error)) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
        None => {
            eprintln!("usage: kiln-node scheduler PORT | executor SCHEDULER PORT GRPC FOLDER");
            ExitCode::FAILURE
        }
    }
}
