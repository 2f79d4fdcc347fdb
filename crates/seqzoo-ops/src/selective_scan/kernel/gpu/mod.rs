//! The operator in CubeCL.
//!
//! Chunks are summed up as one step each, the states are carried across them, and then every chunk is on its own. No
//! program takes more than seven tensors, so what tokens bring is prepared first, and what they are owed is found last.
#![allow(
    clippy::collapsible_if,
    reason = "`comptime!` is decided when a program is built, the `if` in it when it runs"
)]

mod call;
mod finish;
mod functions;
mod gradients;
mod groups;
mod kind;
mod launch;
mod prepare;
mod read;
mod retreat;
#[cfg(feature = "fusion")]
pub(super) mod specs;
mod steps;
mod summary;

use super::{Inputs, Outputs, Saved, SelectiveScanBackend, Settings};
use crate::kernel::gpu::launch::{Direction, contiguous, own};
use crate::kernel::tensors::Maybe;
use crate::scan::kernel::gpu::launch::{Parts, across};
use burn::backend::ops::FloatTensorOps;
use burn::tensor::Shape;
use burn_cubecl::{CubeBackend, kernel::into_contiguous, tensor::CubeTensor};
use call::{Call, Extents};

impl SelectiveScanBackend for CubeBackend {
    fn selective_scan(inputs: Inputs<Self>, settings: Settings) -> Outputs<Self> {
        let (call, state) = Call::new(contiguous(inputs), settings);
        forward(&call, state).0
    }

    fn selective_scan_forward(inputs: Inputs<Self>, settings: Settings) -> (Outputs<Self>, Saved<Self>) {
        let inputs = contiguous(inputs);
        let (call, state) = Call::new(inputs.clone(), settings);
        let (outputs, states) = forward(&call, state);
        let states = states.unwrap_or_else(|| as_one_chunk(inputs.state.clone()));
        (outputs, Saved { inputs, states })
    }

    fn selective_scan_vjp(saved: Saved<Self>, upstream: Outputs<Self>, settings: Settings) -> Inputs<Self> {
        let Saved { inputs, states } = saved;
        let [output, last] = [upstream.output, upstream.state].map(into_contiguous);
        let (call, _) = Call::new(inputs, settings);
        let Extents { channels, size, .. } = call.extents();

        let tokens = launch::prepare(&call, Some(&output));
        let summaries = launch::summary(&call, &tokens, Direction::Reverse);
        let d_state = Parts::new(own(as_one_chunk(last)), Maybe::Absent);
        let gradients = across(&summaries, &d_state, Direction::Reverse).re;
        let of_shared = launch::retreat(&call, &tokens, both(&call), states, &gradients);
        let [b, c] = apart(of_shared);

        let delta = launch::of_delta(&call, &tokens);
        let bias = call.delta_bias.as_ref().map(|_| summed(delta.clone(), [channels]));
        let d = call.d.as_ref().map(|_| summed(launch::of_skips(&call, &output), [channels]));
        let z = call.z.as_ref().map(|z| launch::of_gates(&call, &tokens, z, &output));
        Inputs {
            input: launch::of_inputs(&call, &tokens, &output),
            delta,
            a: summed(gradients, [channels, size]),
            b,
            c,
            state: as_state(d_state.re, &call),
            delta_bias: Maybe::new(bias),
            d: Maybe::new(d),
            z: Maybe::new(z),
            resets: Maybe::Absent,
        }
    }
}

/// What a call returns, and the states before the chunks if there are several.
fn forward(call: &Call, state: CubeTensor) -> (Outputs<CubeBackend>, Option<CubeTensor>) {
    let tokens = launch::prepare(call, None);
    let last = own(as_one_chunk(state));
    let (read, states) = match call.extents().chunks {
        // The only chunk begins with the first state and leaves the last.
        1 => (launch::read(call, &tokens, &last, true), None),
        _ => {
            let summaries = launch::summary(call, &tokens, Direction::Forward);
            let states = across(&summaries, &Parts::new(last.clone(), Maybe::Absent), Direction::Forward).re;
            (launch::read(call, &tokens, &states, false), Some(states))
        }
    };
    (Outputs { output: launch::finish(call, read), state: as_state(last, call) }, states)
}

/// States `[b, e, n]` as those of one chunk, `[b, 1, e n]`.
fn as_one_chunk(state: CubeTensor) -> CubeTensor {
    let [batch, channels, size] = state.meta.shape().dims();
    CubeBackend::float_reshape(state, Shape::new([batch, 1, channels * size]))
}

/// The other way.
fn as_state(carried: CubeTensor, call: &Call) -> CubeTensor {
    let Extents { batch, channels, size, .. } = call.extents();
    CubeBackend::float_reshape(carried, Shape::new([batch, channels, size]))
}

/// `B` and `C` as one tensor, `[2, b, t, g, n]`: a program takes seven, and they are small.
fn both(call: &Call) -> CubeTensor {
    let Extents { batch, time, groups, size, .. } = call.extents();
    let one = |tensor: &CubeTensor| {
        CubeBackend::float_reshape(tensor.clone(), Shape::new([1, batch, time, groups, size]))
    };
    CubeBackend::float_cat(vec![one(&call.b), one(&call.c)], 0)
}

/// The gradients of `B` and of `C`, from those of both block by block, `[2, b, t, g, blocks, n]`.
fn apart(of_shared: CubeTensor) -> [CubeTensor; 2] {
    let [_, batch, time, groups, blocks, size] = of_shared.meta.shape().dims();
    let sum = if blocks > 1 { CubeBackend::float_sum_dim(of_shared, 4) } else { of_shared };
    [0, 1].map(|which| {
        let one = CubeBackend::float_slice(sum.clone(), &[(which..which + 1).into()]);
        CubeBackend::float_reshape(one, Shape::new([batch, time, groups, size]))
    })
}

/// The sum over sequences and tokens, always in the same order.
fn summed<const D: usize>(gradient: CubeTensor, shape: [usize; D]) -> CubeTensor {
    let sum = CubeBackend::float_sum_dim(CubeBackend::float_sum_dim(gradient, 1), 0);
    CubeBackend::float_reshape(sum, Shape::new(shape))
}
