//! The chunk that a cube works on, and tiles of it in shared memory.
//!
//! `reverse` runs time backwards. A memory that is read through `exp(through_i)` on the way forward
//! is, on the way back, a gradient that is read through `exp(after_j)`, so one program serves both.

use cubecl::prelude::*;

/// Tokens of a chunk. At 16 the products inside a chunk are no dearer than reading the memory, the
/// square of decays fits into registers, and the memories factors for the backward pass take `V / 16`
/// times the room of the keys.
pub(crate) const CHUNK: usize = 16;

/// Channels of a tile.
pub(crate) const WIDTH: usize = 32;

/// The chunk that a cube works on, in one sequence and one head.
#[derive(CubeType, Clone, Copy)]
pub(crate) struct Place {
    pub batch: usize,
    /// Of the values.
    pub head: usize,
    /// Heads of the values.
    pub heads: usize,
    /// The first token.
    pub from: usize,
}

/// The row of `token` in a tensor `[b, t, h', _]`, whose heads `h'` divide those of the values.
#[cube]
pub(crate) fn row<F: Float>(tensor: &Tensor<F>, place: &Place, token: usize) -> usize {
    let own_heads = tensor.shape(2);
    (place.batch * tensor.shape(1) + token) * own_heads + place.head / (place.heads / own_heads)
}

/// The row of `token` in a tensor `[b, t, h, _]` with the heads of the values.
#[cube]
pub(crate) fn value_row(place: &Place, time: usize, token: usize) -> usize {
    (place.batch * time + token) * place.heads + place.head
}

/// Where `channel` of `token` is in a tensor `[b, t, h', c]`.
#[cube]
pub(crate) fn at<F: Float>(tensor: &Tensor<F>, place: &Place, token: usize, channel: usize) -> usize {
    row::<F>(tensor, place, token) * tensor.shape(3) + channel
}

/// The factor of `token` and `channel`; 1 after the last token.
#[cube]
pub(crate) fn factor_of<F: Float>(
    factors: &Tensor<F>,
    place: &Place,
    token: usize,
    channel: usize,
    #[comptime] channels: bool,
) -> F {
    let mut factor = F::new(1.0_f32);
    if token < factors.shape(1) {
        if comptime!(channels) {
            factor = factors[at::<F>(factors, place, token, channel)];
        } else {
            factor = factors[row::<F>(factors, place, token)];
        }
    }
    factor
}

/// Loads `scale` times the channels `from ..` of a chunk, zeros outside the tensor: `[CHUNK, width]`,
/// in rows of `stride`.
#[cube]
pub(crate) fn load_chunk<F: Float>(
    tile: &mut Shared<[F]>,
    source: &Tensor<F>,
    place: &Place,
    from: usize,
    scale: F,
    #[comptime] width: usize,
    #[comptime] stride: usize,
    #[comptime] units: usize,
) {
    let mut index = UNIT_POS as usize;
    while index < CHUNK * width {
        let token = place.from + index / width;
        let channel = from + index % width;
        let mut value = F::new(0.0_f32);
        if token < source.shape(1) && channel < source.shape(3) {
            value = scale * source[at::<F>(source, place, token, channel)];
        }
        tile[(index / width) * stride + index % width] = value;
        index += units;
    }
}

/// Loads a block of a matrix `[keys, values]` that begins at `offset`, zeros outside:
/// `[WIDTH, width]`, in rows of `stride`.
#[cube]
pub(crate) fn load_memory<F: Float>(
    tile: &mut Shared<[F]>,
    source: &Tensor<F>,
    offset: usize,
    keys: usize,
    values: usize,
    from_key: usize,
    from_value: usize,
    #[comptime] width: usize,
    #[comptime] stride: usize,
    #[comptime] units: usize,
) {
    let mut index = UNIT_POS as usize;
    while index < WIDTH * width {
        let key = from_key + index / width;
        let value = from_value + index % width;
        let mut number = F::new(0.0_f32);
        if key < keys && value < values {
            number = source[offset + key * values + value];
        }
        tile[(index / width) * stride + index % width] = number;
        index += units;
    }
}

/// Multiplies the rows of a tile `[CHUNK, WIDTH]`, in rows of `stride`, by what is factors from the
/// chunk's start through the token, or, in reverse, from after the token to the chunk's end. One unit
/// per channel; `whole` receives what the whole chunk keeps.
#[cube]
pub(crate) fn fade<F: Float>(
    tile: &mut Shared<[F]>,
    whole: &mut Shared<[F]>,
    factors: &Tensor<F>,
    place: &Place,
    from: usize,
    keys: usize,
    #[comptime] stride: usize,
    #[comptime] reverse: bool,
    #[comptime] channels: bool,
) {
    let column = UNIT_POS as usize;
    if column < WIDTH {
        let mut factor = F::new(1.0_f32);
        if from + column < keys {
            #[unroll]
            for step in 0..CHUNK {
                let i = comptime!(if reverse { CHUNK - 1 - step } else { step });
                let own = factor_of::<F>(factors, place, place.from + i, from + column, channels);
                if comptime!(reverse) {
                    tile[i * stride + column] *= factor;
                    factor *= own;
                } else {
                    factor *= own;
                    tile[i * stride + column] *= factor;
                }
            }
        }
        whole[column] = factor;
    }
}
