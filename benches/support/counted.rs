//! Multiply-adds of the CPU kernels' products, per token and head.
//!
//! Counted as the kernels do them: through the memory, and inside chunks of [`CHUNK`] tokens in blocks of [`BLOCK`],
//! where products with a triangle end, tile by tile, where its zeros begin. Exponentials, fades and copies are not
//! counted, nor is the padding of a last chunk or of channels. All figures are averages over the tokens of a chunk.

use seqzoo::ops::kernel_constants::{BLOCK, CHUNK, GROUP, MEMORY_BLOCK, MEMORY_STRIP, TILE_ROWS};

/// The products of a matrix memory of these key and value channels with `readers` sets of rows that read it, under the decay
/// of this name: in the forward pass and in the backward pass.
pub fn matrix_memory(readers: usize, decay: &str, [keys, values]: [usize; 2]) -> [f64; 2] {
    let (readers, keys, values) = (readers as f64, keys as f64, values as f64);
    let memory = keys * values;
    // `A = Q Kᵀ`, `dA = dO Vᵀ`, and from `dA` the gradients of rows and keys. With a decay per channel, `A` is made pair by
    // pair inside the blocks and by a product between them, and the gradients likewise.
    let (square, gradients) = match decay {
        "vector" => {
            let between = between_blocks(CHUNK, BLOCK);
            (earlier(BLOCK) + 1.0 + between, earlier(BLOCK) + between)
        }
        _ => (blocks(CHUNK, BLOCK), triangle(CHUNK, TILE_ROWS)),
    };
    let back = blocks(CHUNK, BLOCK) * values + 2.0 * gradients * keys;
    let apply = triangle(CHUNK, TILE_ROWS) * values; // `A V`, `Aᵀ dO`
    [
        // Each reader reads the memory; then it is written.
        (readers + 1.0) * memory + readers * square * keys + apply,
        // Each reader's gradient and its part of the memory's; then those of keys and values.
        (2.0 * readers + 2.0) * memory + readers * back + apply,
    ]
}

/// The products of a neural memory with these channels in, between and out of its layers, in blocks of
/// [`MEMORY_BLOCK`]: in the forward pass and in the backward pass.
pub fn neural_memory(widths: &[usize]) -> [f64; 2] {
    let (strips, applied) = (blocks(MEMORY_BLOCK, MEMORY_STRIP), triangle(MEMORY_BLOCK, TILE_ROWS));
    let layers = widths.windows(2).map(|ends| [ends[0] as f64, ends[1] as f64]).enumerate();
    layers.fold([0.0; 2], |[forward, backward], (layer, [from, to])| {
        let matrix = from * to;
        // What comes out of it at the start of the chunk; what is read of `W` and of `S`; what is written to both. Every
        // layer but the first also passes the gradient back.
        let behind = if layer > 0 { matrix } else { 0.0 };
        let once = 5.0 * matrix + behind + strips * from + applied * to;
        // The gradients of the reader, of what is written, of the input and of the pair, two matrices each; those of the
        // input and of the matrix at the start of the chunk, and what the gradient that came back adds to both.
        let back = 10.0 * matrix + 2.0 * behind + strips * (from + to) + applied * (2.0 * from + to);
        [forward + once, backward + back]
    })
}

/// Substitution of all tokens of a chunk, in groups.
pub fn solve(channels: usize) -> f64 {
    substitution(CHUNK, GROUP) * channels as f64
}

/// Tokens that a product with the triangle of a chunk takes: each tile of rows ends at the last of its own.
///
/// The kernel takes as few tiles of up to `rows` tokens as there can be, of heights that differ by at most 1.
fn triangle(chunk: usize, rows: usize) -> f64 {
    let tiles = chunk.div_ceil(rows);
    let heights = (0..tiles).map(|tile| chunk / tiles + usize::from(tile < chunk % tiles));
    let (_, products) = heights.fold((0, 0), |(start, products), height| {
        let end = start + height;
        (end, products + height * end)
    });
    products as f64 / chunk as f64
}

/// Tokens that a square of products takes, in which every block of rows ends with its own block of columns.
fn blocks(chunk: usize, block: usize) -> f64 {
    (0..chunk).map(|token| (token / block + 1) * block).sum::<usize>() as f64 / chunk as f64
}

/// Tokens of the blocks before a token's own.
fn between_blocks(chunk: usize, block: usize) -> f64 {
    blocks(chunk, block) - block as f64
}

/// Tokens before a token in its block.
fn earlier(block: usize) -> f64 {
    (0..block).sum::<usize>() as f64 / block as f64
}

/// Tokens that substitution adds to a token: all in the groups before its own, and those before it in its group.
fn substitution(chunk: usize, group: usize) -> f64 {
    between_blocks(chunk, group) + earlier(group)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The figures for chunks of 32 in blocks of 16, tiles of 6 rows and groups of 4, derived by hand.
    #[test]
    fn the_formulas_equal_what_is_derived_by_hand() {
        // 32 rows are 6 tiles of 6, 6, 5, 5, 5 and 5, which end at 6, 12, 17, 22, 27 and 32:
        // (6·6 + 6·12 + 5·17 + 5·22 + 5·27 + 5·32) / 32 = 598 / 32.
        assert_eq!(triangle(32, 6), 18.6875);
        // Half of the rows have 16 columns, the other half 32.
        assert_eq!(blocks(32, 16), 24.0);
        // Half of the rows have 16 columns in the other block.
        assert_eq!(between_blocks(32, 16), 8.0);
        // A block of 16 has 120 pairs of different tokens, and 136 with each token and itself.
        assert_eq!((earlier(16), earlier(16) + 1.0), (7.5, 8.5));
        // 0, 4, .. 28 tokens before the group, and 0, 1, 2 and 3 inside it.
        assert_eq!(substitution(32, 4), 14.0 + 1.5);
    }

    #[test]
    fn the_constants_of_the_kernels_are_those_of_the_figures_above() {
        assert_eq!((CHUNK, BLOCK, GROUP, TILE_ROWS), (32, 16, 4, 6));
        assert_eq!((MEMORY_BLOCK, MEMORY_STRIP), (64, 16));
    }

    /// With 64 channels: memories of 4096.
    #[test]
    fn operators_count_what_their_kernels_multiply() {
        let triangle = 18.6875;
        let per_channel = |[forward, backward]: [f64; 2]| [forward / 64.0, backward / 64.0];
        assert_eq!(
            per_channel(matrix_memory(1, "none", [64, 64])),
            [2.0 * 64.0 + 24.0 + triangle, 4.0 * 64.0 + 24.0 + 2.0 * triangle + triangle]
        );
        assert_eq!(
            per_channel(matrix_memory(1, "vector", [64, 64])),
            [2.0 * 64.0 + 16.5 + triangle, 4.0 * 64.0 + 24.0 + 2.0 * 15.5 + triangle]
        );
        assert_eq!(
            per_channel(matrix_memory(2, "scalar", [64, 64])),
            [3.0 * 64.0 + 2.0 * 24.0 + triangle, 6.0 * 64.0 + 2.0 * (24.0 + 2.0 * triangle) + triangle]
        );
        assert_eq!(solve(64) / 64.0, 15.5);
        // A quarter of the rows has 16 columns, the next 32, and so on; 64 rows are 11 tiles, nine of 6 and two of 5.
        let (strips, applied) = (40.0, 34.921_875);
        assert_eq!(
            per_channel(neural_memory(&[64, 64])),
            [5.0 * 64.0 + strips + applied, 10.0 * 64.0 + 2.0 * strips + 3.0 * applied]
        );
        // Two matrices of 64 x 128; 192 channels in all go in, and as many come out.
        assert_eq!(
            per_channel(neural_memory(&[64, 128, 64])),
            [11.0 * 128.0 + 3.0 * (strips + applied), 22.0 * 128.0 + 6.0 * strips + 9.0 * applied]
        );
    }
}
