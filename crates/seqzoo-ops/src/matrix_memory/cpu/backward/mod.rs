//! The backward pass over the chunks of one sequence and head.
//!
//! A chunk is read by `N` readers: queries, and with the delta rule keys. Each has its rows and the gradients of what
//! they read, and gets gradients of its rows; those of keys, values, decays and memory are sums over the readers.

mod decay;
mod through_memory;
mod within_chunk;

use super::chunks::{BLOCK, CHUNK, Chunk};
use super::factors::multiply;
use super::keys::Keys;
use super::sequence::{Fading, Sequence};
use super::tokens::{blocks, clear_later, fade_from_the_start, fade_in_blocks, load, scale};
use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::prefetch::Prefetch;
use crate::kernel::cpu::product::{Extent, Onto, Strided, product};
use crate::kernel::cpu::transpose::transpose;
use pulp::Simd;
use std::ops::Range;

/// Output that read, the gradients of what they read, and their own.
pub(crate) struct Reader<E> {
    /// One row per token, of the padded width of the keys.
    pub rows: Buffer<E>,
    /// The rows, faded from the start of their block; from the start of the chunk behind
    /// [`Backward::write`].
    pub faded: Buffer<E>,
    /// The gradient of what the rows read, in rows of the padded width of the values.
    pub upstream: Buffer<E>,
    /// The gradient of the rows.
    pub gradient: Buffer<E>,
    /// Whether a token does not read what it writes itself.
    strict: bool,
    /// The gradient of the products with keys, in rows of [`CHUNK`].
    products: Buffer<E>,
    /// Where channels fade apart: what rows and keys get from each other inside their blocks.
    in_block: Buffer<E>,
    key_in_block: Buffer<E>,
}

impl<E: Real> Reader<E> {
    fn new(fading: Fading, (key_width, value_width): (usize, usize), strict: bool) -> Self {
        let keys = || Buffer::new(CHUNK * key_width);
        let values = || Buffer::new(CHUNK * value_width);
        let faded = || Buffer::new(if fading == Fading::None { 0 } else { CHUNK * key_width });
        let apart = || Buffer::new(if fading == Fading::Channels { CHUNK * key_width } else { 0 });
        Self {
            rows: keys(),
            faded: faded(),
            upstream: values(),
            gradient: keys(),
            strict,
            products: Buffer::new(CHUNK * CHUNK),
            in_block: apart(),
            key_in_block: apart(),
        }
    }

    /// Fades the rows from the start of their blocks.
    #[inline(always)]
    pub fn fade_in_blocks(&mut self, keys: &Keys<E>, length: usize) {
        if keys.fading != Fading::None {
            fade_in_blocks(
                length,
                keys.width,
                keys.fading,
                &self.rows,
                &keys.factors.through,
                &mut self.faded,
            );
        }
    }
}

/// The buffers of a backward pass with `N` readers.
pub(crate) struct Backward<E, const N: usize> {
    /// What comes next.
    pub prefetch: Prefetch,
    pub keys: Keys<E>,
    pub readers: [Reader<E>; N],
    /// What the keys wrote.
    pub value: Buffer<E>,
    pub key_gradient: Buffer<E>,
    pub value_gradient: Buffer<E>,
    /// One number per token, or one row per token where channels fade apart.
    pub decay_gradient: Buffer<E>,
    value_columns: Buffer<E>,
    /// Where channels fade apart, a row per block for what passes over it.
    decay_over: Buffer<E>,
    value_width: usize,
}

/// What a chunk's backward pass is given.
#[derive(Clone, Copy)]
pub(crate) struct Given<'a, E, const N: usize> {
    /// The memory before the chunk, turned as it was kept; none where the chunk clears it.
    pub before: Option<&'a [E]>,
    /// The products of every reader inside the chunk, in rows of [`CHUNK`].
    pub products: [&'a [E]; N],
    /// The gradient of the memory after the chunk, turned likewise.
    pub memory_gradient: &'a [E],
}

impl<E: Real, const N: usize> Backward<E, N> {
    /// For keys and values in rows of these widths; `strict` readers do not read what their own token writes.
    pub fn new(fading: Fading, widths: (usize, usize), strict: [bool; N]) -> Self {
        let (key_width, value_width) = widths;
        let keys = || Buffer::new(CHUNK * key_width);
        let values = || Buffer::new(CHUNK * value_width);
        let apart = |size: usize| Buffer::new(if fading == Fading::Channels { size } else { 0 });
        Self {
            prefetch: Prefetch::default(),
            keys: Keys::new(fading, key_width),
            readers: strict.map(|strict| Reader::new(fading, widths, strict)),
            value: values(),
            key_gradient: keys(),
            value_gradient: values(),
            decay_gradient: if fading == Fading::Alike {
                Buffer::new(CHUNK)
            } else {
                apart(CHUNK * key_width)
            },
            value_columns: values(),
            decay_over: apart(CHUNK / BLOCK * key_width),
            value_width,
        }
    }

    /// Loads the queries, as the first reader, with their upstream gradients. The decays have been loaded.
    #[inline(always)]
    pub fn load_queries(
        &mut self,
        sequence: &Sequence<'_, E>,
        upstream: &[E],
        at: (usize, usize),
        chunk: Chunk,
    ) {
        let (extents, length, keys) = (&sequence.extents, chunk.length, &self.keys);
        let queries = &mut self.readers[0];
        load(sequence.query, extents, at, chunk, extents.key, (&mut queries.rows, keys.width));
        scale(&mut queries.rows[..length * keys.width], sequence.scale);
        load(upstream, extents, at, chunk, extents.value, (&mut queries.upstream, self.value_width));
        queries.fade_in_blocks(keys, length);
    }

    /// The gradients of keys, decays and all rows, from those of what the rows read. Keys, values and readers have
    /// been loaded, and everything is faded within blocks.
    #[inline(always)]
    pub fn read<S: Simd>(
        &mut self,
        simd: S,
        sequence: &Sequence<'_, E>,
        chunk: Chunk,
        given: Given<'_, E, N>,
    ) {
        let (extents, length) = (&sequence.extents, chunk.length);
        let turned = (length, extents.value);
        transpose(simd, turned, (&self.value, self.value_width), (&mut self.value_columns, CHUNK));

        self.of_products(simd, extents.value, length);
        self.of_rows_through_memory(simd, extents, length, given.before);
        self.of_keys_through_memory(simd, extents, length, given.memory_gradient);
        match self.keys.fading {
            Fading::None => self.of_tokens_inside(simd, length),
            Fading::Alike => {
                self.of_decay_alike(simd, length, given);
                for reader in &mut self.readers {
                    for i in 0..length {
                        let row = i * CHUNK..i * CHUNK + i + 1;
                        multiply(&mut reader.products[row.clone()], &self.keys.factors.between[row]);
                    }
                }
                self.of_tokens_inside(simd, length);
            }
            Fading::Channels => {
                self.of_decay_through_memory(length, given);
                self.of_tokens_between_blocks(simd, length);
                self.of_tokens_in_blocks(simd, length);
                self.of_decay_channels(simd, chunk);
                self.add_own(length);
            }
        }
        scale(&mut self.readers[0].gradient[..length * self.keys.width], sequence.scale);
    }

    /// `dA = dO Vᵀ`, 0 where the column is later.
    #[inline(always)]
    fn of_products<S: Simd>(&mut self, simd: S, channels: usize, length: usize) {
        for reader in &mut self.readers {
            for (start, tokens) in blocks(length) {
                product(
                    simd,
                    &self.prefetch,
                    Extent { rows: tokens, depth: channels, columns: start + BLOCK },
                    Strided::rows(&reader.upstream[start * self.value_width..], self.value_width),
                    (&self.value_columns, CHUNK),
                    (&mut reader.products[start * CHUNK..], CHUNK),
                    Onto::Nothing,
                );
            }
            clear_later(length, &mut reader.products);
            if reader.strict {
                for i in 0..length {
                    reader.products[i * CHUNK + i] = E::default();
                }
            }
        }
    }

    /// `dV = Aᵀ dO + (keys faded to the end) dS`, `columns` of it, of the first reader; the keys have been faded to
    /// the end. `memory_gradient` has rows of `stride`, of which the first is that of `columns`.
    #[inline(always)]
    pub fn of_values<S: Simd>(
        &mut self,
        simd: S,
        channels: usize,
        length: usize,
        products: &[E],
        (memory_gradient, stride): (&[E], usize),
        columns: Range<usize>,
    ) {
        let width = self.value_width;
        product(
            simd,
            &self.prefetch,
            Extent { rows: length, depth: channels, columns: columns.len() },
            Strided::rows(self.keys.written(), self.keys.width),
            (memory_gradient, stride),
            (&mut self.value_gradient[columns.start..], width),
            Onto::Nothing,
        );
        product(
            simd,
            &self.prefetch,
            Extent { rows: length, depth: length, columns: columns.len() },
            Strided::transposed(products, CHUNK).upper(),
            (&self.readers[0].upstream[columns.start..], width),
            (&mut self.value_gradient[columns.start..], width),
            Onto::Target,
        );
    }

    /// The gradient of the memory before the chunk: `columns` of it, made of the one after the chunk. Decays and
    /// readers have been loaded.
    #[inline(always)]
    pub fn write<S: Simd>(
        &mut self,
        simd: S,
        sequence: &Sequence<'_, E>,
        chunk: Chunk,
        (memory_gradient, stride): (&mut [E], usize),
        columns: Range<usize>,
    ) {
        if chunk.clears {
            memory_gradient.fill(E::default());
            return;
        }
        let (length, keys) = (chunk.length, &self.keys);
        for (index, reader) in self.readers.iter_mut().enumerate() {
            let rows = match keys.fading {
                Fading::None => &*reader.rows,
                Fading::Alike => &*reader.faded,
                Fading::Channels => {
                    fade_from_the_start(length, keys.width, &keys.factors, &mut reader.faded);
                    &*reader.faded
                }
            };
            product(
                simd,
                &self.prefetch,
                Extent { rows: sequence.extents.key, depth: length, columns: columns.len() },
                Strided::transposed(rows, keys.width),
                (&reader.upstream[columns.start..], self.value_width),
                (&mut *memory_gradient, stride),
                if keys.fading == Fading::None || index > 0 {
                    Onto::Target
                } else {
                    Onto::Scaled(&keys.factors.total)
                },
            );
        }
    }
}
