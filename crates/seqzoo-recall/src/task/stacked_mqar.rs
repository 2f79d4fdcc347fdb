//! Multi-query associative recall with key and value at the same position.

use super::law::Law;
use super::picture::answered;
use super::{Coordinates, Draws, Example, MAX_LENGTH, MAX_TOKENS, Slice, Split};
use crate::error::ensure;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The segment of the streams that the embedding is drawn from, which no example has.
const EMBEDDING: u64 = u64::MAX;

/// Examples of one number of pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StackedSegment {
    /// Key-value pairs per example.
    pub pairs: usize,
    /// How many examples there are; 0 is endless, for fresh training data.
    #[serde(default)]
    pub examples: usize,
}

/// Multi-query associative recall in which a position holds a key and its value: the raw memory of one layer, which has
/// nothing to shift and needs no convolution.
///
/// ```text
/// k₃:v₃ k₁:v₁ … k_n:v_n  k₁ k_n … k₃
///                        ↓  ↓     ↓
///                        v₁ v_n   v₃    (the token to predict)
/// ```
///
/// Keys and values are drawn without replacement, independently of each other, for every example. The pairs come in
/// random order, with `passes` that often and every time in another one; then every key is asked for once, in random
/// order.
///
/// A token is a pair: `0 .. values` are a value without a key (the answers), the next `keys` a key without a value (the
/// queries), and then comes `(k, v)` as `values + keys + k · values + v`. The model's embedding is given and stays as it
/// is: the row of a token is the vector of its key and then that of its value, each half the width, of length 1, and 0
/// where there is none. The vectors are drawn uniformly from the sphere by the seed of the run. Only the answers compete:
/// a model with tied embeddings compares what it says with the vectors of all values.
///
/// Source: the continuous variant of MQAR in Zoology (`zoology/data/multiquery_ar.py`). There a linear
/// layer leads from vectors of twice the width into the model, and another out of it; here the layer's own projections do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StackedMqar {
    /// The size of the alphabet of keys.
    #[serde(default = "usual_alphabet")]
    pub keys: usize,
    /// The size of the alphabet of values.
    #[serde(default = "usual_alphabet")]
    pub values: usize,
    /// How often the pairs are listed.
    #[serde(default = "once")]
    pub passes: usize,
    /// The training segments.
    pub train: Vec<StackedSegment>,
    /// The test segments.
    pub test: Vec<StackedSegment>,
}

fn usual_alphabet() -> usize {
    64
}

fn once() -> usize {
    1
}

impl StackedMqar {
    fn split(&self, split: Split) -> &[StackedSegment] {
        split.of(&self.train, &self.test)
    }

    fn slice(&self, pairs: usize) -> Slice {
        let length = self.passes.saturating_add(1).saturating_mul(pairs);
        Slice { pairs: Some(pairs), ..Slice::of_length(length) }
    }

    fn key_token(&self, key: usize) -> u32 {
        (self.values + key) as u32
    }

    fn first_pair(&self) -> usize {
        self.values.saturating_add(self.keys)
    }

    fn pair_token(&self, key: usize, value: usize) -> u32 {
        (self.first_pair() + key * self.values + value) as u32
    }

    /// The vector of a key or value, by the token that it is alone.
    fn vector(token: usize, width: usize, seed: u64) -> Vec<f32> {
        let at = Coordinates { seed, split: Split::Train, segment: EMBEDDING, index: token as u64 };
        let mut draws = Draws::new(at);
        let vector: Vec<f64> = (0..width).map(|_| draws.normal()).collect();
        let length = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
        vector.into_iter().map(|x| (x / length) as f32).collect()
    }
}

impl Law for StackedMqar {
    fn vocabulary(&self) -> usize {
        self.keys.saturating_mul(self.values).saturating_add(self.first_pair())
    }

    fn segments(&self, split: Split) -> Vec<(Slice, usize)> {
        self.split(split).iter().map(|segment| (self.slice(segment.pairs), segment.examples)).collect()
    }

    fn example(&self, at: Coordinates) -> Example {
        let StackedSegment { pairs, .. } = self.split(at.split)[at.segment as usize];
        let mut draws = Draws::new(at);
        let keys = draws.distinct(pairs, self.keys);
        let values = draws.distinct(pairs, self.values);
        let mut tokens = Vec::with_capacity((self.passes + 1) * pairs);
        for _ in 0..self.passes {
            let order = draws.distinct(pairs, pairs);
            tokens.extend(order.into_iter().map(|pair| self.pair_token(keys[pair], values[pair])));
        }
        let question = tokens.len();
        let asked = draws.distinct(pairs, pairs);
        tokens.extend(asked.iter().map(|pair| self.key_token(keys[*pair])));
        let answers = asked.into_iter().map(|pair| values[pair] as u32);
        Example { tokens, answers: (question..).zip(answers).collect(), question: Some(question) }
    }

    fn answer_tokens(&self) -> Option<usize> {
        Some(self.values)
    }

    fn embedding(&self, width: usize, seed: u64) -> Option<Vec<f32>> {
        let half = width / 2;
        let vectors: Vec<Vec<f32>> =
            (0..self.first_pair()).map(|token| Self::vector(token, half, seed)).collect();
        let (values, keys) = vectors.split_at(self.values);
        let nothing = vec![0.0; half];
        let mut table = Vec::with_capacity(self.vocabulary() * width);
        let mut row = |key: &[f32], value: &[f32]| {
            table.extend_from_slice(key);
            table.extend_from_slice(value);
        };
        values.iter().for_each(|value| row(&nothing, value));
        keys.iter().for_each(|key| row(key, &nothing));
        keys.iter().for_each(|key| values.iter().for_each(|value| row(key, value)));
        Some(table)
    }

    fn chance(&self, slice: Slice) -> Vec<(&'static str, f64)> {
        vec![
            ("guessing any value", 1.0 / self.values as f64),
            ("guessing a value of the context", 1.0 / slice.difficulty() as f64),
        ]
    }

    /// A pair as `k17:v20`; each query points at its answer.
    fn picture(&self, example: &Example) -> String {
        let question = example.question.unwrap_or(example.tokens.len());
        let name = |token: u32| match token as usize {
            value if value < self.values => format!("v{value}"),
            key if key < self.first_pair() => format!("k{}", key - self.values),
            pair => {
                let pair = pair - self.first_pair();
                format!("k{}:v{}", pair / self.values, pair % self.values)
            }
        };
        let line = |title: &str, positions: Range<usize>| {
            format!("  {title:<9} {}\n", answered(example, positions, name))
        };
        line("remember", 0..question) + &line("answer", question..example.tokens.len())
    }

    fn check(&self) -> Result<(), String> {
        let Self { keys, values, passes, .. } = self;
        ensure!(*keys >= 1, "keys = 0, but at least 1 key is wanted");
        ensure!(*values >= 2, "values = {values}, but fewer than 2 values tell nothing");
        ensure!((1..=MAX_LENGTH).contains(passes), "passes = {passes}, but 1 to {MAX_LENGTH} are wanted");
        let vocabulary = self.vocabulary();
        ensure!(
            vocabulary <= MAX_TOKENS,
            "keys, values and pairs of them are {vocabulary} tokens together, but at most {MAX_TOKENS} are wanted"
        );
        for (split, segments) in [("train", &self.train), ("test", &self.test)] {
            for StackedSegment { pairs, .. } in segments {
                ensure!(
                    (1..=*keys.min(values)).contains(pairs),
                    "the {split} segment of {pairs} pairs: at least 1 is wanted, and as many keys and values as pairs, but \
                     keys = {keys} and values = {values}"
                );
            }
        }
        Ok(())
    }

    fn check_width(&self, width: usize) -> Result<(), String> {
        ensure!(
            width.is_multiple_of(2),
            "its width is {width}, but an even one is wanted: half for the key, half for the value"
        );
        Ok(())
    }
}
