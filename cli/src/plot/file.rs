//! Where a picture goes.

use super::picture::Format;
use super::scene::Shape;
use crate::failure::Failure;
use crate::output::{Contents, Output, write_all};
use std::path::Path;

/// The file of a picture, found before there is anything to draw.
pub(crate) struct File<'a> {
    output: Output<'a>,
    format: Format,
}

/// Shapes, and the units that they are laid out in.
pub(crate) struct Picture {
    pub(super) shapes: Vec<Shape>,
    pub(super) size: (usize, usize),
}

impl File<'_> {
    /// Fails if its format cannot be told, or if it cannot be written.
    pub(crate) fn find(path: &Path) -> Result<File<'_>, Failure> {
        let format = Format::of(path)?;
        let output = Output::find(std::iter::once(path))?.remove(0);
        match output.is_stdout() {
            true => {
                Err(Failure::Usage("--plot takes a file; standard output has the table".into()))
            }
            false => Ok(File { output, format }),
        }
    }

    /// Writes the file, whole or not at all.
    pub(crate) fn write(self, picture: &Picture) -> Result<(), Failure> {
        let bytes = self.format.draw(&picture.shapes, picture.size);
        write_all(&[(self.output, Contents::Bytes(bytes))])
    }
}
