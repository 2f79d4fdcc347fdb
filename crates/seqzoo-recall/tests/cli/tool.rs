//! Running the binary in a directory of its own.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// The checkpoint of a run, in its directory.
pub const CHECKPOINT: &str = "checkpoint/training.safetensors";

/// A directory with two small experiments in it: `small.toml` of recall, `states.toml` of state tracking.
pub struct Workplace {
    pub directory: TempDir,
}

/// What a command said.
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Two contestants, one of which can recall, in a second or two.
const EXPERIMENT: &str = r#"
name = "small-test"
seeds = [3]
learning_rates = [0.01]
task = { kind = "mqar", vocab_size = 32, filler = { reserved = 4 }, shuffle_queries = true, train = [{ length = 16, pairs = 2 }], test = [{ length = 16, pairs = 2, examples = 20 }, { length = 16, pairs = 4, examples = 20 }] }
model = { widths = [16] }

[training]
data = { fresh = { steps = STEPS } }
schedule = { warmup_cosine = { warmup = 0.1 } }
batch = { examples = 8 }
evaluate_every = 10
weight_decay = 0.01
decay = "matrices"
beta_2 = 0.98
clip_norm = 1.0

[[contestants]]
name = "gated"
layers = [{ kind = "base_conv" }, { kind = "gated_linear_attention", num_heads = 2, conv_size = 3 }]

[[contestants]]
name = "attention"
layers = [{ kind = "base_conv" }, { kind = "softmax_attention", num_heads = 2 }]

[[expectations]]
contestant = "gated"
at_least = 0.0

[[expectations]]
contestant = "attention"
at_least = 0.0
"#;

/// The task of `states.toml`, instead of the one above.
const STATES: &str = r#"
task = { kind = "state_tracking", group = "s3", generators = "swaps", train = [{ length = 16 }], test = [{ length = 16, examples = 20 }, { length = 32, examples = 20 }] }
"#;

impl Workplace {
    pub fn new(steps: usize) -> Self {
        let workplace = Self { directory: tempfile::tempdir().unwrap() };
        let text = EXPERIMENT.replace("STEPS", &steps.to_string());
        workplace.write("small.toml", &text);
        let task = text.lines().find(|line| line.starts_with("task")).unwrap();
        workplace.write("states.toml", &text.replace(task, STATES.trim()));
        workplace
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_recall"));
        command.args(arguments).current_dir(self.directory.path()).stdin(Stdio::null());
        command
    }

    pub fn recall(&self, arguments: &[&str]) -> Said {
        said(&mut self.command(arguments))
    }

    /// Runs the binary on a system whose files hold no more than `blocks` blocks of 512 bytes: a write beyond fails,
    /// as on a full disk.
    #[cfg(unix)]
    pub fn recall_with_files_of(&self, blocks: usize, arguments: &[&str]) -> Said {
        let limited = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        let mut command = Command::new("sh");
        command.args(["-c", &limited, env!("CARGO_BIN_EXE_recall")]).args(arguments);
        said(command.current_dir(self.directory.path()).stdin(Stdio::null()))
    }

    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Starts the binary, and gives the lines that it says on the way.
    pub fn start_and_listen(&self, arguments: &[&str]) -> (Child, impl Iterator<Item = String> + use<>) {
        let mut command = self.command(arguments);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        (child, lines.map_while(Result::ok))
    }

    /// The results in `results.jsonl` without times.
    pub fn results(&self, directory: &str) -> Vec<seqzoo_recall::results::RunResult> {
        self.read(&format!("{directory}/results.jsonl"))
            .lines()
            .map(|line| {
                serde_json::from_str::<seqzoo_recall::results::RunResult>(line).unwrap().reproducible()
            })
            .collect()
    }
}

fn said(command: &mut Command) -> Said {
    let output = command.output().unwrap();
    Said {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}
