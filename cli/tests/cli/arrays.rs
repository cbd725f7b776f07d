//! Inputs and outputs of `kiln run` that are no `.npy` files: pipes, numbers, archives, and arrays
//! of other byte orders.

use super::{Desk, npy};
use ndarray::{ArrayD, array};
use std::io::{Read, Write};
use std::process::{Output, Stdio};

/// A desk with `x.npy`, and what NumPy's `savez_compressed` and `savez` wrote: `packed.npz` with
/// x, w, f (x in Fortran order) and big (5000 big-endian twos), and `plain.npz` with x.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.save("x.npy", &x());
    desk.write("packed.npz", include_bytes!("data/packed.npz"));
    desk.write("plain.npz", include_bytes!("data/plain.npz"));
    desk
}

fn x() -> ndarray::Array2<f32> {
    array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
}

/// Runs a command that reads `input`.
fn piped(desk: &Desk, args: &[&str], input: &[u8]) -> Output {
    let mut command = desk.command(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // One that does not read all of it has its reason.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

/// The entries of an archive, which are not packed.
fn entries(file: &[u8]) -> Vec<(String, Vec<u8>)> {
    let archive = rawzip::ZipArchive::from_slice(file).unwrap();
    let entry = |entry: Result<rawzip::ZipFileHeaderRecord<'_>, rawzip::Error>| {
        let entry = entry.unwrap();
        let name = String::from_utf8(entry.file_path().as_ref().to_vec()).unwrap();
        let place = archive.get_entry(entry.wayfinder()).unwrap();
        let mut bytes = Vec::new();
        place.verifying_reader(place.data()).read_to_end(&mut bytes).unwrap();
        (name, bytes)
    };
    archive.entries().map(entry).collect()
}

#[test]
fn arrays_go_through_pipes() {
    let desk = desk();
    let first = desk.output(&["run", "x + 1", "-i", "x=x.npy", "-o", "-"]);
    let summary = String::from_utf8_lossy(&first.stderr);
    assert!(summary.starts_with("-: f32[2, 3]; 1 kernel, "), "{summary}");
    assert_eq!(npy::decode::<f32>(&first.stdout), (x() + 1.0).into_dyn());
    let second = piped(&desk, &["run", "x * 2", "-i", "x=-", "-o", "-", "-q"], &first.stdout);
    assert_eq!(String::from_utf8_lossy(&second.stderr), "");
    assert_eq!(npy::decode::<f32>(&second.stdout), ((x() + 1.0) * 2.0).into_dyn());
    // And beside files.
    let args = ["run", "(a + b, a)", "-i", "a=-", "-i", "b=x.npy", "-o", "-", "-o", "y.npy"];
    let both = piped(&desk, &args, &first.stdout);
    assert_eq!(npy::decode::<f32>(&both.stdout), (x() * 2.0 + 1.0).into_dyn());
    assert_eq!(desk.load::<f32>("y.npy"), (x() + 1.0).into_dyn());
}

#[test]
fn numbers_have_the_type_of_the_arrays() {
    let desk = desk();
    desk.save("d.npy", &array![0.5f64, 1.5]);
    desk.save("i.npy", &array![1i64, 2]);
    desk.save("m.npy", &array![true, false]);
    let run = |kernel: &str, inputs: &[&str]| {
        let inputs: Vec<&str> = inputs.iter().flat_map(|input| ["-i", *input]).collect();
        desk.ok(&[&["run", kernel, "-o", "y.npy"], &inputs[..]].concat());
    };
    run("x * w", &["x=x.npy", "w=0.1"]);
    assert_eq!(desk.load::<f32>("y.npy"), (x() * 0.1f32).into_dyn());
    run("x * w", &["x=d.npy", "w=0.1"]);
    assert_eq!(desk.load::<f64>("y.npy"), array![0.5 * 0.1, 1.5 * 0.1].into_dyn());
    run("x * w", &["x=i.npy", "w=-3"]);
    assert_eq!(desk.load::<i64>("y.npy"), array![-3, -6].into_dyn());
    run("select(m, x, w)", &["m=m.npy", "x=d.npy", "w=inf"]);
    assert_eq!(desk.load::<f64>("y.npy"), array![0.5, f64::INFINITY].into_dyn());
    run("select(on, x, -x)", &["on=true", "x=d.npy"]);
    assert_eq!(desk.load::<f64>("y.npy"), array![0.5, 1.5].into_dyn());
    // The first type that fits.
    run("f64(n << s) * x", &["n=i.npy", "s=2", "x=d.npy"]);
    assert_eq!(desk.load::<f64>("y.npy"), array![2.0, 12.0].into_dyn());
    run("kernel f(x: f32[..], n: i32) { x * f32(n) }", &["x=x.npy", "n=7"]);
    assert_eq!(desk.load::<f32>("y.npy"), (x() * 7.0).into_dyn());
    // Without an array.
    run("a / b", &["a=1", "b=3"]);
    assert_eq!(desk.load::<f32>("y.npy"), ArrayD::from_elem(vec![], 1.0f32 / 3.0));
    desk.ok(&["run", "a / b", "-i", "a=1", "-i", "b=3", "--dtype", "f64", "-o", "y.npy"]);
    assert_eq!(desk.load::<f64>("y.npy"), ArrayD::from_elem(vec![], 1.0f64 / 3.0));
    // A file whose name is a number.
    desk.save("3", &array![1.0f32]);
    run("x + 1", &["x=./3"]);
    assert_eq!(desk.load::<f32>("y.npy"), array![2.0].into_dyn());
}

#[test]
fn inputs_in_a_plain_order_need_no_names() {
    let desk = desk();
    desk.ok(&["run", "x * x", "x.npy", "-o", "y.npy"]);
    assert_eq!(desk.load::<f32>("y.npy"), (x() * x()).into_dyn());
    let kernel = "# A step.\nkernel step(p, lr, g) { p - lr * g }";
    desk.ok(&["run", kernel, "x.npy", "-0.5", "plain.npz", "-o", "y.npy", "-q"]);
    assert_eq!(desk.load::<f32>("y.npy"), (x() * 1.5).into_dyn());
    desk.ok(&["run", "|p, lr, g| p - lr * g", "x.npy", "0.5", "x.npy", "-o", "y.npy"]);
    assert_eq!(desk.load::<f32>("y.npy"), (x() * 0.5).into_dyn());
    desk.ok(&["run", "@prelu", "-o", "y.npy", "x.npy", "-i", "weight=0"]);
    assert_eq!(desk.load::<f32>("y.npy"), x().into_dyn());
    desk.ok(&["run", "x * w", "x.npy", "-i", "w=2", "-o", "y.npy"]);
    assert_eq!(desk.load::<f32>("y.npy"), (x() * 2.0).into_dyn());
}

#[test]
fn archives_of_numpy_are_read() {
    let desk = desk();
    for (input, expected) in [
        ("a=packed.npz:x", x()),
        ("a=packed.npz:f", x()),
        ("x=packed.npz", x()),
        ("only=plain.npz", x()),
    ] {
        let name = input.split('=').next().unwrap();
        desk.ok(&["run", &format!("{name} * 2"), "-i", input, "-o", "y.npy"]);
        assert_eq!(desk.load::<f32>("y.npy"), (expected * 2.0).into_dyn(), "{input}");
    }
    desk.ok(&["run", "a + 1", "-i", "a=packed.npz:big", "-o", "y.npy"]);
    assert_eq!(desk.load::<f64>("y.npy"), ArrayD::from_elem(vec![5000], 3.0));
    // All that the kernel wants; what has a name of its own goes before.
    desk.ok(&["run", "x * w", "-i", "packed.npz", "-o", "y.npy"]);
    assert_eq!(desk.load::<f32>("y.npy"), (x() * array![10.0, 20.0, 30.0]).into_dyn());
    desk.ok(&["run", "x * w", "-i", "packed.npz", "-i", "w=1", "-o", "y.npy"]);
    assert_eq!(desk.load::<f32>("y.npy"), x().into_dyn());
}

#[test]
fn several_outputs_go_into_one_archive() {
    let desk = desk();
    let line = desk.ok(&["run", "(x + 1, x > 2)", "x.npy", "-o", "out.npz"]);
    assert!(
        line.starts_with("out.npz:arr_0: f32[2, 3], out.npz:arr_1: bool[2, 3]; 1 kernel"),
        "{line}"
    );
    let named = ["-o", "named.npz:up", "-o", "y.npy", "-o", "named.npz:high"];
    desk.ok(&[&["run", "(x + 1, x, x > 2)", "x.npy"][..], &named].concat());
    for (file, names) in
        [("out.npz", ["arr_0.npy", "arr_1.npy"]), ("named.npz", ["up.npy", "high.npy"])]
    {
        let [(first, up), (second, high)] =
            <[_; 2]>::try_from(entries(&std::fs::read(desk.path(file)).unwrap())).unwrap();
        assert_eq!([&first[..], &second], names);
        assert_eq!(npy::decode::<f32>(&up), (x() + 1.0).into_dyn());
        assert_eq!(npy::decode::<bool>(&high), x().mapv(|x| x > 2.0).into_dyn());
    }
    assert_eq!(desk.load::<f32>("y.npy"), x().into_dyn());
    // What was written is read, and may be replaced by what it became.
    desk.ok(&["run", "up - 1", "-i", "named.npz", "-o", "named.npz"]);
    desk.ok(&["run", "x", "named.npz", "-o", "y.npy"]);
    assert_eq!(desk.load::<f32>("y.npy"), x().into_dyn());
    assert_eq!(desk.names(), ["named.npz", "out.npz", "packed.npz", "plain.npz", "x.npy", "y.npy"]);
}

#[test]
fn big_endian_arrays_are_converted() {
    let desk = desk();
    let array = |descr: &str, data: &[u8]| {
        npy::file(&format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (2,), }}"), data)
    };
    let run = |file: &[u8], kernel: &str| {
        desk.write("b.npy", file);
        desk.ok(&["run", kernel, "b.npy", "-o", "y.npy"]);
    };
    run(&array(">f4", &[1.5f32, -2.0].map(f32::to_be_bytes).concat()), "x");
    assert_eq!(desk.load::<f32>("y.npy"), array![1.5, -2.0].into_dyn());
    run(&array(">f8", &[1.5f64, -2.0].map(f64::to_be_bytes).concat()), "x");
    assert_eq!(desk.load::<f64>("y.npy"), array![1.5, -2.0].into_dyn());
    run(&array(">i4", &[7i32, -9].map(i32::to_be_bytes).concat()), "x");
    assert_eq!(desk.load::<i32>("y.npy"), array![7, -9].into_dyn());
    run(&array(">i8", &[1i64 << 40, -9].map(i64::to_be_bytes).concat()), "x");
    assert_eq!(desk.load::<i64>("y.npy"), array![1 << 40, -9].into_dyn());
    // 1.5 and -2 in half precision.
    run(&array(">f2", &[0x3e, 0x00, 0xc0, 0x00]), "f32(x)");
    assert_eq!(desk.load::<f32>("y.npy"), array![1.5, -2.0].into_dyn());
}

#[test]
fn what_is_no_input() {
    let desk = desk();
    desk.save("i.npy", &array![1i64, 2]);
    desk.write("text.npz", "text");
    desk.write("empty.npz", "PK\x05\x06".to_owned() + &"\0".repeat(18));
    let mut broken = include_bytes!("data/plain.npz").to_vec();
    let elements = broken.windows(4).position(|bytes| bytes == 6f32.to_le_bytes()).unwrap();
    broken[elements] ^= 1;
    desk.write("broken.npz", broken);
    let mut cut = include_bytes!("data/packed.npz").to_vec();
    cut.truncate(600);
    desk.write("cut.npz", cut);
    let before = desk.names();
    let transcript = desk.transcript(&[
        &["run", "x * w", "-i", "x=i.npy", "-i", "w=3.5", "-o", "y.npy"],
        &["run", "x * w", "-i", "x=x.npy", "-i", "w=1e60", "-o", "y.npy"],
        &["run", "x * w", "-i", "x=x.npy", "-i", "w=1e-60", "-o", "y.npy"],
        &["run", "kernel f(x, w: f32) { x * w }", "x.npy", "true", "-o", "y.npy"],
        &["run", "kernel f(x: u8) { x }", "256", "-o", "y.npy"],
        &["run", "kernel f(m: bool) { !m }", "1", "-o", "y.npy"],
        &["run", "kernel f(x: f32[n], w) { x * w }", "3", "4", "-o", "y.npy"],
        &["run", "a * b", "x.npy", "x.npy", "-o", "y.npy"],
        &["run", "x", "x.npy", "3", "-o", "y.npy"],
        &["run", "a * b", "-i", "a=-", "-i", "b=-", "-o", "y.npy"],
        &["run", "x", "-i", "x=packed.npz:y", "-o", "y.npy"],
        &["run", "y", "-i", "y=packed.npz", "-o", "y.npy"],
        &["run", "x * y", "-i", "packed.npz", "-o", "y.npy"],
        &["run", "x", "-i", "packed.npz", "-i", "plain.npz", "-o", "y.npy"],
        &["run", "x", "-i", "text.npz", "-o", "y.npy"],
        &["run", "x", "empty.npz", "-o", "y.npy"],
        &["run", "x", "broken.npz", "-o", "y.npy"],
        &["run", "x", "cut.npz", "-o", "y.npy"],
        &["run", "(x, x)", "x.npy", "-o", "out.npz:a", "-o", "out.npz:a"],
        &["run", "(x, x)", "x.npy", "-o", "out.npz:a", "-o", "./out.npz:b"],
        &["run", "x", "x.npy", "-o", "out.npz:"],
        &["run", "(x, x)", "x.npy", "-o", "-", "-o", "-"],
        &["run", "bf16(x)", "x.npy", "-o", "out.npz"],
    ]);
    insta::assert_snapshot!("no_input", transcript);
    assert_eq!(desk.names(), before);
}

/// An archive on its way to its place is as any other file.
#[cfg(unix)]
#[test]
fn an_archive_that_does_not_fit_leaves_nothing() {
    let desk = desk();
    let full = desk.output(&["run", "(x, x > 1)", "x.npy", "-o", "link.npz"]);
    assert!(full.status.success());
    std::fs::remove_file(desk.path("link.npz")).unwrap();
    std::os::unix::fs::symlink("/dev/full", desk.path("link.npz")).unwrap();
    let fault = desk.transcript(&[&["run", "(x, x > 1)", "x.npy", "-o", "link.npz"]]);
    assert!(fault.contains("cannot write link.npz: No space left on device"), "{fault}");
}
