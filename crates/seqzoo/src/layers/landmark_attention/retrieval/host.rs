//! Where all blocks are kept: in memory, or in a file.

use super::file::BlockFile;
use crate::StateError;
use std::path::Path;

/// The shape of what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Sequences.
    pub batch: usize,
    /// Key and value heads.
    pub heads: usize,
    /// Tokens of a block.
    pub block: usize,
    /// Channels of a key, and of a value.
    pub channels: usize,
    /// Bytes of a number: 4 or 8.
    pub width: usize,
}

impl Shape {
    /// The bytes of one block of one sequence and head: of each token its key, then its value.
    pub fn unit(&self) -> usize {
        self.block * 2 * self.channels * self.width
    }

    /// The units of one block: of all sequences and heads.
    pub fn units(&self) -> usize {
        self.batch * self.heads
    }
}

/// All blocks, in the order of the sequence; of each, sequence by sequence, head by head.
pub(super) enum Host {
    Memory { bytes: Vec<u8>, unit: usize },
    File(BlockFile),
}

impl Host {
    pub fn memory(shape: Shape) -> Self {
        Self::Memory { bytes: Vec::new(), unit: shape.unit() }
    }

    pub fn create(path: &Path, shape: Shape) -> Result<Self, StateError> {
        BlockFile::create(path, shape).map(Self::File)
    }

    pub fn open(path: &Path, shape: Shape) -> Result<Self, StateError> {
        BlockFile::open(path, shape).map(Self::File)
    }

    /// Adds one block: the units of all sequences and heads.
    pub fn append(&mut self, block: &[u8]) -> Result<(), StateError> {
        match self {
            Self::Memory { bytes, .. } => {
                bytes.extend_from_slice(block);
                Ok(())
            }
            Self::File(file) => file.append(block),
        }
    }

    /// The unit of this number, counted over all blocks.
    pub fn unit(&self, number: usize) -> &[u8] {
        match self {
            Self::Memory { bytes, unit } => &bytes[number * unit..(number + 1) * unit],
            Self::File(file) => file.unit(number),
        }
    }

    /// How many blocks there are.
    pub fn blocks(&self, shape: Shape) -> usize {
        match self {
            Self::Memory { bytes, .. } => bytes.len() / (shape.unit() * shape.units()).max(1),
            Self::File(file) => file.blocks(),
        }
    }
}
