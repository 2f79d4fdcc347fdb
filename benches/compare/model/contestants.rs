//! The models that are measured, and their products.

use super::step::Sizes;
use seqzoo::MixerConfig;
use seqzoo::parts::SwiGlu;
use seqzoo_benches::counted::{matrix_memory, solve};
use serde_json::json;

/// Channels of a head.
const HEAD: usize = 64;

/// Numbers in the state of an inner channel of Mamba-2.
const STATE: usize = 64;

/// The rank of the decays of gated linear attention.
const RANK: usize = 16;

/// A language model with one kind of layer.
#[derive(Debug)]
pub struct Contestant {
    /// Its name for people.
    pub title: &'static str,
    /// Its name on the command line, and in the peer's program.
    pub flag: &'static str,
}

/// All of them.
pub static CONTESTANTS: [Contestant; 5] = [
    Contestant { title: "linear attention, elu + 1", flag: "linear" },
    Contestant { title: "gated linear attention", flag: "gla" },
    Contestant { title: "gated delta net", flag: "gated_delta_net" },
    Contestant { title: "Mamba-2", flag: "mamba2" },
    Contestant { title: "softmax attention, rotary", flag: "softmax" },
];

impl Contestant {
    /// The layer, with heads of 64 channels.
    pub fn layer(&self, width: usize) -> MixerConfig {
        let heads = width / HEAD;
        let (kind, options) = match self.flag {
            "linear" => ("linear_attention", json!({ "num_heads": heads, "feature_map": "EluPlusOne" })),
            "gla" => ("gated_linear_attention", json!({ "num_heads": heads })),
            "gated_delta_net" => {
                ("gated_delta_net", json!({ "num_heads": heads, "head_dim": HEAD, "expand_v": 1.0 }))
            }
            "mamba2" => ("mamba2", json!({ "head_dim": HEAD, "d_state": STATE })),
            _ => ("softmax_attention", json!({ "num_heads": heads })),
        };
        let serde_json::Value::Object(options) = options else { unreachable!("it is an object") };
        MixerConfig::from_options(kind, width, options).expect("the layer has these options")
    }

    /// Multiply-adds of a step of training, per token: those of the matrices once in the forward pass and twice in the backward
    /// pass, and those of the mixers' kernels.
    pub fn products(&self, sizes: Sizes) -> f64 {
        let Sizes { width, layers, time, vocabulary, .. } = sizes;
        let (heads, square) = (width / HEAD, width * width);
        let projections = match self.flag {
            "gla" => 4 * square + RANK * width + RANK * width / 2,
            "gated_delta_net" => 5 * square + 2 * heads * width,
            "mamba2" => 6 * square + (2 * STATE + 2 * heads) * width,
            _ => 4 * square,
        };
        let [forward, backward] = match self.flag {
            "linear" => matrix_memory(1, "none", [HEAD; 2]),
            "gla" => matrix_memory(1, "vector", [HEAD / 2, HEAD]),
            "gated_delta_net" => matrix_memory(2, "scalar", [HEAD; 2]).map(|products| products + solve(HEAD)),
            // Twice as many heads, since the inner channels are.
            "mamba2" => matrix_memory(1, "scalar", [STATE, HEAD]).map(|products| 2.0 * products),
            // A token sees half of them on average; the backward pass makes the scores once more.
            _ => [2.0, 5.0].map(|products| products * (time * HEAD) as f64 / 2.0),
        };
        let block = projections + 3 * width * SwiGlu::usual_hidden(width);
        let matrices = layers * block + width * vocabulary;
        3.0 * matrices as f64 + (layers * heads) as f64 * (forward + backward)
    }
}
