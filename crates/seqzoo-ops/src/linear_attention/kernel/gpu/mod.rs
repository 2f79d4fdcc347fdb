//! The operator in CubeCL: one source for CUDA, ROCm, Metal, Vulkan and WebGPU.
//!
//! Only the memory passes from chunk to chunk, so only [`carry`] walks along the sequence; every other
//! program has all chunks at once. All arithmetic is in the tensors' own dtype, and no program asks for
//! anything beyond shared memory and barriers: at most 16 KiB (in `f32`), 256 units per cube and seven
//! tensors, which is what WebGPU promises everywhere.
#![allow(
    clippy::collapsible_if,
    reason = "`comptime!` is decided when a program is built, the `if` in it when it runs"
)]

mod carry;
mod fading;
mod launch;
mod overlap;
mod products;
mod read;
mod spread;
mod step;
mod tile;
mod within;

use super::{LinearAttentionBackend, Settings};
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn_cubecl::{CubeBackend, kernel::into_contiguous, tensor::CubeTensor};
use launch::Direction::{Forward, Reverse};

#[cfg(feature = "fusion")]
pub(super) use {launch::chunks, tile::CHUNK};

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
        let nothing = || launch::empty(&query, [1]);
        let kept = launch::fading(&key, decay, resets, settings);
        let [_, time, _, _] = key.meta.shape().dims();
        if time == 1 && !keep {
            let (output, last) = launch::step(&query, &key, &value, &kept, &memory, settings.scale);
            return (output, last, nothing(), nothing());
        }
        let (memories, last) = launch::carry(&key, &value, &kept, memory, 1.0, Forward);
        let products = launch::products(&query, &key, Some(&kept), settings.scale);
        let output = launch::read(&query, &value, &kept, &memories, &products, settings.scale, Forward);
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
        let kept = launch::fading(&key, decay, resets, settings);

        let (gradients, memory) = launch::carry(&query, &output, &kept, last, settings.scale, Reverse);
        let of_value = launch::read(&key, &output, &kept, &gradients, &products, 1.0, Reverse);
        let of_products = launch::products(&output, &value, None, 1.0);
        let of_query = launch::spread(&output, &kept, &memories, Forward);
        let of_key = launch::spread(&value, &kept, &gradients, Reverse);
        let of_decay = settings.decays.then(|| launch::overlap(&memories, &gradients, time));
        launch::within(
            &query,
            &key,
            &kept,
            &of_products,
            &of_query,
            &of_key,
            of_decay.as_ref(),
            settings.scale,
        );
        let of_decay = match of_decay {
            Some(gradient) => summed(gradient, decay_shape),
            None => Self::float_zeros(decay_shape.into(), &query.device, query.dtype.into()),
        };
        (of_query, of_key, of_value, of_decay, memory)
    }
}

/// The gradient of a tensor that was broadcast from `shape`.
fn summed(gradient: CubeTensor, shape: [usize; 4]) -> CubeTensor {
    let wide: [usize; 4] = gradient.meta.shape().dims();
    // The innermost axis first: it leaves least to the others.
    (0..4).rev().filter(|axis| shape[*axis] < wide[*axis]).fold(gradient, CubeBackend::float_sum_dim)
}
