//! Memory as an instruction sees it: regions far apart, and nothing between them.

use std::fmt;

/// How a region may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It may be read.
    Read,
    /// It may be written; bytes not yet written have no value.
    Write,
    /// Both.
    ReadWrite,
}

impl Access {
    fn reads(self) -> bool {
        self != Access::Write
    }

    fn writes(self) -> bool {
        self != Access::Read
    }
}

/// Bytes at an address of their own.
#[derive(Clone, Debug)]
struct Region {
    name: &'static str,
    start: u64,
    /// The bytes of all rows, one after the other.
    bytes: Vec<u8>,
    /// The bytes of a row, and the distance from one row's start to the next.
    row: usize,
    pitch: usize,
    /// Which bytes have been written; empty if none may be.
    written: Vec<bool>,
    access: Access,
}

impl Region {
    /// Where its bytes hold `len` bytes of one row.
    fn offset(&self, at: u64, len: usize) -> Option<usize> {
        let offset = usize::try_from(at.checked_sub(self.start)?).ok()?;
        let row = offset.checked_div(self.pitch).unwrap_or(0);
        let inside = offset - row * self.pitch;
        let end = row * self.row + inside + len;
        (inside + len <= self.row && end <= self.bytes.len()).then_some(end - len)
    }
}

/// The region that [`Memory::add`] made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle(usize);

/// All that can be read and written.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    regions: Vec<Region>,
}

/// The distance between regions: an index cannot step from one into another unnoticed.
const APART: u64 = 1 << 36;
/// The bits kept of a given address: all that alignment or a page may depend on.
const KEPT: u64 = 4095;

/// An access that is not allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outside {
    pub(crate) at: u64,
    pub(crate) len: usize,
    pub(crate) writes: bool,
    /// The region that was probably meant, and the offset into it.
    pub(crate) near: Option<(&'static str, i64, usize)>,
}

impl fmt::Display for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outside { at, len, writes, near } = self;
        let verb = if *writes { "writes" } else { "reads" };
        match near {
            Some((name, offset, size)) => write!(
                f,
                "{verb} {len} bytes at offset {offset} of {name}, which has {size} and may not be"
            ),
            None => write!(f, "{verb} {len} bytes at {at:#x}, where nothing is"),
        }
    }
}

impl Memory {
    /// No memory at all.
    pub fn new() -> Memory {
        Memory::default()
    }

    /// Adds bytes, placed within a page as they are at `address`. The name is for faults.
    pub fn add(
        &mut self,
        name: &'static str,
        bytes: Vec<u8>,
        address: usize,
        access: Access,
    ) -> Handle {
        let row = bytes.len();
        self.add_rows(name, bytes, [row, 0], address, access)
    }

    /// Like [`add`](Memory::add), for rows of `row` bytes, `pitch` bytes from start to start, with
    /// nothing between them.
    pub fn add_rows(
        &mut self,
        name: &'static str,
        bytes: Vec<u8>,
        [row, pitch]: [usize; 2],
        address: usize,
        access: Access,
    ) -> Handle {
        let start = (self.regions.len() as u64 + 1) * APART + (address as u64 & KEPT);
        let written = if access.writes() { vec![false; bytes.len()] } else { Vec::new() };
        self.regions.push(Region { name, start, bytes, row, pitch, written, access });
        Handle(self.regions.len() - 1)
    }

    /// The address of a region, for instructions.
    pub fn address(&self, handle: Handle) -> u64 {
        self.regions[handle.0].start
    }

    /// The bytes of a region.
    pub fn bytes(&self, handle: Handle) -> &[u8] {
        &self.regions[handle.0].bytes
    }

    /// The first byte of a region that was never written.
    pub fn unwritten(&self, handle: Handle) -> Option<usize> {
        self.regions[handle.0].written.iter().position(|&written| !written)
    }

    /// The place of `len` bytes.
    fn find(&self, at: u64, len: usize, writes: bool) -> Result<(usize, usize), Outside> {
        let index = (at / APART) as usize;
        // An address a little before a region is also meant for it.
        let near = |index: usize| -> Option<&Region> { self.regions.get(index.checked_sub(1)?) };
        if let Some(region) = near(index) {
            let allowed = if writes { region.access.writes() } else { region.access.reads() };
            if let (true, Some(offset)) = (allowed, region.offset(at, len)) {
                return Ok((index - 1, offset));
            }
        }
        let near = near(((at + APART / 2) / APART) as usize)
            .map(|region| (region.name, at.wrapping_sub(region.start) as i64, region.bytes.len()));
        Err(Outside { at, len, writes, near })
    }

    pub(crate) fn read(&self, at: u64, into: &mut [u8]) -> Result<(), Outside> {
        let (region, offset) = self.find(at, into.len(), false)?;
        into.copy_from_slice(&self.regions[region].bytes[offset..offset + into.len()]);
        Ok(())
    }

    pub(crate) fn write(&mut self, at: u64, from: &[u8]) -> Result<(), Outside> {
        let (region, offset) = self.find(at, from.len(), true)?;
        let (region, range) = (&mut self.regions[region], offset..offset + from.len());
        region.bytes[range.clone()].copy_from_slice(from);
        region.written[range].fill(true);
        Ok(())
    }

    /// The lowest `len` bytes of a word.
    pub(crate) fn word(&self, at: u64, len: usize) -> Result<u64, Outside> {
        let mut word = [0; 8];
        self.read(at, &mut word[..len])?;
        Ok(u64::from_le_bytes(word))
    }
}
