//! What is measured: tasks, their shapes, and what a token of them costs at least.

use burn::tensor::{Bool, Device, Distribution, Tensor, TensorData};
use seqzoo::ops::attention::landmark::{LandmarkOptions, landmark_attention};
use seqzoo::ops::attention::{AttentionOptions, AttentionState, attention};
use std::cell::RefCell;

/// Tokens of a block of landmark attention, the landmark included.
pub const BLOCK: usize = 64;

/// Tokens that `decode` asks one after another.
pub const STEPS: usize = 64;

/// A call with its inputs, which can be made any number of times.
pub type Call = dyn Fn() -> Tensor<4>;

/// A task with a PyTorch peer.
#[derive(Debug)]
pub struct Task {
    /// Its name on the command line and for the peer.
    pub flag: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// What the numbers of a shape are.
    pub letters: &'static [&'static str],
    pub shapes: &'static [&'static [usize]],
    /// A call with random inputs of a shape.
    pub call: fn(&[usize], &Device) -> Box<Call>,
    /// Multiply-adds of a token, forward; or bytes that it reads.
    pub cost: fn(&[usize]) -> Cost,
    /// Tokens of one run.
    pub tokens: fn(&[usize]) -> usize,
}

/// What a token costs at least.
#[derive(Clone, Copy, Debug)]
pub enum Cost {
    /// Multiply-adds of the two products of the forward pass; the backward pass has five.
    Products(f64),
    /// Bytes of the keys and values that it reads.
    Bytes(f64),
}

/// `B1 T2048 H4 D64`.
pub fn name(task: &Task, shape: &[usize]) -> String {
    let named = task.letters.iter().zip(shape).map(|(letter, number)| format!("{letter}{number}"));
    named.collect::<Vec<_>>().join(" ")
}

fn normal(shape: [usize; 4], device: &Device) -> Tensor<4> {
    let numbers = Tensor::random(shape, Distribution::Normal(0.0, 1.0), device);
    if device.is_autodiff() { numbers.require_grad() } else { numbers }
}

fn tokens(shape: &[usize]) -> usize {
    shape[0] * shape[1]
}

fn softmax(shape: &[usize], device: &Device) -> Box<Call> {
    let window = shape.get(4).copied();
    let [query, key, value] = [(); 3].map(|()| normal([shape[0], shape[1], shape[2], shape[3]], device));
    Box::new(move || {
        let options = AttentionOptions { window, ..Default::default() };
        attention(query.clone(), key.clone(), value.clone(), options).0
    })
}

/// One token after another, as a stream has them. A window keeps the cache as long as it is.
fn decode(shape: &[usize], device: &Device) -> Box<Call> {
    let &[batch, length, heads, channels] = shape else { unreachable!("the shape has four numbers") };
    let entries = |length| normal([batch, length, heads, channels], device);
    let next = move |state: AttentionState, token: [Tensor<4>; 3]| {
        let [query, key, value] = token;
        let window = Some(length + 1);
        let options = AttentionOptions { initial_state: Some(state), window, ..Default::default() };
        attention(query, key, value, options)
    };
    let state = AttentionState {
        keys: entries(length).into(),
        values: entries(length).into(),
        log_decays: None,
        visible: None,
    };
    let token = [(); 3].map(|()| entries(1));
    // The first one makes room for others.
    let (_, state) = next(state, token.clone());
    let state = RefCell::new(Some(state));
    Box::new(move || {
        let mut last = None;
        for _ in 0..STEPS {
            let (output, after) = next(state.take().expect("a state is there"), token.clone());
            state.replace(Some(after));
            last = Some(output);
        }
        last.expect("there are steps")
    })
}

fn landmark(shape: &[usize], device: &Device) -> Box<Call> {
    let &[batch, time, heads, channels] = shape else { unreachable!("the shape has four numbers") };
    let [query, key, value] = [(); 3].map(|()| normal([batch, time, heads, channels], device));
    let flags: Vec<bool> = (0..batch * time).map(|token| token % time % BLOCK == BLOCK - 1).collect();
    let landmarks = Tensor::<2, Bool>::from_data(TensorData::new(flags, [batch, time]), device);
    Box::new(move || {
        let (query, key, value) = (query.clone(), key.clone(), value.clone());
        landmark_attention(query, key, value, landmarks.clone(), LandmarkOptions::default()).0
    })
}

/// Two products with the keys that are seen, half of all on average.
fn causal_cost(shape: &[usize]) -> Cost {
    Cost::Products((shape[2] * shape[3] * (shape[1] + 1)) as f64)
}

pub static TASKS: [Task; 4] = [
    Task {
        flag: "causal",
        title: "Causal softmax attention",
        letters: &["B", "T", "H", "D"],
        shapes: &[&[1, 512, 4, 64], &[1, 2048, 4, 64], &[1, 8192, 4, 64], &[1, 2048, 8, 128]],
        call: softmax,
        cost: causal_cost,
        tokens,
    },
    Task {
        flag: "window",
        title: "In a sliding window",
        letters: &["B", "T", "H", "D", "window "],
        shapes: &[&[1, 2048, 4, 64, 256], &[1, 8192, 4, 64, 256], &[1, 2048, 8, 128, 256]],
        call: softmax,
        cost: |shape| {
            let (time, window) = (shape[1] as f64, shape[4] as f64);
            let seen = window - window * (window - 1.0) / 2.0 / time;
            Cost::Products(2.0 * (shape[2] * shape[3]) as f64 * seen)
        },
        tokens,
    },
    Task {
        flag: "landmark",
        title: "Landmark attention, blocks of 64",
        letters: &["B", "T", "H", "D"],
        shapes: &[&[1, 2048, 4, 64], &[1, 8192, 4, 64], &[1, 2048, 8, 128]],
        call: landmark,
        cost: causal_cost,
        tokens,
    },
    Task {
        flag: "decode",
        title: "One token against a cache",
        letters: &["B", "cache ", "H", "D"],
        shapes: &[&[1, 2048, 4, 64], &[1, 8192, 4, 64], &[1, 2048, 8, 128], &[1, 8192, 8, 128]],
        call: decode,
        cost: |shape| Cost::Bytes((2 * size_of::<f32>() * shape[1] * shape[2] * shape[3]) as f64),
        tokens: |shape| shape[0] * STEPS,
    },
];
