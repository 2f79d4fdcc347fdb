//! What both passes read.

use super::places::{Reach, Rows, Sequence};
use super::sums::LogDecays;
use crate::kernel::cpu::matrix::MatRef;

/// The arguments of a call.
pub(super) struct Call<'a, E> {
    pub query: Rows<'a, E>,              // [b, t, h, k]
    pub key: Rows<'a, E>,                // [b, t, hk, k]
    pub value: Rows<'a, E>,              // [b, t, hk, v]
    pub cache: Option<[Rows<'a, E>; 2]>, // [n, s, hk, k] and [n, s, hk, v]
    pub log_decays: Option<LogDecays>,
    pub sequences: Vec<Sequence>,
    /// Of every sequence, which of its keys are landmarks.
    pub landmarks: Option<&'a [Vec<usize>]>,
    pub heads: usize,
    pub key_heads: usize,
    pub scale: f64,
    pub reach: Reach,
}

impl<'a, E> Call<'a, E> {
    /// Query heads that share a key head.
    pub fn group(&self) -> usize {
        self.heads / self.key_heads
    }

    /// Which keys of a sequence are landmarks.
    #[inline(always)]
    pub fn landmarks(&self, sequence: &Sequence) -> Option<&'a [usize]> {
        Some(&self.landmarks?[sequence.number])
    }

    /// Whether a key is a landmark, whose value is never read.
    #[inline(always)]
    pub fn is_landmark(&self, sequence: &Sequence, key: usize) -> bool {
        self.landmarks(sequence).is_some_and(|landmarks| landmarks.binary_search(&key).is_ok())
    }

    /// A key and its value: of the cache, or of a token.
    #[inline(always)]
    pub fn entry(&self, sequence: &Sequence, key: usize, head: usize) -> [&'a [E]; 2] {
        match &self.cache {
            Some([keys, values]) if key < sequence.cached => {
                let at = |rows: &Rows<'a, E>| rows.at(sequence.cache_row, sequence.cache_start + key, head);
                [at(keys), at(values)]
            }
            _ => {
                let token = sequence.start + key - sequence.cached;
                [self.key.at(sequence.row, token, head), self.value.at(sequence.row, token, head)]
            }
        }
    }

    /// The keys and values of a head from `key` on, as far as the cache goes, or the tokens.
    #[inline(always)]
    pub fn entries(&self, sequence: &Sequence, key: usize, head: usize) -> [MatRef<'a, E>; 2] {
        match &self.cache {
            Some([keys, values]) if key < sequence.cached => {
                let from =
                    |rows: &Rows<'a, E>| rows.from(sequence.cache_row, sequence.cache_start + key, head);
                [from(keys), from(values)]
            }
            _ => {
                let token = sequence.start + key - sequence.cached;
                [self.key.from(sequence.row, token, head), self.value.from(sequence.row, token, head)]
            }
        }
    }

    /// All keys of all sequences.
    pub fn keys(&self) -> usize {
        self.sequences.last().map_or(0, |last| last.keys_before + last.keys())
    }

    /// All tiles of queries.
    pub fn tiles(&self) -> usize {
        self.sequences.last().map_or(0, |last| last.tiles_before + last.tiles())
    }

    /// Pairs of a query and a key that are looked at, roughly, of all heads.
    pub fn pairs(&self) -> f64 {
        let seen = |sequence: &Sequence| {
            let keys = sequence.keys() as f64;
            let reach = (self.reach.window as f64).min(keys);
            sequence.tokens as f64 * reach
        };
        self.heads as f64 * self.sequences.iter().map(seen).sum::<f64>()
    }
}
