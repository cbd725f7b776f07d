//! The bytes of a function in a plan: a magic word, a version, what it is, and its parts.
//!
//! They may come from strangers: nothing is believed of them, least of all a length.

use crate::error::KernelError;
use crate::function::{KernelFunction, KilnFunction, Layer, LayerFunction};
use datafusion::logical_expr::{ScalarUDF, ScalarUDFImpl};

const MAGIC: &[u8; 4] = b"KILN";
const VERSION: u8 = 1;

const KERNEL: u8 = 0;
const LAYER: u8 = 1;
const SQL: u8 = 2;

/// The payload of a function, if it is one of ours.
pub(super) fn encode(function: &ScalarUDF) -> Option<Vec<u8>> {
    let inner = function.inner();
    let mut payload = Writer::default();
    if let Some(kernel) = inner.downcast_ref::<KernelFunction>() {
        payload.head(KERNEL);
        payload.part(kernel.name().as_bytes());
        payload.part(kernel.mode().to_string().as_bytes());
        payload.part(kernel.text().as_bytes());
    } else if let Some(function) = inner.downcast_ref::<LayerFunction>() {
        let Layer { weights, bias, activation } = function.layer();
        let bytes = |numbers: &[f32]| -> Vec<u8> {
            numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
        };
        payload.head(LAYER);
        payload.part(function.name().as_bytes());
        payload.part(activation.as_bytes());
        payload.part(&bytes(weights));
        payload.part(&bytes(bias));
    } else if inner.downcast_ref::<KilnFunction>().is_some() {
        payload.head(SQL);
    } else {
        return None;
    }
    Some(payload.bytes)
}

/// Whether a payload claims to be of ours.
pub(super) fn is_ours(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// The function of a payload of ours, which has the name `expected` in its plan.
pub(super) fn decode(expected: &str, bytes: &[u8]) -> Result<ScalarUDF, KernelError> {
    let damaged = |reason: String| KernelError::Payload { name: expected.into(), reason };
    let bytes = bytes.strip_prefix(MAGIC).unwrap_or_default();
    let (&[version, kind], rest) = bytes
        .split_first_chunk::<2>()
        .ok_or_else(|| damaged("it ends before it says what it is".into()))?;
    if version != VERSION {
        let reason = format!(
            "it has version {version}, and this machine reads {VERSION}; run one release everywhere"
        );
        return Err(damaged(reason));
    }
    let mut parts = Reader { rest };
    let function: ScalarUDF = match kind {
        KERNEL => {
            let name = parts.text().map_err(damaged)?;
            let mode = parts.text().map_err(damaged)?;
            let text = parts.text().map_err(damaged)?;
            let mode = mode.parse().map_err(|unknown| damaged(format!("{unknown}")))?;
            KernelFunction::with_mode(name, text, mode)?.into()
        }
        LAYER => {
            let name = parts.text().map_err(damaged)?;
            let activation = parts.text().map_err(damaged)?.to_owned();
            let weights = parts.numbers().map_err(damaged)?;
            let bias = parts.numbers().map_err(damaged)?;
            LayerFunction::new(name, Layer { weights, bias, activation })?.into()
        }
        SQL => KilnFunction::default().into(),
        kind => return Err(damaged(format!("{kind} is no kind of function"))),
    };
    if !parts.rest.is_empty() {
        return Err(damaged(format!("{} bytes are left over", parts.rest.len())));
    }
    if function.name() != expected {
        return Err(damaged(format!("it is of {}", function.name())));
    }
    Ok(function)
}

#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    fn head(&mut self, kind: u8) {
        self.bytes.extend(MAGIC);
        self.bytes.extend([VERSION, kind]);
    }

    fn part(&mut self, part: &[u8]) {
        self.bytes.extend((part.len() as u64).to_le_bytes());
        self.bytes.extend(part);
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn part(&mut self) -> Result<&'a [u8], String> {
        let ends = || "it ends before its parts do".to_string();
        let (length, rest) = self.rest.split_first_chunk::<8>().ok_or_else(ends)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| ends())?;
        let (part, rest) = rest.split_at_checked(length).ok_or_else(ends)?;
        self.rest = rest;
        Ok(part)
    }

    fn text(&mut self) -> Result<&'a str, String> {
        std::str::from_utf8(self.part()?).map_err(|error| format!("a part is no text: {error}"))
    }

    fn numbers(&mut self) -> Result<Vec<f32>, String> {
        let (numbers, rest) = self.part()?.as_chunks::<4>();
        match rest {
            [] => Ok(numbers.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()),
            _ => Err("a part is not numbers of 4 bytes".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};
    use crate::function::{KernelFunction, KilnFunction, Layer, LayerFunction};
    use datafusion::logical_expr::ScalarUDF;

    fn functions() -> Vec<ScalarUDF> {
        let layer =
            Layer { weights: vec![1.0, -0.0, f32::MIN], bias: vec![0.5], activation: "y".into() };
        vec![
            KernelFunction::new("silu", "|x| x * sigmoid(x)").unwrap().into(),
            LayerFunction::new("score", layer).unwrap().into(),
            KilnFunction::default().into(),
        ]
    }

    #[test]
    fn what_is_encoded_decodes_to_itself() {
        for function in functions() {
            let payload = encode(&function).unwrap();
            assert_eq!(decode(function.name(), &payload).unwrap(), function);
        }
        assert!(encode(&datafusion::functions::math::abs()).is_none(), "of others nothing is said");
    }

    /// Cut anywhere, with any byte flipped, or of another name: an error or another valid function of
    /// that name, and no panic.
    #[test]
    fn damage_is_an_error() {
        for function in functions() {
            let name = function.name().to_owned();
            let payload = encode(&function).unwrap();
            for end in 0..payload.len() {
                decode(&name, &payload[..end]).expect_err("a part is missing");
            }
            for index in 0..payload.len() {
                for flip in [1, 0x80, 0xff] {
                    let mut damaged = payload.clone();
                    damaged[index] ^= flip;
                    if let Ok(decoded) = decode(&name, &damaged) {
                        assert_eq!(decoded.name(), name);
                    }
                }
            }
            let longer = [payload.as_slice(), b"x"].concat();
            let error = decode(&name, &longer).unwrap_err().to_string();
            assert!(error.contains("1 bytes are left over"), "{error}");
            let error = decode("other", &payload).unwrap_err().to_string();
            assert!(error.contains("it is of"), "{error}");
        }
    }

    #[test]
    fn another_version_says_what_to_do() {
        let function = &functions()[0];
        let mut payload = encode(function).unwrap();
        payload[4] = 9;
        let error = decode(function.name(), &payload).unwrap_err().to_string();
        assert!(error.contains("version 9"), "{error}");
    }

    #[test]
    fn a_text_that_is_no_kernel_is_shown() {
        let function = &functions()[0];
        let mut payload = encode(function).unwrap();
        let index = payload.iter().rposition(|&byte| byte == b'*').unwrap();
        payload[index] = b')';
        let error = decode(function.name(), &payload).unwrap_err().to_string();
        assert!(error.contains('^'), "{error}");
    }
}
