//! The picture: roofs as lines, kernels as points.

use crate::plot::{Axis, Chart, Line, Look, Point, Scale, Ticks};

/// What is drawn.
pub(super) struct Picture {
    pub(super) title: String,
    pub(super) notes: Vec<String>,
    /// Levels, and 10^9 bytes a second.
    pub(super) bandwidths: Vec<(String, f64)>,
    /// Kinds of arithmetic, and 10^9 FLOPs a second.
    pub(super) peaks: Vec<(String, f64)>,
    /// Kernels, FLOPs for each byte, and 10^9 FLOPs a second.
    pub(super) kernels: Vec<(String, f64, f64)>,
}

impl Picture {
    pub(super) fn chart(self) -> Chart {
        let Picture { title, notes, bandwidths, peaks, kernels } = self;
        let most = |figures: &[(String, f64)]| figures.iter().map(|it| it.1).fold(0.0, f64::max);
        let (fastest, peak) = (most(&bandwidths), most(&peaks));
        // What does nothing, or moves nothing, is at no place of a logarithmic axis.
        let shown = |kernel: &(String, f64, f64)| kernel.1 > 0.0 && kernel.1.is_finite();
        let kernels: Vec<_> = kernels.into_iter().filter(shown).collect();
        // From left of all kernels to right of where the last bandwidth meets the peak.
        let intensities = || kernels.iter().map(|kernel| kernel.1);
        let ridges = bandwidths.iter().map(|(_, rate)| peak / rate);
        let first = intensities().fold(0.1, f64::min) / 4.0;
        let last = intensities().chain(ridges.map(|at| 3.0 * at)).fold(1.0, f64::max) * 2.0;
        let mut lines: Vec<Line> = bandwidths
            .into_iter()
            .map(|(level, rate)| Line {
                label: format!("{level} {rate:.0} GB/s"),
                points: vec![(first, first * rate), (peak / rate, peak)],
                look: Look::Limit,
            })
            .collect();
        lines.extend(peaks.into_iter().map(|(name, rate)| Line {
            label: format!("{name}: {rate:.0} GFLOP/s"),
            points: vec![(rate / fastest, rate), (last, rate)],
            look: if rate == peak { Look::Limit } else { Look::Minor },
        }));
        let point = |(label, x, y): (String, f64, f64)| Point { label, at: (x, y) };
        Chart {
            title,
            notes,
            x: Axis { label: "FLOP per byte".into(), scale: Scale::Log, ticks: Ticks::Plain },
            y: Axis { label: "GFLOP/s".into(), scale: Scale::Log, ticks: Ticks::Plain },
            lines,
            points: kernels.into_iter().map(point).collect(),
            borders: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Picture;

    fn named(figures: &[(&str, f64)]) -> Vec<(String, f64)> {
        figures.iter().map(|(name, figure)| ((*name).into(), *figure)).collect()
    }

    /// Lines meet at the peak; kernels are between their ends.
    #[test]
    fn kernels_are_below_roofs_that_meet() {
        let kernels = [("add", 0.08, 3.0), ("matmul", 170.0, 90.0), ("copy", 0.0, 0.0)];
        let picture = Picture {
            title: "roofs".into(),
            notes: Vec::new(),
            bandwidths: named(&[("L1", 200.0), ("memory", 40.0)]),
            peaks: named(&[("f32", 100.0), ("f64", 50.0)]),
            kernels: kernels.map(|(name, x, y)| (name.into(), x, y)).to_vec(),
        };
        let chart = picture.chart();
        let names: Vec<&str> = chart.points.iter().map(|point| &point.label[..]).collect();
        assert_eq!(names, ["add", "matmul"]);
        let ends = |line: usize| (chart.lines[line].points[0], chart.lines[line].points[1]);
        assert_eq!(ends(0), ((0.02, 4.0), (0.5, 100.0)));
        assert_eq!(ends(1).1, (2.5, 100.0));
        assert_eq!(ends(2), ((0.5, 100.0), (340.0, 100.0)));
        assert_eq!(ends(3).0, (0.25, 50.0));
    }
}
