//! The optimiser rule: a query means with it what it means without it.

mod common;

use common::{assert_same, contexts, plan, rows};
use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Float64Type;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use std::sync::Arc;

/// Arithmetic, comparisons and logic: the same bits, and kernels in the plan.
#[tokio::test]
async fn arithmetic_has_the_same_bits() {
    let [stock, fused] = contexts();
    let expressions = [
        // Floats, with nulls and without.
        "x*y*2.0 + \"Z\"",
        "\"X\"*\"Y\" - \"Z\"/\"X\"",
        "-x - -y",
        "(x % 0.75) + 1.0",
        "s*2.0 + 1.0",
        "s*\"S\" + s",
        "x/0.0 - y/0.0",
        // Integers wrap.
        "i*i + 7",
        "\"N\"*\"N\" - \"N\"",
        "n*3 - \"N\"",
        "-\"N\" - n",
        "u + u*u",
        "(\"I\" & 255) | \"K\"",
        // What mixes is cast.
        "n*x + i",
        "\"N\" + \"I\"*2",
        "s + n*1.5",
        // Comparisons, of NaNs and zeros too.
        "x*2.0 < y",
        "x*2.0 <= y*2.0",
        "x + 1.0 > \"Z\"",
        "x*2.0 >= 0.0",
        "x*2.0 = y*2.0",
        "x*2.0 <> \"X\"",
        "NOT (x*2.0 < 1.0)",
        "\"I\" + 1 < \"K\"",
        // Logic, where nothing is null.
        "\"X\"*2.0 > 1.0 AND \"Y\" < 3.0",
        "\"X\" < -1.0 OR \"Y\"*\"Y\" < 3.0 OR \"B\"",
        "NOT (\"X\" < -1.0 AND \"Y\"*\"Y\" < 3.0)",
        "CASE WHEN \"X\" > 0.0 THEN \"X\"*2.0 WHEN \"Y\" > 0.0 THEN \"Y\" ELSE \"Z\" - 1.0 END",
        // Exact functions.
        "abs(x) + floor(y) - ceil(\"Z\")",
        "isnan(x*y)",
        // Of a column without a value.
        "none*x*2.0 + y",
    ];
    for expression in expressions {
        let query = format!("SELECT {expression} AS r FROM t");
        let shown = plan(&fused, &query).await;
        assert!(shown.contains("kiln["), "{query}\n{shown}");
        assert!(!plan(&stock, &query).await.contains("kiln["));
        let results = [rows(&stock, &query).await.unwrap(), rows(&fused, &query).await.unwrap()];
        assert_same(&query, results.each_ref(), 0);
    }
}

/// Functions that are no more than rounded: within two ULP of what the system's library says, which errs
/// by itself.
#[tokio::test]
async fn functions_are_within_their_error() {
    let [stock, fused] = contexts();
    let functions = [
        "acos", "asin", "atan", "cbrt", "cos", "cosh", "exp", "ln", "log10", "log2", "sin", "sinh",
        "tan", "tanh",
    ];
    for function in functions {
        for argument in ["x", "s"] {
            let query = format!("SELECT {function}({argument}) AS r FROM t");
            let shown = plan(&fused, &query).await;
            assert!(shown.contains("kiln["), "{query}\n{shown}");
            let results =
                [rows(&stock, &query).await.unwrap(), rows(&fused, &query).await.unwrap()];
            assert_same(&query, results.each_ref(), 3);
        }
    }
}

/// Rows that a filter leaves are the same, with nulls in its columns too.
#[tokio::test]
async fn filters_leave_the_same_rows() {
    let [stock, fused] = contexts();
    let filters = [
        "x > -5.0 AND x < 5.0 AND y > -7.5 AND y*2.0 < 15.0 AND i > -40 AND n < 40",
        "x*y > 1.0",
        "x*y > 1.0 AND word = '2'",
        "x < 3.0 AND NOT (x > 1.0 AND y > 0.0) AND y*2.0 < 9.0",
        "x < 3.0 AND (x > 1.0 OR y > 0.0) AND y*2.0 < 9.0",
        "x BETWEEN -1.0 AND 4.0 AND y BETWEEN -1.0 AND 4.0",
        "n = 7 AND x < 3.0 AND y*2.0 < 9.0",
        "b AND x*2.0 < 9.0",
        "x IS NOT NULL AND x*2.0 < 9.0 AND y < 8.0",
        "none*2.0 < 1.0",
    ];
    for filter in filters {
        let query = format!("SELECT row, x, word FROM t WHERE {filter}");
        let shown = plan(&fused, &query).await;
        assert!(shown.contains("kiln["), "{query}\n{shown}");
        let results = [rows(&stock, &query).await.unwrap(), rows(&fused, &query).await.unwrap()];
        assert_same(&query, results.each_ref(), 0);
    }
}

#[tokio::test]
async fn aggregates_are_computed_of_kernels() {
    let [stock, fused] = contexts();
    for query in [
        "SELECT u % 3 AS g, sum(\"I\"*\"K\" + 1) AS s, max(s*2.0 + 1.0) AS m FROM t GROUP BY u % 3 ORDER BY g",
        "SELECT count(x*y + 1.0) AS c, min(n*2 + 1) AS m FROM t",
        "SELECT max(x*2.0 + y) FILTER (WHERE \"B\") AS m FROM t",
    ] {
        // Their names are those of columns, and so plans do not show it.
        let physical = fused.sql(query).await.unwrap().create_physical_plan().await.unwrap();
        assert!(computes_of_kernels(&physical), "{query}\n{}", plan(&fused, query).await);
        let results = [rows(&stock, query).await.unwrap(), rows(&fused, query).await.unwrap()];
        assert_same(query, results.each_ref(), 0);
    }
}

fn computes_of_kernels(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let any: &dyn ExecutionPlan = plan.as_ref();
    let functions = any.downcast_ref::<AggregateExec>().map(AggregateExec::aggr_expr);
    let mut args = functions.into_iter().flatten().flat_map(|function| function.expressions());
    args.any(|arg| arg.to_string().starts_with("kiln["))
        || plan.children().into_iter().any(computes_of_kernels)
}

/// What Kiln does otherwise, or cannot, or what would not pay, stays as it is.
#[tokio::test]
async fn other_expressions_are_left_alone() {
    let [stock, fused] = contexts();
    let expressions = [
        // A pass over memory or two either way.
        "x + 1.0",
        "i + 1",
        "x*y + \"Z\"",
        // Errors are DataFusion's.
        "\"I\" / 2",
        "i % 7",
        "arrow_cast(x, 'Int64')",
        "sqrt(abs(x))",
        // Types that kernels do not have.
        "dec * 2",
        "dec + dec * dec",
        "word || 'x'",
        // Two NaNs of columns differ by their payloads.
        "x < y",
        // `NULL AND false`.
        "b AND b OR b",
    ];
    for expression in expressions {
        let query = format!("SELECT {expression} AS r FROM t");
        let shown = plan(&fused, &query).await;
        assert!(!shown.contains("kiln["), "{query}\n{shown}");
        match (rows(&stock, &query).await, rows(&fused, &query).await) {
            (Ok(stock), Ok(fused)) => assert_same(&query, [&stock, &fused], 0),
            (Err(stock), Err(fused)) => assert_eq!(stock.to_string(), fused.to_string(), "{query}"),
            (stock, fused) => panic!("{query}: {stock:?} and {fused:?}"),
        }
    }
}

/// Parts that are left alone do not stop what is around them, and fail as they did.
#[tokio::test]
async fn errors_are_those_of_datafusion() {
    let [stock, fused] = contexts();
    for (query, fails) in [
        ("SELECT x*2.0 + CAST(\"I\" / \"K\" AS DOUBLE) AS r FROM t", true),
        ("SELECT x*2.0 + sqrt(y) AS r FROM t", true),
        ("SELECT x*2.0 + power(0.0, \"K\") AS r FROM t", true),
        ("SELECT x*2.0 + CAST(word AS DOUBLE)*y AS r FROM t", false),
        ("SELECT x*2.0 + CAST(dict AS DOUBLE)*y AS r FROM t", false),
        ("SELECT x*2.0 + CAST(dec AS DOUBLE)*y AS r FROM t", false),
        ("SELECT row FROM t WHERE \"K\" <> 0 AND \"I\" / \"K\" > 2 AND x*2.0 + y < 1.0", true),
        ("SELECT CASE WHEN \"K\" <> 0 THEN \"I\" / \"K\" ELSE 0 END AS r FROM t", false),
        ("SELECT row FROM t WHERE \"I\" / \"K\" > 2 AND x*2.0 + y < 1.0", true),
    ] {
        let results = (rows(&stock, query).await, rows(&fused, query).await);
        match results {
            (Ok(stock), Ok(fused)) if !fails => assert_same(query, [&stock, &fused], 0),
            (Err(stock), Err(fused)) if fails => {
                assert_eq!(stock.to_string(), fused.to_string(), "{query}");
            }
            (stock, fused) => panic!("{query}: {stock:?} and {fused:?}"),
        }
    }
}

/// Expressions that programs write: what planning does for each level may not double, nor end the stack.
#[tokio::test]
async fn large_expressions_are_planned() {
    let [stock, fused] = contexts();
    let nest = (0..24).fold("\"Z\"".to_owned(), |inner, level| {
        format!("CASE WHEN \"X\"*2.0 > {level}.0 THEN \"Y\" + {level}.0 ELSE {inner} END")
    });
    let sum = |terms: usize| (1..terms).fold("x".to_owned(), |sum, n| format!("{sum} + y*{n}.0"));
    let terms: Vec<String> = (0..60).map(|n| format!("x*2.0 <> {n}.5")).collect();
    for query in [
        format!("SELECT {nest} AS r FROM t"),
        format!("SELECT {} AS r FROM t", sum(60)),
        format!("SELECT row FROM t WHERE {}", terms.join(" AND ")),
        format!("SELECT row FROM t WHERE {}", terms.join(" OR ")),
    ] {
        let results = [rows(&stock, &query).await.unwrap(), rows(&fused, &query).await.unwrap()];
        assert_same(&query, results.each_ref(), 0);
    }
}

/// A volatile function is called as often as it is written.
#[tokio::test]
async fn volatile_functions_are_called_each_time() {
    let [_, fused] = contexts();
    let query = "SELECT random()*2.0 - random()*2.0 AS r FROM t";
    assert!(plan(&fused, query).await.contains("kiln["));
    let rows = rows(&fused, query).await.unwrap();
    let differences = rows.column(0).as_primitive::<Float64Type>();
    assert!(differences.iter().any(|difference| difference != Some(0.0)));
}

/// A plan that rests on an order, or on a constant, keeps it.
#[tokio::test]
async fn what_a_plan_rests_on_is_kept() {
    let [stock, fused] = contexts();
    for query in [
        "SELECT row, x*2.0 + y AS r FROM t WHERE n = 7 AND x*2.0 + y > 1.0 ORDER BY n, row",
        "SELECT row + 1 - 3 AS r FROM (SELECT row FROM t ORDER BY row) ORDER BY r",
        "SELECT r FROM (SELECT x*2.0 + 1.0 AS r FROM (SELECT x FROM t ORDER BY x)) ORDER BY r",
        "SELECT a.row, a.x*b.y + 1.0 AS r FROM t a JOIN t b ON a.row = b.row ORDER BY a.row",
        "SELECT sum(x*2.0 + y) OVER (ORDER BY row) AS r FROM t WHERE NOT isnan(x*y)",
    ] {
        let results = [rows(&stock, query).await.unwrap(), rows(&fused, query).await.unwrap()];
        assert_same(query, results.each_ref(), 0);
    }
}

#[tokio::test]
async fn plans_show_kernels() {
    let [_, fused] = contexts();
    let shown = plan(&fused, "SELECT x*y + 1.0 AS r FROM t WHERE x > 1.0 AND y < 2.0").await;
    assert!(shown.contains("kiln[x * y + 1](x@0, y@1)"), "{shown}");
}
