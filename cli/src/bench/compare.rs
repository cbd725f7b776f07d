//! `--compare`: new figures against those of a file.

use super::record::{Compared, Record, Verdict};
use super::tables::title;
use crate::console::Console;
use crate::failure::Failure;

/// Gives each new record what the old ones have of it, and warns of what makes them differ besides
/// Kiln. Those that no old one matches stay as they are.
pub(super) fn compare(
    mut new: Vec<Record>,
    old: &[Record],
    console: &Console,
) -> Result<Vec<Record>, Failure> {
    let mut notes: Vec<String> = Vec::new();
    for record in &mut new {
        // Of several, as where a file was appended to, the last is the newest.
        let Some(old) = old.iter().rfind(|old| is_of(old, record)) else { continue };
        if old.machine != record.machine {
            return Err(Failure::Usage(format!(
                "the old figures are of another machine, so that ratios say nothing of Kiln\n  \
                 old: {}\n  new: {}",
                old.machine, record.machine
            )));
        }
        let differing = [
            ("threads", old.threads.to_string(), record.threads.to_string()),
            ("emitter", old.emitter(), record.emitter()),
            ("mode", old.mode.clone(), record.mode.clone()),
        ];
        for (what, old, new) in differing {
            let note = format!("{what}: {old} in the old figures, {new} in the new ones");
            if old != new && !notes.contains(&note) {
                console.note(&note);
                notes.push(note);
            }
        }
        record.compared = Some(Compared::of(old, record));
    }
    Ok(new)
}

/// Says what could not be compared, and fails if a kernel is slower, beyond the spread, than so many
/// times the old figure.
pub(super) fn conclude(
    records: &[Record],
    most: Option<f64>,
    console: &Console,
) -> Result<(), Failure> {
    let missing: Vec<String> =
        records.iter().filter(|record| record.compared.is_none()).map(title).collect();
    if missing.len() == records.len() {
        return Err(Failure::Usage("the old figures have none of these kernels and shapes".into()));
    }
    if !missing.is_empty() {
        console.note(&format!("the old figures lack {}", missing.join(", ")));
    }
    let is_slower = |record: &&Record| {
        let compared = record.compared.as_ref();
        compared.is_some_and(|old| {
            old.verdict == Verdict::Slower && most.is_some_and(|most| old.ratio > most)
        })
    };
    let slower: Vec<String> = records.iter().filter(is_slower).map(title).collect();
    match most {
        Some(most) if !slower.is_empty() => Err(Failure::Failed(format!(
            "more than {most} times as slow as before: {}",
            slower.join(", ")
        ))),
        _ => Ok(()),
    }
}

/// Whether two records are of the same kernel and inputs.
fn is_of(old: &Record, new: &Record) -> bool {
    (&old.kernel, &old.text, &old.inputs) == (&new.kernel, &new.text, &new.inputs)
}

impl Compared {
    fn of(old: &Record, new: &Record) -> Compared {
        let ratio = new.fused_ns_per_element / old.fused_ns_per_element;
        let spread = old.fused_spread + new.fused_spread;
        Compared {
            date: old.date.clone(),
            fused_ns_per_element: old.fused_ns_per_element,
            fused_spread: old.fused_spread,
            ratio,
            copy_ratio: new.copy_ns_per_element / old.copy_ns_per_element,
            verdict: match ratio {
                _ if ratio > 1.0 + spread => Verdict::Slower,
                _ if ratio * (1.0 + spread) < 1.0 => Verdict::Faster,
                _ => Verdict::Same,
            },
        }
    }
}
