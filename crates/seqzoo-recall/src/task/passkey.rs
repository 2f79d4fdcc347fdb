//! A pass key in a long repetitive text.

use super::grid::{Grid, NeedleTests, offset};
use super::law::Law;
use super::text::{self, BYTES};
use super::{Coordinates, Draws, Example, LengthSegment, Slice, Split};
use serde::{Deserialize, Serialize};

const TASK: &str = "There is an important info hidden inside a lot of irrelevant text. Find it and memorize them. I \
                    will quiz you about the important information there.";
const QUESTION: &str = "What is the pass key? The pass key is";

/// The largest pass key; the smallest is 1.
const MAX_KEY: usize = 50_000;

/// A pass key in a long repetitive text, which is asked for at the end. A token is a byte.
///
/// ```text
/// There is an important info hidden inside a lot of irrelevant text. Find it and memorize them. I will quiz you …
/// The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again. The grass is gre
/// The pass key is 40917. Remember it. 40917 is the pass key.
/// en. The sky is blue. The sun is yellow. Here we go. There and back again. The grass is green. The sky is bl
/// What is the pass key? The pass key is 40917.
/// ```
///
/// The key is uniform in 1 ..= 50 000. The answer is ` 40917.`: with the full stop, so that the beginning of a
/// key is not taken for the key. An example counts as right only if all bytes of the answer are (exact match), and its
/// input ends before the last of them. The input has exactly the bytes of its segment's length: a shorter key makes
/// the filler longer.
///
/// The filler is cut at a byte: in training anywhere, in tests so that the asked share of its bytes, rounded to a
/// byte, comes before the key. After the key it goes on where it was cut. In the original it begins anew, which tells
/// where the key was.
///
/// Source: Mohtashami and Jaggi 2023, <https://arxiv.org/abs/2305.16300> (sec. 4.2), and the text of its code
/// (`llama/run_test.py`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passkey {
    /// The training segments. Lengths hold the question.
    pub train: Vec<LengthSegment>,
    /// The test segments.
    pub test: NeedleTests,
}

impl Passkey {
    fn grid(&self) -> Grid<'_> {
        Grid { train: &self.train, test: &self.test }
    }
}

fn needle(key: usize) -> String {
    format!("The pass key is {key}. Remember it. {key} is the pass key.")
}

fn answer(key: usize) -> String {
    format!(" {key}.")
}

fn prompt(key: usize, filler: (&str, &str)) -> String {
    let (before, after) = filler;
    [TASK, before, &needle(key), after, QUESTION].join("\n")
}

/// The bytes of an input without filler.
fn least_length(key: usize) -> usize {
    prompt(key, ("", "")).len() + answer(key).len() - 1
}

impl Law for Passkey {
    fn vocabulary(&self) -> usize {
        BYTES
    }

    fn segments(&self, split: Split) -> Vec<(Slice, usize)> {
        self.grid().segments(split)
    }

    fn example(&self, at: Coordinates) -> Example {
        let Slice { length, depth, .. } = self.grid().slice(at.split, at.segment as usize);
        let mut draws = Draws::new(at);
        let key = 1 + draws.below(MAX_KEY);
        let filler = text::grass(length - least_length(key));
        let offset = match depth {
            Some(depth) => offset(filler.len(), depth),
            None => draws.below(filler.len() + 1),
        };
        let prompt = prompt(key, filler.split_at(offset));
        text::example(&prompt, prompt.len() - QUESTION.len(), &answer(key))
    }

    fn whole(&self) -> bool {
        true
    }

    fn chance(&self, _: Slice) -> Vec<(&'static str, f64)> {
        vec![("guessing any number", 1.0 / MAX_KEY as f64)]
    }

    /// The text, long filler as a count of bytes.
    fn picture(&self, example: &Example) -> String {
        text::picture(example, |text, _| {
            let line = text.lines().find(|line| line.starts_with("The pass key is"));
            let start = line.and_then(|line| text.find(line));
            start.zip(line).map(|(start, line)| start..start + line.len()).into_iter().collect()
        })
    }

    fn check(&self) -> Result<(), String> {
        self.grid().check(true, least_length(MAX_KEY), "bytes")
    }
}
