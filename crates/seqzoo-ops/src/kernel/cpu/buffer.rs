//! Memory that a task works in.

use super::lanes::Real;
use std::ops::{Deref, DerefMut};

const CACHE_LINE: usize = 64;

/// Elements that begin on a cache line, initially zero.
#[derive(Debug)]
pub(crate) struct Buffer<E> {
    memory: Vec<E>,
    start: usize,
    length: usize,
}

impl<E: Real> Buffer<E> {
    pub fn new(length: usize) -> Self {
        let line = CACHE_LINE / size_of::<E>();
        let memory = vec![E::default(); if length == 0 { 0 } else { length + line }];
        let start = memory.as_ptr().align_offset(CACHE_LINE).min(memory.len() - length);
        Self { memory, start, length }
    }
}

impl<E> Deref for Buffer<E> {
    type Target = [E];

    #[inline(always)]
    fn deref(&self) -> &[E] {
        &self.memory[self.start..][..self.length]
    }
}

impl<E> DerefMut for Buffer<E> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [E] {
        &mut self.memory[self.start..][..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::Buffer;

    #[test]
    fn a_buffer_begins_on_a_cache_line() {
        for length in [0, 1, 16, 1000] {
            let buffer = Buffer::<f32>::new(length);
            assert_eq!(buffer.len(), length);
            assert!(length == 0 || buffer.as_ptr().addr().is_multiple_of(64));
        }
    }
}
