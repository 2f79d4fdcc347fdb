//! A call's tensors, and its sizes.

use super::super::{Inputs, Settings};
use super::kind::{CHUNK, Kind};
use super::steps::Rule;
use crate::kernel::gpu::launch::scalar;
use crate::kernel::tensors::Maybe;
use burn_cubecl::{CubeBackend, tensor::CubeTensor};
use cubecl::prelude::InputScalar;

/// The sizes of a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extents {
    pub batch: usize,
    pub time: usize,
    pub channels: usize,
    pub groups: usize,
    pub size: usize,
    pub chunks: usize,
}

/// Contiguous tensors, without the state before the first token.
pub(super) struct Call {
    pub input: CubeTensor,
    pub delta: CubeTensor,
    pub a: CubeTensor,
    pub b: CubeTensor,
    pub c: CubeTensor,
    pub delta_bias: Option<CubeTensor>,
    pub d: Option<CubeTensor>,
    pub z: Option<CubeTensor>,
    pub resets: Option<CubeTensor>,
    pub settings: Settings,
}

impl Call {
    /// The call, and the state before the first token.
    pub fn new(inputs: Inputs<CubeBackend>, settings: Settings) -> (Self, CubeTensor) {
        let Inputs { input, delta, a, b, c, state, delta_bias, d, z, resets } = inputs;
        let [delta_bias, d, z, resets] = [delta_bias, d, z, resets].map(Maybe::into_option);
        (Self { input, delta, a, b, c, delta_bias, d, z, resets, settings }, state)
    }

    pub fn extents(&self) -> Extents {
        let [batch, time, channels] = self.input.meta.shape().dims();
        let [_, _, groups, size] = self.b.meta.shape().dims();
        Extents { batch, time, channels, groups, size, chunks: time.div_ceil(CHUNK) }
    }

    pub fn kind(&self) -> Kind {
        Kind { a_log: self.settings.a_log, resets: self.resets.is_some() }
    }

    pub fn rule(&self) -> Rule {
        Rule {
            bias: self.delta_bias.is_some(),
            softplus: self.settings.softplus,
            limits: self.settings.limits.is_some(),
        }
    }

    /// The least and the greatest step; not read where there are none.
    pub fn limits(&self) -> [InputScalar; 2] {
        let (least, most) = self.settings.limits.unwrap_or((0.0, 0.0));
        [least, most].map(|limit| scalar(&self.input, limit))
    }
}
