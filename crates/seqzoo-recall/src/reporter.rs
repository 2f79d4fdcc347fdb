//! Progress: a bar on a terminal, plain lines elsewhere.

use crate::results::{SliceAccuracy, over_depths};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Write, stderr};

/// Tells the user what is happening, on the standard error stream.
#[derive(Clone, Debug)]
pub struct Reporter {
    bars: bool,
    /// The bars of the runs side by side.
    all: MultiProgress,
    /// `[2/7] ` in front of each line.
    prefix: String,
}

impl Reporter {
    /// Bars if the standard error stream is a terminal.
    pub fn new() -> Self {
        let bars = stderr().is_terminal();
        let target = if bars { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { bars, all: MultiProgress::with_draw_target(target), prefix: String::new() }
    }

    /// A reporter for the run `index` of `count`.
    pub fn of(&self, index: usize, count: usize) -> Self {
        Self { prefix: format!("[{}/{count}] ", index + 1), ..self.clone() }
    }

    /// A line of its own.
    pub fn say(&self, line: &str) {
        // Nothing is lost if the terminal is gone.
        let _ = self.all.suspend(|| writeln!(stderr(), "{}{line}", self.prefix));
    }

    /// The meter of one run of `total` steps, of which `done` are done.
    pub fn run(&self, title: &str, total: usize, done: usize) -> Meter {
        let title = format!("{}{title}", self.prefix);
        if !self.bars {
            let from = if done > 0 { format!(", continued from step {done}") } else { String::new() };
            let _ = writeln!(stderr(), "{title}: {total} steps{from}");
        }
        let bar = ProgressBar::new(total as u64)
            .with_style(
                ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} {msg} {eta}")
                    .expect("a valid template"),
            )
            .with_prefix(title.clone());
        let bar = self.all.add(bar);
        bar.set_position(done as u64);
        Meter { bar, title, bars: self.bars }
    }
}

/// The progress of one run.
pub struct Meter {
    bar: ProgressBar,
    title: String,
    bars: bool,
}

impl Meter {
    /// After a training step.
    pub fn step(&self, step: usize, loss: f64, tokens_per_second: f64) {
        self.bar.set_position(step as u64);
        self.bar.set_message(format!("loss {loss:.3}, {:.1}k tokens/s", tokens_per_second / 1e3));
    }

    /// After an evaluation.
    pub fn evaluated(&self, step: usize, loss: f64, slices: &[SliceAccuracy]) {
        if !self.bars {
            let slices: Vec<String> = over_depths(slices)
                .iter()
                .map(|entry| format!("{:.3} at {}", entry.accuracy, entry.slice))
                .collect();
            let _ = writeln!(
                stderr(),
                "{}: step {step}, loss {loss:.3}, accuracy {}",
                self.title,
                slices.join(", ")
            );
        }
    }

    /// The run is over.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
