//! Files that are no arrays, or none that kernels take: each is an error, and nothing is touched.

use super::Desk;
use std::process::{Command, Stdio};

/// A file of format version 1.0.
fn npy(header: &str, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(header.len() + 1).expect("a short header");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(length.to_le_bytes());
    bytes.extend(header.bytes());
    bytes.push(b'\n');
    bytes.extend(data);
    bytes
}

fn array(descriptor: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': {descriptor}, 'fortran_order': False, 'shape': {shape}, }}");
    npy(&header, data)
}

#[test]
fn bad_files() {
    let desk = Desk::new();
    let mut endless = b"\x93NUMPY\x02\x00".to_vec();
    endless.extend([0xff; 4]);
    let mut version = array("'<f4'", "(1,)", &[0; 4]);
    version[6] = 9;
    let many_axes = format!("({})", "1, ".repeat(65));
    let files: Vec<(&str, Vec<u8>)> = vec![
        ("empty", vec![]),
        ("text", b"1.0, 2.0, 3.0\n".to_vec()),
        ("magic-only", b"\x93NUMPY\x01\x00".to_vec()),
        ("cut-header", array("'<f4'", "(1,)", &[])[..30].to_vec()),
        ("endless-header", endless),
        ("version-9", version),
        ("no-dict", npy("[1, 2]", &[])),
        ("not-python", npy("{'descr': ", &[])),
        ("deep", npy(&"[".repeat(60_000), &[])),
        ("no-shape", npy("{'descr': '<f4', 'fortran_order': False}", &[])),
        ("negative", array("'<f4'", "(-1,)", &[])),
        ("huge", array("'<f4'", "(1099511627776,)", &[0; 4])),
        ("overflow", array("'<f8'", "(9223372036854775807, 9223372036854775807, 16)", &[])),
        ("huge-but-empty", array("'<f4'", "(9223372036854775807, 9, 0)", &[])),
        ("over-64-bits", array("'<f4'", "(99999999999999999999999,)", &[])),
        ("many-axes", array("'<f4'", &many_axes, &[0; 4])),
        ("truncated", array("'<f4'", "(2, 3)", &[0; 20])),
        ("longer", array("'<f4'", "(2, 3)", &[0; 25])),
        ("int16", array("'<i2'", "(1,)", &[0; 2])),
        ("uint64", array("'<u8'", "(1,)", &[0; 8])),
        ("big-endian", array("'>f4'", "(1,)", &[0; 4])),
        ("brain", array("'|V2'", "(2,)", &[0; 4])),
        ("complex", array("'<c8'", "(1,)", &[0; 8])),
        ("empty-dtype", array("''", "(1,)", &[0; 8])),
        ("number-dtype", array("4", "(1,)", &[0; 8])),
        ("object", array("'|O'", "(1,)", &[0; 8])),
        ("record", array("[('a', '<f4'), ('b', '<i4')]", "(1,)", &[0; 8])),
        ("no-bool", array("'|b1'", "(3,)", &[0, 1, 2])),
    ];
    desk.write("y.npy", "precious");
    let mut transcript = String::new();
    for (name, bytes) in files {
        let file = format!("{name}.npy");
        desk.write(&file, bytes);
        let input = format!("x={file}");
        transcript += &desk.transcript(&[&["run", "x", "-i", &input, "-o", "y.npy"]]);
        std::fs::remove_file(desk.path(&file)).unwrap();
    }
    insta::assert_snapshot!("bad_files", transcript);
    assert_eq!(std::fs::read(desk.path("y.npy")).unwrap(), b"precious");
    assert_eq!(desk.names(), ["y.npy"]);
}

/// Half-precision files are read and written, byte for byte as NumPy does.
#[test]
fn halves() {
    let desk = Desk::new();
    let bytes = |bits: [u16; 3]| bits.map(u16::to_le_bytes).concat();
    // 1, -1.5 and the smallest subnormal; their squares.
    desk.write("x.npy", array("'<f2'", "(3,)", &bytes([0x3c00, 0xbe00, 0x0001])));
    let output = desk.command(&["run", "f16(x * x)", "-i", "x=x.npy", "-o", "y.npy"]).output();
    assert!(output.unwrap().status.success());
    let written = std::fs::read(desk.path("y.npy")).unwrap();
    assert!(written.starts_with(b"\x93NUMPY"));
    let header = String::from_utf8_lossy(&written);
    assert!(header.contains("'descr': '<f2'") && header.contains("'shape': (3,)"), "{header}");
    assert!(written.ends_with(&bytes([0x3c00, 0x4080, 0x0000])));

    let args = ["run", "bf16(x)", "-i", "x=x.npy", "-o", "z.npy"];
    let output = desk.command(&args).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains("NumPy has no bf16"), "{message}");
    assert_eq!(desk.names(), ["x.npy", "y.npy"]);
}

/// Files of integers are read and written, byte for byte as NumPy does.
#[test]
fn integers() {
    let desk = Desk::new();
    desk.write("a.npy", array("'|u1'", "(3,)", &[1, 200, 255]));
    desk.write(
        "b.npy",
        array("'<i4'", "(3,)", &[1i32, -7, i32::MAX].map(i32::to_le_bytes).concat()),
    );
    let large = [1i64, -(1 << 40), i64::MAX];
    desk.write("c.npy", array("'<i8'", "(3,)", &large.map(i64::to_le_bytes).concat()));
    let inputs = ["-i", "a=a.npy", "-i", "b=b.npy", "-i", "c=c.npy"];
    let outputs = ["-o", "x.npy", "-o", "y.npy", "-o", "z.npy"];
    let args = [&["run", "(a + 1, b * i32(a), c + b)"][..], &inputs, &outputs].concat();
    let output = desk.command(&args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(desk.load::<u8>("x.npy"), ndarray::array![2, 201, 0].into_dyn());
    let products = ndarray::array![1, -1400, i32::MAX.wrapping_mul(255)];
    assert_eq!(desk.load::<i32>("y.npy"), products.into_dyn());
    let sums = ndarray::array![2, -(1 << 40) - 7, i64::MAX.wrapping_add(i32::MAX.into())];
    assert_eq!(desk.load::<i64>("z.npy"), sums.into_dyn());
}

/// What is not on a disk has no length to check.
#[cfg(unix)]
#[test]
fn pipes() {
    let desk = Desk::new();
    let run = |bytes: &[u8]| {
        desk.write("x.npy", bytes);
        let file = std::fs::File::open(desk.path("x.npy")).unwrap();
        let mut cat = Command::new("cat").stdin(file).stdout(Stdio::piped()).spawn().unwrap();
        let mut command = desk.command(&["run", "x + 1", "-i", "x=/dev/stdin", "-o", "y.npy"]);
        let output = command.stdin(cat.stdout.take().unwrap()).output().unwrap();
        cat.wait().unwrap();
        output
    };
    assert!(run(&array("'<f4'", "(2,)", &[0; 8])).status.success());
    assert_eq!(desk.load::<f32>("y.npy"), ndarray::array![1.0, 1.0].into_dyn());
    let output = run(&array("'<f4'", "(3,)", &[0; 8]));
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(message, "error: /dev/stdin: the file is truncated\n");
}

/// A sparse file can hold more than memory does.
#[cfg(target_os = "linux")]
#[test]
fn more_than_memory_is_an_error() {
    let overcommit = std::fs::read_to_string("/proc/sys/vm/overcommit_memory");
    if !overcommit.is_ok_and(|policy| policy.trim() != "1") {
        return; // This system promises memory that it does not have.
    }
    let desk = Desk::new();
    let elements = 1u64 << 40;
    let header = array("'<f4'", &format!("({elements},)"), &[]);
    desk.write("x.npy", &header);
    let file = std::fs::File::options().write(true).open(desk.path("x.npy")).unwrap();
    if file.set_len(header.len() as u64 + 4 * elements).is_err() {
        return; // The file system has no files so long.
    }
    let transcript = desk.transcript(&[&["run", "2 * x", "-i", "x=x.npy", "-o", "y.npy"]]);
    insta::assert_snapshot!("more_than_memory", transcript);
}
