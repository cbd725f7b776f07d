//! A failure as text: the kernel, then a line for each input, then how to run it.

use crate::array::{Elements, Layout};
use crate::check::{Failure, Plan};
use crate::draw::Case;
use kiln::ir::parse;
use kiln::{DType, EmitterKind, Mode};
use std::fmt::Write as _;

/// What `--replay` reads: lines after `#` are for people.
pub(crate) fn print(case: &Case, plan: &Plan, failure: &Failure, seed: u64) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "# seed {seed}: {}", failure.kind);
    for line in failure.detail.lines() {
        let _ = writeln!(text, "# {line}");
    }
    text += &case.graph.to_string();
    for ((input, elements), layout) in
        case.graph.inputs().iter().zip(&case.inputs).zip(&plan.layouts)
    {
        let shape: Vec<String> = elements.shape.iter().map(usize::to_string).collect();
        let layout = match layout {
            Layout::Contiguous => "contiguous".to_string(),
            Layout::Reversed => "reversed".to_string(),
            Layout::Transposed => "transposed".to_string(),
            Layout::Records { gap, offset } => format!("records:{gap}:{offset}"),
        };
        let _ =
            write!(text, "input {} {} [{}] {layout}", input.name, elements.dtype, shape.join(","));
        for bits in &elements.bits {
            let _ = write!(text, " {bits:#x}");
        }
        let few = elements.bits.len() <= 4;
        let values: Vec<_> =
            (0..if few { elements.bits.len() } else { 0 }).map(|i| elements.value(i)).collect();
        let _ = writeln!(text, "{}", if few { format!("  # {values:?}") } else { String::new() });
    }
    for (mode, emitter) in &plan.runs {
        let _ = writeln!(text, "run {mode} {emitter} {}", plan.threads);
    }
    text
}

/// The case and the plan of a printed failure.
pub(crate) fn read(text: &str) -> Result<(Case, Plan), String> {
    let (mut kernel, mut inputs, mut layouts, mut runs) = (String::new(), vec![], vec![], vec![]);
    let mut threads = 1;
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["input", _, dtype, shape, layout, ref bits @ ..] => {
                let dtype = DType::from_name(dtype).ok_or("an unknown type")?;
                let sizes = shape.trim_matches(['[', ']']).split(',').filter(|s| !s.is_empty());
                let shape: Vec<usize> = sizes
                    .map(|s| s.parse().map_err(|_| "a bad shape"))
                    .collect::<Result<_, _>>()?;
                let bits = bits
                    .iter()
                    .map(|bits| u64::from_str_radix(bits.trim_start_matches("0x"), 16))
                    .collect::<Result<Vec<u64>, _>>()
                    .map_err(|error| error.to_string())?;
                inputs.push(Elements { dtype, shape, bits });
                layouts.push(layout_of(layout)?);
            }
            ["run", mode, emitter, count] => {
                let mode: Mode = mode.parse().map_err(|e| format!("{e}"))?;
                let emitter: EmitterKind = emitter.parse().map_err(|e| format!("{e}"))?;
                runs.push((mode, emitter));
                threads = count.parse().map_err(|_| "a bad number of threads")?;
            }
            _ => {
                kernel += line;
                kernel.push('\n');
            }
        }
    }
    let graph = parse(&kernel).map_err(|error| error.to_string())?;
    let case = Case { graph, inputs };
    let full = Plan::full(&case);
    let runs = if runs.is_empty() { full.runs } else { runs };
    Ok((case, Plan { runs, layouts, threads, each_op: true }))
}

fn layout_of(word: &str) -> Result<Layout, String> {
    let parts: Vec<&str> = word.split(':').collect();
    let number = |text: &str| text.parse().map_err(|_| format!("a bad layout {word}"));
    Ok(match parts[..] {
        ["contiguous"] => Layout::Contiguous,
        ["reversed"] => Layout::Reversed,
        ["transposed"] => Layout::Transposed,
        ["records", gap, offset] => Layout::Records { gap: number(gap)?, offset: number(offset)? },
        _ => return Err(format!("an unknown layout {word}")),
    })
}

#[cfg(test)]
mod tests {
    use super::{print, read};
    use crate::check::{Failure, Kind, Plan};
    use crate::draw::draw;
    use crate::fragments::Fragments;

    #[test]
    fn what_is_printed_is_read_back() {
        let mut fragments = Fragments::new();
        let mut read_back = 0;
        for seed in 0..200 {
            let case = draw(&mut fragments, seed);
            let plan = Plan::draw(&case, seed, false);
            let failure = Failure {
                kind: Kind::RoundTrip,
                place: None,
                shape: vec![],
                detail: "two\nlines".to_string(),
            };
            let (again, same) = read(&print(&case, &plan, &failure, seed)).unwrap();
            assert_eq!((again.graph, again.inputs), (case.graph, case.inputs));
            assert_eq!((same.runs, same.layouts), (plan.runs, plan.layouts));
            read_back += 1;
        }
        assert_eq!(read_back, 200);
    }
}
