//! The entrance of every mixer: what is checked before anything is computed.

use super::SequenceMixer;
use crate::ops::{checks, to_dtype};
use crate::{MixerState, state};
use burn::module::{ModuleVisitor, Param};
use burn::tensor::{Bool, Tensor};

/// Panics unless `input` is `[B, T, D]` with tokens and the channels of `mixer`, `resets` is `[B, T]`, and `state` is
/// of as many sequences.
///
/// It looks at extents alone: a recurrent step takes tens of microseconds.
#[track_caller]
pub(super) fn check<M: SequenceMixer>(
    mixer: &M,
    input: &Tensor<3>,
    resets: Option<&Tensor<2, Bool>>,
    state: Option<&M::State>,
) {
    let [batch, time, channels] = input.dims();
    let wanted = mixer.d_model();
    checks::not_empty("input", "time", time);
    if channels != wanted {
        checks::shape("input", &[batch, time, channels], &[("B", batch), ("T", time), ("D", wanted)]);
    }
    if let Some(resets) = resets {
        checks::shape("resets", &resets.dims(), &[("B", batch), ("T", time)]);
    }
    if let Some(problem) = state.and_then(|state| state::other_batch(state, batch)) {
        panic!("The argument `state` {problem}.");
    }
}

/// Output and state of no sequences: the input and the state given, which is checked whole as no operator will.
///
/// The output depends on the parameters of the mixer, as other outputs do: a loss of it has a backward pass, in which
/// their gradients are zero.
#[track_caller]
pub(super) fn pass_empty<M: SequenceMixer>(
    mixer: &M,
    input: Tensor<3>,
    state: Option<M::State>,
) -> (Tensor<3>, M::State) {
    let fresh = mixer.init_state(0, &input.device());
    let state = match state {
        Some(state) => match state.misfit(&fresh) {
            Some(problem) => panic!("The argument `state` {problem}."),
            None => state,
        },
        None => fresh,
    };
    let mut tie = Tie(input);
    mixer.visit(&mut tie);
    (tie.0, state)
}

/// Adds an element of every trainable parameter to a tensor without elements.
struct Tie(Tensor<3>);

impl ModuleVisitor for Tie {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let parameter = parameter.val();
        if parameter.is_require_grad() {
            let element =
                to_dtype(parameter, self.0.dtype()).slice([(); D].map(|()| 0..1)).reshape([1, 1, 1]);
            self.0 = self.0.clone() + element;
        }
    }
}
