//! A row kernel as text: its stages in order, and what they read and write.

use super::{Map, Per, RowProgram, Stage};
use kiln_jit::vir::Routine;
use std::fmt::Write as _;

impl RowProgram {
    /// The stages, with these names for inputs. Outputs have numbers, and what is kept between stages is
    /// `t0`, `t1` and so on.
    ///
    /// ```text
    /// stages over rows[-1]
    /// 1. fold: t0 = max of each row of x
    /// 2. each element: x, t0 -> t1, in the memory of output 0
    /// ```
    pub(crate) fn listing(&self, inputs: &[String]) -> String {
        let name = |slot: usize| match slot.checked_sub(self.inputs) {
            None => inputs[slot].clone(),
            Some(output) if output < self.outputs => format!("output {output}"),
            Some(kept) => format!("t{}", kept - self.outputs),
        };
        let names = |slots: &[usize]| slots.iter().map(|&slot| name(slot)).collect::<Vec<_>>();
        let written = |&slot: &usize| match self.slots[slot].shares {
            Some(of) => format!("{}, in the memory of {}", name(slot), name(of)),
            None => name(slot),
        };
        let map = |what: &str, map: &Map<Routine>| {
            let reads = names(&map.inputs).join(", ");
            let writes: Vec<String> = map.outputs.iter().map(written).collect();
            let program = map.kernel.to_string().replace('\n', "\n   ");
            let folds = map.apart.as_ref().map_or(0, |apart| apart.folds);
            let beside = if map.beside.is_some() { ", or rows side by side" } else { "" };
            let folds = match folds {
                0 => None,
                1 => Some("the next fold".to_string()),
                _ => Some(format!("{folds} folds")),
            };
            let together = folds.map_or(String::new(), |folds| {
                format!("   where elements of a row lie together{beside}, it does {folds} too\n")
            });
            let writes = writes.join(", ");
            format!("{what}: {reads} -> {writes}\n{together}   {}\n", program.trim_end())
        };
        let mut text = format!("stages over rows{}\n", self.axes);
        for (stage, number) in self.stages.iter().zip(1..) {
            let stage = match stage {
                Stage::Each(each) => map("each element", each),
                Stage::Once(once) => map("each row", once),
                Stage::Fold { by, from, to } => {
                    let of = match self.slots[*from].per {
                        Per::Element => "each row of ",
                        Per::Row => "as many of each number of ",
                    };
                    format!("fold: {} = {} of {of}{}\n", name(*to), by.info().name, name(*from))
                }
                Stage::Count { to } => format!("{} = elements of a row\n", name(*to)),
            };
            let _ = write!(text, "{number}. {stage}");
        }
        if self.sweep.is_some() {
            text += "where elements of a row lie together, and it pays, all of this is one routine:\n\
                     a sweep, which goes through the stages with a few rows at a time\n";
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use crate::mode::Mode;
    use crate::pipeline::listing;

    /// Without the programs of elements.
    fn stages(text: &str) -> String {
        let all = listing(&kiln_ir::parse(text).unwrap(), Mode::Precise);
        all.lines().filter(|line| !line.starts_with(' ')).map(|line| format!("{line}\n")).collect()
    }

    #[test]
    fn every_stage_says_what_it_reads_and_where_it_writes() {
        assert_eq!(
            stages("let e = exp(x); e - sum[-1](e)"),
            "stages over rows[-1]\n\
             1. each element: x -> t0, in the memory of output 0\n\
             2. fold: t1 = sum of each row of t0\n\
             3. each element: t0, t1 -> output 0\n\
             where elements of a row lie together, and it pays, all of this is one routine:\n\
             a sweep, which goes through the stages with a few rows at a time\n"
        );
        assert_eq!(
            stages("(max[0](x), x - exp(max[0](x)))"),
            "stages over rows[0]\n\
             1. fold: output 0 = max of each row of x\n\
             2. each row: output 0 -> t0\n\
             3. each element: x, t0 -> output 1\n\
             where elements of a row lie together, and it pays, all of this is one routine:\n\
             a sweep, which goes through the stages with a few rows at a time\n"
        );
    }
}
