//! The decays of one chunk, as factors. All are products of numbers up to 1.

use super::chunks::{BLOCK, CHUNK, Chunk};
use super::sequence::{Fading, Sequence};
use crate::kernel::cpu::lanes::Real;

/// Sizes of the buffers of [`Gates`] for `width` padded key channels.
pub(super) fn sizes(fading: Fading, width: usize) -> [usize; 5] {
    let tokens = match fading {
        Fading::None => 0,
        Fading::Alike => CHUNK,
        Fading::Channels => CHUNK * width,
    };
    let pairs = if fading == Fading::Alike { CHUNK * CHUNK } else { 0 };
    let blocks = if fading == Fading::Channels { CHUNK / BLOCK * width } else { 0 };
    [tokens, tokens, tokens, pairs.max(blocks), width]
}

/// Factors for the tokens of a chunk: one per token where all channels fade alike, else one per token and
/// channel, in rows of the padded width.
pub(super) struct Gates<'s, E> {
    /// What each token leaves of the memory.
    pub each: &'s mut [E],
    /// From the start through the token; within the token's block where channels fade apart.
    pub through: &'s mut [E],
    /// From behind the token to the end; within the token's block where channels fade apart.
    pub after: &'s mut [E],
    /// Where all fade alike, what lies between two tokens, `[CHUNK, CHUNK]`: 0 where the column is later.
    /// Where channels fade apart, what each block leaves, in rows of the padded width.
    pub between: &'s mut [E],
    /// What the whole chunk leaves, per channel.
    pub total: &'s mut [E],
    width: usize,
    fading: Fading,
}

impl<'s, E: Real> Gates<'s, E> {
    pub fn new(buffers: [&'s mut [E]; 5], width: usize, fading: Fading) -> Self {
        let [each, through, after, between, total] = buffers;
        Self { each, through, after, between, total, width, fading }
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
            multiply(self.total, left);
        }
    }

    /// What block `index` leaves of each channel, where channels fade apart.
    pub fn block(&self, index: usize) -> &[E] {
        &self.between[index * self.width..][..self.width]
    }
}

/// `left *= right`, as far as `left` goes.
#[inline(always)]
pub(super) fn multiply<E: Real>(left: &mut [E], right: &[E]) {
    for (left, right) in left.iter_mut().zip(right) {
        *left *= *right;
    }
}
