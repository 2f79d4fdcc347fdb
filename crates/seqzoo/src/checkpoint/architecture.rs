//! The architectures whose published directories are read and written.

use super::architectures::{
    delta_net, falcon_mamba, fla_mamba, fla_mamba2, gated_deltanet, gla, hgrn2, kda, linear_attn, mamba,
    mamba2, qwen3_next, recurrent_gemma, retnet,
};
use super::fields::{Fields, Problem, Written};
use super::names::Names;
use crate::MixerConfig;
use crate::models::LanguageModelConfig;
use std::fmt::{Display, Formatter, Result as Formatted};

/// How the directories of one architecture are read and written.
pub(super) struct Format {
    /// The `model_type` of its `config.json`.
    pub model_type: &'static str,
    /// The class of its models, as in `architectures` of `config.json`.
    pub class: &'static str,
    /// The library that it belongs to.
    pub library: &'static str,
    /// Whether fields of that `model_type` are of this library, where two have the same.
    pub describes: fn(&Fields) -> bool,
    /// The configuration that the fields describe.
    pub read: fn(&Fields) -> Result<LanguageModelConfig, Problem>,
    /// The fields that describe a model of these layers. What they cannot say is found by reading them again.
    pub write: fn(&LanguageModelConfig, &[MixerConfig]) -> Result<Written, Problem>,
    /// The names of the parameters.
    pub names: fn(&LanguageModelConfig) -> Names,
}

/// Writes [`Architecture`] from the list of formats.
macro_rules! architectures {
    ($($(#[$doc:meta])* $name:ident: $format:expr),* $(,)?) => {
        /// An architecture in the format of the library that published it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Architecture {
            $($(#[$doc])* $name,)*
        }

        impl Architecture {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            pub(super) fn format(self) -> &'static Format {
                match self {
                    $(Self::$name => &$format,)*
                }
            }
        }
    };
}

architectures! {
    /// `mamba` of transformers.
    Mamba: mamba::FORMAT,
    /// `mamba2` of transformers.
    Mamba2: mamba2::FORMAT,
    /// `falcon_mamba` of transformers.
    FalconMamba: falcon_mamba::FORMAT,
    /// `recurrent_gemma` of transformers.
    RecurrentGemma: recurrent_gemma::FORMAT,
    /// `qwen3_next` of transformers.
    Qwen3Next: qwen3_next::FORMAT,
    /// `mamba` of flash-linear-attention.
    FlaMamba: fla_mamba::FORMAT,
    /// `mamba2` of flash-linear-attention.
    FlaMamba2: fla_mamba2::FORMAT,
    /// `gla` of flash-linear-attention.
    Gla: gla::FORMAT,
    /// `delta_net` of flash-linear-attention.
    DeltaNet: delta_net::FORMAT,
    /// `gated_deltanet` of flash-linear-attention.
    GatedDeltaNet: gated_deltanet::FORMAT,
    /// `kda` of flash-linear-attention.
    Kda: kda::FORMAT,
    /// `retnet` of flash-linear-attention.
    RetNet: retnet::FORMAT,
    /// `hgrn2` of flash-linear-attention.
    Hgrn2: hgrn2::FORMAT,
    /// `linear_attn` of flash-linear-attention.
    LinearAttention: linear_attn::FORMAT,
}

/// `model_type` of `library`.
impl Display for Architecture {
    fn fmt(&self, f: &mut Formatter<'_>) -> Formatted {
        let Format { model_type, library, .. } = self.format();
        write!(f, "{model_type} of {library}")
    }
}

impl Architecture {
    /// The `model_type` of its `config.json`.
    pub fn model_type(self) -> &'static str {
        self.format().model_type
    }

    /// The architecture that the fields of a `config.json` are of.
    pub(super) fn of(fields: &Fields) -> Result<Self, Problem> {
        let found = fields.text("model_type", "")?;
        let of_type = |architecture: &&Self| {
            architecture.model_type() == found && (architecture.format().describes)(fields)
        };
        Self::ALL.iter().find(of_type).copied().ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(Self::to_string).collect();
            let known = known.join(", ");
            if fields.has("model_type") {
                format!("there is no architecture `{found}` here; those that there are are {known}")
            } else if fields.has("pattern") {
                "it is in the format of this library's own, which `LanguageModel::load` reads".into()
            } else {
                format!("`model_type` is missing; it names one of the architectures {known}")
            }
        })
    }
}
