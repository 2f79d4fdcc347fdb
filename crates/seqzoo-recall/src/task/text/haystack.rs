//! What surrounds a needle in text.

use serde::{Deserialize, Serialize};

/// What surrounds a needle in text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextHaystack {
    /// Lines of five sentences, again and again: "The grass is green. The sky is blue. …"
    Noise,
    /// Sentences of a small grammar, where RULER takes essays.
    Essay,
    /// Lines of needles with keys that are not asked for.
    Needles,
}
