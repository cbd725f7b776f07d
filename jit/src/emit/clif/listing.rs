//! What Cranelift makes of a program, for inspection.

/// What Cranelift makes of a program.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The loop in Cranelift's IR.
    pub clif: String,
    /// The machine instructions, by Cranelift's names for them.
    pub assembly: String,
    /// The machine code.
    pub bytes: Vec<u8>,
}
