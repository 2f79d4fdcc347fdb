//! An output tensor that several tasks fill, each its own rows.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

/// Memory for `length` elements that are about to be written.
pub(crate) fn room<E>(length: usize) -> Box<[MaybeUninit<E>]> {
    Box::new_uninit_slice(length)
}

/// The elements of `room`.
///
/// # Safety
///
/// Every element must have been written.
pub(crate) unsafe fn filled<E>(room: Box<[MaybeUninit<E>]>) -> Vec<E> {
    // SAFETY: as the caller promises.
    unsafe { room.assume_init() }.into_vec()
}

/// Elements in one allocation, to be written from many threads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output<'a, E> {
    start: *mut E,
    length: usize,
    owner: PhantomData<&'a mut [MaybeUninit<E>]>,
}

// SAFETY: a `Output` is the exclusive borrow of a slice; its methods make their callers keep threads apart.
unsafe impl<E: Send> Send for Output<'_, E> {}
// SAFETY: as above.
unsafe impl<E: Send> Sync for Output<'_, E> {}

impl<'a, E: Copy> Output<'a, E> {
    pub fn new(all: &'a mut [MaybeUninit<E>]) -> Self {
        Self { start: all.as_mut_ptr().cast(), length: all.len(), owner: PhantomData }
    }

    /// Of elements that have been written, to be written again.
    pub fn of(all: &'a mut [E]) -> Self {
        Self { start: all.as_mut_ptr(), length: all.len(), owner: PhantomData }
    }

    /// The `length` elements from `offset` on, to be read and written.
    ///
    /// # Safety
    ///
    /// They must have been written, and nobody else may read or write them while the slice lives.
    #[allow(clippy::mut_from_ref, reason = "tasks share the output, and its parts are theirs alone")]
    pub unsafe fn part(&self, offset: usize, length: usize) -> &'a mut [E] {
        assert!(offset + length <= self.length);
        // SAFETY: inside the borrowed slice, written, and nobody else's as the caller promises.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(offset), length) }
    }

    /// Where the elements begin.
    pub fn start(&self) -> *const E {
        self.start
    }

    pub fn length(&self) -> usize {
        self.length
    }

    /// Writes `elements` from `offset` on.
    ///
    /// # Safety
    ///
    /// No other thread may write or read these elements meanwhile.
    #[inline(always)]
    pub unsafe fn write(&self, offset: usize, elements: &[E]) {
        assert!(offset + elements.len() <= self.length);
        // SAFETY: inside the borrowed slice, and nobody else's as the caller promises.
        unsafe {
            std::ptr::copy_nonoverlapping(elements.as_ptr(), self.start.add(offset), elements.len());
        }
    }

    /// Adds `elements` to those from `offset` on.
    ///
    /// # Safety
    ///
    /// They must have been written, and no other thread may write or read them meanwhile.
    #[inline(always)]
    pub unsafe fn add(&self, offset: usize, elements: &[E])
    where
        E: std::ops::AddAssign,
    {
        assert!(offset + elements.len() <= self.length);
        // SAFETY: inside the borrowed slice, written, and nobody else's as the caller promises.
        let sums = unsafe { std::slice::from_raw_parts_mut(self.start.add(offset), elements.len()) };
        for (sum, element) in sums.iter_mut().zip(elements) {
            *sum += *element;
        }
    }

    /// Where the `length` elements from `offset` on begin, to be written.
    pub fn place(&self, offset: usize, length: usize) -> *mut E {
        assert!(offset + length <= self.length);
        self.start.wrapping_add(offset)
    }

    /// The `length` elements from `offset` on.
    ///
    /// # Safety
    ///
    /// They must have been written, and nobody may write them while the slice lives.
    #[inline(always)]
    pub unsafe fn read(&self, offset: usize, length: usize) -> &'a [E] {
        assert!(offset + length <= self.length);
        // SAFETY: inside the borrowed slice, and left alone as the caller promises.
        unsafe { std::slice::from_raw_parts(self.start.add(offset), length) }
    }
}
