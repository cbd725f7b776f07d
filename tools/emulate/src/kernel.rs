//! Calls of kernel routines, as `kiln::emit` defines them.

use crate::decoded::Decoded;
use crate::memory::{Access, Handle, Memory};
use crate::processor::{Fault, Processor};

/// An array that a kernel reads, writes, or both: rows, with gaps between them.
#[derive(Clone, Debug)]
pub struct Array {
    /// The bytes of all rows, lowest address first.
    pub bytes: Vec<u8>,
    /// How many of them belong to one row.
    pub row: usize,
    /// Bytes from the start of one row to the next.
    pub pitch: usize,
    /// The address of the first row, as far as alignment matters.
    pub address: usize,
    /// What the kernel may do with it. If it may write, it must write every byte.
    pub access: Access,
}

impl Array {
    /// One row.
    pub fn new(bytes: Vec<u8>, address: usize, access: Access) -> Array {
        Array { row: bytes.len(), pitch: 0, bytes, address, access }
    }
}

/// A cursor of a call.
#[derive(Clone, Copy, Debug)]
pub struct Operand {
    /// The index of its array.
    pub array: usize,
    /// Bytes from the start of the array to its first row.
    pub first: usize,
    /// Bytes from one vector to the next.
    pub step: usize,
    /// Bytes from one row to the next.
    pub row: isize,
}

/// A call of a kernel routine.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// The number of rows.
    pub rows: usize,
    /// How many of them a kernel that takes several at a time takes.
    pub tile: usize,
    /// How many rows later the rows are that such a kernel asks memory for.
    pub ahead: usize,
    /// Whether such a kernel asks memory for what its results are stored over.
    pub results: bool,
    /// Elements of each row that such a kernel stores first.
    pub head: usize,
    /// The number of elements of a row.
    pub n: usize,
    /// All arrays.
    pub arrays: Vec<Array>,
    /// The inputs, then the outputs.
    pub operands: &'a [Operand],
    /// The routine's constants, aligned to a cache line.
    pub pool: &'a [u8],
    /// The index of the array of what earlier rows left, if there is one.
    pub carries: Option<usize>,
}

impl Call<'_> {
    /// Calls `routine` and returns the arrays afterwards.
    pub fn run(self, routine: &Decoded) -> Result<Vec<Array>, Fault> {
        Ok(self.run_and_tell(routine)?.0)
    }

    /// The same, and what memory was asked for before it was read: bytes from the start of the first array.
    pub fn run_and_tell(self, routine: &Decoded) -> Result<(Vec<Array>, Vec<i64>), Fault> {
        let mut memory = Memory::new();
        let Call { rows, tile, ahead, results, head, n, mut arrays, operands, pool, carries } =
            self;
        let mut place = |array: &mut Array| {
            let name = match array.access {
                Access::Read => "an input",
                Access::Write => "an output",
                Access::ReadWrite => "an input that is an output",
            };
            let bytes = std::mem::take(&mut array.bytes);
            memory.add_rows(name, bytes, [array.row, array.pitch], array.address, array.access)
        };
        let handles: Vec<Handle> = arrays.iter_mut().map(&mut place).collect();
        let words = |words: &[u64]| words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let cursor = |&Operand { array, first, step, row }: &Operand| {
            [memory.address(handles[array]) + first as u64, step as u64, row as u64]
        };
        let cursors: Vec<u64> = operands.iter().flat_map(cursor).collect();
        let array_of_carries = carries;
        let carries = carries.map_or(0, |array| memory.address(handles[array]));
        let mut add = |name, bytes, access| {
            let handle = memory.add(name, bytes, 0, access);
            memory.address(handle)
        };
        let cursors = add("the cursors", words(&cursors), Access::ReadWrite);
        let pool = add("the pool", pool.to_vec(), Access::Read);
        let (rows, n) = (rows as u64, n as u64);
        let tiles = [tile, head, ahead, usize::from(results)].map(|count| count as u64);
        let launch = words(&[&[rows, n, pool, cursors], &tiles[..], &[carries]].concat());
        let launch = add("the launch", launch, Access::ReadWrite);
        let mut processor = Processor::new(memory);
        processor.call(routine, &[launch])?;
        for (index, (array, &handle)) in arrays.iter_mut().zip(&handles).enumerate() {
            // What is not written of carries is as it was.
            let unwritten = processor.memory.unwritten(handle);
            if let Some(at) = unwritten.filter(|_| array_of_carries != Some(index)) {
                let what = format!("byte {at} of an output was not written");
                return Err(Fault { at: 0, instruction: "ret".to_string(), what });
            }
            array.bytes = processor.memory.bytes(handle).to_vec();
        }
        let first = handles.first().map_or(0, |&handle| processor.memory.address(handle));
        let from_first = |&address: &u64| address.wrapping_sub(first) as i64;
        Ok((arrays, processor.asked.iter().map(from_first).collect()))
    }
}
