//! Multi-query associative recall.

use super::law::Law;
use super::picture::{DOT, answered};
use super::{Coordinates, Draws, Example, MAX_TOKENS, Slice, Split};
use crate::error::ensure;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The tokens between the queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filler {
    /// The token 0, which is neither key nor value.
    Zero,
    /// Any token, keys and values included (Zoology's `random_non_queries`): at small vocabularies
    /// a filler can pass for a query, so that 100 % cannot be reached.
    Uniform,
    /// Tokens of an alphabet of their own, after keys and values: 100 % can be reached.
    Reserved(usize),
}

/// Examples of one length and number of pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqarSegment {
    /// Tokens per example, even.
    pub length: usize,
    /// Key-value pairs per example; `4 · pairs <= length`.
    pub pairs: usize,
    /// How many of the keys are bound again, to other values, before they are asked for;
    /// `4 · pairs + 2 · updates <= length`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub updates: usize,
    /// How many examples there are; 0 is endless, for fresh training data.
    #[serde(default)]
    pub examples: usize,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(value: &usize) -> bool {
    *value == 0
}

impl MqarSegment {
    fn slice(&self) -> Slice {
        let updates = (self.updates > 0).then_some(self.updates);
        Slice { pairs: Some(self.pairs), updates, ..Slice::of_length(self.length) }
    }
}

/// Multi-query associative recall.
///
/// ```text
/// k₁ v₁ k₂ v₂ … k_n v_n  ·  ·  k₂ ·  k₁ ·  ·  ·  k_n ·
///                              ↓     ↓           ↓
///                              v₂    v₁          v_n      (the token to predict)
/// ```
///
/// Keys are `1 .. V/2`, values `V/2 .. V`, both drawn without replacement. After the pairs, each
/// key comes back once, at an even distance `2g`; the slot `g` is drawn without replacement with
/// probability in proportion to `(g+1)^(power_a - 1)`, so that most queries come early and some
/// late. At the query the model must predict the value. Everything else is filler.
///
/// With `updates`, some of the keys come again after the pairs, each once and with a value that no pair had: the last
/// value counts, and the first must be forgotten.
///
/// ```text
/// k₁ v₁ k₂ v₂ … k_n v_n  k₂ v'₂ …  ·  k₁ ·  ·  k₂  ·
///                                     ↓        ↓
///                                     v₁       v'₂
/// ```
///
/// Source: Arora et al. 2023, <https://arxiv.org/abs/2312.04927> (app. E), with the law of Zoology's
/// generator (`zoology/data/multiquery_ar.py`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mqar {
    /// Keys and values together, and the token 0.
    pub vocab_size: usize,
    /// The tokens between the queries.
    pub filler: Filler,
    /// Whether the keys are dealt to the slots at random. Zoology deals them in the order of the
    /// context, so that early pairs are asked early: a shortcut that needs no keys.
    pub shuffle_queries: bool,
    /// The power of the law of the slots; 1 is uniform.
    #[serde(default = "zoology_power")]
    pub power_a: f64,
    /// The training segments.
    pub train: Vec<MqarSegment>,
    /// The test segments.
    pub test: Vec<MqarSegment>,
}

fn zoology_power() -> f64 {
    0.01
}

impl Mqar {
    fn split(&self, split: Split) -> &[MqarSegment] {
        split.of(&self.train, &self.test)
    }

    /// Whether any test binds keys again.
    fn tests_updates(&self) -> bool {
        self.test.iter().any(|segment| segment.updates > 0)
    }

    /// How many pairs of an example are bound again, as far as its tokens tell: filler that may be any token can
    /// look like more.
    fn shown_updates(&self, example: &Example) -> usize {
        let most = self.train.iter().chain(&self.test).map(|segment| segment.updates).max();
        let half = (self.vocab_size / 2) as u32;
        let values = half..self.vocab_size as u32;
        let remembered = 2 * example.answers.len();
        let pairs = example.tokens[remembered..].chunks_exact(2).take(most.unwrap_or(0)).enumerate();
        let updates = pairs.take_while(|(index, pair)| {
            let asked = example.answers.iter().any(|(position, _)| *position == remembered + 2 * index);
            !asked && (1..half).contains(&pair[0]) && values.contains(&pair[1])
        });
        updates.count()
    }
}

impl Law for Mqar {
    fn vocabulary(&self) -> usize {
        match self.filler {
            Filler::Reserved(count) => self.vocab_size.saturating_add(count),
            _ => self.vocab_size,
        }
    }

    fn segments(&self, split: Split) -> Vec<(Slice, usize)> {
        self.split(split).iter().map(|segment| (segment.slice(), segment.examples)).collect()
    }

    fn example(&self, at: Coordinates) -> Example {
        let MqarSegment { length, pairs, updates, .. } = self.split(at.split)[at.segment as usize];
        let mut draws = Draws::new(at);
        let half = self.vocab_size / 2;
        let keys: Vec<u32> =
            draws.distinct(pairs, half - 1).into_iter().map(|key| (1 + key) as u32).collect();
        let values: Vec<u32> = draws
            .distinct(pairs + updates, self.vocab_size - half)
            .into_iter()
            .map(|value| (half + value) as u32)
            .collect();
        let updated = draws.distinct(updates, pairs);
        let (first, later) = values.split_at(pairs);
        let mut last = first.to_vec();
        for (key, value) in updated.iter().zip(later) {
            last[*key] = *value;
        }

        let context = 2 * (pairs + updates);
        let slots = (length - context) / 2;
        let power = self.power_a - 1.0;
        let mut dealt = draws.weighted(pairs, (1..=slots).map(|slot| power * (slot as f64).ln()));
        if self.shuffle_queries {
            dealt = draws.distinct(pairs, pairs).into_iter().map(|key| dealt[key]).collect();
        }

        let mut tokens = Vec::with_capacity(length);
        let bound = keys.iter().chain(updated.iter().map(|key| &keys[*key]));
        tokens.extend(bound.zip(&values).flat_map(|(key, value)| [*key, *value]));
        tokens.extend((context..length).map(|_| match self.filler {
            Filler::Zero => 0,
            Filler::Uniform => draws.below(self.vocab_size) as u32,
            Filler::Reserved(count) => (self.vocab_size + draws.below(count)) as u32,
        }));
        let mut answers = Vec::with_capacity(pairs);
        for ((key, value), slot) in keys.iter().zip(&last).zip(&dealt) {
            let position = context + 2 * slot;
            tokens[position] = *key;
            answers.push((position, *value));
        }
        answers.sort_unstable();
        Example { tokens, answers, question: None }
    }

    fn chance(&self, slice: Slice) -> Vec<(&'static str, f64)> {
        let values = self.vocab_size - self.vocab_size / 2;
        let mut levels = vec![
            ("guessing any value", 1.0 / values as f64),
            ("guessing a value of the context", 1.0 / slice.difficulty() as f64),
        ];
        if self.tests_updates() {
            let updated = slice.updates.unwrap_or(0) as f64 / slice.difficulty() as f64;
            levels.push(("ignoring the updates", 1.0 - updated));
        }
        levels
    }

    /// Keys as `k17`, values as `v201`, filler as a dot; each query points at its answer.
    fn picture(&self, example: &Example) -> String {
        let remembered = 2 * example.answers.len();
        let context = remembered + 2 * self.shown_updates(example);
        let half = (self.vocab_size / 2) as u32;
        let name = |token: u32| match token {
            0 => DOT.to_string(),
            key if key < half => format!("k{key}"),
            value if (value as usize) < self.vocab_size => format!("v{value}"),
            _ => DOT.to_string(),
        };
        let line = |title: &str, positions: Range<usize>| match positions.is_empty() {
            true => String::new(),
            false => format!("  {title:<9} {}\n", answered(example, positions, name)),
        };
        [
            line("remember", 0..remembered),
            line("update", remembered..context),
            line("answer", context..example.tokens.len()),
        ]
        .concat()
    }

    fn check(&self) -> Result<(), String> {
        let Self { vocab_size, filler, power_a, .. } = self;
        ensure!(*vocab_size >= 4, "vocab_size = {vocab_size}, but at least 4 tokens are wanted");
        ensure!(
            *filler != Filler::Reserved(0),
            "the reserved filler alphabet is empty; give it at least 1 token"
        );
        let vocabulary = self.vocabulary();
        ensure!(
            vocabulary <= MAX_TOKENS,
            "vocab_size and filler are {vocabulary} tokens together, but at most {MAX_TOKENS} are wanted"
        );
        ensure!(
            power_a.is_finite(),
            "power_a = {power_a}, but a number is wanted (0.01 is usual, 1 uniform)"
        );
        let keys = vocab_size / 2 - 1;
        let values = vocab_size - vocab_size / 2;
        for (split, segments) in [("train", &self.train), ("test", &self.test)] {
            for MqarSegment { length, pairs, updates, .. } in segments {
                let segment = format!("the {split} segment of {pairs} pairs in {length} tokens");
                ensure!(
                    *pairs > 0 && length % 2 == 0 && *pairs <= length / 4,
                    "{segment}: an even length of at least 4 tokens per pair is wanted"
                );
                ensure!(*pairs <= keys, "{segment}: vocab_size = {vocab_size} gives only {keys} keys");
                ensure!(
                    updates <= pairs,
                    "{segment}: updates = {updates}, but there are only {pairs} keys to bind again"
                );
                let room = length - 4 * pairs;
                ensure!(
                    2 * updates <= room,
                    "{segment}: {updates} updates take 2 tokens each, but beside pairs and queries there is room for \
                     {room} tokens"
                );
                ensure!(
                    pairs + updates <= values,
                    "{segment}: {updates} updates want values of their own, but vocab_size = {vocab_size} gives only \
                     {values} values"
                );
            }
        }
        Ok(())
    }
}
