//! The operator in CubeCL.
//!
//! Every program serves both directions, for the gradients obey the same recurrence from the last token to the first.
#![allow(
    clippy::collapsible_if,
    reason = "`comptime!` is decided when a program is built, the `if` in it when it runs"
)]

mod factor_gradient;
mod kind;
mod launch;
mod summary;
mod token;
mod walk;

use super::{Inputs, LinearScanBackend, Outputs, Saved, Settings};
use crate::kernel::gpu::launch::{Direction, contiguous};
use crate::kernel::tensors::Maybe;
use crate::scan::kernel::gpu::launch::Parts;
use burn_cubecl::{CubeBackend, kernel::into_contiguous};

impl LinearScanBackend for CubeBackend {
    fn linear_scan(inputs: Inputs<Self>, _: Settings) -> Outputs<Self> {
        let Inputs { input, factor, state, input_im, factor_im, state_im, resets } = contiguous(inputs);
        let factor = Parts::new(factor, factor_im);
        let (states, last) = launch::scan(
            Parts::new(input, input_im),
            &factor,
            Parts::new(state, state_im),
            resets.into_option().as_ref(),
            Direction::Forward,
        );
        let (states, states_im) = states.apart();
        let (last, last_im) = last.apart();
        Outputs { states, last, states_im, last_im }
    }

    fn linear_scan_forward(inputs: Inputs<Self>, settings: Settings) -> (Outputs<Self>, Saved<Self>) {
        let inputs = contiguous(inputs);
        let Inputs { factor, state, factor_im, state_im, resets, .. } = inputs.clone();
        let outputs = Self::linear_scan(inputs, settings);
        let (states, states_im) = (outputs.states.clone(), outputs.states_im.clone());
        (outputs, Saved { factor, state, states, factor_im, state_im, states_im, resets })
    }

    fn linear_scan_vjp(saved: Saved<Self>, upstream: Outputs<Self>, _: Settings) -> Inputs<Self> {
        let Saved { factor, state, states, factor_im, state_im, states_im, resets } = saved;
        let Outputs { states: d_states, last, states_im: d_states_im, last_im } = upstream;
        let factor = Parts::new(factor, factor_im);
        let resets = resets.into_option();
        let (d_input, d_state) = launch::scan(
            Parts::new(d_states, d_states_im).map(into_contiguous),
            &factor,
            Parts::new(last, last_im).map(into_contiguous),
            resets.as_ref(),
            Direction::Reverse,
        );
        let (states, start) = (Parts::new(states, states_im), Parts::new(state, state_im));
        let d_factor = launch::factor_gradient(&d_input, &states, start, &factor, resets.as_ref());
        let (input, input_im) = d_input.apart();
        let (factor, factor_im) = d_factor.apart();
        let (state, state_im) = d_state.apart();
        Inputs { input, factor, state, input_im, factor_im, state_im, resets: Maybe::Absent }
    }
}
