//! How functions are written that have something in brackets: `label_cross_entropy[-1](x, labels)`.

use super::words::SPECIAL;
use crate::call::{Call, Reduction};
use crate::rowwise::Rowwise;

/// How a function of ours is written, if it has brackets.
pub(super) fn example(name: &str) -> Option<String> {
    if Reduction::from_name(name).is_some() {
        return Some(format!("{name}[-1](x)"));
    }
    if let Some(row) = Rowwise::from_name(name) {
        return Some(format!("{name}[-1]({})", operands(row)));
    }
    // Others have one in their documentation.
    let mut code = doc(name)?.split('`').skip(1).step_by(2);
    let is_own = |code: &&str| code.strip_prefix(name).is_some_and(|rest| rest.starts_with('['));
    code.find(is_own).map(str::to_string)
}

/// The documentation of a call, or a function that is a row of no other table.
pub(super) fn doc(name: &str) -> Option<&'static str> {
    let special = SPECIAL.iter().find(|special| special.name == name).map(|special| special.doc);
    special.or_else(|| Call::from_name(name).map(|call| call.info().doc))
}

/// How many operands it takes at least, and at most.
pub(super) fn arity(name: &str) -> Option<(usize, usize)> {
    if let Some(row) = Rowwise::from_name(name) {
        return Some((*row.arity().start(), *row.arity().start()));
    }
    match Call::from_name(name) {
        Some(call) => Some((*call.arity().start(), *call.arity().end())),
        None => SPECIAL.iter().find(|special| special.name == name).map(|_| (1, 1)),
    }
}

/// The operands of a function that cannot be left out: `x, labels`.
pub(super) fn operands(row: &Rowwise) -> String {
    let needed = &row.parameters[..*row.arity().start()];
    needed.iter().map(|parameter| parameter.name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::example;
    use crate::call::Call;
    use crate::rowwise::ROWWISE;
    use crate::text::function::Function;
    use crate::text::{parse, words};

    /// All that has brackets has an example, which is a kernel.
    #[test]
    fn examples_are_kernels() {
        let calls = Call::all().map(|call| call.info().name);
        let special = words::SPECIAL.iter().map(|special| special.name);
        let names = calls.chain(ROWWISE.iter().map(|row| row.name)).chain(special);
        for name in names.filter(|name| Function::has_axes(name) && *name != "transpose") {
            let example = example(name).unwrap_or_else(|| panic!("{name} has none"));
            let head = "|a, b, x, p, y, labels: i64[..]|";
            let integers = "|x, y: i64[..], i: i64[..]|";
            let read = |head: &str| parse(&format!("{head} {example}"));
            read(head).or_else(|_| read(integers)).unwrap_or_else(|error| panic!("{error}"));
        }
        assert_eq!(example("exp"), None);
        assert_eq!(example("concat").as_deref(), Some("concat[-1](a, b)"));
    }
}
