//! The experiments that ship with the tool.

use super::Experiment;
use crate::Error;
use std::path::Path;

/// An experiment that ships with the tool.
#[derive(Clone, Copy, Debug)]
pub struct Shipped {
    /// The name under which `recall run` takes it.
    pub name: &'static str,
    /// A line about it.
    pub summary: &'static str,
    /// The experiment itself, in TOML.
    pub text: &'static str,
}

/// All of them.
pub const SHIPPED: &[Shipped] = &[
    Shipped {
        name: "quick",
        summary: "MQAR in minutes on two cores: one learning rate, one seed, with negative controls",
        text: include_str!("../../configs/quick.toml"),
    },
    Shipped {
        name: "tiny",
        summary: "the same and a DeltaNet, with three learning rates and three seeds: about three quarters of an hour on two cores",
        text: include_str!("../../configs/tiny.toml"),
    },
    Shipped {
        name: "zoo",
        summary: "the same for every layer of the zoo with a state of 8,192 bytes: hours on two cores",
        text: include_str!("../../configs/zoo.toml"),
    },
    Shipped {
        name: "zoo_4k",
        summary: "the same with a state of 4,096 bytes",
        text: include_str!("../../configs/zoo_4k.toml"),
    },
    Shipped {
        name: "state_spaces",
        summary: "the same for state spaces: Mamba and Mamba-2, and two filters that must fail",
        text: include_str!("../../configs/state_spaces.toml"),
    },
    Shipped {
        name: "needle",
        summary: "a needle in a haystack that repeats, at every depth, to 16 times the training length: minutes on two cores",
        text: include_str!("../../configs/needle.toml"),
    },
    Shipped {
        name: "needle_s2",
        summary: "the same in text-like filler, a value of four digits",
        text: include_str!("../../configs/needle_s2.toml"),
    },
    Shipped {
        name: "needle_s3",
        summary: "the same with a value of sixteen digits",
        text: include_str!("../../configs/needle_s3.toml"),
    },
    Shipped {
        name: "needle_mk",
        summary: "four needles in text-like filler, one asked for",
        text: include_str!("../../configs/needle_mk.toml"),
    },
    Shipped {
        name: "needle_mv",
        summary: "four values of one key",
        text: include_str!("../../configs/needle_mv.toml"),
    },
    Shipped {
        name: "needle_mq",
        summary: "four needles, all asked for",
        text: include_str!("../../configs/needle_mq.toml"),
    },
    Shipped {
        name: "landmark",
        summary: "the needle of `needle` for landmark attention that reads two blocks, beside attention that reads all",
        text: include_str!("../../configs/landmark.toml"),
    },
    Shipped {
        name: "titans",
        summary: "the needle of `needle` for the neural memory of Titans, whole and in parts",
        text: include_str!("../../configs/titans.toml"),
    },
    Shipped {
        name: "titans_s2",
        summary: "the same in text-like filler, a value of four digits",
        text: include_str!("../../configs/titans_s2.toml"),
    },
    Shipped {
        name: "titans_s3",
        summary: "the same with a value of sixteen digits",
        text: include_str!("../../configs/titans_s3.toml"),
    },
    Shipped {
        name: "mom",
        summary: "MQAR with small states: one memory against mixtures of four, of as many bytes and of as much work",
        text: include_str!("../../configs/mom.toml"),
    },
    Shipped {
        name: "passkey",
        summary: "the pass key of landmark attention, byte by byte, to 16 times the training length",
        text: include_str!("../../configs/passkey.toml"),
    },
    Shipped {
        name: "text_needle",
        summary: "RULER's magic number in text-like sentences, byte by byte, to 16 times the training length",
        text: include_str!("../../configs/text_needle.toml"),
    },
    Shipped {
        name: "induction",
        summary: "induction heads: what followed a trigger, to 64 times the training length",
        text: include_str!("../../configs/induction.toml"),
    },
    Shipped {
        name: "copying",
        summary: "plain copying: symbols at the start, said again at the end, which a filter can do",
        text: include_str!("../../configs/copying.toml"),
    },
    Shipped {
        name: "selective_copying",
        summary: "the same with the symbols at random places, which a filter cannot do",
        text: include_str!("../../configs/selective_copying.toml"),
    },
    Shipped {
        name: "forgetting",
        summary: "MQAR where half of the keys get another value, and the last one counts",
        text: include_str!("../../configs/forgetting.toml"),
    },
    Shipped {
        name: "parity",
        summary: "state tracking: the parity of the ones so far, which takes a negative eigenvalue",
        text: include_str!("../../configs/parity.toml"),
    },
    Shipped {
        name: "s3",
        summary: "state tracking: the product of the swaps of three things so far, in which order matters",
        text: include_str!("../../configs/s3.toml"),
    },
    Shipped {
        name: "delta",
        summary: "MQAR with as many pairs as the memory has key channels: sums against the delta rule",
        text: include_str!("../../configs/delta.toml"),
    },
    Shipped {
        name: "stacked",
        summary: "MQAR with key and value at one position: the raw memory of one layer without convolution",
        text: include_str!("../../configs/stacked.toml"),
    },
    Shipped {
        name: "small",
        summary: "a larger vocabulary, three widths, extrapolation in length: hours per layer on two cores",
        text: include_str!("../../configs/small.toml"),
    },
    Shipped {
        name: "paper",
        summary: "Zoology's published data, schedule and optimiser on this library's backbone, for a GPU",
        text: include_str!("../../configs/paper.toml"),
    },
];

impl Experiment {
    /// The experiment that ships under `name`, if one does.
    ///
    /// # Errors
    ///
    /// If this build cannot make its layers: no backend is compiled in.
    pub fn shipped(name: &str) -> Result<Option<Self>, Error> {
        let Some(shipped) = SHIPPED.iter().find(|shipped| shipped.name == name) else { return Ok(None) };
        Self::parse(shipped.text)
            .map(Some)
            .map_err(|problem| Error::contents(Path::new(shipped.name), problem))
    }
}
