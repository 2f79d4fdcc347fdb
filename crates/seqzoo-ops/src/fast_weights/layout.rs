//! Tokens in blocks: which tokens are worked on at once.

use super::places::{Places, Rows};
use crate::segments::gather;
use burn::tensor::{Device, Tensor, TensorData};
#[cfg(feature = "cube")]
use std::ops::Range;

/// Every sequence cut into blocks of `width` slots, of which no edge of a chunk lies inside one. Slots that hold no
/// token are padding.
pub(crate) struct Layout {
    pub width: usize,
    pub blocks: usize,
    /// `[row][token]`: the slot of the token.
    slots: Vec<Vec<usize>>,
    time: usize,
}

/// What a block holds: tokens that follow each other.
#[cfg(feature = "cube")]
pub(crate) struct Held {
    /// The first of them, if there is one.
    pub token: Option<usize>,
    /// The slots of the block that they are in.
    pub slots: Range<usize>,
}

impl Layout {
    /// Blocks of `size` tokens, or of a chunk where that is shorter.
    pub fn new(places: &Places, size: usize, chunk: usize) -> Self {
        let tokens = size.min(chunk);
        Self::in_slots(places, tokens, tokens)
    }

    /// Blocks of at most `tokens` tokens in `width` slots.
    pub fn in_slots(places: &Places, tokens: usize, width: usize) -> Self {
        let slots = places.positions.iter().map(|positions| {
            let mut block = 0;
            let slots = positions.iter().enumerate().map(|(token, place)| {
                let slot = place % tokens;
                block += usize::from(slot == 0 && token > 0);
                block * width + slot
            });
            slots.collect()
        });
        let slots: Vec<Vec<usize>> = slots.collect();
        let time = slots[0].len();
        let last = slots.iter().map(|slots| slots[time - 1]).max().expect("there are sequences");
        Self { width, blocks: last / width + 1, slots, time }
    }

    /// The slot of the first token, if all others follow it without gaps in every sequence.
    fn first(&self) -> Option<usize> {
        let first = self.slots[0][0];
        let follow =
            |slots: &Vec<usize>| slots.iter().enumerate().all(|(token, slot)| *slot == first + token);
        self.slots.iter().all(follow).then_some(first)
    }

    /// Whether a slot holds no token.
    pub fn pads(&self) -> bool {
        self.blocks * self.width > self.time
    }

    /// Tokens `[b, t, h, d]` in their slots, `[b, h, n, c, d]`, with zeros in the others.
    pub fn split(&self, tokens: Tensor<4>) -> Tensor<5> {
        let [batch, _, heads, channels] = tokens.dims();
        let placed = self.placed(tokens);
        placed.swap_dims(1, 2).reshape([batch, heads, self.blocks, self.width, channels])
    }

    /// The same in the order of tokens, `[b, n · c, h, d]`.
    pub fn placed(&self, tokens: Tensor<4>) -> Tensor<4> {
        let [batch, time, heads, channels] = tokens.dims();
        let slots = self.blocks * self.width;
        match self.first() {
            Some(0) if slots == time => tokens,
            Some(first) => {
                let zeros = |count| {
                    Tensor::zeros([batch, count, heads, channels], (&tokens.device(), tokens.dtype()))
                };
                let after = slots - time - first;
                let parts = [
                    (first > 0).then(|| zeros(first)),
                    Some(tokens.clone()),
                    (after > 0).then(|| zeros(after)),
                ];
                Tensor::cat(parts.into_iter().flatten().collect(), 1)
            }
            None => gather(tokens, batch, self.sources()),
        }
    }

    /// For every slot of every sequence the token that it holds, if it holds one.
    fn sources(&self) -> Vec<Option<usize>> {
        let slots = self.blocks * self.width;
        let mut sources = vec![None; self.slots.len() * slots];
        for (row, places) in self.slots.iter().enumerate() {
            for (token, slot) in places.iter().enumerate() {
                sources[row * slots + slot] = Some(row * self.time + token);
            }
        }
        sources
    }

    /// What [`split`](Self::split) took apart, `[b, t, h, d]`.
    pub fn join(&self, blocks: Tensor<5>) -> Tensor<4> {
        let [batch, heads, count, width, channels] = blocks.dims();
        self.taken(blocks.reshape([batch, heads, count * width, channels]).swap_dims(1, 2))
    }

    /// What [`placed`](Self::placed) put into slots, `[b, t, h, d]`.
    pub fn taken(&self, placed: Tensor<4>) -> Tensor<4> {
        let [batch, slots, _, _] = placed.dims();
        if let Some(first) = self.first() {
            return placed.narrow(1, first, self.time);
        }
        let rows = self.slots.iter().enumerate();
        let sources = rows.flat_map(|(row, places)| places.iter().map(move |slot| Some(row * slots + slot)));
        gather(placed, batch, sources)
    }

    /// What the blocks of a sequence hold.
    #[cfg(feature = "cube")]
    pub fn held_by(&self, row: usize) -> impl Iterator<Item = Held> {
        let slots = &self.slots[row];
        (0..self.blocks).map(move |block| {
            let from = block * self.width;
            let first = slots.partition_point(|slot| *slot < from);
            let after = slots.partition_point(|slot| *slot < from + self.width);
            match slots[first..after] {
                [] => Held { token: None, slots: 0..0 },
                [start, ..] => Held { token: Some(first), slots: start - from..start - from + after - first },
            }
        })
    }

    /// 1 in the slots that hold a token and 0 in the others, `[b, 1, n, c, 1]`.
    pub fn held(&self, like: &Tensor<5>) -> Tensor<5> {
        let (rows, slots) = (self.slots.len(), self.blocks * self.width);
        let mut held = vec![0f32; rows * slots];
        for (row, places) in self.slots.iter().enumerate() {
            places.iter().for_each(|slot| held[row * slots + slot] = 1.0);
        }
        let data = TensorData::new(held, [rows, 1, self.blocks, self.width, 1]);
        Tensor::from_data(data.convert_dtype(like.dtype()), (&like.device(), like.dtype()))
    }

    /// The sequences of which the first slot of `block` has a token that `holds`, given its row and its index.
    pub fn rows(&self, block: usize, holds: impl Fn(usize, usize) -> bool, device: &Device) -> Rows {
        self.rows_at(block, 0, holds, device)
    }

    /// The same of another slot of the block.
    pub fn rows_at(
        &self,
        block: usize,
        slot: usize,
        holds: impl Fn(usize, usize) -> bool,
        device: &Device,
    ) -> Rows {
        let slot = block * self.width + slot;
        let rows = self.slots.iter().enumerate();
        let flags = rows.map(|(row, slots)| slots.binary_search(&slot).is_ok_and(|token| holds(row, token)));
        Rows::those(flags, device)
    }
}
