//! What a language model is trained on: the cross-entropy of the tokens that it predicts.

use super::language_model::LanguageModel;
use crate::SequenceMixer;
use crate::ops::checks;
use crate::ops::cross_entropy::{CrossEntropyOptions, Head, cross_entropy};
use burn::tensor::{Int, Tensor};

impl<M: SequenceMixer> LanguageModel<M> {
    /// The loss of `targets` after the channels `hidden`, through the final norm and the head: that of
    /// [`logits`](Self::logits), but the logits of all positions never exist at once, in this pass or the other. See
    /// [`cross_entropy`] for the options.
    ///
    /// ```
    /// # use burn::tensor::{Device, Int, Tensor};
    /// # use seqzoo::{MixerConfig, models::LanguageModelConfig, ops::cross_entropy::CrossEntropyOptions};
    /// # let device = Device::default();
    /// # let model = LanguageModelConfig::new(10, 8, vec![MixerConfig::published("base_conv", 8).unwrap()]).init(&device);
    /// let tokens = Tensor::<2, Int>::from_ints([[1, 2, 3, 4, 5], [5, 4, 3, 2, 1]], &device);
    /// let (hidden, state) = model.hidden(tokens.clone().narrow(1, 0, 4), None, None); // [2, 4, 8]
    /// let options = CrossEntropyOptions { label_smoothing: 0.1, ..Default::default() };
    /// let mut loss = model.loss(hidden, tokens.narrow(1, 1, 4), options); // [1]
    /// // What layers ask for beside the task, such as the balance of a router, is not in it.
    /// if let Some(more) = model.auxiliary_loss(&state) {
    ///     loss = loss + more;
    /// }
    /// ```
    ///
    /// # Shapes
    ///
    /// * `hidden`: `[.., D]`, as [`hidden`](Self::hidden) returns it, or the positions that are scored, selected from it;
    ///   `targets`: `[..]`.
    /// * Returns `[1]`, or one loss per position in the order of `targets`.
    ///
    /// Without a [`logit_cap`](CrossEntropyOptions::logit_cap) in the options it is that of the model.
    ///
    /// # Panics
    ///
    /// If there are other channels than the model's, the targets have another shape than the positions, or as
    /// [`cross_entropy`].
    #[track_caller]
    pub fn loss<const D: usize, const T: usize>(
        &self,
        hidden: Tensor<D>,
        targets: Tensor<T, Int>,
        options: CrossEntropyOptions,
    ) -> Tensor<1> {
        let shape = hidden.dims();
        checks::channels("hidden", shape[D - 1], self.config.d_model);
        assert!(
            targets.dims()[..] == shape[..D - 1],
            "The argument `targets` has the shape {:?}, but {:?}, the positions of `hidden`, is wanted.",
            targets.dims(),
            &shape[..D - 1]
        );
        let positions = shape[..D - 1].iter().product();
        let options =
            CrossEntropyOptions { logit_cap: options.logit_cap.or(self.config.logit_cap), ..options };
        let normed = self.norm.forward(hidden).reshape([positions, self.config.d_model]);
        cross_entropy(normed, self.head_weights(), targets.reshape([positions]), options)
    }

    /// The weights between the final norm and the logits, as [`cross_entropy`] takes them.
    pub fn head_weights(&self) -> Head {
        match &self.head {
            Some(head) => {
                Head::linear(head.weight.val()).with_bias(head.bias.as_ref().map(|bias| bias.val()))
            }
            None => Head::embedding(self.embedding.weight.val()),
        }
    }
}
