//! The font of charts, which is built in: a fresh machine has none. Its letters are as wide as Arial's,
//! so what is laid out by it fits where a viewer of SVG takes Arial or one of its kin.

use super::scene::{Anchor, Color, Text};
use ab_glyph::{Font, FontRef, PxScale, ScaleFont};
use plotters_backend::text_anchor::{HPos, Pos, VPos};
use plotters_backend::{BackendColor, BackendCoord, BackendTextStyle, FontFamily};
use std::convert::Infallible;
use std::sync::LazyLock;

static FONT: LazyLock<FontRef<'static>> = LazyLock::new(|| {
    FontRef::try_from_slice(include_bytes!("font/Arimo-Latin.ttf")).expect("it is a font")
});
const FAMILY: &str = "Arimo, Arial, Helvetica, Liberation Sans, sans-serif";

/// What the back end for SVG divides a size by, to have that of the letter m.
const SIZE_OF_EM: f64 = 1.24;
/// From the baseline to the top of a capital, by the size of the font.
const CAPITAL: f64 = 0.72;

/// Letters of so many units to the em.
fn scale(size: f64) -> PxScale {
    let units = FONT.units_per_em().expect("the font tells its units");
    PxScale::from(size as f32 * FONT.height_unscaled() / units)
}

/// The width of a line of text.
pub(super) fn width(text: &str, size: f64) -> f64 {
    let font = FONT.as_scaled(scale(size));
    text.chars().map(|letter| f64::from(font.h_advance(font.glyph_id(letter)))).sum()
}

/// A text as the back ends take it; `scale` pixels are a unit of the scene.
pub(super) struct Style<'a> {
    pub(super) text: &'a Text,
    pub(super) scale: f64,
}

impl BackendTextStyle for Style<'_> {
    type FontError = Infallible;

    fn color(&self) -> BackendColor {
        let Color(red, green, blue) = self.text.color;
        BackendColor { alpha: 1.0, rgb: (red, green, blue) }
    }

    fn size(&self) -> f64 {
        self.text.size * self.scale * SIZE_OF_EM
    }

    fn anchor(&self) -> Pos {
        let across = match self.text.anchor {
            Anchor::Start => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::End => HPos::Right,
        };
        Pos::new(across, VPos::Center)
    }

    fn family(&self) -> FontFamily<'_> {
        FontFamily::Name(FAMILY)
    }

    fn layout_box(&self, text: &str) -> Result<((i32, i32), (i32, i32)), Infallible> {
        let size = self.text.size * self.scale;
        Ok(((0, 0), (width(text, size).round() as i32, (CAPITAL * size).round() as i32)))
    }

    /// Below `at`, the upper left corner of its capitals.
    fn draw<E, Draw: FnMut(i32, i32, BackendColor) -> Result<(), E>>(
        &self,
        text: &str,
        (left, top): BackendCoord,
        mut draw: Draw,
    ) -> Result<Result<(), E>, Infallible> {
        let size = self.text.size * self.scale;
        let font = FONT.as_scaled(scale(size));
        let mut x = left as f32;
        let baseline = top as f32 + (CAPITAL * size) as f32;
        for letter in text.chars() {
            let mut glyph = font.scaled_glyph(letter);
            glyph.position = ab_glyph::point(x, baseline);
            x += font.h_advance(glyph.id);
            let Some(outline) = font.outline_glyph(glyph) else { continue };
            let corner = outline.px_bounds().min;
            let mut drawn = Ok(());
            outline.draw(|right, down, coverage| {
                let color = BackendColor { alpha: f64::from(coverage), ..self.color() };
                let (x, y) = (corner.x as i32 + right as i32, corner.y as i32 + down as i32);
                if drawn.is_ok() {
                    drawn = draw(x, y, color);
                }
            });
            if drawn.is_err() {
                return Ok(drawn);
            }
        }
        Ok(Ok(()))
    }
}
