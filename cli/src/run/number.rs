//! Numbers on the command line: `-i w=3.5`.

use half::{bf16, f16};
use kiln::{DType, Tensor};
use ndarray::arr0;
use std::fmt;
use std::str::FromStr;

/// A number, or `true` or `false`, as it was given. What it is depends on the type that it gets.
#[derive(Clone, Debug)]
pub(super) struct Number(String);

impl FromStr for Number {
    type Err = ();

    /// What is none of these is a file.
    fn from_str(text: &str) -> Result<Number, ()> {
        let is_number = text.parse::<f64>().is_ok() || matches!(text, "true" | "false");
        is_number.then(|| Number(text.into())).ok_or(())
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Number {
    /// Whether it may be of this type, as far as its form tells.
    pub(super) fn may_be(&self, dtype: DType) -> bool {
        match dtype {
            DType::Bool => self.is_bool(),
            _ if self.is_bool() => false,
            _ => dtype.is_float() || self.0.parse::<i128>().is_ok(),
        }
    }

    fn is_bool(&self) -> bool {
        matches!(&self.0[..], "true" | "false")
    }

    /// An array of no axes that holds it; an error says why the type does not.
    pub(super) fn tensor(&self, dtype: DType) -> Result<Tensor, String> {
        if dtype == DType::Bool || self.is_bool() {
            return match (dtype, &self.0[..]) {
                (DType::Bool, "true") => Ok(arr0(true).into_dyn().into()),
                (DType::Bool, "false") => Ok(arr0(false).into_dyn().into()),
                (DType::Bool, text) => Err(format!("{text} is no bool: write true or false")),
                (dtype, text) => Err(format!("{text} is a bool, not {dtype}")),
            };
        }
        Ok(match dtype {
            DType::F16 => arr0(self.float(dtype, f16::from_f64, f16::to_f64)?).into_dyn().into(),
            DType::BF16 => arr0(self.float(dtype, bf16::from_f64, bf16::to_f64)?).into_dyn().into(),
            DType::F32 => {
                // Not by way of f64, which would round twice.
                let nearest = |_| self.0.parse::<f32>().expect("a number");
                arr0(self.float(dtype, nearest, f64::from)?).into_dyn().into()
            }
            DType::F64 => arr0(self.float(dtype, |value| value, |value| value)?).into_dyn().into(),
            DType::U8 => arr0(self.integer::<u8>(dtype)?).into_dyn().into(),
            DType::I32 => arr0(self.integer::<i32>(dtype)?).into_dyn().into(),
            DType::I64 => arr0(self.integer::<i64>(dtype)?).into_dyn().into(),
            DType::Bool => unreachable!("bools are done"),
        })
    }

    fn float<T: Copy>(
        &self,
        dtype: DType,
        round: impl Fn(f64) -> T,
        widen: impl Fn(T) -> f64,
    ) -> Result<T, String> {
        let value: f64 = self.0.parse().expect("a number");
        let rounded = round(value);
        let wide = widen(rounded);
        let has_digit = |digits: std::ops::RangeInclusive<char>| {
            let mantissa = self.0.split(['e', 'E']).next().unwrap_or_default();
            mantissa.contains(|c| digits.contains(&c))
        };
        if wide.is_infinite() && has_digit('0'..='9') {
            return Err(format!("{self} is too large for {dtype}"));
        }
        if wide == 0.0 && has_digit('1'..='9') {
            return Err(format!("{self} is too small for {dtype}, in which it is 0"));
        }
        Ok(rounded)
    }

    fn integer<T: TryFrom<i128>>(&self, dtype: DType) -> Result<T, String> {
        let value: i128 = match self.0.parse() {
            Ok(value) => value,
            Err(_) => return Err(format!("{self} is no integer, and the type is {dtype}")),
        };
        T::try_from(value).map_err(|_| format!("{self} does not fit into {dtype}"))
    }
}

#[cfg(test)]
mod tests {
    use super::Number;
    use kiln::{DType, Tensor};
    use ndarray::arr0;

    fn tensor(text: &str, dtype: DType) -> Result<Tensor, String> {
        text.parse::<Number>().expect("a number").tensor(dtype)
    }

    #[test]
    fn numbers_are_told_from_files() {
        for number in ["3", "-3.5", "+1e3", ".5", "inf", "-inf", "nan", "true", "false"] {
            assert!(number.parse::<Number>().is_ok(), "{number}");
        }
        for file in ["", "x.npy", "./3", "-", "1.npy", "0x10", "True"] {
            assert!(file.parse::<Number>().is_err(), "{file}");
        }
    }

    #[test]
    fn each_type_takes_what_it_can_hold() {
        assert_eq!(tensor("0.1", DType::F32), Ok(arr0(0.1f32).into_dyn().into()));
        assert_eq!(tensor("0.1", DType::F64), Ok(arr0(0.1f64).into_dyn().into()));
        assert_eq!(tensor("-inf", DType::F32), Ok(arr0(f32::NEG_INFINITY).into_dyn().into()));
        assert_eq!(tensor("0e9", DType::F32), Ok(arr0(0f32).into_dyn().into()));
        assert_eq!(tensor("255", DType::U8), Ok(arr0(255u8).into_dyn().into()));
        let most = i64::MIN.to_string();
        assert_eq!(tensor(&most, DType::I64), Ok(arr0(i64::MIN).into_dyn().into()));
        assert_eq!(tensor("true", DType::Bool), Ok(arr0(true).into_dyn().into()));
        for (text, dtype) in [
            ("1e60", DType::F32),
            ("1e999", DType::F64),
            ("70000", DType::F16),
            ("1e-60", DType::F32),
            ("256", DType::U8),
            ("-1", DType::U8),
            ("3.5", DType::I64),
            ("nan", DType::I32),
            ("1", DType::Bool),
            ("true", DType::F32),
        ] {
            assert!(tensor(text, dtype).is_err(), "{text} as {dtype}");
        }
    }
}
