//! Views of matrices in memory.

/// A matrix whose rows begin `stride` elements apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MatRef<'a, E> {
    pub numbers: &'a [E],
    pub stride: usize,
}

impl<'a, E> MatRef<'a, E> {
    #[inline(always)]
    pub fn new(numbers: &'a [E], stride: usize) -> Self {
        Self { numbers, stride }
    }

    /// The matrix from a column on.
    #[inline(always)]
    pub fn columns_from(self, column: usize) -> Self {
        Self { numbers: &self.numbers[column..], ..self }
    }
}

/// A matrix to be written, whose rows begin `stride` elements apart.
#[derive(Debug)]
pub(crate) struct MatMut<'a, E> {
    pub numbers: &'a mut [E],
    pub stride: usize,
}

impl<'a, E> MatMut<'a, E> {
    #[inline(always)]
    pub fn new(numbers: &'a mut [E], stride: usize) -> Self {
        Self { numbers, stride }
    }

    #[inline(always)]
    pub fn reborrow(&mut self) -> MatMut<'_, E> {
        MatMut::new(self.numbers, self.stride)
    }
}
