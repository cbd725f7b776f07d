//! `-o`: which results go to which file.

use super::binding::{is_archive, split_entry};
use crate::console::counted;
use crate::failure::Failure;
use std::convert::Infallible;
use std::path::{Path, PathBuf};

/// What `-o` says.
#[derive(Clone)]
pub(super) struct Target {
    path: PathBuf,
    /// The name of the array in an archive.
    array: Option<String>,
}

/// A file, and the numbers of the results that it gets.
pub(super) enum Destination {
    Array(PathBuf, usize),
    /// Each under a name.
    Archive(PathBuf, Vec<(String, usize)>),
}

/// Reads one `-o`.
pub(super) fn target(text: &str) -> Result<Target, Infallible> {
    Ok(match split_entry(text) {
        Some((path, name)) => Target { path, array: Some(name) },
        None => Target { path: text.into(), array: None },
    })
}

impl Target {
    fn is_archive(&self) -> bool {
        self.array.is_some() || self.path.to_str().is_some_and(is_archive)
    }
}

impl Destination {
    pub(super) fn path(&self) -> &Path {
        match self {
            Destination::Array(path, _) | Destination::Archive(path, _) => path,
        }
    }

    /// Where each of its results is, as `-o` would say it.
    pub(super) fn places(&self) -> Vec<(String, usize)> {
        let path = self.path().display();
        match self {
            Destination::Array(_, result) => vec![(path.to_string(), *result)],
            Destination::Archive(_, arrays) => {
                arrays.iter().map(|(name, result)| (format!("{path}:{name}"), *result)).collect()
            }
        }
    }
}

/// Tells the results apart: one target each, or all in one archive.
pub(super) fn assign(targets: &[Target], results: usize) -> Result<Vec<Destination>, Failure> {
    if let [Target { path, array: None }] = targets
        && targets[0].is_archive()
    {
        let arrays = (0..results).map(|result| (unnamed(result), result)).collect();
        return Ok(vec![Destination::Archive(path.clone(), arrays)]);
    }
    let count = targets.len();
    if results != count {
        let all = if results == 1 { "" } else { ", or one -o FILE.npz for all" };
        return Err(Failure::Usage(format!(
            "the kernel has {}, {count} given; give -o FILE.npy for each, in order{all}",
            counted(results, "output")
        )));
    }
    let mut destinations: Vec<Destination> = Vec::new();
    for (result, target) in targets.iter().enumerate() {
        if !target.is_archive() {
            destinations.push(Destination::Array(target.path.clone(), result));
            continue;
        }
        let name = target.array.clone().unwrap_or_else(|| unnamed(result));
        if name.is_empty() {
            let path = target.path.display();
            return Err(Failure::Usage(format!("name the array behind the colon: {path}:NAME")));
        }
        let known = destinations.iter_mut().find_map(|destination| match destination {
            Destination::Archive(path, arrays) if *path == target.path => Some(arrays),
            _ => None,
        });
        match known {
            None => {
                destinations.push(Destination::Archive(target.path.clone(), vec![(name, result)]))
            }
            Some(arrays) if arrays.iter().any(|(other, _)| *other == name) => {
                let path = target.path.display();
                return Err(Failure::Usage(format!("two outputs go to {path}:{name}")));
            }
            Some(arrays) => arrays.push((name, result)),
        }
    }
    Ok(destinations)
}

/// What NumPy calls an array that was given no name.
fn unnamed(result: usize) -> String {
    format!("arr_{result}")
}
