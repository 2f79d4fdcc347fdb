//! What it is worth to read grouped heads in place: many heads of values on one head of keys, as Mamba-2 has them.
//!
//! For both operators: forward and backward on keys that are read in place, and on keys that are repeated in memory
//! first. Times are medians, the two in turn; the peak is that of a process of its own.
#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

use burn::tensor::{Device, Distribution, Tensor, activation::sigmoid};
use seqzoo::ops::delta_rule::{Beta, DeltaRuleOptions, delta_rule};
use seqzoo::ops::linear_attention::{Decay, LinearAttentionOptions, linear_attention};
use seqzoo::ops::repeat_heads;
use seqzoo_benches::{processor, resident_bytes, wait};
use std::process::{Command, ExitCode};
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TIME: usize = 4096;
const HEADS: usize = 24;
const KEY: usize = 128;
const VALUE: usize = 64;
const ROUNDS: usize = 7;

const OPERATORS: [&str; 2] = ["linear attention", "delta rule"];
const KEYS: [&str; 2] = ["in place", "repeated"];

fn run(operator: &str, keys: &str, device: &Device) {
    let random = |heads, channels| {
        Tensor::<4>::random([1, TIME, heads, channels], Distribution::Normal(0.0, 1.0), device)
    };
    let (query, key) = (random(1, KEY), random(1, KEY));
    let key = (key.clone() / key.square().sum_dim(3).sqrt()).detach().require_grad();
    let (query, value) = (query.require_grad(), random(HEADS, VALUE).require_grad());
    let gates = || random(HEADS, 1).squeeze_dim::<3>(3);
    let decay = Decay::Scalar((sigmoid(gates()).log() / 16.0).detach().require_grad());
    let heads = if keys == "repeated" { HEADS } else { 1 };
    let (query, key) = (repeat_heads(query, heads), repeat_heads(key, heads));
    let output = if operator == OPERATORS[0] {
        linear_attention(query, key, value, decay, LinearAttentionOptions::default()).0
    } else {
        let beta = Beta::Scalar(sigmoid(gates()).detach().require_grad());
        delta_rule(query, key, value, beta, decay, DeltaRuleOptions::default()).0
    };
    wait(device, (output.clone().square().sum().backward(), output));
}

/// The milliseconds of a call, and the mebibytes by which the process of one call grew at most.
fn figures(operator: &str, device: &Device) -> Option<[(f64, f64); 2]> {
    let mut times = KEYS.map(|_| Vec::new());
    for _ in 0..=ROUNDS {
        for (keys, times) in KEYS.iter().zip(&mut times) {
            let start = Instant::now();
            run(operator, keys, device);
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    let mut all = [(0.0, 0.0); 2];
    for ((keys, times), figures) in KEYS.iter().zip(&mut times).zip(&mut all) {
        times.remove(0); // the first call of a process asks for its memory
        times.sort_by(f64::total_cmp);
        let said = Command::new(std::env::current_exe().ok()?).args([operator, keys]).output().ok()?;
        let peak = String::from_utf8_lossy(&said.stdout).trim().parse::<f64>().ok()?;
        *figures = (times[ROUNDS / 2], peak / f64::from(1 << 20));
    }
    Some(all)
}

fn main() -> ExitCode {
    let device = Device::default().autodiff();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [operator, keys] = &arguments[..] {
        let Some([before, _]) = resident_bytes() else { return ExitCode::FAILURE };
        run(operator, keys, &device);
        let Some([_, peak]) = resident_bytes() else { return ExitCode::FAILURE };
        println!("{}", peak.saturating_sub(before));
        return ExitCode::SUCCESS;
    }
    println!(
        "B1 T{TIME}, {HEADS} value heads on 1 key head, K {KEY}, V {VALUE}, f32, scalar decay, forward + backward"
    );
    println!("{}, {} threads\n", processor(), rayon::current_num_threads());
    println!("| operator | keys | ms | peak, MiB |\n|---|---|--:|--:|");
    for operator in OPERATORS {
        let Some(figures) = figures(operator, &device) else {
            eprintln!("this system does not tell the memory of a process");
            return ExitCode::FAILURE;
        };
        for (keys, (time, peak)) in KEYS.iter().zip(figures) {
            println!("| {operator} | {keys} | {time:.0} | {peak:.0} |");
        }
    }
    ExitCode::SUCCESS
}
