//! Where kernels go: projections, filters, and what aggregates are computed of.

use super::FuseKernels;
use super::cost::Cost;
use super::translate::{cost, translate};
use super::understand::{Expression, is_certain, understand};
use datafusion::arrow::datatypes::Schema;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::{Operator, ScalarUDF};
use datafusion::physical_expr::expressions::{BinaryExpr, binary, lit};
use datafusion::physical_expr::{ScalarFunctionExpr, conjunction, split_conjunction};
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateInputMode};
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use std::sync::Arc;

/// The plan with kernels.
pub(super) fn fused(
    plan: Arc<dyn ExecutionPlan>,
    rule: &FuseKernels,
    config: &Arc<ConfigOptions>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let fuser = Fuser { rule, config };
    let transformed = plan.transform_up(|node| {
        if let Some(better) = fuser.node(&node)?
            && knows_as_much(&node, &better)
        {
            return Ok(Transformed::yes(better));
        }
        Ok(Transformed::no(node))
    })?;
    Ok(transformed.data)
}

/// Whether a node in place of another has its schema, and its results the same known order and the same
/// columns known to be equal: other nodes may rest on these.
fn knows_as_much(old: &Arc<dyn ExecutionPlan>, new: &Arc<dyn ExecutionPlan>) -> bool {
    let (before, after) = (old.equivalence_properties(), new.equivalence_properties());
    old.schema() == new.schema()
        && before.oeq_class() == after.oeq_class()
        && before.eq_group().to_string() == after.eq_group().to_string()
}

struct Fuser<'a> {
    rule: &'a FuseKernels,
    config: &'a Arc<ConfigOptions>,
}

impl Fuser<'_> {
    /// A node with kernels in it; none where there is nothing to fuse.
    fn node(&self, node: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let any: &dyn ExecutionPlan = node.as_ref();
        if let Some(projection) = any.downcast_ref::<ProjectionExec>() {
            if !self.has_rows(projection.input())? {
                return Ok(None);
            }
            return self.projection(projection);
        }
        if let Some(filter) = any.downcast_ref::<FilterExec>() {
            if !self.has_rows(filter.input())? {
                return Ok(None);
            }
            return self.filter(filter);
        }
        if let Some(aggregate) = any.downcast_ref::<AggregateExec>() {
            let raw = aggregate.mode().input_mode() == AggregateInputMode::Raw;
            if raw && self.has_rows(aggregate.input())? {
                return self.aggregate(aggregate);
            }
        }
        Ok(None)
    }

    /// Whether there are rows enough to pay for a compilation, or it is not known.
    fn has_rows(&self, input: &Arc<dyn ExecutionPlan>) -> Result<bool> {
        let statistics = StatisticsContext::new();
        let statistics = statistics.compute(input.as_ref(), &StatisticsArgs::new())?;
        match statistics.num_rows {
            Precision::Exact(rows) => Ok(rows >= self.rule.least_rows),
            // What a filter leaves is guessed, and it may leave all of what it is given.
            Precision::Inexact(rows) if rows < self.rule.least_rows => {
                for child in input.children() {
                    if self.has_rows(child)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            _ => Ok(true),
        }
    }

    fn projection(&self, node: &ProjectionExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let schema = node.input().schema();
        let mut changed = false;
        let mut exprs = Vec::with_capacity(node.expr().len());
        for ProjectionExpr { expr, alias } in node.expr() {
            let better = self.expression(expr, &schema)?;
            changed |= better.is_some();
            exprs.push(ProjectionExpr::new(better.unwrap_or_else(|| expr.clone()), alias));
        }
        if !changed {
            return Ok(None);
        }
        Ok(Some(Arc::new(ProjectionExec::try_new(exprs, node.input().clone())?)))
    }

    fn filter(&self, node: &FilterExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let schema = node.input().schema();
        let Some(predicate) = self.predicate(node.predicate(), &schema)? else { return Ok(None) };
        let filter = FilterExecBuilder::new(predicate, node.input().clone())
            .apply_projection_by_ref(node.projection().as_ref())?
            .with_default_selectivity(node.default_selectivity())
            .with_batch_size(node.batch_size())
            .with_fetch(node.fetch())
            .build()?;
        Ok(Some(Arc::new(filter)))
    }

    fn aggregate(&self, node: &AggregateExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let schema = node.input().schema();
        let mut changed = false;
        let mut functions = Vec::with_capacity(node.aggr_expr().len());
        for function in node.aggr_expr() {
            let mut better = None;
            // What is ordered keeps its expressions: others compare them.
            if function.order_bys().is_empty() && !function.is_reversed() {
                let args = function.expressions();
                let fused: Vec<Option<Expression>> =
                    args.iter().map(|arg| self.expression(arg, &schema)).collect::<Result<_>>()?;
                if fused.iter().any(Option::is_some) {
                    let args = fused.into_iter().zip(args).map(|(new, old)| new.unwrap_or(old));
                    better = function.with_new_expressions(args.collect(), Vec::new());
                }
            }
            changed |= better.is_some();
            functions.push(better.map_or_else(|| function.clone(), Arc::new));
        }
        Ok(changed.then(|| Arc::new(node.with_new_aggr_exprs(functions)) as _))
    }

    /// A predicate with kernels: neighbours of a conjunction in one, as far as that pays, in their order.
    ///
    /// Terms are computed for rows only that those before them left, so nothing moves past a term that can
    /// fail. An equality stays apart, for plans know what it says.
    fn predicate(&self, predicate: &Expression, schema: &Schema) -> Result<Option<Expression>> {
        let terms = split_conjunction(predicate);
        if !terms.iter().all(|term| is_certain(term, schema)) {
            return self.expression(predicate, schema);
        }
        let is_equality = |term: &Expression| {
            term.downcast_ref::<BinaryExpr>().is_some_and(|term| *term.op() == Operator::Eq)
        };
        let mut runs: Vec<(Option<Cost>, Vec<Expression>)> = Vec::new();
        for &term in &terms {
            let fits = !is_equality(term) && understand(term, schema).is_some();
            let own = fits.then(|| cost(term, schema)).flatten();
            let own = own.filter(|own| own.pays(self.rule.least_cost));
            if let (Some((Some(run), neighbours)), Some(own)) = (runs.last_mut(), &own) {
                let both = run.and(own);
                if both.pays(self.rule.least_cost) {
                    *run = both;
                    neighbours.push(term.clone());
                    continue;
                }
            }
            runs.push((own, vec![term.clone()]));
        }
        let mut changed = false;
        let mut pieces = Vec::with_capacity(runs.len());
        let last = runs.len() - 1;
        for (index, (_, run)) in runs.into_iter().enumerate() {
            let better = match run.as_slice() {
                [term] => self.expression(term, schema)?,
                run => self.kernel(run, predicate, schema)?,
            };
            changed |= better.is_some();
            pieces.extend(match better {
                // Where a term is null a conjunction of others may be false, which lets DataFusion leave out what
                // follows; null does not. A filter takes either for false.
                Some(kernel) if run.len() > 1 && index < last && kernel.nullable(schema)? => {
                    vec![binary(kernel, Operator::IsNotDistinctFrom, lit(true), schema)?]
                }
                Some(better) => vec![better],
                None => run,
            });
        }
        Ok(changed.then(|| conjunction(pieces)))
    }

    /// An expression with kernels in it, as large as they can be; none where there is nothing to fuse.
    fn expression(&self, expression: &Expression, schema: &Schema) -> Result<Option<Expression>> {
        if understand(expression, schema).is_some()
            && cost(expression, schema).is_some_and(|cost| cost.pays(self.rule.least_cost))
        {
            let terms = std::slice::from_ref(expression);
            if let Some(kernel) = self.kernel(terms, expression, schema)? {
                return Ok(Some(kernel));
            }
        }
        let children: Vec<Expression> = expression.children().into_iter().cloned().collect();
        let better: Vec<Option<Expression>> =
            children.iter().map(|child| self.expression(child, schema)).collect::<Result<_>>()?;
        if better.iter().all(Option::is_none) {
            return Ok(None);
        }
        let children = better.into_iter().zip(children).map(|(new, old)| new.unwrap_or(old));
        expression.clone().with_new_children(children.collect()).map(Some)
    }

    /// The kernel of the conjunction of some terms, as an expression like `whole`.
    fn kernel(
        &self,
        terms: &[Expression],
        whole: &Expression,
        schema: &Schema,
    ) -> Result<Option<Expression>> {
        let Some(translated) = translate(terms, schema, self.rule.mode) else {
            return Ok(None);
        };
        let leaves = translated
            .leaves
            .into_iter()
            .map(|leaf| Ok(self.expression(&leaf, schema)?.unwrap_or(leaf)));
        let leaves: Vec<Expression> = leaves.collect::<Result<_>>()?;
        let function = Arc::new(ScalarUDF::from(translated.function));
        let name = function.name().to_owned();
        let field = whole.return_field(schema)?;
        let config = self.config.clone();
        let call = ScalarFunctionExpr::new(&name, function, leaves, field, config);
        Ok(Some(Arc::new(call)))
    }
}
