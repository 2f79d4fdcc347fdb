//! Segments of different lengths, for the forms that know nothing of them.

use super::Problem;
use crate::segments::{Segments, gather};
use burn::tensor::Tensor;

/// Runs `form` on a batch of which every row *ends* with a segment: zeros, the segment's state, its tokens. So the last
/// inputs of a row are the state after its segment, however long that is.
pub(super) fn at_the_ends(
    problem: Problem,
    segments: &Segments,
    form: impl FnOnce(Problem) -> (Tensor<3>, Tensor<3>),
) -> (Tensor<3>, Tensor<3>) {
    let [batch, time, channels] = problem.input.dims();
    let [count, kept, _] = problem.state.dims();
    let width = kept + segments.longest();
    let states = problem.state.reshape([1, count * kept, channels]);
    let inputs = Tensor::cat(vec![states, problem.input.reshape([1, batch * time, channels])], 1);
    // For every place of the rows the token that it holds, counted over the batch, or nothing.
    let tokens = |place: usize| {
        let (segment, after) = (segments.all()[place / width], width - place % width);
        let end = segment.row * time + segment.start + segment.length;
        (after <= segment.length).then(|| end - after)
    };
    let kept_input = |place: usize| {
        let (number, after) = (place / width, width - place % width);
        let before = after.checked_sub(segments.all()[number].length + 1).filter(|before| *before < kept)?;
        Some((number + 1) * kept - 1 - before)
    };
    let places = 0..count * width;
    let sources = places.clone().map(|place| match tokens(place) {
        Some(token) => Some(count * kept + token),
        None => kept_input(place),
    });
    let resets = problem.resets.map(|resets| gather(resets.float(), count, places.map(tokens)).bool());
    let (output, state) = form(Problem {
        input: gather(inputs.clone(), count, sources),
        state: Tensor::zeros([count, kept, channels], (&inputs.device(), inputs.dtype())),
        resets,
        segments: None,
        ..problem
    });
    let ends = segments.all().iter().enumerate().flat_map(|(row, segment)| {
        let end = (row + 1) * width;
        end - segment.length..end
    });
    (gather(output, batch, ends.map(Some)), state)
}
