//! The page of tables.

use crate::memory;
use crate::tasks::{Cost, TASKS, Task, name};
use burn::tensor::Device;
use seqzoo_benches::{Limits, Peer, Seconds, command, median, peer, processor, reading, speed, wait};
use std::path::PathBuf;

/// How much is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// A Python with PyTorch.
    pub python: Option<PathBuf>,
    /// The name of the only task.
    pub only: Option<String>,
    /// Rounds of which the best counts.
    pub rounds: usize,
    /// Runs of which the median counts, in every round.
    pub runs: usize,
    /// Shapes of more tokens are left out.
    pub max_tokens: usize,
}

/// What one shape of a task was measured at.
struct Measured {
    task: &'static Task,
    shape: &'static [usize],
    ours: Seconds,
    peer: Option<Peer>,
    /// Bytes per second that are read of as many as the keys and values have, where these are what costs.
    reading: Option<f64>,
}

/// Measures everything and writes it down.
pub fn page(plan: &Plan) -> Result<String, String> {
    let mut limits = Limits::ours();
    let mut measured = Vec::new();
    for task in TASKS.iter().filter(|task| plan.only.as_ref().is_none_or(|only| only == task.flag)) {
        for shape in task.shapes.iter().filter(|shape| shape[1] <= plan.max_tokens) {
            eprintln!("measuring {}, {}", task.title, name(task, shape));
            let rounds: Vec<Measured> =
                (0..plan.rounds).map(|_| measure(plan, task, shape)).collect::<Result<_, _>>()?;
            measured.push(rounds.into_iter().reduce(better).expect("there is a round"));
            limits = limits.or(Limits::ours());
        }
    }
    let ours = limits;
    let peers = || measured.iter().filter_map(|measured| measured.peer.as_ref());
    limits = peers().fold(limits, |limits, peer| limits.or(peer.limits));
    let version =
        peers().next().map_or(String::new(), |peer| format!(" PyTorch {}, as many threads.", peer.version));
    let mut page = format!(
        "# Attention measured\n\n\
         Made by `{}`\n\
         (the Python needs PyTorch; without `--python` its rows are missing).\n\n\
         Machine: {}, {} threads, {}. Burn's Flex backend, `f32`.{version}\n\
         A time is the median of at least {} runs, and of {} such medians, seconds apart, the best: ours and the peer's in\n\
         turn, because a shared machine slows down for seconds at a time. The loss of a backward pass is `Σ o²`, in ours as\n\
         in the peer's. The peer is the best of the formulations in `peers/attention_cpu.py`, for each figure by itself; its\n\
         name stands beside the figure.\n\n\
         The limit is the best product of two 1024 x 1024 matrices that anyone reached in the same run: {:.0} G multiply-adds per\n\
         second (Burn {:.0}). The share of it counts the products with the keys that are seen, two in the forward pass, and five\n\
         in the backward pass, which makes the scores once more.\n\n",
        command("attention"),
        processor(),
        rayon::current_num_threads(),
        std::env::consts::OS,
        plan.runs,
        plan.rounds,
        1e-9 * limits.product,
        1e-9 * ours.product,
    );
    for task in &TASKS {
        page += &table(task, measured.iter().filter(|measured| measured.task.flag == task.flag), &limits);
    }
    if plan.only.as_ref().is_none_or(|only| only == "causal") {
        page += &memories(plan)?;
    }
    Ok(page)
}

fn measure(plan: &Plan, task: &'static Task, shape: &'static [usize]) -> Result<Measured, String> {
    let device = Device::default();
    let call = (task.call)(shape, &device);
    let forward = median(plan.runs, || wait(&device, call()));
    drop(call);
    let cost = (task.cost)(shape);
    let both = matches!(cost, Cost::Products(_)).then(|| {
        let device = device.clone().autodiff();
        let call = (task.call)(shape, &device);
        median(plan.runs, || {
            let output = call();
            wait(&device, (output.clone().square().sum().backward(), output));
        })
    });
    let reading = match cost {
        Cost::Bytes(bytes) => Some(reading(bytes as usize)),
        Cost::Products(_) => None,
    };
    let python = plan.python.as_deref();
    let peer = python.map(|python| peer::measure(python, "attention_cpu.py", task.flag, shape, plan.runs));
    Ok(Measured { task, shape, ours: Seconds { forward, both }, peer: peer.transpose()?, reading })
}

fn better(a: Measured, b: Measured) -> Measured {
    Measured {
        ours: a.ours.or(b.ours),
        peer: a.peer.zip(b.peer).map(|(a, b)| a.or(b)),
        reading: a.reading.zip(b.reading).map(|(a, b)| a.max(b)),
        ..a
    }
}

fn table<'a>(task: &Task, measured: impl Iterator<Item = &'a Measured>, limits: &Limits) -> String {
    let mut rows = String::new();
    for Measured { shape, ours, peer, reading, .. } in measured {
        let shape_name = name(task, shape);
        let tokens = (task.tokens)(shape) as u64;
        let mut add = |what: &str, seconds: Seconds, ours: bool, names: [&str; 2]| {
            let named =
                |speed: String, name: &str| if name.is_empty() { speed } else { format!("{speed} ({name})") };
            let against = |peer: Option<f64>, own: f64| {
                peer.filter(|_| ours).map_or(String::new(), |peer| format!("{:.1} x", peer / own))
            };
            let [forward_share, both_share] =
                if ours { shares(task, shape, seconds, limits, *reading) } else { Default::default() };
            let peer = peer.as_ref().map(Peer::seconds);
            rows += &format!(
                "| {shape_name} | {what} | {} | {forward_share} | {} |",
                named(speed_of(tokens, seconds.forward), names[0]),
                against(peer.map(|peer| peer.forward), seconds.forward),
            );
            if let Some(both) = seconds.both {
                rows += &format!(
                    " {} | {both_share} | {} |",
                    named(speed_of(tokens, both), names[1]),
                    against(peer.and_then(|peer| peer.both), both),
                );
            }
            rows += "\n";
        };
        add("this library", *ours, true, ["", ""]);
        if let Some(peer) = peer {
            let seconds = Seconds { both: ours.both.and(peer.seconds().both), ..peer.seconds() };
            add("PyTorch", seconds, false, [&peer.forward.0, &peer.both.0]);
        }
    }
    let (mut head, mut line) = (
        String::from("| shape | what | forward, tokens/s | share of limit | against PyTorch |"),
        String::from("|---|---|--:|--:|--:|"),
    );
    if matches!((task.cost)(task.shapes[0]), Cost::Products(_)) {
        head += " forward + backward, tokens/s | share of limit | against PyTorch |";
        line += "--:|--:|--:|";
    }
    let note = match (task.cost)(task.shapes[0]) {
        Cost::Products(_) => "",
        Cost::Bytes(_) => {
            "The limit is the reading of as many bytes as the keys and values have, again and again, in the same run. Our cache is\n\
             `[B, S, H, D]` and takes in every token, that of PyTorch `[B, H, S, D]` and stays as it is.\n\n"
        }
    };
    match rows.is_empty() {
        true => rows,
        false => format!("## {}\n\n{note}{head}\n{line}\n{rows}\n", task.title),
    }
}

fn speed_of(tokens: u64, seconds: f64) -> String {
    let per_second = tokens as f64 / seconds;
    if per_second < 1e5 { format!("{per_second:.0}") } else { speed(tokens, seconds) }
}

/// What part of the time the cost of the tokens would take at the machine's limit.
fn shares(
    task: &Task,
    shape: &[usize],
    seconds: Seconds,
    limits: &Limits,
    reading: Option<f64>,
) -> [String; 2] {
    let tokens = (task.tokens)(shape) as f64;
    let share =
        |cost: f64, limit: f64, seconds: f64| format!("{:.0} %", 100.0 * cost * tokens / limit / seconds);
    match (task.cost)(shape) {
        Cost::Products(cost) => {
            let both = seconds.both.map(|both| share(3.5 * cost, limits.product, both));
            [share(cost, limits.product, seconds.forward), both.unwrap_or_default()]
        }
        Cost::Bytes(cost) => {
            let reading = reading.map(|reading| share(cost, reading, seconds.forward));
            [reading.unwrap_or_default(), String::new()]
        }
    }
}

/// Peak memory of a forward and a backward pass.
fn memories(plan: &Plan) -> Result<String, String> {
    let mut page = format!(
        "## Peak memory of forward + backward: causal, B1 H{} D{}\n\n\
         How far a fresh process grows, inputs, output and all gradients included.\n\n\
         | tokens | peak, MiB | a quarter of the tokens |\n|--:|--:|--:|\n",
        memory::HEADS,
        memory::HEAD_DIM
    );
    let mut before = None;
    for time in [4096, 16_384].into_iter().filter(|time| *time <= plan.max_tokens) {
        if let Some(peak) = memory::measure(time)? {
            let ratio =
                before.map_or(String::new(), |before: usize| format!("{:.2} x", peak as f64 / before as f64));
            page += &format!("| {time} | {} | {ratio} |\n", peak >> 20);
            before = Some(peak);
        }
    }
    Ok(page)
}
