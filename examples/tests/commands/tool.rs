//! Running an example, and directories of models.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// What a command said.
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// The example of that name, not yet run.
pub fn example(name: &str) -> Command {
    let tests = std::env::current_exe().unwrap();
    let profile = tests.parent().and_then(Path::parent).unwrap();
    let program = profile.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(program.exists(), "{}: `cargo test --package seqzoo-examples` builds it", program.display());
    Command::new(program)
}

pub fn said(output: Output) -> Said {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// What `generate` says of a model.
pub fn generate<S: AsRef<OsStr>>(checkpoint: &Path, arguments: &[S]) -> Said {
    said(example("generate").arg("--checkpoint").arg(checkpoint).args(arguments).output().unwrap())
}

/// Its text, which it must give.
#[track_caller]
pub fn text<S: AsRef<OsStr>>(checkpoint: &Path, arguments: &[S]) -> String {
    let said = generate(checkpoint, arguments);
    assert_eq!(said.code, Some(0), "{}", said.err);
    said.out
}

/// The model of bytes that was trained here.
pub fn bytes() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/checkpoints/mamba2_bytes")
}

/// A model of 64 tokens that stand for nothing.
pub fn numbers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/16_model_mamba2_tiny")
}

/// A copy of the files of a model, to be changed.
pub fn copy(checkpoint: &Path) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(checkpoint.join(file), directory.path().join(file)).unwrap();
    }
    directory
}
