//! An allocator that counts.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A single request for more is refused: it would be a death of the process on some machine.
const REFUSED: usize = 1 << 32;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static LARGEST: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, with a record of the largest request and of the most bytes at one time.
pub struct Counted;

/// What was allocated since [`Allocated::reset`].
pub struct Allocated {
    /// Bytes of the largest single request.
    pub largest: usize,
    /// The most bytes at one time, beyond those at the reset.
    pub peak: usize,
}

impl Allocated {
    /// Begins to count.
    pub fn reset() -> usize {
        let live = LIVE.load(Relaxed);
        PEAK.store(live, Relaxed);
        LARGEST.store(0, Relaxed);
        live
    }

    /// The counts since [`reset`](Self::reset) returned `before`.
    pub fn since(before: usize) -> Self {
        Self { largest: LARGEST.load(Relaxed), peak: PEAK.load(Relaxed).saturating_sub(before) }
    }
}

fn count(bytes: usize) -> bool {
    LARGEST.fetch_max(bytes, Relaxed);
    if bytes > REFUSED {
        return false;
    }
    let live = LIVE.fetch_add(bytes, Relaxed) + bytes;
    PEAK.fetch_max(live, Relaxed);
    true
}

#[allow(unsafe_code, reason = "an allocator is an unsafe trait")]
// SAFETY: every request goes to `System` as it came, or is answered by null, which says that there is no memory.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !count(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promises are those that `System` wants.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !count(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promises are those that `System` wants.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !count(size) {
            return std::ptr::null_mut();
        }
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promises are those that `System` wants, and `pointer` came from it.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promises are those that `System` wants, and `pointer` came from it.
        unsafe { System.dealloc(pointer, layout) }
    }
}
