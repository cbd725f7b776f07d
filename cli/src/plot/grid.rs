//! Charts side by side, of one kind each of something else.

use super::chart::Chart;
use super::file::Picture;
use super::scene::{Anchor, BLACK, GRAY, Rect, Shape, Text, WHITE};

/// Charts under one title.
#[derive(Clone, Debug)]
pub(crate) struct Grid {
    pub(crate) title: String,
    /// In small print below: the machine, the day, the command.
    pub(crate) notes: Vec<String>,
    pub(crate) charts: Vec<Chart>,
}

/// Units of a chart of several.
const CELL: (f64, f64) = (600.0, 470.0);
const TITLE: f64 = 32.0;
const NOTE: f64 = 19.0;
const MARGIN: f64 = 20.0;

impl Grid {
    pub(crate) fn picture(&self) -> Picture {
        let columns = match self.charts.len() {
            ..=1 => 1,
            2 | 4 => 2,
            _ => 3,
        };
        let rows = self.charts.len().div_ceil(columns);
        let top = 2.0 * MARGIN + TITLE;
        let foot = 2.0 * MARGIN + 1.4 * NOTE * self.notes.len() as f64;
        let width = columns as f64 * CELL.0;
        let height = (top + rows as f64 * CELL.1 + foot).ceil();
        let all = Rect { left: 0.0, top: 0.0, right: width, bottom: height };
        let mut shapes = vec![Shape::Area(all.corners().to_vec(), WHITE, 1.0)];
        let mut write = |text: &String, y: f64, size: f64, color| {
            let (text, at, anchor) = (text.clone(), (MARGIN, y), Anchor::Start);
            shapes.push(Shape::Text(Text { text, at, size, anchor, color }));
        };
        write(&self.title, MARGIN + 0.5 * TITLE, TITLE, BLACK);
        for (line, note) in self.notes.iter().enumerate() {
            let y = height - foot + MARGIN + (0.5 + 1.4 * line as f64) * NOTE;
            write(note, y, NOTE, GRAY);
        }
        for (index, chart) in self.charts.iter().enumerate() {
            let left = (index % columns) as f64 * CELL.0;
            let top = top + (index / columns) as f64 * CELL.1;
            shapes.extend(chart.shapes(Rect {
                left,
                top,
                right: left + CELL.0,
                bottom: top + CELL.1,
            }));
        }
        Picture { shapes, size: (width as usize, height as usize) }
    }
}
