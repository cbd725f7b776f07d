//! `4096`, `4Ki`, `64..2048`: sizes as flags give them and tables show them.

/// Reads a size: digits, and after them perhaps `Ki`, `Mi` or `Gi`, powers of 1024.
pub(crate) fn size(text: &str) -> Result<usize, String> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match &text[digits.len()..] {
        "" => Some(0),
        "Ki" => Some(10),
        "Mi" => Some(20),
        "Gi" => Some(30),
        _ => None,
    };
    // `+4` is a number to Rust.
    let number = digits.parse::<usize>().ok().filter(|_| !digits.starts_with('+'));
    number
        .zip(shift)
        .and_then(|(number, shift)| number.checked_mul(1 << shift))
        .ok_or_else(|| format!("`{text}` is no size: write digits, such as 4096 or 4Ki"))
}

/// Sizes to measure at, one after another.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sizes(pub(crate) Vec<usize>);

/// Reads a size of at least 1, or a range whose sizes double: `64..2048` ends at 2048.
pub(crate) fn sizes(text: &str) -> Result<Sizes, String> {
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let (first, last) = (size(first)?, size(last)?);
    match first {
        0 => Err("a size is at least 1".into()),
        _ if first > last => {
            Err(format!("{first} is more than {last}: the smaller one goes first"))
        }
        _ => {
            let doubled = |size: &usize| size.checked_mul(2).filter(|&size| size <= last);
            Ok(Sizes(std::iter::successors(Some(first), doubled).collect()))
        }
    }
}

/// A size in a table: `256 Ki` where that is exact.
pub(crate) fn shown(size: usize) -> String {
    match size {
        0 => "0".into(),
        _ if size.is_multiple_of(1 << 20) => format!("{} Mi", size >> 20),
        _ if size.is_multiple_of(1 << 10) => format!("{} Ki", size >> 10),
        _ => size.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Sizes, shown, size, sizes};

    #[test]
    fn sizes_are_read() {
        for (text, expected) in [("7", 7), (" 4Ki", 4 << 10), ("3Mi", 3 << 20), ("0", 0)] {
            assert_eq!(size(text), Ok(expected), "{text}");
        }
        for text in [
            "",
            "Ki",
            "4k",
            "4 Ki",
            "-1",
            "+1",
            "1.5",
            "x",
            "99999999999999999999",
            "17179869184Gi",
        ] {
            assert!(size(text).is_err(), "{text}");
        }
        assert_eq!(sizes("64..500"), Ok(Sizes(vec![64, 128, 256])));
        assert_eq!(sizes("1Ki"), Ok(Sizes(vec![1024])));
        let most = usize::MAX;
        assert_eq!(sizes(&format!("{most}..{most}")), Ok(Sizes(vec![most])));
        for text in ["0", "0..4", "8..4", "1..", "..", "1..2..3"] {
            assert!(sizes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_shown() {
        let shown = [0, 1000, 1 << 10, 3 << 20, 1 << 30].map(shown);
        assert_eq!(shown, ["0", "1000", "1 Ki", "3 Mi", "1024 Mi"]);
    }
}
