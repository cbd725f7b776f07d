//! Tables, plain and in Markdown: words on the left, numbers on the right.

/// Rows under a head. The first column is of words.
pub(crate) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new<'a>(head: impl IntoIterator<Item = &'a str>) -> Table {
        Table { head: head.into_iter().map(String::from).collect(), rows: Vec::new() }
    }

    /// Adds a row of as many cells as the head has.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        assert_eq!(cells.len(), self.head.len(), "a cell for each column");
        self.rows.push(cells);
    }

    /// Columns side by side, as wide as they must be.
    pub(crate) fn plain(&self) -> String {
        let lines = || std::iter::once(&self.head).chain(&self.rows);
        let wide = |column: usize| lines().map(|cells| cells[column].chars().count()).max();
        let widths: Vec<usize> = (0..self.head.len()).filter_map(wide).collect();
        let line = |cells: &Vec<String>| {
            let mut line = String::new();
            for (at, (cell, &width)) in cells.iter().zip(&widths).enumerate() {
                line += &match at {
                    0 => format!("{cell:<width$}"),
                    _ => format!("  {cell:>width$}"),
                };
            }
            format!("{}\n", line.trim_end())
        };
        lines().map(line).collect()
    }

    pub(crate) fn markdown(&self) -> String {
        let line = |cells: &Vec<String>| {
            let cells: Vec<String> = cells.iter().map(|cell| escaped(cell)).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let rule = format!("| --- |{}\n", " --: |".repeat(self.head.len() - 1));
        line(&self.head) + &rule + &self.rows.iter().map(line).collect::<String>()
    }
}

/// Text that Markdown leaves as it is.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if matches!(c, '|' | '*' | '_' | '\\' | '`' | '<' | '[') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn a_table_is_plain_or_markdown() {
        let mut table = Table::new(["", "ns"]);
        table.row(vec!["a|b".into(), "10".into()]);
        table.row(vec!["x*y_z".into(), "1".into()]);
        assert_eq!(table.plain(), "       ns\na|b    10\nx*y_z   1\n");
        let markdown = "|  | ns |\n| --- | --: |\n| a\\|b | 10 |\n| x\\*y\\_z | 1 |\n";
        assert_eq!(table.markdown(), markdown);
    }
}
