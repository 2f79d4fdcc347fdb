//! Layer configurations as data: a kind, and what differs from the published defaults.

use super::any::MixerConfig;
use crate::ConfigError;
use crate::config::Unrepeated;
use burn::config::Config;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

impl MixerConfig {
    /// The layer `kind` with its published defaults, replaced where `options` says otherwise.
    ///
    /// # Errors
    ///
    /// If there is no such layer or option, at any depth, or an option has a value of the wrong type.
    pub fn from_options(
        kind: &str,
        d_model: usize,
        options: Map<String, Value>,
    ) -> Result<Self, ConfigError> {
        let Some(published) = Self::published(kind, d_model) else {
            let known = Self::KINDS.join(", ");
            return Err(ConfigError::new(kind, format!("there is no such layer; the layers are {known}")));
        };
        published.replaced_by(options)
    }
}

/// JSON from and to bytes and files, as every configuration of a layer.
impl Config for MixerConfig {}

impl Serialize for MixerConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = Map::from_iter([("kind".to_string(), Value::from(self.kind()))]);
        if let Value::Object(fields) = self.to_value() {
            object.extend(fields);
        }
        object.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for MixerConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Unrepeated(Value::Object(mut object)) = Unrepeated::deserialize(deserializer)? else {
            return Err(D::Error::custom("a layer is an object with a `kind`"));
        };
        let Some(Value::String(kind)) = object.remove("kind") else {
            return Err(D::Error::missing_field("kind"));
        };
        if !object.contains_key("d_model") {
            return Err(D::Error::missing_field("d_model"));
        }
        // The object says it, and replaces this one.
        Self::from_options(&kind, 1, object).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str) -> Map<String, Value> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn every_layer_survives_as_data() {
        for kind in MixerConfig::KINDS {
            let config = MixerConfig::published(kind, 32).unwrap();
            let text = serde_json::to_string(&config).unwrap();
            let back: MixerConfig = serde_json::from_str(&text).unwrap();
            assert_eq!(serde_json::to_string(&back).unwrap(), text);
            assert_eq!(back.kind(), *kind);
        }
    }

    #[test]
    fn options_replace_defaults() {
        let config =
            MixerConfig::from_options("softmax_attention", 32, options(r#"{"num_heads": 2, "window": 8}"#))
                .unwrap();
        let MixerConfig::SoftmaxAttention(config) = config else { panic!() };
        assert_eq!((config.num_heads, config.window, config.rotary), (2, Some(8), true));
    }

    #[test]
    fn mistakes_are_named() {
        let message =
            |kind, text| MixerConfig::from_options(kind, 32, options(text)).unwrap_err().to_string();
        assert!(message("lstm", "{}").contains("the layers are softmax_attention, landmark_attention"));
        assert!(message("base_conv", r#"{"taps": 3}"#).contains("no option `taps`; its options are d_model"));
        assert!(message("base_conv", r#"{"width": "three"}"#).contains("the option `width`"));
    }
}
