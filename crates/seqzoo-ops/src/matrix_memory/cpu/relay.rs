//! Heads that go from core to core.

use super::forward::widths;
use super::memory;
use super::tasks::{Pass, cores};
use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::vectorized::vectorized;
use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Mutex;

/// Steps that a core makes with a head before it hands it on, at least.
const STRETCH: usize = 8;

/// Stretches that a head is divided into, at most.
const STRETCHES: usize = 8;

/// A head on its way.
struct Runner<E> {
    head: usize,
    done: usize,
    memory: Buffer<E>,
}

/// The heads that no core is working on.
struct Line<E> {
    fresh: Range<usize>,
    waiting: VecDeque<Runner<E>>,
    /// Memories of heads that are done.
    spare: Vec<Buffer<E>>,
}

impl<E: Real> Line<E> {
    /// The next head to go on with: a fresh one as long as there are any, else the one that has waited longest.
    fn next(&mut self, memory: usize) -> Option<Runner<E>> {
        match self.fresh.next() {
            None => self.waiting.pop_front(),
            Some(head) => {
                let memory = self.spare.pop().unwrap_or_else(|| Buffer::new(memory));
                Some(Runner { head, done: 0, memory })
            }
        }
    }
}

/// Passes over all heads.
///
/// If every core had its heads for itself, all would wait for the slowest, be it a smaller core or one that other
/// programs use, and 6 heads would take 4 cores as long as 8. So the last heads go from core to core: each makes a
/// stretch of steps with one, puts it back, and takes the one that has waited longest. They come to their ends together,
/// and a core that finds nobody waiting is done, since every head that is left has a core already.
#[inline(always)]
pub(super) fn relay<S: Simd, E: Real>(simd: S, pass: &impl Pass<E>) {
    let extents = &pass.sequence().extents;
    let heads = extents.all_heads();
    let cores = cores(extents).min(heads);
    // Before the last ones, there is enough to do for a core to take whole heads.
    let whole = if cores > 1 { heads.saturating_sub(4 * cores) } else { heads };
    let line = Mutex::new(Line { fresh: 0..heads, waiting: VecDeque::new(), spare: Vec::new() });
    let work = || vectorized(simd, Walk { pass, line: &line, whole });
    if cores == 1 { work() } else { (0..cores).into_par_iter().for_each(|_| work()) }
}

/// What one core does of that.
struct Walk<'a, E, P> {
    pass: &'a P,
    line: &'a Mutex<Line<E>>,
    /// The number of the first head that goes from core to core.
    whole: usize,
}

impl<E: Real, P: Pass<E>> WithSimd for Walk<'_, E, P> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { pass, line, whole } = self;
        let lock = || line.lock().expect("nobody panics who holds the line");
        let (sequence, extents) = (pass.sequence(), &pass.sequence().extents);
        let all = 0..widths::<S, E>(sequence).1;
        let memory = extents.key * all.end;
        let Some(mut runner) = lock().next(memory) else { return };
        let mut buffers = pass.buffers(simd);
        loop {
            let at = extents.at(runner.head);
            let steps = pass.cut().row(at.0).len();
            if runner.done == 0 {
                memory::load(pass.start(), extents, at, &all, &mut runner.memory);
            }
            let stretch = if runner.head < whole { steps } else { STRETCH.max(steps.div_ceil(STRETCHES)) };
            let end = steps.min(runner.done + stretch);
            pass.steps(simd, &mut buffers, runner.head, runner.done..end, &mut runner.memory);
            runner.done = end;
            if end == steps {
                // SAFETY: every head is one core's at a time.
                unsafe { memory::store(pass.end(), extents, at, &all, &runner.memory) };
            }

            let mut line = lock();
            if end < steps {
                line.waiting.push_back(runner);
            } else {
                line.spare.push(runner.memory);
            }
            match line.next(memory) {
                Some(next) => runner = next,
                None => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::chunks::CHUNK;
    use super::super::sequence::{Cut, Decay, Extents, Sequence};
    use super::super::tasks::{Division, run};
    use super::*;
    use crate::kernel::cpu::output::{Output, filled};
    use crate::kernel::cpu::processor_kinds::room_of;
    use pulp::Arch;

    /// Notes for every head how far it is, and checks that it goes on where it was, with the memory it had.
    struct Notes<'a> {
        sequence: Sequence<'static, f32>,
        start: Vec<f32>,
        end: Output<'a, f32>,
        cut: Cut,
        done: Vec<Mutex<usize>>,
    }

    impl Pass<f32> for Notes<'_> {
        type Buffers = ();

        fn sequence(&self) -> &Sequence<'_, f32> {
            &self.sequence
        }

        fn cut(&self) -> &Cut {
            &self.cut
        }

        fn buffers<S: Simd>(&self, _: S) {}

        fn start(&self) -> &[f32] {
            &self.start
        }

        fn end(&self) -> Output<'_, f32> {
            self.end
        }

        fn steps<S: Simd>(&self, _: S, (): &mut (), head: usize, steps: Range<usize>, memory: &mut [f32]) {
            let mut done = self.done[head].try_lock().expect("one core at a time works on a head");
            assert_eq!(*done, steps.start);
            assert_eq!(memory[0], (head * 1000 + steps.start) as f32);
            memory[0] = (head * 1000 + steps.end) as f32;
            *done = steps.end;
        }

        fn in_order<S: Simd>(&self, _: S, (): &mut (), _: &[Range<usize>], _: Range<usize>) {
            unreachable!("the pass is divided by heads");
        }

        fn each_chunk<S: Simd>(&self, _: S, (): &mut (), _: &[(usize, usize)]) {
            unreachable!("the pass is divided by heads");
        }
    }

    impl WithSimd for &Notes<'_> {
        type Output = ();

        fn with_simd<S: Simd>(self, simd: S) {
            run(simd, self, Division::Heads);
        }
    }

    #[test]
    fn every_head_is_passed_over_once_and_in_order() {
        for (threads, heads, chunks) in [(1, 3, 9), (2, 1, 70), (2, 2, 0), (3, 4, 70), (3, 30, 17), (8, 5, 1)]
        {
            let extents = Extents { batch: 1, time: chunks * CHUNK, heads, key: 64, value: 512 };
            let decay = Decay::none();
            let sequence = Sequence { extents, query: &[], key: &[], value: &[], decay, scale: 1.0 };
            let done = (0..heads).map(|_| Mutex::new(0)).collect();
            // Of every memory the first number says the head, and behind the pass also its steps.
            let memories = |steps: usize| -> Vec<f32> {
                let all = 0..heads * extents.memory();
                let first = |i: usize| i.is_multiple_of(extents.memory());
                all.map(|i| if first(i) { (i / extents.memory() * 1000 + steps) as f32 } else { 0.0 })
                    .collect()
            };
            let mut end = room_of(vec![f32::NAN; heads * extents.memory()]);
            let cut = Cut::new::<f32>(&extents, None);
            let notes = Notes { sequence, start: memories(0), end: Output::new(&mut end), cut, done };
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| Arch::new().dispatch(&notes));
            assert!(notes.done.iter().all(|done| *done.lock().unwrap() == chunks), "{heads} heads");
            // SAFETY: made of numbers.
            assert_eq!(unsafe { filled(end) }, memories(chunks));
        }
    }
}
