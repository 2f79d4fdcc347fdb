//! How a matrix memory decays: the same for every operator that has one.

use crate::checks;
use crate::precision::to_dtype;
use burn::tensor::{DType, Tensor};

/// How the memory decays before each write. All values are natural logarithms, at most 0.
#[derive(Clone, Debug, Default)]
pub enum Decay {
    /// No decay: plain linear attention, DeltaNet.
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
    /// The decay in `dtype` as a tensor that broadcasts to `[B, T, H, K]` once its heads are repeated: `[1, 1, H, 1]`,
    /// `[B, T, HD, 1]` or `[B, T, HD, K]`, where `HD` divides `H`. Checked against the keys' `K` and the values' `H`.
    #[track_caller]
    pub(crate) fn checked(
        self,
        [batch, time, heads, key_dim]: [usize; 4],
        dtype: DType,
    ) -> Option<Tensor<4>> {
        let log = match self {
            Self::None => return None,
            Self::PerHead(log) => {
                checks::shape("decay", &log.dims(), &[("H", heads)]);
                log.reshape([1, 1, heads, 1])
            }
            Self::Scalar(log) => {
                let found = log.dims()[2];
                checks::shape("decay", &log.dims(), &[("B", batch), ("T", time), ("H", found)]);
                checks::divides("decay", found, "value", heads);
                log.unsqueeze_dim(3)
            }
            Self::Vector(log) => {
                let found = log.dims()[2];
                let wanted = [("B", batch), ("T", time), ("H", found), ("K", key_dim)];
                checks::shape("decay", &log.dims(), &wanted);
                checks::divides("decay", found, "value", heads);
                log
            }
        };
        Some(to_dtype(log, dtype))
    }
}
