//! SQL logic tests, each query with the rule and without: results and errors must be the same.
//!
//! `adapters/sqllogictest` runs DataFusion's own by this.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use kiln_datafusion::FuseKernels;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::process::ExitCode;

/// What gives something else each time.
const UNSTABLE: [&str; 8] = [
    "random()",
    "uuid()",
    "now()",
    "current_time",
    "current_date",
    "current_timestamp",
    "explain",
    "information_schema",
];

#[derive(Default)]
struct Tally {
    queries: usize,
    fused: usize,
    errors: usize,
    differ: usize,
}

fn context(fuses: bool) -> SessionContext {
    let config = SessionConfig::new().with_target_partitions(4).with_information_schema(true);
    let mut builder = SessionStateBuilder::new().with_config(config).with_default_features();
    if fuses {
        builder = FuseKernels::new().least_rows(0).least_cost(0).install(builder);
    }
    SessionContext::new_with_state(builder.build())
}

/// What a query gives, as text, and whether a kernel is in its plan.
async fn run(context: &SessionContext, sql: &str) -> Result<(Vec<RecordBatch>, bool), String> {
    let run = async {
        let frame = context.sql(sql).await.map_err(|error| error.to_string())?;
        let plan = frame.clone().create_physical_plan().await.map_err(|error| error.to_string())?;
        let shown = datafusion::physical_plan::displayable(plan.as_ref()).indent(false).to_string();
        let rows = frame.collect().await.map_err(|error| error.to_string())?;
        Ok((rows, shown.contains("kiln[")))
    };
    let run = futures::FutureExt::catch_unwind(AssertUnwindSafe(run));
    run.await.unwrap_or_else(|_| Err("a panic".into()))
}

/// The cells of a result, row by row in a settled order.
fn cells(rows: &[RecordBatch]) -> Vec<Vec<String>> {
    let Ok(table) = pretty_format_batches(rows) else { return Vec::new() };
    let table = table.to_string();
    let lines = table.lines().filter(|line| line.starts_with('|'));
    let mut cells: Vec<Vec<String>> =
        lines.map(|line| line.split('|').map(|cell| cell.trim().to_owned()).collect()).collect();
    cells.sort();
    cells
}

/// Whether two results are the same: text, or numbers up to the last places of a function.
fn same(left: &[RecordBatch], right: &[RecordBatch]) -> bool {
    let near = |left: &String, right: &String| {
        // Numbers of single precision are shown with few digits.
        let digits = left.chars().filter(char::is_ascii_digit).count();
        let share = if digits > 10 { 1e-13 } else { 3e-7 };
        left == right
            || match (left.parse::<f64>(), right.parse::<f64>()) {
                (Ok(left), Ok(right)) if left.fract() != 0.0 => {
                    (left - right).abs() <= share * left.abs()
                }
                _ => false,
            }
    };
    let (left, right) = (cells(left), cells(right));
    left.len() == right.len()
        && left.iter().zip(&right).all(|(left, right)| {
            left.len() == right.len()
                && left.iter().zip(right).all(|(left, right)| near(left, right))
        })
}

/// The statements and queries of a file, in order, without what they should give.
fn records(text: &str) -> Vec<String> {
    let mut records = Vec::new();
    for block in text.split("\n\n") {
        let mut lines =
            block.lines().skip_while(|line| line.starts_with('#') || line.trim().is_empty());
        let Some(head) = lines.next() else { continue };
        if head.starts_with("statement") || head.starts_with("query") {
            let sql: Vec<&str> = lines.take_while(|line| *line != "----").collect();
            records.push(sql.join("\n"));
        }
    }
    records
}

async fn file(path: &Path) -> std::io::Result<Tally> {
    let text = std::fs::read_to_string(path)?;
    let contexts = [context(false), context(true)];
    let mut tally = Tally::default();
    for sql in records(&text) {
        let lower = sql.to_lowercase();
        if UNSTABLE.iter().any(|word| lower.contains(word)) {
            continue;
        }
        tally.queries += 1;
        match (run(&contexts[0], &sql).await, run(&contexts[1], &sql).await) {
            (Ok((stock, _)), Ok((fused, kernel))) => {
                tally.fused += usize::from(kernel);
                if !same(&stock, &fused) {
                    tally.differ += 1;
                    let shown = |rows: &[RecordBatch]| format!("{:?}", cells(rows));
                    println!(
                        "DIFFERS {}: {sql}\n  {}\n  {}",
                        path.display(),
                        shown(&stock),
                        shown(&fused)
                    );
                }
            }
            (Err(stock), Err(fused)) => {
                tally.errors += 1;
                if stock != fused {
                    tally.differ += 1;
                    println!("DIFFERS {}: {sql}\n  {stock}\n  {fused}", path.display());
                }
            }
            (stock, fused) => {
                tally.differ += 1;
                let shown =
                    |side: Result<_, String>| side.map_or_else(|error| error, |_| "rows".into());
                println!(
                    "DIFFERS {}: {sql}\n  {}\n  {}",
                    path.display(),
                    shown(stock),
                    shown(fused)
                );
            }
        }
    }
    Ok(tally)
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut all = Tally::default();
    for path in std::env::args().skip(1) {
        let Ok(tally) = file(Path::new(&path)).await else {
            eprintln!("{path} cannot be read");
            return ExitCode::FAILURE;
        };
        let name = Path::new(&path).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Tally { queries, fused, errors, differ } = tally;
        println!(
            "{name}: {queries} queries, {fused} with kernels, {errors} errors, {differ} differ"
        );
        all.queries += queries;
        all.fused += fused;
        all.errors += errors;
        all.differ += differ;
    }
    let Tally { queries, fused, errors, differ } = all;
    println!("in all: {queries} queries, {fused} with kernels, {errors} errors, {differ} differ");
    let passes = differ == 0 && fused > 0;
    if passes { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
