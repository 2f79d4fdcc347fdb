//! Tokens in tensors and in scratch memory.

use super::chunks::Place;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::matrix::{MatMut, MatRef};
use crate::kernel::cpu::output::Output;
use crate::kernel::cpu::prefetch::Prefetch;
use std::ops::Range;

/// How tokens lie in a tensor `[b, t, h', c]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub time: usize,
    pub heads: usize,
    pub channels: usize,
    /// Heads of the values that share one of these heads.
    pub group: usize,
}

impl Layout {
    /// Of a tensor of `shape`, for values of `heads` heads.
    pub fn new([_, time, own_heads, channels]: [usize; 4], heads: usize) -> Self {
        Self { time, heads: own_heads, channels, group: heads / own_heads }
    }

    /// Where the first token of a chunk begins.
    #[inline(always)]
    fn start(&self, place: Place) -> usize {
        let token = place.batch * self.time + place.chunk.start;
        (token * self.heads + place.head / self.group) * self.channels
    }

    /// Elements from a token to the next.
    #[inline(always)]
    fn stride(&self) -> usize {
        self.heads * self.channels
    }

    #[inline(always)]
    fn list<E>(&self, prefetch: &mut Prefetch, from: *const E, place: Place) {
        prefetch.rows(from.wrapping_add(self.start(place)), place.chunk.length, self.stride(), self.channels);
    }
}

/// A tensor of tokens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tokens<'a, E> {
    pub numbers: &'a [E],
    pub layout: Layout,
}

impl<'a, E: Real> Tokens<'a, E> {
    /// Copies the tokens of a chunk into rows; what follows the channels in a row stays zero.
    #[inline(always)]
    pub fn load(&self, place: Place, rows: MatMut<'_, E>) {
        let Layout { channels, .. } = self.layout;
        let (start, stride) = (self.layout.start(place), self.layout.stride());
        for (i, row) in rows.numbers.chunks_exact_mut(rows.stride).take(place.chunk.length).enumerate() {
            row[..channels].copy_from_slice(&self.numbers[start + i * stride..][..channels]);
        }
    }

    /// The channels of one token.
    #[inline(always)]
    pub fn row(&self, batch: usize, token: usize, head: usize) -> &'a [E] {
        let Layout { time, heads, channels, group } = self.layout;
        &self.numbers[((batch * time + token) * heads + head / group) * channels..][..channels]
    }

    /// Lists the tokens of a chunk, to be prefetched.
    #[inline(always)]
    pub fn list(&self, prefetch: &mut Prefetch, place: Place) {
        self.layout.list(prefetch, self.numbers.as_ptr(), place);
    }
}

/// A tensor of tokens that a pass fills. Where heads of the values share a head, their tokens are summed, in order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokensMut<'a, E> {
    pub output: Output<'a, E>,
    pub layout: Layout,
}

impl<'a, E: Real> TokensMut<'a, E> {
    /// Copies the tokens of a chunk out of rows, or adds them to those of the heads before it in its group.
    ///
    /// # Safety
    ///
    /// The heads of a group must store a chunk in order, and no other task may store it.
    #[inline(always)]
    pub unsafe fn store(&self, place: Place, rows: MatRef<'_, E>) {
        // SAFETY: as the caller promises.
        unsafe { self.store_columns(place, rows, 0..self.layout.channels) };
    }

    /// The same for `columns` alone, as far as they are not padding.
    ///
    /// # Safety
    ///
    /// As for [`store`](Self::store), of these columns.
    #[inline(always)]
    pub unsafe fn store_columns(&self, place: Place, rows: MatRef<'_, E>, columns: Range<usize>) {
        let Layout { channels, group, .. } = self.layout;
        let columns = columns.start.min(channels)..columns.end.min(channels);
        let (start, stride) = (self.layout.start(place) + columns.start, self.layout.stride());
        let first = place.head.is_multiple_of(group);
        for (i, row) in rows.numbers.chunks_exact(rows.stride).take(place.chunk.length).enumerate() {
            let (offset, row) = (start + i * stride, &row[columns.clone()]);
            // SAFETY: as the caller promises.
            unsafe { if first { self.output.write(offset, row) } else { self.output.add(offset, row) } };
        }
    }

    /// Copies what has been stored of a chunk back into rows.
    ///
    /// # Safety
    ///
    /// It must have been stored, and nobody may store it meanwhile.
    #[inline(always)]
    pub unsafe fn load(&self, place: Place, rows: MatMut<'_, E>) {
        let Layout { channels, .. } = self.layout;
        let (start, stride) = (self.layout.start(place), self.layout.stride());
        for (i, row) in rows.numbers.chunks_exact_mut(rows.stride).take(place.chunk.length).enumerate() {
            // SAFETY: as the caller promises.
            row[..channels].copy_from_slice(unsafe { self.output.read(start + i * stride, channels) });
        }
    }

    /// The whole tensor.
    ///
    /// # Safety
    ///
    /// All of it must have been stored, and nobody may store any of it while the tokens live.
    pub unsafe fn written(&self) -> Tokens<'a, E> {
        // SAFETY: as the caller promises.
        Tokens { numbers: unsafe { self.output.read(0, self.output.length()) }, layout: self.layout }
    }

    /// Lists the tokens of a chunk, to be prefetched.
    #[inline(always)]
    pub fn list(&self, prefetch: &mut Prefetch, place: Place) {
        self.layout.list(prefetch, self.output.start(), place);
    }
}
