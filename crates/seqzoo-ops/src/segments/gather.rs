//! Tokens at other places.

use burn::tensor::{Device, Int, Tensor, TensorData};

/// Tokens of a batch `[b, t, ...]` as a batch of `rows` rows. `sources` says what comes in each of its places, row after
/// row: a token, counted over the batch in the same way, or zeros.
pub(crate) fn gather<const D: usize>(
    tokens: Tensor<D>,
    rows: usize,
    sources: impl IntoIterator<Item = Option<usize>>,
) -> Tensor<D> {
    let (mut shape, device) = (tokens.dims(), tokens.device());
    let (count, width) = (shape[0] * shape[1], shape[2..].iter().product());
    let sources: Vec<i64> = sources.into_iter().map(|source| source.unwrap_or(count) as i64).collect();
    let pads = sources.contains(&(count as i64));
    (shape[0], shape[1]) = (rows, sources.len() / rows);
    let mut tokens = tokens.reshape([count, width]);
    if pads {
        let zeros = Tensor::zeros([1, width], (&device, tokens.dtype()));
        tokens = Tensor::cat(vec![tokens, zeros], 0);
    }
    let sources = Tensor::<1, Int>::from_data(TensorData::from(sources.as_slice()), &device);
    tokens.select(0, sources).reshape(shape)
}

/// Numbers as indices.
pub(super) fn indices(numbers: &[usize], device: &Device) -> Tensor<1, Int> {
    let numbers: Vec<i64> = numbers.iter().map(|number| *number as i64).collect();
    Tensor::from_data(TensorData::from(numbers.as_slice()), device)
}
