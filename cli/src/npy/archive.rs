//! `.npz` files: zip archives in which the array `x` is the entry `x.npy`.

use super::write::write;
use crate::failure::Failure;
use flate2::read::DeflateDecoder;
use kiln::Tensor;
use rawzip::{
    CompressionMethod, FileReader, RECOMMENDED_BUFFER_SIZE, ZipArchive, ZipArchiveEntryWayfinder,
    ZipArchiveWriter,
};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// An archive whose directory has been read.
pub(crate) struct Archive {
    path: PathBuf,
    zip: ZipArchive<FileReader>,
    entries: Vec<Entry>,
}

/// An array of an archive.
struct Entry {
    /// Without `.npy`.
    name: String,
    place: ZipArchiveEntryWayfinder,
    packed: CompressionMethod,
    encrypted: bool,
}

impl Archive {
    /// Opens an archive and reads its directory.
    pub(crate) fn open(path: &Path) -> Result<Archive, Failure> {
        let cannot = |error: &dyn std::fmt::Display| {
            Failure::Failed(format!("cannot read {}: {error}", path.display()))
        };
        let file = File::open(path).map_err(|error| cannot(&error))?;
        if !file.metadata().is_ok_and(|known| known.is_file()) {
            let reason = "an .npz file is read from its end, so it must be a file on a disk";
            return Err(cannot(&reason));
        }
        let wrong = |error: rawzip::Error| {
            let path = path.display();
            Failure::Failed(format!("{path}: not an .npz file: {error}"))
        };
        let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
        let zip = ZipArchive::from_file(file, &mut buffer).map_err(wrong)?;
        let mut entries = Vec::new();
        let mut directory = zip.entries(&mut buffer);
        while let Some(entry) = directory.next_entry().map_err(wrong)? {
            let name = String::from_utf8_lossy(entry.file_path().as_ref()).into_owned();
            let Some(name) = name.strip_suffix(".npy") else { continue };
            entries.push(Entry {
                name: name.into(),
                place: entry.wayfinder(),
                packed: entry.compression_method(),
                encrypted: entry.flags().is_encrypted(),
            });
        }
        Ok(Archive { path: path.into(), zip, entries })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The names of its arrays, in the order of its directory.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| &entry.name[..])
    }

    /// The number of the array with this name: of two, the last, as in Python.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.entries.iter().rposition(|entry| entry.name == name)
    }

    /// Where an array is, for messages: `data.npz:x`.
    pub(super) fn place(&self, index: usize) -> String {
        format!("{}:{}", self.path.display(), self.entries[index].name)
    }

    /// How many bytes the directory says an entry unpacks to.
    pub(super) fn length(&self, index: usize) -> u64 {
        self.entries[index].place.uncompressed_size_hint()
    }

    /// The unpacked bytes of an entry. Whoever reads all of them is told if they are not what was
    /// packed.
    pub(super) fn bytes(&self, index: usize) -> io::Result<Box<dyn Read + '_>> {
        let Entry { place, packed, encrypted, .. } = &self.entries[index];
        if *encrypted {
            return Err(io::Error::other("it is encrypted"));
        }
        let entry = self.zip.get_entry(*place).map_err(io::Error::other)?;
        Ok(match *packed {
            CompressionMethod::STORE => Box::new(entry.verifying_reader(entry.reader())),
            CompressionMethod::DEFLATE => {
                Box::new(entry.verifying_reader(DeflateDecoder::new(entry.reader())))
            }
            other => {
                let reason = format!("it is packed by the method {other}, which NumPy never uses");
                return Err(io::Error::other(reason));
            }
        })
    }
}

/// Writes an archive of arrays, not packed, as `np.savez` does.
pub(crate) fn write_archive(arrays: &[(String, Tensor)], file: &mut impl Write) -> io::Result<()> {
    let mut archive = ZipArchiveWriter::new(file);
    for (name, tensor) in arrays {
        let path = format!("{name}.npy");
        let (mut entry, config) = archive.new_file(&path[..]).start().map_err(zip_error)?;
        let mut writer = config.wrap(&mut entry);
        write(tensor, &mut writer)?;
        let (_, summary) = writer.finish().map_err(zip_error)?;
        entry.finish(summary).map_err(zip_error)?;
    }
    archive.finish().map(drop).map_err(zip_error)
}

/// What stands behind an error of the archive: that of the file, if it is one.
fn zip_error(error: rawzip::Error) -> io::Error {
    match error.into_kind() {
        rawzip::ErrorKind::IO(error) => error,
        kind => io::Error::other(rawzip::Error::from(kind)),
    }
}
