//! The forward pass over the chunks of one sequence and head.

use super::chunks::{CHUNK, Chunk};
use super::keys::Keys;
use super::reader::Reader;
use super::sequence::{Fading, Sequence};
use super::tokens::{load, scale};
use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::lanes::{Real, lanes};
use crate::kernel::cpu::prefetch::Prefetch;
use crate::kernel::cpu::product::{Extent, Onto, Strided, product};
use pulp::Simd;
use std::ops::Range;

/// The buffers of a forward pass.
pub(crate) struct Forward<E> {
    /// What comes next.
    pub prefetch: Prefetch,
    pub keys: Keys<E>,
    /// What the keys write.
    pub value: Buffer<E>,
    query: Reader<E>,
    output: Buffer<E>,
    value_width: usize,
}

/// Padded channels of keys and values on this processor.
pub(crate) fn widths<S: Simd, E: Real>(sequence: &Sequence<'_, E>) -> (usize, usize) {
    let lanes = lanes::<S, E>();
    (sequence.extents.key.next_multiple_of(lanes), sequence.extents.value.next_multiple_of(lanes))
}

impl<E: Real> Forward<E> {
    /// For keys and values in rows of these widths.
    pub fn new(fading: Fading, (key_width, value_width): (usize, usize)) -> Self {
        let values = || Buffer::new(CHUNK * value_width);
        Self {
            prefetch: Prefetch::default(),
            keys: Keys::new(fading, key_width),
            value: values(),
            query: Reader::new(fading, key_width),
            output: values(),
            value_width,
        }
    }

    /// Loads what [`read`](Self::read) and [`write`](Self::write) both need.
    #[inline(always)]
    pub fn load(&mut self, sequence: &Sequence<'_, E>, at: (usize, usize), chunk: Chunk) {
        let extents = &sequence.extents;
        self.keys.load(sequence, at, chunk);
        load(sequence.value, extents, at, chunk, extents.value, (&mut self.value, self.value_width));
    }

    /// The outputs of a chunk that meets `memory`, in rows of the padded width, and the products inside it;
    /// [`Keys::turn`] has been called.
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
        let (query, keys) = (&mut self.query, &self.keys);
        load(sequence.query, extents, at, chunk, extents.key, (&mut query.rows, keys.width));
        scale(&mut query.rows[..length * keys.width], sequence.scale);
        if keys.fading == Fading::Channels {
            query.fade_in_blocks(keys, length);
        }
        query.multiply(simd, &self.prefetch, keys, extents.key, length);

        let mut onto = Onto::Nothing;
        if let Some(memory) = memory {
            query.fade_from_the_start(keys, length);
            // Where all channels fade alike, what is read fades, which is as much as the rows or less.
            let reads = if keys.fading == Fading::Channels { &query.faded } else { &query.rows };
            product(
                simd,
                &self.prefetch,
                Extent { rows: length, depth: extents.key, columns: self.value_width },
                Strided::rows(reads, keys.width),
                (memory, self.value_width),
                (&mut self.output, self.value_width),
                Onto::Nothing,
            );
            onto = match keys.fading {
                Fading::Alike => Onto::Scaled(&keys.factors.through),
                Fading::None | Fading::Channels => Onto::Target,
            };
        }
        product(
            simd,
            &self.prefetch,
            Extent { rows: length, depth: length, columns: self.value_width },
            Strided::rows(&query.products, CHUNK).lower(),
            (&self.value, self.value_width),
            (&mut self.output, self.value_width),
            onto,
        );
        (&self.output, &query.products)
    }

    /// The memory after the chunk: `columns` of it, of which `memory` is made.
    #[inline(always)]
    pub fn write<S: Simd>(
        &mut self,
        simd: S,
        sequence: &Sequence<'_, E>,
        chunk: Chunk,
        (memory, stride): (&mut [E], usize),
        columns: Range<usize>,
    ) {
        self.keys.fade_to_the_end(chunk.length);
        product(
            simd,
            &self.prefetch,
            Extent { rows: sequence.extents.key, depth: chunk.length, columns: columns.len() },
            Strided::transposed(self.keys.written(), self.keys.width),
            (&self.value[columns.start..], self.value_width),
            (memory, stride),
            match (chunk.clears, self.keys.fading) {
                (true, _) => Onto::Nothing,
                (false, Fading::None) => Onto::Target,
                (false, _) => Onto::Scaled(&self.keys.factors.total),
            },
        );
    }
}
