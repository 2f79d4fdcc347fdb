//! The zoo: one layer per file.
//!
//! | layer | memory | state per sequence |
//! |---|---|---|
//! | [`SoftmaxAttention`] | all tokens, or a window of them | grows with the tokens seen |
//! | [`LinearAttention`] | outer products, nothing fades | `H·K·V` |
//! | [`MultiScaleRetention`] | outer products, fading at a fixed rate per head | `H·K·V` |
//! | [`GatedLinearAttention`] | outer products, fading at a learned rate per token and channel | `H·K·V` |
//! | [`BaseConv`] | the last few tokens | `(W-1)·D` |

mod base_conv;
mod gated_linear_attention;
mod linear_attention;
mod multi_scale_retention;
mod softmax_attention;

pub use base_conv::{BaseConv, BaseConvConfig, BaseConvState};
pub use gated_linear_attention::{
    GatedLinearAttention, GatedLinearAttentionConfig, GatedLinearAttentionState,
};
pub use linear_attention::{LinearAttention, LinearAttentionConfig, LinearAttentionState};
pub use multi_scale_retention::{MultiScaleRetention, MultiScaleRetentionConfig, MultiScaleRetentionState};
pub use softmax_attention::{SoftmaxAttention, SoftmaxAttentionConfig, SoftmaxAttentionState};
