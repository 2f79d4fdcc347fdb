//! Tasks that do not wait for each other, handed to whichever core is free.

use super::vectorized::vectorized;
use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Tasks that may be done in any order and at the same time.
pub(crate) trait Tasks: Sync {
    /// The scratch memory of a core; made once for many tasks.
    type Buffers;

    fn buffers<S: Simd>(&self, simd: S) -> Self::Buffers;

    fn count(&self) -> usize;

    fn run<S: Simd>(&self, simd: S, buffers: &mut Self::Buffers, task: usize);
}

/// Does all tasks on up to `cores` cores, which take them in order: long ones should come first.
#[inline(always)]
pub(crate) fn share<S: Simd>(simd: S, tasks: &impl Tasks, cores: usize) {
    let next = AtomicUsize::new(0);
    let one = || vectorized(simd, Core { tasks, next: &next });
    match cores.min(tasks.count()) {
        0 => {}
        1 => one(),
        cores => (0..cores).into_par_iter().with_max_len(1).for_each(|_| one()),
    }
}

/// The part of one core.
struct Core<'a, T> {
    tasks: &'a T,
    next: &'a AtomicUsize,
}

impl<T: Tasks> WithSimd for Core<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { tasks, next } = self;
        let take = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|task| *task < tasks.count());
        let Some(mut task) = take() else { return };
        let mut buffers = tasks.buffers(simd);
        loop {
            tasks.run(simd, &mut buffers, task);
            match take() {
                Some(next) => task = next,
                None => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulp::Arch;

    /// Counts how often every task is done, and how many cores there are.
    struct Notes {
        done: Vec<AtomicUsize>,
        buffers: AtomicUsize,
        cores: usize,
    }

    impl Tasks for Notes {
        type Buffers = usize;

        fn buffers<S: Simd>(&self, _: S) -> usize {
            self.buffers.fetch_add(1, Ordering::Relaxed)
        }

        fn count(&self) -> usize {
            self.done.len()
        }

        fn run<S: Simd>(&self, _: S, _: &mut usize, task: usize) {
            self.done[task].fetch_add(1, Ordering::Relaxed);
        }
    }

    impl WithSimd for &Notes {
        type Output = ();

        fn with_simd<S: Simd>(self, simd: S) {
            share(simd, self, self.cores);
        }
    }

    #[test]
    fn every_task_is_done_once() {
        for (count, cores) in [(0, 2), (1, 3), (2, 2), (100, 1), (100, 3), (3, 8)] {
            let done = (0..count).map(|_| AtomicUsize::new(0)).collect();
            let notes = Notes { done, buffers: AtomicUsize::new(0), cores };
            Arch::new().dispatch(&notes);
            assert!(notes.done.iter().all(|done| done.load(Ordering::Relaxed) == 1), "{count} tasks");
            assert!(notes.buffers.into_inner() <= cores);
        }
    }
}
