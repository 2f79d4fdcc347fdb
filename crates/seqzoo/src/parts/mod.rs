//! The modules that layers share: norms, projections, feature maps, rotary positions, short
//! convolutions, implicit filters, decays, heads on the delta rule, and the gated feed-forward.

mod decay_gate;
mod delta_heads;
mod diagonal_state_space;
mod feature_map;
mod hippo;
mod implicit_filter;
mod norm;
mod projection;
mod rotary;
mod short_conv;
mod short_convs;
mod swiglu;

pub use decay_gate::{DecayGate, ScalarDecay};
pub use delta_heads::DeltaHeads;
pub use diagonal_state_space::{
    DiagonalStateSpace, DiagonalStateSpaceConfig, Discretisation, RealTransform, StateSpaceInit,
};
pub use feature_map::{FeatureMap, FeatureMapKind};
pub use hippo::{Hippo, NormalPlusLowRank, System};
pub use implicit_filter::{ImplicitFilter, SineLayer};
pub use norm::{GateActivation, GatedRmsNorm, RmsNorm};
pub use projection::ProjectionInit;
pub use rotary::{Rotary, Rotation};
pub use short_conv::{ShortConv, ShortConvConfig};
pub use short_convs::{ConvStates, ShortConvs};
pub use swiglu::SwiGlu;

pub(crate) use delta_heads::{DeltaLayout, DeltaOptions};
pub(crate) use implicit_filter::ImplicitFilterOptions;
pub(crate) use projection::{
    HeadLayout, biased_projection, check_heads, empty_product, join_heads, project, projection, split_heads,
};
