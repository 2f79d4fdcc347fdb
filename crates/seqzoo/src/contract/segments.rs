//! Sequences of different lengths in one call, for any layer.

use super::SequenceMixer;
use crate::MixerState;
use crate::ops::{Segments, checks};
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
    let fresh = mixer.init_state(1, &input.device());
    if let Some(shared) = shared_by_all(&fresh) {
        panic!(
            "The state of `{}` holds `{shared}`, which all sequences of a batch share, so that segments of different \
             lengths cannot have one state together; give them one by one.",
            fresh.layer()
        );
    }
}

/// Every length is a sum of powers of two. The segments that have the same power are parts of one batch, so that there are
/// as many calls as powers; that the parts of a segment are one sequence is the law of the zoo.
pub(super) fn forward<M: SequenceMixer>(
    mixer: &M,
    input: Tensor<3>,
    segments: &Segments,
    mut state: M::State,
) -> (Tensor<3>, M::State) {
    let ([batch, time, channels], device) = (input.dims(), input.device());
    let tokens = input.reshape([batch * time, channels]);
    let mut done = vec![0; segments.count()];
    let (mut outputs, mut order) = (Vec::new(), Vec::new());
    let powers = (usize::BITS - segments.longest().leading_zeros()) as usize;
    for size in (0..powers).rev().map(|power| 1usize << power) {
        let all = segments.all().iter().enumerate();
        let parts: Vec<usize> =
            all.filter(|(_, segment)| segment.length & size != 0).map(|(number, _)| number).collect();
        if parts.is_empty() {
            continue;
        }
        let first = order.len();
        for number in &parts {
            let segment = segments.all()[*number];
            let start = segment.row * time + segment.start + done[*number];
            order.extend(start..start + size);
            done[*number] += size;
        }
        let own = tokens.clone().select(0, indices(&order[first..], &device));
        let own = own.reshape([parts.len(), size, channels]);
        let whole = parts.len() == segments.count();
        let before = if whole { state.clone() } else { state.clone().select(indices(&parts, &device)) };
        let (output, after) = mixer.forward(own, Some(before));
        state = if whole { after } else { state.put(&parts, after) };
        outputs.push(output.reshape([parts.len() * size, channels]));
    }
    let mut places = vec![0; batch * time];
    order.iter().enumerate().for_each(|(place, token)| places[*token] = place);
    let output = Tensor::cat(outputs, 0).select(0, indices(&places, &device));
    (output.reshape([batch, time, channels]), state)
}

fn indices(numbers: &[usize], device: &Device) -> Tensor<1, Int> {
    let numbers: Vec<i64> = numbers.iter().map(|number| *number as i64).collect();
    Tensor::from_data(TensorData::from(numbers.as_slice()), device)
}
