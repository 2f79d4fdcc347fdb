//! State tracking: the word problem of a group.

use super::group::{Generators, Group};
use super::law::Law;
use super::{Coordinates, Draws, Example, LengthSegment, Slice, Split};
use crate::error::ensure;
use serde::{Deserialize, Serialize};

/// State tracking: after every token, which element have the tokens multiplied to so far?
///
/// ```text
/// x₁  x₂        x₃             …  x_t                  elements of a group, drawn uniformly
/// ↓   ↓         ↓                 ↓
/// x₁  x₂ ∘ x₁   x₃ ∘ x₂ ∘ x₁   …  y_t = x_t ∘ y_{t-1}  (the tokens to predict)
/// ```
///
/// Every token changes the answer at every later position, so that nothing may be forgotten or
/// averaged: a model must carry one state and update it. Training supervises all positions. Testing asks
/// at the last quarter of them alone, where a model that follows the state for a few tokens only is down to
/// guessing.
///
/// Sources: Merrill et al. 2024, <https://arxiv.org/abs/2404.08819> (the word problem, labels at all
/// positions); Grazzi et al. 2024, <https://arxiv.org/abs/2411.12537> (parity, products of swaps).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateTracking {
    /// The group whose elements the state takes.
    pub group: Group,
    /// Which of its elements come as tokens.
    #[serde(default)]
    pub generators: Generators,
    /// The training segments. Lengths are at least 4.
    pub train: Vec<LengthSegment>,
    /// The test segments.
    pub test: Vec<LengthSegment>,
}

impl StateTracking {
    fn split(&self, split: Split) -> &[LengthSegment] {
        split.of(&self.train, &self.test)
    }
}

impl Law for StateTracking {
    fn vocabulary(&self) -> usize {
        self.group.order()
    }

    fn segments(&self, split: Split) -> Vec<(Slice, usize)> {
        LengthSegment::slices(self.split(split))
    }

    fn example(&self, at: Coordinates) -> Example {
        let length = self.split(at.split)[at.segment as usize].length;
        let mut draws = Draws::new(at);
        let elements = self.group.generators(self.generators);
        let tokens: Vec<u32> = (0..length).map(|_| elements[draws.below(elements.len())]).collect();
        let products = self.group.running_products(&tokens);
        let first = match at.split {
            Split::Train => 0,
            Split::Test => length - length / 4,
        };
        Example { tokens, answers: products.into_iter().enumerate().skip(first).collect(), question: None }
    }

    fn chance(&self, _: Slice) -> Vec<(&'static str, f64)> {
        vec![("guessing any element", 1.0 / self.group.order() as f64)]
    }

    /// The tokens, and below each the answer where it is asked.
    fn picture(&self, example: &Example) -> String {
        let name = |element: u32| self.group.name(element);
        let unasked = "·".repeat(name(0).len());
        let tokens: Vec<String> = example.tokens.iter().map(|token| name(*token)).collect();
        let mut answers = vec![unasked; tokens.len()];
        for (position, answer) in &example.answers {
            answers[*position] = name(*answer);
        }
        format!("  multiply  {}\n  answer    {}\n", tokens.join(" "), answers.join(" "))
    }

    fn check(&self) -> Result<(), String> {
        ensure!(
            self.group != Group::Parity || self.generators != Generators::Swaps,
            "the swaps of parity are all of it; leave `generators` out"
        );
        for (split, segments) in [("train", &self.train), ("test", &self.test)] {
            for LengthSegment { length, .. } in segments {
                ensure!(
                    *length >= 4,
                    "the {split} segment of length {length}: at least 4 tokens are wanted, since the last quarter \
                     is scored"
                );
            }
        }
        Ok(())
    }
}
