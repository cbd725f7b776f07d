//! Places along axes: labels and masks take no pass of their own.

use kiln::ir::{Array, eval};
use kiln::{CompileOptions, DType, Graph, Kernel, Mode, RunError, Tensor, View, compile_with};
use kiln_ir::parse;
use ndarray::{ArrayD, IxDyn};

/// Heads, and what is one kernel of them.
const KERNELS: &[(&str, &[&str])] = &[
    (
        "loss(x: f32[n, c], y: i64[n, 1])",
        &[
            "label_cross_entropy[-1](x, y)",
            "sum[-1](select(iota[-1](x) == y, logsumexp[-1](x) - x, 0))",
            "logsumexp[-1](x) - sum[-1](select(iota[-1](x) == y, x, 0))",
        ],
    ),
    ("loss_of(x: f32[n, c], y: i32[n, 1])", &["label_cross_entropy[-1](x * 2, y) / 3"]),
    ("nll(x: f32[n, c], y: i64[n, 1])", &["nll[1](x, y)"]),
    (
        "causal(s: f32[h, n, n], m: f32[n])",
        &[
            "softmax[-1](select(iota[-1](s) <= iota[-2](s), s, -inf))",
            "let t = s * 0.125 + m; softmax[-1](select(iota[-1](t) <= iota[-2](t), t, -inf))",
            "softmax_or_zero[-1](select(iota[2](s) < iota[1](s), s, -inf))",
        ],
    ),
    ("hot(y: i64[n])", &["one_hot[10](y)", "f32(one_hot[3](y)) * 0.9 + 0.1"]),
    (
        "ramp(x: f32[n, c])",
        &["x * f32(iota[-1](x))", "iota[-1](x)", "transpose(iota[0](x * 2)) + 1"],
    ),
    ("alibi(s: f32[n, c], h: f32[])", &["softmax[-1](s + h * f32(iota[-1](s) - iota[-2](s)))"]),
];

fn compiled(graph: &Graph, options: CompileOptions) -> Kernel {
    compile_with(graph, options).unwrap_or_else(|error| panic!("{graph}{error}"))
}

#[test]
fn labels_and_masks_are_one_kernel() {
    for (head, texts) in KERNELS {
        for text in *texts {
            let declared = format!("kernel {head} {{ {text} }}");
            let open = ["[n, c]", "[n, 1]", "[h, n, n]", "[n]"]
                .iter()
                .fold(declared.clone(), |text, shape| text.replace(shape, "[..]"));
            for text in [declared, open] {
                let graph = parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
                for mode in Mode::ALL {
                    let kernel = compiled(&graph, CompileOptions::new().mode(mode));
                    assert_eq!(kernel.pass_count(), 1, "{graph}{}", kernel.graph());
                    let fused = kernel.graph();
                    assert_eq!(parse(&fused.to_string()).unwrap(), fused.normalized(), "{fused}");
                }
            }
        }
    }
}

/// Places along an axis of what is computed of rows are those along that axis of the rows, declared or not.
#[test]
fn labels_of_what_is_computed_are_one_kernel() {
    let text = "kernel k(x: f32[n, c], y: i64[n, 1]) { nll[-1](log_softmax[-1](x), y) }";
    let open = "|x: f32[..], y: i64[..]| nll[-1](log_softmax[-1](x), y)";
    let first = "|x: f32[..], y: i64[..]| nll[0](log_softmax[0](x), y)";
    for text in [text, open, first] {
        let kernel = compiled(&parse(text).unwrap(), CompileOptions::new());
        assert_eq!(kernel.pass_count(), 1, "{}", kernel.graph());
    }
}

#[test]
fn kernels_are_pinned() {
    let text = |(head, texts): &(&str, &[&str])| {
        let graph = parse(&format!("kernel {head} {{ {} }}", texts[0])).unwrap();
        compiled(&graph, CompileOptions::new()).graph().to_string()
    };
    insta::assert_snapshot!(KERNELS.iter().map(text).collect::<Vec<_>>().join("\n"));
}

fn numbers(shape: &[usize]) -> ArrayD<f32> {
    let mut next = 0u32;
    ArrayD::from_shape_simple_fn(IxDyn(shape), || {
        next = next.wrapping_mul(1664525).wrapping_add(1013904223);
        (next >> 8) as f32 / (1 << 21) as f32 - 4.0
    })
}

/// Places below `size`, from either end.
fn places(shape: &[usize], size: usize) -> ArrayD<i64> {
    let mut next = 7u64;
    ArrayD::from_shape_simple_fn(IxDyn(shape), || {
        next = next.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((next >> 33) % size.max(1) as u64) as i64
    })
}

fn bits(tensor: &Tensor) -> Vec<u64> {
    match tensor {
        Tensor::F32(array) => {
            let bits = |x: &f32| if x.is_nan() { 1 } else { x.to_bits().into() };
            array.iter().map(bits).collect()
        }
        Tensor::I64(array) => array.iter().map(|&x| x as u64).collect(),
        Tensor::Bool(array) => array.iter().map(|&x| x.into()).collect(),
        _ => panic!("no text gives such a type"),
    }
}

/// Fused or not, on one thread or several, in any rank and layout: the same bits, those of the reference
/// where nothing rounds.
#[test]
fn the_same_bits_in_every_shape() {
    for text in [
        "select(iota[-1](x) <= iota[-2](x), x, -inf)",
        "let t = x * 0.5; softmax[-1](select(iota[-1](t) <= iota[-2](t), t, -inf))",
        "softmax[-2](select(iota[-1](x) <= iota[-2](x), x, -1))",
        "sum[0](x * f32(iota[1](x)))",
        "iota[-2](x) * 1000 + iota[-1](x)",
        "iota[-1](x)",
        "select(iota[-1](log_softmax[-1](x)) == 2, log_softmax[-1](x), x)",
        "iota[-1](x - sup[-1](x)) + iota[0](x * sum[0](x))",
        "iota[-1](x - sum[2](x)) * 3",
        "(iota[0](x), transpose(iota[-1](x) + 1), max(iota[-1](x), 3))",
        "slice[-1, ::-2](x + f32(iota[-1](x)))",
        "select(iota[-1, 5](x) == 3, iota[-2](x), 7)",
        "reshape[-1](iota[-1](x) + iota[-2](x))",
        "sum[..](iota[-1](x)) + iota[0](x)",
        "x + f32(iota[-1](concat[-1](x, x)) >= 0 and true)",
    ] {
        let Ok(graph) = parse(&format!("kernel k(x: f32[..]) {{ {text} }}")) else { continue };
        for shape in [
            &[3, 5][..],
            &[1, 1],
            &[0, 4],
            &[4, 0],
            &[70, 129],
            &[2, 3, 40],
            &[2, 1, 2, 3, 17],
            &[1, 3000],
        ] {
            let x = numbers(shape);
            let columns = x.t().as_standard_layout().into_owned();
            let unfused = compiled(&graph, CompileOptions::unfused());
            let expected = unfused.run(&[(&x).into()]);
            for threads in [1, 3] {
                let options = CompileOptions::new().mode(Mode::Strict).threads(threads);
                let kernel = compiled(&graph, options);
                for x in [x.view(), columns.view().reversed_axes()] {
                    let found = kernel.run(&[(&x).into()]);
                    match (&found, &expected) {
                        (Ok(found), Ok(expected)) => {
                            for (found, expected) in found.iter().zip(expected) {
                                assert_eq!(found.shape(), expected.shape(), "{text} of {shape:?}");
                                let same = bits(found) == bits(expected);
                                assert!(same, "{text} of {shape:?}: {found}, not {expected}");
                            }
                        }
                        (Err(_), Err(_)) => {}
                        _ => panic!("{text} of {shape:?}: {found:?}, not {expected:?}"),
                    }
                }
            }
        }
    }
}

#[test]
fn losses_are_those_of_the_reference() {
    for text in
        ["label_cross_entropy[-1](x, y)", "nll[-1](x, y)", "label_cross_entropy[1](x * 2, y)"]
    {
        let graph = parse(&format!("kernel k(x: f32[..], y: i64[..]) {{ {text} }}")).unwrap();
        for shape in [[3, 5], [1, 1], [0, 5], [70, 129], [5, 3000], [2000, 3]] {
            let (x, y) = (numbers(&shape), places(&[shape[0], 1], shape[1]));
            let arrays = [
                Array::new(
                    DType::F32,
                    shape.to_vec(),
                    x.iter().map(|&x| x.into()).collect::<Vec<f64>>(),
                ),
                Array::new(DType::I64, vec![shape[0], 1], y.iter().copied().collect::<Vec<i64>>()),
            ];
            let meant = eval(&graph, &arrays.map(Result::unwrap)).unwrap().remove(0);
            let unfused = compiled(&graph, CompileOptions::unfused());
            let expected = unfused.run(&[(&x).into(), (&y).into()]).unwrap().remove(0);
            for threads in [1, 3] {
                let options = CompileOptions::new().mode(Mode::Strict).threads(threads);
                let found = compiled(&graph, options).run(&[(&x).into(), (&y).into()]).unwrap();
                assert_eq!(bits(&found[0]), bits(&expected), "{text} of {shape:?}");
            }
            let found = expected.into_f32().unwrap();
            assert_eq!(found.shape(), meant.shape());
            let near = |(a, b): (&f32, &f64)| (f64::from(*a) - b).abs() <= 1e-5 * (1.0 + b.abs());
            assert!(found.iter().zip(meant.data()).all(near), "{text} of {shape:?}");
        }
    }
}

/// A label that is none is an error of the call, and nothing is written.
#[test]
fn labels_out_of_bounds() {
    for (text, outputs) in [
        ("label_cross_entropy[-1](x, y)", 1),
        ("(x @ x, nll[-1](x @ x, y))", 2),
        ("nll[-1](x, y + 0)", 1),
    ] {
        let graph = parse(&format!("kernel k(x: f32[..], y: i64[..]) {{ {text} }}")).unwrap();
        let x = numbers(&[3, 3]);
        for options in [CompileOptions::new(), CompileOptions::unfused()] {
            let kernel = compiled(&graph, options);
            for wrong in [3i64, -1, i64::MIN, i64::MAX] {
                let y = ArrayD::from_shape_vec(IxDyn(&[3, 1]), vec![0, wrong, 2]).unwrap();
                let error = kernel.run(&[(&x).into(), (&y).into()]).unwrap_err();
                let message = format!(
                    "labels: {wrong} is no place along axis 1, of size 3; they go from 0 to 2"
                );
                assert_eq!(error.to_string(), message);
                assert!(matches!(error, RunError::Place { axis: 1, size: 3, .. }));
                if text.contains("y + 0") {
                    continue;
                }
                let mut written = [ArrayD::zeros(IxDyn(&[3, 3])), ArrayD::zeros(IxDyn(&[3, 1]))];
                let mut written = written.iter_mut().skip(2 - outputs).collect::<Vec<_>>();
                let mut to =
                    written.iter_mut().map(|array| (&mut **array).into()).collect::<Vec<_>>();
                kernel.run_into(&[(&x).into(), (&y).into()], &mut to).unwrap_err();
                drop(to);
                assert!(written.iter().flat_map(|array| array.iter()).all(|&x: &f32| x == 0.0));
            }
        }
    }
}

/// Labels and arrays that do not fit.
#[test]
fn labels_of_other_shapes() {
    let graph =
        parse("kernel k(x: f32[..], y: i64[..]) { label_cross_entropy[-1](x, y) }").unwrap();
    let kernel = compiled(&graph, CompileOptions::new());
    let x = numbers(&[3, 4]);
    for (shape, reason) in [
        (
            &[3][..],
            "both must have the same number of axes; labels keep the axis, with size 1: add it by `unsqueeze[-1]`",
        ),
        (
            &[3, 4],
            "there is one label for each row, but axis 1 has size 4; labels are numbers, not one-hot rows",
        ),
        (&[2, 1], "axis 0 is 2 in one and 3 in the other; sizes must be equal, or one of them 1"),
    ] {
        let y = places(shape, 4);
        let error = kernel.run(&[(&x).into(), (&y).into()]).unwrap_err().to_string();
        let message =
            format!("label_cross_entropy: shapes {shape:?} and [3, 4] do not fit: {reason} (");
        assert!(error.starts_with(&message), "{error}");
    }
    // One label for all rows.
    let one = places(&[1, 1], 4);
    assert_eq!(kernel.run(&[(&x).into(), (&one).into()]).unwrap()[0].shape(), [3, 1]);
}

/// A plan for the sizes of a call reads places as the usual one does.
#[test]
fn text_of_a_plan_names_places() {
    let graph =
        parse("kernel k(s: f32[n, n]) { select(iota[-1](s) <= iota[-2](s), s, 0) }").unwrap();
    let kernel = compiled(&graph, CompileOptions::new());
    let s = numbers(&[3, 3]);
    let plan = kernel.plan_for(&[View::from(&s)]).unwrap().to_string();
    assert!(plan.contains("iota32[-1](s): i32[1, 3]"), "{plan}");
}
