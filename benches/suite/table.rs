//! What is measured, and the table that it fills.

use kiln::profile::{Counts, Profiler, profile_fn};

/// An entrant whose row in a table has its name.
pub(crate) fn timed<'a, R>(call: impl FnMut() -> R + 'a) -> Profiler<'a> {
    profile_fn("", Counts::default(), call)
}

/// A table that is printed row by row, as the rows are measured.
pub(crate) struct Table {
    widths: Vec<usize>,
}

impl Table {
    /// Prints what the table shows and its header. The first column is `wide` characters wide.
    pub(crate) fn new(section: &str, note: &str, wide: usize, columns: &[&str]) -> Table {
        println!("\n== {section}: {note}\n");
        let width = |(at, name): (usize, &&str)| if at == 0 { wide } else { name.len().max(7) };
        let table = Table { widths: columns.iter().enumerate().map(width).collect() };
        table.row(&columns.iter().map(|&name| Cell::Text(name.into())).collect::<Vec<_>>());
        table
    }

    pub(crate) fn row(&self, cells: &[Cell]) {
        let mut line = String::new();
        for (at, (cell, &width)) in cells.iter().zip(&self.widths).enumerate() {
            let text = cell.to_string();
            line += &if at == 0 { format!("{text:<width$}") } else { format!("  {text:>width$}") };
        }
        println!("{}", line.trim_end());
    }
}

/// What a table shows.
pub(crate) enum Cell {
    Text(String),
    /// Nanoseconds or microseconds, as the header says.
    Time(f64),
    /// How many times more.
    Ratio(f64),
    /// A power of two, such as 256 Ki.
    Size(usize),
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Cell::Text(text) => f.write_str(text),
            Cell::Time(time) if *time < 10.0 => write!(f, "{time:.3}"),
            Cell::Time(time) => write!(f, "{time:.1}"),
            Cell::Ratio(ratio) => write!(f, "{ratio:.2}x"),
            Cell::Size(size) if *size >= 1 << 20 => write!(f, "{} Mi", size >> 20),
            Cell::Size(size) if *size >= 1 << 10 => write!(f, "{} Ki", size >> 10),
            Cell::Size(size) => write!(f, "{size}"),
        }
    }
}
