//! Where labels go: beside what they name, off lines, marks and each other.

use super::scene::{Anchor, At, Color, Rect, Text};

/// A text, and where what it names is.
pub(super) struct Label {
    pub(super) text: String,
    pub(super) size: f64,
    pub(super) color: Color,
    pub(super) of: Named,
}

/// What a label names.
pub(super) enum Named {
    /// A mark, whose label may be some way off.
    Mark(At),
    /// A line: the label is beside it, best where it begins, or on it if it is level.
    Line(Vec<At>),
    /// A line with this end: the label is in the margin that begins here.
    End(At, f64),
    /// A border from the first place down to the second: the label is beside it, best on top.
    Border(At, At),
}

/// What labels keep off.
#[derive(Default)]
pub(super) struct Obstacles {
    pub(super) segments: Vec<(At, At)>,
    pub(super) marks: Vec<Rect>,
}

/// A label in its place.
pub(super) struct Placed {
    pub(super) text: Text,
    /// From the mark to a label that is not right beside it.
    pub(super) leader: Option<(At, At)>,
}

/// A place that a label may take.
#[derive(Clone)]
struct Candidate {
    text: Text,
    rect: Rect,
    /// How bad it is, whatever other labels do.
    cost: f64,
    leader: Option<(At, At)>,
}

/// A unit of area that two labels share, or a label and a mark; a unit of length that a line goes
/// through a label; a unit of area outside.
const COVERED: f64 = 50.0;
const CROSSED: f64 = 2.0;
/// A line that the line from a mark to its label crosses.
const LED_OVER: f64 = 20.0;
/// A label that is this far from its mark needs a line to it.
const NEAR: f64 = 16.0;
/// Between a label and what is beside it.
const GAP: f64 = 7.0;

/// Places all labels inside `frame`: each where it is cheapest, in turn, until none moves.
pub(super) fn place(labels: Vec<Label>, frame: Rect, obstacles: &Obstacles) -> Vec<Placed> {
    const SWEEPS: usize = 20;
    let choices: Vec<Vec<Candidate>> =
        labels.iter().map(|label| candidates(label, frame, obstacles)).collect();
    let mut chosen: Vec<Option<usize>> = vec![None; choices.len()];
    for _ in 0..SWEEPS {
        let before = chosen.clone();
        for (index, candidates) in choices.iter().enumerate() {
            let others: Vec<&Candidate> = (0..choices.len())
                .filter(|&other| other != index)
                .filter_map(|other| Some(&choices[other][chosen[other]?]))
                .collect();
            let cost = |at: &usize| {
                let candidate = &candidates[*at];
                let shared = others.iter().map(|other| clash(candidate, other));
                candidate.cost + shared.sum::<f64>()
            };
            chosen[index] = (0..candidates.len()).min_by(|a, b| cost(a).total_cmp(&cost(b)));
        }
        if chosen == before {
            break;
        }
    }
    let placed = choices.into_iter().zip(chosen).filter_map(|(mut candidates, chosen)| {
        let Candidate { text, leader, .. } = candidates.swap_remove(chosen?);
        Some(Placed { text, leader })
    });
    placed.collect()
}

/// What two labels cost that are in each other's way.
fn clash(a: &Candidate, b: &Candidate) -> f64 {
    let through = |leader: Option<(At, At)>, rect: Rect| {
        leader.map_or(0.0, |(from, to)| CROSSED * inside(from, to, rect))
    };
    COVERED * a.rect.around(GAP / 2.0).overlap(b.rect)
        + through(a.leader, b.rect)
        + through(b.leader, a.rect)
}

fn candidates(label: &Label, frame: Rect, obstacles: &Obstacles) -> Vec<Candidate> {
    let mut found = Vec::new();
    let mut add = |at: At, anchor: Anchor, cost: f64, mark: Option<At>| {
        let Label { text, size, color, .. } = label;
        let text = Text { text: text.clone(), at, size: *size, anchor, color: *color };
        let rect = text.rect();
        let leader = mark.map(|mark| (mark, nearest(rect, mark)));
        let leader = leader.filter(|(from, to)| (to.0 - from.0).hypot(to.1 - from.1) > NEAR);
        let area = (rect.right - rect.left) * (rect.bottom - rect.top);
        let outside = area - frame.overlap(rect);
        let roomy = rect.around(2.0);
        let marks = obstacles.marks.iter().map(|mark| COVERED * roomy.overlap(*mark));
        let lines = obstacles.segments.iter().map(|&(from, to)| CROSSED * inside(from, to, roomy));
        let led = leader.map_or(0.0, |(from, to)| {
            let marks = obstacles.marks.iter().filter(|mark| !mark.covers(from));
            let through = marks.map(|mark| CROSSED * inside(from, to, *mark)).sum::<f64>();
            let over = obstacles.segments.iter().filter(|segment| cross((from, to), **segment));
            through + LED_OVER * over.count() as f64
        });
        let cost = cost + COVERED * outside + marks.sum::<f64>() + lines.sum::<f64>() + led;
        found.push(Candidate { text, rect, cost, leader });
    };
    match &label.of {
        Named::Mark(mark) => {
            for (ring, distance) in [12.0, 30.0, 55.0, 85.0, 120.0].into_iter().enumerate() {
                for (dx, dy, anchor, cost) in AROUND {
                    let at = (mark.0 + dx * distance, mark.1 + dy * (distance + label.size / 2.0));
                    add(at, anchor, cost + 25.0 * ring as f64, Some(*mark));
                }
            }
        }
        Named::Line(points) => {
            // A level line has its label on it, not where other lines meet it.
            if let [(x, y), .., last] = points[..]
                && y != last.1
            {
                add((x - GAP, y), Anchor::End, 0.0, None);
                for step in 1..8 {
                    let shift = f64::from(step) * 0.3 * label.size;
                    for shift in [shift, -shift] {
                        let at = (x - 2.0 * GAP, y + shift);
                        add(at, Anchor::End, 0.15 * shift.abs(), Some((x, y)));
                    }
                }
            }
            let lift = GAP + label.size / 2.0;
            for step in 0..=24 {
                // From the end back to the beginning.
                let (x, y) = point_along(points, 1.0 - f64::from(step) / 24.0);
                for (dx, dy, anchor) in [
                    (0.0, -lift, Anchor::End),
                    (0.0, -lift, Anchor::Middle),
                    (0.0, -lift, Anchor::Start),
                    (0.0, lift, Anchor::End),
                    (0.0, lift, Anchor::Middle),
                    (0.0, lift, Anchor::Start),
                    (-GAP, 0.0, Anchor::End),
                    (GAP, 0.0, Anchor::Start),
                ] {
                    let below = if dy > 0.0 { 1.0 } else { 0.0 };
                    add((x + dx, y + dy), anchor, 6.0 + f64::from(step) + below, None);
                }
            }
        }
        Named::End(end, margin) => {
            // Up and down, a bit further each time, with a line to where it belongs.
            for step in 0..24 {
                let shift = f64::from(step) * 0.3 * label.size;
                for shift in [shift, -shift] {
                    let leader = (shift != 0.0).then_some(*end);
                    add((margin + GAP, end.1 + shift), Anchor::Start, shift.abs(), leader);
                }
            }
        }
        Named::Border(top, bottom) => {
            let rows = ((bottom.1 - top.1) / (1.3 * label.size)) as usize;
            for row in 0..rows.max(1) {
                let y = top.1 + label.size * (0.8 + 1.3 * row as f64);
                let cost = 4.0 * row as f64;
                add((top.0 + GAP, y), Anchor::Start, cost, None);
                add((top.0 - GAP, y), Anchor::End, cost + 2.0, None);
            }
        }
    }
    found
}

/// Places around a mark, the best first, each with its cost.
const AROUND: [(f64, f64, Anchor, f64); 10] = [
    (1.0, 0.0, Anchor::Start, 0.0),
    (0.7, -0.6, Anchor::Start, 1.0),
    (0.7, 0.6, Anchor::Start, 2.0),
    (0.0, -1.0, Anchor::Middle, 3.0),
    (0.0, 1.0, Anchor::Middle, 4.0),
    (-1.0, 0.0, Anchor::End, 5.0),
    (-0.7, -0.6, Anchor::End, 6.0),
    (-0.7, 0.6, Anchor::End, 7.0),
    (0.4, 1.0, Anchor::Start, 8.0),
    (-0.4, 1.0, Anchor::End, 9.0),
];

/// The place of a rectangle that is nearest to another one.
fn nearest(rect: Rect, (x, y): At) -> At {
    (x.clamp(rect.left, rect.right), y.clamp(rect.top, rect.bottom))
}

/// The place after that part of a line's length.
fn point_along(points: &[At], part: f64) -> At {
    let length = |pair: &[At]| (pair[1].0 - pair[0].0).hypot(pair[1].1 - pair[0].1);
    let mut left = part * points.windows(2).map(length).sum::<f64>();
    for pair in points.windows(2) {
        let length = length(pair);
        if left <= length && length > 0.0 {
            let part = left / length;
            let between = |from: f64, to: f64| from + part * (to - from);
            return (between(pair[0].0, pair[1].0), between(pair[0].1, pair[1].1));
        }
        left -= length;
    }
    points.last().copied().unwrap_or_default()
}

/// Whether two lines cross. Those that touch do not.
fn cross((a, b): (At, At), (c, d): (At, At)) -> bool {
    let side = |(from, to): (At, At), at: At| {
        (to.0 - from.0) * (at.1 - from.1) - (to.1 - from.1) * (at.0 - from.0)
    };
    side((a, b), c) * side((a, b), d) < 0.0 && side((c, d), a) * side((c, d), b) < 0.0
}

/// The length of a line that is inside a rectangle.
fn inside(from: At, to: At, rect: Rect) -> f64 {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let (mut enters, mut leaves) = (0.0f64, 1.0f64);
    for (start, step, low, high) in
        [(from.0, dx, rect.left, rect.right), (from.1, dy, rect.top, rect.bottom)]
    {
        if step == 0.0 {
            if start < low || start > high {
                return 0.0;
            }
            continue;
        }
        let (a, b) = ((low - start) / step, (high - start) / step);
        (enters, leaves) = (enters.max(a.min(b)), leaves.min(a.max(b)));
    }
    (leaves - enters).max(0.0) * dx.hypot(dy)
}

#[cfg(test)]
mod tests {
    use super::{Label, Named, Obstacles, inside, place};
    use crate::plot::scene::{BLACK, Rect};

    const FRAME: Rect = Rect { left: 0.0, top: 0.0, right: 800.0, bottom: 400.0 };

    fn label(text: &str, of: Named) -> Label {
        Label { text: text.into(), size: 20.0, color: BLACK, of }
    }

    #[test]
    fn a_line_inside_a_rectangle_has_a_length() {
        let rect = Rect { left: 10.0, top: 10.0, right: 20.0, bottom: 20.0 };
        assert_eq!(inside((0.0, 15.0), (30.0, 15.0), rect), 10.0);
        assert_eq!(inside((12.0, 12.0), (12.0, 14.0), rect), 2.0);
        assert_eq!(inside((0.0, 0.0), (9.0, 30.0), rect), 0.0);
    }

    /// A crowd of marks, a line through them, borders: nothing lies on anything.
    #[test]
    fn labels_are_off_each_other_and_off_marks_and_lines() {
        let marks = [(400.0, 200.0), (404.0, 203.0), (408.0, 196.0), (500.0, 200.0), (790.0, 10.0)];
        let line = vec![(0.0, 390.0), (390.0, 210.0), (799.0, 205.0)];
        let mut labels = vec![
            label("a line", Named::Line(line.clone())),
            label("fused", Named::End((690.0, 205.0), 690.0)),
            label("unfused", Named::End((690.0, 206.0), 690.0)),
            label("L1 32 KiB", Named::Border((100.0, 0.0), (100.0, 400.0))),
            label("L2 1 MiB", Named::Border((130.0, 0.0), (130.0, 400.0))),
        ];
        let names = ["gelu_tanh", "multiply 1 Ki", "multiply 2 Ki", "add", "matmul 1024"];
        labels.extend(names.iter().zip(marks).map(|(name, at)| label(name, Named::Mark(at))));
        let around = |(x, y): (f64, f64)| Rect { left: x, top: y, right: x, bottom: y }.around(6.0);
        let mut segments: Vec<_> = line.windows(2).map(|pair| (pair[0], pair[1])).collect();
        segments.push(((100.0, 0.0), (100.0, 400.0)));
        segments.push(((130.0, 0.0), (130.0, 400.0)));
        let obstacles = Obstacles { segments, marks: marks.map(around).to_vec() };
        let placed = place(labels, FRAME, &obstacles);
        let rects: Vec<Rect> = placed.iter().map(|placed| placed.text.rect()).collect();
        for (index, rect) in rects.iter().enumerate() {
            let name = &placed[index].text.text;
            assert!(FRAME.holds(*rect), "{name} is inside");
            assert!(rects[..index].iter().all(|other| rect.overlap(*other) == 0.0), "{name}");
            assert!(obstacles.marks.iter().all(|mark| rect.overlap(*mark) == 0.0), "{name}");
            let crossed = obstacles.segments.iter().any(|&(a, b)| inside(a, b, *rect) > 0.0);
            assert!(!crossed, "no line goes through {name}");
        }
    }
}
