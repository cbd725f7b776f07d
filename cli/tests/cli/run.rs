//! `kiln run` where it succeeds.

use super::Desk;
use ndarray::{Array, Array2, ArrayD, Ix2, IxDyn, ShapeBuilder, arr0, array};

const GELU: &str = "0.5*x*(1+tanh(0.7978845608*(x+0.044715*x^3)))";

fn ramp(shape: impl ShapeBuilder<Dim = Ix2>) -> Array2<f32> {
    let mut count = -1.0;
    Array::from_shape_simple_fn(shape, || {
        count += 1.0;
        count / 16.0 - 4.0
    })
}

fn gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + (0.7978845608 * (x + 0.044715 * x * x * x)).tanh())
}

/// Within 2e-7 of each value, or 1e-7.
#[track_caller]
fn assert_close(found: &ArrayD<f32>, x: &Array2<f32>) {
    assert_eq!(found.shape(), x.shape());
    for (&y, &x) in found.iter().zip(x) {
        let exact = gelu(x.into());
        let error = (f64::from(y) - exact).abs();
        assert!(error <= 1e-7 || error <= 2e-7 * exact.abs(), "gelu({x}) = {exact}, found {y}");
    }
}

#[test]
fn every_mode_and_emitter_and_unfused() {
    let desk = Desk::new();
    let x = ramp((8, 16));
    desk.save("x.npy", &x);
    let run = ["run", GELU, "-i", "x=x.npy", "-o", "y.npy"];
    for mode in ["strict", "precise", "fast"] {
        for emitter in ["auto", "interp", "cranelift"] {
            let line = desk.ok(&[&run[..], &["--mode", mode, "--emitter", emitter]].concat());
            assert!(line.starts_with("y.npy: f32[8, 16]; 1 kernel, "), "{line}");
            assert_close(&desk.load("y.npy"), &x);
        }
    }
    let line = desk.ok(&[&run[..], &["--unfused", "--emitter", "interp"]].concat());
    assert!(line.starts_with("y.npy: f32[8, 16]; 9 kernels, interp "), "{line}");
    assert_eq!(line.lines().count(), 1);
    assert_close(&desk.load("y.npy"), &x);
    desk.ok(&[&run[..], &["--threads", "3"]].concat());
    assert_close(&desk.load("y.npy"), &x);
}

#[test]
fn json_tells_what_was_run() {
    let desk = Desk::new();
    desk.save("x.npy", &array![1.5f64, -2.0, 0.25]);
    let kernel = "kernel step(x, w) { (x * w, x > w) }";
    let line = desk.ok(&["run", kernel, "x.npy", "2", "-o", "out.npz", "--json"]);
    let object: serde_json::Value = serde_json::from_str(&line).expect("an object");
    for (pointer, expected) in [
        ("/command", "run"),
        ("/kernel", "step"),
        ("/mode", "precise"),
        ("/inputs/1/name", "w"),
        ("/inputs/1/dtype", "f64"),
        ("/outputs/0/to", "out.npz:arr_0"),
        ("/outputs/1/dtype", "bool"),
    ] {
        assert_eq!(object.pointer(pointer).unwrap(), expected, "{pointer}: {line}");
    }
    assert_eq!(object["inputs"][0]["shape"], serde_json::json!([3]));
    assert_eq!(object["plan"]["steps"][0]["ops"], 6);
    assert!(object["run_ms"].as_f64() > Some(0.0), "{line}");
}

#[test]
fn f64_and_bool_files() {
    let desk = Desk::new();
    desk.save("x.npy", &array![1.5f64, -2.0, 0.25]);
    desk.save("m.npy", &array![true, false, true]);
    let line =
        desk.ok(&["run", "select(m, x, 1/x)", "-i", "m=m.npy", "-i", "x=x.npy", "-o", "y.npy"]);
    assert!(line.starts_with("y.npy: f64[3]; "), "{line}");
    assert_eq!(desk.load::<f64>("y.npy"), array![1.5, -0.5, 0.25].into_dyn());
    desk.ok(&["run", "!m | x > 1", "-i", "x=x.npy", "-i", "m=m.npy", "-o", "b.npy"]);
    assert_eq!(desk.load::<bool>("b.npy"), array![true, true, false].into_dyn());
}

#[test]
fn fortran_order_means_the_same() {
    let desk = Desk::new();
    let c = ramp((5, 7));
    let mut f = Array2::zeros((5, 7).f());
    f.assign(&c);
    desk.save("c.npy", &c);
    desk.save("f.npy", &f);
    desk.ok(&["run", "x * 2 + w", "-i", "x=c.npy", "-i", "w=f.npy", "-o", "y.npy"]);
    assert_eq!(desk.load::<f32>("y.npy"), (&c * 3.0).into_dyn());
    // Rank 1 and an empty array are in both orders at once.
    let mut m = Array2::from_elem((2, 3).f(), false);
    m[[0, 2]] = true;
    desk.save("m.npy", &m);
    desk.ok(&["run", "!m", "-i", "m=m.npy", "-o", "n.npy"]);
    assert_eq!(desk.load::<bool>("n.npy"), m.mapv(|m| !m).into_dyn());
}

#[test]
fn scalars_and_empty_arrays() {
    let desk = Desk::new();
    desk.save("s.npy", &arr0(3.0f32));
    desk.save("e.npy", &Array2::<f32>::zeros((0, 3)));
    desk.ok(&["run", "x + s", "-i", "x=e.npy", "-i", "s=s.npy", "-o", "y.npy"]);
    assert_eq!(desk.load::<f32>("y.npy").shape(), [0, 3]);
    desk.ok(&["run", "s * s", "-i", "s=s.npy", "-o", "y.npy"]);
    assert_eq!(desk.load::<f32>("y.npy"), ArrayD::from_elem(IxDyn(&[]), 9.0));
}

#[test]
fn several_outputs_and_an_input_as_output() {
    let desk = Desk::new();
    desk.save("x.npy", &array![1.0f32, 2.0, 3.0]);
    let line = desk.ok(&["run", "(x + 1, x > 1.5)", "-i", "x=x.npy", "-o", "x.npy", "-o", "b.npy"]);
    assert!(line.starts_with("x.npy: f32[3], b.npy: bool[3]; "), "{line}");
    assert_eq!(desk.load::<f32>("x.npy"), array![2.0, 3.0, 4.0].into_dyn());
    assert_eq!(desk.load::<bool>("b.npy"), array![false, true, true].into_dyn());
    assert_eq!(desk.names(), ["b.npy", "x.npy"]);
}

#[test]
fn kernels_from_files_names_and_after_dashes() {
    let desk = Desk::new();
    desk.save("x.npy", &array![[1.0f32, -2.0], [3.0, 4.0]]);
    desk.save("w.npy", &array![10.0f32, 100.0]);
    desk.write(
        "scale.kiln",
        "kernel scale(x: f32[n, d], w: f32[d]) -> f32[n, d] {\n    x * w\n}\n",
    );
    desk.ok(&["run", "scale.kiln", "-i", "w=w.npy", "-i", "x=x.npy", "-o", "y.npy"]);
    assert_eq!(desk.load::<f32>("y.npy"), array![[10.0, -200.0], [30.0, 400.0]].into_dyn());
    desk.ok(&["run", "@prelu", "-i", "x=x.npy", "-i", "weight=w.npy", "-o", "y.npy"]);
    assert_eq!(desk.load::<f32>("y.npy"), array![[1.0, -200.0], [3.0, 4.0]].into_dyn());
    desk.ok(&["run", "-i", "x=x.npy", "-o", "y.npy", "--", "-x"]);
    assert_eq!(desk.load::<f32>("y.npy"), array![[-1.0, 2.0], [-3.0, -4.0]].into_dyn());
    desk.ok(&["run", "pi * x", "-i", "x=x.npy", "-i", "pi=w.npy", "-o", "y.npy"]);
    assert_eq!(desk.load::<f32>("y.npy"), array![[10.0, -200.0], [30.0, 400.0]].into_dyn());
    let line = desk.ok(&["run", "x @ x", "-i", "x=x.npy", "-o", "y.npy"]);
    assert!(line.starts_with("y.npy: f32[2, 2]; 1 kernel, calls alone, "), "{line}");
    assert_eq!(desk.load::<f32>("y.npy"), array![[-5.0, -10.0], [15.0, 10.0]].into_dyn());
}

#[cfg(unix)]
#[test]
fn output_files_keep_their_permissions_and_links() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let desk = Desk::new();
    desk.save("x.npy", &array![1.0f32]);
    desk.write("y.npy", "old");
    std::fs::set_permissions(desk.path("y.npy"), PermissionsExt::from_mode(0o640)).unwrap();
    symlink("y.npy", desk.path("link.npy")).unwrap();
    desk.ok(&["run", "x + 1", "-i", "x=x.npy", "-o", "link.npy"]);
    assert_eq!(desk.load::<f32>("y.npy"), array![2.0].into_dyn());
    assert!(desk.path("link.npy").is_symlink());
    let mode = std::fs::metadata(desk.path("y.npy")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    desk.ok(&["run", "x + 1", "-i", "x=x.npy", "-o", "/dev/null"]);
}

/// Where no output is named, the results are printed, as `ndarray` shows them.
#[test]
fn results_are_printed() {
    let desk = Desk::new();
    assert_eq!(desk.ok(&["run", "sqrt(a*a + b*b)", "-i", "a=3", "-i", "b=4"]), "5\n");
    desk.save("x.npy", &array![[1.0f32, 2.0], [3.0, 4.5]]);
    let printed = desk.ok(&["run", "|x| (x * 2, x > 2)", "x.npy"]);
    assert_eq!(printed, "[[2, 4],\n [6, 9]]\n[[false, false],\n [true, true]]\n");
    desk.save("long.npy", &Array::<f64, _>::zeros(100_000));
    assert!(desk.ok(&["run", "x", "long.npy"]).len() < 1000);
    assert_eq!(desk.names(), ["long.npy", "x.npy"]);
}
