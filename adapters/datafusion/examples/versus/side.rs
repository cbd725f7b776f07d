//! One side of a comparison: a context with the rule or without, and a query run to its end.

use crate::Result;
use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::Float64Type;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use futures::StreamExt;
use kiln_datafusion::FuseKernels;
use std::path::Path;
use std::time::Instant;

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) query: &'static str,
}

/// The normal distribution function of Black-Scholes is by `tanh`, for SQL has none.
pub(crate) const CASES: [Case; 8] = [
    Case { name: "s*v + k", query: "SELECT s*v + k AS y FROM t" },
    Case {
        name: "GELU",
        query: "SELECT 0.5*x*(1.0 + tanh(0.7978845608028654*(x + 0.044715*x*x*x))) AS y \
                FROM (SELECT s - k AS x FROM t)",
    },
    Case {
        name: "Black-Scholes",
        query: "SELECT s*0.5*(1.0 + tanh(0.7978845608028654*(d + 0.044715*d*d*d))) \
                - k*exp(-r*t)*0.5*(1.0 + tanh(0.7978845608028654*(e + 0.044715*e*e*e))) AS y \
                FROM (SELECT s, k, r, t, d, d - v*q AS e \
                FROM (SELECT s, k, r, t, v, q, (ln(s/k) + (r + 0.5*v*v)*t)/(v*q) AS d \
                FROM (SELECT s, k, r, t, v, sqrt(t) AS q FROM t)))",
    },
    Case {
        name: "filter of six terms",
        query: "SELECT s AS y FROM t WHERE s > 11.0 AND k < 49.0 AND t > 0.3 AND r < 0.099 \
                AND v*s < 24.0 AND s + k > 25.0",
    },
    Case {
        name: "filter by one in 2,000",
        query: "SELECT s AS y FROM t WHERE k > 49.98 AND exp(r)*t + ln(k)*tanh(t) > 1.0 AND cos(k) < 0.99",
    },
    Case {
        name: "filter of two functions",
        query: "SELECT s AS y FROM t WHERE exp(r)*t > 0.3 AND ln(k) + t > 2.4",
    },
    Case {
        name: "choice",
        query: "SELECT CASE WHEN k > 49.98 THEN exp(r*t) + sin(k) WHEN t < 0.3 THEN ln(k)*tanh(t) \
                ELSE k*t END AS y FROM t",
    },
    Case {
        name: "sum by group",
        query: "SELECT g, sum(s*v + k*t - r) AS y FROM (SELECT CAST(k AS INT) % 8 AS g, * FROM t) \
                GROUP BY g ORDER BY g",
    },
];

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Side {
    Stock,
    Fused,
}

impl Side {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Side::Stock => "stock",
            Side::Fused => "fused",
        }
    }

    pub(crate) fn of(name: &str) -> Result<Side> {
        let sides = [Side::Stock, Side::Fused];
        Ok(sides.into_iter().find(|side| side.name() == name).ok_or("no such side")?)
    }

    /// A session; with the rule, for tables of at least so many rows.
    pub(crate) fn session(self, partitions: Option<usize>, least_rows: usize) -> SessionContext {
        let mut config = SessionConfig::new();
        if let Some(partitions) = partitions {
            config = config.with_target_partitions(partitions);
        }
        let mut builder = SessionStateBuilder::new().with_config(config).with_default_features();
        if self == Side::Fused {
            builder = FuseKernels::new().least_rows(least_rows).install(builder);
        }
        SessionContext::new_with_state(builder.build())
    }

    async fn context(self, folder: &Path, partitions: Option<usize>) -> Result<SessionContext> {
        let context = self.session(partitions, 0);
        let folder = folder.to_str().ok_or("a path that is no text")?;
        context.register_parquet("t", folder, ParquetReadOptions::default()).await?;
        Ok(context)
    }
}

/// Runs a query to its end a few times, dropping what it gives, and prints the best time and the peak of
/// this process's memory.
pub(crate) async fn turn(case: &Case, side: Side, folder: &str) -> Result<()> {
    let context = side.context(Path::new(folder), None).await?;
    let mut best = f64::INFINITY;
    for _ in 0..4 {
        let plan = context.sql(case.query).await?.create_physical_plan().await?;
        let start = Instant::now();
        let mut stream = execute_stream(plan, context.task_ctx())?;
        while let Some(batch) = stream.next().await {
            batch?;
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak: f64 =
        peak.and_then(|peak| peak.split_whitespace().next()).ok_or("no VmHWM")?.parse()?;
    println!("{best} {}", peak / 1024.0);
    Ok(())
}

/// How far the two sides are apart, row by row; an error where their nulls or rows differ.
pub(crate) async fn agreement(case: &Case, folder: &Path) -> Result<String> {
    let mut results = Vec::new();
    for side in [Side::Stock, Side::Fused] {
        let context = side.context(folder, Some(1)).await?;
        let plan = context.sql(case.query).await?.create_physical_plan().await?;
        let shown = datafusion::physical_plan::displayable(plan.as_ref()).indent(false).to_string();
        // Of aggregates plans show no arguments, and one pass is left alone.
        let may_be_stock = case.query.contains("sum(") || case.name == "s*v + k";
        if side == Side::Fused && !may_be_stock && !shown.contains("kiln[") {
            return Err(format!("{}: nothing is fused\n{shown}", case.name).into());
        }
        results.push(context.sql(case.query).await?.collect().await?);
    }
    let [stock, fused] = [&results[0], &results[1]];
    let rows = |batches: &[RecordBatch]| batches.iter().map(RecordBatch::num_rows).sum::<usize>();
    if rows(stock) != rows(fused) {
        return Err(format!("{}: {} rows and {}", case.name, rows(stock), rows(fused)).into());
    }
    let columns = stock.iter().zip(fused).map(|(left, right)| {
        let column = |batch: &RecordBatch| {
            batch.column_by_name("y").map(|column| column.as_primitive::<Float64Type>().clone())
        };
        Some((column(left)?, column(right)?))
    });
    let (mut different, mut most) = (0usize, 0.0f64);
    for pair in columns {
        let (left, right) = pair.ok_or("no column y")?;
        if left.nulls() != right.nulls() {
            return Err(format!("{}: nulls differ", case.name).into());
        }
        for (left, right) in left.iter().zip(right.iter()) {
            let (Some(left), Some(right)) = (left, right) else { continue };
            if left.to_bits() != right.to_bits() {
                different += 1;
                most = most.max((left - right).abs() / left.abs().max(f64::MIN_POSITIVE));
            }
        }
    }
    Ok(match different {
        0 => "the same bits, the same nulls".into(),
        _ => {
            format!("{different} rows differ, by {most:.1e} of their value at most; the same nulls")
        }
    })
}
