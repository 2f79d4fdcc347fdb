//! Which keys a query sees, and where sequences lie.

use crate::kernel::cpu::matrix::MatRef;
use std::ops::Range;

/// Queries of a tile: its columns.
pub(super) const QUERIES: usize = 64;

/// Keys of a tile: its rows.
pub(super) const KEYS: usize = 64;

/// Which keys a query sees. The places of both are counted from the first key of their sequence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    pub bidirectional: bool,
    /// At least 1.
    pub window: usize,
}

impl Reach {
    /// The keys, of `length`, that the query at `place` sees.
    #[inline(always)]
    pub fn keys(self, place: usize, length: usize) -> Range<usize> {
        let ahead = if self.bidirectional { self.window } else { 1 };
        (place + 1).saturating_sub(self.window)..place.saturating_add(ahead).min(length)
    }

    /// The places before `end` whose queries see some of `keys`, which are not none.
    #[inline(always)]
    pub fn queries(self, keys: Range<usize>, end: usize) -> Range<usize> {
        let behind = if self.bidirectional { self.window } else { 1 };
        (keys.start + 1).saturating_sub(behind)..(keys.end - 1).saturating_add(self.window).min(end)
    }

    /// Whether each query sees all of `keys`.
    #[inline(always)]
    pub fn whole(self, queries: &Range<usize>, keys: &Range<usize>, length: usize) -> bool {
        let [first, last] = [queries.start, queries.end - 1].map(|place| self.keys(place, length));
        // The first and the last key that a query sees never fall from one query to the next.
        last.start <= keys.start && keys.end <= first.end
    }
}

/// A sequence of a call: tokens, and the entries of the cache before them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sequence {
    /// The row of the tokens, and the first of them.
    pub row: usize,
    pub start: usize,
    pub tokens: usize,
    /// Whether the tokens have keys and values; else they only ask the cache.
    pub answers: bool,
    /// The row of the cache, and the first entry of it that is seen.
    pub cache_row: usize,
    pub cache_start: usize,
    pub cached: usize,
    /// The sequences before this one, and their keys and tiles of queries.
    pub number: usize,
    pub keys_before: usize,
    pub tiles_before: usize,
}

impl Sequence {
    /// All keys, those of the cache first.
    pub fn keys(&self) -> usize {
        self.cached + if self.answers { self.tokens } else { 0 }
    }

    /// Where the places of the tokens end.
    pub fn end(&self) -> usize {
        self.cached + self.tokens
    }

    pub fn tiles(&self) -> usize {
        self.tokens.div_ceil(QUERIES)
    }

    /// The tokens of a tile of queries.
    pub fn tile(&self, tile: usize) -> Range<usize> {
        tile * QUERIES..self.tokens.min((tile + 1) * QUERIES)
    }

    /// The places of tokens.
    pub fn places(&self, tokens: &Range<usize>) -> Range<usize> {
        self.cached + tokens.start..self.cached + tokens.end
    }
}

/// Rows of channels in a tensor `[rows, tokens, heads, channels]`, of which heads and channels lie together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows<'a, E> {
    pub numbers: &'a [E],
    pub row_stride: usize,
    pub token_stride: usize,
    pub channels: usize,
}

impl<'a, E> Rows<'a, E> {
    #[inline(always)]
    pub fn at(&self, row: usize, token: usize, head: usize) -> &'a [E] {
        &self.numbers[row * self.row_stride + token * self.token_stride + head * self.channels..]
            [..self.channels]
    }

    /// A head of a token and of those after it.
    #[inline(always)]
    pub fn from(&self, row: usize, token: usize, head: usize) -> MatRef<'a, E> {
        let first = row * self.row_stride + token * self.token_stride + head * self.channels;
        MatRef::new(&self.numbers[first..], self.token_stride)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_and_keys_see_each_other() {
        let length = 13;
        for bidirectional in [false, true] {
            for window in [1, 2, 5, usize::MAX] {
                let reach = Reach { bidirectional, window };
                let sees = |place: usize, key: usize| {
                    place.abs_diff(key) < window && (bidirectional || key <= place)
                };
                for place in 0..length {
                    for key in 0..length {
                        assert_eq!(reach.keys(place, length).contains(&key), sees(place, key));
                        assert_eq!(reach.queries(key..key + 1, length).contains(&place), sees(place, key));
                        for (more_places, more_keys) in [(1, 1), (2, 3), (4, 1)] {
                            let (places, keys) = (place..place + more_places, key..key + more_keys);
                            if places.end > length || keys.end > length {
                                continue;
                            }
                            let pairs = || places.clone().flat_map(|p| keys.clone().map(move |k| (p, k)));
                            assert_eq!(reach.whole(&places, &keys, length), pairs().all(|(p, k)| sees(p, k)));
                            let all = reach.queries(keys.clone(), length);
                            assert!(pairs().all(|(p, k)| !sees(p, k) || all.contains(&p)));
                        }
                    }
                }
            }
        }
    }
}
