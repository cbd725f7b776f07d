//! Files on their way to their places: removed if this process is told to end.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tempfile::{NamedTempFile, TempPath};

/// The files that are not in their places yet. Whoever makes, moves or removes one holds the lock.
static STAGED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn staged() -> MutexGuard<'static, Vec<PathBuf>> {
    STAGED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file beside the place where it will go; removed unless it is moved there.
pub(crate) struct Staged {
    file: File,
    path: TempPath,
}

impl Staged {
    /// A new file in the folder of `place`, with a short name: that of the place may be as long as
    /// names can be. A `private` one is only ours, else it is as any new file.
    pub(crate) fn beside(place: &Path, private: bool) -> io::Result<Staged> {
        let folder = place.parent().unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        builder.prefix(".kiln-").suffix(".tmp");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = if private { 0o600 } else { 0o666 };
            builder.permissions(std::fs::Permissions::from_mode(mode));
        }
        #[cfg(not(unix))]
        let _ = private;
        let mut staged = staged();
        let (file, path) = builder.tempfile_in(folder)?.into_parts();
        staged.push(path.to_path_buf());
        Ok(Staged { file, path })
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}

/// Moves files to their places; a signal comes before the first or after the last.
pub(crate) fn move_all<'a, T>(
    files: impl Iterator<Item = (Staged, &'a PathBuf, T)>,
) -> Result<(), (T, io::Error)> {
    let mut staged = staged();
    for (Staged { file, path }, place, of) in files {
        staged.retain(|staged| *staged != *path);
        let moved = NamedTempFile::from_parts(file, path).persist(place);
        moved.map_err(|error| (of, error.error))?;
    }
    Ok(())
}

/// From now on, what ends this process removes files that are not in their places first.
///
/// Where no thread can be started for that, they are left behind.
#[cfg(unix)]
pub(crate) fn remove_staged_on_signals() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGXFSZ};
    use signal_hook::{flag, iterator::Signals, low_level::emulate_default_handler};
    use std::sync::{Arc, mpsc};
    let (sender, receiver) = mpsc::channel::<Signals>();
    let wait = move || {
        let Ok(mut signals) = receiver.recv() else { return };
        for signal in signals.forever() {
            for path in staged().drain(..) {
                let _ = std::fs::remove_file(path);
            }
            let _ = emulate_default_handler(signal);
        }
    };
    // The thread first: a handler without it would take signals and do nothing.
    if std::thread::Builder::new().spawn(wait).is_err() {
        return;
    }
    let ignored = ignored_signals();
    let deadly = [SIGHUP, SIGINT, SIGQUIT, SIGTERM].into_iter();
    if let Ok(signals) = Signals::new(deadly.filter(|signal| !ignored.contains(signal))) {
        let _ = sender.send(signals);
    }
    // A file over the limit is an error of its write, which says so.
    let _ = flag::register(SIGXFSZ, Arc::default());
}

#[cfg(not(unix))]
pub(crate) fn remove_staged_on_signals() {}

/// Signals that were to be ignored when this process began (`nohup` does that), as Linux tells.
#[cfg(unix)]
fn ignored_signals() -> Vec<i32> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    (1..=64).filter(|signal| mask >> (signal - 1) & 1 == 1).collect()
}
