//! Calls of kernel routines, as `kiln::emit` defines them.

use crate::decoded::Decoded;
use crate::memory::{Access, Handle, Memory};
use crate::processor::{Fault, Processor};

/// An array that a kernel reads, writes, or both.
#[derive(Clone, Debug)]
pub struct Array {
    /// Its bytes, and none that is not its own.
    pub bytes: Vec<u8>,
    /// Where it lies, as far as alignment goes.
    pub address: usize,
    /// What the kernel may do with it. What it may write it must write, every byte.
    pub access: Access,
}

/// A call of a kernel routine.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// The number of elements.
    pub n: usize,
    /// All arrays.
    pub arrays: Vec<Array>,
    /// For each input, the number of its array.
    pub inputs: &'a [usize],
    /// For each input, the bytes from one vector to the next.
    pub steps: &'a [usize],
    /// For each output, the number of its array.
    pub outputs: &'a [usize],
    /// The routine's constants, which begin a cache line.
    pub pool: &'a [u8],
}

impl Call<'_> {
    /// Calls `routine`, and gives the arrays as they are then.
    pub fn run(self, routine: &Decoded) -> Result<Vec<Array>, Fault> {
        let mut memory = Memory::new();
        let Call { n, mut arrays, inputs, steps, outputs, pool } = self;
        let mut place = |array: &mut Array| {
            let name = match array.access {
                Access::Read => "an input",
                Access::Write => "an output",
                Access::ReadWrite => "an input that is an output",
            };
            memory.add(name, std::mem::take(&mut array.bytes), array.address, array.access)
        };
        let handles: Vec<Handle> = arrays.iter_mut().map(&mut place).collect();
        let pointers = |memory: &Memory, numbers: &[usize]| -> Vec<u8> {
            numbers.iter().flat_map(|&at| memory.address(handles[at]).to_le_bytes()).collect()
        };
        let steps: Vec<u8> = steps.iter().flat_map(|&step| (step as u64).to_le_bytes()).collect();
        let (inputs, outputs) = (pointers(&memory, inputs), pointers(&memory, outputs));
        let mut add = |name, bytes| {
            let handle = memory.add(name, bytes, 0, Access::Read);
            memory.address(handle)
        };
        let arguments = [
            n as u64,
            add("the inputs' addresses", inputs),
            add("the steps", steps),
            add("the outputs' addresses", outputs),
            add("the pool", pool.to_vec()),
        ];
        let mut processor = Processor::new(memory);
        processor.call(routine, &arguments)?;
        for (array, &handle) in arrays.iter_mut().zip(&handles) {
            if let Some(at) = processor.memory.unwritten(handle) {
                let what = format!("byte {at} of an output was not written");
                return Err(Fault { at: 0, instruction: "ret".to_string(), what });
            }
            array.bytes = processor.memory.bytes(handle).to_vec();
        }
        Ok(arrays)
    }
}
