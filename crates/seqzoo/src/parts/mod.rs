//! The modules that layers share: norms, projections, feature maps, rotary positions, the short
//! convolution and the gated feed-forward.

mod feature_map;
mod norm;
mod projection;
mod rotary;
mod short_conv;
mod swiglu;

pub use feature_map::{FeatureMap, FeatureMapKind};
pub use norm::{GatedRmsNorm, RmsNorm};
pub use projection::ProjectionInit;
pub use rotary::Rotary;
pub use short_conv::{ShortConv, ShortConvConfig};
pub use swiglu::SwiGlu;

pub(crate) use projection::{HeadLayout, check_heads, join_heads, projection, split_heads};
