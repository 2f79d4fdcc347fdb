//! A needle in a haystack, token by token.

use super::grid::{Grid, NeedleTests, offset};
use super::haystack::Haystack;
use super::hidden::{Counts, Hidden, Needles, one};
use super::law::Law;
use super::picture::{DOT, answered, condensed};
use super::{Coordinates, Draws, Example, LengthSegment, MAX_LENGTH, MAX_TOKENS, Slice, Split};
use crate::error::ensure;
use serde::{Deserialize, Serialize};

/// Says that a needle follows.
const MARK: u32 = 0;
/// Says that a key follows whose values are wanted.
const ASK: u32 = 1;
/// Tokens before the keys.
const SIGNS: usize = 2;

/// A needle in a haystack: a marked key with its value lies somewhere in filler, and is asked for at the end.
///
/// ```text
/// · · · · · ◆ k v₁ v₂ … v_m · · · · · · · · · ? k v₁ … v_{m-1}
///                                              ↓ ↓      ↓
///                                              v₁ v₂ …  v_m    (the tokens to predict)
/// ```
///
/// An example counts as right only if all tokens of the answer are (exact match). The answer's own tokens are
/// given one by one: a model that says all of them right would say the same if it read its own words.
///
/// The variants of RULER are settings: one needle in a repeating haystack (S1), a value of several tokens in
/// text-like filler (S2), a long value (S3), several needles of which one is asked for (MK), several values of
/// one key (MV), several questions (MQ). Where one needle is asked for, tests place it at given depths, and the
/// others anywhere.
///
/// Source: Hsieh et al. 2024, <https://arxiv.org/abs/2404.06654> (sec. 3, app. B), at the level of tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Needle {
    /// What surrounds the needles.
    pub haystack: Haystack,
    /// The size of the alphabet of keys.
    pub keys: usize,
    /// The size of the alphabet that values are written in.
    pub symbols: usize,
    /// Tokens of a value.
    pub value_length: usize,
    /// How many keys are hidden.
    #[serde(default = "one")]
    pub needles: usize,
    /// How many values every key has, each in a needle of its own.
    #[serde(default = "one")]
    pub values: usize,
    /// How many of the keys are asked for, one after the other.
    #[serde(default = "one")]
    pub queries: usize,
    /// The training segments. Lengths hold the question.
    pub train: Vec<LengthSegment>,
    /// The test segments.
    pub test: NeedleTests,
}

impl Needle {
    /// Tokens of one needle: the sign, the key, the value.
    fn needle_length(&self) -> usize {
        self.value_length.saturating_add(2)
    }

    /// Tokens of the answer to one question.
    fn answer_length(&self) -> usize {
        self.values.saturating_mul(self.value_length)
    }

    /// Tokens of all questions: the sign, the key, and the answer but for its last token.
    fn question_length(&self) -> usize {
        self.queries.saturating_mul(self.answer_length().saturating_add(1))
    }

    /// Tokens of an example without any filler.
    fn least_length(&self) -> usize {
        let needles = self.counts().all().saturating_mul(self.needle_length());
        needles.saturating_add(self.question_length())
    }

    fn key_token(key: usize) -> u32 {
        (SIGNS + key) as u32
    }

    fn symbol_token(&self, symbol: usize) -> u32 {
        (SIGNS + self.keys + symbol) as u32
    }

    fn first_filler(&self) -> usize {
        self.keys.saturating_add(self.symbols).saturating_add(SIGNS)
    }

    fn counts(&self) -> Counts {
        Counts { needles: self.needles, values: self.values, queries: self.queries }
    }

    fn grid(&self) -> Grid<'_> {
        Grid { train: &self.train, test: &self.test }
    }

    /// The needles, each after so many tokens of filler. Only the first may be at a depth.
    fn hide(&self, draws: &mut Draws, filler: usize, depth: Option<usize>) -> Needles<u32, Vec<u32>> {
        let mut needles = Vec::with_capacity(self.counts().all());
        for key in draws.distinct(self.needles, self.keys) {
            for _ in 0..self.values {
                let value =
                    (0..self.value_length).map(|_| self.symbol_token(draws.below(self.symbols))).collect();
                let anywhere = draws.below(filler + 1);
                let depth = depth.filter(|_| needles.is_empty());
                let place = depth.map_or(anywhere, |depth| offset(filler, depth));
                needles.push(Hidden { key: Self::key_token(key), value, place });
            }
        }
        Needles::new(needles, draws)
    }
}

impl Law for Needle {
    fn vocabulary(&self) -> usize {
        self.first_filler().saturating_add(self.haystack.symbols())
    }

    fn segments(&self, split: Split) -> Vec<(Slice, usize)> {
        self.grid().segments(split)
    }

    fn example(&self, at: Coordinates) -> Example {
        let Slice { length, depth, .. } = self.grid().slice(at.split, at.segment as usize);
        let mut draws = Draws::new(at);
        let filler = length - self.least_length();
        let needles = self.hide(&mut draws, filler, depth);
        let first_filler = self.first_filler() as u32;
        let mut hay = self.haystack.filler(&mut draws).map(|symbol| first_filler + symbol);
        let mut tokens = Vec::with_capacity(length);
        let mut laid = 0;
        for needle in needles.in_order() {
            tokens.extend(hay.by_ref().take(needle.place - laid));
            laid = needle.place;
            tokens.extend([MARK, needle.key]);
            tokens.extend(&needle.value);
        }
        tokens.extend(hay.take(filler - laid));

        let question = tokens.len();
        let mut answers = Vec::with_capacity(self.queries * self.answer_length());
        for (key, values) in needles.asked(self.counts()) {
            tokens.extend([ASK, *key]);
            let said: Vec<u32> = values.into_iter().flatten().copied().collect();
            answers.extend(said.iter().enumerate().map(|(index, token)| (tokens.len() - 1 + index, *token)));
            tokens.extend(&said[..said.len() - 1]);
        }
        Example { tokens, answers, question: Some(question) }
    }

    fn whole(&self) -> bool {
        true
    }

    fn chance(&self, _: Slice) -> Vec<(&'static str, f64)> {
        let tokens = (self.answer_length() * self.queries) as f64;
        let any = ("guessing any value", (self.symbols as f64).powf(-tokens));
        [any].into_iter().chain(self.counts().chance(0)).collect()
    }

    /// Filler as a count, keys as `k5`, values as `v3`; the question points at its answer.
    fn picture(&self, example: &Example) -> String {
        let question = example.question.unwrap_or(example.tokens.len());
        let name = |token: u32| match token as usize {
            0 => "◆".to_string(),
            1 => "?".to_string(),
            key if key < SIGNS + self.keys => format!("k{}", key - SIGNS),
            value if value < self.first_filler() => format!("v{}", value - SIGNS - self.keys),
            _ => DOT.to_string(),
        };
        let haystack = condensed(example.tokens[..question].iter().map(|token| name(*token)));
        let asked = answered(example, question..example.tokens.len(), name);
        format!("  haystack  {haystack}\n  question  {asked}\n")
    }

    fn check(&self) -> Result<(), String> {
        let Self { keys, symbols, value_length, needles, .. } = self;
        self.counts().check()?;
        ensure!((1..=MAX_LENGTH).contains(value_length), "`value_length` must be 1 to {MAX_LENGTH}");
        ensure!(*symbols >= 2, "symbols = {symbols}, but a value of fewer than 2 symbols tells nothing");
        ensure!(needles <= keys, "{needles} needles want as many keys, but keys = {keys}");
        let vocabulary = self.vocabulary();
        ensure!(
            vocabulary <= MAX_TOKENS,
            "keys, symbols and filler are {vocabulary} tokens together, but at most {MAX_TOKENS} are wanted"
        );
        self.grid().check(self.counts().asks_one(), self.least_length(), "tokens")
    }
}
