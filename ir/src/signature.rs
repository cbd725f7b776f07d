//! What every pass must keep: the inputs of a graph, and the types and shapes of its outputs.

use crate::call::{Call, Reduce, Reduction, absorbed};
use crate::graph::{Graph, Input};
use crate::shape::Shape;

/// Checks that two graphs have the same inputs (names, types, axes, order), and outputs of the same
/// types and shapes in the same order. The error says what differs.
///
/// It looks at the outputs, and at those calls whose shapes depend on the rank of an input.
///
/// ```
/// use kiln_ir::{parse, same_signature};
///
/// let graph = |text| parse(text).unwrap();
/// assert_eq!(same_signature(&graph("x + x"), &graph("2 * x")), Ok(()));
/// let wrong = same_signature(&graph("x * y"), &graph("x * y > 0")).unwrap_err();
/// assert_eq!(wrong, "output 0 was f32[..], and is bool[..]");
/// ```
pub fn same_signature(before: &Graph, after: &Graph) -> Result<(), String> {
    if before.inputs() != after.inputs() {
        let names = |graph: &Graph| {
            graph.inputs().iter().map(Input::to_string).collect::<Vec<String>>().join(", ")
        };
        return Err(format!("inputs were {}, and are {}", names(before), names(after)));
    }
    let (was, is) = (before.outputs().len(), after.outputs().len());
    if was != is {
        return Err(format!("there were {was} outputs, and are {is}"));
    }
    // One numbering for both: equal calls have equal numbers.
    let mut known = Vec::new();
    let mut of = |graph: &Graph| {
        let mut numbers: Vec<u32> = Vec::new();
        for (call, operands) in graph.calls.open() {
            let operands = operands.iter().map(|shape| shape.renumbered(&numbers));
            let operands: Vec<Shape> =
                operands.map(|shape| absorbed(shape, &known, |_| true)).collect();
            let key = (alike(*call), operands);
            let at = known.iter().position(|other| *other == key).unwrap_or_else(|| {
                known.push(key);
                known.len() - 1
            });
            numbers.push(at as u32);
        }
        let shape = |&output| absorbed(graph.shape(output).renumbered(&numbers), &known, |_| true);
        graph.outputs().iter().map(shape).collect::<Vec<Shape>>()
    };
    let (shapes_before, shapes_after) = (of(before), of(after));
    for (index, (&a, &b)) in before.outputs().iter().zip(after.outputs()).enumerate() {
        let (was, is) = (before.dtype(a), after.dtype(b));
        if was != is || shapes_before[index] != shapes_after[index] {
            let (was_shape, is_shape) = (before.shape(a), after.shape(b));
            return Err(format!("output {index} was {was}{was_shape}, and is {is}{is_shape}"));
        }
    }
    Ok(())
}

/// A call whose result has the same shape: what a reduction makes of elements does not matter.
fn alike(call: Call) -> Call {
    match call {
        Call::Reduce(reduce) => Call::Reduce(Reduce { by: Reduction::Sum, ..reduce }),
        call => call,
    }
}

#[cfg(test)]
mod tests {
    use super::same_signature;
    use crate::text::parse;

    #[test]
    fn tells_what_differs() {
        let check = |before: &str, after: &str| {
            same_signature(&parse(before).unwrap(), &parse(after).unwrap())
        };
        assert_eq!(
            check("x * y", "y * x").unwrap_err(),
            "inputs were x: f32[..], y: f32[..], and are y: f32[..], x: f32[..]"
        );
        assert_eq!(
            check("x", "kernel k(x) { (x, x) }").unwrap_err(),
            "there were 1 outputs, and are 2"
        );
        // What is reduced broadcasts to what it was reduced from.
        assert_eq!(check("exp(x) / sum[-1](exp(x))", "x - max[-1](x)"), Ok(()));
        assert_eq!(check("sum[-1](x)", "max[-1](x - max[-1](x)) + min[-1](x)"), Ok(()));
        assert!(check("sum[-1](x)", "sum[0](x)").is_err());
        assert!(check("sum[-1](x)", "sum[-1](x) + x").is_err());
        // Both print as [..], but one is repeated along y.
        assert!(check("x + y", "kernel k(x, y) { x }").is_err());
        assert!(
            check(
                "kernel k(x: f32[n], y: f32[m, n]) { x + y }",
                "kernel k(x: f32[n], y: f32[m, n]) { x }"
            )
            .is_err()
        );
    }

    #[test]
    fn products_are_told_by_what_they_are_of() {
        let check = |before: &str, after: &str| {
            same_signature(&parse(before).unwrap(), &parse(after).unwrap())
        };
        assert_eq!(
            check(
                "kernel k(a, w) { (a@w, (a@w)@w) }",
                "kernel k(a, w) { let b = exp(a)@w; (-b, b@w) }"
            ),
            Ok(())
        );
        assert!(check("kernel k(a, w) { a@w }", "kernel k(a, w) { w@a }").is_err());
        // Of equal shapes, of whatever values.
        assert_eq!(check("kernel k(a, w) { a@w + (2*a)@w }", "kernel k(a, w) { 3*(a@w) }"), Ok(()));
    }
}
