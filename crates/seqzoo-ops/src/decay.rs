//! How a matrix memory fades: the same for every operator that has one.

use crate::checks;
use crate::heads::repeat_heads;
use crate::precision::to_dtype;
use burn::tensor::{DType, Tensor};

/// How the memory fades before each write. All values are natural logarithms, at most 0.
#[derive(Clone, Debug, Default)]
pub enum Decay {
    /// Nothing fades: plain linear attention, DeltaNet.
    #[default]
    None,
    /// One fixed log decay per head, `[H]`: RetNet, Lightning Attention.
    PerHead(Tensor<1>),
    /// One log decay per token and head, `[B, T, H]` (or fewer heads that divide `H`): Mamba-2, simple GLA,
    /// Gated DeltaNet.
    Scalar(Tensor<3>),
    /// One log decay per token, head and key channel, `[B, T, H, K]` (or fewer heads that divide `H`): GLA, HGRN2,
    /// Kimi delta attention.
    Vector(Tensor<4>),
}

impl Decay {
    /// The decay in `dtype` for memories of `heads` heads, checked against `[B, T, H, K]` of the keys.
    #[track_caller]
    pub(crate) fn checked(self, [batch, time, heads, key_dim]: [usize; 4], dtype: DType) -> Self {
        match self {
            Self::None => Self::None,
            Self::PerHead(log) => {
                checks::shape("decay", &log.dims(), &[("H", heads)]);
                Self::PerHead(to_dtype(log, dtype))
            }
            Self::Scalar(log) => {
                let found = log.dims()[2];
                checks::shape("decay", &log.dims(), &[("B", batch), ("T", time), ("H", found)]);
                checks::divides("decay", found, "value", heads);
                let log = repeat_heads(to_dtype(log, dtype).unsqueeze_dim(3), heads);
                Self::Scalar(log.squeeze_dim(3))
            }
            Self::Vector(log) => {
                let found = log.dims()[2];
                checks::shape(
                    "decay",
                    &log.dims(),
                    &[("B", batch), ("T", time), ("H", found), ("K", key_dim)],
                );
                checks::divides("decay", found, "value", heads);
                Self::Vector(repeat_heads(to_dtype(log, dtype), heads))
            }
        }
    }
}
