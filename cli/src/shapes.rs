//! `--shape x=1000x8,n=4Ki`: shapes of inputs, one by one or by their axes.

use crate::failure::Failure;
use crate::sizes::size;
use kiln::Graph;
use kiln::ir::{Dim, Input};
use std::collections::HashMap;

/// The sizes of an input, or of an axis that inputs declare.
#[derive(Clone)]
pub(crate) struct Shape {
    name: String,
    sizes: Vec<usize>,
}

impl Shape {
    /// So many elements along an axis.
    pub(crate) fn axis(name: &str, size: usize) -> Shape {
        Shape { name: name.into(), sizes: vec![size] }
    }
}

/// Reads one; a number alone has no sizes: `w=`.
pub(crate) fn shape(text: &str) -> Result<Shape, String> {
    let wrong =
        || "write NAME=SIZES, such as x=1000x8, n=4Ki, or w= for a single number".to_string();
    let (name, sizes) = text.split_once('=').ok_or_else(wrong)?;
    let (name, sizes) = (name.trim().to_string(), sizes.trim());
    let parts = sizes.split('x').filter(|_| !sizes.is_empty());
    match parts.map(size).collect() {
        Ok(sizes) if !name.is_empty() => Ok(Shape { name, sizes }),
        _ => Err(wrong()),
    }
}

/// As [`shapes_of`], but what is neither an input nor an axis of one is an axis, too: inputs that
/// declare no shape and are given none have all axes, in their order.
pub(crate) fn shapes_over(graph: &Graph, given: &[Shape]) -> Result<Vec<Vec<usize>>, Failure> {
    let inputs = graph.inputs();
    let is_given = |input: &Input| given.iter().any(|shape| shape.name == input.name);
    let open: Vec<&Input> =
        inputs.iter().filter(|input| input.dims.is_none() && !is_given(input)).collect();
    if open.is_empty() {
        return shapes_of(graph, given);
    }
    let names = |shape: &&Shape| inputs.iter().any(|input| input.name == shape.name);
    let is_axis = |shape: &&Shape| !names(shape) && shape.sizes.len() == 1;
    let axes: Vec<usize> = given.iter().filter(is_axis).map(|shape| shape.sizes[0]).collect();
    if axes.is_empty() {
        return shapes_of(graph, given);
    }
    let declared = |name: &str| {
        let mut dims = inputs.iter().flat_map(|input| input.dims.iter().flatten());
        dims.any(|dim| symbol(dim) == Some(name))
    };
    check_once(given)?;
    let kept = given.iter().filter(|shape| !is_axis(shape) || declared(&shape.name)).cloned();
    let shaped = open.iter().map(|input| Shape { name: input.name.clone(), sizes: axes.clone() });
    shapes_of(graph, &kept.chain(shaped).collect::<Vec<_>>())
}

fn check_once(given: &[Shape]) -> Result<(), Failure> {
    let twice = (1..given.len())
        .find(|&index| given[..index].iter().any(|other| other.name == given[index].name));
    match twice {
        Some(index) => Err(Failure::Usage(format!("--shape gives {} twice", given[index].name))),
        None => Ok(()),
    }
}

/// The shape of each input; what is not given follows from axes that inputs share.
pub(crate) fn shapes_of(graph: &Graph, given: &[Shape]) -> Result<Vec<Vec<usize>>, Failure> {
    let inputs = graph.inputs();
    let mut axes: HashMap<&str, usize> = HashMap::new();
    check_once(given)?;
    for Shape { name, sizes } in given {
        if let Some(input) = inputs.iter().find(|input| input.name == *name) {
            let dims = input.dims.iter().flatten().zip(sizes);
            axes.extend(dims.filter_map(|(dim, &size)| Some((symbol(dim)?, size))));
        } else if let [size] = sizes[..]
            && inputs.iter().flat_map(|i| i.dims.iter().flatten()).any(|d| symbol(d) == Some(name))
        {
            axes.insert(name, size);
        } else {
            let takes: Vec<String> = inputs.iter().map(Input::to_string).collect();
            return Err(Failure::Usage(format!(
                "--shape {name}: the kernel has no input or axis of that name; it takes {}",
                if takes.is_empty() { "no input".into() } else { takes.join(", ") }
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
            let mut unknown = input.dims.iter().flatten().filter_map(symbol);
            Failure::Usage(match unknown.find(|name| !axes.contains_key(name)) {
                Some(axis) => {
                    format!("no size for axis {axis} of input {input}: give --shape {axis}=SIZE")
                }
                None => {
                    let name = &input.name;
                    format!("no shape for input {input}: give --shape {name}=SIZES")
                }
            })
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
