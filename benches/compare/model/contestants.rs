//! The models that are measured.

use seqzoo::MixerConfig;
use serde_json::json;

/// A language model with one kind of layer.
#[derive(Debug)]
pub struct Contestant {
    /// Its name for people.
    pub title: &'static str,
    /// Its name on the command line, and in the peer's program.
    pub flag: &'static str,
    /// The kind of the layer, in the zoo.
    kind: &'static str,
}

/// All of them.
pub static CONTESTANTS: [Contestant; 5] = [
    Contestant { title: "linear attention", flag: "linear", kind: "linear_attention" },
    Contestant { title: "gated linear attention", flag: "gla", kind: "gated_linear_attention" },
    Contestant { title: "gated delta net", flag: "gated_delta_net", kind: "gated_delta_net" },
    Contestant { title: "Mamba-2", flag: "mamba2", kind: "mamba2" },
    Contestant { title: "softmax attention", flag: "softmax", kind: "softmax_attention" },
];

impl Contestant {
    /// The layer, with heads of 64 channels.
    pub fn layer(&self, width: usize) -> MixerConfig {
        let options = match self.kind {
            "mamba2" => json!({ "head_dim": 64, "d_state": 64 }),
            "gated_delta_net" => json!({ "num_heads": width / 64, "head_dim": 64, "expand_v": 1.0 }),
            "linear_attention" => json!({ "num_heads": width / 64, "feature_map": "EluPlusOne" }),
            _ => json!({ "num_heads": width / 64 }),
        };
        let serde_json::Value::Object(options) = options else { unreachable!("it is an object") };
        MixerConfig::from_options(self.kind, width, options).expect("the layer has these options")
    }
}
