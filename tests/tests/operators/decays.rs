//! Decays of the cases.

use super::shape::Shape;
use burn::tensor::{Gradients, Tensor};
use seqzoo::ops::Decay;
use seqzoo_tests::{Inputs, Outcome};

/// The kinds of decays.
#[derive(Clone, Copy, Debug, PartialEq)]
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

/// The log decays changed, as tensors of four axes.
pub fn map(decay: Decay, mut change: impl FnMut(Tensor<4>) -> Tensor<4>) -> Decay {
    match decay {
        Decay::None => Decay::None,
        Decay::PerHead(log) => {
            let heads = log.dims()[0];
            Decay::PerHead(change(log.reshape([1, 1, heads, 1])).reshape([heads]))
        }
        Decay::Scalar(log) => Decay::Scalar(change(log.unsqueeze_dim(3)).squeeze_dim(3)),
        Decay::Vector(log) => Decay::Vector(change(log)),
    }
}

/// Some tokens forget almost everything, all others nothing.
pub fn harsh(decay: Decay) -> Decay {
    if let Decay::PerHead(log) = decay {
        return Decay::PerHead(log.full_like(-30.0));
    }
    map(decay, |log| {
        let mask = Inputs::new(3, &log.device()).uniform(log.dims()).greater_scalar(0.3);
        log.zeros_like().mask_fill(mask, -30.0)
    })
}

/// All tokens forget almost everything.
pub fn tiny(decay: Decay) -> Decay {
    map(decay, |log| log - 30.0)
}

/// The decays of the tokens `from .. to`.
pub fn part(decay: Decay, from: usize, to: usize) -> Decay {
    match decay {
        Decay::Scalar(log) => Decay::Scalar(log.narrow(1, from, to - from)),
        Decay::Vector(log) => Decay::Vector(log.narrow(1, from, to - from)),
        other => other,
    }
}

/// The log decays as leaves whose gradients are recorded.
pub fn tracked(decay: Decay) -> Decay {
    match decay {
        Decay::None => Decay::None,
        Decay::PerHead(log) => Decay::PerHead(log.require_grad()),
        Decay::Scalar(log) => Decay::Scalar(log.require_grad()),
        Decay::Vector(log) => Decay::Vector(log.require_grad()),
    }
}

/// Takes down the gradient of the log decays, if there are any, under `name`.
pub fn put_gradient(outcome: &mut Outcome, name: &str, decay: &Decay, gradients: &Gradients) {
    match decay {
        Decay::None => {}
        Decay::PerHead(log) => outcome.put_gradient(name, log, gradients),
        Decay::Scalar(log) => outcome.put_gradient(name, log, gradients),
        Decay::Vector(log) => outcome.put_gradient(name, log, gradients),
    }
}
