//! What tasks share that hide several needles: how many there are, the order they lie in, and which are asked for.

use super::{Draws, MAX_LENGTH};
use crate::error::ensure;

/// What a count is where nothing else is said.
pub(super) fn one() -> usize {
    1
}

/// How many needles there are.
#[derive(Clone, Copy)]
pub(super) struct Counts {
    /// How many keys are hidden.
    pub needles: usize,
    /// How many values every key has, each in a needle of its own.
    pub values: usize,
    /// How many of the keys, the first ones, are asked for.
    pub queries: usize,
}

impl Counts {
    /// All needles together.
    pub fn all(self) -> usize {
        self.needles.saturating_mul(self.values)
    }

    /// Whether one needle alone answers the question, so that its depth means something.
    pub fn asks_one(self) -> bool {
        self.queries == 1 && self.values == 1
    }

    /// The accuracy of saying the value of any needle, with `others` that are not asked for; nothing where that is no
    /// guess, or answers no question.
    pub fn chance(self, others: usize) -> Option<(&'static str, f64)> {
        let hidden = self.needles + others;
        (hidden > 1 && self.queries == 1).then_some(("guessing a value of the haystack", 1.0 / hidden as f64))
    }

    /// Says in one sentence what is wrong with the counts, if anything is.
    pub fn check(self) -> Result<(), String> {
        let Self { needles, values, queries } = self;
        ensure!(
            [needles, values, queries].iter().all(|count| (1..=MAX_LENGTH).contains(count)),
            "`needles`, `values` and `queries` must be 1 to {MAX_LENGTH}"
        );
        ensure!(queries <= needles, "queries = {queries}, but only {needles} keys are hidden");
        Ok(())
    }
}

/// A key, one of its values, and the place where they lie.
pub(super) struct Hidden<K, V> {
    pub key: K,
    pub value: V,
    pub place: usize,
}

/// The needles of an example: those of the first key, of the second, and so on.
pub(super) struct Needles<K, V> {
    hidden: Vec<Hidden<K, V>>,
    /// Their numbers from the start of the haystack to its end.
    order: Vec<usize>,
}

impl<K: PartialEq, V> Needles<K, V> {
    /// Needles at their places. Those at one place come in any order.
    pub fn new(hidden: Vec<Hidden<K, V>>, draws: &mut Draws) -> Self {
        let mut order = draws.distinct(hidden.len(), hidden.len());
        order.sort_by_key(|index| hidden[*index].place);
        Self { hidden, order }
    }

    /// The needles from the start of the haystack to its end.
    pub fn in_order(&self) -> impl Iterator<Item = &Hidden<K, V>> {
        self.order.iter().map(|index| &self.hidden[*index])
    }

    /// The keys that are asked for, each with its values in the order of the haystack.
    pub fn asked(&self, counts: Counts) -> impl Iterator<Item = (&K, Vec<&V>)> {
        let keys = self.hidden.chunks(counts.values).take(counts.queries).map(|needles| &needles[0].key);
        keys.map(move |key| {
            let its = self.in_order().filter(|needle| needle.key == *key);
            (key, its.map(|needle| &needle.value).collect())
        })
    }
}
