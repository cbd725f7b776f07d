//! What is slower fused than unfused: measured again before it is told, and told first.

use super::case::Case;
use super::measure::measure;
use super::record::Record;
use crate::failure::Failure;
use crate::options::Execution;
use crate::suites::{Shows, Suite};
use kiln::compile_with;
use kiln::profile::Roofline;
use std::time::Duration;

/// How many times as long as unfused a fused kernel may seem to take: so much two runs of one kernel
/// differ by.
pub(super) const BOUND: f64 = 1.03;

/// Races that a kernel must lose to be called slower.
pub(super) const RACES: usize = 3;

/// So many are told.
const TOLD: usize = 40;

/// Whether this is what a suite shows.
pub(super) fn is_sought(suite: Option<&str>) -> bool {
    suite.and_then(Suite::find).is_some_and(|suite| suite.shows == Shows::Slowest)
}

/// Measures a case, and again where fused seems to be slower than unfused: the race that it does best
/// in counts.
pub(super) fn measure_again(
    suite: Option<&str>,
    case: &Case,
    execution: &Execution,
    budget: Duration,
    roofline: Option<&Roofline>,
) -> Result<Record, Failure> {
    let mut best = measure(suite, case, execution, budget, roofline)?;
    // Where code lies in memory can be worth 10 % to a short call. Earlier code stays, so that later
    // code lies elsewhere.
    let mut others = Vec::new();
    for _ in 1..RACES {
        if !is_slower(&best) {
            break;
        }
        for fused in [true, false] {
            others.push(compile_with(&case.graph, execution.options(fused))?);
        }
        let again = measure(suite, case, execution, 4 * budget, roofline)?;
        if again.unfused_over_fused > best.unfused_over_fused {
            best = again;
        }
    }
    Ok(best)
}

fn is_slower(record: &Record) -> bool {
    record.unfused_over_fused * BOUND < 1.0
}

/// Those that gain least first.
pub(super) fn sort(records: &mut [Record]) {
    records.sort_by(|a, b| a.unfused_over_fused.total_cmp(&b.unfused_over_fused));
}

/// Those that are told one by one, of sorted ones: all that are slower, and some more.
pub(super) fn told(records: &[Record]) -> &[Record] {
    let slower = records.iter().filter(|record| is_slower(record)).count();
    &records[..records.len().min(slower.max(TOLD))]
}

/// How many are slower.
pub(super) fn verdict(records: &[Record]) -> String {
    let percent = 100.0 * (BOUND - 1.0);
    let slower = records.iter().filter(|record| is_slower(record)).count();
    let untold = records.len() - told(records).len();
    let rest = match untold {
        0 => String::new(),
        _ => format!("; {untold} more gain more than these (--json has all)"),
    };
    format!(
        "More than {percent:.0}% slower fused than unfused, in each of {RACES} races: {slower} of {}{rest}.\n",
        records.len()
    )
}
