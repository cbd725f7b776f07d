//! Every message of a command that fails.

use super::Desk;
use ndarray::array;

fn desk() -> Desk {
    let desk = Desk::new();
    desk.save("x.npy", &array![[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    desk.save("x64.npy", &array![1.0f64, 2.0]);
    desk.save("b.npy", &array![true, false]);
    desk.write(
        "scale.kiln",
        "kernel scale(x: f32[n, d], w: f32[d]) -> f32[n, d] {\n    x * w\n}\n",
    );
    desk.write("wrong.kiln", "# A comment\nkernel wrong(x: f32[n]) {\n    x * y\n}\n");
    desk
}

#[test]
fn kernels() {
    let transcript = desk().transcript(&[
        &["explain", "0.5 * gleu(x)"],
        &["explain", "x +"],
        &["explain", ""],
        &["explain", "wrong.kiln"],
        &["explain", "absent.kiln"],
        &["explain", "@gelu_than"],
        &["explain", "@"],
        &["bench", "mish"],
        &["run", "exp", "-i", "x=x.npy", "-o", "y.npy"],
        &["explain", "x & y"],
        &["explain", "-x"],
    ]);
    insta::assert_snapshot!("kernels", transcript);
}

#[test]
fn flags() {
    let transcript = desk().transcript(&[
        &["fuse", "x"],
        &["run"],
        &["run", "x", "-i", "x=x.npy", "--json"],
        &["run", "x", "-i", "x.npy", "-o", "y.npy"],
        &["run", "x", "-i", "x=x.npy", "-o", "y.npy", "--mode", "exact"],
        &["run", "x", "-i", "x=x.npy", "-o", "y.npy", "--threads", "0"],
        &["explain", "x", "--stage", "llvm"],
        &["explain", "x", "--dtype", "i16"],
    ]);
    insta::assert_snapshot!("flags", transcript);
}

#[test]
fn runs() {
    let desk = desk();
    let transcript = desk.transcript(&[
        &["run", "x * w + bias", "-i", "x=x.npy", "-o", "y.npy"],
        &["run", "scale.kiln", "-o", "y.npy"],
        &["run", "x * w", "-i", "x=x.npy", "-i", "W=x.npy", "-o", "y.npy"],
        &["run", "2 * x", "-i", "x=x.npy", "-i", "pi=x.npy", "-o", "y.npy"],
        &["run", "x", "-i", "x=x.npy", "-i", "x=x64.npy", "-o", "y.npy"],
        &["run", "(x, 2 * x)", "-i", "x=x.npy", "-o", "y.npy"],
        &["run", "x", "-i", "x=x.npy", "-o", "y.npy", "-o", "z.npy"],
        &["run", "(x, 2 * x)", "-i", "x=x.npy", "-o", "y.npy", "-o", "y.npy"],
        &["run", "(x, 2 * x)", "-i", "x=x.npy", "-o", "y.npy", "-o", "./y.npy"],
        &["run", "x", "-i", "x=absent.npy", "-o", "y.npy"],
        &["run", "x", "x=3"],
        &["run", "x", "-i", "x=x.npy", "-o", "absent/y.npy"],
        &["run", "(x, 2 * x)", "-i", "x=x.npy", "-o", "y.npy", "-o", "absent/z.npy"],
        &["run", "x", "-i", "x=x.npy", "-o", "."],
        &["run", "scale.kiln", "-i", "x=x.npy", "-i", "w=x64.npy", "-o", "y.npy"],
        &["run", "scale.kiln", "-i", "x=x.npy", "-i", "w=x.npy", "-o", "y.npy"],
        &["run", "x + y", "-i", "x=x.npy", "-i", "y=x64.npy", "-o", "y.npy"],
        &["run", "x + b", "-i", "x=x.npy", "-i", "b=b.npy", "-o", "y.npy"],
        &["run", "x @ y", "-i", "x=x.npy", "-i", "y=x.npy", "-o", "y.npy"],
    ]);
    insta::assert_snapshot!("runs", transcript);
    assert_eq!(desk.names(), ["b.npy", "scale.kiln", "wrong.kiln", "x.npy", "x64.npy"]);
}

#[test]
fn benches() {
    let transcript = desk().transcript(&[
        &["bench", "x", "--shape", "n"],
        &["bench", "x", "--shape", "n=0"],
        &["bench", "x", "--shape", "n=4k"],
        &["bench", "x", "--shape", "n=4,n=5"],
        &["bench", "scale.kiln", "--shape", "n=4"],
        &["bench", "scale.kiln", "--sizes", "4"],
        &["bench", "scale.kiln", "--shape", "n=4,d=2,k=3"],
        &["bench", "x", "--shape", "n=9223372036854775807,m=2"],
        &["bench", "x", "--shape", "n=1024Gi"],
        &["bench", "x @ y", "--shape", "n=2,m=3"],
        &["bench", "kernel f(x: f32[0]) { x }", "--shape", "n=3"],
        &["bench", "kernel f(x: f32[0]) { x }"],
        &["bench", "1 + 1"],
        &["bench", "x", "--sizes", "0"],
        &["bench", "x", "--sizes", "8..4"],
        &["bench", "x", "--sizes", "many"],
        &["bench", "--suite", "columns"],
        &["bench", "--suite", "layers", "--shape", "n=4"],
        &["bench", "--suite", "axes", "--only", "sofmax"],
        &["bench", "--suite", "axes", "--only", "of 3 x 3", "--part", "50/50"],
        &["bench", "--suite", "axes", "--part", "5/4"],
        &["bench", "--suite", "axes", "--plot", "axes.svg"],
        &["bench", "x", "--part", "1/4"],
        &["bench", "--suite", "matmul", "--sizes", "1Gi"],
        &["bench"],
        &["bench", "x @ w", "--shape", "n=2", "--bind=w,v"],
        &["bench", "--sweep", "--bind", "x"],
        &["bench", "--sweep", "--suite", "all"],
        &["bench", "x", "--up-to", "8"],
        &["bench", "x", "--fail-above", "1.05"],
        &["bench", "x", "--compare", "old.json", "--fail-above", "0.9"],
        &["bench", "x", "--compare", "absent.json"],
        &["bench", "x", "--json", "--markdown"],
    ]);
    insta::assert_snapshot!("benches", transcript);
}
