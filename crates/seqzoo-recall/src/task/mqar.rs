//! Multi-query associative recall.

use super::law::Law;
use super::{Coordinates, Draws, Example, MAX_TOKENS, Slice, Split};
use crate::error::ensure;
use serde::{Deserialize, Serialize};

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
    /// How many examples there are; 0 is endless, for fresh training data.
    #[serde(default)]
    pub examples: usize,
}

impl MqarSegment {
    fn slice(&self) -> Slice {
        Slice { pairs: Some(self.pairs), ..Slice::of_length(self.length) }
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
        match split {
            Split::Train => &self.train,
            Split::Test => &self.test,
        }
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
        let MqarSegment { length, pairs, .. } = self.split(at.split)[at.segment as usize];
        let mut draws = Draws::new(at);
        let half = self.vocab_size / 2;
        let keys: Vec<u32> =
            draws.distinct(pairs, half - 1).into_iter().map(|key| (1 + key) as u32).collect();
        let values: Vec<u32> = draws
            .distinct(pairs, self.vocab_size - half)
            .into_iter()
            .map(|value| (half + value) as u32)
            .collect();

        let context = 2 * pairs;
        let slots = (length - context) / 2;
        let power = self.power_a - 1.0;
        let mut dealt = draws.weighted(pairs, (1..=slots).map(|slot| power * (slot as f64).ln()));
        if self.shuffle_queries {
            dealt = draws.distinct(pairs, pairs).into_iter().map(|key| dealt[key]).collect();
        }

        let mut tokens = Vec::with_capacity(length);
        tokens.extend(keys.iter().zip(&values).flat_map(|(key, value)| [*key, *value]));
        tokens.extend((context..length).map(|_| match self.filler {
            Filler::Zero => 0,
            Filler::Uniform => draws.below(self.vocab_size) as u32,
            Filler::Reserved(count) => (self.vocab_size + draws.below(count)) as u32,
        }));
        let mut answers = Vec::with_capacity(pairs);
        for ((key, value), slot) in keys.iter().zip(&values).zip(&dealt) {
            let position = context + 2 * slot;
            tokens[position] = *key;
            answers.push((position, *value));
        }
        answers.sort_unstable();
        Example { tokens, answers, question: None }
    }

    fn chance(&self, slice: Slice) -> Vec<(&'static str, f64)> {
        let values = self.vocab_size - self.vocab_size / 2;
        vec![
            ("guessing any value", 1.0 / values as f64),
            ("guessing a value of the context", 1.0 / slice.difficulty() as f64),
        ]
    }

    /// Keys as `k17`, values as `v201`, filler as a dot; each query points at its answer.
    fn picture(&self, example: &Example) -> String {
        let context = 2 * example.answers.len();
        let half = (self.vocab_size / 2) as u32;
        let name = |token: u32| match token {
            0 => "·".to_string(),
            key if key < half => format!("k{key}"),
            value if (value as usize) < self.vocab_size => format!("v{value}"),
            _ => "·".to_string(),
        };
        let words = example.tokens.iter().enumerate().map(|(position, token)| {
            match example.answers.iter().find(|(asked, _)| *asked == position) {
                Some((_, answer)) => format!("{}→{}", name(*token), name(*answer)),
                None => name(*token),
            }
        });
        let words: Vec<String> = words.collect();
        format!("  remember  {}\n  answer    {}\n", words[..context].join(" "), words[context..].join(" "))
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
        for (split, segments) in [("train", &self.train), ("test", &self.test)] {
            for MqarSegment { length, pairs, .. } in segments {
                let segment = format!("the {split} segment of {pairs} pairs in {length} tokens");
                ensure!(
                    *pairs > 0 && length % 2 == 0 && *pairs <= length / 4,
                    "{segment}: an even length of at least 4 tokens per pair is wanted"
                );
                ensure!(*pairs <= keys, "{segment}: vocab_size = {vocab_size} gives only {keys} keys");
            }
        }
        Ok(())
    }
}
