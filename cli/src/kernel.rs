//! Finding KERNEL: a file, a named op or an expression.

use crate::console::Console;
use crate::failure::Failure;
use kiln::ir::{ArrayType, Call, Derived, FreeInput, Op, Rowwise, Typing, free_inputs, parse_with};
use kiln::{DType, Graph, TextError};
use std::fs;

/// The text of a kernel, and where it is from.
pub(crate) struct Text {
    text: String,
    origin: String,
}

impl Text {
    /// The kernel that the command line names.
    pub(crate) fn find(kernel: &str) -> Result<Text, Failure> {
        if let Some(name) = kernel.strip_prefix('@') {
            return Ok(Text { text: call(name)?, origin: kernel.into() });
        }
        if kernel.ends_with(".kiln") {
            let text = fs::read_to_string(kernel)
                .map_err(|error| Failure::Failed(format!("cannot read {kernel}: {error}")))?;
            return Ok(Text { text, origin: kernel.into() });
        }
        // As an expression it would be an input of that name, and no run means that.
        if is_op(kernel.trim()) {
            let name = kernel.trim();
            return Err(Failure::Usage(format!(
                "`{name}` is an op: write @{name}, or {name}(...) with its operands"
            )));
        }
        Ok(Text { text: kernel.into(), origin: "KERNEL".into() })
    }

    /// The names that it takes, and the types of those that it declares.
    pub(crate) fn inputs(&self) -> Result<Vec<FreeInput>, Failure> {
        free_inputs(&self.text).map_err(|error| self.wrong(error))
    }

    /// The graph; `type_of` types the inputs that the text does not.
    pub(crate) fn graph(
        &self,
        type_of: impl Fn(&str) -> Option<ArrayType>,
    ) -> Result<Graph, Failure> {
        parse_with(&self.text, type_of).map_err(|error| self.wrong(error))
    }

    /// The graph, after its notes are told.
    pub(crate) fn told(&self, graph: Graph, console: &Console) -> Graph {
        for note in graph.notes() {
            console.note(&format!("{}:{note}", self.origin));
        }
        graph
    }

    /// The graph, its notes told; inputs that the text does not type are arrays of `dtype`.
    pub(crate) fn graph_of(&self, dtype: DType, console: &Console) -> Result<Graph, Failure> {
        // A type for `pi` would make it an input.
        let graph = self.graph(|name| (name != "pi").then_some((dtype, None)))?;
        Ok(self.told(graph, console))
    }

    fn wrong(&self, error: TextError) -> Failure {
        Failure::Usage(format!("{}:{error}", self.origin))
    }
}

fn is_op(name: &str) -> bool {
    Derived::from_name(name).is_some()
        || Op::from_name(name).is_some()
        || Call::from_name(name).is_some()
        || Rowwise::from_name(name).is_some()
}

/// A kernel that calls an op: `kernel prelu(x, weight) { prelu(x, weight) }`.
fn call(name: &str) -> Result<String, Failure> {
    let kernel = |inputs: &[&str]| {
        let inputs = inputs.join(", ");
        // What it chooses by is a bool, whatever the others are.
        let chooses = Op::from_name(name).is_some_and(|op| op.info().typing == Typing::Select);
        let head = if chooses { inputs.replacen(',', ": bool,", 1) } else { inputs.clone() };
        Ok(format!("kernel {name}({head}) {{ {name}({inputs}) }}"))
    };
    if let Some(op) = Derived::from_name(name) {
        let inputs = op.parameters.iter().filter(|parameter| parameter.default.is_none());
        return kernel(&inputs.map(|parameter| parameter.name).collect::<Vec<_>>());
    }
    if let Some(row) = Rowwise::from_name(name) {
        let inputs = row.parameters.iter().filter(|parameter| parameter.default.is_none());
        let inputs = inputs.map(|parameter| parameter.name).collect::<Vec<_>>().join(", ");
        return Ok(format!("kernel {name}({inputs}) {{ {name}[-1]({inputs}) }}"));
    }
    let inputs = ["x", "y", "z"];
    match (Op::from_name(name), Call::from_name(name)) {
        (Some(op), _) => kernel(&inputs[..op.arity()]),
        (None, Some(call)) => {
            let info = call.info();
            let inputs = &inputs[..info.arity];
            // Places are counted in integers.
            let counted = match info.typing {
                Typing::Pick => inputs.last(),
                Typing::Count => inputs.first(),
                _ => None,
            };
            let declared = |input: &&str| match counted == Some(input) {
                true => format!("{input}: i64"),
                false => input.to_string(),
            };
            let head = inputs.iter().map(declared).collect::<Vec<_>>().join(", ");
            Ok(format!("kernel {name}({head}) {{ {} }}", call.expression(inputs)))
        }
        (None, None) => Err(no_op(name)),
    }
}

/// That no op has this name; the parser knows the near ones.
pub(crate) fn no_op(name: &str) -> Failure {
    let hint = match free_inputs(&format!("{name}(x)")) {
        Err(error) => error.hint().map(|hint| format!("; {hint}")),
        Ok(_) => None,
    };
    let hint = hint.unwrap_or_default();
    Failure::Usage(format!("no op is named `{name}`{hint}\n  kiln ops lists all of them"))
}
