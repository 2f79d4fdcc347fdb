//! The backward pass over the chunks of one sequence and head.

mod decay;
mod inside;
mod through_memory;

use super::chunks::{BLOCK, CHUNK, Chunk};
use super::gates::{Gates, multiply};
use super::sequence::{Fading, Sequence};
use super::tokens::{blocks, clear_later, fade_from_the_start, fade_in_blocks, fade_to_the_end, load, scale};
use crate::kernel::cpu::ahead::Ahead;
use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::product::{Extent, Onto, Strided, product};
use crate::kernel::cpu::transpose::transpose;
use pulp::Simd;

/// The buffers of a backward pass.
pub(super) struct Backward<E> {
    /// What comes next.
    pub ahead: Ahead,
    query: Buffer<E>,
    key: Buffer<E>,
    reads: Buffer<E>,
    writes: Buffer<E>,
    value: Buffer<E>,
    upstream: Buffer<E>,
    value_columns: Buffer<E>,
    upstream_columns: Buffer<E>,
    /// The gradient of the products inside the chunk.
    products: Buffer<E>,
    /// Gradients of queries or keys, with the tokens as columns.
    columns: Buffer<E>,
    pub query_gradient: Buffer<E>,
    pub key_gradient: Buffer<E>,
    pub value_gradient: Buffer<E>,
    /// One number per token, or one row per token where channels fade apart.
    pub decay_gradient: Buffer<E>,
    /// Where channels fade apart: what queries and keys get from their block, and a row per block for
    /// what passes over it.
    query_in_block: Buffer<E>,
    key_in_block: Buffer<E>,
    decay_over: Buffer<E>,
    gates: Gates<E>,
    key_width: usize,
    value_width: usize,
}

/// What a chunk's backward pass is given.
#[derive(Clone, Copy)]
pub(super) struct Given<'a, E> {
    /// The memory before the chunk; none where the chunk clears it.
    pub before: Option<&'a [E]>,
    /// The products inside the chunk, in rows of [`CHUNK`].
    pub products: &'a [E],
    /// The gradient of the memory after the chunk.
    pub memory_gradient: &'a [E],
}

impl<E: Real> Backward<E> {
    /// For keys and values in rows of these widths.
    pub fn new(fading: Fading, (key_width, value_width): (usize, usize)) -> Self {
        let keys = || Buffer::new(CHUNK * key_width);
        let values = || Buffer::new(CHUNK * value_width);
        let faded = || Buffer::new(if fading == Fading::None { 0 } else { CHUNK * key_width });
        let apart = |size: usize| Buffer::new(if fading == Fading::Channels { size } else { 0 });
        Self {
            ahead: Ahead::default(),
            query: keys(),
            key: keys(),
            reads: faded(),
            writes: faded(),
            value: values(),
            upstream: values(),
            value_columns: values(),
            upstream_columns: values(),
            products: Buffer::new(CHUNK * CHUNK),
            columns: keys(),
            query_gradient: keys(),
            key_gradient: keys(),
            value_gradient: values(),
            decay_gradient: if fading == Fading::Alike {
                Buffer::new(CHUNK)
            } else {
                apart(CHUNK * key_width)
            },
            query_in_block: apart(CHUNK * key_width),
            key_in_block: apart(CHUNK * key_width),
            decay_over: apart(CHUNK / BLOCK * key_width),
            gates: Gates::new(key_width, fading),
            key_width,
            value_width,
        }
    }

    /// Loads what [`write`](Self::write) needs: queries as they read the memory, and upstream gradients.
    #[inline(always)]
    pub fn load(&mut self, sequence: &Sequence<'_, E>, upstream: &[E], at: (usize, usize), chunk: Chunk) {
        let (extents, length, width) = (&sequence.extents, chunk.length, self.key_width);
        let fading = sequence.decay.fading;
        load(sequence.query, extents, at, chunk, extents.key, (&mut self.query, width));
        scale(&mut self.query[..length * width], sequence.scale);
        load(upstream, extents, at, chunk, extents.value, (&mut self.upstream, self.value_width));
        self.gates.load(sequence, at.0, at.1, chunk);
        if fading != Fading::None {
            fade_in_blocks(length, width, fading, &self.query, &self.gates.through, &mut self.reads);
        }
    }

    /// All gradients of a chunk's tokens; [`load`](Self::load) has been called.
    #[inline(always)]
    pub fn read<S: Simd>(
        &mut self,
        simd: S,
        sequence: &Sequence<'_, E>,
        at: (usize, usize),
        chunk: Chunk,
        given: Given<'_, E>,
    ) {
        let (extents, length) = (&sequence.extents, chunk.length);
        let (key_width, value_width) = (self.key_width, self.value_width);
        let fading = sequence.decay.fading;
        load(sequence.key, extents, at, chunk, extents.key, (&mut self.key, key_width));
        load(sequence.value, extents, at, chunk, extents.value, (&mut self.value, value_width));
        if fading != Fading::None {
            fade_in_blocks(length, key_width, fading, &self.key, &self.gates.after, &mut self.writes);
        }
        transpose(
            simd,
            (length, extents.value),
            (&self.value, value_width),
            (&mut self.value_columns, CHUNK),
        );
        transpose(
            simd,
            (length, extents.value),
            (&self.upstream, value_width),
            (&mut self.upstream_columns, CHUNK),
        );

        self.of_products(simd, extents.value, length);
        self.of_queries_through_memory(simd, extents, fading, length, given.before);
        self.of_keys_through_memory(simd, extents, fading, length, given.memory_gradient);
        match fading {
            Fading::None => self.of_tokens_inside(simd, length),
            Fading::Alike => {
                self.of_decay_alike(simd, length, given);
                for i in 0..length {
                    let row = i * CHUNK..i * CHUNK + i + 1;
                    multiply(&mut self.products[row.clone()], &self.gates.between[row]);
                }
                self.of_tokens_inside(simd, length);
            }
            Fading::Channels => {
                self.of_decay_through_memory(simd, extents.key, length, given);
                self.of_tokens_between_blocks(simd, length);
                self.of_tokens_in_blocks(simd, length);
                self.of_decay_channels(simd, chunk);
                self.add_own(length);
                fade_to_the_end(length, key_width, &self.gates, &mut self.writes);
            }
        }
        self.of_values(simd, extents.key, length, fading, given);
        scale(&mut self.query_gradient[..length * key_width], sequence.scale);
    }

    /// `dA = dO Vᵀ`, 0 where the column is later.
    #[inline(always)]
    fn of_products<S: Simd>(&mut self, simd: S, channels: usize, length: usize) {
        for (start, tokens) in blocks(length) {
            product(
                simd,
                &self.ahead,
                Extent { rows: tokens, depth: channels, columns: start + BLOCK },
                Strided::rows(&self.upstream[start * self.value_width..], self.value_width),
                (&self.value_columns, CHUNK),
                (&mut self.products[start * CHUNK..], CHUNK),
                Onto::Nothing,
            );
        }
        clear_later(length, &mut self.products);
    }

    /// `dV = Aᵀ dO + (keys faded to the end) dS`.
    #[inline(always)]
    fn of_values<S: Simd>(
        &mut self,
        simd: S,
        channels: usize,
        length: usize,
        fading: Fading,
        given: Given<'_, E>,
    ) {
        let width = self.value_width;
        let keys = if fading == Fading::None { &*self.key } else { &*self.writes };
        product(
            simd,
            &self.ahead,
            Extent { rows: length, depth: channels, columns: width },
            Strided::rows(keys, self.key_width),
            (given.memory_gradient, width),
            (&mut self.value_gradient, width),
            Onto::Nothing,
        );
        for (start, tokens) in blocks(length) {
            product(
                simd,
                &self.ahead,
                Extent { rows: tokens, depth: length - start, columns: width },
                Strided::transposed(&given.products[start * CHUNK + start..], CHUNK),
                (&self.upstream[start * width..], width),
                (&mut self.value_gradient[start * width..], width),
                Onto::Target,
            );
        }
    }

    /// The gradient of the memory before the chunk: `columns` of it, made of the one after the chunk.
    /// [`load`](Self::load) has been called.
    #[inline(always)]
    pub fn write<S: Simd>(
        &mut self,
        simd: S,
        sequence: &Sequence<'_, E>,
        chunk: Chunk,
        (memory_gradient, stride): (&mut [E], usize),
        columns: std::ops::Range<usize>,
    ) {
        if chunk.clears {
            memory_gradient.fill(E::default());
            return;
        }
        let (length, fading) = (chunk.length, sequence.decay.fading);
        let queries = match fading {
            Fading::None => &*self.query,
            Fading::Alike => &*self.reads,
            Fading::Channels => {
                fade_from_the_start(length, self.key_width, &self.gates, &mut self.reads);
                &*self.reads
            }
        };
        product(
            simd,
            &self.ahead,
            Extent { rows: sequence.extents.key, depth: length, columns: columns.len() },
            Strided::transposed(queries, self.key_width),
            (&self.upstream[columns.start..], self.value_width),
            (memory_gradient, stride),
            if fading == Fading::None { Onto::Target } else { Onto::Scaled(&self.gates.total) },
        );
    }
}
