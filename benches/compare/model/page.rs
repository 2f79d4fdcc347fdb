//! The page of whole models.

use super::contestants::{CONTESTANTS, Contestant};
use super::step::{Measured, Sizes, measure};
use seqzoo_benches::peer::{ask, number};
use seqzoo_benches::{command, processor, product};
use std::path::Path;

/// The width of the recall suite, the one of the figures in README, and a larger one.
const SIZES: [Sizes; 3] = [
    Sizes { width: 64, layers: 2, batch: 32, time: 64, vocabulary: 256 },
    Sizes { width: 256, layers: 4, batch: 4, time: 1024, vocabulary: 256 },
    Sizes { width: 512, layers: 4, batch: 2, time: 1024, vocabulary: 256 },
];

/// The size that is measured with gradient checkpointing as well.
const CHECKPOINTED: Sizes = SIZES[1];

/// One model of one size.
struct Row {
    contestant: &'static Contestant,
    sizes: Sizes,
    ours: Measured,
    peer: Option<Measured>,
}

/// What the peers tell of themselves.
#[derive(Default)]
struct Peers {
    version: Option<String>,
    product: f64,
}

/// Measures all contestants, or the one of this name, and writes it down.
pub fn page(python: Option<&Path>, only: &str, rounds: usize, runs: usize) -> Result<String, String> {
    let (mut rows, mut peers, mut ours) = (Vec::new(), Peers::default(), product());
    for sizes in SIZES {
        for contestant in CONTESTANTS.iter().filter(|one| only == "all" || only == one.flag) {
            eprintln!("measuring {}, width {}", contestant.title, sizes.width);
            let mut row: Option<Row> = None;
            for _ in 0..rounds {
                let measured = measure(contestant, sizes, false, runs)?;
                let peer = python.map(|python| ask_peer(python, contestant, sizes, runs, &mut peers));
                let peer = peer.transpose()?;
                row = Some(match row {
                    None => Row { contestant, sizes, ours: measured, peer },
                    Some(row) => Row {
                        ours: row.ours.or(measured),
                        peer: row.peer.zip(peer).map(|(a, b)| a.or(b)),
                        ..row
                    },
                });
                ours = ours.max(product());
            }
            rows.extend(row);
        }
    }
    let limit = ours.max(peers.product);
    let version =
        peers.version.map_or(String::new(), |version| format!(" PyTorch {version}, as many threads."));
    let mut page = format!(
        "# Whole models measured\n\n\
         Made by `{}`\n\
         (the Python needs PyTorch; without `--python` its columns are missing).\n\n\
         Machine: {}, {} threads, {}. Burn's Flex backend, `f32`.{version}\n\
         A step of training a language model: pre-norm blocks of a mixer with heads of 64 channels and a SwiGLU, RMS norms, a head of\n\
         its own, a vocabulary of 256, AdamW, the loss at every position. The peer is the same model in `peers/models_cpu.py`. A time is\n\
         the median of at least {runs} steps, and of {rounds} such medians, ours and the peer's in turn, the best; each in a process of its\n\
         own, of which the memory is the most that it held, with all that a program and its libraries hold.\n\n\
         The limit is the best product of two 1024 x 1024 matrices that anyone reached in the same run: {:.0} GFLOP/s (Burn {:.0}). The\n\
         share of it counts the products of the matrices, once forward and twice back, and those of the mixers' kernels.\n\n",
        command("compare"),
        processor(),
        rayon::current_num_threads(),
        std::env::consts::OS,
        2e-9 * limit,
        2e-9 * ours,
    );
    for sizes in SIZES {
        page += &table(sizes, rows.iter().filter(|row| row.sizes == sizes), limit);
    }
    let again = rows.iter().filter(|row| row.sizes == CHECKPOINTED);
    Ok(page + &checkpointed(again, rounds, runs)?)
}

/// The same steps where activations are made again in the backward pass, as far as Burn knows how.
fn checkpointed<'a>(
    rows: impl Iterator<Item = &'a Row>,
    rounds: usize,
    runs: usize,
) -> Result<String, String> {
    let Sizes { width, layers, .. } = CHECKPOINTED;
    let mut page = format!(
        "## Gradient checkpointing, width {width}, {layers} layers\n\n\
         The models above on a device with Burn's `gradient_checkpointing`, which makes element-wise activations again in the backward\n\
         pass; what our kernels keep for theirs stays.\n\n\
         | layer | tokens/s | memory | time against without | memory against without |\n|---|--:|--:|--:|--:|\n"
    );
    for Row { contestant, ours, .. } in rows {
        eprintln!("measuring {} with gradient checkpointing", contestant.title);
        let measured = (0..rounds).map(|_| measure(contestant, CHECKPOINTED, true, runs));
        let measured = measured.reduce(|a, b| Ok(a?.or(b?))).expect("there are rounds")?;
        let peaks = measured.peak.zip(ours.peak).map_or([const { String::new() }; 2], |(again, once)| {
            [format!("{:.0} MB", 1e-6 * again), format!("{:.2} x", again / once)]
        });
        page += &format!(
            "| {} | {:.1} k | {} | {:.2} x | {} |\n",
            contestant.title,
            1e-3 * CHECKPOINTED.tokens() as f64 / measured.seconds,
            peaks[0],
            measured.seconds / ours.seconds,
            peaks[1],
        );
    }
    Ok(page + "\n")
}

fn ask_peer(
    python: &Path,
    contestant: &Contestant,
    sizes: Sizes,
    runs: usize,
    peers: &mut Peers,
) -> Result<Measured, String> {
    let arguments = ["--model", contestant.flag, "--shape", &sizes.for_peer()];
    let data = ask(python, "models_cpu.py", &arguments, runs)?;
    peers.version = data["torch"].as_str().map(str::to_string);
    peers.product = peers.product.max(number(&data, "product")?);
    Ok(Measured { seconds: number(&data, "seconds")?, peak: Some(number(&data, "peak")?) })
}

fn table<'a>(sizes: Sizes, rows: impl Iterator<Item = &'a Row>, limit: f64) -> String {
    let Sizes { width, layers, batch, time, .. } = sizes;
    let mut page = format!(
        "## Width {width}, {layers} layers, batch {batch} x {time} tokens\n\n\
         | layer | tokens/s | share of limit | memory | PyTorch, tokens/s | its memory | against PyTorch |\n\
         |---|--:|--:|--:|--:|--:|--:|\n"
    );
    for Row { contestant, ours, peer, .. } in rows {
        let speed = |measured: &Measured| format!("{:.1} k", 1e-3 * sizes.tokens() as f64 / measured.seconds);
        let memory = |measured: &Measured| {
            measured.peak.map_or(String::new(), |peak| format!("{:.0} MB", 1e-6 * peak))
        };
        let share = contestant.products(sizes) * sizes.tokens() as f64 / ours.seconds / limit;
        let theirs = peer.as_ref().map_or([const { String::new() }; 3], |peer| {
            [speed(peer), memory(peer), format!("{:.2} x", peer.seconds / ours.seconds)]
        });
        page += &format!(
            "| {} | {} | {:.0} % | {} | {} |\n",
            contestant.title,
            speed(ours),
            100.0 * share,
            memory(ours),
            theirs.join(" | ")
        );
    }
    page + "\n"
}
