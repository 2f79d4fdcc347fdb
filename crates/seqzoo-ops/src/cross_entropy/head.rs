//! The weights between channels and classes.

use burn::tensor::Tensor;

/// A linear map from channels to the logits of classes.
#[derive(Clone, Debug)]
pub struct Head {
    pub(super) weight: Tensor<2>,
    pub(super) bias: Option<Tensor<1>>,
    /// Whether the weights are `[V, D]`.
    pub(super) embedding: bool,
}

impl Head {
    /// With weights `[D, V]`, as those of Burn's `Linear` lie.
    pub fn linear(weight: Tensor<2>) -> Self {
        Self { weight, bias: None, embedding: false }
    }

    /// With weights `[V, D]`: an embedding whose weights are those of the head, too.
    pub fn embedding(weight: Tensor<2>) -> Self {
        Self { weight, bias: None, embedding: true }
    }

    /// The same with what is added to the logits, `[V]`, if there is any.
    pub fn with_bias(self, bias: Option<Tensor<1>>) -> Self {
        Self { bias, ..self }
    }

    /// The first `count` of the classes.
    pub fn first(self, count: usize) -> Self {
        let axis = usize::from(!self.embedding);
        Self {
            weight: self.weight.narrow(axis, 0, count),
            bias: self.bias.map(|bias| bias.narrow(0, 0, count)),
            ..self
        }
    }

    /// The number of classes, `V`.
    pub fn classes(&self) -> usize {
        self.weight.dims()[usize::from(!self.embedding)]
    }

    /// The number of channels, `D`.
    pub fn channels(&self) -> usize {
        self.weight.dims()[usize::from(self.embedding)]
    }
}
