//! Any layer of the zoo, and any layer's state.

use crate::config::read;
use crate::layers::*;
use crate::ops::Report;
use crate::state::StateMapper;
use crate::{ConfigError, Layer, LayerConfig, MixerState, SequenceMixer};
use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor};

/// Writes the enums over all layers from their list: name, configuration and state follow from [`Layer`].
macro_rules! zoo {
    ($($layer:ident),* $(,)?) => {
        /// Any layer of the zoo, to be chosen as data.
        #[derive(Module, Debug)]
        #[allow(clippy::large_enum_variant, reason = "a layer is made once, and its parameters are on the heap")]
        pub enum Mixer {
            $(#[doc = concat!("See [`", stringify!($layer), "`](crate::layers::", stringify!($layer), ").")]
            $layer($layer),)*
        }

        /// The state of any layer of the zoo.
        #[derive(Clone, Debug)]
        #[allow(clippy::large_enum_variant, reason = "a state is a few handles of tensors")]
        pub enum AnyState {
            $(#[doc = concat!("State of [`", stringify!($layer), "`](crate::layers::", stringify!($layer), ").")]
            $layer(<$layer as SequenceMixer>::State),)*
        }

        /// The configuration of any layer of the zoo, written as data:
        /// `{"kind": "gated_linear_attention", "d_model": 64, "num_heads": 2}`.
        #[derive(Clone, Debug)]
        pub enum MixerConfig {
            $(#[doc = concat!("Configuration of [`", stringify!($layer), "`](crate::layers::", stringify!($layer), ").")]
            $layer(<$layer as Layer>::Config),)*
        }

        impl MixerConfig {
            /// The names of all layers.
            pub const KINDS: &'static [&'static str] = &[$($layer::KIND),*];

            /// The name of the layer.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$layer(_) => $layer::KIND,)*
                }
            }

            /// The channels of the layer's input and output.
            pub fn d_model(&self) -> usize {
                match self {
                    $(Self::$layer(config) => config.d_model(),)*
                }
            }

            /// The layer `kind` with its published defaults, or nothing if there is no such layer.
            pub fn published(kind: &str, d_model: usize) -> Option<Self> {
                match kind {
                    $($layer::KIND => Some(Self::$layer(LayerConfig::published(d_model))),)*
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
                    $(Self::$layer(config) => config.try_init(device).map(Mixer::$layer),)*
                }
            }

            pub(super) fn to_value(&self) -> serde_json::Value {
                match self {
                    $(Self::$layer(config) => serde_json::to_value(config),)*
                }
                .expect("a configuration is JSON")
            }

            /// The same layer where `options` does not say otherwise.
            pub(super) fn replaced_by(
                &self,
                options: serde_json::Map<String, serde_json::Value>,
            ) -> Result<Self, ConfigError> {
                match self {
                    $(Self::$layer(config) => read($layer::KIND, config, options).map(Self::$layer),)*
                }
            }
        }

        $(impl From<<$layer as Layer>::Config> for MixerConfig {
            fn from(config: <$layer as Layer>::Config) -> Self {
                Self::$layer(config)
            }
        })*

        impl SequenceMixer for Mixer {
            type State = AnyState;

            fn d_model(&self) -> usize {
                match self {
                    $(Self::$layer(layer) => layer.d_model(),)*
                }
            }

            fn init_state(&self, batch: usize, device: &Device) -> AnyState {
                match self {
                    $(Self::$layer(layer) => AnyState::$layer(layer.init_state(batch, device)),)*
                }
            }

            fn mix(
                &self,
                input: Tensor<3>,
                resets: Option<Tensor<2, Bool>>,
                state: AnyState,
            ) -> (Tensor<3>, AnyState) {
                match self {
                    $(Self::$layer(layer) => {
                        let state = match state {
                            AnyState::$layer(state) => state,
                            other => panic!(
                                "The argument `state` is one of `{}`, but one of `{}` is wanted.",
                                other.layer(), $layer::KIND,
                            ),
                        };
                        let (output, state) = layer.mix(input, resets, state);
                        (output, AnyState::$layer(state))
                    })*
                }
            }

            fn report(&self, time: usize, device: &Device) -> Report {
                match self {
                    $(Self::$layer(layer) => layer.report(time, device),)*
                }
            }

            fn auxiliary_loss(&self, state: &AnyState) -> Option<Tensor<1>> {
                match (self, state) {
                    $((Self::$layer(layer), AnyState::$layer(state)) => layer.auxiliary_loss(state),)*
                    _ => None,
                }
            }
        }

        impl MixerState for AnyState {
            fn layer(&self) -> String {
                match self {
                    $(Self::$layer(state) => state.layer(),)*
                }
            }

            fn map_state<M: StateMapper>(self, mapper: &mut M) -> Self {
                match self {
                    $(Self::$layer(state) => Self::$layer(state.map_state(mapper)),)*
                }
            }
        }
    };
}

zoo! {
    SoftmaxAttention,
    LandmarkAttention,
    DifferentialAttention,
    SigmoidAttention,
    Hopfield,
    Aaren,
    LinearAttention,
    MultiScaleRetention,
    GatedLinearAttention,
    DeltaNet,
    GatedDeltaNet,
    KimiDeltaAttention,
    GatedDeltaProduct,
    MixtureOfMemories,
    NeuralMemory,
    TitansMac,
    TitansMag,
    TitansMal,
    Ttt,
    S4,
    S4d,
    S5,
    Lmu,
    H3,
    Hyena,
    Hgrn,
    Hgrn2,
    RgLru,
    Mamba,
    Mamba2,
    BaseConv,
    GatedConv,
}
