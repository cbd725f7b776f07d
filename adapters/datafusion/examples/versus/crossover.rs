//! From how many rows on a kernel pays, compiled for one query: tables in memory, planning included.

use crate::Result;
use crate::data::batch;
use crate::side::{CASES, Side};
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use std::sync::Arc;
use std::time::Instant;

const ROUNDS: usize = 15;

/// The median time of a query that nobody asked before, from text to rows, in microseconds.
async fn first_time(context: &SessionContext, query: &str, number: &mut u32) -> Result<f64> {
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        // Another constant is another kernel.
        *number += 1;
        let query = query.replace("0.5*", &format!("0.5{number:04}*"));
        let start = Instant::now();
        context.sql(&query).await?.collect().await?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[ROUNDS / 2])
}

pub(crate) async fn measure() -> Result<()> {
    println!("| query | rows | DataFusion, µs | with Kiln, µs |\n|---|--:|--:|--:|");
    let mut number = 0;
    let filter = "SELECT s AS y FROM t WHERE s > 11.0 AND v*0.5*s < 24.0";
    let queries = CASES.iter().map(|case| (case.name, case.query));
    let queries = queries.filter(|(_, query)| query.contains("0.5*"));
    for (name, query) in queries.chain([("filter", filter)]) {
        for rows in [1_000, 3_000, 10_000, 20_000, 50_000, 100_000, 200_000] {
            let whole = batch(rows, 1)?;
            let batches = (0..rows).step_by(8192);
            let batches = batches.map(|start| whole.slice(start, 8192.min(rows - start)));
            let table = Arc::new(MemTable::try_new(whole.schema(), vec![batches.collect()])?);
            let mut times = [0.0; 2];
            for (side, time) in [Side::Stock, Side::Fused].into_iter().zip(&mut times) {
                let context = side.session(Some(1), 0);
                context.register_table("t", table.clone())?;
                first_time(&context, query, &mut number).await?;
                *time = first_time(&context, query, &mut number).await?;
            }
            println!("| {name} | {rows} | {:.0} | {:.0} |", times[0], times[1]);
        }
    }
    Ok(())
}
