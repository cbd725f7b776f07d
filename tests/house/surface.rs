//! The public surface of `kiln`: every name that a user can write, pinned by a snapshot.
//!
//! Names are read from the sources, as `cargo fmt` leaves them: what a `lib.rs` and its public modules
//! export, and of each exported type its variants, public fields, methods and constants. Trait
//! implementations and what a macro makes of each row of a table (`$name`) are not told apart.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Where each crate that `kiln` shows lies.
const CRATES: [(&str, &str); 3] = [("kiln", "src"), ("kiln_ir", "ir/src"), ("kiln_jit", "jit/src")];

/// The text of each file, by its path from the root.
type Sources = BTreeMap<String, String>;

fn read(root: &Path, folder: &str, sources: &mut Sources) {
    for entry in fs::read_dir(root.join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
        if entry.path().is_dir() {
            read(root, &path, sources);
        } else if path.ends_with(".rs") {
            sources.insert(path, fs::read_to_string(entry.path()).unwrap());
        }
    }
}

fn sources() -> Sources {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut sources = Sources::new();
    for (_, folder) in CRATES {
        read(root, folder, &mut sources);
    }
    sources
}

/// An item that is public where it stands: `pub`, not `pub(crate)`.
struct Item<'t> {
    /// Spaces before it.
    indent: usize,
    /// `fn`, `struct`, `use`, ..
    keyword: &'t str,
    /// What follows the keyword, to the end of the statement if it is a `use`.
    rest: String,
}

impl Item<'_> {
    fn name(&self) -> String {
        self.rest.chars().take_while(|c| c.is_alphanumeric() || "_$".contains(*c)).collect()
    }
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Every public item of a file that documentation shows.
fn items(text: &str) -> Vec<Item<'_>> {
    let mut items = Vec::new();
    let mut hidden = false;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let code = line.trim_start();
        if code.starts_with("#[") || code.starts_with("///") {
            hidden |= code == "#[doc(hidden)]";
            continue;
        }
        let hidden = std::mem::take(&mut hidden);
        let Some(mut rest) = code.strip_prefix("pub ").filter(|_| !hidden) else { continue };
        // A constant's keyword is followed by its name, in capitals.
        let function =
            |rest: &str| ["fn ", "unsafe ", "const fn "].iter().any(|k| rest.starts_with(k));
        while let Some(inner) = rest.strip_prefix("const ").or(rest.strip_prefix("unsafe "))
            && function(inner)
        {
            rest = inner;
        }
        let (keyword, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let mut rest = rest.to_string();
        while keyword == "use" && !rest.ends_with(';') {
            rest += lines.next().expect("a statement ends").trim();
        }
        items.push(Item { indent: indent(line), keyword, rest });
    }
    items
}

/// The paths of a `use`, each with the name that it gets: `a::{b, c as d}` is `a::b`, b and `a::c`, d.
fn used(tree: &str) -> Vec<(String, String)> {
    let tree = tree.trim_end_matches(';');
    let (prefix, names) = match tree.split_once('{') {
        Some((prefix, names)) => (prefix, names.trim_end_matches('}')),
        None => match tree.rfind("::") {
            Some(at) => tree.split_at(at + 2),
            None => ("", tree),
        },
    };
    assert!(!names.contains(['{', '*']), "neither nested nor by glob: {tree}");
    let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
    let path = |name: &str| format!("{prefix}{name}").trim_end_matches("::self").to_string();
    names
        .map(|name| match name.split_once(" as ") {
            Some((name, alias)) => (path(name), alias.to_string()),
            None => (path(name), name.to_string()),
        })
        .collect()
}

/// The lines within the braces that a line opens.
fn block<'t>(lines: &[&'t str], open: usize) -> impl Iterator<Item = &'t str> {
    let end = format!("{}}}", " ".repeat(indent(lines[open])));
    let inner = if lines[open].ends_with('{') { &lines[open + 1..] } else { &[] };
    inner.iter().copied().take_while(move |line| !line.starts_with(&end))
}

/// What can be written behind `name::` or `.`, where a crate's type, or trait, has this name.
fn members(sources: &Sources, folder: &str, name: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let is = |head: &str, keyword: &str| {
        let rest = head.strip_prefix(keyword).and_then(|rest| rest.strip_prefix(name));
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    };
    let implements = |head: &str| {
        let generics = |head: &str| head.starts_with("impl<").then(|| head.find("> ")).flatten();
        let own = is(head, "impl ") || generics(head).is_some_and(|end| is(&head[end..], "> "));
        own && !head.contains(" for ")
    };
    let word = |line: &str| -> String {
        line.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    for (_, text) in sources.iter().filter(|(path, _)| path.starts_with(&format!("{folder}/"))) {
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.contains(name)) {
            let (head, within) = (line.trim_start(), indent(line) + 4);
            let inner = || block(&lines, at).filter(|line| indent(line) == within);
            if is(head, "pub enum ") {
                let capital = |line: &&str| line.trim_start().starts_with(char::is_uppercase);
                found.extend(inner().filter(capital).map(word));
            } else if is(head, "pub trait ") {
                found.extend(inner().filter_map(|l| l.trim_start().strip_prefix("fn ")).map(word));
            } else if is(head, "pub struct ") || implements(head) {
                let inner: Vec<&str> = inner().collect();
                for item in items(&inner.join("\n")) {
                    let field = item.keyword.strip_suffix(':');
                    found.insert(field.map_or_else(|| item.name(), str::to_string));
                }
            }
        }
    }
    found
}

#[derive(Default)]
struct Surface {
    names: BTreeSet<String>,
    /// Items whose members are among the names, behind the first name that they have.
    seen: BTreeSet<String>,
}

/// Adds the names that a file of a public module exports, behind `prefix`.
fn export(sources: &Sources, krate: &str, file: &str, prefix: &str, surface: &mut Surface) {
    let folder = CRATES.iter().find(|(name, _)| *name == krate).unwrap().1;
    let mut add = |folder: &str, item: &str, alias: &str| {
        surface.names.insert(format!("{prefix}{alias}"));
        if surface.seen.insert(format!("{folder} {item}")) {
            let members = members(sources, folder, item);
            surface.names.extend(members.iter().map(|member| format!("{prefix}{alias}::{member}")));
        }
    };
    let mut modules = Vec::new();
    for item in items(&sources[file]).into_iter().filter(|item| item.indent == 0) {
        match item.keyword {
            "use" => {
                for (path, alias) in used(&item.rest) {
                    let first = path.split("::").next().unwrap();
                    let other = CRATES.iter().find(|(name, _)| *name == first);
                    match other {
                        Some((name, _)) if path == *name => modules.push((*name, alias)),
                        _ => {
                            let last = path.rsplit("::").next().unwrap();
                            add(other.map_or(folder, |(_, folder)| folder), last, &alias);
                        }
                    }
                }
            }
            "mod" => modules.push((krate, item.name())),
            _ => add(folder, &item.name(), &item.name()),
        }
    }
    for (name, alias) in modules {
        surface.names.insert(format!("{prefix}{alias}"));
        let inner = format!("{prefix}{alias}::");
        if name == krate {
            let base = file.trim_end_matches("lib.rs").trim_end_matches("mod.rs");
            let base = base.strip_suffix(".rs").map_or(base.to_string(), |base| format!("{base}/"));
            let files = [format!("{base}{alias}.rs"), format!("{base}{alias}/mod.rs")];
            // A module without a file is empty: it is there for its documentation.
            if let Some(file) = files.iter().find(|file| sources.contains_key(*file)) {
                export(sources, krate, file, &inner, surface);
            }
        } else {
            let folder = CRATES.iter().find(|(known, _)| *known == name).unwrap().1;
            export(sources, name, &format!("{folder}/lib.rs"), &inner, surface);
        }
    }
}

fn surface(sources: &Sources) -> BTreeSet<String> {
    let mut surface = Surface::default();
    export(sources, "kiln", "src/lib.rs", "", &mut surface);
    surface.names
}

#[test]
fn the_public_surface_is_pinned() {
    let names: Vec<String> = surface(&sources()).into_iter().collect();
    insta::assert_snapshot!(names.join("\n"));
}

/// The test above sees what is added, wherever that may be.
#[test]
fn a_new_name_is_seen() {
    let before = surface(&sources());
    for (file, after, new, name) in [
        ("src/lib.rs", "pub mod guide;\n", "pub use run::{\n    First,\n    Second,\n};", "Second"),
        ("src/lib.rs", "pub mod guide;\n", "pub struct New {\n    pub a: u8,\n}", "New::a"),
        ("src/explain.rs", "use std::str::FromStr;\n", "pub const fn new() {}", "explain::new"),
        ("src/run/kernel.rs", "\nimpl Kernel {\n", "    pub unsafe fn new() {}", "Kernel::new"),
        ("src/run/view.rs", "\nimpl<'a> View<'a> {\n", "    pub const NEW: u8 = 0;", "View::NEW"),
        ("src/mode.rs", "pub enum Mode {\n", "    New(u8),", "Mode::New"),
        ("src/plan/traffic.rs", "pub struct Traffic {\n", "    pub new: u8,", "Traffic::new"),
        ("ir/src/graph.rs", "\nimpl Graph {\n", "    pub fn new_one(&self) {}", "Graph::new_one"),
    ] {
        let mut sources = sources();
        let text = sources.get_mut(file).unwrap();
        assert!(text.contains(after), "{file} has {after}");
        *text = text.replacen(after, &format!("{after}{new}\n"), 1);
        let added: BTreeSet<String> = surface(&sources).difference(&before).cloned().collect();
        assert!(added.contains(name), "{added:?}");
        let mut hidden = sources.clone();
        let text = hidden.get_mut(file).unwrap();
        *text = text.replacen(
            new,
            &format!("#[doc(hidden)]\n{}", new.replace("pub ", "pub(crate) ")),
            1,
        );
        assert!(name == "Mode::New" || surface(&hidden) == before, "{name}");
    }
}
