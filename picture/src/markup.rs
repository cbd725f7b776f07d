//! Text within markup: of SVG, HTML and Graphviz.

/// Text for SVG and HTML, as content and as the value of an attribute in double quotes.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // Neither format has a way to write the others.
            control if control.is_control() && !"\n\t".contains(control) => {
                escaped.push('\u{fffd}')
            }
            other => escaped.push(other),
        }
    }
    escaped
}

/// Text for Graphviz, within double quotes.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::{escaped, quoted};

    #[test]
    fn no_text_is_markup() {
        let hostile = "</pre><script>alert('x' && \"y\")</script>\u{1b}";
        let text = escaped(hostile);
        assert!(!text.contains(['<', '>', '"', '\'', '\u{1b}']), "{text}");
        assert_eq!(escaped("a & b\n"), "a &amp; b\n");
        assert_eq!(quoted("a\"b\\\n"), r#""a\"b\\\n""#);
    }
}
