//! From a scene to the bytes of a file.

use super::scene::{Shape, paint};
use crate::failure::Failure;
use flate2::{Compression, Crc, write::ZlibEncoder};
use plotters_bitmap::BitMapBackend;
use plotters_svg::SVGBackend;
use std::io::Write;
use std::path::Path;

/// The format of a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Format {
    Svg,
    Png,
}

/// Pixels of a PNG to the unit of the scene: enough for paper.
const SCALE: usize = 2;
/// Pixels painted for one of a PNG, each way: edges are smooth.
const SAMPLES: usize = 2;

impl Format {
    /// The one that a file's name ends in.
    pub(crate) fn of(path: &Path) -> Result<Format, Failure> {
        let extension =
            path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        match extension.as_deref() {
            Some("svg") => Ok(Format::Svg),
            Some("png") => Ok(Format::Png),
            _ => Err(Failure::Usage(format!(
                "cannot tell the format of {}: end its name in .svg or .png",
                path.display()
            ))),
        }
    }

    /// The file of a picture of so many units.
    pub(super) fn draw(self, shapes: &[Shape], (width, height): (usize, usize)) -> Vec<u8> {
        match self {
            Format::Svg => {
                let mut text = String::new();
                let to = SVGBackend::with_string(&mut text, (width as u32, height as u32));
                paint(shapes, to, 1.0).expect("a string takes everything");
                text.into_bytes()
            }
            Format::Png => {
                let scale = SCALE * SAMPLES;
                let (wide, high) = (width * scale, height * scale);
                let mut pixels = vec![255; 3 * wide * high];
                let to = BitMapBackend::with_buffer(&mut pixels, (wide as u32, high as u32));
                paint(shapes, to, scale as f64).expect("a buffer takes everything");
                png(&averaged(&pixels, wide), width * SCALE, height * SCALE)
            }
        }
    }
}

/// One pixel for each square of [`SAMPLES`] by [`SAMPLES`].
fn averaged(pixels: &[u8], wide: usize) -> Vec<u8> {
    let mut result = Vec::with_capacity(pixels.len() / (SAMPLES * SAMPLES));
    for rows in pixels.chunks_exact(3 * wide * SAMPLES) {
        for column in 0..wide / SAMPLES {
            for channel in 0..3 {
                let sample = |y: usize, x: usize| {
                    usize::from(rows[3 * (y * wide + column * SAMPLES + x) + channel])
                };
                let square = (0..SAMPLES).flat_map(|y| (0..SAMPLES).map(move |x| (y, x)));
                let sum: usize = square.map(|(y, x)| sample(y, x)).sum();
                result.push((sum / (SAMPLES * SAMPLES)) as u8);
            }
        }
    }
    result
}

/// The file of an image, three bytes a pixel.
fn png(pixels: &[u8], width: usize, height: usize) -> Vec<u8> {
    /// 8 bits of each of red, green and blue; deflated, filtered, not interlaced.
    const KIND: [u8; 5] = [8, 2, 0, 0, 0];
    /// No filter: charts are flat.
    const FILTER: [u8; 1] = [0];
    let mut head = Vec::new();
    for size in [width, height] {
        head.extend((size as u32).to_be_bytes());
    }
    head.extend(KIND);
    let mut rows = ZlibEncoder::new(Vec::new(), Compression::best());
    for row in pixels.chunks_exact(3 * width) {
        rows.write_all(&FILTER).and_then(|()| rows.write_all(row)).expect("a vector takes all");
    }
    let rows = rows.finish().expect("a vector takes everything");
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for (name, data) in [(b"IHDR", &head[..]), (b"IDAT", &rows), (b"IEND", &[])] {
        let mut crc = Crc::new();
        crc.update(name);
        crc.update(data);
        file.extend((data.len() as u32).to_be_bytes());
        file.extend(name);
        file.extend(data);
        file.extend(crc.sum().to_be_bytes());
    }
    file
}

#[cfg(test)]
mod tests {
    use super::{Format, Shape};
    use crate::plot::scene::{Color, WHITE};
    use flate2::read::ZlibDecoder;
    use std::io::Read;
    use std::path::Path;

    #[test]
    fn names_tell_formats() {
        assert_eq!(Format::of(Path::new("a/b.SVG")).unwrap(), Format::Svg);
        assert_eq!(Format::of(Path::new("b.png")).unwrap(), Format::Png);
        for name in ["b.pdf", "png", ".svg"] {
            let error = Format::of(Path::new(name)).unwrap_err();
            let expected =
                format!("cannot tell the format of {name}: end its name in .svg or .png");
            assert_eq!(error.message(), Some(&expected[..]));
        }
    }

    /// The left half is dark: each row of the image says so.
    #[test]
    fn a_png_holds_the_pixels() {
        let area = |right: f64, color| {
            Shape::Area(vec![(0.0, 0.0), (right, 0.0), (right, 8.0), (0.0, 8.0)], color, 1.0)
        };
        let file = Format::Png.draw(&[area(20.0, WHITE), area(10.0, Color(1, 2, 3))], (20, 8));
        assert_eq!(file[16..24], [0, 0, 0, 40, 0, 0, 0, 16], "width and height");
        let length = u32::from_be_bytes(file[33..37].try_into().unwrap()) as usize;
        let mut rows = Vec::new();
        ZlibDecoder::new(&file[41..41 + length]).read_to_end(&mut rows).unwrap();
        assert_eq!(rows.len(), 16 * (1 + 3 * 40));
        for row in rows.chunks_exact(1 + 3 * 40) {
            assert_eq!(row[1..4], [1, 2, 3]);
            assert_eq!(row[3 * 39 + 1..], [255, 255, 255]);
        }
    }
}
