//! Every message that a kernel can give its user, as it looks.

mod closures;
mod faults;
mod graphs;
mod hints;
mod kernels;
mod syntax;
mod tokens;

use kiln_ir::parse;

/// What is said of these texts.
fn errors(texts: &[&str]) -> String {
    let one = |text: &&str| match parse(text) {
        Ok(graph) => panic!("{text:?} is a kernel:\n{graph}"),
        Err(error) => error.to_string(),
    };
    texts.iter().map(one).collect::<Vec<_>>().join("\n\n")
}
