//! Where the tokens stand in their chunks. Sequences need not agree: a reset begins a chunk of its own.

use burn::tensor::{Bool, Device, Tensor, TensorData};

/// The place of every token in its chunk, and where memories are reset.
pub(crate) struct Places {
    /// `[row][token]`: from 0 to `chunk - 1`.
    pub positions: Vec<Vec<usize>>,
    /// `[row][token]`; empty without resets.
    resets: Vec<Vec<bool>>,
    /// `[row]`: the place of the token after the last one.
    pub next: Vec<usize>,
    chunk: usize,
}

impl Places {
    /// Of `time` tokens of sequences that stand at `first`, in chunks of `chunk`.
    pub fn new(first: Vec<usize>, resets: Option<Tensor<2, Bool>>, time: usize, chunk: usize) -> Self {
        let resets: Vec<Vec<bool>> = match resets {
            Some(resets) => {
                let flags: Vec<bool> = resets.into_data().iter::<bool>().collect();
                flags.chunks(time).map(<[bool]>::to_vec).collect()
            }
            None => Vec::new(),
        };
        let mut next = first;
        let positions = next.iter_mut().enumerate().map(|(row, next)| {
            let places = (0..time).map(|token| {
                let here = if resets.get(row).is_some_and(|resets| resets[token]) { 0 } else { *next };
                *next = (here + 1) % chunk;
                here
            });
            places.collect()
        });
        Self { positions: positions.collect(), resets, next, chunk }
    }

    /// Whether the memory of the sequence `row` is reset before `token`.
    pub fn is_reset(&self, row: usize, token: usize) -> bool {
        self.resets.get(row).is_some_and(|resets| resets[token])
    }

    /// The sequences whose memories are reset before `token`.
    pub fn reset(&self, token: usize, device: &Device) -> Rows {
        Rows::those((0..self.positions.len()).map(|row| self.is_reset(row, token)), device)
    }

    /// The sequences of which a chunk begins with `token`.
    pub fn begin(&self, token: usize, device: &Device) -> Rows {
        Rows::those(self.positions.iter().map(|places| places[token] == 0), device)
    }

    /// Whether a chunk of the sequence `row` ends with `token`.
    pub fn is_last(&self, row: usize, token: usize) -> bool {
        self.positions[row][token] == self.chunk - 1
    }

    /// The sequences of which a chunk ends with `token`.
    pub fn end(&self, token: usize, device: &Device) -> Rows {
        Rows::those((0..self.positions.len()).map(|row| self.is_last(row, token)), device)
    }

    /// The sequences of which a chunk begins after the last token.
    pub fn begin_next(&self, device: &Device) -> Rows {
        Rows::those(self.next.iter().map(|next| *next == 0), device)
    }

    /// The place of the token after the last one, as a state keeps it.
    pub fn position(&self, like: &Tensor<1>) -> Tensor<1> {
        let next: Vec<f64> = self.next.iter().map(|next| *next as f64).collect();
        Tensor::from_data(TensorData::from(next.as_slice()), (&like.device(), like.dtype()))
    }
}

/// Places in chunks of `chunk` tokens as a state keeps them, `[B]`, read from the device.
#[track_caller]
pub(crate) fn read_places(position: &Tensor<1>, chunk: usize) -> Vec<usize> {
    let places = position.to_data().convert::<f64>();
    places.iter::<f64>().map(|place| checked_place(place, chunk)).collect()
}

#[track_caller]
fn checked_place(place: f64, chunk: usize) -> usize {
    assert!(
        place >= 0.0 && place < chunk as f64 && place.fract() == 0.0,
        "The argument `initial_state` is at the place {place} of a chunk, but a whole number from 0 to {} is wanted \
         where chunks have {chunk} tokens.",
        chunk - 1
    );
    place as usize
}

/// Some of the sequences of a batch.
#[allow(clippy::large_enum_variant, reason = "one lives for a block, and a tensor is a handle")]
pub(crate) enum Rows {
    None,
    All,
    /// Those where it is true, `[b, 1, 1, 1]`.
    Some(Tensor<4, Bool>),
}

impl Rows {
    pub fn those(flags: impl IntoIterator<Item = bool>, device: &Device) -> Self {
        let flags: Vec<bool> = flags.into_iter().collect();
        match flags.iter().filter(|flag| **flag).count() {
            0 => Self::None,
            count if count == flags.len() => Self::All,
            _ => {
                let shape = [flags.len(), 1, 1, 1];
                Self::Some(Tensor::from_data(TensorData::new(flags, shape), device))
            }
        }
    }

    /// `chosen` in these sequences and `others` elsewhere.
    pub fn choose(&self, chosen: &[Tensor<4>], others: Vec<Tensor<4>>) -> Vec<Tensor<4>> {
        match self {
            Self::None => others,
            Self::All => chosen.to_vec(),
            Self::Some(mask) => {
                let pairs = others.into_iter().zip(chosen);
                let choose = |(other, chosen): (Tensor<4>, &Tensor<4>)| {
                    let dims = other.dims();
                    other.mask_where(mask.clone().expand(dims), chosen.clone())
                };
                pairs.map(choose).collect()
            }
        }
    }
}
