//! The modules that layers share: norms, projections, feature maps, rotary positions, short
//! convolutions, decays, heads on the delta rule, state spaces, and the gated feed-forward.

mod decay_gate;
mod delay_network;
mod delta_heads;
mod diagonal_state_space;
mod dplr_state_space;
mod feature_map;
mod glu_output;
mod hippo;
mod norm;
mod projection;
mod rotary;
mod same_sequence;
mod short_conv;
mod short_convs;
mod swiglu;

pub use decay_gate::{DecayGate, ScalarDecay};
pub use delta_heads::DeltaHeads;
pub use diagonal_state_space::{
    DiagonalStateSpace, DiagonalStateSpaceConfig, Discretisation, RealTransform, StateSpaceInit,
};
pub use dplr_state_space::{DplrStateSpace, DplrStateSpaceConfig};
pub use feature_map::{FeatureMap, FeatureMapKind};
pub use glu_output::GluOutput;
pub use hippo::{Hippo, NormalPlusLowRank, System};
pub use norm::{GateActivation, GatedRmsNorm, RmsNorm};
pub use projection::ProjectionInit;
pub use rotary::{Rotary, Rotation};
pub use short_conv::{ShortConv, ShortConvConfig};
pub use short_convs::{ConvStates, ShortConvs};
pub use swiglu::SwiGlu;

pub(crate) use delay_network::DelayNetwork;
pub(crate) use delta_heads::{DeltaLayout, DeltaOptions};
pub(crate) use projection::{
    HeadLayout, biased_projection, check_heads, empty_product, join_heads, project, projection, split_heads,
};
