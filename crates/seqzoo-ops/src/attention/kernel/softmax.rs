//! Softmax attention through the kernel.

use super::{Question, Sequence, Sequences, Settings};
use crate::attention::{AttentionState, Prefix, Problem};
use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;

/// Runs the kernel of the device that the tensors are on.
pub(in super::super) fn run(problem: Problem) -> (Tensor<4>, AttentionState) {
    let Problem { query, key, value, cache, scale, window, prefix, resets } = problem;
    let sequences = {
        let (length, visible) =
            cache.as_ref().map_or((0, None), |cache| (cache.length(), cache.visible.clone()));
        Sequences::new(query.dims(), length, visible, resets)
    };
    let settings =
        Settings { scale, bidirectional: false, window, sequences: sequences.all.clone(), landmarks: None };
    let device = query.device();
    let prefix = prefix.map(|Prefix { query: asking, keys, values }| {
        let [batch, time, _, _] = query.dims();
        let each = |tensor: Tensor<4>| {
            let [_, length, heads, channels] = tensor.dims();
            tensor.expand([batch, length, heads, channels])
        };
        let length = keys.dims()[1];
        let row =
            |row| Sequence { row, start: 0, tokens: time, cache_row: row, cache_start: 0, cached: length };
        Question {
            query: asking.unwrap_or_else(|| query.clone()),
            own: None,
            cache: Some([each(keys), each(values)]),
            settings: Settings {
                scale,
                bidirectional: true,
                window: None,
                sequences: (0..batch).map(row).collect(),
                landmarks: None,
            },
        }
    });
    let question = Question {
        query,
        own: Some([key.clone(), value.clone()]),
        cache: cache.as_ref().map(|cache| [cache.keys.tensor(), cache.values.tensor()]),
        settings,
    };
    let (mut output, log_sum) = question.answer();
    if let Some(prefix) = prefix {
        let (other, other_sum) = prefix.answer();
        // As one softmax over both: each counts as much as its sum of exponentials.
        let share = sigmoid(log_sum - other_sum).unsqueeze_dim::<4>(3);
        output = share.clone() * output + (-share + 1.0) * other;
    }
    let seen = match cache {
        None => AttentionState { keys: key.into(), values: value.into(), visible: None },
        Some(past) => {
            AttentionState { keys: past.keys.append(key), values: past.values.append(value), visible: None }
        }
    };
    let visible = sequences.visible(seen.length(), &device);
    (output, AttentionState { visible, ..seen }.trimmed(window))
}
