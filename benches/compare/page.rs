//! The page of tables.

use crate::measure::{loss, seconds, step};
use crate::memory;
use crate::round::Round;
use seqzoo::ops::Form;
use seqzoo_benches::{SHAPES, Seconds, Shape, Subject, processor, speed};
use std::path::Path;

/// How much is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is measured.
    pub subjects: Vec<Subject>,
    /// Rounds of which the best counts.
    pub rounds: usize,
    /// Runs of which the median counts, in every round.
    pub runs: usize,
    /// Shapes of more tokens are left out.
    pub max_tokens: usize,
}

impl Plan {
    fn lengths(&self, all: &[usize]) -> Vec<usize> {
        all.iter().copied().filter(|time| *time <= self.max_tokens).collect()
    }
}

/// Measures everything and writes it down.
pub fn page(python: Option<&Path>, plan: &Plan, command: &str) -> Result<String, String> {
    let Plan { subjects, rounds, runs, max_tokens } = plan;
    let mut measured = Vec::new();
    for shape in SHAPES.into_iter().filter(|shape| shape.tokens() as usize <= *max_tokens) {
        eprintln!("measuring {}", shape.name());
        measured.push((shape, Round::best_of(*rounds, python, subjects, shape, *runs)?));
    }
    let ours = measured.iter().map(|(_, round)| round.product).fold(0.0, f64::max);
    let peers = || measured.iter().filter_map(|(_, round)| round.peer.as_ref());
    let theirs = peers().map(|peer| peer.product).fold(0.0, f64::max);
    let version = peers().next().map(|peer| peer.version.clone());
    let tables = measured.iter().map(|(shape, round)| table(subjects, *shape, round, ours.max(theirs)));
    let tables: String = tables.collect();
    let mut page = format!(
        "# Measured\n\n\
         Made by `{command}`\n\
         (the Python needs PyTorch; without `--python` its rows are missing). Criterion measures the same shapes:\n\
         `cargo bench --bench operators`.\n\n\
         Machine: {}, {} threads, {}. Burn's Flex backend, `f32`.{}\n\
         A time is the median of at least {runs} runs, and of {rounds} such medians, seconds apart, the best: ours and the\n\
         peer's in turn, because a shared machine slows down for seconds at a time.\n\
         The loss of a backward pass is `Σ o²`, in ours as in the peer's (`peers/torch_cpu.py`, chunk-parallel tensor\n\
         operations; softmax is PyTorch's fused `scaled_dot_product_attention`).\n\n\
         The machine's limit is the best product of two 1024 x 1024 matrices in the same run: {:.0} GFLOP/s \
         (Burn {:.0}{}).\n\
         The share of it counts the multiply-adds of the kernel's products, two FLOPs each, and nothing else.\n\n",
        processor(),
        rayon::current_num_threads(),
        std::env::consts::OS,
        version.map_or(String::new(), |version| format!(" PyTorch {version}, as many threads.")),
        2e-9 * ours.max(theirs),
        2e-9 * ours,
        if theirs > 0.0 { format!(", PyTorch {:.0}", 2e-9 * theirs) } else { String::new() },
    );
    page += &tables;
    page += &lengths(plan);
    page += &steps(plan);
    page += &memories(plan)?;
    Ok(page)
}

/// One line of a table of speeds.
struct Line<'a> {
    operator: &'a str,
    what: &'a str,
    seconds: Seconds,
    /// Of the machine's limit, forward and with the backward pass.
    shares: Option<[f64; 2]>,
    peer: Option<&'a Seconds>,
}

impl Line<'_> {
    fn write(&self, shape: Shape) -> String {
        let Self { operator, what, seconds, shares, peer } = self;
        let times = |theirs: Option<f64>, ours: Option<f64>| match (theirs, ours) {
            (Some(theirs), Some(ours)) => format!("{:.1} x", theirs / ours),
            _ => String::new(),
        };
        let speed = |seconds: f64| speed(shape.tokens(), seconds);
        let [share, share_of_both] = [0, 1]
            .map(|index| shares.map_or(String::new(), |shares| format!("{:.0} %", 100.0 * shares[index])));
        let both = seconds.both.map_or(String::new(), speed);
        let forward = times(peer.map(|peer| peer.forward), Some(seconds.forward));
        let trained = times(peer.and_then(|peer| peer.both), seconds.both);
        format!(
            "| {operator} | {what} | {} | {share} | {forward} | {both} | {share_of_both} | {trained} |\n",
            speed(seconds.forward)
        )
    }
}

fn table(subjects: &[Subject], shape: Shape, round: &Round, limit: f64) -> String {
    let Round { kernel, chunked, softmax, peer, .. } = round;
    let peer = peer.as_ref();
    let mut page = format!(
        "## {}\n\n| operator | what | forward, tokens/s | share of limit | against PyTorch \
         | forward + backward, tokens/s | share of limit | against PyTorch |\n|---|---|--:|--:|--:|--:|--:|--:|\n",
        shape.name()
    );
    let mut add = |operator: &str, what: &str, seconds, shares, peer| {
        page += &Line { operator, what, seconds, shares, peer }.write(shape);
    };
    for (index, subject) in subjects.iter().copied().enumerate() {
        let name = subject.name();
        let peer = peer.zip(subject.peer()).and_then(|(peer, theirs)| peer.by_name.get(theirs));
        let Seconds { forward, both } = kernel[index];
        let [of_forward, of_backward] = (subject.operator.counted)(subject.kind.name, shape.head_dim);
        let share = |count, seconds| count * shape.tokens() as f64 * shape.heads as f64 / seconds / limit;
        let shares = both.map(|both| [share(of_forward, forward), share(of_forward + of_backward, both)]);
        add(&name, "kernel", kernel[index], shares, peer);
        add(&name, "chunked tensor operations", chunked[index], None, peer);
        if let Some(peer) = peer {
            add(&name, "PyTorch", *peer, None, None);
        }
    }
    let peer = peer.and_then(|peer| peer.by_name.get("softmax_sdpa"));
    add("softmax attention", "this library", *softmax, None, peer);
    if let Some(peer) = peer {
        add("softmax attention", "PyTorch", *peer, None, None);
    }
    page + "\n"
}

/// Time per token against the length.
fn lengths(plan: &Plan) -> String {
    let mut page = String::from(
        "## Cost against length: kernel, B1 H4 D64\n\n\
         The loss, `Σ o²` in Burn's operations, is in the time of forward + backward; it is also measured alone.\n\n\
         | operator | tokens | forward, ns/token | forward + backward, ns/token | the loss alone, ns/token |\n\
         |---|--:|--:|--:|--:|\n",
    );
    let times = plan.lengths(&[2048, 8192, 32_768, 65_536]);
    for subject in plan.subjects.iter().copied() {
        let name = subject.name();
        let mut best = vec![[f64::INFINITY; 3]; times.len()];
        for _ in 0..plan.rounds {
            for (time, best) in times.iter().zip(&mut best) {
                eprintln!("measuring {name} over {time} tokens");
                let shape = Shape { batch: 1, time: *time, heads: 4, head_dim: 64 };
                let Seconds { forward, both } = seconds(subject, Form::Kernel, shape, plan.runs);
                let now = [forward, both.unwrap_or(f64::INFINITY), loss(shape, plan.runs)];
                *best = std::array::from_fn(|index| best[index].min(now[index]));
            }
        }
        for (time, best) in times.iter().zip(best) {
            let [forward, both, loss] = best.map(|seconds| 1e9 * seconds / *time as f64);
            page += &format!("| {name} | {time} | {forward:.0} | {both:.0} | {loss:.0} |\n");
        }
    }
    page + "\n"
}

/// Microseconds per token, one token after another.
fn steps(plan: &Plan) -> String {
    let position = 20_000;
    let mut page = format!(
        "## One token after another: B1 H4 D64\n\n\
         | operator | first tokens, us/token | after {position} tokens, us/token |\n|---|--:|--:|\n"
    );
    for subject in plan.subjects.iter().copied() {
        let name = subject.name();
        let shape = Shape { batch: 1, time: 1, heads: 4, head_dim: 64 };
        let rounds = (0..plan.rounds).map(|_| step(subject, shape, position, plan.runs));
        let [early, late] = rounds.fold([f64::INFINITY; 2], |[a, b], [c, d]| [a.min(c), b.min(d)]);
        page += &format!("| {name} | {:.1} | {:.1} |\n", 1e6 * early, 1e6 * late);
    }
    page + "\n"
}

/// Peak memory of a forward and a backward pass.
fn memories(plan: &Plan) -> Result<String, String> {
    let times = plan.lengths(&[4096, 16_384, 65_536]);
    if times.is_empty() {
        return Ok(String::new());
    }
    let mut page = String::from(
        "## Peak memory of forward + backward: B1 H4 D64\n\n\
         How far a fresh process grows, inputs, outputs and all gradients included, and that in multiples of the size of\n\
         these tensors.\n\n| operator | what | tokens | peak, MiB | of inputs, outputs and gradients |\n|---|---|--:|--:|--:|\n",
    );
    for subject in plan.subjects.iter().copied() {
        let name = subject.name();
        for (form, what) in [("kernel", "kernel"), ("chunked", "chunked tensor operations")] {
            for time in times.iter().copied() {
                let shape = Shape { batch: 1, time, heads: 4, head_dim: 64 };
                if let Some(memory) = memory::measure(subject, form, shape)? {
                    let times = memory.peak as f64 / memory.tensors as f64;
                    page += &format!("| {name} | {what} | {time} | {} | {times:.1} x |\n", memory.peak >> 20);
                }
            }
        }
    }
    Ok(page)
}
