//! What a picture shows: items, and wires from what computes an array to what reads it.

/// Items in the order in which they run, and the wires between them.
#[derive(Debug, Default)]
pub(crate) struct Network {
    pub(crate) items: Vec<Item>,
    /// Each goes from an item to a later one.
    pub(crate) wires: Vec<Wire>,
}

/// A box of a picture.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) kind: Kind,
    pub(crate) label: String,
    /// Small print below the label.
    pub(crate) notes: Vec<String>,
    /// What a fused kernel does. Its loads are the ports that wires come to, in order, and its
    /// stores those that they leave from.
    pub(crate) inside: Option<Network>,
}

/// What an item stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An array that a call gets.
    Input,
    /// An array that a call gives.
    Output,
    /// A pass over memory.
    Pass,
    /// An op within a fused kernel.
    Op,
    /// What a fused kernel reads from memory.
    Load,
    /// What a fused kernel writes to memory.
    Store,
}

/// From a result of an item to an operand of another one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire {
    pub(crate) from: End,
    pub(crate) to: End,
}

/// A place where wires end: a result or an operand of an item, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct End {
    pub(crate) item: usize,
    pub(crate) port: usize,
}

impl Item {
    pub(crate) fn new(kind: Kind, label: impl Into<String>) -> Item {
        Item { kind, label: label.into(), notes: Vec::new(), inside: None }
    }
}

impl Network {
    /// Adds an item, with a wire to each of its operands that comes from somewhere.
    pub(crate) fn add(&mut self, item: Item, operands: impl IntoIterator<Item = End>) -> usize {
        let at = self.items.len();
        self.items.push(item);
        let ends = (0..).map(|port| End { item: at, port });
        self.wires.extend(operands.into_iter().zip(ends).map(|(from, to)| Wire { from, to }));
        at
    }

    /// The items of a kind, in order.
    pub(crate) fn of_kind(&self, kind: Kind) -> impl Iterator<Item = usize> {
        let items = self.items.iter().enumerate();
        items.filter(move |(_, item)| item.kind == kind).map(|(at, _)| at)
    }
}
