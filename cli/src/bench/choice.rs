//! `--only softmax --part 2/4`: which cases of suites are measured.

use super::case::Group;
use crate::failure::Failure;
use clap::Args;

/// Which cases of suites are measured: all, unless this says less.
#[derive(Args)]
pub(super) struct Choice {
    /// Measure only the kernels of a suite whose names contain this; if given again, those, too
    #[arg(
        long,
        value_name = "TEXT",
        requires = "suite",
        conflicts_with_all = ["kernels", "sweep", "load"]
    )]
    only: Vec<String>,
    /// Measure the Kth of N parts of a suite, each Nth kernel and size: a long run in pieces
    #[arg(
        long,
        value_name = "K/N",
        requires = "suite",
        conflicts_with_all = ["kernels", "sweep", "load"],
        value_parser = part
    )]
    part: Option<Part>,
}

/// One of several parts, which are counted from 0.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Part {
    number: usize,
    of: usize,
}

/// Reads `--part`, which counts from 1.
fn part(text: &str) -> Result<Part, String> {
    let parse = |text: &str| text.parse::<usize>().ok();
    let numbers = text.split_once('/').and_then(|(k, n)| parse(k).zip(parse(n)));
    match numbers {
        Some((k, n)) if (1..=n).contains(&k) => Ok(Part { number: k - 1, of: n }),
        _ => Err("write K/N, such as 1/4, the first of four".into()),
    }
}

impl Choice {
    /// What it leaves of these groups.
    pub(super) fn of(&self, mut groups: Vec<Group>) -> Result<Vec<Group>, Failure> {
        let mut place = 0;
        for group in &mut groups {
            group.cases.retain(|case| {
                let is_named = |text: &String| case.kernel.contains(text.as_str());
                if !self.only.is_empty() && !self.only.iter().any(is_named) {
                    return false;
                }
                place += 1;
                self.part.is_none_or(|part| (place - 1) % part.of == part.number)
            });
        }
        groups.retain(|group| !group.cases.is_empty());
        match groups.is_empty() && self.is_some() {
            true => Err(Failure::Usage(match place {
                0 => format!("--only: no kernel has {} in its name", self.only.join(" or ")),
                _ => format!("--part: there are {place} kernels and sizes, and none in this part"),
            })),
            false => Ok(groups),
        }
    }

    fn is_some(&self) -> bool {
        !self.only.is_empty() || self.part.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::{Part, part};

    #[test]
    fn parts_are_read() {
        assert_eq!(part("1/1"), Ok(Part { number: 0, of: 1 }));
        assert_eq!(part("3/4"), Ok(Part { number: 2, of: 4 }));
        for text in ["", "1", "0/4", "5/4", "1/0", "0/0", "1/2/3", "-1/4", "a/b"] {
            assert!(part(text).is_err(), "{text}");
        }
    }
}
