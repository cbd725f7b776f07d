//! `kiln ops`: every op, derived op and call, as their tables have them.

use crate::console::{Console, NAME, TITLE};
use crate::failure::Failure;
use crate::json::print;
use crate::kernel::no_op;
use clap::Args;
use kiln::ir::text::{SPECIAL, Special, function_name};
use kiln::ir::{Call, Derived, Expr, Op, ROWWISE, Rowwise, Typing, build};
use kiln::{DType, derived::DERIVED};
use serde::Serialize;

/// List the ops: what they compute, for which types, and how exactly
#[derive(Args)]
#[command(after_help = "\
An error is in units in the last place (ULP) of the exact result: 0.5 is correctly rounded, 0 exact.
A derived op is a formula of others, whose errors add up; ACCURACY.md has what they are at most.
Where numbers are taken, a bool is the integer 0 or 1; sums and products of elements of narrower
integers than i64 are i64.

Examples
  kiln ops                 all of them
  kiln ops gelu            one, with its formula
  kiln ops softmax         one along axes: softmax[-1](x), softmax[0, 1](x), softmax[..](x)
  kiln ops --json          an object for each")]
pub(crate) struct Ops {
    /// Only this one
    name: Option<String>,
    /// Print one JSON object for each
    #[arg(long)]
    json: bool,
}

/// An op as its table has it.
#[derive(Serialize)]
struct Row {
    command: &'static str,
    name: &'static str,
    /// How it is called, where its operands do not say so.
    #[serde(skip)]
    usage: Option<&'static str>,
    kind: Kind,
    operands: Vec<Operand>,
    /// Whether it has axes.
    axes: bool,
    /// The types of operands, in words.
    takes: &'static str,
    /// The type of the result, if it is not that of the operands.
    gives: Option<&'static str>,
    /// The largest error; a derived op has none of its own.
    max_ulp: Option<Ulp>,
    /// The same in fast mode.
    fast_ulp: Option<Ulp>,
    /// Bounds of the result, where there are some.
    range: [Option<f64>; 2],
    /// What a derived op stands for.
    formula: Option<String>,
    doc: String,
}

#[derive(Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Op,
    Derived,
    Call,
    Special,
}

#[derive(Serialize)]
struct Operand {
    name: &'static str,
    default: Option<f64>,
}

#[derive(Clone, Copy, PartialEq, Serialize)]
struct Ulp {
    f32: f64,
    f64: f64,
}

const KINDS: [(Kind, &str); 4] = [
    (Kind::Op, "Ops"),
    (Kind::Derived, "Derived ops, formulas of ops"),
    (Kind::Call, "Calls, not elementwise"),
    (Kind::Special, "Functions of text"),
];

impl Ops {
    pub(crate) fn execute(&self, console: &Console) -> Result<(), Failure> {
        let mut rows: Vec<Row> = Op::ALL.iter().map(|&op| Row::of_op(op)).collect();
        rows.extend(DERIVED.iter().map(Row::of_derived));
        rows.extend(Call::all().map(Row::of_call));
        rows.extend(ROWWISE.iter().map(Row::of_rowwise));
        rows.extend(SPECIAL.iter().map(Row::of_special));
        if let Some(name) = &self.name {
            let name = function_name(name.trim_start_matches('@'));
            rows.retain(|row| row.name == name);
            if rows.is_empty() {
                return Err(no_op(name));
            }
        }
        if self.json {
            return console.print(&rows.iter().map(print).collect::<String>());
        }
        match (&rows[..], &self.name) {
            ([row], Some(_)) => console.print(&row.page()),
            _ => console.print(&list(&rows)),
        }
    }
}

/// All rows, in sections.
fn list(rows: &[Row]) -> String {
    let mut text = String::new();
    for (kind, title) in KINDS {
        let rows: Vec<&Row> = rows.iter().filter(|row| row.kind == kind).collect();
        let longest = rows.iter().map(|row| row.signature().len()).max().unwrap_or(0);
        if !text.is_empty() {
            text.push('\n');
        }
        let errors = if kind == Kind::Op { "ULP f32   f64" } else { "" };
        let head = format!("{title:<longest$}  {:<18}  {errors:>13}", "types");
        text += &format!("{TITLE}{}{TITLE:#}\n", head.trim_end());
        text.extend(rows.iter().map(|row| row.line(longest)));
    }
    text
}

impl Row {
    fn of_op(op: Op) -> Row {
        let info = op.info();
        let ulp = |[f32, f64]: [f64; 2]| Ulp { f32, f64 };
        let bound = |bound: f64| bound.is_finite().then_some(bound);
        let (takes, gives) = types(info.typing);
        Row {
            command: "ops",
            name: info.name,
            usage: None,
            kind: Kind::Op,
            axes: false,
            operands: operands(op.arity()),
            takes,
            gives,
            max_ulp: Some(ulp(info.max_ulp)),
            fast_ulp: (info.fast_ulp != info.max_ulp)
                .then_some(Ulp { f32: info.fast_ulp[0], f64: info.fast_ulp[1] }),
            range: [bound(info.range.0), bound(info.range.1)],
            formula: None,
            doc: without_links(info.doc),
        }
    }

    fn of_derived(op: &Derived) -> Row {
        let parameters = op.parameters.iter();
        Row {
            command: "ops",
            name: op.name,
            usage: None,
            kind: Kind::Derived,
            axes: false,
            operands: parameters
                .map(|parameter| Operand { name: parameter.name, default: parameter.default })
                .collect(),
            takes: types(formula_typing(op)).0,
            gives: None,
            max_ulp: None,
            fast_ulp: None,
            range: [None; 2],
            formula: Some(op.graph().expression()),
            doc: without_links(&op.doc()),
        }
    }

    fn of_call(call: Call) -> Row {
        let info = call.info();
        let (takes, gives) = types(info.typing);
        Row {
            command: "ops",
            name: info.name,
            usage: None,
            kind: Kind::Call,
            axes: call.expression(&[""; 3][..info.arity]).contains('['),
            operands: operands(info.arity),
            takes,
            gives,
            max_ulp: None,
            fast_ulp: None,
            range: [None; 2],
            formula: None,
            doc: without_links(info.doc),
        }
    }

    fn of_rowwise(row: &Rowwise) -> Row {
        let parameters = row.parameters.iter();
        Row {
            command: "ops",
            name: row.name,
            usage: None,
            kind: Kind::Call,
            axes: true,
            operands: parameters
                .map(|parameter| Operand { name: parameter.name, default: parameter.default })
                .collect(),
            takes: if row.takes_labels() { "floats, and integers" } else { "floats" },
            gives: None,
            max_ulp: None,
            fast_ulp: None,
            range: [None; 2],
            formula: None,
            doc: without_links(row.doc.trim()),
        }
    }

    fn of_special(special: &Special) -> Row {
        Row {
            command: "ops",
            name: special.name,
            usage: Some(special.usage),
            kind: Kind::Special,
            operands: Vec::new(),
            axes: special.usage.contains('['),
            takes: special.takes,
            gives: Some(special.gives),
            max_ulp: None,
            fast_ulp: None,
            range: [None; 2],
            formula: None,
            doc: special.doc.into(),
        }
    }

    /// `leaky_relu(x, slope = 0.01)`, `sum[..](a)`.
    fn signature(&self) -> String {
        if let Some(usage) = self.usage {
            return usage.into();
        }
        let operand = |Operand { name, default }: &Operand| match default {
            Some(default) => format!("{name} = {default}"),
            None => name.to_string(),
        };
        let operands: Vec<String> = self.operands.iter().map(operand).collect();
        let axes = if self.axes { "[..]" } else { "" };
        format!("{}{axes}({})", self.name, operands.join(", "))
    }

    fn types(&self) -> String {
        match self.gives {
            Some(gives) => format!("{} -> {gives}", self.takes),
            None => self.takes.into(),
        }
    }

    fn line(&self, longest: usize) -> String {
        let signature = self.signature();
        let errors = match (self.kind, self.max_ulp) {
            (Kind::Op, Some(Ulp { f32, f64 })) => format!("  {f32:>7} {f64:>5}"),
            _ => String::new(),
        };
        let (name, rest) = signature.split_at(self.name.len());
        let pad = longest - signature.len();
        format!(
            "{NAME}{name}{NAME:#}{rest}{:pad$}  {:<18}{errors}  {}\n",
            "",
            self.types(),
            beginning(&self.doc)
        )
    }

    /// All of it.
    fn page(&self) -> String {
        let signature = self.signature();
        let (name, rest) = signature.split_at(self.name.len());
        let mut text = format!("{NAME}{name}{NAME:#}{rest}\n{}\n\n", self.doc);
        let mut line = |title: &str, words: &str| {
            text += &format!("{TITLE}{title:<8}{TITLE:#} {words}\n");
        };
        line("types", &self.types());
        if let Some(formula) = &self.formula {
            line("formula", formula);
        }
        let errors = |Ulp { f32, f64 }: Ulp| match (f32, f64) {
            (0.0, 0.0) => "none, it is exact".to_string(),
            _ => format!("at most {f32} ULP in f32, {f64} in f64"),
        };
        match (self.max_ulp, self.fast_ulp) {
            (Some(ulp), None) => line("error", &errors(ulp)),
            (Some(ulp), Some(fast)) => {
                line("error", &format!("{}; in fast mode {}", errors(ulp), errors(fast)));
            }
            _ => {}
        }
        match self.range {
            [Some(least), Some(most)] => line("results", &format!("from {least} to {most}")),
            [Some(least), None] => line("results", &format!("from {least}")),
            [None, Some(most)] => line("results", &format!("up to {most}")),
            [None, None] => {}
        }
        text
    }
}

/// The names of operands that have none of their own.
fn operands(arity: usize) -> Vec<Operand> {
    ["a", "b", "c"][..arity].iter().map(|name| Operand { name, default: None }).collect()
}

/// The type rule of a formula: integers are taken where each of its ops takes them.
fn formula_typing(op: &Derived) -> Typing {
    let required = &op.parameters[..*op.arity().start()];
    let integers = required.iter().map(|p| Expr::input(format!("{}: i32", p.name)));
    match build(op.name, &[op.apply(&integers.collect::<Vec<Expr>>())]) {
        Ok(_) => Typing::Number,
        Err(_) => Typing::Float,
    }
}

/// What a type rule takes, in words, and what it gives, if that is another type.
fn types(typing: Typing) -> (&'static str, Option<&'static str>) {
    match typing {
        Typing::Float | Typing::Product => ("floats", None),
        Typing::Number => ("numbers", None),
        Typing::Integer => ("integers", None),
        Typing::Compare => ("numbers", Some(DType::Bool.name())),
        Typing::Logic => ("bools, integers", None),
        Typing::Select => ("bool, then any", None),
        Typing::Cast(to) => ("any", Some(to.name())),
        Typing::Truth => ("any", Some(DType::Bool.name())),
        Typing::Index => ("numbers", Some(DType::I64.name())),
        Typing::Same => ("anything", None),
        Typing::Pick => ("anything, and integers", None),
        Typing::Count => ("integers, then anything", None),
        Typing::Place => ("anything", Some(DType::I64.name())),
    }
}

/// A documentation without the addresses that rustdoc makes links of: "[`softmax`](Expr::softmax)" is
/// "`softmax`".
fn without_links(doc: &str) -> String {
    let mut text = String::new();
    let mut rest = doc;
    while let Some((before, link)) = rest.split_once("[`") {
        let name = link.split_once("`]").filter(|(name, _)| !name.contains('`'));
        let Some((name, after)) = name else {
            text += &format!("{before}[`");
            rest = link;
            continue;
        };
        text += &format!("{before}`{name}`");
        let address = after.strip_prefix('(').and_then(|address| address.split_once(')'));
        rest = address.map_or(after, |(_, after)| after);
    }
    text + rest
}

/// What a list shows of a documentation: up to its first pause outside of code.
fn beginning(doc: &str) -> &str {
    let line = doc.lines().next().unwrap_or_default();
    let is_code = |at: usize| line[..at].matches('`').count() % 2 == 1;
    let pause = |&(at, _): &(usize, &str)| !is_code(at) && !line[..at].ends_with('.');
    let ends = [": ", "; ", ". ", " ("]
        .into_iter()
        .filter_map(|mark| line.match_indices(mark).find(pause).map(|(at, _)| at));
    line[..ends.min().unwrap_or(line.len())].trim_end_matches([':', '.'])
}

#[cfg(test)]
mod tests {
    use super::{beginning, without_links};

    #[test]
    fn lists_show_beginnings() {
        for (doc, shown) in [
            ("The places 0, 1, 2, .. along an axis; here", "The places 0, 1, 2, .. along an axis"),
            ("The sum. Of nothing", "The sum"),
            ("As `a: b`: so", "As `a: b`"),
        ] {
            assert_eq!(beginning(doc), shown);
        }
    }

    #[test]
    fn links_are_names() {
        for (doc, shown) in [
            ("[`softmax`](Expr::softmax), and 0", "`softmax`, and 0"),
            ("the sign of [`exp`] (or so)", "the sign of `exp` (or so)"),
            ("from [0, 1]; `a[`", "from [0, 1]; `a[`"),
            ("[`a`](b) [`c`](d)", "`a` `c`"),
            ("[`never", "[`never"),
        ] {
            assert_eq!(without_links(doc), shown);
        }
    }
}
