//! Block after block: products by the backend, and what is between them by [`Steps`].

use super::{Inputs, Outputs, Saved, Settings};
use crate::cross_entropy::problem::Rule;
use crate::kernel::tensors::Maybe;
use burn::backend::{Backend, Slice, TensorMetadata, tensor::FloatTensor};
use burn::tensor::Shape;

/// What is done between the products.
pub(super) trait Steps<B: Backend> {
    /// The losses `[r]` of logits `[r, v]` to which `bias` is still to be added, and the gradient of the logits: of the sum
    /// of losses times `factors`, if these are given. A position whose class is below 0 has a loss and a gradient of 0.
    fn losses(
        logits: FloatTensor<B>,
        bias: Option<&FloatTensor<B>>,
        classes: FloatTensor<B>,
        factors: Option<FloatTensor<B>>,
        rule: &Rule,
    ) -> (FloatTensor<B>, Option<FloatTensor<B>>);

    /// The product of two matrices.
    fn product(a: FloatTensor<B>, b: FloatTensor<B>) -> FloatTensor<B>;

    /// A matrix and the product of two others.
    fn add_product(sum: FloatTensor<B>, a: FloatTensor<B>, b: FloatTensor<B>) -> FloatTensor<B>;

    /// The sum of two tensors of one shape.
    fn add(sum: FloatTensor<B>, part: FloatTensor<B>) -> FloatTensor<B>;

    /// A tensor times a number, `[1]`.
    fn scale(tensor: FloatTensor<B>, factor: &FloatTensor<B>) -> FloatTensor<B>;
}

pub(super) fn outputs<B: Backend, S: Steps<B>>(inputs: Inputs<B>, settings: &Settings) -> Outputs<B> {
    let inputs = Arguments::from(inputs);
    let (losses, _) = pass::<B, S>(&inputs, None, settings);
    Outputs { losses: reduced::<B>(losses, inputs.factors, settings) }
}

pub(super) fn forward<B: Backend, S: Steps<B>>(
    inputs: Inputs<B>,
    settings: &Settings,
) -> (Outputs<B>, Saved<B>) {
    if settings.each {
        return (outputs::<B, S>(inputs.clone(), settings), inputs);
    }
    let inputs = Arguments::from(inputs);
    let (losses, gradients) = pass::<B, S>(&inputs, Some(inputs.factors.clone()), settings);
    (Outputs { losses: reduced::<B>(losses, inputs.factors, settings) }, gradients)
}

pub(super) fn vjp<B: Backend, S: Steps<B>>(
    saved: Saved<B>,
    upstream: Outputs<B>,
    settings: &Settings,
) -> Inputs<B> {
    let upstream = upstream.losses;
    if settings.each {
        return pass::<B, S>(&Arguments::from(saved), Some(upstream), settings).1;
    }
    let scaled = |gradient: Maybe<B>| match gradient {
        Maybe::Present(gradient) => Maybe::Present(S::scale(gradient, &upstream)),
        Maybe::Absent => Maybe::Absent,
    };
    Inputs {
        hidden: scaled(saved.hidden),
        weight: scaled(saved.weight),
        bias: scaled(saved.bias),
        classes: Maybe::Absent,
        factors: Maybe::Absent,
    }
}

/// The arguments of a call.
struct Arguments<B: Backend> {
    hidden: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: Option<FloatTensor<B>>,
    classes: FloatTensor<B>,
    factors: FloatTensor<B>,
}

impl<B: Backend> From<Inputs<B>> for Arguments<B> {
    fn from(inputs: Inputs<B>) -> Self {
        let there =
            |tensor: Maybe<B>| tensor.into_option().expect("the arguments are there, but for the bias");
        Self {
            hidden: there(inputs.hidden),
            weight: there(inputs.weight),
            bias: inputs.bias.into_option(),
            classes: there(inputs.classes),
            factors: there(inputs.factors),
        }
    }
}

fn reduced<B: Backend>(
    losses: FloatTensor<B>,
    factors: FloatTensor<B>,
    settings: &Settings,
) -> FloatTensor<B> {
    if settings.each { losses } else { B::float_sum(B::float_mul(losses, factors)) }
}

/// The losses `[n]`, and the wanted gradients of their sum with `factors`, if these are given.
fn pass<B: Backend, S: Steps<B>>(
    inputs: &Arguments<B>,
    factors: Option<FloatTensor<B>>,
    settings: &Settings,
) -> (FloatTensor<B>, Inputs<B>) {
    let Arguments { hidden, weight, bias, classes, .. } = inputs;
    let [positions, _] = hidden.shape().dims();
    let transposed = B::float_transpose(weight.clone());
    let (from_channels, from_classes) =
        if settings.embedding { (&transposed, weight) } else { (weight, &transposed) };
    let wanted = settings.wanted;
    let mut all_losses = Vec::new();
    let mut d_hidden = Vec::new();
    let (mut d_weight, mut d_bias) = (None, None);
    let add = |sum: Option<FloatTensor<B>>, part| {
        Some(match sum {
            Some(sum) => S::add(sum, part),
            None => part,
        })
    };
    for start in (0..positions).step_by(settings.block) {
        let rows = start..positions.min(start + settings.block);
        let part = |tensor: &FloatTensor<B>| B::float_slice(tensor.clone(), &[Slice::from(rows.clone())]);
        let block = B::float_slice(hidden.clone(), &[Slice::from(rows.clone()), Slice::full()]); // [r, d]
        let logits = S::product(block.clone(), from_channels.clone()); // [r, v]
        let (losses, d_logits) =
            S::losses(logits, bias.as_ref(), part(classes), factors.as_ref().map(part), &settings.rule);
        all_losses.push(losses);
        let Some(d_logits) = d_logits else { continue };
        if wanted.hidden {
            d_hidden.push(S::product(d_logits.clone(), from_classes.clone()));
        }
        if wanted.weight {
            let (a, b) = if settings.embedding {
                (B::float_transpose(d_logits.clone()), block) // [v, d]
            } else {
                (B::float_transpose(block), d_logits.clone()) // [d, v]
            };
            d_weight = Some(match d_weight {
                Some(sum) => S::add_product(sum, a, b),
                None => S::product(a, b),
            });
        }
        if wanted.bias {
            d_bias = add(d_bias, B::float_sum_dim(d_logits, 0));
        }
    }
    let zeros = |shape| B::float_zeros(shape, &hidden.device(), hidden.dtype().into());
    let together = |parts: Vec<FloatTensor<B>>, none: Shape| match parts.len() {
        0 => zeros(none),
        1 => parts.into_iter().next().expect("there is one"),
        _ => B::float_cat(parts, 0),
    };
    let losses = together(all_losses, Shape::new([0]));
    let d_bias = |bias: &FloatTensor<B>| {
        let sum = d_bias.unwrap_or_else(|| zeros(bias.shape()));
        B::float_reshape(sum, bias.shape())
    };
    let gradients = Inputs {
        hidden: Maybe::new(wanted.hidden.then(|| together(d_hidden, hidden.shape()))),
        weight: Maybe::new(wanted.weight.then(|| d_weight.unwrap_or_else(|| zeros(weight.shape())))),
        bias: Maybe::new(bias.as_ref().filter(|_| wanted.bias).map(d_bias)),
        classes: Maybe::Absent,
        factors: Maybe::Absent,
    };
    (losses, gradients)
}
