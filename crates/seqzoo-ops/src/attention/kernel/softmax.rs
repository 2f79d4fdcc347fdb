//! Softmax attention through the kernel.

use super::{Question, Sequence, Sequences, Settings};
use crate::attention::{Prefix, Problem};
use burn::tensor::Tensor;
use burn::tensor::activation::{sigmoid, softplus};

/// Runs the kernel of the device that the tensors are on.
pub(in super::super) fn run(problem: &Problem) -> Tensor<4> {
    let Problem { query, key, value, cache, scale, .. } = problem;
    let [batch, time, heads, _] = query.dims();
    let sequences = Sequences {
        batch,
        time,
        cached: problem.cached,
        visible: problem.visible.clone(),
        resets: problem.resets.clone(),
        segments: problem.segments.clone(),
    };
    let question = Question {
        query: query.clone(),
        own: Some([key.clone(), value.clone()]),
        cache: cache.as_ref().map(|cache| [cache.keys.tensor(), cache.values.tensor()]),
        log_decays: problem.log_decay.clone().map(|own| {
            let cached = cache.as_ref().and_then(|cache| cache.log_decays.as_ref());
            [Some(own), cached.map(crate::attention::Entries::tensor)]
        }),
        settings: Settings {
            scale: *scale,
            bidirectional: problem.bidirectional,
            window: problem.window,
            sequences: sequences.all(),
            landmarks: None,
        },
    };
    let (mut output, mut log_sum) = question.answer();
    if let Some(prefix) = &problem.prefix {
        let (other, other_sum) = of_prefix(problem, prefix).answer();
        // As one softmax over both: each counts as much as its sum of exponentials.
        let more = log_sum.clone() - other_sum.clone();
        let share = sigmoid(more.clone()).unsqueeze_dim::<4>(3);
        output = share.clone() * output + (-share + 1.0) * other;
        log_sum = other_sum + softplus(more, 1.0);
    }
    match &problem.sinks {
        None => output,
        Some(sinks) => {
            let sinks = sinks.clone().reshape([1, 1, heads]).expand([batch, time, heads]);
            output * sigmoid(log_sum - sinks).unsqueeze_dim::<4>(3)
        }
    }
}

/// The prefix, as a cache that all rows ask without keys of their own.
fn of_prefix(problem: &Problem, prefix: &Prefix) -> Question {
    let Prefix { query, keys, values } = prefix.clone();
    let [batch, time, _, _] = problem.query.dims();
    let cached = keys.dims()[1];
    let each = |tensor: Tensor<4>| {
        let [_, length, heads, channels] = tensor.dims();
        tensor.expand([batch, length, heads, channels])
    };
    let row = |row| Sequence { row, start: 0, tokens: time, cache_row: row, cache_start: 0, cached };
    Question {
        query: query.unwrap_or_else(|| problem.query.clone()),
        own: None,
        cache: Some([each(keys), each(values)]),
        log_decays: None,
        settings: Settings {
            scale: problem.scale,
            bidirectional: true,
            window: None,
            sequences: (0..batch).map(row).collect(),
            landmarks: None,
        },
    }
}
