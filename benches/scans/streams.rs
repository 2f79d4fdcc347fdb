//! Layers that stream, one token after another.

use burn::tensor::{Device, Distribution, Tensor};
use seqzoo::layers::{Mamba2Config, MambaConfig, S4dConfig};
use seqzoo::{LayerConfig, MixerConfig, SequenceMixer};
use seqzoo_benches::{median, wait};

/// Channels of the layers.
pub const D_MODEL: usize = 256;

/// The layers, by name.
pub fn layers() -> [(&'static str, MixerConfig); 4] {
    [
        ("Mamba, N 16", MambaConfig::new(D_MODEL).into()),
        ("Mamba-2, N 128", Mamba2Config::new(D_MODEL).into()),
        ("S4D, N 16", S4dConfig::published(D_MODEL).with_d_state(16).into()),
        ("S4D, N 64", S4dConfig::published(D_MODEL).into()),
    ]
}

/// Seconds per token at the start and after `position` tokens.
pub fn step(layer: &MixerConfig, position: usize, runs: usize) -> [f64; 2] {
    const BATCH: usize = 200;
    let device = Device::default();
    let layer = layer.try_init(&device).expect("the configuration is right");
    let token = Tensor::<2>::random([1, D_MODEL], Distribution::Normal(0.0, 1.0), &device);
    let mut state = Some(layer.init_state(1, &device));
    let mut advance = |count: usize| {
        for _ in 0..count {
            let (output, next) = layer.step(token.clone(), state.take().expect("a state is there"));
            state = Some(next);
            wait(&device, output);
        }
    };
    let early = median(runs, || advance(BATCH)) / BATCH as f64;
    advance(position);
    [early, median(runs, || advance(BATCH)) / BATCH as f64]
}
