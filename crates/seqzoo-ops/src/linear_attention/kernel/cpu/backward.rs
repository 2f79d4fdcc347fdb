//! The backward pass over the chunks of one sequence and head.

use super::chunks::{BLOCK, CHUNK, Chunk};
use super::diagonal;
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
    /// Where channels fade apart: what queries and keys get from their block, a row per block for what
    /// passes over it, and two rows of sums.
    query_in_block: Buffer<E>,
    key_in_block: Buffer<E>,
    decay_over: Buffer<E>,
    sums: Buffer<E>,
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
            sums: apart(2 * key_width),
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
        self.of_queries_through_memory(simd, sequence, chunk, given.before);
        self.of_keys_through_memory(simd, sequence, chunk, given.memory_gradient);
        match fading {
            Fading::None => self.of_tokens_inside(simd, length),
            Fading::Alike => {
                self.of_decay_alike(length, given);
                for i in 0..length {
                    let row = i * CHUNK..i * CHUNK + i + 1;
                    multiply(&mut self.products[row.clone()], &self.gates.between[row]);
                }
                self.of_tokens_inside(simd, length);
            }
            Fading::Channels => {
                self.of_decay_through_memory(extents.key, length, given);
                self.of_tokens_between_blocks(simd, length);
                self.of_tokens_in_blocks(simd, length);
                self.of_decay_channels(chunk);
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

    /// What the queries get from reading the memory before the chunk: `through ⊙ (dO Sᵀ)`, where channels
    /// fade apart without the part of `through` inside the block.
    #[inline(always)]
    fn of_queries_through_memory<S: Simd>(
        &mut self,
        simd: S,
        sequence: &Sequence<'_, E>,
        chunk: Chunk,
        before: Option<&[E]>,
    ) {
        let (extents, length) = (&sequence.extents, chunk.length);
        let Some(before) = before else {
            self.query_gradient[..length * self.key_width].fill(E::default());
            return;
        };
        product(
            simd,
            &self.ahead,
            Extent { rows: extents.key, depth: extents.value, columns: CHUNK },
            Strided::rows(before, self.value_width),
            (&self.upstream_columns, CHUNK),
            (&mut self.columns, CHUNK),
            Onto::Nothing,
        );
        transpose(
            simd,
            (extents.key, length),
            (&self.columns, CHUNK),
            (&mut self.query_gradient, self.key_width),
        );
        match sequence.decay.fading {
            Fading::None => {}
            Fading::Alike => {
                let rows = self.query_gradient.chunks_exact_mut(self.key_width).take(length);
                for (row, through) in rows.zip(&*self.gates.through) {
                    scale(row, *through);
                }
            }
            Fading::Channels => {
                fade_from_the_start(length, self.key_width, &self.gates, &mut self.query_gradient);
            }
        }
    }

    /// What the keys get from having written into the memory: `after ⊙ (V dSᵀ)`, where channels fade apart
    /// without the part of `after` inside the block.
    #[inline(always)]
    fn of_keys_through_memory<S: Simd>(
        &mut self,
        simd: S,
        sequence: &Sequence<'_, E>,
        chunk: Chunk,
        memory_gradient: &[E],
    ) {
        let (extents, length) = (&sequence.extents, chunk.length);
        product(
            simd,
            &self.ahead,
            Extent { rows: extents.key, depth: extents.value, columns: CHUNK },
            Strided::rows(memory_gradient, self.value_width),
            (&self.value_columns, CHUNK),
            (&mut self.columns, CHUNK),
            Onto::Nothing,
        );
        transpose(
            simd,
            (extents.key, length),
            (&self.columns, CHUNK),
            (&mut self.key_gradient, self.key_width),
        );
        match sequence.decay.fading {
            Fading::None => {}
            Fading::Alike => {
                let rows = self.key_gradient.chunks_exact_mut(self.key_width).take(length);
                for (row, after) in rows.zip(&*self.gates.after) {
                    scale(row, *after);
                }
            }
            Fading::Channels => fade_to_the_end(length, self.key_width, &self.gates, &mut self.key_gradient),
        }
    }

    /// `dQ += dA K` and `dK += dAᵀ Q`.
    #[inline(always)]
    fn of_tokens_inside<S: Simd>(&mut self, simd: S, length: usize) {
        let width = self.key_width;
        for (start, tokens) in blocks(length) {
            product(
                simd,
                &self.ahead,
                Extent { rows: tokens, depth: start + tokens, columns: width },
                Strided::rows(&self.products[start * CHUNK..], CHUNK),
                (&self.key, width),
                (&mut self.query_gradient[start * width..], width),
                Onto::Target,
            );
            product(
                simd,
                &self.ahead,
                Extent { rows: tokens, depth: length - start, columns: width },
                Strided::transposed(&self.products[start * CHUNK + start..], CHUNK),
                (&self.query[start * width..], width),
                (&mut self.key_gradient[start * width..], width),
                Onto::Target,
            );
        }
    }

    /// The gradient of a log decay that all channels share; see the derivation in `README.md`. Queries and
    /// keys have so far only what they get through the memory, and `dA` is without its decays.
    #[inline(always)]
    fn of_decay_alike(&mut self, length: usize, given: Given<'_, E>) {
        let width = self.key_width;
        let row = |i: usize| i * width..(i + 1) * width;
        // What passes over the whole chunk, then what comes in and is read at the token or behind it.
        let mut sum = match given.before {
            Some(before) => self.gates.total[0] * dot(before, given.memory_gradient),
            None => E::default(),
        };
        for i in (0..length).rev() {
            sum += dot(&self.query[row(i)], &self.query_gradient[row(i)]);
            self.decay_gradient[i] = sum;
        }
        // What is written before the token and goes out.
        let mut sum = E::default();
        for i in 0..length {
            self.decay_gradient[i] += sum;
            sum += dot(&self.key[row(i)], &self.key_gradient[row(i)]);
        }
        // What is written before the token and read at it or behind it.
        let mut columns = [E::default(); CHUNK];
        for i in (1..length).rev() {
            let (gradients, products) = (&self.products[i * CHUNK..], &given.products[i * CHUNK..]);
            for ((column, gradient), product) in columns.iter_mut().zip(gradients).zip(products) {
                *column += *gradient * *product;
            }
            let mut earlier = columns;
            earlier[i..].fill(E::default());
            self.decay_gradient[i] += total(&earlier);
        }
    }

    /// Where channels fade apart, what the decays of a block get from what passes over it.
    ///
    /// Queries and keys have so far only what they get through the memory, faded to the edge of their block.
    #[inline(always)]
    fn of_decay_through_memory(&mut self, channels: usize, length: usize, given: Given<'_, E>) {
        let (width, two) = (self.key_width, length > BLOCK);
        let (first, second) = self.decay_over.split_at_mut(width);
        first.fill(E::default());
        if let Some(before) = given.before {
            let rows = before.chunks_exact(self.value_width);
            let gradients = given.memory_gradient.chunks_exact(self.value_width);
            for ((sum, row), gradient) in first.iter_mut().zip(rows).zip(gradients).take(channels) {
                *sum = dot(row, gradient);
            }
        }
        multiply(first, &self.gates.total);
        second.copy_from_slice(first);
        if two {
            // Over the first block: what the second reads of the memory.
            for row in (BLOCK..length).map(|i| i * width..(i + 1) * width) {
                let through = &self.gates.through[row.clone()];
                let (query, gradient) = (&self.query[row.clone()], &self.query_gradient[row]);
                for c in 0..width {
                    first[c] += query[c] * (through[c] * gradient[c]);
                }
            }
            // Over the second block: what the first leaves in the memory.
            for row in (0..BLOCK).map(|i| i * width..(i + 1) * width) {
                let after = &self.gates.after[row.clone()];
                let (key, gradient) = (&self.key[row.clone()], &self.key_gradient[row]);
                for c in 0..width {
                    second[c] += key[c] * (after[c] * gradient[c]);
                }
            }
        }
    }

    /// What queries and keys get from the other block, and the decays inside their own.
    #[inline(always)]
    fn of_tokens_between_blocks<S: Simd>(&mut self, simd: S, length: usize) {
        let width = self.key_width;
        if length > BLOCK {
            let corner = &self.products[BLOCK * CHUNK..];
            product(
                simd,
                &self.ahead,
                Extent { rows: length - BLOCK, depth: BLOCK, columns: width },
                Strided::rows(corner, CHUNK),
                (&self.writes, width),
                (&mut self.query_gradient[BLOCK * width..], width),
                Onto::Target,
            );
            product(
                simd,
                &self.ahead,
                Extent { rows: BLOCK, depth: length - BLOCK, columns: width },
                Strided::transposed(corner, CHUNK),
                (&self.reads[BLOCK * width..], width),
                (&mut self.key_gradient, width),
                Onto::Target,
            );
        }
        let all = ..length * width;
        multiply(&mut self.query_gradient[all], &self.gates.through);
        multiply(&mut self.key_gradient[all], &self.gates.after);
    }

    /// What queries and keys get from other tokens of their block.
    #[inline(always)]
    fn of_tokens_in_blocks<S: Simd>(&mut self, simd: S, length: usize) {
        let width = self.key_width;
        for (start, tokens) in blocks(length) {
            let rows = start * width..(start + tokens) * width;
            diagonal::gradients(
                simd,
                tokens,
                width,
                [&self.query[rows.clone()], &self.key[rows.clone()], &self.gates.each[rows.clone()]],
                &self.products[start * CHUNK + start..],
                [&mut self.query_in_block[rows.clone()], &mut self.key_in_block[rows]],
            );
        }
    }

    /// The gradient of log decays of their own per channel; see the derivation in `README.md`.
    #[inline(always)]
    fn of_decay_channels(&mut self, chunk: Chunk) {
        let width = self.key_width;
        let [from_outside, inside] =
            self.sums.get_disjoint_mut([0..width, width..2 * width]).expect("two halves");
        for (start, tokens) in blocks(chunk.length) {
            let over = &self.decay_over[start / BLOCK * width..][..width];
            // What comes into the block, or is written in it, and is read at the token or behind it.
            from_outside.copy_from_slice(over);
            inside.fill(E::default());
            for i in (start..start + tokens).rev() {
                let row = i * width..(i + 1) * width;
                let (query, of_query) = (&self.query[row.clone()], &self.query_gradient[row.clone()]);
                let (query_inside, key_inside) =
                    (&self.query_in_block[row.clone()], &self.key_in_block[row.clone()]);
                let (key, gradient) = (&self.key[row.clone()], &mut self.decay_gradient[row]);
                let crosses = if i == start { E::default() } else { E::ONE };
                for c in 0..width {
                    from_outside[c] += query[c] * of_query[c];
                    inside[c] += query[c] * query_inside[c] - key[c] * key_inside[c];
                    gradient[c] = from_outside[c] + crosses * inside[c];
                }
            }
            // What is written before the token and goes out of the block.
            let written = &mut *from_outside;
            written.fill(E::default());
            for row in (start..start + tokens).map(|i| i * width..(i + 1) * width) {
                let (key, of_key) = (&self.key[row.clone()], &self.key_gradient[row.clone()]);
                let gradient = &mut self.decay_gradient[row];
                for c in 0..width {
                    gradient[c] += written[c];
                    written[c] += key[c] * of_key[c];
                }
            }
        }
    }

    /// Adds to queries and keys what they get from their block and from their own token.
    #[inline(always)]
    fn add_own(&mut self, length: usize) {
        let width = self.key_width;
        for i in 0..length {
            let row = i * width..(i + 1) * width;
            let own = self.products[i * CHUNK + i];
            let (query, key) = (&self.query[row.clone()], &self.key[row.clone()]);
            let (query_inside, key_inside) =
                (&self.query_in_block[row.clone()], &self.key_in_block[row.clone()]);
            let of_query = &mut self.query_gradient[row.clone()];
            let of_key = &mut self.key_gradient[row];
            for c in 0..width {
                of_query[c] += query_inside[c] + own * key[c];
                of_key[c] += key_inside[c] + own * query[c];
            }
        }
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

/// The sum of products, in sixteen partial sums so that it can be vector code.
#[inline(always)]
fn dot<E: Real>(a: &[E], b: &[E]) -> E {
    const PARTS: usize = 16;
    let mut sums = [E::default(); PARTS];
    let (wholes_a, wholes_b) = (a.chunks_exact(PARTS), b.chunks_exact(PARTS));
    let mut rest = E::default();
    for (a, b) in wholes_a.remainder().iter().zip(wholes_b.remainder()) {
        rest += *a * *b;
    }
    for (a, b) in wholes_a.zip(wholes_b) {
        for part in 0..PARTS {
            sums[part] += a[part] * b[part];
        }
    }
    rest + total(&sums)
}

/// The sum of all numbers, halves onto halves.
#[inline(always)]
fn total<E: Real, const N: usize>(numbers: &[E; N]) -> E {
    let mut sums = *numbers;
    let mut half = N / 2;
    while half > 0 {
        for i in 0..half {
            let other = sums[i + half];
            sums[i] += other;
        }
        half /= 2;
    }
    sums[0]
}
