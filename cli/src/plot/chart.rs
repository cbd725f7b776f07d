//! The layout of a chart.

use super::axis::{Axis, MOST, Ruler, Scale, Tick};
use super::file::Picture;
use super::font;
use super::labels::{Label, Named, Obstacles, Placed, place};
use super::scene::{Anchor, At, BLACK, Color, Dash, GRAY, PALE, Rect, Shape, Stroke, Text, WHITE};

/// Lines, points and borders over two axes.
#[derive(Clone, Debug)]
pub(crate) struct Chart {
    pub(crate) title: String,
    /// In small print below: the machine, the day, the command.
    pub(crate) notes: Vec<String>,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) lines: Vec<Line>,
    pub(crate) points: Vec<Point>,
    pub(crate) borders: Vec<Border>,
}

/// A line with its label.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) label: String,
    pub(crate) points: Vec<(f64, f64)>,
    pub(crate) look: Look,
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Look {
    /// Measurements, marked: with a colour, a dash and a mark of its own among these.
    Series,
    /// A limit: black, without marks.
    Limit,
    /// A limit that matters less: grey.
    Minor,
}

/// A mark with its label.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    pub(crate) label: String,
    pub(crate) at: (f64, f64),
}

/// A vertical line with its label, such as the size of a cache.
#[derive(Clone, Debug)]
pub(crate) struct Border {
    pub(crate) label: String,
    pub(crate) at: f64,
}

/// Units of a picture. In a column of A4, 16 cm wide, 24 of them are type of 9 points.
const SIZE: (usize, usize) = (1200, 780);
const TITLE: f64 = 28.0;
const BODY: f64 = 24.0;
const NOTE: f64 = 17.0;
const MARGIN: f64 = 20.0;
/// The room of a number, on either axis.
const COLUMN: f64 = 4.0 * BODY;
const ROW: f64 = 2.2 * BODY;
/// Half of a mark.
const MARK: f64 = 7.0;

/// Told apart by colour-blind people (Okabe and Ito's, without those too pale for lines), and in
/// grey by dashes and marks.
const SERIES: [(Color, Dash, Corners); 6] = [
    (Color(0, 114, 178), &[], CIRCLE),
    (Color(213, 94, 0), &[14.0, 6.0], SQUARE),
    (Color(0, 130, 95), &[3.0, 5.0], TRIANGLE),
    (Color(170, 68, 140), &[16.0, 5.0, 3.0, 5.0], DIAMOND),
    (BLACK, &[7.0, 5.0], POINTED),
    (Color(60, 150, 205), &[24.0, 5.0], FLAT),
];
/// Of points, which are told apart by their labels.
const POINT: Color = Color(213, 94, 0);
const BORDER: Dash = &[2.0, 6.0];

/// A mark around its place, by half of its size.
type Corners = &'static [At];
const CIRCLE: Corners = &[
    (1.0, 0.0),
    (0.924, 0.383),
    (0.707, 0.707),
    (0.383, 0.924),
    (0.0, 1.0),
    (-0.383, 0.924),
    (-0.707, 0.707),
    (-0.924, 0.383),
    (-1.0, 0.0),
    (-0.924, -0.383),
    (-0.707, -0.707),
    (-0.383, -0.924),
    (0.0, -1.0),
    (0.383, -0.924),
    (0.707, -0.707),
    (0.924, -0.383),
];
const SQUARE: Corners = &[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)];
const TRIANGLE: Corners = &[(0.0, -1.15), (1.1, 0.85), (-1.1, 0.85)];
const DIAMOND: Corners = &[(0.0, -1.25), (1.25, 0.0), (0.0, 1.25), (-1.25, 0.0)];
const POINTED: Corners = &[(0.0, 1.15), (1.1, -0.85), (-1.1, -0.85)];
const FLAT: Corners = &[(-1.2, -0.5), (1.2, -0.5), (1.2, 0.5), (-1.2, 0.5)];

impl Chart {
    pub(crate) fn picture(&self) -> Picture {
        let (width, height) = SIZE;
        let all = Rect { left: 0.0, top: 0.0, right: width as f64, bottom: height as f64 };
        Picture { shapes: self.shapes(all), size: SIZE }
    }

    /// What it consists of, inside of `all`.
    pub(super) fn shapes(&self, all: Rect) -> Vec<Shape> {
        let mut shapes = vec![Shape::Area(all.corners().to_vec(), WHITE, 1.0)];
        let rulers = self.rulers(all);
        let frame = self.frame(all, &rulers);
        self.write_around(all, frame, &mut shapes);
        axes(&rulers, frame, &mut shapes);
        let plane = Plane { frame, rulers, axes: [&self.x, &self.y] };
        self.fill(all, &plane, &mut shapes);
        shapes
    }

    fn rulers(&self, all: Rect) -> [Ruler; 2] {
        let places = self.lines.iter().flat_map(|line| &line.points);
        let places = places.chain(self.points.iter().map(|point| &point.at));
        let shown = |(x, y): &&(f64, f64)| self.x.has(*x) && self.y.has(*y);
        let places: Vec<&(f64, f64)> = places.filter(shown).collect();
        // Limits have their labels where they begin, borders on top.
        let limits = self.lines.iter().filter(|line| line.look != Look::Series && rises(line));
        let before = longest(limits.map(|line| &line.label[..]), BODY) / (all.right - all.left);
        let above = if self.borders.is_empty() { 2.4 } else { 3.0 } * BODY / (all.bottom - all.top);
        let below = if self.y.scale == Scale::Linear { 0.0 } else { 0.05 };
        [
            self.x.ruler(places.iter().map(|place| place.0), [1.1 * before + 0.02, 0.02]),
            self.y.ruler(places.iter().map(|place| place.1), [below, above]),
        ]
    }

    /// Where lines and points are.
    fn frame(&self, all: Rect, [_, y]: &[Ruler; 2]) -> Rect {
        let notes = self.notes.len() as f64 * 1.4 * NOTE;
        let top = all.top + MARGIN + TITLE + 1.9 * BODY;
        let bottom = all.bottom - MARGIN - notes - 3.4 * BODY;
        let ticks = y.ticks(most(bottom - top, ROW));
        let numbers = longest(ticks.iter().filter_map(|tick| tick.text.as_deref()), BODY);
        let series = self.lines.iter().filter(|line| line.look == Look::Series);
        let series = longest(series.map(|line| &line.label[..]), BODY);
        Rect {
            left: all.left + MARGIN + numbers + 12.0,
            top,
            right: all.right - 2.0 * MARGIN - series,
            bottom,
        }
    }

    /// Title, names of axes, notes.
    fn write_around(&self, all: Rect, frame: Rect, shapes: &mut Vec<Shape>) {
        let mut write = |text: &str, at: At, size: f64, anchor: Anchor, color: Color| {
            shapes.push(Shape::Text(Text { text: text.into(), at, size, anchor, color }));
        };
        let left = all.left + MARGIN;
        write(&self.title, (left, all.top + MARGIN + 0.5 * TITLE), TITLE, Anchor::Start, BLACK);
        write(&self.y.label, (left, frame.top - 1.1 * BODY), BODY, Anchor::Start, GRAY);
        let below = frame.bottom + 2.5 * BODY;
        write(&self.x.label, (frame.right, below), BODY, Anchor::End, GRAY);
        for (line, note) in self.notes.iter().rev().enumerate() {
            let y = all.bottom - MARGIN - (0.5 + 1.4 * line as f64) * NOTE;
            write(note, (left, y), NOTE, Anchor::Start, GRAY);
        }
    }

    /// Everything inside the frame.
    fn fill(&self, all: Rect, plane: &Plane<'_>, shapes: &mut Vec<Shape>) {
        let mut labels = Vec::new();
        let mut obstacles = Obstacles::default();
        let mut name = |text: &str, color: Color, of: Named| {
            labels.push(Label { text: text.into(), size: BODY, color, of });
        };
        for border in &self.borders {
            let Some((top, bottom)) = plane.border(border.at) else { continue };
            shapes.push(stroke(vec![top, bottom], 2.0, BORDER, GRAY));
            obstacles.segments.push((top, bottom));
            name(&border.label, GRAY, Named::Border(top, bottom));
        }
        let mut series = SERIES.iter().cycle();
        let mut marks = Vec::new();
        for line in &self.lines {
            let points: Vec<At> = line.points.iter().filter_map(|&at| plane.at(at)).collect();
            let (width, (color, dash, mark)) = match line.look {
                Look::Series => (3.0, *series.next().expect("it goes on and on")),
                Look::Limit => (3.0, (BLACK, &[][..], &[][..])),
                Look::Minor => (2.0, (GRAY, &[10.0, 6.0][..], &[][..])),
            };
            if points.is_empty() {
                continue;
            }
            obstacles.segments.extend(points.windows(2).map(|pair| (pair[0], pair[1])));
            if !mark.is_empty() {
                marks.extend(points.iter().map(|&at| marked(at, mark, color)));
                obstacles.marks.extend(points.iter().map(|&at| around(at)));
            }
            shapes.push(stroke(points.clone(), width, dash, color));
            let of = match (line.look, points.last()) {
                (Look::Series, Some(&end)) => Named::End(end, plane.frame.right),
                _ => Named::Line(points),
            };
            name(&line.label, color, of);
        }
        for Point { label, at } in &self.points {
            let Some(at) = plane.at(*at) else { continue };
            obstacles.marks.push(around(at));
            marks.push(marked(at, CIRCLE, POINT));
            name(label, BLACK, Named::Mark(at));
        }
        let room = Rect { right: all.right, ..plane.frame }.around(-4.0);
        let placed = place(labels, room, &obstacles);
        let leaders = placed.iter().filter_map(|placed| placed.leader);
        shapes.extend(leaders.map(|(from, to)| stroke(vec![from, to], 1.5, &[], GRAY)));
        shapes.extend(marks);
        for Placed { text, .. } in placed {
            // The grid does not show through the letters.
            shapes.push(Shape::Area(text.rect().around(1.0).corners().to_vec(), WHITE, 0.8));
            shapes.push(Shape::Text(text));
        }
    }
}

/// Whether it is no horizontal line.
fn rises(line: &Line) -> bool {
    let (first, last) = (line.points.first(), line.points.last());
    first.zip(last).is_some_and(|(first, last)| first.1 != last.1)
}

/// The width of the longest of these texts.
fn longest<'a>(texts: impl Iterator<Item = &'a str>, size: f64) -> f64 {
    texts.map(|text| font::width(text, size)).fold(0.0, f64::max)
}

/// Where the numbers of both axes are.
struct Plane<'a> {
    frame: Rect,
    rulers: [Ruler; 2],
    axes: [&'a Axis; 2],
}

impl Plane<'_> {
    fn at(&self, (x, y): (f64, f64)) -> Option<At> {
        let known = self.axes[0].has(x) && self.axes[1].has(y);
        known.then(|| place_in(self.frame, self.rulers[0].along(x), self.rulers[1].along(y)))
    }

    /// The ends of a vertical line, if it is inside.
    fn border(&self, x: f64) -> Option<(At, At)> {
        let along = self.axes[0].has(x).then(|| self.rulers[0].along(x))?;
        let shown = (0.0..=1.0).contains(&along);
        shown.then(|| (place_in(self.frame, along, 1.0), place_in(self.frame, along, 0.0)))
    }
}

fn place_in(frame: Rect, along: f64, up: f64) -> At {
    let Rect { left, top, right, bottom } = frame;
    (left + along * (right - left), bottom - up * (bottom - top))
}

/// How many numbers an axis of that length has room for, each in so much of it.
fn most(length: f64, each: f64) -> usize {
    ((length / each) as usize).clamp(2, MOST)
}

/// The frame, the grid and the numbers.
fn axes([x, y]: &[Ruler; 2], frame: Rect, shapes: &mut Vec<Shape>) {
    const TICK: f64 = 5.0;
    let mut numbers = Vec::new();
    let mut ticks = Vec::new();
    for Tick { at, text } in x.ticks(most(frame.right - frame.left, COLUMN)) {
        let (foot, head) = (place_in(frame, x.along(at), 0.0), place_in(frame, x.along(at), 1.0));
        match text {
            Some(text) => {
                shapes.push(stroke(vec![foot, head], 1.0, &[], PALE));
                numbers.push((text, (foot.0, foot.1 + 0.9 * BODY), Anchor::Middle));
            }
            None => ticks.push(stroke(vec![foot, (foot.0, foot.1 + TICK)], 1.0, &[], GRAY)),
        }
    }
    for Tick { at, text } in y.ticks(most(frame.bottom - frame.top, ROW)) {
        let (left, right) = (place_in(frame, 0.0, y.along(at)), place_in(frame, 1.0, y.along(at)));
        match text {
            Some(text) => {
                shapes.push(stroke(vec![left, right], 1.0, &[], PALE));
                numbers.push((text, (left.0 - 10.0, left.1), Anchor::End));
            }
            None => ticks.push(stroke(vec![left, (left.0 - TICK, left.1)], 1.0, &[], GRAY)),
        }
    }
    let [a, b, c, d] = frame.corners();
    shapes.push(stroke(vec![a, b, c, d, a], 1.0, &[], GRAY));
    shapes.extend(ticks);
    let number =
        |(text, at, anchor)| Shape::Text(Text { text, at, size: BODY, anchor, color: BLACK });
    shapes.extend(numbers.into_iter().map(number));
}

fn stroke(points: Vec<At>, width: f64, dash: Dash, color: Color) -> Shape {
    Shape::Stroke(Stroke { points, width, dash, color })
}

fn marked((x, y): At, corners: Corners, color: Color) -> Shape {
    let corners = corners.iter().map(|(dx, dy)| (x + MARK * dx, y + MARK * dy));
    Shape::Area(corners.collect(), color, 1.0)
}

fn around((x, y): At) -> Rect {
    Rect { left: x, top: y, right: x, bottom: y }.around(1.2 * MARK)
}

#[cfg(test)]
mod tests {
    use super::{Axis, Border, Chart, Line, Look, Point, SIZE, Scale};
    use crate::plot::Ticks;
    use crate::plot::picture::Format;
    use crate::plot::scene::{Rect, Shape};

    fn svg(chart: &Chart) -> Vec<u8> {
        Format::Svg.draw(&chart.picture().shapes, SIZE)
    }

    fn axis(label: &str, ticks: Ticks) -> Axis {
        Axis { label: label.into(), scale: Scale::Log, ticks }
    }

    /// Times over sizes, two of them alike, and what has no place.
    fn sweep() -> Chart {
        let sizes: Vec<f64> = (10..=26).map(|power| f64::from(power).exp2()).collect();
        let line = |label: &str, time: fn(f64) -> f64| Line {
            label: label.into(),
            points: sizes.iter().map(|&size| (size, time(size))).chain([(0.0, 1.0)]).collect(),
            look: Look::Series,
        };
        let border = |label: &str, at: f64| Border { label: label.into(), at };
        Chart {
            title: "a < b & \"c\"".into(),
            notes: vec!["a machine".into(), "a command".into()],
            x: axis("elements", Ticks::Binary),
            y: axis("ns per element", Ticks::Plain),
            lines: vec![
                line("fused", |size| 0.1 + 100.0 / size),
                line("copy", |size| 0.1 + 99.0 / size),
                line("unfused", |size| if size > 1e6 { 2.3 } else { 0.8 }),
                line("nowhere", |_| f64::NAN),
            ],
            points: Vec::new(),
            borders: vec![
                border("L1 32 KiB", 4096.0),
                border("L2 1 MiB", 131072.0),
                border("", 1.0),
            ],
        }
    }

    /// Kernels under roofs, some of them at one place.
    fn roofline() -> Chart {
        let line = |label: &str, look: Look, points: [(f64, f64); 2]| Line {
            label: label.into(),
            points: points.to_vec(),
            look,
        };
        let point = |label: &str, x: f64, y: f64| Point { label: label.into(), at: (x, y) };
        Chart {
            x: axis("FLOP per byte", Ticks::Plain),
            y: axis("GFLOP/s", Ticks::Plain),
            lines: vec![
                line("512 bits: 150 GFLOP/s", Look::Limit, [(0.8, 150.0), (300.0, 150.0)]),
                line("256 bits: 110 GFLOP/s", Look::Minor, [(0.6, 110.0), (300.0, 110.0)]),
                line("L1: 180 GB/s", Look::Limit, [(0.03, 5.4), (0.8, 150.0)]),
                line("L2: 75 GB/s", Look::Limit, [(0.03, 2.2), (2.0, 150.0)]),
                line("memory: 15 GB/s", Look::Limit, [(0.03, 0.45), (10.0, 150.0)]),
            ],
            points: vec![
                point("add", 0.083, 1.2),
                point("multiply", 0.083, 1.2),
                point("gelu_tanh", 4.0, 38.0),
                point("matmul 1024", 170.0, 120.0),
            ],
            borders: Vec::new(),
            ..sweep()
        }
    }

    fn texts(chart: &Chart) -> Vec<(String, Rect)> {
        let (right, bottom) = (SIZE.0 as f64, SIZE.1 as f64);
        let all = Rect { left: 0.0, top: 0.0, right, bottom };
        let texts = chart.shapes(all).into_iter().filter_map(|shape| match shape {
            Shape::Text(text) => Some((text.text.clone(), text.rect())),
            _ => None,
        });
        texts.inspect(|(text, rect)| assert!(all.holds(*rect), "{text} is inside")).collect()
    }

    #[test]
    fn no_text_is_on_another_one() {
        for chart in [sweep(), roofline()] {
            let texts = texts(&chart);
            let names = chart.lines.iter().filter(|line| line.label != "nowhere");
            assert!(
                names.into_iter().all(|line| texts.iter().any(|(text, _)| *text == line.label))
            );
            for (index, (text, rect)) in texts.iter().enumerate() {
                for (other, taken) in &texts[..index] {
                    assert_eq!(rect.overlap(*taken), 0.0, "{text} and {other}");
                }
            }
        }
    }

    #[test]
    fn what_has_no_place_is_left_out() {
        let texts = texts(&sweep());
        assert!(texts.iter().all(|(text, _)| text != "nowhere" && !text.is_empty()));
        let nothing = Chart { lines: Vec::new(), borders: Vec::new(), ..sweep() };
        assert!(!svg(&nothing).is_empty());
    }

    #[test]
    fn svg_is_well_formed_and_the_same_every_time() {
        for chart in [sweep(), roofline()] {
            let text = String::from_utf8(svg(&chart)).unwrap();
            assert_eq!(text.as_bytes(), svg(&chart));
            assert!(text.contains("a &lt; b &amp; &quot;c&quot;"));
            let mut open = Vec::new();
            for tag in text.split('<').skip(1) {
                let (tag, rest) = tag.split_once('>').expect("tags end");
                assert!(!rest.contains('>'));
                assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
                match tag.strip_prefix('/') {
                    Some(name) => assert_eq!(open.pop(), Some(name)),
                    None if tag.ends_with('/') => {}
                    None => open.extend(tag.split(' ').next()),
                }
            }
            assert!(open.is_empty());
        }
    }
}
