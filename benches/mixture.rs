//! What a mixture of memories costs: against the layer inside, and with more and more memories of which every token goes
//! to two.
//!
//! Whole layers, forward and backward, and a step of a stream. Times are medians, all contestants in turn.
#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

use burn::tensor::{Device, Distribution, Tensor};
use seqzoo::layers::{GatedDeltaNetConfig, MixtureOfMemoriesConfig};
use seqzoo::{LayerConfig, Mixer, MixerConfig, SequenceMixer};
use seqzoo_benches::{processor, wait};
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: usize = 4;
const TIME: usize = 1024;
const HEADS: usize = 4;
const HEAD_DIM: usize = 64;
const D_MODEL: usize = 256;
const ROUNDS: usize = 9;
const STEPS: usize = 100;

struct Contestant {
    name: String,
    training: Mixer,
    streaming: Mixer,
    /// Milliseconds of forward and backward.
    times: Vec<f64>,
    /// Microseconds of a step.
    steps: Vec<f64>,
}

fn contestant(name: String, config: impl Into<MixerConfig>, device: &Device) -> Contestant {
    let config = config.into();
    let layer = |device: &Device| config.try_init(device).expect("the layer can be");
    let (training, streaming) = (layer(device), layer(&device.clone().inner()));
    Contestant { name, training, streaming, times: Vec::new(), steps: Vec::new() }
}

fn contestants(device: &Device) -> Vec<Contestant> {
    let inner = GatedDeltaNetConfig::published(D_MODEL).with_num_heads(HEADS).with_head_dim(HEAD_DIM);
    let mixture = MixtureOfMemoriesConfig::published(D_MODEL).with_num_heads(HEADS).with_head_dim(HEAD_DIM);
    let mut all = vec![contestant("one memory".into(), inner.with_expand_v(1.0), device)];
    let shared = mixture.clone().with_num_memories(4);
    all.push(contestant("4 memories, top 2, and a shared one".into(), shared, device));
    for memories in [4, 8, 16, 32, 64] {
        let config = mixture.clone().with_num_memories(memories).with_shared_memory(false);
        all.push(contestant(format!("{memories} memories, top 2"), config, device));
    }
    all
}

fn train(layer: &Mixer, device: &Device) -> f64 {
    let input = Tensor::<3>::random([BATCH, TIME, D_MODEL], Distribution::Normal(0.0, 1.0), device);
    let input = input.require_grad();
    let start = Instant::now();
    let (output, _) = layer.forward(input, None);
    wait(device, (output.clone().square().sum().backward(), output));
    start.elapsed().as_secs_f64() * 1e3
}

fn stream(layer: &Mixer, device: &Device) -> f64 {
    let tokens: Vec<_> = (0..STEPS)
        .map(|_| Tensor::<2>::random([1, D_MODEL], Distribution::Normal(0.0, 1.0), device))
        .collect();
    let mut state = layer.init_state(1, device);
    let start = Instant::now();
    for token in tokens {
        let (output, after) = layer.step(token, state);
        wait(device, output);
        state = after;
    }
    start.elapsed().as_secs_f64() * 1e6 / STEPS as f64
}

fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn main() {
    let device = Device::default().autodiff();
    let mut all = contestants(&device);
    for round in 0..=ROUNDS {
        for contestant in &mut all {
            let times = (
                train(&contestant.training, &device),
                stream(&contestant.streaming, &device.clone().inner()),
            );
            // The first call of a process asks for its memory.
            if round > 0 {
                contestant.times.push(times.0);
                contestant.steps.push(times.1);
            }
        }
    }
    println!("B{BATCH} T{TIME} H{HEADS} D{HEAD_DIM}, d_model {D_MODEL}, gated delta rule, f32");
    println!("{}, {} threads\n", processor(), rayon::current_num_threads());
    println!("| layer | forward + backward, ms | tokens/s | of one memory's time | a step, us |");
    println!("|---|--:|--:|--:|--:|");
    let one = median(&mut all[0].times);
    for contestant in &mut all {
        let (time, step) = (median(&mut contestant.times), median(&mut contestant.steps));
        let tokens = (BATCH * TIME) as f64 / time;
        println!("| {} | {time:.1} | {tokens:.0} k | {:.2} x | {step:.0} |", contestant.name, time / one);
    }
}
