//! The modules that layers share: norms, projections, feature maps, rotary positions, short
//! convolutions and the gated feed-forward.

mod feature_map;
mod norm;
mod projection;
mod rotary;
mod short_conv;
mod short_convs;
mod swiglu;

pub use feature_map::{FeatureMap, FeatureMapKind};
pub use norm::{GatedRmsNorm, RmsNorm};
pub use projection::ProjectionInit;
pub use rotary::{Rotary, Rotation};
pub use short_conv::{ShortConv, ShortConvConfig};
pub use short_convs::ShortConvs;
pub use swiglu::SwiGlu;

pub(crate) use projection::{
    HeadLayout, biased_projection, check_heads, join_heads, projection, split_heads,
};
