//! Where results go: files that appear whole or not at all, and pipes and devices.

use crate::failure::Failure;
use crate::interrupt::{self, Staged};
use crate::npy;
use kiln::Tensor;
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::{Component, Path, PathBuf, absolute};

/// What a file gets.
pub(crate) enum Contents {
    Array(Tensor),
    /// Arrays, each with its name.
    Archive(Vec<(String, Tensor)>),
    /// A picture, or text.
    Bytes(Vec<u8>),
}

impl Contents {
    fn write(&self, file: &mut impl Write) -> io::Result<()> {
        match self {
            Contents::Array(tensor) => npy::write(tensor, file),
            Contents::Archive(arrays) => npy::write_archive(arrays, file),
            Contents::Bytes(bytes) => file.write_all(bytes),
        }
    }
}

/// The place of an output.
pub(crate) struct Output<'a> {
    /// As it was given.
    path: &'a Path,
    place: Place,
}

enum Place {
    /// A file on a disk, there already or not; all links on the way are followed.
    File { path: PathBuf, replaced: Option<Metadata> },
    /// A device or a pipe.
    Direct(Metadata),
    /// What this process was given as standard output.
    Stdout,
}

impl Output<'_> {
    /// Finds the places of all outputs, before there is anything to write.
    pub(crate) fn find<'a>(
        paths: impl Iterator<Item = &'a Path>,
    ) -> Result<Vec<Output<'a>>, Failure> {
        let mut outputs: Vec<Output<'a>> = Vec::new();
        for path in paths {
            let place = Place::find(path).map_err(|error| cannot(path, &error))?;
            if let Some(first) = outputs.iter().find(|first| first.place.is(&place)) {
                let also = match absolute(first.path).ok() == absolute(path).ok() {
                    true => String::new(),
                    false => format!(", which is {}", shown(first.path)),
                };
                return Err(Failure::Usage(format!(
                    "two outputs go to {}{also}; give each its own file",
                    shown(path)
                )));
            }
            outputs.push(Output { path, place });
        }
        Ok(outputs)
    }

    /// Whether what is printed on standard output would end up among the elements.
    pub(crate) fn is_stdout(&self) -> bool {
        matches!(self.place, Place::Stdout)
    }

    /// The same of standard error, which may be one pipe with standard output.
    pub(crate) fn is_stderr(&self) -> bool {
        let known = match &self.place {
            Place::File { .. } => None,
            Place::Direct(known) => Some(known.clone()),
            Place::Stdout => stdout(),
        };
        known.zip(stderr()).is_some_and(|(known, stderr)| is_same(&known, &stderr))
    }
}

/// Writes every array, or none: files are written beside their places before anything is moved or
/// sent.
pub(crate) fn write_all(outputs: &[(Output<'_>, Contents)]) -> Result<(), Failure> {
    interrupt::remove_staged_on_signals();
    let mut staged = Vec::new();
    for (output, contents) in outputs {
        if let Place::File { path, replaced } = &output.place {
            let file = stage(path, replaced.as_ref(), contents);
            staged.push((output, path, file.map_err(|error| cannot(output.path, &error))?));
        }
    }
    for (output, contents) in outputs {
        match output.place {
            Place::File { .. } => Ok(()),
            Place::Direct(_) => send(output.path, contents),
            Place::Stdout => {
                let mut stdout = io::stdout().lock();
                contents.write(&mut stdout).and_then(|()| stdout.flush())
            }
        }
        .map_err(|error| cannot(output.path, &error))?;
    }
    interrupt::move_all(staged.into_iter().map(|(output, path, file)| (file, path, output)))
        .map_err(|(output, error)| cannot(output.path, &error))
}

/// Writes a file beside its place. It gets the mode and, if we may give it away, the owner of the
/// one that it replaces; until then only we may read it.
fn stage(path: &Path, replaced: Option<&Metadata>, contents: &Contents) -> io::Result<Staged> {
    let staged = Staged::beside(path, replaced.is_some())?;
    let mut file = staged.file();
    contents.write(&mut file)?;
    if let Some(replaced) = replaced {
        #[cfg(unix)]
        {
            use std::os::unix::fs::{MetadataExt, fchown};
            let _ = fchown(file, Some(replaced.uid()), Some(replaced.gid()));
        }
        file.set_permissions(replaced.permissions())?;
    }
    Ok(staged)
}

fn send(path: &Path, contents: &Contents) -> io::Result<()> {
    contents.write(&mut File::options().write(true).open(path)?)
}

impl Place {
    fn find(path: &Path) -> io::Result<Place> {
        if path == Path::new("-") {
            return match io::stdout().is_terminal() {
                true => Err(io::Error::other("it is a terminal; send it to a file or a pipe")),
                false => Ok(Place::Stdout),
            };
        }
        let known = match fs::metadata(path) {
            Ok(known) => known,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(Place::File { path: not_yet_there(path)?, replaced: None });
            }
            Err(error) => return Err(error),
        };
        if known.is_dir() {
            return Err(ErrorKind::IsADirectory.into());
        }
        if !is_sink(&known) && stdout().is_some_and(|stdout| is_same(&stdout, &known)) {
            return Ok(Place::Stdout);
        }
        if !known.is_file() {
            return Ok(Place::Direct(known));
        }
        // A file that one may not write is not replaced, either.
        File::options().write(true).open(path)?;
        match fs::canonicalize(path) {
            Ok(path) => Ok(Place::File { path, replaced: Some(known) }),
            // It is open somewhere, and has no name any more.
            Err(_) => Ok(Place::Direct(known)),
        }
    }

    /// Whether both are one file.
    fn is(&self, other: &Place) -> bool {
        let identity = |place: &Place| match place {
            Place::File { path, replaced } => (Some(path.clone()), replaced.clone()),
            Place::Direct(known) => (None, Some(known.clone())),
            Place::Stdout => (None, stdout()),
        };
        let ((path, known), (other_path, other_known)) = (identity(self), identity(other));
        let same_path = path.is_some() && path == other_path;
        let same_file =
            known.zip(other_known).is_some_and(|(a, b)| !is_sink(&a) && is_same(&a, &b));
        let both_stdout = matches!((self, other), (Place::Stdout, Place::Stdout));
        same_path || same_file || both_stdout
    }
}

/// The full path of a file that is not there, as far as links lead to it.
fn not_yet_there(path: &Path) -> io::Result<PathBuf> {
    /// As many links as Linux follows.
    const MAX_LINKS: usize = 40;
    let mut path = path.to_path_buf();
    for _ in 0..MAX_LINKS {
        // A path may end in a slash, which only a folder's does.
        let ends_in_name = matches!(path.components().next_back(), Some(Component::Normal(name))
            if path.as_os_str().as_encoded_bytes().ends_with(name.as_encoded_bytes()));
        let name = path.file_name().filter(|_| ends_in_name);
        let name = name.ok_or(ErrorKind::InvalidFilename)?;
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let place = fs::canonicalize(folder)?.join(name);
        match fs::read_link(&place) {
            Ok(target) => path = place.with_file_name("").join(target),
            Err(_) => return Ok(place),
        }
    }
    Err(ErrorKind::InvalidFilename.into())
}

/// What standard output is, where that can be told.
fn stdout() -> Option<Metadata> {
    #[cfg(unix)]
    {
        stream(io::stdout())
    }
    #[cfg(not(unix))]
    None
}

/// What standard error is.
fn stderr() -> Option<Metadata> {
    #[cfg(unix)]
    {
        stream(io::stderr())
    }
    #[cfg(not(unix))]
    None
}

#[cfg(unix)]
fn stream(stream: impl std::os::fd::AsFd) -> Option<Metadata> {
    File::from(stream.as_fd().try_clone_to_owned().ok()?).metadata().ok()
}

/// Whether both tell of one file, by whatever names.
fn is_same(a: &Metadata, b: &Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        (a.dev(), a.ino()) == (b.dev(), b.ino())
    }
    #[cfg(not(unix))]
    {
        let _ = (a, b);
        false
    }
}

/// Whether it is `/dev/null`, which takes everything from everybody.
fn is_sink(known: &Metadata) -> bool {
    fs::metadata("/dev/null").is_ok_and(|null| is_same(&null, known))
}

fn cannot(path: &Path, error: &io::Error) -> Failure {
    Failure::Failed(format!("cannot write {}: {error}", shown(path)))
}

/// A path as messages show it.
fn shown(path: &Path) -> String {
    match path == Path::new("-") {
        true => "standard output".into(),
        false => path.display().to_string(),
    }
}
