//! `--shape x=1000x8`: shapes of inputs, one by one.

use crate::failure::Failure;
use kiln::Graph;
use kiln::ir::{Dim, Input};
use std::collections::HashMap;

/// The sizes of an input, or of an axis that inputs declare.
#[derive(Clone)]
pub(crate) struct Shape {
    name: String,
    sizes: Vec<usize>,
}

/// Reads one; a number alone has no sizes: `w=`.
pub(crate) fn shape(text: &str) -> Result<Shape, String> {
    let wrong = || "write INPUT=SIZES, such as x=1000x8, or w= for a single number".to_string();
    let (name, sizes) = text.split_once('=').ok_or_else(wrong)?;
    let (name, sizes) = (name.trim().to_string(), sizes.trim());
    let parts = sizes.split('x').filter(|_| !sizes.is_empty());
    let sizes = parts.map(|size| size.trim().parse()).collect::<Result<_, _>>();
    match sizes {
        Ok(sizes) if !name.is_empty() => Ok(Shape { name, sizes }),
        _ => Err(wrong()),
    }
}

/// The shape of each input; what is not given follows from axes that inputs share.
pub(crate) fn shapes_of(graph: &Graph, given: &[Shape]) -> Result<Vec<Vec<usize>>, Failure> {
    let inputs = graph.inputs();
    let mut axes: HashMap<&str, usize> = HashMap::new();
    for (index, Shape { name, sizes }) in given.iter().enumerate() {
        if given[..index].iter().any(|other| other.name == *name) {
            return Err(Failure::Usage(format!("--shape gives {name} twice")));
        }
        if let Some(input) = inputs.iter().find(|input| input.name == *name) {
            let dims = input.dims.iter().flatten().zip(sizes);
            axes.extend(dims.filter_map(|(dim, &size)| Some((symbol(dim)?, size))));
        } else if let [size] = sizes[..]
            && inputs.iter().flat_map(|i| i.dims.iter().flatten()).any(|d| symbol(d) == Some(name))
        {
            axes.insert(name, size);
        } else {
            let inputs: Vec<String> = inputs.iter().map(Input::to_string).collect();
            return Err(Failure::Usage(format!(
                "--shape {name}: the kernel has no input or axis of that name; it takes {}",
                if inputs.is_empty() { "no input".into() } else { inputs.join(", ") }
            )));
        }
    }
    let shape_of = |input: &Input| {
        if let Some(shape) = given.iter().find(|shape| shape.name == input.name) {
            return Ok(shape.sizes.clone());
        }
        let size = |dim: &Dim| match dim {
            Dim::Size(size) => Some(*size),
            Dim::Symbol(name) => axes.get(&**name).copied(),
        };
        let dims = input.dims.as_ref().and_then(|dims| dims.iter().map(size).collect());
        dims.ok_or_else(|| {
            let name = &input.name;
            Failure::Usage(format!("no shape for input {input}: give --shape {name}=SIZES"))
        })
    };
    inputs.iter().map(shape_of).collect()
}

fn symbol(dim: &Dim) -> Option<&str> {
    match dim {
        Dim::Symbol(name) => Some(name),
        Dim::Size(_) => None,
    }
}
