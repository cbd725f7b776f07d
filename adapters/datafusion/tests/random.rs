//! Random queries, with the rule and without: the same rows, nulls, bits and errors.
//!
//! `KILN_QUERIES` says how many, and `KILN_SEED` where they begin.

mod common;

use common::{plan, rows, same_rows, tables};
use std::fmt::Write as _;

fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Types of values, as SQL has them.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Type {
    F64,
    F32,
    I64,
    I32,
    U8,
}

const TYPES: [Type; 5] = [Type::F64, Type::F32, Type::I64, Type::I32, Type::U8];

impl Type {
    fn is_float(self) -> bool {
        matches!(self, Type::F64 | Type::F32)
    }

    /// As `arrow_cast` knows it.
    fn name(self) -> &'static str {
        match self {
            Type::F64 => "Float64",
            Type::F32 => "Float32",
            Type::I64 => "Int64",
            Type::I32 => "Int32",
            Type::U8 => "UInt8",
        }
    }

    fn columns(self) -> &'static [&'static str] {
        match self {
            Type::F64 => &["x", "y", "\"X\"", "\"Y\"", "\"Z\"", "none"],
            Type::F32 => &["s", "\"S\""],
            Type::I64 => &["i", "\"I\"", "\"K\"", "row"],
            Type::I32 => &["n", "\"N\""],
            Type::U8 => &["u"],
        }
    }
}

/// Writes expressions.
struct Author {
    random: fastrand::Rng,
    /// Whether values may be compared: of a NaN that arithmetic makes nobody promises the sign, so then none
    /// may be made. The table must be tame, too.
    is_tame: bool,
}

impl Author {
    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.random.usize(..of.len())]
    }

    fn literal(&mut self, of: Type) -> String {
        let number = match of {
            _ if of.is_float() => self.one(&["0.5", "2.0", "-1.25", "3.0", "0.0", "-0.0", "10.0"]),
            Type::U8 => self.one(&["0", "1", "2", "7", "255"]),
            Type::I32 => self.one(&["0", "1", "-1", "3", "2147483647"]),
            _ => self.one(&["0", "1", "-1", "3", "9223372036854775807", "1000"]),
        };
        format!("arrow_cast({number}, '{}')", of.name())
    }

    fn number(&mut self, of: Type, depth: u32) -> String {
        if depth == 0 || self.random.u8(..8) == 0 {
            return match self.random.u8(..4) {
                0 => self.literal(of),
                _ => self.one(of.columns()).to_owned(),
            };
        }
        let depth = depth - 1;
        match self.random.u8(..16) {
            0..7 => {
                let op = self.one(&["+", "-", "*"]);
                format!("({} {op} {})", self.number(of, depth), self.number(of, depth))
            }
            7 if of.is_float() && self.is_tame => format!("({} / 4.0)", self.number(of, depth)),
            7 if of.is_float() => {
                let op = self.one(&["/", "%"]);
                format!("({} {op} {})", self.number(of, depth), self.number(of, depth))
            }
            7 => {
                // Zero divides in some rows, and is an error.
                let (op, by) =
                    (self.one(&["/", "%"]), self.one(&["3", "7", "(\"K\" + 200)", "\"K\""]));
                let quotient = format!("({} {op} {by})", self.number(of, depth));
                format!("arrow_cast({quotient}, '{}')", of.name())
            }
            8 if of.is_float() => {
                let function = self.one(&["abs", "floor", "ceil"]);
                format!("{function}({})", self.number(of, depth))
            }
            8 => {
                let op = self.one(&["&", "|", "^"]);
                let (left, right) = (self.number(of, depth), self.number(of, depth));
                format!("arrow_cast(({left} {op} {right}), '{}')", of.name())
            }
            9 if of != Type::U8 => format!("(- {})", self.number(of, depth)),
            10 => {
                let from = match of {
                    Type::F64 => TYPES[self.random.usize(1..5)],
                    Type::F32 => TYPES[self.random.usize(2..5)],
                    Type::I64 => TYPES[self.random.usize(3..5)],
                    _ => Type::U8,
                };
                format!("arrow_cast({}, '{}')", self.number(from, depth), of.name())
            }
            11 => {
                let (condition, other) = (self.condition(depth), self.number(of, depth));
                format!("CASE WHEN {condition} THEN {} ELSE {other} END", self.number(of, depth))
            }
            12 => format!("coalesce({}, {})", self.number(of, depth), self.number(of, depth)),
            13 => format!("nullif({}, {})", self.number(of, depth), self.literal(of)),
            14 if of == Type::F64 => {
                let text = self.one(&[
                    "CAST(word AS DOUBLE)",
                    "CAST(dict AS DOUBLE)",
                    "CAST(dec AS DOUBLE)",
                ]);
                format!("({text} + {})", self.number(of, depth))
            }
            _ => {
                let condition = self.condition(depth);
                format!("CASE WHEN {condition} THEN {} END", self.number(of, depth))
            }
        }
    }

    fn condition(&mut self, depth: u32) -> String {
        if depth == 0 {
            return self
                .one(&["b", "\"B\"", "x IS NULL", "word = '2'", "n IS NOT NULL"])
                .to_owned();
        }
        let depth = depth - 1;
        match self.random.u8(..10) {
            0..5 => {
                let of = TYPES[self.random.usize(..5)];
                let op = self.one(&["<", "<=", ">", ">=", "=", "<>"]);
                let is_tame = std::mem::replace(&mut self.is_tame, true);
                let pair = [self.number(of, depth), self.number(of, depth)];
                self.is_tame = is_tame;
                format!("({} {op} {})", pair[0], pair[1])
            }
            5 => format!("(NOT {})", self.condition(depth)),
            6 => format!("({} AND {})", self.condition(depth), self.condition(depth)),
            7 => format!("({} OR {})", self.condition(depth), self.condition(depth)),
            8 => {
                let is_tame = std::mem::replace(&mut self.is_tame, true);
                let value = self.number(Type::F64, depth);
                self.is_tame = is_tame;
                format!("({value} BETWEEN -3.5 AND 4.0)")
            }
            _ => {
                let of = TYPES[self.random.usize(..5)];
                format!("({} IS NULL)", self.number(of, depth))
            }
        }
    }

    /// A query, and by how many ULP its results may be apart.
    fn query(&mut self) -> (String, u64) {
        let depth = self.random.u32(1..5);
        // What compares must be of the tame table; else the one with NaNs and infinities will do.
        let of = TYPES[self.random.usize(..5)];
        match self.random.u8(..8) {
            0 => {
                let function =
                    self.one(&["exp", "ln", "sin", "cos", "tanh", "atan", "cbrt", "log2"]);
                let value = format!("arrow_cast({}, 'Float64')", self.number(of, 2));
                (format!("SELECT {function}({value}) AS r FROM tame"), 4)
            }
            1 => {
                let (value, condition) = (self.number(of, depth), self.condition(depth));
                (format!("SELECT row, {value} AS r FROM tame WHERE {condition}"), 0)
            }
            2 => {
                let conditions: Vec<String> =
                    (0..self.random.usize(2..7)).map(|_| self.condition(2)).collect();
                (format!("SELECT row, x, word FROM tame WHERE {}", conditions.join(" AND ")), 0)
            }
            3 => {
                let condition = self.condition(depth);
                let limit = self.random.u32(1..200);
                (format!("SELECT row, s, b FROM tame WHERE {condition} LIMIT {limit}"), 0)
            }
            4 => {
                let mut query = "SELECT u % 3 AS g".to_owned();
                let of = if of.is_float() { Type::F64 } else { Type::I64 };
                self.is_tame = true;
                for (index, function) in ["min", "max", "count", "sum"].into_iter().enumerate() {
                    // Sums of floats differ by nothing, for rows come in one order.
                    let value = self.number(of, depth);
                    let _ = write!(query, ", {function}({value}) AS r{index}");
                }
                (query + " FROM tame GROUP BY u % 3 ORDER BY g", 0)
            }
            5 => {
                self.is_tame = true;
                let value = self.number(of, depth);
                (format!("SELECT row, {value} AS r FROM tame ORDER BY r, row LIMIT 50"), 0)
            }
            _ => {
                let columns: Vec<String> = (0..self.random.usize(1..4))
                    .map(|index| {
                        let of = TYPES[self.random.usize(..5)];
                        format!("{} AS r{index}", self.plain(of, depth))
                    })
                    .collect();
                (format!("SELECT {} FROM t", columns.join(", ")), 0)
            }
        }
    }

    /// A value that compares nothing: NaNs may come in, and be made.
    fn plain(&mut self, of: Type, depth: u32) -> String {
        loop {
            let value = self.number(of, depth);
            if !["CASE", "BETWEEN", "<", ">", "nullif"].iter().any(|word| value.contains(word)) {
                return value;
            }
        }
    }
}

#[tokio::test]
async fn random_queries_mean_what_they_meant() {
    let (seed, count) = (setting("KILN_SEED", 1), setting("KILN_QUERIES", 150));
    let [stock, fused] = tables();
    let [mut with_kernels, mut errors] = [0u64; 2];
    let mut faults = Vec::new();
    for seed in seed..seed + count {
        let random = fastrand::Rng::with_seed(seed);
        let (query, ulp) = Author { random, is_tame: false }.query();
        let fault = match (rows(&stock, &query).await, rows(&fused, &query).await) {
            (Ok(stock), Ok(rows)) => {
                with_kernels += u64::from(plan(&fused, &query).await.contains("kiln["));
                same_rows([&stock, &rows], ulp).err()
            }
            (Err(_), Err(_)) => {
                errors += 1;
                None
            }
            (Err(error), Ok(_)) => Some(format!("no error with kernels, and without {error}")),
            (Ok(_), Err(error)) => Some(format!("with kernels {error}")),
        };
        faults.extend(fault.map(|fault| format!("seed {seed}: {query}\n  {fault}")));
    }
    println!("{count} queries, {with_kernels} with kernels shown, {errors} errors of both");
    assert!(faults.is_empty(), "{} differ:\n{}", faults.len(), faults.join("\n"));
    assert!(
        with_kernels * 3 > count && errors * 2 < count,
        "{with_kernels} kernels, {errors} errors"
    );
}
