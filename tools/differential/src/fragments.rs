//! Texts that random graphs are made of.

use crate::idioms::{FAMILIES, IDIOMS};
use kiln::ir::parse_with;
use kiln::{DType, Graph};
use std::collections::HashMap;

/// Text that graphs are made of: idioms, and both sides of every rule.
pub(crate) struct Fragments {
    pub(crate) texts: Vec<(String, String)>,
    /// Where the families begin.
    pub(crate) first_spelling: usize,
    parsed: HashMap<(usize, DType), Option<Graph>>,
}

impl Fragments {
    pub(crate) fn new() -> Fragments {
        let rules = kiln::internals::rules()
            .flat_map(|(name, sides)| sides.map(|side| (name.to_string(), side.to_string())));
        let idioms = IDIOMS.iter().map(|text| (String::new(), (*text).to_string()));
        // Sides of rules twice: there are many, and each should have its turn.
        let spellings = FAMILIES.iter().flat_map(|family| family.iter());
        let spellings = spellings.map(|text| (String::new(), (*text).to_string()));
        let mut texts: Vec<(String, String)> = rules.chain(idioms).collect();
        let first_spelling = texts.len();
        texts.extend(spellings);
        Fragments { texts, first_spelling, parsed: HashMap::new() }
    }

    /// A fragment over floats of type `dtype`; none where it is no kernel for them.
    pub(crate) fn graph(&mut self, index: usize, dtype: DType) -> Option<&Graph> {
        let text = &self.texts[index].1;
        let parsed = self.parsed.entry((index, dtype)).or_insert_with(|| {
            let typed = |name: &str| {
                Some((if matches!(name, "p" | "q") { DType::Bool } else { dtype }, None))
            };
            parse_with(text, typed).ok()
        });
        parsed.as_ref()
    }
}
