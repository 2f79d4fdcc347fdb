//! What a needle says of its key.

use super::names::{NAME, NAMES, Names};
use crate::task::Draws;
use serde::{Deserialize, Serialize};

/// The kinds of values that RULER hides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueKind {
    /// Numbers of 7 digits, of which the first is no zero.
    Numbers,
    /// An adjective and a noun, like the keys. Within an example no name comes twice.
    Words,
    /// Random UUIDs (version 4).
    Uuids,
}

impl ValueKind {
    /// One of it in a sentence.
    pub(in crate::task) fn singular(self) -> &'static str {
        match self {
            Self::Numbers => "number",
            Self::Words => "word",
            Self::Uuids => "uuid",
        }
    }

    /// Several of it in a sentence.
    pub(in crate::task) fn plural(self) -> &'static str {
        match self {
            Self::Numbers => "numbers",
            Self::Words => "words",
            Self::Uuids => "uuids",
        }
    }

    /// The bytes of a value.
    pub(in crate::task) fn length(self) -> usize {
        match self {
            Self::Numbers => 7,
            Self::Words => NAME,
            Self::Uuids => 36,
        }
    }

    /// How many values there are.
    pub(in crate::task) fn count(self) -> f64 {
        match self {
            Self::Numbers => 9e6,
            Self::Words => NAMES as f64,
            // The version takes 4 of 128 bits, the variant 2.
            Self::Uuids => 2f64.powi(122),
        }
    }

    /// One value; words are taken from `names`.
    pub(in crate::task) fn draw(self, draws: &mut Draws, names: &mut Names) -> String {
        match self {
            Self::Numbers => (1_000_000 + draws.below(9_000_000)).to_string(),
            Self::Words => names.take(),
            Self::Uuids => uuid(draws),
        }
    }
}

/// The layout of RFC 9562, section 5.4.
fn uuid(draws: &mut Draws) -> String {
    let mut digit = |bound, first| char::from_digit((first + draws.below(bound)) as u32, 16).unwrap_or('0');
    "xxxxxxxx-xxxx-4xxx-vxxx-xxxxxxxxxxxx"
        .chars()
        .map(|place| match place {
            'x' => digit(16, 0),
            'v' => digit(4, 8),
            fixed => fixed,
        })
        .collect()
}
