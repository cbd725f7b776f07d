//! The header of an `.npy` file: a Python dict of three keys, read and written by hand.
//!
//! It may come from a stranger: each byte is looked at once, and nothing is recursive.

use std::fmt;
use std::io::{self, ErrorKind, Read};

/// The longest header text; NumPy itself reads 10 000 bytes.
const MAX_TEXT: usize = 1 << 16;

/// What a header says of the elements that follow it.
#[derive(Debug, PartialEq)]
pub(super) struct Header {
    pub(super) descr: Descr,
    /// Whether the first axis is the innermost in memory.
    pub(super) fortran_order: bool,
    pub(super) shape: Vec<usize>,
}

/// An element type as NumPy writes it.
#[derive(Debug, PartialEq)]
pub(super) enum Descr {
    /// `'<f4'` and its like, without the quotes.
    Name(String),
    /// Anything else, such as the fields of a record: the Python text.
    Other(String),
}

impl fmt::Display for Descr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Descr::Name(name) => write!(f, "'{}'", shown(name)),
            Descr::Other(text) => f.write_str(&shown(text)),
        }
    }
}

impl Header {
    /// Reads magic, version, length and text, and how many bytes that was. What is no header is
    /// [`ErrorKind::InvalidData`], with the reason.
    pub(super) fn read(file: &mut impl Read) -> io::Result<(Header, u64)> {
        let mut start = [0; 8];
        file.read_exact(&mut start)?;
        if !start.starts_with(b"\x93NUMPY") {
            return Err(invalid("it does not begin as one".into()));
        }
        let [.., major, minor] = start;
        if !(1..=3).contains(&major) {
            return Err(invalid(format!("its format version is {major}.{minor}")));
        }
        let width = if major == 1 { 2 } else { 4 };
        let mut length = [0; 4];
        file.read_exact(&mut length[..width])?;
        let length = u32::from_le_bytes(length) as usize;
        if length > MAX_TEXT {
            return Err(invalid(format!("its header is {length} bytes long")));
        }
        let mut text = vec![0; length];
        file.read_exact(&mut text)?;
        let header = parse(&text).map_err(|reason| invalid(format!("its header {reason}")))?;
        Ok((header, (start.len() + width + length) as u64))
    }

    /// The bytes before an array in C order, as NumPy writes them: elements begin at a multiple of 64.
    pub(super) fn bytes(descr: &str, shape: &[usize]) -> Vec<u8> {
        let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
        let comma = if shape.len() == 1 { "," } else { "" };
        let shape = format!("({}{comma})", sizes.join(", "));
        let mut text =
            format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
        // Magic, version, the length of the text, and the end of its line.
        let (before, after) = (10, 1);
        let end = (before + text.len() + after).next_multiple_of(64);
        text.extend(std::iter::repeat_n(' ', end - before - text.len() - after));
        text.push('\n');
        let length = u16::try_from(text.len()).expect("a kernel's arrays have few axes");
        [&b"\x93NUMPY\x01\x00"[..], &length.to_le_bytes(), text.as_bytes()].concat()
    }
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, reason)
}

/// Reads `{'descr': .., 'fortran_order': .., 'shape': ..}`: each key once, in any order.
fn parse(text: &[u8]) -> Result<Header, String> {
    let mut cursor = Cursor { text, at: 0 };
    let (mut descr, mut fortran_order, mut shape) = (None, None, None);
    if !cursor.takes(b'{') {
        return Err("is no Python dict".into());
    }
    while !cursor.takes(b'}') {
        let key = cursor.string().ok_or_else(|| cursor.lost())?;
        if !cursor.takes(b':') {
            return Err(cursor.lost());
        }
        let twice = match &key[..] {
            "descr" => descr.replace(cursor.descr()?).is_some(),
            "fortran_order" => fortran_order.replace(cursor.truth()?).is_some(),
            "shape" => shape.replace(cursor.shape()?).is_some(),
            _ => return Err(format!("has the key '{}', which no .npy file has", shown(&key))),
        };
        if twice {
            return Err(format!("has the key '{key}' twice"));
        }
        if !cursor.takes(b',') && cursor.peek() != Some(b'}') {
            return Err(cursor.lost());
        }
    }
    if cursor.peek().is_some() {
        return Err(cursor.lost());
    }
    let missing = |key: &str| format!("has no key '{key}'");
    Ok(Header {
        descr: descr.ok_or_else(|| missing("descr"))?,
        fortran_order: fortran_order.ok_or_else(|| missing("fortran_order"))?,
        shape: shape.ok_or_else(|| missing("shape"))?,
    })
}

/// A place in the text of a header.
struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    /// Whether `byte` comes next; then it is behind.
    fn takes(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// That something else should be here.
    fn lost(&self) -> String {
        match self.at < self.text.len() {
            true => format!("is no dict that NumPy writes, at byte {}", self.at),
            false => "ends too early".into(),
        }
    }

    /// The text between quotes, as it stands there.
    fn string(&mut self) -> Option<String> {
        let quote = self.peek().filter(|byte| matches!(byte, b'\'' | b'"'))?;
        let start = self.at + 1;
        let mut end = start;
        while *self.text.get(end)? != quote {
            end += if self.text[end] == b'\\' { 2 } else { 1 };
        }
        self.at = end + 1;
        Some(String::from_utf8_lossy(&self.text[start..end]).into_owned())
    }

    /// A string, or any other value up to the comma or brace behind it.
    fn descr(&mut self) -> Result<Descr, String> {
        if let Some(name) = self.string() {
            return Ok(Descr::Name(name));
        }
        let (start, mut open) = (self.at, 0usize);
        loop {
            match self.peek().ok_or_else(|| self.lost())? {
                b',' | b'}' if open == 0 => break,
                b'(' | b'[' | b'{' => open += 1,
                b')' | b']' | b'}' => open = open.checked_sub(1).ok_or_else(|| self.lost())?,
                b'\'' | b'"' => {
                    self.string().ok_or("ends too early")?;
                    continue;
                }
                _ => {}
            }
            self.at += 1;
        }
        let text = String::from_utf8_lossy(&self.text[start..self.at]);
        match text.trim() {
            "" => Err(self.lost()),
            text => Ok(Descr::Other(text.into())),
        }
    }

    fn truth(&mut self) -> Result<bool, String> {
        self.peek();
        let rest = &self.text[self.at..];
        let (word, value) = match rest.starts_with(b"True") {
            true => ("True", true),
            false => ("False", false),
        };
        if !rest.starts_with(word.as_bytes()) {
            return Err(self.lost());
        }
        self.at += word.len();
        Ok(value)
    }

    /// A tuple of sizes.
    fn shape(&mut self) -> Result<Vec<usize>, String> {
        self.peek();
        let start = self.at;
        self.sizes().ok_or_else(|| {
            let end = self.text[start..].iter().position(|&byte| byte == b')');
            let end = end.map_or(self.text.len(), |end| start + end + 1);
            let found = String::from_utf8_lossy(&self.text[start..end]);
            format!("has the shape {}, which is no tuple of sizes", shown(found.trim()))
        })
    }

    fn sizes(&mut self) -> Option<Vec<usize>> {
        let mut sizes = Vec::new();
        let mut comma = true;
        if !self.takes(b'(') {
            return None;
        }
        while !self.takes(b')') {
            let first = self.peek()?;
            let digits = self.text[self.at..].iter().take_while(|byte| byte.is_ascii_digit());
            let end = self.at + digits.count();
            if !comma || !first.is_ascii_digit() {
                return None;
            }
            sizes.push(std::str::from_utf8(&self.text[self.at..end]).ok()?.parse().ok()?);
            self.at = end;
            // Python 2 wrote some with an L behind.
            if self.text.get(end) == Some(&b'L') {
                self.at += 1;
            }
            comma = self.takes(b',');
        }
        // `(3)` is a number.
        (comma || sizes.len() != 1).then_some(sizes)
    }
}

/// A text as messages show it: not long, and without what terminals obey.
fn shown(text: &str) -> String {
    const MOST: usize = 100;
    let shown = text.chars().take(MOST).map(|c| if c.is_control() { '\u{fffd}' } else { c });
    let rest = if text.chars().nth(MOST).is_some() { ".." } else { "" };
    shown.chain(rest.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::{Descr, Header, parse};

    #[test]
    fn headers_as_numpy_writes_them() {
        let header = |descr: Descr, fortran_order, shape: &[usize]| {
            Ok(Header { descr, fortran_order, shape: shape.to_vec() })
        };
        let name = |name: &str| Descr::Name(name.into());
        for (text, expected) in [
            (
                "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }      \n",
                header(name("<f4"), false, &[3]),
            ),
            (
                "{'descr': '|b1', 'fortran_order': True, 'shape': (2, 3), }\n",
                header(name("|b1"), true, &[2, 3]),
            ),
            (
                "{'descr': '<f8', 'fortran_order': False, 'shape': (), }\n",
                header(name("<f8"), false, &[]),
            ),
            (
                "{\"shape\":(4L,0L,),\"fortran_order\":False,\"descr\":\"<i8\"}",
                header(name("<i8"), false, &[4, 0]),
            ),
            (
                "{'descr': [('a, }', '<f4'), ('b', '<i4', (2,))], 'fortran_order': False, 'shape': (1,)}",
                header(Descr::Other("[('a, }', '<f4'), ('b', '<i4', (2,))]".into()), false, &[1]),
            ),
            (
                "{'descr': 4, 'fortran_order': False, 'shape': (1,)}",
                header(Descr::Other("4".into()), false, &[1]),
            ),
        ] {
            assert_eq!(parse(text.as_bytes()), expected, "{text}");
        }
    }

    /// No text is worse than its length: the parser never goes back, and reports.
    #[test]
    fn other_texts_are_errors() {
        let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }";
        for end in 0..text.len() {
            assert!(parse(&text.as_bytes()[..end]).is_err(), "{}", &text[..end]);
        }
        for at in 0..text.len() {
            for byte in [b'(', b'[', b'{', b'}', b')', b'\'', b'\\', b',', 0, 0xff, b'9'] {
                let mut broken = text.as_bytes().to_vec();
                broken[at] = byte;
                let _ = parse(&broken);
            }
        }
        for shape in
            ["(3)", "3", "[3]", "(3 4)", "(-1,)", "(,)", "(3,,)", "(1e3,)", "(3.,)", "None"]
        {
            let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}");
            assert!(parse(text.as_bytes()).is_err(), "{shape}");
        }
        for text in [
            "{}",
            "",
            "{'descr': , 'fortran_order': False, 'shape': (3,)}",
            "{'descr': '<f4' 'fortran_order': False, 'shape': (3,)}",
            "{'descr': '<f4', 'fortran_order': 0, 'shape': (3,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)} 1",
            "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (3,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), 'extra': 1}",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        for brackets in ["[", "(", "{", "[(", "'"] {
            let deep = brackets.repeat(30_000);
            assert!(parse(deep.as_bytes()).is_err());
            assert!(parse(format!("{{'descr': {deep}").as_bytes()).is_err());
            assert!(parse(format!("{{'shape': {deep}").as_bytes()).is_err());
        }
    }

    #[test]
    fn messages_obey_no_header() {
        let long = "\x1b[2J".repeat(1000);
        for text in [
            format!("{{'{long}': 1}}"),
            format!("{{'descr': '<f4', 'shape': ({long}), 'fortran_order': False}}"),
            format!("{{'descr': '{long}', 'shape': (), 'fortran_order': False}}"),
            format!("{{'descr': [{long}], 'shape': (), 'fortran_order': False}}"),
        ] {
            let message = match parse(text.as_bytes()) {
                Ok(header) => header.descr.to_string(),
                Err(message) => message,
            };
            assert!(message.len() < 400 && !message.contains('\x1b'), "{message:?}");
        }
    }

    #[test]
    fn written_headers_are_read() {
        for shape in [&[][..], &[3], &[2, 0, 5], &[usize::MAX; 64]] {
            let bytes = Header::bytes("<f4", shape);
            assert_eq!(bytes.len() % 64, 0);
            let (header, length) = Header::read(&mut &bytes[..]).unwrap();
            assert_eq!(length, bytes.len() as u64);
            let descr = Descr::Name("<f4".into());
            assert_eq!(header, Header { descr, fortran_order: false, shape: shape.to_vec() });
        }
    }
}
