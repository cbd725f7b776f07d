//! Charts: lines, labelled points and borders, as SVG or PNG, with the same bytes for the same data.
//!
//! A chart is laid out as a scene of shapes, which the back ends of `plotters` paint. All that is
//! written has its place before anything is painted, so that tests can look whether it fits.

mod axis;
mod chart;
mod file;
mod font;
mod grid;
mod labels;
mod picture;
mod scene;

pub(crate) use axis::{Axis, Scale, Ticks};
pub(crate) use chart::{Border, Chart, Line, Look, Point};
pub(crate) use file::{File, Picture};
pub(crate) use grid::Grid;
