//! The configurations that ship with the tool.

use super::Experiment;
use crate::Error;
use std::path::Path;

/// A configuration that ships with the tool.
#[derive(Clone, Copy, Debug)]
pub struct Tier {
    /// The name under which `recall run` takes it.
    pub name: &'static str,
    /// What to expect of it.
    pub summary: &'static str,
    /// The configuration itself.
    pub text: &'static str,
}

/// All of them.
pub const TIERS: &[Tier] = &[
    Tier {
        name: "quick",
        summary: "MQAR in minutes on two cores: one learning rate, one seed, with negative controls",
        text: include_str!("../../configs/quick.toml"),
    },
    Tier {
        name: "tiny",
        summary: "the same and a DeltaNet, with three learning rates and three seeds: about three quarters of an hour on two cores",
        text: include_str!("../../configs/tiny.toml"),
    },
    Tier {
        name: "parity",
        summary: "state tracking: the parity of the ones so far, which takes a negative eigenvalue",
        text: include_str!("../../configs/parity.toml"),
    },
    Tier {
        name: "s3",
        summary: "state tracking: the product of the swaps of three things so far, in which order matters",
        text: include_str!("../../configs/s3.toml"),
    },
    Tier {
        name: "delta",
        summary: "MQAR with as many pairs as the memory has key channels: sums against the delta rule",
        text: include_str!("../../configs/delta.toml"),
    },
    Tier {
        name: "small",
        summary: "a larger vocabulary, three widths, extrapolation in length: hours per layer on two cores",
        text: include_str!("../../configs/small.toml"),
    },
    Tier {
        name: "paper",
        summary: "Zoology's published data, schedule and optimiser on this library's backbone, for a GPU",
        text: include_str!("../../configs/paper.toml"),
    },
];

/// The configuration called `name`, if one ships under it.
///
/// # Errors
///
/// If this build cannot make its layers: no backend is compiled in.
pub fn tier(name: &str) -> Result<Option<Experiment>, Error> {
    let Some(tier) = TIERS.iter().find(|tier| tier.name == name) else { return Ok(None) };
    Experiment::parse(tier.text).map(Some).map_err(|problem| Error::contents(Path::new(tier.name), problem))
}
