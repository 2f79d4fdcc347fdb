//! One step of training.

use super::contestants::Contestant;
use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor};
use seqzoo::models::LanguageModelConfig;
use seqzoo::training::AdamWConfig;
use seqzoo_benches::{median, wait};

/// A model and its batch.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub width: usize,
    pub layers: usize,
    pub batch: usize,
    pub time: usize,
    pub vocabulary: usize,
}

/// Median seconds of a step of training with AdamW, loss at every position.
pub fn training_step(contestant: &Contestant, sizes: Sizes, runs: usize) -> f64 {
    let Sizes { width, layers, batch, time, vocabulary } = sizes;
    let device = Device::default().autodiff();
    device.seed(0);
    let config = LanguageModelConfig::new(vocabulary, width, vec![contestant.layer(width)])
        .with_num_layers(Some(layers));
    let mut model = Some(config.init(&device));
    eprintln!("{} parameters", model.as_ref().map_or(0, Module::num_params));
    let mut optimizer = AdamWConfig::new().init();
    let tokens: Vec<i32> = (0..batch * time).map(|i| ((i * 7919 + i / 13) % vocabulary) as i32).collect();
    let tokens = Tensor::<1, Int>::from_ints(tokens.as_slice(), &device).reshape([batch, time]);
    median(runs, || {
        let current = model.take().expect("the model is put back");
        let (logits, _) = current.forward(tokens.clone(), None);
        let loss = CrossEntropyLossConfig::new()
            .init(&device)
            .forward(logits.reshape([batch * time, vocabulary]), tokens.clone().reshape([batch * time]));
        let gradients = GradientsParams::from_grads(loss.backward(), &current);
        model = Some(optimizer.step(1e-3, current, gradients));
        wait(&device, loss.into_scalar::<f32>());
    })
}
