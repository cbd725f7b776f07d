//! What a chart consists of, in the order in which it is painted, and how a back end paints it.

use super::font::{self, Style};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, DrawingBackend, DrawingErrorKind,
};

/// A place: units to the right, and down.
pub(super) type At = (f64, f64);

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Color(pub(super) u8, pub(super) u8, pub(super) u8);

pub(super) const BLACK: Color = Color(0, 0, 0);
pub(super) const GRAY: Color = Color(96, 96, 96);
pub(super) const PALE: Color = Color(222, 222, 222);
pub(super) const WHITE: Color = Color(255, 255, 255);

/// Lengths of strokes and of what is between them, in turn; solid if there are none.
pub(super) type Dash = &'static [f64];

#[derive(Clone, Debug)]
pub(super) struct Stroke {
    pub(super) points: Vec<At>,
    pub(super) width: f64,
    pub(super) dash: Dash,
    pub(super) color: Color,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A line of text, whose capitals are centred on the height of its place.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub(super) text: String,
    pub(super) at: At,
    pub(super) size: f64,
    pub(super) anchor: Anchor,
    pub(super) color: Color,
}

#[derive(Clone, Debug)]
pub(super) enum Shape {
    Stroke(Stroke),
    /// A polygon, filled to that part.
    Area(Vec<At>, Color, f64),
    Text(Text),
}

/// A rectangle: left, top, right, bottom.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rect {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

impl Rect {
    pub(super) fn corners(self) -> [At; 4] {
        let Rect { left, top, right, bottom } = self;
        [(left, top), (right, top), (right, bottom), (left, bottom)]
    }

    pub(super) fn around(self, by: f64) -> Rect {
        let Rect { left, top, right, bottom } = self;
        Rect { left: left - by, top: top - by, right: right + by, bottom: bottom + by }
    }

    /// The area that both cover.
    pub(super) fn overlap(self, other: Rect) -> f64 {
        let width = self.right.min(other.right) - self.left.max(other.left);
        let height = self.bottom.min(other.bottom) - self.top.max(other.top);
        width.max(0.0) * height.max(0.0)
    }

    pub(super) fn covers(self, (x, y): At) -> bool {
        (self.left..=self.right).contains(&x) && (self.top..=self.bottom).contains(&y)
    }

    #[cfg(test)]
    pub(super) fn holds(self, other: Rect) -> bool {
        self.left <= other.left
            && self.top <= other.top
            && self.right >= other.right
            && self.bottom >= other.bottom
    }
}

impl Text {
    /// What it covers, with letters that go below the line.
    pub(super) fn rect(&self) -> Rect {
        let width = font::width(&self.text, self.size);
        let left = match self.anchor {
            Anchor::Start => self.at.0,
            Anchor::Middle => self.at.0 - width / 2.0,
            Anchor::End => self.at.0 - width,
        };
        let (above, below) = (0.42 * self.size, 0.58 * self.size);
        Rect { left, top: self.at.1 - above, right: left + width, bottom: self.at.1 + below }
    }
}

#[derive(Clone, Copy)]
struct Ink {
    color: BackendColor,
    width: u32,
}

impl Ink {
    fn new(Color(red, green, blue): Color, alpha: f64, width: u32) -> Ink {
        Ink { color: BackendColor { alpha, rgb: (red, green, blue) }, width }
    }
}

impl BackendStyle for Ink {
    fn color(&self) -> BackendColor {
        self.color
    }

    fn stroke_width(&self) -> u32 {
        self.width
    }
}

/// Paints all shapes, `scale` pixels to the unit.
pub(super) fn paint<B: DrawingBackend>(
    shapes: &[Shape],
    mut to: B,
    scale: f64,
) -> Result<(), DrawingErrorKind<B::ErrorType>> {
    let pixel =
        |(x, y): At| -> BackendCoord { ((x * scale).round() as i32, (y * scale).round() as i32) };
    for shape in shapes {
        match shape {
            Shape::Stroke(Stroke { points, width, dash, color }) => {
                let ink = Ink::new(*color, 1.0, (width * scale).round().max(1.0) as u32);
                for piece in pieces(points, dash) {
                    let mut pixels: Vec<BackendCoord> = piece.into_iter().map(pixel).collect();
                    pixels.dedup();
                    if pixels.len() > 1 {
                        to.draw_path(pixels, &ink)?;
                    }
                }
            }
            Shape::Area(corners, color, alpha) => {
                to.fill_polygon(corners.iter().copied().map(pixel), &Ink::new(*color, *alpha, 1))?;
            }
            Shape::Text(text) => {
                to.draw_text(&text.text, &Style { text, scale }, pixel(text.at))?;
            }
        }
    }
    to.present()
}

/// The strokes of a dashed line.
fn pieces(points: &[At], dash: Dash) -> Vec<Vec<At>> {
    if dash.is_empty() {
        return vec![points.to_vec()];
    }
    let mut pieces = Vec::new();
    let mut lengths = dash.iter().copied().cycle();
    let (mut left, mut drawn) = (lengths.next().unwrap_or(f64::INFINITY), true);
    let mut piece: Vec<At> = points.first().copied().into_iter().collect();
    for pair in points.windows(2) {
        let (mut from, to) = (pair[0], pair[1]);
        loop {
            let (dx, dy) = (to.0 - from.0, to.1 - from.1);
            let length = dx.hypot(dy);
            if length <= left {
                left -= length;
                piece.extend(drawn.then_some(to));
                break;
            }
            from = (from.0 + dx * left / length, from.1 + dy * left / length);
            match drawn {
                true => {
                    piece.push(from);
                    pieces.push(std::mem::take(&mut piece));
                }
                false => piece = vec![from],
            }
            drawn = !drawn;
            left = lengths.next().unwrap_or(f64::INFINITY);
        }
    }
    pieces.extend(drawn.then_some(piece));
    pieces
}

#[cfg(test)]
mod tests {
    use super::pieces;

    #[test]
    fn dashes_go_on_around_corners() {
        let strokes = pieces(&[(0.0, 0.0), (5.0, 0.0), (5.0, 9.0)], &[4.0, 3.0]);
        let first = vec![(0.0, 0.0), (4.0, 0.0)];
        assert_eq!(strokes, [first, vec![(5.0, 2.0), (5.0, 6.0)]]);
    }
}
