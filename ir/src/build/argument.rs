//! What arguments of functions must be.

use super::{Built, GraphBuilder};
use crate::error::Fault;
use crate::graph::Node;
use crate::rowwise::{Rowwise, Takes};
use crate::shape::Shape;

impl GraphBuilder {
    /// The argument of a function, if it is one that this parameter takes. An array in place of a number
    /// would broadcast without a word.
    pub(super) fn argument(
        &self,
        function: &'static Rowwise,
        index: usize,
        built: Built,
    ) -> Result<Built, Fault> {
        let (Built::Node(id) | Built::Count(id)) = built else { return Ok(built) };
        let parameter = &function.parameters[index];
        let reason = match parameter.takes() {
            Takes::Number if *self.graph.shape(id) != Shape::scalar() => {
                let name = match self.graph.node(id) {
                    Node::Input(input) => &self.graph.inputs()[*input as usize].name,
                    _ => parameter.name,
                };
                let declared = format!("`{name}: {}[]`", self.graph.dtype(id));
                let hint = match function.arity().start() {
                    1 => format!(
                        "a scale follows: `{}[-1](x) * {name}`, and a number is declared as one: \
                         {declared}",
                        function.name
                    ),
                    _ => format!("declare it so, {declared}"),
                };
                let shape = self.graph.shape(id);
                format!("{} is one number, not an array {shape}; {hint}", parameter.name)
            }
            Takes::Floats
                if !self.graph.dtype(id).is_float() && matches!(built, Built::Node(_)) =>
            {
                let hint = "it takes floats; convert with f32(x) or f64(x)";
                let operands = vec![self.graph.dtype(id)];
                return Err(Fault::Types { op: function.name, operands, hint });
            }
            Takes::Probabilities if !self.graph.dtype(id).is_float() => format!(
                "{} has the probability of each class, not {}; of labels write \
                 `label_cross_entropy[-1](x, y)`, of numbers `f32(p)`",
                parameter.name,
                self.graph.dtype(id)
            ),
            Takes::Floats | Takes::Labels | Takes::Number | Takes::Probabilities => {
                return Ok(built);
            }
        };
        Err(Fault::Argument { function: function.name, reason })
    }
}
