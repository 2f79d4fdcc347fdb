//! Any layer of the zoo, and any layer's state.

use crate::layers::*;
use crate::state::StateMapper;
use crate::{ConfigError, MixerState, SequenceMixer};
use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor};

/// Writes the enums over all layers from one list: variant, name, module, configuration and state.
macro_rules! zoo {
    ($($variant:ident, $name:literal, $layer:ident, $config:ident, $state:ident;)*) => {
        /// Any layer of the zoo, to be chosen as data.
        #[derive(Module, Debug)]
        #[allow(clippy::large_enum_variant)]
        pub enum Mixer {
            $(#[doc = concat!("See [`", stringify!($layer), "`](crate::layers::", stringify!($layer), ").")]
            $variant($layer),)*
        }

        /// The state of any layer of the zoo.
        #[derive(Clone, Debug)]
        #[allow(clippy::large_enum_variant)]
        pub enum AnyState {
            $(#[doc = concat!("See [`", stringify!($state), "`](crate::layers::", stringify!($state), ").")]
            $variant($state),)*
        }

        /// The configuration of any layer of the zoo, written as data:
        /// `{"kind": "gated_linear_attention", "d_model": 64, "num_heads": 2}`.
        #[derive(Clone, Debug)]
        pub enum MixerConfig {
            $(#[doc = concat!("See [`", stringify!($config), "`](crate::layers::", stringify!($config), ").")]
            $variant($config),)*
        }

        impl MixerConfig {
            /// The names of all layers.
            pub const KINDS: &'static [&'static str] = &[$($name),*];

            /// The name of the layer.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name,)*
                }
            }

            /// The channels of the layer's input and output.
            pub fn d_model(&self) -> usize {
                match self {
                    $(Self::$variant(config) => config.d_model,)*
                }
            }

            /// The layer `kind` with its published defaults, or nothing if there is no such layer.
            pub fn published(kind: &str, d_model: usize) -> Option<Self> {
                match kind {
                    $($name => Some(Self::$variant($config::new(d_model))),)*
                    _ => None,
                }
            }

            /// The layer.
            ///
            /// # Errors
            ///
            /// If the configuration describes no layer.
            pub fn try_init(&self, device: &Device) -> Result<Mixer, ConfigError> {
                match self {
                    $(Self::$variant(config) => config.try_init(device).map(Mixer::$variant),)*
                }
            }

            pub(super) fn to_value(&self) -> serde_json::Value {
                match self {
                    $(Self::$variant(config) => serde_json::to_value(config),)*
                }
                .expect("a configuration is JSON")
            }

            pub(super) fn replaced_by(&self, value: serde_json::Value) -> serde_json::Result<Self> {
                match self {
                    $(Self::$variant(_) => serde_json::from_value(value).map(Self::$variant),)*
                }
            }
        }

        impl SequenceMixer for Mixer {
            type State = AnyState;

            fn init_state(&self, batch: usize, device: &Device) -> AnyState {
                match self {
                    $(Self::$variant(layer) => AnyState::$variant(layer.init_state(batch, device)),)*
                }
            }

            fn forward_packed(
                &self,
                input: Tensor<3>,
                resets: Option<Tensor<2, Bool>>,
                state: Option<AnyState>,
            ) -> (Tensor<3>, AnyState) {
                match self {
                    $(Self::$variant(layer) => {
                        let state = state.map(|state| match state {
                            AnyState::$variant(state) => state,
                            other => panic!(
                                "The argument `state` is one of `{}`, but one of `{}` is wanted.",
                                other.layer(), $name,
                            ),
                        });
                        let (output, state) = layer.forward_packed(input, resets, state);
                        (output, AnyState::$variant(state))
                    })*
                }
            }
        }

        impl MixerState for AnyState {
            fn layer(&self) -> String {
                match self {
                    $(Self::$variant(state) => state.layer(),)*
                }
            }

            fn map_state<M: StateMapper>(self, mapper: &mut M) -> Self {
                match self {
                    $(Self::$variant(state) => Self::$variant(state.map_state(mapper)),)*
                }
            }
        }
    };
}

zoo! {
    SoftmaxAttention, "softmax_attention", SoftmaxAttention, SoftmaxAttentionConfig, SoftmaxAttentionState;
    LinearAttention, "linear_attention", LinearAttention, LinearAttentionConfig, LinearAttentionState;
    MultiScaleRetention, "multi_scale_retention", MultiScaleRetention, MultiScaleRetentionConfig,
        MultiScaleRetentionState;
    GatedLinearAttention, "gated_linear_attention", GatedLinearAttention, GatedLinearAttentionConfig,
        GatedLinearAttentionState;
    DeltaNet, "delta_net", DeltaNet, DeltaNetConfig, DeltaNetState;
    GatedDeltaNet, "gated_delta_net", GatedDeltaNet, GatedDeltaNetConfig, GatedDeltaNetState;
    KimiDeltaAttention, "kimi_delta_attention", KimiDeltaAttention, KimiDeltaAttentionConfig,
        KimiDeltaAttentionState;
    GatedDeltaProduct, "gated_delta_product", GatedDeltaProduct, GatedDeltaProductConfig,
        GatedDeltaProductState;
    BaseConv, "base_conv", BaseConv, BaseConvConfig, BaseConvState;
}
