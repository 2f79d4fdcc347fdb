//! A layer that can be named and made from a configuration.

use super::SequenceMixer;
use crate::ConfigError;
use crate::config::{check_floats, check_parameters};
use burn::config::Config;
use burn::tensor::Device;

/// A [`SequenceMixer`] with a name and a configuration. [`layer!`](crate::layer) declares one.
pub trait Layer: SequenceMixer {
    /// The name of the layer in files and on command lines, in lower case with underscores.
    const KIND: &'static str;

    /// The configuration that the layer is made from.
    type Config: LayerConfig<Layer = Self>;
}

/// The configuration of a [`Layer`]: data that says everything about the layer but its parameters.
pub trait LayerConfig: Config + Clone {
    /// The layer that it describes.
    type Layer: Layer<Config = Self>;

    /// The name of that layer.
    const KIND: &'static str = <Self::Layer as Layer>::KIND;

    /// The published defaults for `d_model` channels.
    fn published(d_model: usize) -> Self;

    /// The channels of the layer's input and output.
    fn d_model(&self) -> usize;

    /// The layer.
    ///
    /// # Errors
    ///
    /// If the configuration describes no layer.
    fn try_init(&self, device: &Device) -> Result<Self::Layer, ConfigError>;

    /// The layer that `make` makes, if every float of the configuration is one that `f32` holds and no parameter is
    /// larger than any machine holds. Parameters are drawn at their first use, so that nothing is allocated for it.
    ///
    /// # Errors
    ///
    /// If `make` returns one, or a sentence that names the option or the parameter.
    fn checked(
        &self,
        make: impl FnOnce() -> Result<Self::Layer, ConfigError>,
    ) -> Result<Self::Layer, ConfigError> {
        let layer = make()?;
        check_floats(Self::KIND, self)?;
        check_parameters(Self::KIND, &layer)?;
        Ok(layer)
    }
}

/// Declares a [`Layer`]: the type, its name, and its configuration.
///
/// ```text
/// layer!(MovingAverage, "moving_average", MovingAverageConfig);
/// ```
///
/// The configuration is a [`Config`] with a field `d_model`, a constructor `new(d_model)` and a method
/// `try_init(&self, &Device) -> Result<Layer, ConfigError>`, which may [check](crate::LayerConfig::checked) what all
/// layers check; it gets a method `init` that panics with the text of that error. The state of the layer is declared by [`state!`](crate::state!).
#[macro_export]
macro_rules! layer {
    ($layer:ident, $kind:literal, $config:ident) => {
        impl $crate::Layer for $layer {
            const KIND: &'static str = $kind;
            type Config = $config;
        }

        impl $crate::LayerConfig for $config {
            type Layer = $layer;

            fn published(d_model: usize) -> Self {
                Self::new(d_model)
            }

            fn d_model(&self) -> usize {
                self.d_model
            }

            fn try_init(&self, device: &$crate::macros::Device) -> Result<$layer, $crate::ConfigError> {
                $crate::LayerConfig::checked(self, || $config::try_init(self, device))
            }
        }

        impl $config {
            /// The layer.
            ///
            /// # Panics
            ///
            /// Where [`try_init`](Self::try_init) returns an error, with its text.
            pub fn init(&self, device: &$crate::macros::Device) -> $layer {
                $crate::LayerConfig::try_init(self, device).unwrap_or_else(|error| panic!("{error}"))
            }
        }
    };
}
