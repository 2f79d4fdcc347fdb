//! Asking for memory before it is needed.

/// Asks the processor to bring `elements` into its caches, where it can be asked.
#[inline(always)]
pub(crate) fn prefetch<E>(elements: &[E]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        const CACHE_LINE: usize = 64;
        let bytes = size_of_val(elements);
        let start = elements.as_ptr().cast::<i8>();
        for offset in (0..bytes).step_by(CACHE_LINE) {
            // SAFETY: the address is inside the slice, and prefetching has no effect but speed.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(start.add(offset)) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = elements;
}
