//! The kernel on Burn's Flex backend: rows of channels, on all cores.
//!
//! With `n = x r`, `r = (mean(x²) + ε)^-1/2`, `a = act(g)` and the upstream gradient `dy`:
//!
//! ```text
//! dγ = Σ dy ⊙ a ⊙ n          dg = dy ⊙ γ ⊙ n ⊙ act'(g)
//! dn = dy ⊙ a ⊙ γ            dx = r (dn − n mean(dn ⊙ n))
//! ```
//!
//! `r` is made again from the row, which is in the nearest cache by then.
#![allow(unsafe_code, reason = "passes fill tensors in parallel")]

mod backward;
mod forward;
mod row;

use super::{Inputs, Outputs, RmsNormBackend, Saved, Settings};
use crate::kernel::cpu::channels::room::Room;
use crate::kernel::cpu::channels::sums::over_batch;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::tensors::numbers;
use crate::kernel::tensors::Maybe;
use backward::Backward;
use burn::backend::flex::FlexTensor;
use burn::backend::{Element, Flex, TensorMetadata};
use burn::tensor::DType;
use forward::Forward;
use pulp::Arch;
use row::Rows;

impl RmsNormBackend for Flex {
    fn rms_norm(inputs: Inputs<Self>, settings: Settings) -> Outputs<Self> {
        let inputs = contiguous(inputs);
        match inputs.input.dtype() {
            DType::F64 => forward::<f64>(&inputs, settings),
            _ => forward::<f32>(&inputs, settings),
        }
    }

    fn rms_norm_forward(inputs: Inputs<Self>, settings: Settings) -> (Outputs<Self>, Saved<Self>) {
        let inputs = contiguous(inputs);
        (Self::rms_norm(inputs.clone(), settings), inputs)
    }

    fn rms_norm_vjp(saved: Saved<Self>, upstream: Outputs<Self>, settings: Settings) -> Inputs<Self> {
        let upstream = upstream.output.to_contiguous();
        match upstream.dtype() {
            DType::F64 => backward::<f64>(&saved, &upstream, settings),
            _ => backward::<f32>(&saved, &upstream, settings),
        }
    }
}

fn contiguous(Inputs { input, gamma, gate }: Inputs<Flex>) -> Inputs<Flex> {
    let gate = gate.into_option().map(|gate: FlexTensor| gate.to_contiguous());
    Inputs { input: input.to_contiguous(), gamma: gamma.to_contiguous(), gate: Maybe::new(gate) }
}

fn rows<E: Real + Element>(inputs: &Inputs<Flex>, settings: Settings) -> Rows<'_, E> {
    let gate = match &inputs.gate {
        Maybe::Absent => None,
        Maybe::Present(gate) => Some(numbers(gate)),
    };
    Rows { input: numbers(&inputs.input), gamma: numbers(&inputs.gamma), gate, settings }
}

fn forward<E: Real + Element>(inputs: &Inputs<Flex>, settings: Settings) -> Outputs<Flex> {
    let mut output = Room::<E>::new(inputs.input.shape());
    Arch::new().dispatch(Forward { rows: rows(inputs, settings), output: output.output() });
    // SAFETY: the pass fills all rows.
    Outputs { output: unsafe { output.filled() } }
}

fn backward<E: Real + Element>(
    inputs: &Inputs<Flex>,
    upstream: &FlexTensor,
    settings: Settings,
) -> Inputs<Flex> {
    let rows = rows::<E>(inputs, settings);
    let channels = rows.gamma.len();
    let mut input = Room::<E>::new(inputs.input.shape());
    let mut gate = rows.gate.map(|_| Room::<E>::new(inputs.input.shape()));
    let mut gamma = Room::<E>::new([rows.tasks(), channels]);
    Arch::new().dispatch(Backward {
        rows,
        upstream: numbers(upstream),
        d_input: input.output(),
        d_gamma: gamma.output(),
        d_gate: gate.as_mut().map(Room::output),
    });
    // SAFETY: the pass fills the gradients of all rows, and the sums of all tasks.
    unsafe {
        Inputs {
            input: input.filled(),
            gamma: over_batch::<E>(&gamma.filled(), [channels]),
            gate: Maybe::new(gate.map(|gate| gate.filled())),
        }
    }
}
