//! Work whose steps must be made in order, over more heads than cores or fewer.

use super::buffer::Buffer;
use super::lanes::Real;
use super::vectorized::vectorized;
use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Condvar, Mutex};

/// Steps that a core makes with a head before it hands it on, at least.
const STRETCH: usize = 8;

/// Stretches that a head is divided into, at most.
const STRETCHES: usize = 8;

/// Heads, each with steps that must be made in order and a carry that goes from one to the next.
pub(crate) trait Relay<E: Real>: Sync {
    /// The scratch memory of a core; made once for many heads.
    type Buffers;

    fn buffers<S: Simd>(&self, simd: S) -> Self::Buffers;

    fn heads(&self) -> usize;

    /// The number of steps of a head.
    fn steps(&self, head: usize) -> usize;

    /// How many neighbouring heads share outputs. Such a head makes a step after the head before it has made it, so
    /// that sums over a group are always made in one order.
    fn group(&self) -> usize;

    /// Elements of a carry.
    fn carry<S: Simd>(&self, simd: S) -> usize;

    /// Loads the carry before the first step.
    fn begin(&self, head: usize, carry: &mut [E]);

    fn advance<S: Simd>(
        &self,
        simd: S,
        buffers: &mut Self::Buffers,
        head: usize,
        steps: Range<usize>,
        carry: &mut [E],
    );

    /// Stores the carry after the last step.
    fn end(&self, head: usize, carry: &[E]);
}

/// A head on its way.
struct Runner<E> {
    head: usize,
    done: usize,
    carry: Buffer<E>,
}

/// The heads that no core is working on.
struct Line<E> {
    fresh: Range<usize>,
    waiting: VecDeque<Runner<E>>,
    /// Carries of heads that are done.
    spare: Vec<Buffer<E>>,
    /// Steps that each head has made, where heads share outputs.
    made: Vec<usize>,
}

impl<E: Real> Line<E> {
    /// The next head to go on with: a fresh one as long as there are any, else the one that has waited longest.
    fn next(&mut self, carry: usize) -> Option<Runner<E>> {
        match self.fresh.next() {
            None => self.waiting.pop_front(),
            Some(head) => {
                let carry = self.spare.pop().unwrap_or_else(|| Buffer::new(carry));
                Some(Runner { head, done: 0, carry })
            }
        }
    }
}

/// Makes all steps of all heads, on up to `cores` cores.
///
/// If every core had its heads for itself, all would wait for the slowest, be it a smaller core or one that other
/// programs use, and 6 heads would take 4 cores as long as 8. So the last heads go from core to core: each core makes
/// a stretch of steps with one, puts it back, and takes the one that has waited longest. They come to their ends
/// together. A core that finds the queue empty stops: all remaining heads are being worked on.
///
/// Heads that share outputs stay with their core, one stretch after the head before them at the earliest.
#[inline(always)]
pub(crate) fn relay<S: Simd, E: Real>(simd: S, work: &impl Relay<E>, cores: usize) {
    let heads = work.heads();
    let cores = cores.min(heads);
    let alone = work.group() == 1;
    // Before the last ones, there is enough to do for a core to take whole heads.
    let whole = if cores > 1 { heads.saturating_sub(4 * cores) } else { heads };
    let made = if alone { Vec::new() } else { vec![0; heads] };
    let line = Line { fresh: 0..heads, waiting: VecDeque::new(), spare: Vec::new(), made };
    let (line, progress) = (Mutex::new(line), Condvar::new());
    let one = || {
        let (line, progress) = (&line, &progress);
        if alone {
            vectorized(simd, Alone { work, line, whole });
        } else {
            vectorized(simd, Grouped { work, line, progress });
        }
    };
    if cores == 1 { one() } else { (0..cores).into_par_iter().for_each(|_| one()) }
}

/// The part of one core, where every head has outputs of its own.
struct Alone<'a, E, R> {
    work: &'a R,
    line: &'a Mutex<Line<E>>,
    /// The number of the first head that goes from core to core.
    whole: usize,
}

impl<E: Real, R: Relay<E>> WithSimd for Alone<'_, E, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { work, line, whole } = self;
        let lock = || line.lock().expect("nobody panics who holds the line");
        let carry = work.carry(simd);
        let Some(mut runner) = lock().next(carry) else { return };
        let mut buffers = work.buffers(simd);
        loop {
            let steps = work.steps(runner.head);
            if runner.done == 0 {
                work.begin(runner.head, &mut runner.carry);
            }
            let end = if runner.head < whole { steps } else { steps.min(runner.done + stretch(steps)) };
            work.advance(simd, &mut buffers, runner.head, runner.done..end, &mut runner.carry);
            runner.done = end;
            if end == steps {
                work.end(runner.head, &runner.carry);
            }

            let mut line = lock();
            if end < steps {
                line.waiting.push_back(runner);
            } else {
                line.spare.push(runner.carry);
            }
            match line.next(carry) {
                Some(next) => runner = next,
                None => return,
            }
        }
    }
}

/// The part of one core, where heads of a group share outputs.
struct Grouped<'a, E, R> {
    work: &'a R,
    line: &'a Mutex<Line<E>>,
    /// Told of every stretch.
    progress: &'a Condvar,
}

impl<E: Real, R: Relay<E>> WithSimd for Grouped<'_, E, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { work, line, progress } = self;
        let lock = || line.lock().expect("nobody panics who holds the line");
        let carry = work.carry(simd);
        let Some(mut runner) = lock().next(carry) else { return };
        let mut buffers = work.buffers(simd);
        loop {
            let head = runner.head;
            let steps = work.steps(head);
            work.begin(head, &mut runner.carry);
            let mut done = 0;
            while done < steps {
                let mut end = steps.min(done + stretch(steps));
                if !head.is_multiple_of(work.group()) {
                    // The head before is done or some core is working on it, since heads are taken in order.
                    let mut line = lock();
                    while line.made[head - 1] <= done {
                        line = progress.wait(line).expect("nobody panics who holds the line");
                    }
                    end = end.min(line.made[head - 1]);
                }
                work.advance(simd, &mut buffers, head, done..end, &mut runner.carry);
                done = end;
                lock().made[head] = done;
                progress.notify_all();
            }
            work.end(head, &runner.carry);

            let mut line = lock();
            line.spare.push(runner.carry);
            match line.next(carry) {
                Some(next) => runner = next,
                None => return,
            }
        }
    }
}

fn stretch(steps: usize) -> usize {
    STRETCH.max(steps.div_ceil(STRETCHES))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::cpu::output::{Output, filled};
    use crate::kernel::cpu::processor_kinds::room_of;
    use pulp::Arch;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Notes how far every head is, and checks that it goes on where it was, with the carry it had.
    struct Notes<'a> {
        steps: usize,
        group: usize,
        cores: usize,
        end: Output<'a, f32>,
        done: Vec<Done>,
    }

    /// How far a head is, and a lock that its core holds: others look at the first without waiting for the second.
    #[derive(Default)]
    struct Done {
        steps: AtomicUsize,
        working: Mutex<()>,
    }

    const CARRY: usize = 5;

    impl Relay<f32> for Notes<'_> {
        type Buffers = ();

        fn buffers<S: Simd>(&self, _: S) {}

        fn heads(&self) -> usize {
            self.done.len()
        }

        fn steps(&self, _: usize) -> usize {
            self.steps
        }

        fn group(&self) -> usize {
            self.group
        }

        fn carry<S: Simd>(&self, _: S) -> usize {
            CARRY
        }

        fn begin(&self, head: usize, carry: &mut [f32]) {
            carry.fill((head * 1000) as f32);
        }

        fn advance<S: Simd>(&self, _: S, (): &mut (), head: usize, steps: Range<usize>, carry: &mut [f32]) {
            if !head.is_multiple_of(self.group) {
                assert!(self.done[head - 1].steps.load(Ordering::SeqCst) >= steps.end);
            }
            let done = &self.done[head];
            let _working = done.working.try_lock().expect("one core at a time works on a head");
            assert_eq!(done.steps.load(Ordering::SeqCst), steps.start);
            assert_eq!(carry[0], (head * 1000 + steps.start) as f32);
            carry.fill((head * 1000 + steps.end) as f32);
            done.steps.store(steps.end, Ordering::SeqCst);
        }

        fn end(&self, head: usize, carry: &[f32]) {
            // SAFETY: every head ends once.
            unsafe { self.end.write(head * CARRY, carry) };
        }
    }

    impl WithSimd for &Notes<'_> {
        type Output = ();

        fn with_simd<S: Simd>(self, simd: S) {
            relay(simd, self, self.cores);
        }
    }

    fn check(threads: usize, heads: usize, steps: usize, group: usize) {
        let mut end = room_of(vec![f32::NAN; heads * CARRY]);
        let done = (0..heads).map(|_| Done::default()).collect();
        let notes = Notes { steps, group, cores: threads, end: Output::new(&mut end), done };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| Arch::new().dispatch(&notes));
        assert!(notes.done.iter().all(|done| done.steps.load(Ordering::SeqCst) == steps), "{heads} heads");
        let wanted: Vec<_> = (0..heads * CARRY).map(|i| (i / CARRY * 1000 + steps) as f32).collect();
        // SAFETY: made of numbers.
        assert_eq!(unsafe { filled(end) }, wanted);
    }

    #[test]
    fn every_head_is_passed_over_once_and_in_order() {
        for (threads, heads, steps) in [(1, 3, 9), (2, 1, 70), (2, 2, 0), (3, 4, 70), (3, 30, 17), (8, 5, 1)]
        {
            check(threads, heads, steps, 1);
        }
    }

    #[test]
    fn a_head_of_a_group_follows_the_one_before_it() {
        for (threads, heads, steps, group) in
            [(1, 4, 9, 2), (2, 3, 70, 3), (2, 2, 0, 2), (3, 12, 70, 4), (3, 30, 17, 5), (8, 24, 1, 24)]
        {
            check(threads, heads, steps, group);
        }
    }
}
