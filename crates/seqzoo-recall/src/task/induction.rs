//! Induction heads: what followed the trigger?

use super::law::Law;
use super::picture::{DOT, answered, condensed};
use super::{Coordinates, Draws, Example, LengthSegment, MAX_TOKENS, Slice, Split};
use crate::error::ensure;
use serde::{Deserialize, Serialize};

/// The trigger, what follows it, and the trigger again.
const MIN_LENGTH: usize = 3;

/// Induction heads: a trigger stands somewhere among random tokens, and again at the end. What followed it?
///
/// ```text
/// x₁ x₂ ◆ x₄ x₅ x₆ … x_{t-1} ◆
///                            ↓
///                            x₄      (the token to predict)
/// ```
///
/// The trigger occurs these two times only, the first time anywhere before the last token but one. Everything else is
/// drawn uniformly from the ordinary tokens: one of them must be kept, for as long as the example may last, and all
/// others ignored.
///
/// Source: Gu and Dao 2023, <https://arxiv.org/abs/2312.00752> (sec. 4.1.2, app. E.1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Induction {
    /// The ordinary tokens; the trigger comes after them.
    pub vocab_size: usize,
    /// The training segments. Lengths hold both triggers, and are at least 3.
    pub train: Vec<LengthSegment>,
    /// The test segments.
    pub test: Vec<LengthSegment>,
}

impl Induction {
    fn split(&self, split: Split) -> &[LengthSegment] {
        split.of(&self.train, &self.test)
    }

    fn trigger(&self) -> u32 {
        self.vocab_size as u32
    }
}

impl Law for Induction {
    fn vocabulary(&self) -> usize {
        self.vocab_size.saturating_add(1)
    }

    fn segments(&self, split: Split) -> Vec<(Slice, usize)> {
        LengthSegment::slices(self.split(split))
    }

    fn example(&self, at: Coordinates) -> Example {
        let length = self.split(at.split)[at.segment as usize].length;
        let mut draws = Draws::new(at);
        let last = length - 1;
        let first = draws.below(last - 1);
        let mut tokens: Vec<u32> = (0..length).map(|_| draws.below(self.vocab_size) as u32).collect();
        tokens[first] = self.trigger();
        tokens[last] = self.trigger();
        let answers = vec![(last, tokens[first + 1])];
        Example { tokens, answers, question: Some(last) }
    }

    fn chance(&self, _: Slice) -> Vec<(&'static str, f64)> {
        vec![("guessing any token", 1.0 / self.vocab_size as f64)]
    }

    /// The trigger as `◆`, what follows it as `t5`, all else as a count; the question points at its answer.
    fn picture(&self, example: &Example) -> String {
        let question = example.tokens.len() - 1;
        let name = |token: u32| match token == self.trigger() {
            true => "◆".to_string(),
            false => format!("t{token}"),
        };
        let context = (0..question).map(|position| {
            let told = position.saturating_sub(1)..=position;
            match example.tokens[told].contains(&self.trigger()) {
                true => name(example.tokens[position]),
                false => DOT.to_string(),
            }
        });
        let asked = answered(example, question..example.tokens.len(), name);
        format!("  context   {}\n  question  {asked}\n", condensed(context))
    }

    fn check(&self) -> Result<(), String> {
        let Self { vocab_size, .. } = self;
        ensure!(*vocab_size >= 2, "vocab_size = {vocab_size}, but fewer than 2 ordinary tokens tell nothing");
        let vocabulary = self.vocabulary();
        ensure!(
            vocabulary <= MAX_TOKENS,
            "vocab_size and the trigger are {vocabulary} tokens together, but at most {MAX_TOKENS} are wanted"
        );
        for (split, segments) in [("train", &self.train), ("test", &self.test)] {
            for LengthSegment { length, .. } in segments {
                ensure!(
                    *length >= MIN_LENGTH,
                    "the {split} segment of length {length}: at least {MIN_LENGTH} tokens are wanted, for two triggers \
                     and what follows the first"
                );
            }
        }
        Ok(())
    }
}
