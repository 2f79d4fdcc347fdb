//! One chunk on the way back: the gradients of its tokens and of the memory before it.
//!
//! A chunk is read by `N` readers: queries, and with the delta rule keys. Each has its rows and the gradients of what
//! they read, and gets gradients of its rows; those of keys, values, decays and memory are sums over the readers.

mod decay;
mod through_memory;
mod within_chunk;

use super::chunks::{BLOCK, CHUNK, Place};
use super::extents::Widths;
use super::factors::multiply;
use super::fade::{blocks, clear_later, fade_from_the_start, fade_in_blocks, scale};
use super::keys::KeyRows;
use super::sequence::{Fading, Sequence};
use super::tokens::Tokens;
use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::matrix::{MatMut, MatRef};
use crate::kernel::cpu::prefetch::Prefetch;
use crate::kernel::cpu::product::{Extent, Onto, Strided, product};
use crate::kernel::cpu::transpose::transpose;
use pulp::Simd;
use std::ops::Range;

/// Output that read, the gradients of what they read, and their own.
pub(crate) struct ReaderGradient<E> {
    /// One row per token, of the padded width of the keys.
    pub rows: Buffer<E>,
    /// The rows, faded from the start of their block; from the start of the chunk after
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
    /// Where every channel has its own decay: what rows and keys get from each other inside their blocks.
    in_block: Buffer<E>,
    key_in_block: Buffer<E>,
}

impl<E: Real> ReaderGradient<E> {
    fn new(fading: Fading, widths: Widths, strict: bool) -> Self {
        let key_width = widths.key;
        let keys = || Buffer::new(CHUNK * key_width);
        let values = || Buffer::new(CHUNK * widths.value);
        let faded = || Buffer::new(if fading == Fading::None { 0 } else { CHUNK * key_width });
        let per_channel = || Buffer::new(if fading == Fading::PerChannel { CHUNK * key_width } else { 0 });
        Self {
            rows: keys(),
            faded: faded(),
            upstream: values(),
            gradient: keys(),
            strict,
            products: Buffer::new(CHUNK * CHUNK),
            in_block: per_channel(),
            key_in_block: per_channel(),
        }
    }

    /// Fades the rows from the start of their blocks.
    #[inline(always)]
    pub fn fade_in_blocks(&mut self, keys: &KeyRows<E>, length: usize) {
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
    pub prefetch: Prefetch,
    pub keys: KeyRows<E>,
    pub readers: [ReaderGradient<E>; N],
    /// The values that the keys wrote.
    pub value: Buffer<E>,
    pub key_gradient: Buffer<E>,
    pub value_gradient: Buffer<E>,
    /// One number per token, or one row per token where every channel has its own decay.
    pub decay_gradient: Buffer<E>,
    value_columns: Buffer<E>,
    /// Where every channel has its own decay, a row per block for what passes over it.
    decay_over: Buffer<E>,
    value_width: usize,
}

/// The memories at the edges of a chunk, transposed as a slot holds them.
#[derive(Clone, Copy)]
pub(crate) struct Given<'a, E> {
    /// The memory before the chunk; none where the chunk clears it.
    pub before: Option<&'a [E]>,
    /// The gradient of the memory after the chunk.
    pub memory_gradient: &'a [E],
}

impl<E: Real, const N: usize> Backward<E, N> {
    /// A `strict` reader does not read the value that its own token writes.
    pub fn new(fading: Fading, widths: Widths, strict: [bool; N]) -> Self {
        let Widths { key: key_width, value: value_width } = widths;
        let keys = || Buffer::new(CHUNK * key_width);
        let values = || Buffer::new(CHUNK * value_width);
        let per_channel = |size: usize| Buffer::new(if fading == Fading::PerChannel { size } else { 0 });
        Self {
            prefetch: Prefetch::default(),
            keys: KeyRows::new(fading, key_width),
            readers: strict.map(|strict| ReaderGradient::new(fading, widths, strict)),
            value: values(),
            key_gradient: keys(),
            value_gradient: values(),
            decay_gradient: if fading == Fading::Shared {
                Buffer::new(CHUNK)
            } else {
                per_channel(CHUNK * key_width)
            },
            value_columns: values(),
            decay_over: per_channel(CHUNK / BLOCK * key_width),
            value_width,
        }
    }

    /// Room for the values, in rows of the padded width.
    pub fn value_rows(&mut self) -> MatMut<'_, E> {
        MatMut::new(&mut self.value, self.value_width)
    }

    /// The gradients of the values, in rows of the padded width.
    pub fn value_gradient_rows(&self) -> MatRef<'_, E> {
        MatRef::new(&self.value_gradient, self.value_width)
    }

    /// Loads the queries, as the first reader, with their upstream gradients. Requires the decays.
    #[inline(always)]
    pub fn load_queries(&mut self, sequence: &Sequence<'_, E>, upstream: &Tokens<'_, E>, place: Place) {
        let (length, keys) = (place.chunk.length, &self.keys);
        let queries = &mut self.readers[0];
        sequence.query.load(place, MatMut::new(&mut queries.rows, keys.width));
        scale(&mut queries.rows[..length * keys.width], sequence.scale);
        upstream.load(place, MatMut::new(&mut queries.upstream, self.value_width));
        queries.fade_in_blocks(keys, length);
    }

    /// The gradients of keys, decays and all rows, from those of what the rows read. Requires keys, values and
    /// readers, everything faded within blocks, and the `products` of every reader, in rows of [`CHUNK`].
    #[inline(always)]
    pub fn tokens<S: Simd>(
        &mut self,
        simd: S,
        sequence: &Sequence<'_, E>,
        Place { chunk, .. }: Place,
        products: [&[E]; N],
        given: Given<'_, E>,
    ) {
        let (extents, length) = (&sequence.extents, chunk.length);
        let values = MatRef::new(&self.value, self.value_width);
        transpose(simd, (length, extents.value), values, MatMut::new(&mut self.value_columns, CHUNK));

        self.d_products(simd, extents.value, length);
        self.d_rows_through_memory(simd, extents, length, given.before);
        self.d_keys_through_memory(simd, extents, length, given.memory_gradient);
        match self.keys.fading {
            Fading::None => self.d_tokens_inside(simd, length),
            Fading::Shared => {
                self.d_decay_shared(simd, length, products, given);
                for reader in &mut self.readers {
                    for i in 0..length {
                        let row = i * CHUNK..i * CHUNK + i + 1;
                        multiply(&mut reader.products[row.clone()], &self.keys.factors.between[row]);
                    }
                }
                self.d_tokens_inside(simd, length);
            }
            Fading::PerChannel => {
                self.d_decay_through_memory(length, given);
                self.d_tokens_between_blocks(simd, length);
                self.d_tokens_in_blocks(simd, length);
                self.d_decay_channels(simd, length);
                self.add_own(length);
            }
        }
        scale(&mut self.readers[0].gradient[..length * self.keys.width], sequence.scale);
    }

    /// `dA = dO Vᵀ`, 0 where the column is later.
    #[inline(always)]
    fn d_products<S: Simd>(&mut self, simd: S, channels: usize, length: usize) {
        for reader in &mut self.readers {
            for (start, tokens) in blocks(length) {
                product(
                    simd,
                    &self.prefetch,
                    Extent { rows: tokens, depth: channels, columns: start + BLOCK },
                    Strided::rows(&reader.upstream[start * self.value_width..], self.value_width),
                    MatRef::new(&self.value_columns, CHUNK),
                    MatMut::new(&mut reader.products[start * CHUNK..], CHUNK),
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

    /// Computes `columns` of `dV = Aᵀ dO + (keys faded to the end) dS` for the first reader. Requires
    /// [`KeyRows::fade_to_the_end`]; `memory_gradient` begins at the first of these columns.
    #[inline(always)]
    pub fn d_values<S: Simd>(
        &mut self,
        simd: S,
        sequence: &Sequence<'_, E>,
        length: usize,
        products: &[E],
        memory_gradient: MatRef<'_, E>,
        columns: Range<usize>,
    ) {
        let width = self.value_width;
        product(
            simd,
            &self.prefetch,
            Extent { rows: length, depth: sequence.extents.key, columns: columns.len() },
            Strided::rows(self.keys.written(), self.keys.width),
            memory_gradient,
            MatMut::new(&mut self.value_gradient[columns.start..], width),
            Onto::Nothing,
        );
        product(
            simd,
            &self.prefetch,
            Extent { rows: length, depth: length, columns: columns.len() },
            Strided::transposed(products, CHUNK).upper(),
            MatRef::new(&self.readers[0].upstream, width).columns_from(columns.start),
            MatMut::new(&mut self.value_gradient[columns.start..], width),
            Onto::Target,
        );
    }

    /// Turns `columns` of the gradient of the memory after the chunk into those of the memory before it;
    /// `memory_gradient` begins at the first of them. Requires decays and readers.
    #[inline(always)]
    pub fn write<S: Simd>(
        &mut self,
        simd: S,
        sequence: &Sequence<'_, E>,
        Place { chunk, .. }: Place,
        mut memory_gradient: MatMut<'_, E>,
        columns: Range<usize>,
    ) {
        if chunk.clears {
            memory_gradient.numbers.fill(E::default());
            return;
        }
        let (length, keys) = (chunk.length, &self.keys);
        for (index, reader) in self.readers.iter_mut().enumerate() {
            let rows = match keys.fading {
                Fading::None => &*reader.rows,
                Fading::Shared => &*reader.faded,
                Fading::PerChannel => {
                    fade_from_the_start(length, keys.width, &keys.factors, &mut reader.faded);
                    &*reader.faded
                }
            };
            product(
                simd,
                &self.prefetch,
                Extent { rows: sequence.extents.key, depth: length, columns: columns.len() },
                Strided::transposed(rows, keys.width),
                MatRef::new(&reader.upstream, self.value_width).columns_from(columns.start),
                memory_gradient.reborrow(),
                if keys.fading == Fading::None || index > 0 {
                    Onto::Target
                } else {
                    Onto::Scaled(&keys.factors.total)
                },
            );
        }
    }
}
