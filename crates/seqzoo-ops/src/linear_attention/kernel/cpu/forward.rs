//! The forward pass over the chunks of one sequence and head.

use super::chunks::{BLOCK, CHUNK, Chunk};
use super::diagonal;
use super::gates::{self, Gates};
use super::sequence::{Fading, Sequence};
use super::tokens::{blocks, clear_later, fade_from_the_start, fade_in_blocks, fade_to_the_end, load, scale};
use crate::kernel::cpu::ahead::Ahead;
use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::lanes::{Real, lanes};
use crate::kernel::cpu::product::{Extent, Onto, Strided, product};
use crate::kernel::cpu::transpose::transpose;
use pulp::Simd;

/// The buffers of a forward pass.
pub(super) struct Forward<E> {
    /// What comes next.
    pub ahead: Ahead,
    query: Buffer<E>,
    key: Buffer<E>,
    key_columns: Buffer<E>,
    reads: Buffer<E>,
    writes: Buffer<E>,
    value: Buffer<E>,
    output: Buffer<E>,
    products: Buffer<E>,
    gates: Gates<E>,
    key_width: usize,
    value_width: usize,
}

/// Padded channels of keys and values on this processor.
pub(super) fn widths<S: Simd, E: Real>(sequence: &Sequence<'_, E>) -> (usize, usize) {
    let lanes = lanes::<S, E>();
    (sequence.extents.key.next_multiple_of(lanes), sequence.extents.value.next_multiple_of(lanes))
}

impl<E: Real> Forward<E> {
    /// For keys and values in rows of these widths.
    pub fn new(fading: Fading, (key_width, value_width): (usize, usize)) -> Self {
        let keys = || Buffer::new(CHUNK * key_width);
        let faded = || Buffer::new(if fading == Fading::None { 0 } else { CHUNK * key_width });
        let values = || Buffer::new(CHUNK * value_width);
        Self {
            ahead: Ahead::default(),
            query: keys(),
            key: keys(),
            key_columns: keys(),
            reads: faded(),
            writes: faded(),
            value: values(),
            output: values(),
            products: Buffer::new(CHUNK * CHUNK),
            gates: Gates::new(key_width, fading),
            key_width,
            value_width,
        }
    }

    /// Loads what [`read`](Self::read) and [`write`](Self::write) both need.
    #[inline(always)]
    pub fn load(&mut self, sequence: &Sequence<'_, E>, at: (usize, usize), chunk: Chunk) {
        let extents = &sequence.extents;
        load(sequence.key, extents, at, chunk, extents.key, (&mut self.key, self.key_width));
        load(sequence.value, extents, at, chunk, extents.value, (&mut self.value, self.value_width));
        self.gates.load(sequence, at.0, at.1, chunk);
        if sequence.decay.fading != Fading::None {
            let fading = sequence.decay.fading;
            fade_in_blocks(
                chunk.length,
                self.key_width,
                fading,
                &self.key,
                &self.gates.after,
                &mut self.writes,
            );
        }
    }

    /// The outputs of a chunk that meets `memory`, in rows of the padded width, and the products inside it.
    #[inline(always)]
    pub fn read<S: Simd>(
        &mut self,
        simd: S,
        sequence: &Sequence<'_, E>,
        at: (usize, usize),
        chunk: Chunk,
        memory: Option<&[E]>,
    ) -> (&[E], &[E]) {
        let (extents, length) = (&sequence.extents, chunk.length);
        load(sequence.query, extents, at, chunk, extents.key, (&mut self.query, self.key_width));
        scale(&mut self.query[..length * self.key_width], sequence.scale);
        self.inside(simd, sequence, length);

        let mut onto = Onto::Nothing;
        if let Some(memory) = memory {
            let reads = match sequence.decay.fading {
                Fading::Channels => {
                    fade_from_the_start(length, self.key_width, &self.gates, &mut self.reads);
                    &*self.reads
                }
                Fading::None | Fading::Alike => &*self.query,
            };
            product(
                simd,
                &self.ahead,
                Extent { rows: length, depth: extents.key, columns: self.value_width },
                Strided::rows(reads, self.key_width),
                (memory, self.value_width),
                (&mut self.output, self.value_width),
                Onto::Nothing,
            );
            onto = match sequence.decay.fading {
                Fading::Alike => Onto::Scaled(&self.gates.through),
                Fading::None | Fading::Channels => Onto::Target,
            };
        }
        for (start, tokens) in blocks(length) {
            product(
                simd,
                &self.ahead,
                Extent { rows: tokens, depth: start + tokens, columns: self.value_width },
                Strided::rows(&self.products[start * CHUNK..], CHUNK),
                (&self.value, self.value_width),
                (&mut self.output[start * self.value_width..], self.value_width),
                match onto {
                    Onto::Scaled(scales) => Onto::Scaled(&scales[start..]),
                    other => other,
                },
            );
        }
        (&self.output, &self.products)
    }

    /// `A`: what token j wrote as token i reads it, 0 where j is later.
    #[inline(always)]
    fn inside<S: Simd>(&mut self, simd: S, sequence: &Sequence<'_, E>, length: usize) {
        let (channels, width) = (sequence.extents.key, self.key_width);
        match sequence.decay.fading {
            Fading::None | Fading::Alike => {
                transpose(simd, (length, channels), (&self.key, width), (&mut self.key_columns, CHUNK));
                for (start, tokens) in blocks(length) {
                    product(
                        simd,
                        &self.ahead,
                        Extent { rows: tokens, depth: channels, columns: start + BLOCK },
                        Strided::rows(&self.query[start * width..], width),
                        (&self.key_columns, CHUNK),
                        (&mut self.products[start * CHUNK..], CHUNK),
                        Onto::Nothing,
                    );
                }
                if sequence.decay.fading == Fading::Alike {
                    for i in 0..length {
                        let row = i * CHUNK..i * CHUNK + i + 1;
                        gates::multiply(&mut self.products[row.clone()], &self.gates.between[row]);
                    }
                }
            }
            Fading::Channels => {
                fade_in_blocks(
                    length,
                    width,
                    Fading::Channels,
                    &self.query,
                    &self.gates.through,
                    &mut self.reads,
                );
                for (start, tokens) in blocks(length) {
                    let rows = start * width..(start + tokens) * width;
                    diagonal::products(
                        simd,
                        tokens,
                        width,
                        [&self.query[rows.clone()], &self.key[rows.clone()], &self.gates.each[rows]],
                        &mut self.products[start * CHUNK + start..],
                    );
                }
                if length > BLOCK {
                    transpose(simd, (BLOCK, channels), (&self.writes, width), (&mut self.key_columns, CHUNK));
                    product(
                        simd,
                        &self.ahead,
                        Extent { rows: length - BLOCK, depth: channels, columns: BLOCK },
                        Strided::rows(&self.reads[BLOCK * width..], width),
                        (&self.key_columns, CHUNK),
                        (&mut self.products[BLOCK * CHUNK..], CHUNK),
                        Onto::Nothing,
                    );
                }
            }
        }
        clear_later(length, &mut self.products);
    }

    /// The memory after the chunk: `columns` of it, of which `memory` is made.
    #[inline(always)]
    pub fn write<S: Simd>(
        &mut self,
        simd: S,
        sequence: &Sequence<'_, E>,
        chunk: Chunk,
        (memory, stride): (&mut [E], usize),
        columns: std::ops::Range<usize>,
    ) {
        let fading = sequence.decay.fading;
        let keys = match fading {
            Fading::None => &*self.key,
            Fading::Alike => &*self.writes,
            Fading::Channels => {
                fade_to_the_end(chunk.length, self.key_width, &self.gates, &mut self.writes);
                &*self.writes
            }
        };
        product(
            simd,
            &self.ahead,
            Extent { rows: sequence.extents.key, depth: chunk.length, columns: columns.len() },
            Strided::transposed(keys, self.key_width),
            (&self.value[columns.start..], self.value_width),
            (memory, stride),
            match (chunk.clears, fading) {
                (true, _) => Onto::Nothing,
                (false, Fading::None) => Onto::Target,
                (false, _) => Onto::Scaled(&self.gates.total),
            },
        );
    }
}
