//! A layer in one pass and token by token: `cargo run --release --example hello_layer`.
#![recursion_limit = "256"]

use burn::tensor::{Device, Distribution, Tensor};
use seqzoo::{SequenceMixer, layers::GatedLinearAttentionConfig};

#[allow(clippy::print_stdout)]
fn main() {
    let device = Device::default();
    let layer = GatedLinearAttentionConfig::new(64).init(&device);
    let input = Tensor::<3>::random([1, 100, 64], Distribution::Default, &device);

    let (whole, _) = layer.forward(input.clone(), None); // one pass: chunk-parallel

    let mut state = layer.init_state(1, &device); // token by token: recurrent, constant memory
    let mut tokens = Vec::new();
    for t in 0..100 {
        let (output, next) = layer.step(input.clone().narrow(1, t, 1).squeeze_dim(1), state);
        tokens.push(output);
        state = next;
    }

    let difference = (whole - Tensor::stack(tokens, 1)).abs().max().into_scalar::<f32>();
    println!("largest difference between the two forms: {difference:e}");
    assert!(difference < 1e-5);
}
