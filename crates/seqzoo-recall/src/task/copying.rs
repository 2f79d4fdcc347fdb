//! Copying, plain and selective.

use super::law::Law;
use super::picture::{DOT, answered, condensed};
use super::{Coordinates, Draws, Example, LengthSegment, MAX_LENGTH, MAX_TOKENS, Slice, Split};
use crate::error::ensure;
use serde::{Deserialize, Serialize};

/// Fills the places between the symbols.
const NOISE: u32 = 0;
/// Noise and the marker.
const SIGNS: usize = 2;

/// Copying: symbols lie among noise, and must be said in order at the markers that follow.
///
/// ```text
/// ·  s₁ ·  ·  s₂ ·  ·  ·  s₃ s₄ ·  ?  ?  ?  ?
///                                  ↓  ↓  ↓  ↓
///                                  s₁ s₂ s₃ s₄      (the tokens to predict)
/// ```
///
/// Selective copying puts the symbols at random places, so that a layer must tell them from noise. In plain copying, its
/// control, they stand at the start without a gap, and every symbol is as far from its marker as any other: a filter that
/// treats all tokens alike can do it. The symbols are drawn with replacement. Every answer counts by itself.
///
/// Sources: the generator of the S4 repository (`src/dataloaders/datasets/copying.py`, `variable`); Gu and Dao 2023,
/// <https://arxiv.org/abs/2312.00752> (sec. 4.1.1, app. E.1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Copying {
    /// The size of the alphabet of symbols. The noise comes before them, the marker after them.
    pub symbols: usize,
    /// How many symbols must be remembered, and said at as many markers.
    pub tokens: usize,
    /// Whether the symbols lie at random places, and not at the start.
    pub selective: bool,
    /// The training segments. Lengths hold the markers, and are at least `2 · tokens`.
    pub train: Vec<LengthSegment>,
    /// The test segments.
    pub test: Vec<LengthSegment>,
}

impl Copying {
    fn split(&self, split: Split) -> &[LengthSegment] {
        split.of(&self.train, &self.test)
    }

    fn marker(&self) -> u32 {
        (1 + self.symbols) as u32
    }
}

impl Law for Copying {
    fn vocabulary(&self) -> usize {
        self.symbols.saturating_add(SIGNS)
    }

    fn segments(&self, split: Split) -> Vec<(Slice, usize)> {
        LengthSegment::slices(self.split(split))
    }

    fn example(&self, at: Coordinates) -> Example {
        let length = self.split(at.split)[at.segment as usize].length;
        let mut draws = Draws::new(at);
        let question = length - self.tokens;
        let content: Vec<u32> = (0..self.tokens).map(|_| (1 + draws.below(self.symbols)) as u32).collect();
        let mut places: Vec<usize> = match self.selective {
            true => draws.distinct(self.tokens, question),
            false => (0..self.tokens).collect(),
        };
        places.sort_unstable();

        let mut tokens = vec![NOISE; question];
        for (place, symbol) in places.into_iter().zip(&content) {
            tokens[place] = *symbol;
        }
        tokens.resize(length, self.marker());
        let answers = content.into_iter().enumerate();
        let answers = answers.map(|(index, symbol)| (question + index, symbol)).collect();
        Example { tokens, answers, question: Some(question) }
    }

    fn chance(&self, _: Slice) -> Vec<(&'static str, f64)> {
        let [any, told] = [1.0 / self.symbols as f64, 1.0 / self.tokens as f64];
        vec![("guessing any symbol", any), ("guessing a symbol of the context", told + (1.0 - told) * any)]
    }

    /// Symbols as `s3`, noise as a count, markers as `?`; each points at its answer.
    fn picture(&self, example: &Example) -> String {
        let (length, question) = (example.tokens.len(), example.tokens.len() - example.answers.len());
        let name = |token: u32| match token {
            NOISE => DOT.to_string(),
            marker if marker == self.marker() => "?".to_string(),
            symbol => format!("s{symbol}"),
        };
        let context = condensed(example.tokens[..question].iter().map(|token| name(*token)));
        format!("  remember  {context}\n  answer    {}\n", answered(example, question..length, name))
    }

    fn check(&self) -> Result<(), String> {
        let Self { symbols, tokens, .. } = self;
        ensure!(*symbols >= 2, "symbols = {symbols}, but fewer than 2 tell nothing");
        let vocabulary = self.vocabulary();
        ensure!(
            vocabulary <= MAX_TOKENS,
            "symbols, noise and marker are {vocabulary} tokens together, but at most {MAX_TOKENS} are wanted"
        );
        ensure!(
            (1..=MAX_LENGTH).contains(tokens),
            "tokens = {tokens}, but 1 to {MAX_LENGTH} are wanted to be remembered"
        );
        for (split, segments) in [("train", &self.train), ("test", &self.test)] {
            for LengthSegment { length, .. } in segments {
                ensure!(
                    *tokens <= length / 2,
                    "the {split} segment of length {length}: {tokens} symbols and as many markers have no room in it"
                );
            }
        }
        Ok(())
    }
}
