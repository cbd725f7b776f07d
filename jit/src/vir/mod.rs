//! The vector routine: what `lower` writes and every emitter reads.
//!
//! A [`Routine`] says what is done with each row of its operands. Its [`Body`] is executed once for each
//! element of the row: a straight line of primitive lane
//! operations in SSA form, where instruction `i` defines [`Value`] `i` and every operand comes
//! earlier. It says what happens to *one* lane; an emitter runs it on as many lanes at once as its
//! registers hold. Nothing after `lower` may contract, split, reassociate or reorder floating
//! point: the routine **is** the definition of the result, and every emitter must give the bits
//! that [`interp`] gives.
//!
//! # Primitives
//!
//! | primitive | lanes | meaning |
//! |---|---|---|
//! | `neg abs` | f | the sign bit only, NaN included |
//! | `sqrt add sub mul div` | f | IEEE 754, round to nearest even |
//! | `fma a b c` | f | `a*b + c`, rounded once |
//! | `floor ceil trunc nearest` | f | to an integral value; `nearest` is ties to even |
//! | `min a b` | f | `a < b ? a : b`: the second operand on NaN and on equal zeros (x86's rule) |
//! | `max a b` | f | `b < a ? a : b`: the second operand on NaN and on equal zeros (x86's rule) |
//! | `copysign a b` | f | magnitude of `a`, sign of `b` |
//! | `eq lt le` | f i | a mask; false where a float operand is NaN; integers are signed |
//! | `ne` | f i | a mask; true where a float operand is NaN |
//! | `add sub mul` | i | wrapping |
//! | `and or xor not` | i m | bitwise |
//! | `shl shr sar` | i | by a constant below the lane width; `sar` keeps the sign |
//! | `select m a b` | any | `a` where `m` is set, else `b`; the mask is as wide as the lanes |
//! | `bitcast` | f ↔ i, m → i | the same bits (a set mask lane is all ones) |
//! | `promote demote` | f32 ↔ f64 | exact; rounded to nearest even |
//! | `widen narrow` | m32 ↔ m64 | the same truth value |
//! | `widen narrow` | i32 ↔ i64 | the sign extended; the lower half |
//! | `scale p k or v` | f | `v`, which is `p 2^k` rounded once, `k` being whole: where that is one instruction, it takes the place of `v` |
//! | `table t[i]` | i → f i | entry `i` of a constant table; the index is clamped to the table |
//!
//! Which NaN comes out of an arithmetic primitive (payload and sign) is unspecified, as it is on
//! hardware; `interp` and emitters agree on *where* there is one. `neg`, `abs`, `copysign`,
//! `select` and bit operations keep every bit.
//!
//! # Folds
//!
//! A [`Fold`] merges a value over the elements of a row, which leaves one element for each row, in
//! an order that is part of the definition, for a sum depends on it. Element `i` goes to stripe
//! `i mod s`, of which there are 64 of 32 bits or 32 of 64 ([`stripes`]). A stripe begins with the
//! [identity](Merge::identity) and merges its elements from the first to the last. Then stripes
//! merge in halves: `j` with `j + s/2` for each `j` below `s/2`, then `j` with `j + s/4`, and so on.
//! What is left is stored. A row of no elements leaves the identity.
//!
//! # Cold regions
//!
//! A [`Cold`] region is a run of instructions whose results matter only where a mask is set
//! (large arguments of `sin`, say). An emitter may skip the region when no lane of the vector
//! needs it; skipping can never change a bit, because its results leave it only through `select`
//! on that mask.

mod build;
mod fold;
pub mod interp;
mod sweep;
mod text;
mod verify;

pub use build::Builder;
pub use fold::{Fold, Merge, STRIPE_BYTES, stripes};
pub use sweep::{Join, Part, Place, Step, Sweep};
pub use verify::verify;

/// Below this exponent [`Inst::Scale`] gives 0, whatever it scales, of `f32`.
pub const LEAST_POWER_32: f32 = -151.0;
/// The same of `f64`.
pub const LEAST_POWER_64: f64 = -1076.0;

/// The type of one lane of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Type {
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
    /// Signed 32-bit integer.
    I32,
    /// Signed 64-bit integer.
    I64,
    /// A truth value as wide as 32-bit lanes.
    M32,
    /// A truth value as wide as 64-bit lanes.
    M64,
}

impl Type {
    /// Width of a lane in bits.
    pub fn bits(self) -> u32 {
        match self {
            Type::F32 | Type::I32 | Type::M32 => 32,
            Type::F64 | Type::I64 | Type::M64 => 64,
        }
    }

    /// A lane of this type, all bits set: as a mask, true.
    fn ones(self) -> u64 {
        u64::MAX >> (64 - self.bits())
    }

    /// Whether lanes hold floating-point numbers.
    pub fn is_float(self) -> bool {
        matches!(self, Type::F32 | Type::F64)
    }

    /// Whether lanes hold integers.
    pub fn is_int(self) -> bool {
        matches!(self, Type::I32 | Type::I64)
    }

    /// Whether lanes hold truth values.
    pub fn is_mask(self) -> bool {
        matches!(self, Type::M32 | Type::M64)
    }

    /// The mask type as wide as this type.
    pub fn mask(self) -> Type {
        if self.bits() == 32 { Type::M32 } else { Type::M64 }
    }

    /// The integer type as wide as this type.
    pub fn int(self) -> Type {
        if self.bits() == 32 { Type::I32 } else { Type::I64 }
    }

    /// The float type as wide as this type.
    pub fn float(self) -> Type {
        if self.bits() == 32 { Type::F32 } else { Type::F64 }
    }
}

/// How an array element lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Storage {
    /// A 2-byte float (binary16), loaded as [`Type::F32`], stored rounded to nearest even.
    F16,
    /// The upper half of a 4-byte float, loaded as [`Type::F32`] and stored without its lower half,
    /// as `lower` has already rounded it.
    BF16,
    /// A 4-byte float, loaded as [`Type::F32`].
    F32,
    /// An 8-byte float, loaded as [`Type::F64`].
    F64,
    /// One byte, 0 or 1, loaded as [`Type::M32`] (any non-zero byte is true).
    Bool,
    /// One byte, loaded as [`Type::I32`], 0 to 255; the lowest byte is stored, and `lower` has
    /// cleared the others.
    U8,
    /// A 4-byte integer, loaded as [`Type::I32`].
    I32,
    /// An 8-byte integer, loaded as [`Type::I64`].
    I64,
}

impl Storage {
    /// Size of an element in bytes.
    pub fn size(self) -> usize {
        match self {
            Storage::F16 | Storage::BF16 => 2,
            Storage::F32 | Storage::I32 => 4,
            Storage::F64 | Storage::I64 => 8,
            Storage::Bool | Storage::U8 => 1,
        }
    }

    /// Whether an element is as wide as its lane, so that a vector is stored as it is.
    pub fn fills_lane(self) -> bool {
        self.size() * 8 == self.lane().bits() as usize
    }

    /// Whether elements are integers, signed or unsigned.
    pub fn is_integer(self) -> bool {
        matches!(self, Storage::U8 | Storage::I32 | Storage::I64)
    }

    /// The lane type that a load gives and a store takes.
    pub fn lane(self) -> Type {
        match self {
            Storage::F16 | Storage::BF16 | Storage::F32 => Type::F32,
            Storage::F64 => Type::F64,
            Storage::Bool => Type::M32,
            Storage::U8 | Storage::I32 => Type::I32,
            Storage::I64 => Type::I64,
        }
    }
}

/// The result of an instruction: its index in [`Body::insts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value(pub u32);

impl Value {
    /// The index of the defining instruction.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Primitives of one operand. See the module table for their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the module table defines every primitive")]
pub enum UnaryOp {
    Neg,
    Abs,
    Sqrt,
    Floor,
    Ceil,
    Trunc,
    Nearest,
    Not,
    Bitcast(Type),
    Promote,
    Demote,
    Widen,
    Narrow,
}

/// Primitives of two operands. See the module table for their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the module table defines every primitive")]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Min,
    Max,
    CopySign,
    And,
    Or,
    Xor,
}

/// Predicates of [`Inst::Compare`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the module table defines every primitive")]
pub enum Predicate {
    Eq,
    Ne,
    Lt,
    Le,
}

/// Shifts by a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the module table defines every primitive")]
pub enum ShiftOp {
    Shl,
    Shr,
    Sar,
}

/// One instruction; it defines the value of its own index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Inst {
    /// The element of input `slot`.
    Load {
        /// Index into [`Routine::inputs`].
        slot: u32,
    },
    /// The element of input `slot` that is the same for a whole row: a row scalar.
    Scalar {
        /// Index into [`Routine::inputs`]. It is as wide as its lane, and nothing else reads it.
        slot: u32,
    },
    /// A constant of type `ty`, by its bits (zero-extended). A mask is 0 or all ones.
    Const {
        /// Its lane type.
        ty: Type,
        /// Its bits.
        bits: u64,
    },
    /// One operand.
    Unary {
        /// The primitive.
        op: UnaryOp,
        /// Its operand.
        a: Value,
    },
    /// Two operands of one type.
    Binary {
        /// The primitive.
        op: BinaryOp,
        /// First operand.
        a: Value,
        /// Second operand.
        b: Value,
    },
    /// `a*b + c`, rounded once.
    Fma {
        /// Factor.
        a: Value,
        /// Factor.
        b: Value,
        /// Addend.
        c: Value,
    },
    /// `scaled`, which must be `p 2^k` rounded once: emitters compute one or the other. For exponents below
    /// [`LEAST_POWER_32`] and [`LEAST_POWER_64`] that is 0.
    Scale {
        /// The number that is scaled: at least 1/2 and below 2, or NaN.
        p: Value,
        /// The exponent: whole, or NaN.
        k: Value,
        /// The result, computed otherwise.
        scaled: Value,
    },
    /// A mask.
    Compare {
        /// The predicate.
        pred: Predicate,
        /// Left side.
        a: Value,
        /// Right side.
        b: Value,
    },
    /// `a` where `mask` is set, else `b`.
    Select {
        /// A mask as wide as the lanes.
        mask: Value,
        /// Taken where the mask is set.
        a: Value,
        /// Taken elsewhere.
        b: Value,
    },
    /// A shift by a constant.
    Shift {
        /// The primitive.
        op: ShiftOp,
        /// The shifted integer.
        a: Value,
        /// Number of bits, below the lane width.
        by: u8,
    },
    /// An entry of a constant table.
    Table {
        /// Index into [`Routine::tables`].
        table: u32,
        /// An integer as wide as the table's entries, clamped to the table.
        index: Value,
    },
}

impl Inst {
    /// The operands, in order.
    pub fn operands(&self) -> impl Iterator<Item = Value> + use<> {
        let list = match *self {
            Inst::Load { .. } | Inst::Scalar { .. } | Inst::Const { .. } => [None; 3],
            Inst::Unary { a, .. } | Inst::Shift { a, .. } => [Some(a), None, None],
            Inst::Table { index, .. } => [Some(index), None, None],
            Inst::Binary { a, b, .. } | Inst::Compare { a, b, .. } => [Some(a), Some(b), None],
            Inst::Fma { a, b, c } => [Some(a), Some(b), Some(c)],
            Inst::Scale { p, k, scaled } => [Some(p), Some(k), Some(scaled)],
            Inst::Select { mask, a, b } => [Some(mask), Some(a), Some(b)],
        };
        list.into_iter().flatten()
    }
}

/// A constant table, its entries by bits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Table {
    /// Lane type of an entry.
    pub ty: Type,
    /// The entries' bits, zero-extended; never empty.
    pub entries: Vec<u64>,
}

/// Instructions `start..end`, needed only where `mask` is set.
///
/// Values defined inside are used inside, or after `end` as the first choice of a `select` on
/// `mask`. Regions do not nest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cold {
    /// A mask, defined before `start` and in no cold region.
    pub mask: Value,
    /// First instruction inside.
    pub start: u32,
    /// First instruction after.
    pub end: u32,
}

/// A straight line of primitives on one lane.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Body {
    /// Instructions in order; instruction `i` defines `Value(i)`.
    pub insts: Vec<Inst>,
    /// The lane type of each value.
    pub types: Vec<Type>,
    /// Cold regions, in order, disjoint.
    pub cold: Vec<Cold>,
}

impl Body {
    /// The lane type of a value.
    pub fn ty(&self, value: Value) -> Type {
        self.types[value.index()]
    }

    /// The instruction that defines a value.
    pub(crate) fn inst(&self, value: Value) -> &Inst {
        &self.insts[value.index()]
    }
}

/// A value that is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Store {
    /// The stored value; its type is the lane type of the output.
    pub value: Value,
    /// Index into [`Routine::outputs`].
    pub output: u32,
}

/// What is done once for each element, in any order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Each {
    /// What is computed.
    pub body: Body,
    /// What is then stored.
    pub stores: Vec<Store>,
    /// What is merged over the row.
    pub folds: Vec<Fold>,
}

/// Elements of a row from which on steps of a sweep take [turns](Turn).
pub const LONG_ROW: usize = 4 << 10;

/// How many parts of a row steps take turns in.
pub const TURNS: usize = 4;

/// The turn of a step: the parts of an input's later rows that it asks memory for, from its first element to its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Turn {
    /// Index into [`Routine::inputs`].
    pub input: u32,
    /// The first of [`TURNS`] parts, as long as one another.
    pub first: u8,
    /// How many, one after the other.
    pub count: u8,
}

/// What a call does for each row of its operands. See the module documentation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Routine {
    /// Storage of each input.
    pub inputs: Vec<Storage>,
    /// Storage of each output.
    pub outputs: Vec<Storage>,
    /// Constant tables.
    pub tables: Vec<Table>,
    /// What is done with each element.
    pub stage: Each,
    /// Inputs of whose later rows memory may be asked for meanwhile, if a call says so.
    pub ahead: Vec<u32>,
    /// Of which parts of inputs, where rows are [long](LONG_ROW). Other steps of a sweep ask for the others.
    pub turns: Vec<Turn>,
    /// Outputs that are stored in whole vectors of memory, wherever rows begin: each row ends where the next one
    /// begins, and its last elements [wait](crate::emit::Carry) for the first ones of that.
    pub realigned: Vec<u32>,
    /// Whether rows may be strips of what lies side by side, most of which are [`STRIPE_BYTES`] long.
    pub in_strips: bool,
}

impl Routine {
    /// Whether an input has one element for each row.
    pub fn is_scalar(&self, slot: usize) -> bool {
        let reads = |inst: &Inst| *inst == Inst::Scalar { slot: slot as u32 };
        self.stage.body.insts.iter().any(reads)
    }

    /// Storage of what each fold leaves, one element a row: as wide as its lanes.
    pub fn folds(&self) -> impl Iterator<Item = Storage> {
        let stage = &self.stage;
        stage.folds.iter().map(|fold| match stage.body.ty(fold.value) {
            Type::F32 => Storage::F32,
            Type::F64 => Storage::F64,
            Type::I32 | Type::M32 => Storage::I32,
            Type::I64 | Type::M64 => Storage::I64,
        })
    }

    /// The lane type of a fold.
    #[cfg(feature = "x86")]
    pub(crate) fn fold_type(&self, fold: u32) -> Type {
        let stage = &self.stage;
        stage.body.ty(stage.folds[fold as usize].value)
    }

    /// What is computed for each element.
    pub fn body(&self) -> &Body {
        &self.stage.body
    }
}
