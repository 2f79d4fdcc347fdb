//! The page of tables.

use crate::calls::loss;
use crate::memory;
use crate::streams;
use crate::tasks::{self, Cost, TASKS, Task};
use burn::tensor::Device;
use seqzoo::ops::Form;
use seqzoo_benches::{Limits, Peer, Seconds, median, peer, processor, speed, wait};
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
    /// The first shape of every task alone, and no tensor operations.
    pub brief: bool,
}

impl Plan {
    fn tasks(&self) -> impl Iterator<Item = &'static Task> {
        TASKS.iter().filter(|task| self.only.as_ref().is_none_or(|only| only == task.flag))
    }

    fn has(&self, flag: &str) -> bool {
        self.tasks().any(|task| task.flag == flag)
    }

    fn shapes(&self, task: &Task) -> impl Iterator<Item = &'static &'static [usize]> {
        let most = if self.brief { 1 } else { usize::MAX };
        task.shapes.iter().take(most).filter(|shape| tasks::tokens(shape) as usize <= self.max_tokens)
    }

    fn lengths(&self, all: &[usize]) -> Vec<usize> {
        all.iter().copied().filter(|time| *time <= self.max_tokens).collect()
    }
}

/// What one shape of a task was measured at.
struct Measured {
    task: &'static Task,
    shape: &'static [usize],
    ours: Seconds,
    chunked: Option<Seconds>,
    peer: Option<Peer>,
}

/// Measures everything and writes it down.
pub fn page(plan: &Plan, command: &str) -> Result<String, String> {
    let mut limits = Limits::ours();
    let mut measured = Vec::new();
    for task in plan.tasks() {
        for shape in plan.shapes(task) {
            eprintln!("measuring {}, {}", task.title, tasks::name(task, shape));
            measured.push(measure(plan, task, shape)?);
            limits = limits.or(Limits::ours());
        }
    }
    let ours = limits;
    let peers = || measured.iter().filter_map(|measured| measured.peer.as_ref());
    limits = peers().fold(limits, |limits, peer| limits.or(peer.limits));
    let version =
        peers().next().map_or(String::new(), |peer| format!(" PyTorch {}, as many threads.", peer.version));
    let mut page = format!(
        "# Scans measured\n\n\
         Made by `{command}`\n\
         (the Python needs PyTorch; without `--python` its rows are missing).\n\n\
         Machine: {}, {} threads, {}. Burn's Flex backend, `f32`.{version}\n\
         A time is the median of at least {} runs, and of {} such medians, seconds apart, the best: ours and the peer's in\n\
         turn, because a shared machine slows down for seconds at a time. The loss of a backward pass is `Σ y²`, in ours as\n\
         in the peer's. The peer is the best of the formulations in `peers/ssm_cpu.py`, for each figure by itself; its name\n\
         stands beside the figure.\n\n\
         The machine's limits, each the best that anyone reached in the same run:\n\n\
         | what | per second | this library and Burn |\n|---|--:|--:|\n\
         | multiply-adds of a product of two 1024 x 1024 matrices, `G` | {:.0} | {:.0} |\n\
         | exponentials of numbers in cache, `G` | {:.1} | {:.1} |\n\
         | bytes of the sum of two arrays of 64 MiB, `G` | {:.0} | {:.0} |\n\n\
         The share of a limit counts what a token needs at least: exponentials (one per number of the state, in the backward\n\
         pass one more, because states are computed again), multiply-adds, or bytes of inputs, outputs and gradients.\n\n",
        processor(),
        rayon::current_num_threads(),
        std::env::consts::OS,
        plan.runs,
        plan.rounds,
        1e-9 * limits.product,
        1e-9 * ours.product,
        1e-9 * limits.exponentials,
        1e-9 * ours.exponentials,
        1e-9 * limits.bytes,
        1e-9 * ours.bytes,
    );
    for task in plan.tasks() {
        page += &table(task, measured.iter().filter(|measured| measured.task.flag == task.flag), &limits);
    }
    page += &lengths(plan);
    if plan.only.is_none() {
        page += &steps(plan);
    }
    if plan.has("selective") {
        page += &memories(plan)?;
    }
    Ok(page)
}

fn measure(plan: &Plan, task: &'static Task, shape: &'static [usize]) -> Result<Measured, String> {
    let once = || -> Result<Measured, String> {
        let ours = seconds(task, shape, Form::Auto, plan.runs);
        let python = plan.python.as_deref();
        let peer = python
            .map(|python| peer::measure(python, "ssm_cpu.py", task.flag, shape, plan.runs))
            .transpose()?;
        let chunked = (task.has_chunks && !plan.brief)
            .then(|| seconds(task, shape, Form::Chunked { size: 64 }, plan.runs.min(3)));
        Ok(Measured { task, shape, ours, chunked, peer })
    };
    (1..plan.rounds).try_fold(once()?, |best, _| {
        let next = once()?;
        let or = |a: Option<Seconds>, b: Option<Seconds>| a.zip(b).map(|(a, b)| a.or(b));
        Ok(Measured {
            ours: best.ours.or(next.ours),
            chunked: or(best.chunked, next.chunked),
            peer: best.peer.zip(next.peer).map(|(a, b)| a.or(b)),
            ..best
        })
    })
}

/// A task in a form, with `Σ y²` as the loss.
fn seconds(task: &Task, shape: &[usize], form: Form, runs: usize) -> Seconds {
    let device = Device::default();
    let call = (task.call)(shape, &device);
    let forward = median(runs, || wait(&device, call.run(form)));
    let device = Device::default().autodiff();
    let call = (task.call)(shape, &device);
    let both = median(runs, || wait(&device, loss(call.run(form)).backward()));
    Seconds { forward, both: Some(both) }
}

fn table<'a>(task: &Task, measured: impl Iterator<Item = &'a Measured>, limits: &Limits) -> String {
    let mut page = format!(
        "## {}\n\n| shape | what | forward, tokens/s | share of limit | against PyTorch \
         | forward + backward, tokens/s | share of limit | against PyTorch |\n|---|---|--:|--:|--:|--:|--:|--:|\n",
        task.title
    );
    let mut any = false;
    for Measured { shape, ours, chunked, peer, .. } in measured {
        any = true;
        let (name, tokens) = (tasks::name(task, shape), tasks::tokens(shape));
        let theirs = peer.as_ref().map(Peer::seconds);
        let mut add = |what: &str, seconds: Seconds, shares: [String; 2], names: [&str; 2]| {
            let Seconds { forward, both } = seconds;
            let both = both.expect("a backward pass was measured");
            let times = |theirs: Option<f64>, ours: f64| {
                theirs.map_or(String::new(), |theirs| format!("{:.1} x", theirs / ours))
            };
            let of = theirs.filter(|_| what != "PyTorch");
            let ratios = [times(of.map(|of| of.forward), forward), times(of.and_then(|of| of.both), both)];
            let [named, named_both] =
                names.map(|name| if name.is_empty() { String::new() } else { format!(" ({name})") });
            page += &format!(
                "| {name} | {what} | {}{named} | {} | {} | {}{named_both} | {} | {} |\n",
                speed(tokens, forward),
                shares[0],
                ratios[0],
                speed(tokens, both),
                shares[1],
                ratios[1],
            );
        };
        add("this library", *ours, shares(task, shape, *ours, limits), ["", ""]);
        if let Some(chunked) = chunked {
            add("chunked tensor operations", *chunked, Default::default(), ["", ""]);
        }
        if let Some(peer) = peer {
            add("PyTorch", peer.seconds(), Default::default(), [&peer.forward.0, &peer.both.0]);
        }
    }
    if any { page + "\n" } else { String::new() }
}

/// What part of the time the cost of the tokens would take at the machine's limit.
fn shares(task: &Task, shape: &[usize], seconds: Seconds, limits: &Limits) -> [String; 2] {
    let (cost, limit, of) = match (task.cost)(shape) {
        Cost::Exponentials(cost) => (cost, limits.exponentials, "exponentials"),
        Cost::Products(cost) => (cost, limits.product, "products"),
        Cost::Bytes(cost) => (cost, limits.bytes, "memory"),
        Cost::Unknown => return Default::default(),
    };
    let both = seconds.both.expect("a backward pass was measured");
    let share = |cost: f64, seconds: f64| {
        format!("{:.0} % of {of}", 100.0 * cost * tasks::tokens(shape) as f64 / limit / seconds)
    };
    [share(cost[0], seconds.forward), share(cost[1], both)]
}

/// Time per token against the length.
fn lengths(plan: &Plan) -> String {
    let times = plan.lengths(&[2048, 8192, 32_768, 65_536]);
    let subjects: [(&str, &[usize]); 4] =
        [("selective", &[256, 16]), ("linear", &[256]), ("s4d", &[256, 16]), ("long_conv", &[256])];
    let mut page = String::from(
        "## Cost against length: B1, 256 channels\n\n\
         | what | tokens | forward, ns/token | forward + backward, ns/token |\n|---|--:|--:|--:|\n",
    );
    for (flag, rest) in subjects.into_iter().filter(|(flag, _)| plan.has(flag)) {
        let task = TASKS.iter().find(|task| task.flag == flag).expect("the task is there");
        for time in times.iter().copied() {
            eprintln!("measuring {} over {time} tokens", task.title);
            let shape: Vec<usize> = [&[1, time], rest].concat();
            let rounds = (0..plan.rounds).map(|_| seconds(task, &shape, Form::Auto, plan.runs));
            let best = rounds.reduce(Seconds::or).expect("there is a round");
            let [forward, both] =
                [best.forward, best.both.unwrap_or_default()].map(|seconds| 1e9 * seconds / time as f64);
            page += &format!("| {} | {time} | {forward:.0} | {both:.0} |\n", task.title);
        }
    }
    page + "\n"
}

/// Microseconds per token, one token after another.
fn steps(plan: &Plan) -> String {
    let position = 20_000;
    let mut page = format!(
        "## One token after another: layers of d_model {}, B1\n\n\
         | layer | first tokens, us/token | after {position} tokens, us/token |\n|---|--:|--:|\n",
        streams::D_MODEL
    );
    for (name, layer) in streams::layers() {
        eprintln!("measuring the steps of {name}");
        let rounds = (0..plan.rounds).map(|_| streams::step(&layer, position, plan.runs));
        let [early, late] = rounds.fold([f64::INFINITY; 2], |[a, b], [c, d]| [a.min(c), b.min(d)]);
        page += &format!("| {name} | {:.1} | {:.1} |\n", 1e6 * early, 1e6 * late);
    }
    page + "\n"
}

/// Peak memory of a forward and a backward pass.
fn memories(plan: &Plan) -> Result<String, String> {
    let mut page = format!(
        "## Peak memory of forward + backward: selective scan, B1 E{} N{}\n\n\
         How far a fresh process grows, inputs, outputs and all gradients included, and that in multiples of the size of\n\
         these tensors.\n\n| tokens | peak, MiB | of inputs, outputs and gradients |\n|--:|--:|--:|\n",
        memory::CHANNELS,
        memory::SIZE
    );
    for time in plan.lengths(&[4096, 16_384, 65_536]) {
        if let Some(memory) = memory::measure(time)? {
            let times = memory.peak as f64 / memory.tensors as f64;
            page += &format!("| {time} | {} | {times:.1} x |\n", memory.peak >> 20);
        }
    }
    Ok(page)
}
