//! The whole layer of a neural memory, forward and with backward, beside titans-pytorch's (`peers/titans_layer.py`, in turn).
#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

use burn::tensor::{Device, Distribution, Tensor};
use seqzoo::SequenceMixer;
use seqzoo::layers::NeuralMemoryConfig;
use seqzoo_benches::{processor, wait};
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TIME: usize = 2048;
const RUNS: usize = 9;

/// Channels, and layers of the memory, of which the second is twice as wide inside.
const SHAPES: [(usize, usize); 3] = [(64, 1), (64, 2), (256, 2)];
const CHUNKS: [usize; 2] = [16, 64];

fn median(mut run: impl FnMut()) -> f64 {
    run(); // the first call of a process asks for its memory
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[RUNS / 2]
}

fn main() {
    let recording = Device::default().autodiff();
    let plain = Device::default();
    println!("B1 T{TIME}, one head, f32; {}, {} threads\n", processor(), rayon::current_num_threads());
    println!("| layer | chunk | forward, tokens/s | forward + backward, tokens/s |");
    println!("|---|--:|--:|--:|");
    for (channels, depth) in SHAPES {
        for chunk in CHUNKS {
            let config = NeuralMemoryConfig::new(channels)
                .with_num_heads(1)
                .with_depth(depth)
                .with_expand_hidden(2.0)
                .with_chunk(chunk)
                .with_conv_size(None);
            let [layer, trained] = [&plain, &recording].map(|device| config.init(device));
            let input = |device: &Device| {
                Tensor::<3>::random([1, TIME, channels], Distribution::Normal(0.0, 1.0), device)
            };
            let (given, tracked) = (input(&plain), input(&recording).require_grad());
            let forward = median(|| wait(&plain, layer.forward(given.clone(), None)));
            let both = median(|| {
                let (output, _) = trained.forward(tracked.clone(), None);
                wait(&recording, (output.clone().square().sum().backward(), output));
            });
            let thousands = |seconds: f64| TIME as f64 / seconds / 1e3;
            let (forward, both) = (thousands(forward), thousands(both));
            println!("| ours, {channels} channels, depth {depth} | {chunk} | {forward:.1} k | {both:.1} k |");
        }
    }
}
