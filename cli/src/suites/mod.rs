//! The suites of `kiln bench`: kernels that are measured together, and at which sizes.

mod axes;

use kiln::derived::DERIVED;

/// Kernels that are measured together.
pub(crate) struct Suite {
    pub(crate) name: &'static str,
    /// What it is, for `--help`.
    pub(crate) about: &'static str,
    /// What its sizes count.
    pub(crate) counts: &'static str,
    /// Sizes of a table, and those of a plot.
    pub(crate) sizes: &'static [usize],
    pub(crate) plotted: &'static [usize],
    pub(crate) shows: Shows,
    pub(crate) kernels: fn() -> Vec<Kernel>,
}

/// What it shows: all figures in a table and, over sizes, in a plot, or those that should not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shows {
    /// Nanoseconds for an element, fused and unfused, a chart for each kernel.
    Times,
    /// FLOPs a second, fused and unfused, a chart for each kernel.
    Flops,
    /// FLOPs a second, of all kernels in one chart: there is nothing to fuse.
    Products,
    /// What is slower fused than unfused, or gains least, in a table.
    Slowest,
}

/// A kernel of a suite.
pub(crate) struct Kernel {
    pub(crate) name: String,
    /// Its inputs are declared, `n` being the size, or they have all axes of its shape.
    pub(crate) text: String,
    pub(crate) shapes: Shapes,
}

/// The shapes that a kernel is measured at.
#[derive(Clone, Copy)]
pub(crate) enum Shapes {
    /// One for each size.
    Over {
        /// How much of the size makes one of `n`.
        row: usize,
        /// Its sizes of a table, if they are not those of its suite.
        sizes: Option<&'static [usize]>,
    },
    /// This one.
    One(&'static [usize]),
}

impl Shapes {
    /// Those of a kernel that declares `n`, or has so many elements.
    const OVER_N: Shapes = Shapes::Over { row: 1, sizes: None };
}

/// A suite is a row.
pub(crate) const SUITES: [Suite; 6] = [
    Suite {
        name: "elementwise",
        about: "activations, from an L1 cache to memory",
        counts: "elements",
        sizes: &[4 << 10, 256 << 10, 4 << 20],
        plotted: &[1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20],
        shows: Shows::Times,
        kernels: elementwise,
    },
    Suite {
        name: "matmul",
        about: "products of squares, and of a few rows with a square",
        counts: "n",
        sizes: &[64, 128, 256, 512, 1024, 2048],
        plotted: &[64, 128, 256, 512, 1024, 2048],
        shows: Shows::Products,
        kernels: matmul,
    },
    Suite {
        name: "layers",
        about: "linear layers with a bias and an activation, an MLP, a gated one (SwiGLU), causal attention, a \
                transformer block",
        counts: "rows",
        sizes: &[1, 16, 64, 256],
        plotted: &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512],
        shows: Shows::Flops,
        kernels: layers,
    },
    Suite {
        name: "rows",
        about: "softmax, norms and sums, of rows from 4 elements to 65536",
        counts: "elements",
        sizes: &[4 << 20],
        plotted: &[64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20],
        shows: Shows::Times,
        kernels: rows,
    },
    Suite {
        name: "derived",
        about: "every derived op",
        counts: "elements",
        sizes: &[4 << 20],
        plotted: &[4 << 10, 256 << 10, 4 << 20],
        shows: Shows::Times,
        kernels: derived,
    },
    Suite {
        name: "axes",
        about: "softmax, norms, sums and scans along every axis of many shapes: is fused ever slower than unfused?",
        counts: "elements",
        sizes: &[],
        plotted: &[],
        shows: Shows::Slowest,
        kernels: axes::axes,
    },
];

impl Suite {
    /// The suite of a name.
    pub(crate) fn find(name: &str) -> Option<&'static Suite> {
        SUITES.iter().find(|suite| suite.name == name)
    }

    /// Whether `all` has it: what takes a minute, not ten.
    pub(crate) fn is_short(&self) -> bool {
        self.shows != Shows::Slowest
    }
}

/// The columns of an elementwise kernel's rows, where it has some.
const ROW: usize = 1024;

fn elementwise() -> Vec<Kernel> {
    named(&[
        ("tanh-GELU", "gelu_tanh(x)"),
        ("erf-GELU", "gelu(x)"),
        ("SiLU", "silu(x)"),
        ("mish", "mish(x)"),
        ("softplus", "softplus(x)"),
        ("SELU", "selu(x)"),
    ])
    .into_iter()
    .chain([Kernel {
        name: "gelu(x*w+b)".into(),
        text: format!(
            "kernel f(x: f32[n, {ROW}], w: f32[{ROW}], b: f32[{ROW}]) {{ gelu_tanh(x*w + b) }}"
        ),
        shapes: Shapes::Over { row: ROW, sizes: None },
    }])
    .collect()
}

/// The first matrix has as many rows as the first number says, and columns as the second one; the
/// second matrix has columns as the third.
fn matmul() -> Vec<Kernel> {
    let skinny = |rows: usize| Kernel {
        name: format!("{rows} x n x n"),
        text: format!("kernel f(x: f32[{rows}, n], w: f32[n, n]) {{ x @ w }}"),
        shapes: Shapes::OVER_N,
    };
    let mut kernels = named(&[
        ("n x n x n", "kernel f(x: f32[n, n], w: f32[n, n]) { x @ w }"),
        ("n x 32 x n", "kernel f(x: f32[n, 32], w: f32[32, n]) { x @ w }"),
    ]);
    kernels.extend([1, 8, 32].map(skinny));
    kernels
}

fn layers() -> Vec<Kernel> {
    const LINEAR: &str = "x: f32[n, 1024], w: f32[1024, 1024], b: f32[1024]";
    let linear = |name: &str, activation: &str| Kernel {
        name: name.into(),
        text: format!("kernel f({LINEAR}) {{ {activation}(x @ w + b) }}"),
        shapes: Shapes::OVER_N,
    };
    let mut kernels = vec![linear("linear, GELU", "gelu_tanh"), linear("linear, ReLU", "relu")];
    kernels.extend(named(&[
        (
            "MLP, GELU",
            "kernel f(x: f32[n, 512], w: f32[512, 2048], b: f32[2048], v: f32[2048, 512], \
             c: f32[512]) { gelu_tanh(x @ w + b) @ v + c }",
        ),
        (
            "SwiGLU",
            "kernel f(x: f32[n, 512], gate: f32[512, 1376], up: f32[512, 1376], \
             down: f32[1376, 512]) { (silu(x @ gate) * (x @ up)) @ down }",
        ),
        ("attention", &attention()),
        ("block", &block()),
    ]));
    kernels
}

/// Of `n` tokens, each seeing itself and those before it: four heads of 64 elements, which are columns of
/// `q`, `k` and `v`. What is to stand before the result, whose heads are along its first axis, and that.
fn attend(qkv: [&str; 3]) -> [String; 2] {
    let [q, k, v] = qkv.map(|x| format!("swapaxes[0, 1](reshape[-1, 4, 64]({x}))"));
    [
        format!("let s = {q} @ swapaxes[-2, -1]({k}) * 0.125;"),
        format!("softmax[-1](select(iota[-2](s) >= iota[-1](s), s, -inf)) @ {v}"),
    ]
}

fn attention() -> String {
    let [scores, result] = attend(["q", "k", "v"]);
    format!("kernel f(q: f32[n, 256], k: f32[n, 256], v: f32[n, 256]) {{ {scores} {result} }}")
}

/// Norm, attention, residual; norm, MLP, residual.
fn block() -> String {
    let [scores, result] =
        attend(["slice[-1, 0:256](p)", "slice[-1, 256:512](p)", "slice[-1, 512:768](p)"]);
    format!(
        "kernel f(x: f32[n, 256], g: f32[256], c: f32[256], qkv: f32[256, 768], out: f32[256, 256], \
         h: f32[256], d: f32[256], up: f32[256, 1024], b: f32[1024], down: f32[1024, 256], \
         e: f32[256]) {{ let p = (layer_norm[-1](x) * g + c) @ qkv; {scores} let a = {result}; \
         let r = x + reshape[-1, 256](swapaxes[0, 1](a)) @ out; \
         r + gelu_tanh((layer_norm[-1](r) * h + d) @ up + b) @ down + e }}"
    )
}

/// Matrices of so many columns, each of as many rows as a size has; sums along either axis.
fn rows() -> Vec<Kernel> {
    /// Columns, and sizes that are not the suite's.
    type Columns = (usize, Option<&'static [usize]>);
    const FORMULAS: [(&str, &str, &str); 6] = [
        ("softmax", "", "softmax[-1](x)"),
        ("log_softmax", "", "log_softmax[-1](x)"),
        ("layer norm", ", w: f32[d], b: f32[d]", "layer_norm[-1](x) * w + b"),
        ("RMS norm", ", w: f32[d]", "rms_norm[-1](x) * w"),
        ("sum, axis 1", "", "sum[1](x)"),
        ("sum, axis 0", "", "sum[0](x)"),
    ];
    const COLUMNS: [Columns; 4] = [
        (1024, Some(&[4 << 10, 4 << 20])),
        (64, None),
        (65536, None),
        // A million rows.
        (4, Some(&[4_000_000])),
    ];
    let kernel = |(name, more, formula): (&str, &str, &str), (columns, sizes): Columns| {
        let weights = more.replace('d', &columns.to_string());
        Kernel {
            name: format!("{name}, n x {columns}"),
            text: format!("kernel f(x: f32[n, {columns}]{weights}) {{ {formula} }}"),
            shapes: Shapes::Over { row: columns, sizes },
        }
    };
    FORMULAS.iter().flat_map(|formula| COLUMNS.map(|columns| kernel(*formula, columns))).collect()
}

fn derived() -> Vec<Kernel> {
    let kernel =
        |name: &str| Kernel { name: name.into(), text: format!("@{name}"), shapes: Shapes::OVER_N };
    DERIVED.iter().map(|op| kernel(op.name)).collect()
}

fn named(rows: &[(&str, &str)]) -> Vec<Kernel> {
    let kernel = |(name, text): &(&str, &str)| Kernel {
        name: (*name).into(),
        text: (*text).into(),
        shapes: Shapes::OVER_N,
    };
    rows.iter().map(kernel).collect()
}
