//! Decays of the cases.

use super::Shape;
use crate::Inputs;
use crate::ladder::Change;
use seqzoo::ops::Decay;

/// The kinds of decays.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs, reason = "the variants of `Decay`")]
pub enum Fading {
    None,
    PerHead,
    Scalar,
    Vector,
}

impl Fading {
    /// Random decays of this kind.
    pub fn random(self, shape: &Shape, inputs: &mut Inputs) -> Decay {
        let Shape { batch, time, key_heads, heads, key, .. } = *shape;
        match self {
            Self::None => Decay::None,
            Self::PerHead => Decay::PerHead(inputs.between([heads], -0.5, 0.0)),
            Self::Scalar => Decay::Scalar(inputs.between([batch, time, heads], -2.0, 0.0)),
            Self::Vector => Decay::Vector(inputs.between([batch, time, key_heads, key], -2.0, 0.0)),
        }
    }
}

/// The log decays changed, under the name `name`.
pub fn map(decay: Decay, name: &str, change: &mut impl Change) -> Decay {
    match decay {
        Decay::None => Decay::None,
        Decay::PerHead(log) => Decay::PerHead(change.of(name, log)),
        Decay::Scalar(log) => Decay::Scalar(change.of(name, log)),
        Decay::Vector(log) => Decay::Vector(change.of(name, log)),
    }
}
