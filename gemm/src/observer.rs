//! Who is told of a product while it runs, and may end it.

use std::ops::Range;

/// Is told what is finished of a product. A closure of rows and columns is one that lets all products end.
pub trait Observer {
    /// Nothing is added any more to these rows and columns of the result, which a cache still has. Calls
    /// are for blocks that make up the result, each once.
    fn finished(&mut self, rows: Range<usize>, columns: Range<usize>);

    /// Whether to go on, asked before each block. After a no, elements of the result may be anything.
    fn goes_on(&self) -> bool {
        true
    }
}

impl<F: FnMut(Range<usize>, Range<usize>)> Observer for F {
    fn finished(&mut self, rows: Range<usize>, columns: Range<usize>) {
        self(rows, columns);
    }
}

/// Is told of the transposed product.
pub(crate) struct Turned<'o>(pub(crate) &'o mut dyn Observer);

impl Observer for Turned<'_> {
    fn finished(&mut self, rows: Range<usize>, columns: Range<usize>) {
        self.0.finished(columns, rows);
    }

    fn goes_on(&self) -> bool {
        self.0.goes_on()
    }
}

/// Tells an observer which columns of some rows are finished, when there are enough of them.
pub(crate) struct Telling<'o> {
    observer: &'o mut dyn Observer,
    rows: Range<usize>,
    columns: Range<usize>,
    at_once: usize,
}

impl<'o> Telling<'o> {
    pub(crate) fn new(
        observer: &'o mut dyn Observer,
        rows: Range<usize>,
        columns: Range<usize>,
        at_once: usize,
    ) -> Telling<'o> {
        Telling { observer, rows, columns, at_once }
    }

    /// Whether to go on.
    pub(crate) fn goes_on(&self) -> bool {
        self.observer.goes_on()
    }

    /// All columns before this one are finished.
    pub(crate) fn are_finished(&mut self, end: usize) {
        let Range { start, end: last } = self.columns;
        if end - start >= self.at_once || end == last {
            self.observer.finished(self.rows.clone(), start..end);
            self.columns.start = end;
        }
    }
}
