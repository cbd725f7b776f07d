//! Files that are no arrays, or none that kernels take: each is an error, and nothing is touched.

use super::{Desk, npy};
use std::process::{Command, Stdio};

fn array(descriptor: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': {descriptor}, 'fortran_order': False, 'shape': {shape}, }}");
    npy::file(&header, data)
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
        ("no-dict", npy::file("[1, 2]", &[])),
        ("not-python", npy::file("{'descr': ", &[])),
        ("deep", npy::file(&"[".repeat(60_000), &[])),
        ("no-shape", npy::file("{'descr': '<f4', 'fortran_order': False}", &[])),
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
        ("big-endian-truncated", array("'>f4'", "(2,)", &[0; 4])),
        ("no-order", array("'|f4'", "(1,)", &[0; 4])),
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
        // Else the pipe has a reader that reads no more.
        drop(command);
        cat.wait().unwrap();
        output
    };
    assert!(run(&array("'<f4'", "(2,)", &[0; 8])).status.success());
    assert_eq!(desk.load::<f32>("y.npy"), ndarray::array![1.0, 1.0].into_dyn());
    for (shape, length, reason) in [
        ("(3,)", 8, "the file is truncated"),
        ("(2,)", 9, "1 bytes follow its array"),
        ("(2,)", 100_008, "100000 bytes follow its array"),
        ("(2,)", (1 << 25) + 8, "at least 16777216 bytes follow its array"),
    ] {
        let output = run(&array("'<f4'", shape, &vec![0; length]));
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(message, format!("error: /dev/stdin: {reason}\n"));
        assert_eq!(output.status.code(), Some(1));
    }
}

/// Brackets within brackets are told apart as fast as they are read.
#[test]
fn nested_brackets_in_a_header() {
    let desk = Desk::new();
    for depth in [2, 30, 1000] {
        for [open, close] in [["(", ")"], ["[", "]"], ["{", "}"], ["(1, ", ")"], ["[(", ")]"]] {
            let nested = open.repeat(depth) + &close.repeat(depth);
            for broken in ["", "x"] {
                let descr = array(&format!("{nested}{broken}"), "(1,)", &[0; 4]);
                let shape = array("'<f4'", &format!("{nested}{broken}"), &[0; 4]);
                let key = npy::file(&format!("{{{nested}{broken}: 1}}"), &[]);
                for bytes in [descr, shape, key, npy::file(&format!("{nested}{broken}"), &[])] {
                    desk.write("x.npy", bytes);
                    let output = desk.output(&["run", "x", "-i", "x=x.npy", "-o", "y.npy"]);
                    assert_eq!(output.status.code(), Some(1));
                    assert!(output.stderr.starts_with(b"error: x.npy: "), "{output:?}");
                }
            }
        }
    }
    assert_eq!(desk.names(), ["x.npy"]);
}

/// All three format versions, and what NumPy of Python 2 wrote.
#[test]
fn format_versions() {
    let desk = Desk::new();
    let data = [1.0f32, 2.0].map(f32::to_le_bytes).concat();
    let file = array("'<f4'", "(2,)", &data);
    let (text, elements) = file[10..].split_at(file.len() - 10 - data.len());
    let mut files = vec![file.clone(), array("\"<f4\"", "(2L,)", &data)];
    for version in [2, 3] {
        let mut file = vec![0x93, b'N', b'U', b'M', b'P', b'Y', version, 0];
        file.extend((text.len() as u32).to_le_bytes());
        files.push([&file, text, elements].concat());
    }
    for file in files {
        desk.write("x.npy", file);
        desk.ok(&["run", "x * 2", "-i", "x=x.npy", "-o", "y.npy"]);
        assert_eq!(desk.load::<f32>("y.npy"), ndarray::array![2.0, 4.0].into_dyn());
    }
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
