//! Complex numbers per channel and number of the state, one vector of each part for every number of the state.

use super::parts::Parts;
use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::channels::blocks::Block;
use crate::kernel::cpu::channels::rows::{pack, unpack};
use crate::kernel::cpu::lanes::{Real, lanes};
use crate::kernel::cpu::output::Output;
use pulp::Simd;

/// Real parts, then imaginary ones: `[2, n, lanes]`.
pub(super) struct Packed<E>(Buffer<E>);

/// Numbers in what one block packs.
pub(super) fn packed_size<S: Simd, E: Real>(size: usize) -> usize {
    2 * size * lanes::<S, E>()
}

impl<E: Real> Packed<E> {
    pub fn new<S: Simd>(size: usize) -> Self {
        Self(Buffer::new(packed_size::<S, E>(size)))
    }

    pub fn numbers(&self) -> &[E] {
        &self.0
    }

    pub fn clear(&mut self) {
        self.0.fill(E::default());
    }

    /// The numbers of `block` in `[channels, size]` from `start` on.
    #[inline(always)]
    pub fn pack<S: Simd>(&mut self, simd: S, from: Parts<&[E]>, start: usize, block: Block, size: usize) {
        let (re, im) = self.0.split_at_mut(size * lanes::<S, E>());
        pack(simd, from.re, start, block, size, re);
        pack(simd, from.im, start, block, size, im);
    }

    /// The reverse.
    ///
    /// # Safety
    ///
    /// No other thread may write or read these elements of the outputs meanwhile.
    #[inline(always)]
    pub unsafe fn unpack<S: Simd>(
        &self,
        simd: S,
        to: &Parts<Output<'_, E>>,
        start: usize,
        block: Block,
        size: usize,
    ) {
        let (re, im) = self.0.split_at(size * lanes::<S, E>());
        // SAFETY: as the caller promises.
        unsafe {
            unpack(simd, re, &to.re, start, block, size);
            unpack(simd, im, &to.im, start, block, size);
        }
    }

    /// `W` numbers from `first` on.
    #[inline(always)]
    pub fn some<S: Simd, const W: usize>(&self, first: usize) -> Parts<[E::Vector<S>; W]> {
        some::<S, E, W>(&self.0, first)
    }

    #[inline(always)]
    pub fn put<S: Simd, const W: usize>(&mut self, first: usize, numbers: Parts<[E::Vector<S>; W]>) {
        let vectors = E::vectors_mut::<S>(&mut self.0);
        let size = vectors.len() / 2;
        vectors[first..][..W].copy_from_slice(&numbers.re);
        vectors[size + first..][..W].copy_from_slice(&numbers.im);
    }
}

/// `W` numbers from `first` on of what is packed.
#[inline(always)]
pub(super) fn some<S: Simd, E: Real, const W: usize>(packed: &[E], first: usize) -> Parts<[E::Vector<S>; W]> {
    let vectors = E::vectors::<S>(packed);
    let size = vectors.len() / 2;
    let (re, im) = (&vectors[first..][..W], &vectors[size + first..][..W]);
    Parts { re: std::array::from_fn(|n| re[n]), im: std::array::from_fn(|n| im[n]) }
}
