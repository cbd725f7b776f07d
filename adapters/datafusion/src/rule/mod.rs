//! Arithmetic of plans, fused: each maximal tree of it becomes one kernel.

mod compare;
mod cost;
mod plan;
mod translate;
mod understand;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::ExecutionPlan;
use kiln::Mode;
use std::sync::Arc;

/// The optimiser rule that replaces arithmetic, comparisons and functions of numbers in projections,
/// filters and arguments of aggregates by fused kernels.
///
/// Queries need no change, and mean what they meant: nulls, NaNs, the wrapping of integers and errors are
/// those of DataFusion. What it does otherwise than Kiln stays as it is: division of integers and casts that
/// can fail, `sqrt`, which refuses negative numbers, and `power`; and so does what is too small or too
/// seldom to pay. Arithmetic has the same bits. Functions such as `exp` are within Kiln's stated error, which
/// is below 2 ULP. `EXPLAIN` shows kernels as `kiln[a * b + c](..)`.
///
/// ```
/// use datafusion::execution::session_state::SessionStateBuilder;
/// use datafusion::prelude::SessionContext;
/// use kiln_datafusion::FuseKernels;
///
/// let builder = SessionStateBuilder::new().with_default_features();
/// let context = SessionContext::new_with_state(FuseKernels::new().install(builder).build());
/// assert!(context.state().physical_optimizers().iter().any(|rule| rule.name() == "FuseKernels"));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FuseKernels {
    mode: Mode,
    least_cost: u32,
    least_rows: usize,
}

impl Default for FuseKernels {
    fn default() -> FuseKernels {
        FuseKernels { mode: Mode::Strict, least_cost: 2, least_rows: 200_000 }
    }
}

impl FuseKernels {
    /// A rule in [`Mode::Strict`], whose arithmetic has the bits of DataFusion's.
    pub fn new() -> FuseKernels {
        FuseKernels::default()
    }

    /// In another mode: `a*b + c` may be rounded once instead of twice.
    pub fn mode(self, mode: Mode) -> FuseKernels {
        FuseKernels { mode, ..self }
    }

    /// What a call of a kernel costs, in passes over memory: a sum is one, a comparison of floats 6, a function 8. It is
    /// 2 by default, and 1 more for every three columns that are read. What costs DataFusion less for every row is left
    /// alone, be it that it computes more for some rows, as `AND` and `CASE` do. With 0, whatever can be is fused.
    pub fn least_cost(self, cost: u32) -> FuseKernels {
        FuseKernels { least_cost: cost, ..self }
    }

    /// Fuses from a table of so many rows on, 200,000 by default; where their number is not known, always.
    ///
    /// Compiling takes .4 ms for a filter of two terms and 2 ms for Black-Scholes (Zen 4), once in a process. For one
    /// query in memory, planning included, they pay from 200,000 and from 50,000 rows on (`--example versus --
    /// crossover`). Where the same queries come again, fewer do.
    pub fn least_rows(self, rows: usize) -> FuseKernels {
        FuseKernels { least_rows: rows, ..self }
    }

    /// Adds the rule to a state that is being built.
    ///
    /// It goes before projections are pushed into scans, and after filters are, which read their own terms
    /// to skip what cannot match. So install it after rules of your own.
    pub fn install(self, mut builder: SessionStateBuilder) -> SessionStateBuilder {
        let rules = builder.physical_optimizers().take().unwrap_or_default().rules;
        builder.with_physical_optimizer_rules(self.among(rules))
    }

    fn among(
        self,
        mut rules: Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>>,
    ) -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
        if rules.is_empty() {
            rules = PhysicalOptimizer::new().rules;
        }
        let before = rules.iter().position(|rule| rule.name() == "ProjectionPushdown");
        rules.insert(before.unwrap_or(rules.len()), Arc::new(self));
        rules
    }
}

impl PhysicalOptimizerRule for FuseKernels {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan::fused(plan, self, &Arc::new(config.clone()))
    }

    fn name(&self) -> &str {
        "FuseKernels"
    }

    fn schema_check(&self) -> bool {
        true
    }
}
