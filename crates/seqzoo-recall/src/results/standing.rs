//! Where a contestant stands: its best learning rate, its spread over seeds, its cost.

use super::{Blocks, RunResult, SliceAccuracy, Streamed, bootstrap};
use crate::task::Slice;
use seqzoo::StateBytes;
use serde::{Deserialize, Serialize};
use std::ops::Add;

/// A run counts as a success from this accuracy on.
const SUCCESS: f64 = 0.9;

/// A contestant at one width, over all learning rates and seeds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// The contestant.
    pub contestant: String,
    /// Channels of the model.
    pub width: usize,
    /// The learning rate with the highest mean accuracy among those that ran to their end.
    pub learning_rate: f64,
    /// The mean accuracy over slices and seeds at that rate.
    pub accuracy: f64,
    /// The accuracy of every slice at that rate; of all its depths together, where there are any.
    pub slices: Vec<SliceStanding>,
    /// The accuracy at every length and depth at that rate, in tasks that have depths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cells: Vec<SliceStanding>,
    /// The mean accuracy over seeds where the state is cleared before the question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleared: Option<f64>,
    /// The share of seeds whose accuracy reached 0.9 at that rate.
    pub success: f64,
    /// How many seeds ran at that rate.
    pub seeds: usize,
    /// How many of them diverged.
    pub diverged: usize,
    /// The mean accuracy of every seed at that rate.
    pub by_seed: Vec<f64>,
    /// The accuracy at every learning rate, in order.
    pub rates: Vec<RatePoint>,
    /// How many decades of learning rates, first to last, reach nine tenths of the best accuracy. `None` where rates
    /// ended early, of which nothing is known.
    pub robust_decades: Option<f64>,
    /// Parameters of the model.
    pub parameters: usize,
    /// The state of one sequence after the longest test example.
    pub state: StateBytes,
    /// Median over the runs at that rate of tokens trained on per second.
    pub training_tokens_per_second: f64,
    /// Median over the runs at that rate of the time of a decoding step.
    pub step_microseconds: f64,
    /// Seconds spent on all runs of this contestant and width.
    pub wall_seconds: f64,
}

/// The accuracy on one slice over the seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SliceStanding {
    /// The slice.
    pub slice: Slice,
    /// The mean over seeds.
    pub mean: f64,
    /// The median over seeds.
    pub median: f64,
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
    /// The 95 % bootstrap interval of the mean.
    pub interval: (f64, f64),
    /// How many examples were scored, over all seeds.
    pub examples: usize,
    /// The cost where they were read in segments: the median time over seeds, and the largest state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streamed: Option<Streamed>,
    /// The blocks that were read, if they were chosen, over all seeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks: Option<Blocks>,
}

/// The accuracy at one learning rate over the seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RatePoint {
    /// The learning rate.
    pub learning_rate: f64,
    /// The mean over seeds.
    pub mean: f64,
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
    /// The step after which its runs were ended because other rates did better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<usize>,
}

/// The standings of all contestants, in the order of their first results.
pub fn standings(results: &[RunResult]) -> Vec<Standing> {
    let mut groups: Vec<Vec<&RunResult>> = Vec::new();
    for result in results {
        let of = |group: &&mut Vec<&RunResult>| {
            group[0].contestant == result.contestant && group[0].width == result.width
        };
        match groups.iter_mut().find(of) {
            Some(group) => group.push(result),
            None => groups.push(vec![result]),
        }
    }
    groups.iter().map(|group| standing(group)).collect()
}

fn standing(group: &[&RunResult]) -> Standing {
    let rates = rates(group);
    // Where no rate has run to its end yet, the best of the others stands in.
    let best = rates
        .iter()
        .copied()
        .max_by(|a, b| a.ended.is_none().cmp(&b.ended.is_none()).then(a.mean.total_cmp(&b.mean)));
    let best = best.expect("a group has a result");
    let chosen: Vec<&RunResult> =
        group.iter().copied().filter(|result| result.learning_rate == best.learning_rate).collect();
    let cells: Vec<Vec<SliceAccuracy>> = chosen.iter().map(|result| result.slices.clone()).collect();
    let cleared: Vec<f64> = chosen.iter().filter_map(|result| result.cleared).collect();
    let robust = |rate: &&RatePoint| rate.mean >= 0.9 * best.mean && best.mean > 0.0;
    let good: Vec<f64> = rates.iter().filter(robust).map(|rate| rate.learning_rate).collect();
    let successes = chosen.iter().filter(|result| result.accuracy >= SUCCESS).count();
    Standing {
        contestant: chosen[0].contestant.clone(),
        width: chosen[0].width,
        learning_rate: best.learning_rate,
        accuracy: best.mean,
        slices: over_seeds(&cells.iter().map(|cells| over_depths(cells)).collect::<Vec<_>>()),
        cells: match cells[0].iter().any(|cell| cell.slice.depth.is_some()) {
            true => over_seeds(&cells),
            false => Vec::new(),
        },
        cleared: (!cleared.is_empty()).then(|| Spread::of(cleared.into_iter()).mean),
        success: successes as f64 / chosen.len() as f64,
        seeds: chosen.len(),
        diverged: chosen.iter().filter(|result| result.diverged).count(),
        robust_decades: match good.as_slice() {
            _ if rates.iter().any(|rate| rate.ended.is_some()) => None,
            [] => Some(0.0),
            [first, ..] => Some((good[good.len() - 1] / first).log10()),
        },
        by_seed: chosen.iter().map(|result| result.accuracy).collect(),
        rates,
        parameters: chosen[0].parameters,
        state: chosen[0].state,
        training_tokens_per_second: Spread::of(chosen.iter().map(|result| result.training_tokens_per_second))
            .median,
        step_microseconds: Spread::of(chosen.iter().map(|result| result.step_microseconds)).median,
        wall_seconds: group.iter().map(|result| result.wall_seconds).sum(),
    }
}

/// The accuracies of one run with all depths of a slice together, in the order of the slices.
pub(crate) fn over_depths(cells: &[SliceAccuracy]) -> Vec<SliceAccuracy> {
    let mut slices: Vec<SliceAccuracy> = Vec::new();
    for cell in cells {
        let slice = cell.slice.without_depth();
        let examples = |slice: &SliceAccuracy| slice.examples as f64;
        match slices.iter_mut().find(|other| other.slice == slice) {
            Some(all) => {
                let right = all.accuracy * examples(all) + cell.accuracy * examples(cell);
                all.examples += cell.examples;
                all.accuracy = right / examples(all);
                all.streamed = all.streamed.zip(cell.streamed).map(|(all, cell)| Streamed {
                    seconds: all.seconds + cell.seconds,
                    state_bytes: all.state_bytes.max(cell.state_bytes),
                });
                all.blocks = all.blocks.zip(cell.blocks).map(|(all, cell)| all + cell);
            }
            None => slices.push(SliceAccuracy { slice, ..*cell }),
        }
    }
    slices
}

/// The standing on each slice, from the accuracies of every seed.
fn over_seeds(seeds: &[Vec<SliceAccuracy>]) -> Vec<SliceStanding> {
    let standing = |index: usize| {
        let Spread { mean, median, min, max } = Spread::of(seeds.iter().map(|seed| seed[index].accuracy));
        let examples = seeds.iter().map(|seed| seed[index].examples).sum();
        let accuracies: Vec<f64> = seeds.iter().map(|seed| seed[index].accuracy).collect();
        let interval = bootstrap(&accuracies);
        let costs: Vec<Streamed> = seeds.iter().filter_map(|seed| seed[index].streamed).collect();
        let state_bytes = costs.iter().map(|cost| cost.state_bytes).max();
        let streamed = state_bytes.map(|state_bytes| Streamed {
            seconds: Spread::of(costs.iter().map(|cost| cost.seconds)).median,
            state_bytes,
        });
        let blocks = seeds.iter().filter_map(|seed| seed[index].blocks).reduce(Add::add);
        let slice = seeds[0][index].slice;
        SliceStanding { slice, mean, median, min, max, interval, examples, streamed, blocks }
    };
    (0..seeds[0].len()).map(standing).collect()
}

fn rates(group: &[&RunResult]) -> Vec<RatePoint> {
    let mut rates: Vec<f64> = group.iter().map(|result| result.learning_rate).collect();
    rates.sort_by(f64::total_cmp);
    rates.dedup();
    rates
        .into_iter()
        .map(|learning_rate| {
            let of = || group.iter().filter(|result| result.learning_rate == learning_rate);
            let Spread { mean, min, max, .. } = Spread::of(of().map(|result| result.accuracy));
            let ended = of().filter(|result| result.halved).map(|result| result.steps).max();
            RatePoint { learning_rate, mean, min, max, ended }
        })
        .collect()
}

struct Spread {
    mean: f64,
    median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let (count, middle) = (values.len(), values.len() / 2);
        let median =
            if count % 2 == 1 { values[middle] } else { 0.5 * (values[middle - 1] + values[middle]) };
        Self {
            mean: values.iter().sum::<f64>() / count as f64,
            median,
            min: values[0],
            max: values[count - 1],
        }
    }
}
