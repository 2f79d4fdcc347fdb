//! One allocation per task, cut into buffers that begin on cache lines.

use super::lanes::Real;

const CACHE_LINE: usize = 64;

/// Zeroed memory for the buffers of one task.
pub(crate) struct Scratch<E> {
    memory: Vec<E>,
    start: usize,
}

impl<E: Real> Scratch<E> {
    /// Room for buffers of `sizes` elements.
    pub fn new(sizes: &[usize]) -> Self {
        let line = CACHE_LINE / size_of::<E>();
        let total: usize = sizes.iter().map(|size| size.next_multiple_of(line)).sum();
        let memory = vec![E::default(); total + line];
        let start = memory.as_ptr().align_offset(CACHE_LINE).min(line);
        Self { memory, start }
    }

    /// The next buffers, in the order of the sizes given to [`new`](Self::new).
    pub fn buffers<const N: usize>(&mut self, sizes: [usize; N]) -> [&mut [E]; N] {
        let line = CACHE_LINE / size_of::<E>();
        let mut rest = &mut self.memory[self.start..];
        sizes.map(|size| {
            let (buffer, behind) = std::mem::take(&mut rest).split_at_mut(size.next_multiple_of(line));
            rest = behind;
            &mut buffer[..size]
        })
    }
}
