//! One chunk on the way forward: its outputs and the memory after it.

use super::chunks::{CHUNK, Place};
use super::extents::Widths;
use super::fade::scale;
use super::keys::KeyRows;
use super::reader::Reader;
use super::sequence::{Fading, Sequence};
use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::matrix::{MatMut, MatRef};
use crate::kernel::cpu::prefetch::Prefetch;
use crate::kernel::cpu::product::{Extent, Onto, Strided, product};
use pulp::Simd;
use std::ops::Range;

/// The scratch memory of a forward pass.
pub(crate) struct Forward<E> {
    pub prefetch: Prefetch,
    pub keys: KeyRows<E>,
    /// The values that the keys write.
    pub value: Buffer<E>,
    query: Reader<E>,
    output: Buffer<E>,
    value_width: usize,
}

impl<E: Real> Forward<E> {
    pub fn new(fading: Fading, widths: Widths) -> Self {
        let values = || Buffer::new(CHUNK * widths.value);
        Self {
            prefetch: Prefetch::default(),
            keys: KeyRows::new(fading, widths.key),
            value: values(),
            query: Reader::new(fading, widths.key),
            output: values(),
            value_width: widths.value,
        }
    }

    /// Loads what [`read`](Self::read) and [`write`](Self::write) both need.
    #[inline(always)]
    pub fn load(&mut self, sequence: &Sequence<'_, E>, place: Place) {
        self.keys.load(sequence, place);
        sequence.value.load(place, MatMut::new(&mut self.value, self.value_width));
    }

    /// The outputs of a chunk that meets `memory`, in rows of the padded width, and the products inside it. Requires
    /// [`KeyRows::transpose`].
    #[inline(always)]
    pub fn read<S: Simd>(
        &mut self,
        simd: S,
        sequence: &Sequence<'_, E>,
        place: Place,
        memory: Option<MatRef<'_, E>>,
    ) -> (MatRef<'_, E>, &[E]) {
        let (extents, length, width) = (&sequence.extents, place.chunk.length, self.value_width);
        let (query, keys) = (&mut self.query, &self.keys);
        sequence.query.load(place, MatMut::new(&mut query.rows, keys.width));
        scale(&mut query.rows[..length * keys.width], sequence.scale);
        if keys.fading == Fading::PerChannel {
            query.fade_in_blocks(keys, length);
        }
        query.multiply(simd, &self.prefetch, keys, extents.key, length);

        let mut onto = Onto::Nothing;
        if let Some(memory) = memory {
            query.fade_from_the_start(keys, length);
            // Where all channels share a decay, the outputs are multiplied by it, not the rows: that is as much or less.
            let reads = if keys.fading == Fading::PerChannel { &query.faded } else { &query.rows };
            product(
                simd,
                &self.prefetch,
                Extent { rows: length, depth: extents.key, columns: width },
                Strided::rows(reads, keys.width),
                memory,
                MatMut::new(&mut self.output, width),
                Onto::Nothing,
            );
            onto = match keys.fading {
                Fading::Shared => Onto::Scaled(&keys.factors.through),
                Fading::None | Fading::PerChannel => Onto::Target,
            };
        }
        product(
            simd,
            &self.prefetch,
            Extent { rows: length, depth: length, columns: width },
            Strided::rows(&query.products, CHUNK).lower(),
            MatRef::new(&self.value, width),
            MatMut::new(&mut self.output, width),
            onto,
        );
        (MatRef::new(&self.output, width), &query.products)
    }

    /// Turns `columns` of the memory before the chunk into those after it; `memory` begins at the first of them.
    #[inline(always)]
    pub fn write<S: Simd>(
        &mut self,
        simd: S,
        sequence: &Sequence<'_, E>,
        Place { chunk, .. }: Place,
        memory: MatMut<'_, E>,
        columns: Range<usize>,
    ) {
        self.keys.fade_to_the_end(chunk.length);
        product(
            simd,
            &self.prefetch,
            Extent { rows: sequence.extents.key, depth: chunk.length, columns: columns.len() },
            Strided::transposed(self.keys.written(), self.keys.width),
            MatRef::new(&self.value, self.value_width).columns_from(columns.start),
            memory,
            match (chunk.clears, self.keys.fading) {
                (true, _) => Onto::Nothing,
                (false, Fading::None) => Onto::Target,
                (false, _) => Onto::Scaled(&self.keys.factors.total),
            },
        );
    }
}
