//! The decays of one chunk, as factors. All are products of numbers up to 1.

use super::chunks::{BLOCK, CHUNK, Chunk};
use super::sequence::{Fading, Sequence};
use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::lanes::Real;

/// Factors for the tokens of a chunk: one per token where all channels fade alike, else one per token and
/// channel, in rows of the padded width.
pub(crate) struct Factors<E> {
    /// What each token leaves of the memory.
    pub each: Buffer<E>,
    /// From the start through the token; within the token's block where channels fade apart.
    pub through: Buffer<E>,
    /// From behind the token to the end; within the token's block where channels fade apart.
    pub after: Buffer<E>,
    /// Where all fade alike, what lies between two tokens, `[CHUNK, CHUNK]`: 0 where the column is later.
    /// Where channels fade apart, what each block leaves, in rows of the padded width.
    pub between: Buffer<E>,
    /// What the whole chunk leaves, per channel.
    pub total: Buffer<E>,
    width: usize,
    fading: Fading,
}

impl<E: Real> Factors<E> {
    /// For key channels in rows of `width`.
    pub fn new(width: usize, fading: Fading) -> Self {
        let tokens = match fading {
            Fading::None => 0,
            Fading::Alike => CHUNK,
            Fading::Channels => CHUNK * width,
        };
        let between = match fading {
            Fading::None => 0,
            Fading::Alike => CHUNK * CHUNK,
            Fading::Channels => CHUNK / BLOCK * width,
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

    /// The factors of `chunk`.
    #[inline(always)]
    pub fn load(&mut self, sequence: &Sequence<'_, E>, batch: usize, head: usize, chunk: Chunk) {
        match self.fading {
            Fading::None => {}
            Fading::Alike => self.load_alike(sequence, batch, head, chunk),
            Fading::Channels => self.load_channels(sequence, batch, head, chunk),
        }
    }

    #[inline(always)]
    fn load_alike(&mut self, sequence: &Sequence<'_, E>, batch: usize, head: usize, chunk: Chunk) {
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
    fn load_channels(&mut self, sequence: &Sequence<'_, E>, batch: usize, head: usize, chunk: Chunk) {
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
            let (here, behind) = self.after.split_at_mut((i + 1) * width);
            let here = &mut here[i * width..];
            if (i + 1).is_multiple_of(BLOCK) || i + 1 == length {
                here.fill(E::ONE);
            } else {
                here.copy_from_slice(&behind[..width]);
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

    /// What block `index` leaves of each channel, where channels fade apart.
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
