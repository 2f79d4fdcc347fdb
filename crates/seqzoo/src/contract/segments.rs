//! Sequences of different lengths in one call, for any layer.

use super::SequenceMixer;
use crate::MixerState;
use crate::ops::{SegmentPart, Segments, checks};
use crate::state::shared_by_all;
use burn::tensor::{Device, Int, Tensor, TensorData};

/// Panics unless `input` is `[B, T, D]` with tokens and the channels of `mixer`, cut into `segments`, and `state` is of as
/// many sequences.
#[track_caller]
pub(super) fn check<M: SequenceMixer>(
    mixer: &M,
    input: &Tensor<3>,
    segments: &Segments,
    state: Option<&M::State>,
) {
    let [batch, time, channels] = input.dims();
    checks::not_empty("input", "time", time);
    if channels != mixer.d_model() {
        let wanted = [("B", batch), ("T", time), ("D", mixer.d_model())];
        checks::shape("input", &[batch, time, channels], &wanted);
    }
    let (_, count) = checks::sequences(batch, time, Some(segments));
    if let Some(problem) = state.and_then(|state| crate::state::other_batch(state, count)) {
        panic!("The argument `state` {problem}, which has that many segments.");
    }
    if let Some(problem) = refusal(&mixer.init_state(1, &input.device())) {
        panic!("{problem}");
    }
}

/// Why segments of different lengths cannot have one state together that begins with `fresh`, if they cannot.
pub(crate) fn refusal<S: MixerState>(fresh: &S) -> Option<String> {
    let shared = shared_by_all(fresh)?;
    Some(format!(
        "The state of `{}` holds `{shared}`, which all sequences of a batch share, so that segments of different lengths \
         cannot have one state together; give them one by one.",
        fresh.layer()
    ))
}

/// A call for every part of the segments; that the parts of a segment are one sequence is the law of the zoo.
pub(super) fn forward<M: SequenceMixer>(
    mixer: &M,
    input: Tensor<3>,
    segments: &Segments,
    mut state: M::State,
) -> (Tensor<3>, M::State) {
    let parts = segments.parts();
    let mut outputs = Vec::with_capacity(parts.len());
    for part in &parts {
        let whole = part.segments.len() == segments.count();
        let own = || state.clone().select(indices(&part.segments, &input.device()));
        let before = if whole { state.clone() } else { own() };
        let (output, after) = mixer.forward(part.of(&input), Some(before));
        state = if whole { after } else { state.put(&part.segments, after) };
        outputs.push(output);
    }
    (SegmentPart::joined(&parts, outputs, segments.rows()), state)
}

fn indices(numbers: &[usize], device: &Device) -> Tensor<1, Int> {
    let numbers: Vec<i64> = numbers.iter().map(|number| *number as i64).collect();
    Tensor::from_data(TensorData::from(numbers.as_slice()), device)
}
