//! Keys and values as the passes read them: each head together, rows padded to whole vectors, and all finite.

use super::call::Call;
use super::places::Sequence;
use crate::kernel::cpu::lanes::{Real, lanes};
use crate::kernel::cpu::matrix::MatRef;
use crate::kernel::cpu::output::{Output, filled, room};
use crate::kernel::cpu::queue::{Tasks, share};
use pulp::Simd;
use std::sync::atomic::{AtomicBool, Ordering};

/// The keys and values of all sequences.
///
/// A weight of 0 does not hide a number that is not finite. So where there is one, the key and the value are zeros here, and
/// every query that sees them is known to be [`spoiled`](Self::spoiled).
pub(super) struct Packed<E> {
    keys: Vec<E>,
    values: Vec<E>,
    pub key_width: usize,
    pub value_width: usize,
    key_heads: usize,
    /// Of every sequence and head, how many keys before each are not finite; absent where all are.
    wild: Option<Vec<u32>>, // [hk, keys + 1]
}

/// `channels`, padded to whole vectors.
pub(super) fn padded<S: Simd, E: Real>(channels: usize) -> usize {
    channels.next_multiple_of(lanes::<S, E>())
}

/// Whether all numbers are finite.
#[inline(always)]
pub(super) fn finite<S: Simd, E: Real>(simd: S, numbers: &[E]) -> bool {
    let zero = E::splat(simd, E::default());
    let whole = numbers.len() / lanes::<S, E>() * lanes::<S, E>();
    // A number that is not finite times 0 is NaN.
    let mut sum = zero;
    for vector in E::vectors::<S>(numbers) {
        sum = E::mul_add(simd, *vector, zero, sum);
    }
    let mut sum = E::sum(simd, sum);
    for number in &numbers[whole..] {
        sum += *number * E::default();
    }
    sum == E::default()
}

impl<E: Real> Packed<E> {
    #[inline(always)]
    pub fn new<S: Simd>(simd: S, call: &Call<'_, E>, cores: usize) -> Self {
        let key_width = padded::<S, E>(call.key.channels);
        let value_width = padded::<S, E>(call.value.channels);
        let count = call.keys() * call.key_heads;
        let (mut keys, mut values) = (room(count * key_width), room(count * value_width));
        let wild = AtomicBool::new(false);
        let pack = Pack {
            call,
            key_width,
            value_width,
            keys: Output::new(&mut keys),
            values: Output::new(&mut values),
            wild: &wild,
        };
        share(simd, &pack, cores);
        // SAFETY: the tasks write the keys and values of every sequence and head.
        let (keys, values) = unsafe { (filled(keys), filled(values)) };
        let wild = wild.into_inner().then(|| wild_before(simd, call));
        Self { keys, values, key_width, value_width, key_heads: call.key_heads, wild }
    }

    fn first(&self, sequence: &Sequence, head: usize) -> usize {
        sequence.keys_before * self.key_heads + head * sequence.keys()
    }

    /// The keys of a sequence and head from `key` on.
    #[inline(always)]
    pub fn keys(&self, sequence: &Sequence, head: usize, key: usize) -> MatRef<'_, E> {
        MatRef::new(&self.keys[(self.first(sequence, head) + key) * self.key_width..], self.key_width)
    }

    /// The values of a sequence and head from `key` on.
    #[inline(always)]
    pub fn values(&self, sequence: &Sequence, head: usize, key: usize) -> MatRef<'_, E> {
        MatRef::new(&self.values[(self.first(sequence, head) + key) * self.value_width..], self.value_width)
    }

    /// Whether the query of a token, or a key or value that it sees, is not finite.
    #[inline(always)]
    pub fn spoiled<S: Simd>(
        &self,
        simd: S,
        call: &Call<'_, E>,
        sequence: &Sequence,
        head: usize,
        token: usize,
    ) -> bool {
        let query = call.query.at(sequence.row, sequence.start + token, head);
        if !finite(simd, query) {
            return true;
        }
        let Some(wild) = &self.wild else { return false };
        let key_head = head / call.group();
        let first =
            (sequence.keys_before + sequence.number) * self.key_heads + key_head * (sequence.keys() + 1);
        let place = sequence.cached + token;
        let mut seen = call.reach.keys(place, sequence.keys());
        if call.is_landmark(sequence, place) {
            seen.end = place; // It does not see itself.
        }
        wild[first + seen.start] != wild[first + seen.end]
    }
}

/// Whether a key and its value are finite. The value of a landmark does not count.
#[inline(always)]
fn tame<S: Simd, E: Real>(simd: S, call: &Call<'_, E>, sequence: &Sequence, key: usize, head: usize) -> bool {
    let [numbers, value] = call.entry(sequence, key, head);
    finite(simd, numbers) && (call.is_landmark(sequence, key) || finite(simd, value))
}

fn wild_before<S: Simd, E: Real>(simd: S, call: &Call<'_, E>) -> Vec<u32> {
    let mut before = Vec::new();
    for sequence in &call.sequences {
        for head in 0..call.key_heads {
            let mut count = 0;
            before.push(count);
            before.extend((0..sequence.keys()).map(|key| {
                count += u32::from(!tame(simd, call, sequence, key, head));
                count
            }));
        }
    }
    before
}

/// Packs a sequence and head per task.
struct Pack<'a, E> {
    call: &'a Call<'a, E>,
    key_width: usize,
    value_width: usize,
    keys: Output<'a, E>,
    values: Output<'a, E>,
    wild: &'a AtomicBool,
}

impl<E: Real> Tasks for Pack<'_, E> {
    type Buffers = ();

    fn buffers<S: Simd>(&self, _: S) {}

    fn count(&self) -> usize {
        self.call.sequences.len() * self.call.key_heads
    }

    #[inline(always)]
    fn run<S: Simd>(&self, simd: S, (): &mut (), task: usize) {
        let Self { call, key_width, value_width, .. } = self;
        let (sequence, head) = (&call.sequences[task / call.key_heads], task % call.key_heads);
        let zeros = vec![E::default(); *key_width.max(value_width)];
        let first = sequence.keys_before * call.key_heads + head * sequence.keys();
        for key in 0..sequence.keys() {
            let entry = call.entry(sequence, key, head);
            let tame = tame(simd, call, sequence, key, head);
            if !tame {
                self.wild.store(true, Ordering::Relaxed);
            }
            for (numbers, width, to) in
                [(entry[0], *key_width, &self.keys), (entry[1], *value_width, &self.values)]
            {
                let kept = if tame && finite(simd, numbers) { numbers.len() } else { 0 };
                let place = (first + key) * width;
                // SAFETY: the rows of this sequence and head are this task's alone.
                unsafe {
                    to.write(place, &numbers[..kept]);
                    to.write(place + kept, &zeros[..width - kept]);
                }
            }
        }
    }
}
