//! The logits that compete for an answer, and the loss of the right one.

use burn::tensor::{Int, Tensor};
use seqzoo::models::LanguageModel;
use seqzoo::ops::cross_entropy::{CrossEntropyOptions, cross_entropy};

/// Channels `[N, D]` to the logits of the first `answers` tokens, or of all.
pub(super) fn answer_logits(model: &LanguageModel, hidden: Tensor<2>, answers: Option<usize>) -> Tensor<2> {
    let Some(count) = answers else { return model.logits(hidden) };
    match &model.head {
        Some(_) => model.logits(hidden).narrow(1, 0, count),
        // The few answers among many tokens are all that is computed.
        None => {
            let answers = model.embedding.weight.val().narrow(0, 0, count);
            model.norm.forward(hidden).matmul(answers.transpose())
        }
    }
}

/// The mean cross-entropy of `targets`, `[N]`, among the first `answers` tokens, or among all.
pub(super) fn answer_loss(
    model: &LanguageModel,
    hidden: Tensor<2>,
    targets: Tensor<1, Int>,
    answers: Option<usize>,
) -> Tensor<1> {
    let head = model.head_weights();
    let head = match answers {
        Some(count) => head.first(count),
        None => head,
    };
    cross_entropy(model.norm.forward(hidden), head, targets, CrossEntropyOptions::default())
}

#[cfg(test)]
mod tests {
    use super::{answer_logits, answer_loss};
    use crate::experiment::Experiment;
    use burn::tensor::{Device, Distribution, Int, Tensor, activation::log_softmax};

    #[test]
    fn logits_and_losses_are_those_of_the_first_tokens() {
        let device = Device::default();
        let hidden = Tensor::<2>::random([5, 8], Distribution::Default, &device);
        let experiment = Experiment::shipped("quick").unwrap().unwrap();
        for tied in [true, false] {
            let mut settings = experiment.model.clone();
            settings.tie_embeddings = tied;
            let model = settings.model(&experiment.contestants[0].layers, 8, 12).unwrap().init(&device);
            let all = model.logits(hidden.clone());
            assert!(
                answer_logits(&model, hidden.clone(), None).equal(all.clone()).all().into_scalar::<bool>()
            );
            let few = answer_logits(&model, hidden.clone(), Some(3));
            let gap = (few - all.narrow(1, 0, 3)).abs().max().into_scalar::<f32>();
            assert!(gap < 1e-6, "{gap}");
            let right = Tensor::<1, Int>::from_ints([0, 2, 1, 1, 0], &device);
            for answers in [None, Some(3)] {
                let said = log_softmax(answer_logits(&model, hidden.clone(), answers), 1);
                let wanted = said.gather(1, right.clone().unsqueeze_dim(1)).mean().neg();
                let found = answer_loss(&model, hidden.clone(), right.clone(), answers);
                let gap = (found - wanted).abs().into_scalar::<f32>();
                assert!(gap < 1e-6, "{gap}");
            }
        }
    }
}
