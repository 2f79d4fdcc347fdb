//! What every task says about its data.

use super::{Coordinates, Example, Slice, Split};

/// The law that a task's data follow.
pub(super) trait Law {
    /// The number of tokens a model must know.
    fn vocabulary(&self) -> usize;

    /// The segments of a split, in order, and how many examples each has; a count of 0 is endless.
    fn segments(&self, split: Split) -> Vec<(Slice, usize)>;

    /// One example, a function of its coordinates alone.
    fn example(&self, at: Coordinates) -> Example;

    /// Whether an example counts as right only if all of its answers are.
    fn whole(&self) -> bool {
        false
    }

    /// How many tokens, the first ones, are answers: nothing else competes. `None`: all of them.
    fn answer_tokens(&self) -> Option<usize> {
        None
    }

    /// The embedding that models of `width` channels have and keep, a row per token, in runs with `seed`. `None`: they
    /// learn one.
    fn embedding(&self, _width: usize, _seed: u64) -> Option<Vec<f32>> {
        None
    }

    /// The accuracy of guessing, by what the guesser knows.
    fn chance(&self, slice: Slice) -> Vec<(&'static str, f64)>;

    /// An example for the eye.
    fn picture(&self, example: &Example) -> String;

    /// Says in one sentence what is wrong with the task, if anything is. Its segments have been looked at.
    fn check(&self) -> Result<(), String>;

    /// Says in one sentence why no model of `width` channels can do the task, if that is so.
    fn check_width(&self, _width: usize) -> Result<(), String> {
        Ok(())
    }
}
