//! `-i`: what an input is, from a file, a pipe, an archive or the command line itself.

use super::number::Number;
use crate::failure::Failure;
use crate::npy::{Archive, StoredArray};
use kiln::DType;
use kiln::ir::{FreeInput, Input};
use std::collections::HashMap;
use std::fmt;
use std::io::{IsTerminal, stdin};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// What `-i` says.
#[derive(Clone)]
pub(super) enum Binding {
    /// `x=..`: one input.
    One(String, Source),
    /// `data.npz`: every array that has the name of an input.
    All(PathBuf),
}

/// Where an input comes from.
#[derive(Clone)]
pub(super) enum Source {
    Stdin,
    File(PathBuf),
    /// An archive: its array of the input's name, or its only one.
    Archive(PathBuf),
    /// An array of an archive by its own name.
    Entry(PathBuf, String),
    Number(Number),
}

/// What was found there.
pub(super) enum Given {
    Array(StoredArray),
    Number(Number),
}

/// Reads one `-i`.
pub(super) fn binding(text: &str) -> Result<Binding, String> {
    match text.split_once('=') {
        Some((name, from)) if !name.trim().is_empty() && !from.is_empty() => {
            Ok(Binding::One(name.trim().into(), source(from)))
        }
        None if is_archive(text) => Ok(Binding::All(text.into())),
        _ => Err("write NAME=FILE.npy, such as x=x.npy; or NAME=3.5, NAME=FILE.npz:ARRAY, or \
                  FILE.npz for all arrays of a file"
            .into()),
    }
}

/// Reads an input that has no name, which may be meant to have one.
pub(super) fn in_order(text: &str) -> Result<Source, String> {
    let is_name = |name: &str| {
        name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.is_empty()
    };
    match text.split_once('=') {
        Some((name, _)) if is_name(name) && !Path::new(text).exists() => {
            Err(format!("an input with a name is given by -i: write -i {text}"))
        }
        _ => Ok(source(text)),
    }
}

/// Reads what is right of the name.
fn source(text: &str) -> Source {
    if text == "-" {
        return Source::Stdin;
    }
    if let Ok(number) = text.parse() {
        return Source::Number(number);
    }
    match split_entry(text) {
        Some((archive, name)) => Source::Entry(archive, name),
        None if is_archive(text) => Source::Archive(text.into()),
        None => Source::File(text.into()),
    }
}

pub(super) fn is_archive(path: &str) -> bool {
    path.ends_with(".npz")
}

/// The archive and the name of `data.npz:x`.
pub(super) fn split_entry(text: &str) -> Option<(PathBuf, String)> {
    let (archive, name) = text.rsplit_once(".npz:")?;
    Some((format!("{archive}.npz").into(), name.into()))
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Stdin => f.write_str("-"),
            Source::File(path) | Source::Archive(path) => write!(f, "{}", path.display()),
            Source::Entry(path, name) => write!(f, "{}:{name}", path.display()),
            Source::Number(number) => write!(f, "{number}"),
        }
    }
}

impl Given {
    /// The type, where it says one.
    pub(super) fn dtype(&self) -> Option<DType> {
        match self {
            Given::Array(array) => Some(array.dtype()),
            Given::Number(_) => None,
        }
    }
}

/// Finds what each input is, and reads the headers of arrays. Every input that is `wanted` is given
/// once, and nothing else is, but for `pi`: whether that is an input, the parser says.
pub(super) fn open(
    bindings: &[Binding],
    wanted: &[FreeInput],
) -> Result<HashMap<String, Given>, Failure> {
    let mut opener = Opener::default();
    let mut named: Vec<(&str, &Source)> = Vec::new();
    let mut archives: Vec<(&Path, Rc<Archive>)> = Vec::new();
    for binding in bindings {
        match binding {
            Binding::One(name, source) => {
                if let Some((_, first)) = named.iter().find(|(other, _)| other == name) {
                    return Err(Failure::Usage(format!(
                        "input {name} is given twice, as {first} and as {source}"
                    )));
                }
                named.push((name, source));
            }
            Binding::All(path) => archives.push((path, opener.archive(path)?)),
        }
    }
    // What has a name of its own goes before what an archive happens to have.
    let mut by_archive: Vec<(&str, &Rc<Archive>)> = Vec::new();
    for FreeInput { name, .. } in wanted {
        let mut holders = archives.iter().filter(|(_, archive)| archive.find(name).is_some());
        if named.iter().any(|(other, _)| other == name) {
            continue;
        }
        if let Some((first, archive)) = holders.next() {
            if let Some((second, _)) = holders.next() {
                return Err(Failure::Usage(format!(
                    "input {name} is in {} and in {}: say which, as -i {name}={}:{name}",
                    first.display(),
                    second.display(),
                    first.display(),
                )));
            }
            by_archive.push((name, archive));
        }
    }
    let given: Vec<&str> = named
        .iter()
        .map(|(name, _)| *name)
        .chain(by_archive.iter().map(|(name, _)| *name))
        .collect();
    check_names(&given, wanted)?;
    if let [_, (name, _), ..] = stdin_inputs(&named)[..] {
        return Err(Failure::Usage(format!(
            "input {name} is the second one on standard input, which holds one array"
        )));
    }
    let mut found = HashMap::new();
    for (name, source) in named {
        found.insert(name.to_string(), opener.open(name, source)?);
    }
    for (name, archive) in by_archive {
        let index = archive.find(name).expect("it was found there");
        found.insert(name.to_string(), Given::Array(StoredArray::entry(archive, index)?));
    }
    Ok(found)
}

fn stdin_inputs<'a>(named: &[(&'a str, &'a Source)]) -> Vec<(&'a str, &'a Source)> {
    named.iter().copied().filter(|(_, source)| matches!(source, Source::Stdin)).collect()
}

/// Opens sources, and each archive once.
#[derive(Default)]
struct Opener {
    archives: HashMap<PathBuf, Rc<Archive>>,
}

impl Opener {
    fn archive(&mut self, path: &Path) -> Result<Rc<Archive>, Failure> {
        if let Some(known) = self.archives.get(path) {
            return Ok(known.clone());
        }
        let archive = Rc::new(Archive::open(path)?);
        self.archives.insert(path.into(), archive.clone());
        Ok(archive)
    }

    /// What the input `name` is.
    fn open(&mut self, name: &str, source: &Source) -> Result<Given, Failure> {
        Ok(Given::Array(match source {
            Source::Number(number) => return Ok(Given::Number(number.clone())),
            Source::Stdin if stdin().is_terminal() => {
                return Err(Failure::Usage(format!(
                    "input {name} is on standard input, which is a terminal: give it an .npy file, \
                     as in `.. < {name}.npy`"
                )));
            }
            Source::Stdin => StoredArray::stdin()?,
            Source::File(path) => StoredArray::open(path)?,
            Source::Archive(path) => {
                let archive = self.archive(path)?;
                let only = || (archive.names().count() == 1).then_some(0);
                let index = archive.find(name).or_else(only);
                StoredArray::entry(&archive, index.ok_or_else(|| no_array(&archive, name))?)?
            }
            Source::Entry(path, entry) => {
                let archive = self.archive(path)?;
                let index = archive.find(entry).ok_or_else(|| no_array(&archive, entry))?;
                StoredArray::entry(&archive, index)?
            }
        }))
    }
}

fn no_array(archive: &Archive, name: &str) -> Failure {
    let names: Vec<&str> = archive.names().collect();
    let holds = if names.is_empty() { "no array".into() } else { names.join(", ") };
    let path = archive.path().display();
    Failure::Failed(format!("{path} has no array {name}; it holds {holds}"))
}

/// Checks that every input is given and everything given is an input.
fn check_names(given: &[&str], wanted: &[FreeInput]) -> Result<(), Failure> {
    let is_wanted = |name: &str| name == "pi" || wanted.iter().any(|input| input.name == name);
    if let Some(name) = given.iter().find(|name| !is_wanted(name)) {
        return Err(unknown(name, given, wanted));
    }
    let names = wanted.iter().map(|input| &input.name[..]);
    let missing: Vec<&str> = names.filter(|name| !given.contains(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let s = if missing.len() == 1 { "" } else { "s" };
    let list = list(given, wanted);
    Err(Failure::Usage(format!("input{s} not given: {}\n{list}", missing.join(", "))))
}

/// That there is no input of this name.
pub(super) fn unknown(name: &str, given: &[&str], wanted: &[FreeInput]) -> Failure {
    Failure::Usage(format!("the kernel has no input {name}\n{}", list(given, wanted)))
}

/// The inputs that a kernel wants, a line each.
fn list(given: &[&str], wanted: &[FreeInput]) -> String {
    if wanted.is_empty() {
        return "it takes no input".into();
    }
    let line = |FreeInput { name, declared }: &FreeInput| {
        let declaration = match declared.clone() {
            Some((dtype, dims)) => Input { name: name.clone(), dtype, dims }.to_string(),
            None => format!("{name}: any type, any shape"),
        };
        let has_axes = declared
            .as_ref()
            .is_some_and(|(_, dims)| dims.as_ref().is_some_and(|dims| !dims.is_empty()));
        let state = match given.contains(&&name[..]) {
            true => "given".to_string(),
            false if has_axes => format!("missing, add -i {name}=FILE.npy"),
            false => format!("missing, add -i {name}=FILE.npy or -i {name}=NUMBER"),
        };
        format!("  {declaration} ({state})")
    };
    let lines: Vec<String> = wanted.iter().map(line).collect();
    format!("it takes\n{}", lines.join("\n"))
}
