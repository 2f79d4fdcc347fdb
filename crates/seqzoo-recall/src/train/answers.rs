//! The logits that compete for an answer.

use burn::tensor::Tensor;
use seqzoo::models::LanguageModel;

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

#[cfg(test)]
mod tests {
    use super::answer_logits;
    use crate::experiment::Experiment;
    use burn::tensor::{Device, Distribution, Tensor};

    #[test]
    fn they_are_the_first_of_all_logits() {
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
        }
    }
}
