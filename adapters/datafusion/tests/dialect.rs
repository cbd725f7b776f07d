//! The rest of SQL around what is fused: the same rows, nulls and errors with the rule and without, and none of it
//! panics. Not every build of DataFusion has each function; that is an error of both then.

mod common;

use common::{assert_same, plan, rows, tables};
use datafusion::prelude::SessionContext;

const EXPRESSIONS: &[&str] = &[
    "CASE WHEN x > 1.0 AND y < 3.0 THEN x*y WHEN x IS NULL THEN -1.0 ELSE y*2.0 - 1.0 END",
    r#"CASE WHEN "X" > 1.0 THEN "X"*"Y" WHEN "Y" < 2.0 THEN exp("X"*0.1)*tanh("Y") ELSE ln("Z"*"Z" + 1.0) - "Y" END"#,
    "CASE i WHEN 1 THEN x*2.0 + 1.0 WHEN 2 THEN y*3.0 - 1.0 ELSE x*y*0.5 END",
    r#"CASE WHEN "K" <> 0 THEN i / "K" ELSE i*2 + 1 END"#,
    r#"CASE WHEN "K" <> 0 AND i / "K" > 1 THEN x*y + 2.0 ELSE y*y - 1.0 END"#,
    "CASE WHEN word = '2' THEN y*2.0 + 1.0 END",
    "CASE WHEN false THEN 1/0 ELSE y*2.0 + 1.0 END",
    "CASE WHEN y > 100.0 THEN CAST('abc' AS DOUBLE) ELSE y*2.0 + 1.0 END",
    "CASE WHEN y = 0.0 THEN 0.0 ELSE x / y END * 2.0 + 1.0",
    "CASE WHEN x > 0 THEN CASE WHEN y > 0 THEN x*y ELSE x - y END ELSE CASE WHEN y < -5 THEN y*y*2.0 END END",
    "coalesce(x*2.0 + y, y*3.0 - 1.0, 0.0)",
    r#"coalesce(i*2 + "K", "K"*3 - 1)"#,
    "nullif(x*2.0 + y, 0.0)",
    r#"nullif("K"*2 - 4, 0) + i*2"#,
    "nvl2(x, x*2.0 + y, y*3.0 - 1.0)",
    "greatest(x*2.0, y*3.0 + 1.0, 1.0)",
    "least(x*2.0 + y*2.0, y*3.0 + 1.0)",
    "CAST(y*2.0 + 1.5 AS INT)",
    "CAST(x*2.0 + y*3.0 AS VARCHAR)",
    "CAST(x*1e300 AS INT)",
    "TRY_CAST(x*1e300 + y AS INT)",
    "TRY_CAST(word AS DOUBLE)*2.0 + y*3.0",
    "TRY_CAST(word || 'a' AS DOUBLE) + y*2.0",
    r#"CAST(dict AS DOUBLE)*2 + "K"*3"#,
    "CAST(dec AS DOUBLE)*2.0 + y",
    "dec*2.0 + y",
    "dec*dec + dec",
    "dec + y*y*2.0",
    "CAST(y*2.0 + 1.0 AS DECIMAL(20,4)) + dec",
    "CAST(y*2.0 + 1.0 AS DECIMAL(2,1))",
    "d + INTERVAL '1 day'",
    "date_part('year', d)*2 + y*2.0",
    "d - DATE '2024-01-01'",
    r#"to_unixtime(ts)*2 + "K""#,
    "ts + INTERVAL '2 hours'",
    "l[1]*2.0 + y*3.0",
    "array_transform(l, e -> e*2.0 + 1.0)",
    r#"array_transform(l, e -> e*2.0 + "Y" - 1.0)"#,
    "array_filter(l, e -> e*2.0 - 1.0 > 3.0)",
    r#"array_any_match(l, e -> e*2.0 > "Y" + 1.0)"#,
    "array_sum(l)*2.0 + y",
    "st['a']*2.0 + st['b']*3 - y",
    "make_array(x*2.0 + y, y*3.0 - 1.0)",
    r#"named_struct('p', x*2.0 + y, 'q', i*2 + "K")"#,
    "s*2 + 1",
    "s*2.0 + y",
    "arrow_cast(y, 'Float16')*2.0 + y",
    r#"arrow_cast("K", 'Int8')*2 + u*u"#,
    r#"arrow_cast("K" + 100, 'UInt16')*3 - u"#,
    "arrow_cast(row, 'UInt32')*arrow_cast(row, 'UInt32') - 2",
    "arrow_cast(row, 'UInt64')*2 + 1",
    "arrow_cast(row, 'UInt64') - 100000",
    "u - 100",
    "u*u + u",
    r#"i*9223372036854775807 + "K""#,
    r#"-i*2 + -"K""#,
    r#"-(-9223372036854775808) + "K""#,
    "n*n*n*n*n*n*n*n*n + n",
    "n % 7 + n / 3",
    r#"i % "K""#,
    r#"i / ("K"*"K" + 1)"#,
    r#"i / "K""#,
    "x / y + y / x",
    "x % y + 1.0",
    "power(y, 2.0) + x*2.0 - 1.0",
    r#"power("K", 2) + "K"*2"#,
    "sqrt(y) + x*2.0",
    "sqrt(abs(y)) + x*2.0 - 1.0",
    r#"abs(i*2 - 30) + "K"*2"#,
    "abs(x) + signum(y)*2.0 + 1.0",
    "round(x*2.0 + 0.5) + y",
    "round(x*2.0 + y, 1)",
    "trunc(x*1.7 + y)",
    "exp(y*0.1)*2.0 + ln(abs(y) + 1.0)",
    "log(2.0, abs(y) + 1.0) + x*2.0",
    "degrees(y) + radians(x)*2.0",
    r#"gcd(i, 12)*2 + lcm("K", 4)"#,
    "nanvl(x*2.0, y + 1.0)",
    "iszero(y*2.0 + 1.0)",
    "pi()*y + x - 1.0",
    "x*2.0 + y IS NULL",
    "x*2.0 > y IS TRUE",
    "x*2.0 > y IS UNKNOWN",
    r#"(x*2.0 > y AND i*2 > "K") IS NOT FALSE"#,
    "NOT (x*2.0 > y OR b)",
    "b AND x*2.0 > 1.0",
    "b OR x*2.0 > 1.0",
    "b = (x*2.0 > 1.0)",
    "b IS DISTINCT FROM (y*2.0 > 1.0)",
    "x*2.0 IS NOT DISTINCT FROM y*2.0",
    "x*2.0 BETWEEN y - 3.0 AND y + 3.0",
    "x*2.0 NOT BETWEEN y - 3.0 AND y*2.0 + 3.0",
    r#""K"*2 IN (1, 2, 3, 4)"#,
    "x*2.0 IN (1.5, 3.0, NULL)",
    "y*2.0 + 1.0 NOT IN (1.0, 2.0, 3.0)",
    r#""K" & 3 | 8"#,
    r#"("K" & 7) << 2"#,
    "n >> 1",
    "word LIKE '1%' OR y*2.0 > 3.0",
    "word || CAST(y*2.0 + 1.0 AS VARCHAR)",
    r#"substr('abcdefgh', "K"*2 + 3)"#,
    "NULL + x*2.0",
    "x*NULL + y*2.0",
    "x*2.0 + NULL::double",
    "'3'::double*x + y",
    "'NaN'::double + x*2.0 + y",
    "'-Infinity'::double*y + x*2.0",
    "x*2.0 = 'NaN'::double",
    "x*2.0 > 'Infinity'::double",
    "0.0*y - 0.0",
    "-y*0.0 = 0.0",
    "y*0.0 < -y*0.0",
    r#"CAST(b AS INT)*2 + "K""#,
    "CAST(y > 0.0 AS DOUBLE)*2.0 + x",
    r#"CAST("K" > 0 AS INT) + CAST(i > 0 AS INT)*2"#,
    "arrow_cast(y*2.0 + 1.0, 'Float32')",
    r#"arrow_cast("K"*2 + 1, 'UInt8')"#,
    "arrow_cast(x*2.0 + y, 'Dictionary(Int32, Float64)')",
    "arrow_cast(y, 'Dictionary(Int32, Float64)')*2.0 + 1.0",
    r#"x*2.0 + (SELECT max("Y")*2.0 - 1.0 FROM tame)"#,
];

const QUERIES: &[&str] = &[
    "SELECT z, c FROM v WHERE z*2.0 + c > 3.0 ORDER BY row",
    "SELECT sum(z*2.0 + c), avg(c*2.0 - 1.0), count(z*2.0 + 1.0), min(z*c*2.0), max(c*c - 1.0), median(c*2.0 + 1.0) FROM v",
    "SELECT g, sum(z*2.0 + c) AS q FROM v GROUP BY g HAVING sum(z*2.0 + c)*2.0 > 10.0 AND max(c)*2.0 - 1.0 > 3.0 ORDER BY g",
    "SELECT g*2 + 1 AS h, count(*) FROM v GROUP BY g*2 + 1 ORDER BY h",
    r#"SELECT floor("Y"*0.5 + 1.0) AS h, count(DISTINCT "K"*2 + 1) FROM q GROUP BY floor("Y"*0.5 + 1.0) ORDER BY h"#,
    r#"SELECT u % 3 AS h, sum(y*2.0 + 1.0) FILTER (WHERE y*2.0 > 3.0 AND "K"*2 > 1) FROM q GROUP BY u % 3 ORDER BY h"#,
    "SELECT u % 3 AS h, array_agg(y*2.0 + 1.0 ORDER BY row) FROM q GROUP BY u % 3 ORDER BY h",
    r#"SELECT u % 3 AS h, first_value(y*2.0 + 1.0 ORDER BY "Y"*3.0 - 1.0, row) FROM q GROUP BY u % 3 ORDER BY h"#,
    "SELECT g, sum(c*2.0 + 1.0) FROM v GROUP BY ROLLUP(g) ORDER BY g",
    "SELECT g, b, min(c*2.0 + g) FROM v GROUP BY GROUPING SETS ((g), (b), ()) ORDER BY g, b",
    "SELECT row, sum(y*2.0 + 1.0) OVER (PARTITION BY u % 3 ORDER BY row) AS r FROM q ORDER BY row",
    r#"SELECT row, row_number() OVER (PARTITION BY "K"*2 + 1 ORDER BY "Y"*2.0 + 1.0, row) AS r FROM q ORDER BY row"#,
    r#"SELECT row, lag("Y"*2.0 + 1.0, 1, 0.0) OVER (ORDER BY row)*2.0 + 1.0 AS r FROM q ORDER BY row"#,
    r#"SELECT row, sum("K"*2 + 1) OVER (ORDER BY "K"*2 + 1 RANGE BETWEEN 2 PRECEDING AND 2 FOLLOWING) AS r FROM q ORDER BY row"#,
    r#"SELECT row, y*2.0 + 1.0 AS r FROM q QUALIFY row_number() OVER (PARTITION BY "K" ORDER BY "Y"*2.0 - 1.0, row) = 1 ORDER BY row"#,
    r#"SELECT a.row, a.y*2.0 + b.y*3.0 AS r FROM q a JOIN q b ON a.row = b.row AND a.y*2.0 + b."K" > 3.0 ORDER BY a.row"#,
    "SELECT a.row, b.row AS j, a.y*2.0 + b.x AS r FROM q a LEFT JOIN q b ON a.row = b.row + 3 AND b.y*2.0 > a.y + 1.0 ORDER BY a.row, j",
    "SELECT a.row, b.row AS j FROM q a FULL JOIN q b ON a.row*2 + 1 = b.row*3 - 1 AND a.y*2.0 > b.y*1.0 ORDER BY a.row, j",
    "SELECT count(*) FROM (SELECT * FROM q WHERE row < 60) a, (SELECT * FROM q WHERE row < 60) b WHERE a.y*2.0 + 1.0 < b.y*3.0 - 1.0",
    "SELECT a.row FROM q a WHERE EXISTS (SELECT 1 FROM q b WHERE b.row = a.row + 5 AND b.y*2.0 > a.y*1.5 + 1.0) ORDER BY a.row",
    r#"SELECT a.row FROM q a WHERE a."K"*2 + 1 IN (SELECT b."K"*3 - 1 FROM q b WHERE b.y*2.0 > 3.0) ORDER BY a.row"#,
    r#"SELECT a.row FROM q a WHERE a."K"*2 + 1 NOT IN (SELECT b."K"*3 - 1 FROM q b WHERE b.y*2.0 > 3.0) ORDER BY a.row"#,
    r#"SELECT row, (SELECT sum(b.y*2.0 + 1.0) FROM q b WHERE b."K" = a."K") AS r FROM q a ORDER BY row"#,
    "WITH a AS (SELECT row, y*2.0 + 1.0 AS p FROM q), b AS (SELECT row, p*3.0 - 1.0 AS o FROM a) SELECT a.row, p*o + p - o AS r FROM a JOIN b ON a.row = b.row ORDER BY a.row",
    "WITH RECURSIVE r AS (SELECT 1.0 AS a, 1 AS n UNION ALL SELECT a*1.5 + 0.25, n + 1 FROM r WHERE n < 20 AND a*2.0 < 1e6) SELECT * FROM r ORDER BY n",
    "SELECT row, y*2.0 + 1.0 AS r FROM q UNION ALL SELECT row, x*y*2.0 AS r FROM q ORDER BY row, r",
    r#"SELECT y*2.0 + 1.0 AS r FROM q EXCEPT SELECT "K"*2.0 + 1.0 AS r FROM q ORDER BY r"#,
    r#"SELECT row, "Y"*2.0 + 1.0 AS r FROM q ORDER BY r DESC NULLS FIRST, row LIMIT 30 OFFSET 5"#,
    "SELECT row, unnest(l)*2.0 + y*3.0 AS r FROM q ORDER BY row, r",
    "SELECT a*2.0 + b*3.0 - 1.0 FROM (VALUES (1.0, 2.0), (3.0, NULL)) AS w(a, b)",
    r#"SELECT row FROM q WHERE "K" <> 0 AND row / "K" > 3 AND y*2.0 + 1.0 > 3.0 ORDER BY row"#,
    r#"SELECT row FROM q WHERE y*2.0 + 1.0 > 3.0 AND row / "K" > 3"#,
    "SELECT sum(x*2.0 + y) FROM q WHERE false",
    "SELECT x*2.0 + y*3.0 FROM q LIMIT 0",
    r#"SELECT sum(CASE WHEN "Y"*2.0 > 3.0 THEN "Y"*"Y" ELSE 0.0 END), count(CASE WHEN y*2.0 > 3.0 THEN 1 END) FROM q"#,
    r#"SELECT var_pop(y*2.0 + 1.0), percentile_cont(0.3) WITHIN GROUP (ORDER BY "Y"*2.0 + 1.0) FROM q"#,
];

/// The tame table with columns of more types, and a view on it.
async fn prepared() -> [SessionContext; 2] {
    let contexts = tables();
    for context in &contexts {
        for statement in [
            "CREATE VIEW q AS SELECT *, DATE '2024-01-01' + arrow_cast(row % 400, 'Int32') AS d, \
             arrow_cast(row * 1000000000, 'Timestamp(Nanosecond, None)') AS ts FROM tame",
            "CREATE VIEW v AS SELECT row, x*2.0 + y*0.5 - 1.0 AS z, u % 3 AS g, b, \
             CASE WHEN \"Y\" > 0.0 THEN \"Y\"*\"Y\" ELSE -\"Y\" END AS c FROM tame",
        ] {
            context.sql(statement).await.unwrap().collect().await.unwrap();
        }
        let more = "CREATE OR REPLACE VIEW q AS SELECT *, \
             DATE '2024-01-01' + arrow_cast(row % 400, 'Int32') AS d, \
             arrow_cast(row * 1000000000, 'Timestamp(Nanosecond, None)') AS ts, \
             make_array(row * 1.5, \"X\", NULL) AS l, named_struct('a', x, 'b', row % 3) AS st FROM tame";
        // There are builds without functions of lists.
        if let Ok(frame) = context.sql(more).await {
            frame.collect().await.unwrap();
        }
    }
    contexts
}

/// Whether a query has kernels, where it has results, which must be the same.
async fn compared([stock, fused]: &[SessionContext; 2], query: &str) -> Option<bool> {
    match (rows(stock, query).await, rows(fused, query).await) {
        (Ok(stock), Ok(rows)) => {
            assert_same(query, [&stock, &rows], 4);
            Some(plan(fused, query).await.contains("kiln["))
        }
        (Err(stock), Err(fused)) => {
            assert_eq!(stock.to_string(), fused.to_string(), "{query}");
            None
        }
        (stock, fused) => panic!("{query}: {stock:?} and {fused:?}"),
    }
}

#[tokio::test]
async fn expressions_mean_what_they_meant() {
    let contexts = prepared().await;
    let [mut errors, mut kernels] = [0; 2];
    for expression in EXPRESSIONS {
        match compared(&contexts, &format!("SELECT row, {expression} AS r FROM q")).await {
            Some(kernel) => kernels += usize::from(kernel),
            None => errors += 1,
        }
        // Of what is no condition, DataFusion says so.
        let _ = compared(&contexts, &format!("SELECT row FROM q WHERE {expression}")).await;
        let _ =
            compared(&contexts, &format!("SELECT row FROM q WHERE y*2.0 < 9.0 AND {expression}"))
                .await;
    }
    println!("{} expressions, {kernels} with kernels, {errors} errors of both", EXPRESSIONS.len());
    assert!(
        kernels * 2 > EXPRESSIONS.len() && errors * 4 < EXPRESSIONS.len(),
        "{kernels}, {errors}"
    );
}

#[tokio::test]
async fn queries_mean_what_they_meant() {
    let contexts = prepared().await;
    let mut kernels = 0;
    for query in QUERIES {
        kernels += usize::from(compared(&contexts, query).await == Some(true));
    }
    assert!(kernels * 3 > QUERIES.len(), "{kernels} of {}", QUERIES.len());
}

/// Parameters are literals by the time the rule sees a plan.
#[tokio::test]
async fn prepared_statements_are_fused() {
    let contexts = prepared().await;
    for context in &contexts {
        let statement = "PREPARE p(DOUBLE, BIGINT) AS \
             SELECT row, y*$1 + \"K\"*$2 - 1.0 AS r FROM q WHERE y*$1 > 3.0 AND \"K\"*2 < $2";
        context.sql(statement).await.unwrap().collect().await.unwrap();
    }
    for values in ["2.5, 9", "-1.0, 100", "NULL, 100"] {
        let query = format!("EXECUTE p({values})");
        let [stock, fused] = &contexts;
        let results = [rows(stock, &query).await.unwrap(), rows(fused, &query).await.unwrap()];
        assert_same(&query, results.each_ref(), 0);
    }
}

/// A plan that is run to be explained counts the rows of nodes with kernels.
#[tokio::test]
async fn plans_are_analyzed() {
    let [_, fused] = prepared().await;
    let query = "EXPLAIN ANALYZE SELECT x*2.0 + y AS r FROM q WHERE x*y + 1.0 > 0.5";
    let shown = rows(&fused, query).await.unwrap();
    let shown =
        datafusion::arrow::util::pretty::pretty_format_batches(&[shown]).unwrap().to_string();
    assert!(shown.contains("kiln[") && shown.contains("output_rows="), "{shown}");
}
