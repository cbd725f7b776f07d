//! The import table of `DESIGN.md`: data goes one way, and no stage looks back.

use std::fs;
use std::path::{Path, PathBuf};

/// Each module of `src/`, and what it may import of ours. What crates may import, Cargo says.
const ALLOWED: &[(&str, &[&str])] = &[
    ("mode", &[]),
    ("error", &["kiln_ir", "kiln_jit", "profile", "run"]),
    ("front", &["kiln_ir", "cache", "error", "options", "pipeline", "run"]),
    ("fuse", &["kiln_ir", "mode"]),
    ("guide", &[]),
    ("lower", &["kiln_ir", "kiln_jit", "kiln_reduce"]),
    ("plan", &["kiln_ir"]),
    ("profile", &["kiln_ir", "kiln_jit", "lower", "run"]),
    ("run", &["kiln_gemm", "kiln_ir", "kiln_jit", "kiln_reduce", "lower", "plan"]),
];

/// They put the stages together, and may import all of them.
const ASSEMBLERS: &[&str] =
    &["options", "cost", "pipeline", "explain", "cache", "calls", "internals", "lib"];

/// The soundness tests of rules run both sides as kernels would.
const TEST_ONLY: &[&str] =
    &["src/fuse/soundness.rs", "src/fuse/soundness_means.rs", "src/fuse/soundness_rows.rs"];

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The names of ours that a line of code mentions: `crate::run::..`, `kiln_ir::..`.
fn imports(line: &str) -> Vec<String> {
    // What a macro expands to is no import of the module that defines it.
    let code = line.split("//").next().unwrap_or_default().replace("$crate::", "");
    let word = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let mut found: Vec<String> = code.split("crate::").skip(1).map(word).collect();
    let crates = ["kiln_gemm", "kiln_ir", "kiln_jit", "kiln_reduce"]
        .into_iter()
        .filter(|name| code.contains(name));
    found.extend(crates.map(str::to_string));
    found
}

#[test]
fn imports_follow_the_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    rust_files(&root.join("src"), &mut files);
    assert!(files.len() > 20, "the scan found the sources");
    let mut faults = Vec::new();
    for file in files {
        let relative = file.strip_prefix(root).unwrap();
        let first = relative.components().nth(1).unwrap().as_os_str().to_str().unwrap();
        let module = first.trim_end_matches(".rs");
        let name = relative.to_str().unwrap().replace('\\', "/");
        let is_test = TEST_ONLY.contains(&name.as_str()) || name.ends_with("/tests.rs");
        if ASSEMBLERS.contains(&module) || is_test {
            continue;
        }
        let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| *known == module) else {
            faults.push(format!("{name}: module {module} is not in the table"));
            continue;
        };
        let text = fs::read_to_string(&file).unwrap();
        // Unit tests make kernels as users do.
        let lines = text.lines().take_while(|line| *line != "mod tests {");
        for (number, line) in lines.enumerate() {
            for import in imports(line) {
                if import != module && !allowed.contains(&import.as_str()) {
                    faults.push(format!("{name}:{}: {module} may not import {import}", number + 1));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Within `kiln_ir`, and everywhere else: no glob imports across modules.
#[test]
fn nothing_is_imported_by_glob() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    for folder in [
        "src",
        "ir/src",
        "jit/src",
        "gemm/src",
        "reduce/src",
        "picture/src",
        "cli/src",
        "tools/accuracy/src",
        "tools/differential/src",
    ] {
        rust_files(&root.join(folder), &mut files);
    }
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let glob = text.lines().find(|line| {
            let line = line.trim_start();
            (line.starts_with("use ") || line.starts_with("pub use ")) && line.contains("::*")
        });
        assert_eq!(glob, None, "{}", file.display());
    }
}

/// Which call a node is, passes do not ask: adding one is a row, a file, and what runs it.
#[test]
fn few_files_know_which_call_it_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    ["src", "ir/src", "jit/src", "picture/src", "cli/src"]
        .iter()
        .for_each(|at| rust_files(&root.join(at), &mut files));
    let mut found: Vec<String> = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        if code.contains("Matmul") {
            let relative = file.strip_prefix(root).unwrap();
            found.push(relative.to_str().unwrap().replace('\\', "/"));
        }
    }
    found.sort();
    let known = [
        "ir/src/call/matmul.rs",
        "ir/src/call/mod.rs",
        "ir/src/expr.rs",
        "ir/src/text/grammar.rs",
        "src/profile/flops.rs",
        "src/run/product.rs",
        "src/run/steps.rs",
    ];
    assert_eq!(found, known);
}

/// What a user's crate builds has no spans unless it asks for them.
#[test]
fn tracing_is_off_by_default() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let line = |manifest: &str, start: &str| {
        let text = fs::read_to_string(root.join(manifest)).unwrap();
        text.lines().find(|line| line.starts_with(start)).unwrap_or_default().to_string()
    };
    assert_eq!(line("Cargo.toml", "tracing = "), r#"tracing = ["kiln-ir/tracing"]"#);
    let default = line("Cargo.toml", "default = ");
    assert!(default.contains("jit") && !default.contains("tracing"), "{default}");
    assert_eq!(line("ir/Cargo.toml", "default = "), "");
    let dependency = line("ir/Cargo.toml", r#"tracing = { version"#);
    assert!(dependency.contains("optional = true"), "{dependency}");
}
