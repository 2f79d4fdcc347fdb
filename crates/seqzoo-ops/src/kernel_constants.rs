//! Extents of the CPU kernels, for benchmarks that count their multiply-adds.

use crate::kernel::cpu::product;
use crate::matrix_memory::kernel::cpu::chunks;

/// Tokens per chunk.
pub const CHUNK: usize = chunks::CHUNK;

/// Tokens per block inside a chunk.
pub const BLOCK: usize = chunks::BLOCK;

/// Tokens that the delta rule's substitution takes at once: `GROUP` of its kernel.
pub const GROUP: usize = crate::delta_rule::GROUP;

/// Tokens per block of the neural memory.
pub const MEMORY_BLOCK: usize = crate::neural_memory::kernel::BLOCK;

/// Rows of the strips in which its kernel makes products between tokens.
pub const MEMORY_STRIP: usize = crate::neural_memory::kernel::STRIP;

/// Rows in a tile of a product, at most: of the widest tile that the processor's registers hold.
pub const TILE_ROWS: usize = product::TILE_ROWS;
