//! The decays of one chunk, as factors. All are products of numbers up to 1.

use super::chunks::{BLOCK, CHUNK, Place};
use super::sequence::{Fading, Sequence};
use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::lanes::Real;

/// Factors for the tokens of a chunk: one per token where all channels share a decay, else one per token and
/// channel, in rows of the padded width.
pub(crate) struct Factors<E> {
    /// The factor of each token.
    pub each: Buffer<E>,
    /// From the start through the token; within the token's block where every channel has its own.
    pub through: Buffer<E>,
    /// From after the token to the end; within the token's block where every channel has its own.
    pub after: Buffer<E>,
    /// Where all channels share a decay, the product between two tokens, `[CHUNK, CHUNK]`: 0 where the column is later.
    /// Where every channel has its own, the product over each block, in rows of the padded width.
    pub between: Buffer<E>,
    /// The product over the whole chunk, per channel.
    pub total: Buffer<E>,
    width: usize,
    fading: Fading,
}

impl<E: Real> Factors<E> {
    /// For key channels in rows of `width`.
    pub fn new(width: usize, fading: Fading) -> Self {
        let tokens = match fading {
            Fading::None => 0,
            Fading::Shared => CHUNK,
            Fading::PerChannel => CHUNK * width,
        };
        let between = match fading {
            Fading::None => 0,
            Fading::Shared => CHUNK * CHUNK,
            Fading::PerChannel => CHUNK / BLOCK * width,
        };
        Self {
            each: Buffer::new(tokens),
            through: Buffer::new(tokens),
            after: Buffer::new(tokens),
            between: Buffer::new(between),
            total: Buffer::new(width),
            width,
            fading,
        }
    }

    /// The factors of a chunk.
    #[inline(always)]
    pub fn load(&mut self, sequence: &Sequence<'_, E>, place: Place) {
        match self.fading {
            Fading::None => {}
            Fading::Shared => self.load_shared(sequence, place),
            Fading::PerChannel => self.load_channels(sequence, place),
        }
    }

    #[inline(always)]
    fn load_shared(&mut self, sequence: &Sequence<'_, E>, Place { batch, head, chunk }: Place) {
        let length = chunk.length;
        let decay = &sequence.decay;
        let mut logs = [E::default(); CHUNK];
        for (i, log) in logs[..length].iter_mut().enumerate() {
            *log = decay.numbers[decay.at(batch, chunk.start + i, head)];
        }
        for (each, log) in self.each.iter_mut().zip(logs) {
            *each = log.exponential();
        }
        let mut product = E::ONE;
        for i in 0..length {
            product *= self.each[i];
            self.through[i] = product;
        }
        self.total.fill(product);
        let mut product = E::ONE;
        for i in (0..length).rev() {
            self.after[i] = product;
            product *= self.each[i];
        }
        let mut row = [E::default(); CHUNK];
        for i in 0..length {
            let each = self.each[i];
            for between in &mut row {
                *between *= each;
            }
            row[i] = E::ONE;
            self.between[i * CHUNK..(i + 1) * CHUNK].copy_from_slice(&row);
        }
    }

    #[inline(always)]
    fn load_channels(&mut self, sequence: &Sequence<'_, E>, Place { batch, head, chunk }: Place) {
        let (length, width) = (chunk.length, self.width);
        let (decay, channels) = (&sequence.decay, sequence.extents.key);
        for i in 0..length {
            let logs = &decay.numbers[decay.at(batch, chunk.start + i, head)..][..channels];
            for (each, log) in self.each[i * width..][..channels].iter_mut().zip(logs) {
                *each = log.exponential();
            }
        }
        for i in 0..length {
            let (before, here) = self.through.split_at_mut(i * width);
            let here = &mut here[..width];
            here.copy_from_slice(&self.each[i * width..][..width]);
            if !i.is_multiple_of(BLOCK) {
                multiply(here, &before[(i - 1) * width..]);
            }
        }
        for i in (0..length).rev() {
            let (here, later) = self.after.split_at_mut((i + 1) * width);
            let here = &mut here[i * width..];
            if (i + 1).is_multiple_of(BLOCK) || i + 1 == length {
                here.fill(E::ONE);
            } else {
                here.copy_from_slice(&later[..width]);
                multiply(here, &self.each[(i + 1) * width..][..width]);
            }
        }
        self.total.fill(E::ONE);
        for (block, left) in self.between.chunks_exact_mut(width).enumerate() {
            let end = length.min((block + 1) * BLOCK);
            if end <= block * BLOCK {
                left.fill(E::ONE);
            } else {
                left.copy_from_slice(&self.through[(end - 1) * width..][..width]);
            }
            multiply(&mut self.total, left);
        }
    }

    /// The products over block `index`, where every channel has its own decay.
    pub fn block(&self, index: usize) -> &[E] {
        &self.between[index * self.width..][..self.width]
    }
}

/// `left *= right`, as far as `left` goes.
#[inline(always)]
pub(crate) fn multiply<E: Real>(left: &mut [E], right: &[E]) {
    for (left, right) in left.iter_mut().zip(right) {
        *left *= *right;
    }
}
