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
mod upstream;

use super::DeltaRuleBackend;
use crate::kernel::Settings;
use crate::kernel::gpu::matrix_memory::launch::Direction::{Forward, Reverse};
use crate::kernel::gpu::matrix_memory::launch::Turn;
use crate::kernel::gpu::matrix_memory::{launch as shared, summed};
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn_cubecl::{CubeBackend, kernel::into_contiguous, tensor::CubeTensor};

impl DeltaRuleBackend for CubeBackend {
    fn delta_rule_forward(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        decay: FloatTensor<Self>,
        memory: FloatTensor<Self>,
        resets: FloatTensor<Self>,
        settings: Settings,
        keep: bool,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    ) {
        let [query, key, value, beta, decay, memory, resets] =
            [query, key, value, beta, decay, memory, resets].map(into_contiguous);
        let [_, time, _, _] = key.meta.shape().dims();
        let scale = settings.scale;
        let kept = shared::fading(&key, decay, resets, settings);
        let nothing = shared::empty(&query, [1]);
        let nothing = || nothing.clone();
        if time == 1 && !keep {
            let (output, last) = launch::step(&query, &key, value, &beta, &kept, &memory, scale);
            return (output, last, nothing(), nothing(), nothing(), nothing());
        }
        let overlaps = shared::products(&key, &key, Some(&kept), 1.0);
        let (differences, memories, last) =
            launch::carry(&key, value, &beta, &kept, &overlaps, None, memory, Forward);
        let written = product(&beta, &differences);
        let products = shared::products(&query, &key, Some(&kept), scale);
        let output = shared::read(&query, &written, &kept, &memories, &products, scale, Forward);
        if keep {
            (output, last, memories, differences, products, overlaps)
        } else {
            (output, last, nothing(), nothing(), nothing(), nothing())
        }
    }

    fn delta_rule_vjp(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        decay: FloatTensor<Self>,
        resets: FloatTensor<Self>,
        memories: FloatTensor<Self>,
        differences: FloatTensor<Self>,
        products: FloatTensor<Self>,
        overlaps: FloatTensor<Self>,
        output: FloatTensor<Self>,
        last: FloatTensor<Self>,
        settings: Settings,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    ) {
        let [query, key, beta, decay, resets, output, last] =
            [query, key, beta, decay, resets, output, last].map(into_contiguous);
        let [memories, differences, products, overlaps] =
            [memories, differences, products, overlaps].map(into_contiguous);
        let [_, time, _, _] = key.meta.shape().dims();
        let shape_of = |tensor: &CubeTensor| -> [usize; 4] { tensor.meta.shape().dims() };
        let (beta_shape, decay_shape) = (shape_of(&beta), shape_of(&decay));
        let scale = settings.scale;
        let kept = shared::fading(&key, decay, resets, settings);
        let written = product(&beta, &differences);

        // What is written: first what this chunk's outputs ask of it, then what comes from behind.
        let (of_written, upstream) = launch::upstream(&query, &output, &kept, &products, scale);
        let (of_written, gradients, memory) =
            launch::carry(&key, of_written, &beta, &kept, &overlaps, Some(upstream), last, Reverse);
        let of_value = product(&beta, &of_written);
        let of_beta = summed(product(&of_written, &differences), beta_shape);

        // The queries as readers, and the keys as what writes.
        let of_products = shared::products(&output, &written, None, 1.0);
        let of_query = shared::spread(&output, &kept, &memories, Forward);
        let of_key = shared::spread(&written, &kept, &gradients, Reverse);
        let of_decay = settings.decays.then(|| shared::overlap(&memories, &gradients, time));
        let decay = of_decay.as_ref();
        shared::within(&query, &key, &kept, &of_products, &of_query, &of_key, decay, scale, Turn::First);

        // The keys as readers. What they find is subtracted, hence the scale.
        let of_products = shared::products(&of_value, &written, None, 1.0);
        let of_reader = shared::spread(&of_value, &kept, &memories, Forward);
        shared::within(
            &key,
            &key,
            &kept,
            &of_products,
            &of_reader,
            &of_key,
            decay,
            -1.0,
            Turn::BeforeTheWrite,
        );
        let of_key = Self::float_add(of_key, of_reader);

        let of_decay = match of_decay {
            Some(gradient) => summed(gradient, decay_shape),
            None => Self::float_zeros(decay_shape.into(), &query.device, query.dtype.into()),
        };
        (of_query, of_key, of_value, of_beta, of_decay, memory)
    }
}

/// The product, number by number; the first may be as wide as one number per token and head.
fn product(left: &CubeTensor, right: &CubeTensor) -> CubeTensor {
    into_contiguous(CubeBackend::float_mul(left.clone(), right.clone()))
}
