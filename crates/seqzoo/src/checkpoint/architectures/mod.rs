//! The architectures, one file each: how the fields of `config.json` become a configuration and back, and what the
//! parameters are called.

mod backbone;
mod fla;
mod rope;

pub(super) mod delta_net;
pub(super) mod falcon_mamba;
pub(super) mod fla_mamba;
pub(super) mod fla_mamba2;
pub(super) mod gated_deltanet;
pub(super) mod gla;
pub(super) mod hgrn2;
pub(super) mod kda;
pub(super) mod linear_attn;
pub(super) mod mamba;
pub(super) mod mamba2;
pub(super) mod qwen3_next;
pub(super) mod recurrent_gemma;
pub(super) mod retnet;
