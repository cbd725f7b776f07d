//! Mistakes in typed calls, which the compiler tells in words that a person understands.
//!
//! Each file of `misuse/` is a program that must not compile. Its first lines say, after `//~ `, what the
//! message must contain. They are checked as one package, without any feature of Kiln.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn mistakes_are_told_in_words() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = tests.parent().unwrap();
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("misuse");
    let bins = package.join("src/bin");
    // What an older run left would be compiled too.
    let _ = fs::remove_dir_all(&bins);
    fs::create_dir_all(&bins).unwrap();
    let manifest = format!(
        "[package]\nname = \"misuse\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n\
         [dependencies]\nkiln = {{ path = {root:?}, default-features = false }}\nndarray = \"0.17\"\n"
    );
    fs::write(package.join("Cargo.toml"), manifest).unwrap();
    fs::copy(root.join("Cargo.lock"), package.join("Cargo.lock")).unwrap();
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in fs::read_dir(tests.join("house/misuse")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let words = text.lines().filter_map(|line| line.strip_prefix("//~ ")).map(str::to_string);
        let name = path.file_stem().unwrap().to_str().unwrap().to_string();
        fs::copy(&path, bins.join(format!("{name}.rs"))).unwrap();
        expected.insert(name, words.collect());
    }
    let output = Command::new(env!("CARGO"))
        .args(["check", "--bins", "--keep-going", "--offline", "--quiet", "--message-format=json"])
        .current_dir(&package)
        .env("CARGO_TARGET_DIR", package.join("target"))
        .env_remove("RUSTFLAGS")
        .output()
        .unwrap();
    let (json, log) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    let messages: Vec<serde_json::Value> =
        json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut problems = Vec::new();
    for (name, words) in &expected {
        let errors = messages.iter().filter(|message| {
            message["target"]["name"] == **name && message["message"]["level"] == "error"
        });
        let told: String =
            errors.filter_map(|message| message["message"]["rendered"].as_str()).collect();
        assert!(!words.is_empty(), "{name} says what to expect");
        for word in words.iter().filter(|word| !told.contains(&***word)) {
            problems.push(format!("{name}: {word:?} is not in\n{told}"));
        }
    }
    assert!(problems.is_empty(), "{}\n{log}", problems.join("\n"));
}
