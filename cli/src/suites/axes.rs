//! Kernels with reductions, along every axis of many shapes.

use super::{Kernel, Shapes};

/// Each with what it computes of `x`, and maybe of `y`, along axis `A`.
const FORMULAS: [(&str, &str); 20] = [
    ("softmax", "softmax[A](x)"),
    ("layer norm", "layer_norm[A](x)"),
    ("RMS norm", "rms_norm[A](x)"),
    ("log-sum-exp", "logsumexp[A](x)"),
    ("norm", "norm[A](x)"),
    ("x / norm", "x / norm[A](x)"),
    ("cross-entropy", "-sum[A](y * log_softmax[A](x))"),
    ("mean and variance", "(mean[A](x), var[A](x))"),
    ("sum of exp(x)*y", "sum[A](exp(x) * y)"),
    ("cumsum * 2", "cumsum[A](x) * 2"),
    ("cumsum of exp(x), times y", "cumsum[A](exp(x)) * y"),
    ("cumsum of softmax", "cumsum[A](softmax[A](x))"),
    ("cumsum / sum", "cumsum[A](x) / sum[A](x)"),
    ("sum and argmax", "(sum[A](x), argmax[A](x))"),
    ("argmax of x*2 + y", "argmax[A](x*2 + y)"),
    ("softmax and log-sum-exp", "(softmax[A](x), logsumexp[A](x))"),
    ("x - max", "x - max[A](x)"),
    ("deviation", "std[A](x)"),
    ("x + sum", "x + sum[A](x)"),
    ("max of |x - y|", "max[A](abs(x - y))"),
];

/// Few rows and many, short ones and long, from a single element to more than the caches hold.
const SHAPES: [&[usize]; 44] = [
    &[1, 1],
    &[1, 7],
    &[7, 1],
    &[3, 3],
    &[1, 64],
    &[64, 1],
    &[8, 8],
    &[16, 16],
    &[4, 100],
    &[100, 4],
    &[32, 64],
    &[64, 32],
    &[3, 1000],
    &[1000, 3],
    &[1, 4096],
    &[4096, 1],
    &[64, 64],
    &[100, 100],
    &[1000, 16],
    &[16, 1000],
    &[256, 256],
    &[2000, 64],
    &[64, 2000],
    &[1, 100_000],
    &[100_000, 1],
    &[10_000, 8],
    &[8, 10_000],
    &[1024, 1024],
    &[65_536, 4],
    &[4, 65_536],
    &[65_536, 64],
    &[64, 65_536],
    &[4096, 1024],
    &[1_000_000, 4],
    &[4, 1_000_000],
    &[2, 3, 4],
    &[4, 8, 16],
    &[16, 64, 64],
    &[100, 3, 50],
    &[2000, 63, 2],
    &[2000, 13, 4],
    &[300, 40, 8],
    &[64, 16, 1024],
    &[8, 1024, 64],
];

/// All formulas along each axis of each shape. They declare no shape, as most kernels do.
pub(super) fn axes() -> Vec<Kernel> {
    let along = |shape: &'static [usize], axis: usize| {
        FORMULAS.iter().map(move |(name, formula)| Kernel {
            name: format!("{name}, axis {axis} of {}", shown(shape)),
            text: formula.replace("[A]", &format!("[{axis}]")),
            shapes: Shapes::One(shape),
        })
    };
    let of = |shape: &&'static [usize]| {
        let shape = *shape;
        (0..shape.len()).flat_map(move |axis| along(shape, axis))
    };
    SHAPES.iter().flat_map(of).collect()
}

fn shown(shape: &[usize]) -> String {
    shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ")
}

#[cfg(test)]
mod tests {
    use super::{FORMULAS, Kernel, SHAPES, Shapes, axes};
    use crate::bench::{Difference, random};
    use kiln::{CompileOptions, DType, Mode, Tensor, View, compile_with, ir};
    use std::collections::{HashMap, HashSet};

    #[test]
    fn every_axis_of_every_shape_has_every_formula() {
        let kernels = axes();
        let axes_in_all: usize = SHAPES.iter().map(|shape| shape.len()).sum();
        assert_eq!(kernels.len(), FORMULAS.len() * axes_in_all);
        let names: HashSet<&str> = kernels.iter().map(|kernel| &kernel.name[..]).collect();
        assert_eq!(names.len(), kernels.len());
        assert_eq!(kernels[0].name, "softmax, axis 0 of 1 x 1");
        assert_eq!(kernels.last().unwrap().name, "max of |x - y|, axis 2 of 8 x 1024 x 64");
        let texts: HashSet<&str> = kernels.iter().map(|kernel| &kernel.text[..]).collect();
        assert_eq!(texts.len(), FORMULAS.len() * 3);
    }

    #[test]
    fn all_compile_and_strict_bits_are_unfused_bits() {
        /// Of arrays that are compared.
        const MOST: usize = 1000;
        let mut compiled = HashMap::new();
        let mut compared = 0;
        for Kernel { name, text, shapes } in axes() {
            let Shapes::One(shape) = shapes else { panic!("{name} has many shapes") };
            let (graph, fused, unfused) = compiled.entry(text.clone()).or_insert_with(|| {
                let f32s = |_: &str| Some((DType::F32, None));
                let graph = ir::parse_with(&text, f32s).unwrap_or_else(|e| panic!("{text}: {e}"));
                let [fused, unfused] = [CompileOptions::new(), CompileOptions::unfused()]
                    .map(|options| compile_with(&graph, options.mode(Mode::Strict)).unwrap());
                (graph, fused, unfused)
            });
            if shape.iter().product::<usize>() > MOST {
                continue;
            }
            let seeds = 1..=graph.inputs().len() as u64;
            let arrays: Vec<Tensor> =
                seeds.map(|seed| random(DType::F32, shape, seed).unwrap()).collect();
            let views: Vec<View<'_>> = arrays.iter().map(Tensor::view).collect();
            let [fused, unfused] = [fused, unfused].map(|kernel| kernel.run(&views).unwrap());
            let difference = Difference::of(&fused, &unfused);
            assert_eq!((difference.ulp, difference.most), (0, None), "{name}");
            compared += 1;
        }
        assert!(compared > 300, "{compared}");
    }
}
