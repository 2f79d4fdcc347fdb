//! The operator in CubeCL.
//!
//! Only the memory passes from chunk to chunk, so only [`carry`] walks along the sequence; every other
//! program has all chunks at once, and is shared by the operators with a matrix memory.
#![allow(
    clippy::collapsible_if,
    reason = "`comptime!` is decided when a program is built, the `if` in it when it runs"
)]

mod carry;
mod launch;
mod step;

use super::{Inputs, LinearAttentionBackend, Outputs, Saved, Settings};
use crate::kernel::gpu::launch::Direction::{Forward, Reverse};
use crate::kernel::gpu::launch::contiguous;
use crate::kernel::tensors::Maybe;
use crate::matrix_memory::kernel::gpu::launch::Turn;
use crate::matrix_memory::kernel::gpu::{launch as shared, summed};
use burn_cubecl::{CubeBackend, kernel::into_contiguous};

impl LinearAttentionBackend for CubeBackend {
    fn linear_attention(inputs: Inputs<Self>, settings: Settings) -> Outputs<Self> {
        let [_, time, _, _] = inputs.key.meta.shape().dims();
        if time > 1 {
            return Self::linear_attention_forward(inputs, settings).0;
        }
        let Inputs { query, key, value, decay, memory, resets } = contiguous(inputs);
        let factors = shared::factors(&value, decay.into_option(), resets.into_option());
        let (output, memory) = launch::step(&query, &key, &value, &factors, &memory, settings.scale);
        Outputs { output, memory }
    }

    fn linear_attention_forward(
        inputs: Inputs<Self>,
        Settings { scale, .. }: Settings,
    ) -> (Outputs<Self>, Saved<Self>) {
        let Inputs { query, key, value, decay, memory, resets } = contiguous(inputs);
        let factors = shared::factors(&value, decay.clone().into_option(), resets.clone().into_option());
        let [_, _, heads, _] = value.meta.shape().dims();
        let (states, memory) = launch::carry(&key, &value, &factors, memory, 1.0, Forward);
        let products = shared::products(&query, &key, Some(&factors), heads, scale);
        let output = shared::read(&query, &value, &factors, &states, &products, scale, Forward);
        (Outputs { output, memory }, Saved { query, key, value, decay, resets, states, products })
    }

    fn linear_attention_vjp(
        saved: Saved<Self>,
        upstream: Outputs<Self>,
        Settings { scale, .. }: Settings,
    ) -> Inputs<Self> {
        let Saved { query, key, value, decay, resets, states, products } = saved;
        let [output, last] = [upstream.output, upstream.memory].map(into_contiguous);
        let [_, time, heads, _] = value.meta.shape().dims();
        let (query_shape, key_shape) = (query.meta.shape().dims(), key.meta.shape().dims());
        let decay = decay.into_option();
        let decay_shape = decay.as_ref().map(|decay| decay.meta.shape().dims());
        let factors = shared::factors(&value, decay, resets.into_option());

        let (state_gradients, d_memory) = launch::carry(&query, &output, &factors, last, scale, Reverse);
        let d_value = shared::read(&key, &output, &factors, &state_gradients, &products, 1.0, Reverse);
        let d_products = shared::products(&output, &value, None, heads, 1.0);
        let d_query = shared::spread(&output, &factors, &states, Forward);
        let d_key = shared::spread(&value, &factors, &state_gradients, Reverse);
        let d_decay = decay_shape.map(|_| shared::memory_overlap(&states, &state_gradients, time));
        let decay = d_decay.as_ref();
        shared::within(&query, &key, &factors, &d_products, &d_query, &d_key, decay, scale, Turn::First);
        Inputs {
            query: summed(d_query, query_shape),
            key: summed(d_key, key_shape),
            value: d_value,
            decay: Maybe::new(d_decay.zip(decay_shape).map(|(gradient, shape)| summed(gradient, shape))),
            memory: d_memory,
            resets: Maybe::Absent,
        }
    }
}
