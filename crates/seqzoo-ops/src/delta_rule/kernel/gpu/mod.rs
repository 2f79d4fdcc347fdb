//! The operator in CubeCL.
//!
//! Given what every token writes, the delta rule is linear attention with these values. So only [`carry`], which
//! finds them from chunk to chunk, walks along the sequence, and the programs of matrix memories do the rest. The
//! keys read the memory as the queries do, only before their token writes; backwards, they are a second reader.
#![allow(
    clippy::collapsible_if,
    reason = "`comptime!` is decided when a program is built, the `if` in it when it runs"
)]

mod carry;
mod launch;
mod step;

use super::{DeltaRuleBackend, Inputs, Outputs, Saved, Settings};
use crate::kernel::gpu::launch::Direction::{Forward, Reverse};
use crate::kernel::gpu::launch::contiguous;
use crate::kernel::tensors::Maybe;
use crate::matrix_memory::kernel::gpu::launch::Turn;
use crate::matrix_memory::kernel::gpu::{launch as shared, summed};
use burn::backend::ops::FloatTensorOps;
use burn_cubecl::{CubeBackend, kernel::into_contiguous, tensor::CubeTensor};

impl DeltaRuleBackend for CubeBackend {
    fn delta_rule(inputs: Inputs<Self>, settings: Settings) -> Outputs<Self> {
        let [_, time, _, _] = inputs.key.meta.shape().dims();
        if time > 1 {
            return Self::delta_rule_forward(inputs, settings).0;
        }
        let Inputs { query, key, value, beta, decay, memory, resets } = contiguous(inputs);
        let factors = shared::factors(&value, decay.into_option(), resets.into_option());
        let (output, memory) = launch::step(&query, &key, value, &beta, &factors, &memory, settings.scale);
        Outputs { output, memory }
    }

    fn delta_rule_forward(
        inputs: Inputs<Self>,
        Settings { scale, .. }: Settings,
    ) -> (Outputs<Self>, Saved<Self>) {
        let Inputs { query, key, value, beta, decay, memory, resets } = contiguous(inputs);
        let factors = shared::factors(&value, decay.clone().into_option(), resets.clone().into_option());
        let [_, _, heads, _] = value.meta.shape().dims();
        let overlaps = shared::products(&key, &key, Some(&factors), heads, 1.0);
        let (differences, states, memory) =
            launch::carry(&key, value, &beta, &factors, &overlaps, None, memory, Forward);
        let written = product(&beta, &differences);
        let products = shared::products(&query, &key, Some(&factors), heads, scale);
        let output = shared::read(&query, &written, &factors, &states, &products, scale, Forward);
        let saved = Saved { query, key, beta, decay, resets, states, differences, products, overlaps };
        (Outputs { output, memory }, saved)
    }

    fn delta_rule_vjp(
        saved: Saved<Self>,
        upstream: Outputs<Self>,
        Settings { scale, .. }: Settings,
    ) -> Inputs<Self> {
        let Saved { query, key, beta, decay, resets, states, differences, products, overlaps } = saved;
        let [output, last] = [upstream.output, upstream.memory].map(into_contiguous);
        let [_, time, heads, _] = differences.meta.shape().dims();
        let (query_shape, key_shape) = (query.meta.shape().dims(), key.meta.shape().dims());
        let beta_shape = beta.meta.shape().dims();
        let decay = decay.into_option();
        let decay_shape = decay.as_ref().map(|decay| decay.meta.shape().dims());
        let factors = shared::factors(&differences, decay, resets.into_option());
        let written = product(&beta, &differences);

        // The gradient of everything written: first from the outputs of its own chunk, then from later chunks.
        let (d_written, from_outputs) = shared::upstream(&query, &output, &factors, &products, scale);
        let (d_written, state_gradients, d_memory) =
            launch::carry(&key, d_written, &beta, &factors, &overlaps, Some(from_outputs), last, Reverse);
        let d_value = product(&beta, &d_written);
        let d_beta = summed(product(&d_written, &differences), beta_shape);

        // The queries as readers, and the keys as writers.
        let d_products = shared::products(&output, &written, None, heads, 1.0);
        let d_query = shared::spread(&output, &factors, &states, Forward);
        let d_key = shared::spread(&written, &factors, &state_gradients, Reverse);
        let d_decay = decay_shape.map(|_| shared::memory_overlap(&states, &state_gradients, time));
        let decay = d_decay.as_ref();
        shared::within(&query, &key, &factors, &d_products, &d_query, &d_key, decay, scale, Turn::First);

        // The keys as readers: they read before their token writes. The scale is -1, for what they find is subtracted.
        let turn = Turn::BeforeTheWrite;
        let d_overlaps = shared::products(&d_value, &written, None, heads, 1.0);
        let d_reader = shared::spread(&d_value, &factors, &states, Forward);
        shared::within(&key, &key, &factors, &d_overlaps, &d_reader, &d_key, decay, -1.0, turn);
        Inputs {
            query: summed(d_query, query_shape),
            key: summed(Self::float_add(d_key, d_reader), key_shape),
            value: d_value,
            beta: d_beta,
            decay: Maybe::new(d_decay.zip(decay_shape).map(|(gradient, shape)| summed(gradient, shape))),
            memory: d_memory,
            resets: Maybe::Absent,
        }
    }
}

/// The product, number by number; the first may be as wide as one number per token and head.
fn product(left: &CubeTensor, right: &CubeTensor) -> CubeTensor {
    into_contiguous(CubeBackend::float_mul(left.clone(), right.clone()))
}
