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

use super::LinearAttentionBackend;
use crate::kernel::Settings;
use crate::kernel::gpu::matrix_memory::launch::Direction::{Forward, Reverse};
use crate::kernel::gpu::matrix_memory::launch::Turn;
use crate::kernel::gpu::matrix_memory::{launch as shared, summed};
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn_cubecl::{CubeBackend, kernel::into_contiguous};

impl LinearAttentionBackend for CubeBackend {
    fn linear_attention_forward(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        decay: FloatTensor<Self>,
        memory: FloatTensor<Self>,
        resets: FloatTensor<Self>,
        settings: Settings,
        keep: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let [query, key, value, decay, memory, resets] =
            [query, key, value, decay, memory, resets].map(into_contiguous);
        let nothing = || shared::empty(&query, [1]);
        let kept = shared::fading(&key, decay, resets, settings);
        let [_, time, _, _] = key.meta.shape().dims();
        if time == 1 && !keep {
            let (output, last) = launch::step(&query, &key, &value, &kept, &memory, settings.scale);
            return (output, last, nothing(), nothing());
        }
        let (memories, last) = launch::carry(&key, &value, &kept, memory, 1.0, Forward);
        let products = shared::products(&query, &key, Some(&kept), settings.scale);
        let output = shared::read(&query, &value, &kept, &memories, &products, settings.scale, Forward);
        if keep { (output, last, memories, products) } else { (output, last, nothing(), nothing()) }
    }

    fn linear_attention_vjp(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        decay: FloatTensor<Self>,
        resets: FloatTensor<Self>,
        memories: FloatTensor<Self>,
        products: FloatTensor<Self>,
        output: FloatTensor<Self>,
        last: FloatTensor<Self>,
        settings: Settings,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let [query, key, value, decay, resets, memories, products, output, last] =
            [query, key, value, decay, resets, memories, products, output, last].map(into_contiguous);
        let [_, time, _, _] = key.meta.shape().dims();
        let decay_shape: [usize; 4] = decay.meta.shape().dims();
        let kept = shared::fading(&key, decay, resets, settings);

        let (gradients, memory) = launch::carry(&query, &output, &kept, last, settings.scale, Reverse);
        let of_value = shared::read(&key, &output, &kept, &gradients, &products, 1.0, Reverse);
        let of_products = shared::products(&output, &value, None, 1.0);
        let of_query = shared::spread(&output, &kept, &memories, Forward);
        let of_key = shared::spread(&value, &kept, &gradients, Reverse);
        let of_decay = settings.decays.then(|| shared::overlap(&memories, &gradients, time));
        shared::within(
            &query,
            &key,
            &kept,
            &of_products,
            &of_query,
            &of_key,
            of_decay.as_ref(),
            settings.scale,
            Turn::First,
        );
        let of_decay = match of_decay {
            Some(gradient) => summed(gradient, decay_shape),
            None => Self::float_zeros(decay_shape.into(), &query.device, query.dtype.into()),
        };
        (of_query, of_key, of_value, of_decay, memory)
    }
}
