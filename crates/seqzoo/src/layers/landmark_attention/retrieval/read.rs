//! Tokens through the layer, reading some of the blocks before them.

use super::LandmarkAttention;
use super::choice::{Chosen, LandmarkChoice};
use super::positions::Slots;
use super::store::LandmarkStore;
use crate::StateError;
use crate::ops::attention::landmark::masked_softmax;
use crate::ops::{accumulator, checks, repeat_heads, to_dtype};
use crate::parts::join_heads;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use std::collections::BTreeSet;
use std::ops::Range;

impl LandmarkAttention {
    /// Tokens `[B, T, D]`, any number of them, to `[B, T, D]`, reading of the blocks before them those that the store's
    /// configuration lets them choose; the store has them afterwards. Gradients do not flow through it.
    ///
    /// Positions are those that the layer was trained on, however long the stream is: the current block stands behind
    /// `top_k + 1` slots. The last `top_k` blocks stand in theirs; an earlier one is compared in the first slot, and if it
    /// is read it stands in the slots from there on, in its order. As long as there are at most `top_k` blocks, all are read
    /// where they are, and the output is that of [`forward`](crate::SequenceMixer::forward).
    ///
    /// The published programs put the first `top_k` blocks one slot further when there are just as many, into the current
    /// block's own; here they stay.
    ///
    /// # Errors
    ///
    /// If a whole block cannot be written into the store's file. The store is then not to be used any more.
    ///
    /// # Panics
    ///
    /// If there are no tokens, the channels are not the layer's, or the store is of another layer or batch.
    ///
    /// # Source
    ///
    /// Mohtashami and Jaggi 2023, <https://arxiv.org/abs/2305.16300> (sec. 3.3).
    #[track_caller]
    pub fn retrieve(&self, input: Tensor<3>, store: &mut LandmarkStore) -> Result<Tensor<3>, StateError> {
        let [batch, time, channels] = input.dims();
        checks::not_empty("input", "time", time);
        let d_model = self.query.weight.dims()[0];
        let wanted = [("B", store.shape.batch), ("T", time), ("D", d_model)];
        checks::shape("input", &[batch, time, channels], &wanted);
        let found = (store.shape.heads, store.shape.block, store.shape.channels);
        assert!(
            found == (self.key_value_heads, self.block, self.head_dim),
            "The argument `store` is of another layer: its [heads, block, channels] are {found:?}."
        );
        let (mut from, mut outputs) = (0, Vec::new());
        while from < time {
            let length = (self.block - store.place()).min(time - from);
            outputs.push(self.retrieve_in_block(input.clone().narrow(1, from, length), store)?);
            from += length;
        }
        Ok(Tensor::cat(outputs, 1))
    }

    /// Tokens of one block.
    fn retrieve_in_block(
        &self,
        input: Tensor<3>,
        store: &mut LandmarkStore,
    ) -> Result<Tensor<3>, StateError> {
        let (dtype, wide) = (input.dtype(), accumulator(input.dtype()));
        let [query, key, value] = self.project(input).map(|tokens| to_dtype(tokens, wide));
        let slots = Slots { blocks: store.blocks(), top_k: store.config.top_k };
        let place = store.place();
        let read = Reader::new(self, store, slots, query, key.clone(), value.clone()).read();
        debug_assert_eq!(store.place(), place);
        store.push(key, value)?;
        Ok(self.output.forward(join_heads(to_dtype(read, dtype))))
    }

    /// `[B, T, H, d]` rotated to the positions given, `[B, T]`, all below `end`.
    fn rotated(&self, tokens: Tensor<4>, positions: Vec<i64>, end: usize) -> Tensor<4> {
        let Some(rotary) = &self.rotary else { return tokens };
        let ([batch, time, _, channels], device) = (tokens.dims(), tokens.device());
        let rows = positions.len() / time;
        let positions = Tensor::<2, Int>::from_data(TensorData::new(positions, [rows, time]), &device);
        debug_assert!(rows == 1 || rows == batch);
        rotary.at(0, end, channels, tokens.dtype(), &device).select(&positions).apply(tokens)
    }
}

/// Tokens of one block with all that they may read.
struct Reader<'a> {
    layer: &'a LandmarkAttention,
    store: &'a mut LandmarkStore,
    slots: Slots,
    /// Rotated and scaled, `[b, h, c, d]`.
    query: Tensor<4>,
    /// Of the current block up to the last token, `[b, h, p + c, d]`.
    local_keys: Tensor<4>,
    local_values: Tensor<4>,
    /// What of that each token does not see, `[1, 1, c, p + c]`.
    hidden: Tensor<4, Bool>,
}

impl<'a> Reader<'a> {
    fn new(
        layer: &'a LandmarkAttention,
        store: &'a mut LandmarkStore,
        slots: Slots,
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
    ) -> Self {
        let (place, count, block) = (store.place(), query.dims()[1], layer.block);
        let first = slots.current() * block;
        let positions = |range: Range<usize>| range.map(|place| (first + place) as i64).collect();
        let end = first + block;
        let query = layer.rotated(query, positions(place..place + count), end);
        let query = query.swap_dims(1, 2).mul_scalar((layer.head_dim as f64).powf(-0.5));
        let with_past = |past: &Tensor<4>, new: Tensor<4>| match place {
            0 => new,
            _ => Tensor::cat(vec![past.clone(), new], 1),
        };
        let keys = with_past(&store.local[0], key);
        let keys = layer.rotated(keys, positions(0..place + count), end);
        let values = with_past(&store.local[1], value);
        let heads_first = |x: Tensor<4>| repeat_heads(x, layer.heads).swap_dims(1, 2);
        let hidden = hidden(place, count, block, &query.device());
        Self {
            layer,
            store,
            slots,
            query,
            local_keys: heads_first(keys),
            local_values: heads_first(values),
            hidden,
        }
    }

    /// What all tokens read, `[b, c, h, d]`.
    fn read(mut self) -> Tensor<4> {
        let count = self.query.dims()[2];
        if self.slots.blocks == 0 {
            return self.local(0..count).swap_dims(1, 2);
        }
        let chosen = Chosen::new(self.landmark_scores(), self.store.config.choice, self.slots.count());
        let (mut from, mut outputs) = (0, Vec::new());
        while from < count {
            let run = self.run(&chosen, from);
            from = run.end;
            outputs.push(self.read_chosen(&chosen, run));
        }
        Tensor::cat(outputs, 2).swap_dims(1, 2)
    }

    /// The scores of the landmarks of all blocks, in the slots in which they are compared: `[b, h, c, n]`.
    fn landmark_scores(&self) -> Tensor<4> {
        let position = |block| Slots::landmark(self.slots.compared(block), self.store.shape) as i64;
        let positions = (0..self.slots.blocks).map(position).collect();
        let end = (self.slots.current() + 1) * self.layer.block;
        let keys = self.layer.rotated(self.store.landmarks.clone(), positions, end);
        let keys = repeat_heads(keys, self.layer.heads).swap_dims(1, 2);
        self.query.clone().matmul(keys.swap_dims(2, 3))
    }

    /// The tokens from `from` on whose blocks the device has room for.
    fn run(&self, chosen: &Chosen, from: usize) -> Range<usize> {
        let (count, room) = (self.query.dims()[2], self.store.arena.room());
        let mut units = BTreeSet::new();
        for token in from..count {
            units.extend(self.units_of(chosen, token));
            if units.len() > room && token > from {
                return from..token;
            }
        }
        from..count
    }

    /// The units that a token reads: of all sequences and heads.
    fn units_of(&self, chosen: &Chosen, token: usize) -> impl Iterator<Item = usize> {
        let (batch, heads) = (self.store.shape.batch, self.layer.heads);
        let pairs = (0..batch).flat_map(move |sequence| (0..heads).map(move |head| (sequence, head)));
        pairs.flat_map(move |(sequence, head)| {
            let blocks = chosen.of(sequence, head, token).iter();
            blocks.map(move |block| self.unit(*block, sequence, head))
        })
    }

    /// The number of the unit that a query head reads of a block.
    fn unit(&self, block: usize, sequence: usize, head: usize) -> usize {
        let shape = self.store.shape;
        let key_head = head / (self.layer.heads / shape.heads);
        (block * shape.batch + sequence) * shape.heads + key_head
    }

    /// What tokens read of the current block alone, `[b, h, c, d]`.
    fn local(&self, run: Range<usize>) -> Tensor<4> {
        let (scores, hidden) = self.local_scores(run);
        masked_softmax(scores, hidden).matmul(self.local_values.clone())
    }

    fn local_scores(&self, run: Range<usize>) -> (Tensor<4>, Tensor<4, Bool>) {
        let query = self.query.clone().narrow(2, run.start, run.len());
        let scores = query.matmul(self.local_keys.clone().swap_dims(2, 3));
        (scores, self.hidden.clone().narrow(2, run.start, run.len()))
    }

    /// What tokens read of the chosen blocks and of their own, `[b, h, c, d]`.
    fn read_chosen(&mut self, chosen: &Chosen, run: Range<usize>) -> Tensor<4> {
        let (block, count) = (self.layer.block, self.slots.count());
        let [batch, heads, _, channels] = self.query.dims();
        let cells = Cells::new(self.store.config.choice, heads, self.store.shape.heads, run.len());
        let (keys, values) = self.chosen_blocks(chosen, &run, &cells); // [b, cells, k·block, d]

        let query = self.query.clone().narrow(2, run.start, run.len());
        let scores = cells.join(cells.split(query).matmul(keys.swap_dims(2, 3)));
        let scores = scores.reshape([batch, heads, run.len() * count, block]);
        let gates = scores.clone().narrow(3, block - 1, 1).reshape([batch, heads, run.len(), count]);
        let inside = burn::tensor::activation::softmax(scores.narrow(3, 0, block - 1), 3);

        let (local, hidden) = self.local_scores(run.clone());
        let open = Tensor::<4, Bool>::full([1, 1, run.len(), count], false, &local.device());
        let top = masked_softmax(Tensor::cat(vec![gates, local], 3), Tensor::cat(vec![open, hidden], 3));
        let gates = top.clone().narrow(3, 0, count).reshape([batch, heads, run.len() * count, 1]);
        let [_, _, _, length] = top.dims();
        let own = top.narrow(3, count, length - count).matmul(self.local_values.clone());

        // The landmarks themselves are not read.
        let nothing = inside.clone().narrow(3, 0, 1).zeros_like();
        let weights = Tensor::cat(vec![inside * gates, nothing], 3);
        let weights = cells.split(weights.reshape([batch, heads, run.len(), count * block]));
        let read = cells.join(weights.matmul(values));
        debug_assert_eq!(read.dims()[3], channels);
        own + read
    }

    /// Keys, rotated to the slots in which they are read, and values of the chosen blocks: `[b, cells, k·block, d]`.
    fn chosen_blocks(
        &mut self,
        chosen: &Chosen,
        run: &Range<usize>,
        cells: &Cells,
    ) -> (Tensor<4>, Tensor<4>) {
        let (block, channels) = (self.layer.block, self.layer.head_dim);
        let (batch, count) = (self.store.shape.batch, self.slots.count());
        let (mut units, mut positions) = (Vec::new(), Vec::new());
        for sequence in 0..batch {
            for (head, token) in cells.all() {
                let blocks = chosen.of(sequence, head, run.start + token);
                for (rank, number) in blocks.iter().enumerate() {
                    units.push(self.unit(*number, sequence, head));
                    let first = self.slots.read(*number, rank) * block;
                    positions.extend((first..first + block).map(|place| place as i64));
                }
            }
        }
        self.store.read += units.len() as u64;
        let host = &self.store.host;
        let read = self.store.arena.units(&units, host); // [b·cells·k, block, 2d]
        let rows = batch * cells.count();
        let part =
            |from: usize| read.clone().narrow(2, from, channels).reshape([rows, count * block, 1, channels]);
        let end = (self.slots.current() + 1) * block;
        let keys = self.layer.rotated(part(0), positions, end);
        let shape = [batch, cells.count(), count * block, channels];
        (keys.reshape(shape), part(channels).reshape(shape))
    }
}

/// Queries `[b, h, c, ..]` as cells `[b, cells, rows, ..]`: the rows of a cell read the same blocks.
struct Cells {
    choice: LandmarkChoice,
    heads: usize,
    key_heads: usize,
    tokens: usize,
}

impl Cells {
    fn new(choice: LandmarkChoice, heads: usize, key_heads: usize, tokens: usize) -> Self {
        Self { choice, heads, key_heads, tokens }
    }

    fn count(&self) -> usize {
        match self.choice {
            LandmarkChoice::PerHeadAndToken => self.heads * self.tokens,
            LandmarkChoice::PerHead => self.heads,
            LandmarkChoice::OverHeads => self.key_heads * self.tokens,
        }
    }

    /// A head and a token of each cell.
    fn all(&self) -> Vec<(usize, usize)> {
        let (heads, group, tokens) = match self.choice {
            LandmarkChoice::PerHeadAndToken => (self.heads, 1, self.tokens),
            LandmarkChoice::PerHead => (self.heads, 1, 1),
            LandmarkChoice::OverHeads => (self.key_heads, self.heads / self.key_heads, self.tokens),
        };
        (0..heads).flat_map(|head| (0..tokens).map(move |token| (head * group, token))).collect()
    }

    fn split(&self, queries: Tensor<4>) -> Tensor<4> {
        let [batch, heads, tokens, width] = queries.dims();
        let group = heads / self.key_heads;
        match self.choice {
            LandmarkChoice::PerHeadAndToken => queries.reshape([batch, heads * tokens, 1, width]),
            LandmarkChoice::PerHead => queries,
            LandmarkChoice::OverHeads => queries
                .reshape([batch * self.key_heads, group, tokens, width])
                .swap_dims(1, 2)
                .reshape([batch, self.key_heads * tokens, group, width]),
        }
    }

    fn join(&self, cells: Tensor<4>) -> Tensor<4> {
        let [batch, _, _, width] = cells.dims();
        let group = self.heads / self.key_heads;
        let shape = [batch, self.heads, self.tokens, width];
        match self.choice {
            LandmarkChoice::PerHeadAndToken | LandmarkChoice::PerHead => cells.reshape(shape),
            LandmarkChoice::OverHeads => cells
                .reshape([batch * self.key_heads, self.tokens, group, width])
                .swap_dims(1, 2)
                .reshape(shape),
        }
    }
}

/// What the tokens at places `place .. place + count` of a block do not see of it, `[1, 1, c, p + c]`: later ones, and the
/// landmark, which does not even see itself.
fn hidden(place: usize, count: usize, block: usize, device: &Device) -> Tensor<4, Bool> {
    let row = |token: usize| (0..place + count).map(move |other| other > place + token || other + 1 == block);
    let flags: Vec<bool> = (0..count).flat_map(row).collect();
    Tensor::from_data(TensorData::new(flags, [1, 1, count, place + count]), device)
}
