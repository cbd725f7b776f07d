//! Prints graphs as text.
//!
//! Nodes are rendered in topological order, each from the text of its operands, so nothing
//! recurses. A node gets a name (`let`) where it is used more than once, or where its text has
//! become long: that keeps lines readable, and bounds both their nesting and the work.

use super::grammar::{Level, Meaning, Operator, operator_of};
use crate::call::Call;
use crate::declaration::{RESERVED, is_name};
use crate::dtype::DType;
use crate::graph::{Graph, Node, NodeId};
use crate::number::Scalar;
use crate::ops::Op;
use crate::typing::Typing;
use std::collections::{HashMap, HashSet};
use std::fmt;

/// The longest text of an operand, in bytes; what is longer gets a name.
const LONGEST_OPERAND: usize = 60;

const INDENT: &str = "    ";

/// A kernel, as [`text`](crate::text) describes it.
impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _env = kiln_fenv::hold_default();
        let parameters: Vec<String> = self.inputs().iter().map(|i| i.to_string()).collect();
        let types =
            self.outputs().iter().map(|&id| format!("{}{}", self.dtype(id), self.shape(id)));
        let name = kernel_name(self.name());
        writeln!(f, "kernel {name}({}) -> {} {{", parameters.join(", "), tuple(types.collect()))?;
        f.write_str(&Printer::new(self, input_names(self), INDENT.to_string()).body())?;
        f.write_str("}\n")
    }
}

impl Graph {
    /// The body alone, on one line: what a bare body would be written as.
    pub fn expression(&self) -> String {
        self.expression_of(input_names(self))
    }

    /// The same where inputs have these names.
    pub fn expression_of(&self, inputs: Vec<String>) -> String {
        let body = Printer::new(self, inputs, String::new()).body();
        body.split_whitespace().collect::<Vec<&str>>().join(" ")
    }
}

impl Call {
    /// Its name, with what is in brackets.
    fn written(self) -> String {
        format!("{}{}", self.info().name, self.attributes())
    }

    /// Its text over operands that are names.
    pub fn expression(self, operands: &[&str]) -> String {
        match (operator_of(Meaning::Call(self)), operands) {
            (Some(operator), [a, b]) => format!("{a} {} {b}", operator.symbol),
            _ => format!("{}({})", self.written(), operands.join(", ")),
        }
    }
}

/// The name as a word. Rust code may name a kernel as it likes.
fn kernel_name(name: &str) -> String {
    let word = name.replace(|c: char| !c.is_ascii_alphanumeric() && c != '_', "_");
    match word {
        word if is_name(&word) => word,
        word => format!("kernel{word}"),
    }
}

/// One item as it is, several as a tuple.
fn tuple(mut items: Vec<String>) -> String {
    match items.len() {
        1 => items.remove(0),
        _ => format!("({})", items.join(", ")),
    }
}

/// Text of a node, and how tightly it binds.
#[derive(Clone)]
struct Rendered {
    text: String,
    level: Level,
}

impl Rendered {
    fn new(level: Level, text: String) -> Rendered {
        Rendered { text, level }
    }

    fn atom(text: String) -> Rendered {
        Rendered::new(Level::Atom, text)
    }

    /// In a place for operands that bind at least as tightly as `loosest`.
    fn at(&self, loosest: Level) -> String {
        match self.level < loosest {
            true => format!("({})", self.text),
            false => self.text.clone(),
        }
    }
}

struct Printer<'g> {
    graph: &'g Graph,
    /// The names of its inputs.
    inputs: Vec<String>,
    /// The names of the parameters of each fused kernel.
    parameters: HashMap<NodeId, Vec<String>>,
    indent: String,
    /// How often each node is read by what outputs need.
    uses: Vec<usize>,
    rendered: Vec<Rendered>,
    /// What fused kernels call the nodes that they load.
    wanted_names: HashMap<NodeId, String>,
    /// Names that a `let` cannot have.
    taken: HashSet<String>,
    next_name: usize,
    lines: String,
}

impl<'g> Printer<'g> {
    fn new(graph: &'g Graph, inputs: Vec<String>, indent: String) -> Printer<'g> {
        let reserved = RESERVED.iter().map(|word| word.to_string());
        let mut parameters = HashMap::new();
        let mut wanted_names = HashMap::new();
        for (id, node) in graph.iter() {
            let Node::Fused { body, args } = node else { continue };
            let names = graph.parameter_names(body, args);
            for (&arg, name) in args.iter().zip(&names) {
                wanted_names.entry(arg).or_insert_with(|| name.clone());
            }
            parameters.insert(id, names);
        }
        Printer {
            graph,
            indent,
            uses: uses(graph),
            rendered: vec![Rendered::atom(String::new()); graph.nodes().len()],
            wanted_names,
            parameters,
            taken: inputs.iter().cloned().chain(reserved).collect(),
            inputs,
            next_name: 0,
            lines: String::new(),
        }
    }

    /// The lines of the body.
    fn body(mut self) -> String {
        let whole = self.whole_kernel();
        for (id, node) in self.graph.iter() {
            if self.uses[id.index()] == 0 {
                continue;
            }
            match node {
                Node::Fused { .. } if Some(id) == whole => {}
                Node::Fused { body, args } => self.fused_binding(id, body, args),
                _ => self.render(id, node),
            }
        }
        let whole = whole.map(|id| (id, self.graph.node(id)));
        let result = match (whole, self.graph.outputs()) {
            (Some((id, Node::Fused { body, args })), _) => self.fused(id, body, args),
            // A result stands on a line of its own: it may be long.
            (_, &[output]) if self.graph.scalar(output).is_none() => {
                std::mem::take(&mut self.rendered[output.index()].text)
            }
            (_, outputs) => {
                let strong = |id| is_no_default(self.graph, id);
                tuple(outputs.iter().map(|&id| self.operand(id, strong(id)).text).collect())
            }
        };
        self.line(&result);
        self.lines
    }

    /// The fused kernel that computes all outputs, in their order, if there is one.
    fn whole_kernel(&self) -> Option<NodeId> {
        let outputs = self.graph.outputs();
        let first = *outputs.first()?;
        let Node::Item { of, .. } = *self.graph.node(first) else { return None };
        let Node::Fused { body, .. } = self.graph.node(of) else { return None };
        let in_order = outputs.iter().enumerate().all(|(place, &id)| match self.graph.node(id) {
            Node::Item { of: kernel, index } => *kernel == of && *index as usize == place,
            _ => false,
        });
        let used_once = self.uses[of.index()] == outputs.len()
            && outputs.iter().all(|id| self.uses[id.index()] == 1);
        (in_order && used_once && outputs.len() == body.outputs().len()).then_some(of)
    }

    fn line(&mut self, text: &str) {
        self.lines.push_str(&self.indent);
        self.lines.push_str(text);
        self.lines.push('\n');
    }

    /// The name of its parameter, if a fused kernel loads it, else the next of `t0`, `t1`, ...
    fn new_name(&mut self, id: NodeId) -> String {
        let wanted = self.wanted_names.get(&id).cloned();
        let mut name = wanted.unwrap_or_else(|| format!("t{}", self.next_name));
        while !self.taken.insert(name.clone()) {
            name = format!("t{}", self.next_name);
            self.next_name += 1;
        }
        name
    }

    /// Gives a node its text, and a name if it is used more than once.
    fn render(&mut self, id: NodeId, node: &Node) {
        let rendered = match node {
            Node::Input(index) => Rendered::atom(self.inputs[*index as usize].clone()),
            Node::Op(op, args) => self.op(*op, args),
            Node::Call(call, args) => self.call(*call, args),
            // Constants are written where they are used; items are named with their kernel.
            Node::Const(_) | Node::Fused { .. } | Node::Item { .. } => return,
        };
        self.rendered[id.index()] = rendered;
        if !matches!(node, Node::Input(_)) && self.uses[id.index()] > 1 {
            self.name(id);
        }
    }

    fn name(&mut self, id: NodeId) {
        let name = self.new_name(id);
        self.line(&format!("let {name} = {};", self.rendered[id.index()].text));
        self.rendered[id.index()] = Rendered::atom(name);
    }

    fn fused_binding(&mut self, id: NodeId, body: &Graph, args: &[NodeId]) {
        let text = self.fused(id, body, args);
        let mut names = Vec::new();
        for index in 0..body.outputs().len() {
            let item = self.item(id, index);
            // An output that nothing reads needs a name too.
            let name = self.new_name(item.unwrap_or(id));
            if let Some(item) = item {
                self.rendered[item.index()] = Rendered::atom(name.clone());
            }
            names.push(name);
        }
        self.line(&format!("let {} = {text};", tuple(names)));
    }

    fn item(&self, kernel: NodeId, place: usize) -> Option<NodeId> {
        let mut after = self.graph.iter().skip(kernel.index());
        let is = |node: &Node| match node {
            Node::Item { of, index } => *of == kernel && *index as usize == place,
            _ => false,
        };
        after.find(|(_, node)| is(node)).map(|(id, _)| id)
    }

    /// `fused(x, w = t0) { .. }`.
    fn fused(&mut self, id: NodeId, body: &Graph, args: &[NodeId]) -> String {
        let names = self.parameters[&id].clone();
        let mut parameters = Vec::new();
        for (name, &arg) in names.iter().zip(args) {
            let arg = self.operand(arg, is_no_default(self.graph, arg)).text;
            parameters.push(match arg == *name {
                true => arg,
                false => format!("{name} = {arg}"),
            });
        }
        let lines = Printer::new(body, names, format!("{}{INDENT}", self.indent)).body();
        format!("fused({}) {{\n{lines}{}}}", parameters.join(", "), self.indent)
    }

    fn op(&mut self, op: Op, args: &[NodeId]) -> Rendered {
        let strong = self.strong_operand(Some(op), args);
        if let (Some(operator), &[a, b]) = (operator_of(Meaning::Op(op)), args) {
            return self.binary(operator, a, b, strong);
        }
        let constant = self.graph.scalar(args[0]).is_some();
        match op {
            // The minus of a number belongs to the number.
            Op::Neg if !constant => self.sign("-", args[0]),
            Op::Not => self.sign("!", args[0]),
            Op::Pow if self.reads_as_pow(args[1]) => {
                let base = self.operand(args[0], strong == Some(0)).at(Level::Atom);
                let exponent = self.operand(args[1], strong == Some(1)).at(Level::Unary);
                Rendered::new(Level::Power, format!("{base}^{exponent}"))
            }
            _ => self.function(op.name(), args, strong),
        }
    }

    fn call(&mut self, call: Call, args: &[NodeId]) -> Rendered {
        let strong = self.strong_operand(None, args);
        match (operator_of(Meaning::Call(call)), args) {
            (Some(operator), &[a, b]) => self.binary(operator, a, b, strong),
            _ => self.function(&call.written(), args, strong),
        }
    }

    fn function(&mut self, name: &str, args: &[NodeId], strong: Option<usize>) -> Rendered {
        let each = args.iter().enumerate();
        let args: Vec<String> =
            each.map(|(i, &id)| self.operand(id, strong == Some(i)).text).collect();
        Rendered::atom(format!("{name}({})", args.join(", ")))
    }

    fn sign(&mut self, sign: &str, id: NodeId) -> Rendered {
        let operand = self.operand(id, true).at(Level::Unary);
        Rendered::new(Level::Unary, format!("{sign}{operand}"))
    }

    fn binary(
        &mut self,
        operator: &Operator,
        left: NodeId,
        right: NodeId,
        strong: Option<usize>,
    ) -> Rendered {
        let level = operator.level;
        let loosest = if level == Level::Compare { level.tighter() } else { level };
        let left = self.operand(left, strong == Some(0)).at(loosest);
        let right = self.operand(right, strong == Some(1)).at(level.tighter());
        Rendered::new(level, format!("{left} {} {right}", operator.symbol))
    }

    /// Whether `x^c` reads back as a power: small integers would read as products.
    fn reads_as_pow(&self, exponent: NodeId) -> bool {
        match self.graph.constant_value(exponent) {
            None => true,
            Some(value) => {
                let small = value == -1.0 || (1.0..=8.0).contains(&value);
                let minus_zero = value.to_bits() == (-0f64).to_bits();
                !(small && value.fract() == 0.0 || minus_zero)
            }
        }
    }

    /// The operand that must show its type, since all are numbers and would take another type, or
    /// be computed while reading. `None` as op is a call.
    fn strong_operand(&self, op: Option<Op>, args: &[NodeId]) -> Option<usize> {
        let typing = op.map(|op| op.info().typing);
        let first = usize::from(typing == Some(Typing::Select));
        let values = &args[first..];
        let all_numbers = values.iter().all(|&id| self.graph.scalar(id).is_some());
        // What numbers alone come to is computed while reading, but for a choice.
        let folds = typing.is_some_and(|typing| typing != Typing::Select);
        (all_numbers && (folds || is_no_default(self.graph, values[0]))).then_some(first)
    }

    /// A node as an operand. Constants show their type if `strong`; long text gets a name.
    fn operand(&mut self, id: NodeId, strong: bool) -> Rendered {
        match self.graph.scalar(id) {
            Some(Scalar::Float(value)) => return constant(self.graph.dtype(id), value, strong),
            Some(Scalar::Integer(value)) => {
                let suffix = if strong { self.graph.dtype(id).name() } else { "" };
                return number(format!("{value}{suffix}"));
            }
            None => {}
        }
        if self.rendered[id.index()].text.len() > LONGEST_OPERAND
            && !matches!(self.graph.node(id), Node::Input(_))
        {
            self.name(id);
        }
        self.rendered[id.index()].clone()
    }
}

/// Whether a constant here would not take its type from the default.
fn is_no_default(graph: &Graph, id: NodeId) -> bool {
    graph.dtype(id) == DType::F64 || graph.dtype(id).is_integer()
}

fn input_names(graph: &Graph) -> Vec<String> {
    graph.inputs().iter().map(|input| input.name.clone()).collect()
}

/// How often each node is read by what outputs need.
fn uses(graph: &Graph) -> Vec<usize> {
    let mut uses = vec![0; graph.nodes().len()];
    for output in graph.outputs() {
        uses[output.index()] += 1;
    }
    for (index, node) in graph.nodes().iter().enumerate().rev() {
        if uses[index] > 0 {
            node.operands().iter().for_each(|operand| uses[operand.index()] += 1);
        }
    }
    uses
}

/// The shortest text that reads back as these bits.
fn constant(dtype: DType, value: f64, strong: bool) -> Rendered {
    // No number takes a storage type from what it meets.
    let strong = strong || matches!(dtype, DType::F16 | DType::BF16);
    let suffix = if strong { dtype.name() } else { "" };
    let canonical_nan = match dtype {
        DType::F32 => (value as f32).to_bits() == f32::NAN.to_bits(),
        _ => value.to_bits() == f64::NAN.to_bits(),
    };
    let word = match (dtype, value) {
        (DType::Bool, value) => if value != 0.0 { "true" } else { "false" }.to_string(),
        (DType::F32, value) if value.is_nan() && !canonical_nan => {
            format!("bits32({:#010x})", (value as f32).to_bits())
        }
        (DType::F64, value) if value.is_nan() && !canonical_nan => {
            format!("bits64({:#018x})", value.to_bits())
        }
        (dtype, value) if !value.is_finite() => {
            let word = match value {
                f64::INFINITY => "inf",
                f64::NEG_INFINITY => "-inf",
                _ => "nan",
            };
            if strong { format!("{dtype}({word})") } else { word.to_string() }
        }
        (dtype, value) => format!("{}{suffix}", shortest_decimal(dtype, value)),
    };
    number(word)
}

/// A number, whose minus is part of it.
fn number(word: String) -> Rendered {
    match word.starts_with('-') {
        true => Rendered::new(Level::Unary, word),
        false => Rendered::atom(word),
    }
}

fn shortest_decimal(dtype: DType, value: f64) -> String {
    let short = match dtype {
        DType::F32 => format!("{:?}", value as f32),
        _ => format!("{value:?}"),
    };
    // Weak numbers are read as f64 first, which for a few decimals of f32 rounds twice.
    let reads_back = short.parse().is_ok_and(|read| dtype.round(read).to_bits() == value.to_bits());
    let text = if reads_back { short } else { format!("{value:?}") };
    text.strip_suffix(".0").map_or(text.clone(), str::to_string)
}
