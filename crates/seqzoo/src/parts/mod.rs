//! The modules that layers share: norms, projections, feature maps, rotary positions, the running softmax, short
//! convolutions, implicit filters, decays and gates, heads on the delta rule, networks that learn while they read, state spaces and their steps, and the gated
//! feed-forwards, one or many behind a router.

mod attention_cache;
mod cut;
mod decay_gate;
mod delay_network;
mod delta_heads;
mod depth_bounds;
mod diagonal_state_space;
mod dispatch;
mod dplr_state_space;
mod fast_weights;
mod feature_map;
mod forget_gate;
mod geglu;
mod glu_output;
mod grouped_norm;
mod hippo;
mod implicit_filter;
mod initial_model;
mod learning_rates;
mod memory_gates;
mod memory_heads;
mod memory_reader;
mod mixture_of_experts;
mod norm;
mod projection;
mod real_gated_lru;
mod retention;
mod rotary;
mod rotary_scaling;
mod router;
mod running_softmax;
mod same_sequence;
mod short_conv;
mod short_convs;
mod ssd;
mod swiglu;
mod time_steps;

pub use decay_gate::{DecayGate, ScalarDecay};
pub use delta_heads::DeltaHeads;
pub use depth_bounds::{Depth, DepthBounds};
pub use diagonal_state_space::{DiagonalStateSpace, DiagonalStateSpaceConfig, StateSpaceInit};
pub use dplr_state_space::{DplrStateSpace, DplrStateSpaceConfig};
pub use feature_map::{FeatureMap, FeatureMapKind};
pub use geglu::GeGlu;
pub use glu_output::GluOutput;
pub use grouped_norm::GroupedRmsNorm;
pub use hippo::{Hippo, NormalPlusLowRank, System};
pub use implicit_filter::{ImplicitFilter, SineLayer};
pub use initial_model::InitialModel;
pub use learning_rates::LearningRates;
pub use memory_gates::MemoryGates;
pub use memory_heads::MemoryHeads;
pub use memory_reader::MemoryReader;
pub use mixture_of_experts::{MixtureOfExperts, MixtureOfExpertsConfig, SharedExpert};
pub use norm::{GateActivation, GatedRmsNorm, RmsNorm};
pub use projection::ProjectionInit;
pub use real_gated_lru::{BlockLinear, RealGatedLru};
pub use rotary::{Rotary, RotaryLayout, Rotation};
pub use rotary_scaling::RotaryScaling;
pub use router::{Router, Routing, RoutingLoad};
pub use running_softmax::{RunningSoftmax, running_softmax};
pub use short_conv::{ShortConv, ShortConvConfig};
pub use short_convs::{ConvStates, ShortConvs};
pub use ssd::{SsdOptions, ssd};
pub use swiglu::SwiGlu;

pub use crate::ops::diagonal_ssm::continuous::{Discretisation, RealTransform};

pub(crate) use crate::ops::exact_gelu;

pub(crate) use attention_cache::{empty_cache, map_cache, map_cache_and_position};
pub(crate) use cut::cut;
pub(crate) use delay_network::DelayNetwork;
pub(crate) use delta_heads::{DeltaLayout, DeltaOptions};
pub(crate) use dispatch::Dispatch;
pub(crate) use fast_weights::{check_tokens, head_width, matrix_shapes};
pub(crate) use forget_gate::{ForgetGate, bounded_forget_gate};
pub(crate) use implicit_filter::ImplicitFilterOptions;
pub(crate) use memory_heads::MemoryOptions;
pub(crate) use norm::root_mean_square_norm;
pub(crate) use projection::{
    HeadLayout, biased_projection, check_heads, join_heads, project, project_all, project_parts, projection,
    split_heads, with_bias,
};
pub(crate) use retention::retention_decay;
pub(crate) use time_steps::{TimeSteps, inverse_softplus};
