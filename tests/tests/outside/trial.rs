//! Many documents, read one after another in a process of their own.

use crate::allocations::Allocated;
use crate::documents::Document;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Set in the process that reads: the directory of its documents.
const CHILD: &str = "SEQZOO_FUZZ_DIRECTORY";
const SECONDS: &str = "SEQZOO_FUZZ_SECONDS";

/// What reading may take beyond the file: buffers, and a small layer's parameters.
const CONSTANT: usize = 8 << 20;
/// A parsed text takes more bytes than the text: a list of `0,` becomes values of tens of bytes, and lists grow by doubling.
const PARSED: usize = 64;

/// The error of a file that is refused.
pub type Refusal = String;

/// Reads documents of `documents` by `read` until the time is over. `read` returns the sentence of the error, or what it
/// read; the latter goes to `using`, which must not panic either.
///
/// # Panics
///
/// With the document, if one of them makes the process panic, die or hang, allocates more than it may, or is refused
/// without a sentence.
#[track_caller]
pub fn any_document_is_read_or_refused<T>(
    documents: BoxedStrategy<Document>,
    read: impl Fn(&Path, usize) -> Result<T, Refusal>,
    using: impl Fn(T),
) {
    match std::env::var_os(CHILD) {
        None => supervise(),
        Some(directory) => explore(Path::new(&directory), documents, read, using),
    }
}

fn budget() -> Duration {
    let seconds = std::env::var(SECONDS).ok().map(|text| text.parse().expect("a number of seconds"));
    Duration::from_secs_f64(seconds.unwrap_or(2.0))
}

/// Runs the test that calls this in another process, which may die.
#[track_caller]
fn supervise() {
    let directory = tempfile::tempdir().unwrap();
    let thread = std::thread::current();
    let name = thread.name().expect("a test has its name");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, directory.path())
        .env("RUST_BACKTRACE", "0")
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(directory.path().join("said")).unwrap())
        .spawn()
        .unwrap();
    let end = Instant::now() + budget() * 4 + Duration::from_secs(60);
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break Some(status),
            None if Instant::now() > end => {
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    if status.is_some_and(|status| status.success()) {
        return;
    }
    let read = |name: &str| {
        String::from_utf8_lossy(&std::fs::read(directory.path().join(name)).unwrap()).into_owned()
    };
    let said = read("said");
    match status {
        // A panic of the test has the document in its message.
        Some(status) if status.code().is_some() => panic!("{said}"),
        Some(status) => panic!("the process died ({status}) of\n{}\nand said\n{said}", read("document")),
        None => panic!("the process did not end; it was reading\n{}", read("document")),
    }
}

/// The first seed: the same documents come in every run, as far as the time allows, unless another one is given.
const SEED: &str = "SEQZOO_FUZZ_SEED";

/// A few documents, those of `round`: the time is looked at between them.
fn runner(round: u64) -> TestRunner {
    let cases = Config {
        cases: 16,
        failure_persistence: None,
        max_shrink_time: 20_000,
        max_shrink_iters: 4_000,
        ..Config::default()
    };
    let first: u64 = std::env::var(SEED).map_or(0, |text| text.parse().expect("a seed is a whole number"));
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&first.to_le_bytes());
    seed[8..16].copy_from_slice(&round.to_le_bytes());
    TestRunner::new_with_rng(cases, TestRng::from_seed(RngAlgorithm::ChaCha, &seed))
}

fn explore<T>(
    directory: &Path,
    documents: BoxedStrategy<Document>,
    read: impl Fn(&Path, usize) -> Result<T, Refusal>,
    using: impl Fn(T),
) {
    let files = directory.join("files");
    std::fs::create_dir(&files).unwrap();
    // What a panic of the library says is caught and repeated with the document.
    std::panic::set_hook(Box::new(|_| {}));
    let counts = [Cell::new(0), Cell::new(0)];
    let judge = |document: Document| {
        std::fs::write(directory.join("document"), format!("{document:?}")).unwrap();
        document.write(&files);
        let taken = judge(&files, &document, &read, &using).map_err(TestCaseError::fail)?;
        counts[usize::from(taken)].update(|count: usize| count + 1);
        Ok(())
    };
    let end = Instant::now() + budget();
    for round in (0..).take_while(|_| Instant::now() < end) {
        if let Err(TestError::Fail(reason, document)) = runner(round).run(&documents, judge) {
            let _ = std::panic::take_hook();
            panic!("{reason}: {document:?}");
        }
    }
    let [refused, taken] = counts.map(Cell::into_inner);
    assert!(refused > 0, "all of {taken} documents were taken: they are not hostile");
    eprintln!("{refused} documents were refused, {taken} taken");
}

/// Whether `document` was taken, or what is wrong with how it was read.
fn judge<T>(
    files: &Path,
    document: &Document,
    read: impl Fn(&Path, usize) -> Result<T, Refusal>,
    using: impl Fn(T),
) -> Result<bool, String> {
    let before = Allocated::reset();
    let result = catch_unwind(AssertUnwindSafe(|| read(files, document.subject)));
    let Allocated { largest, peak } = Allocated::since(before);
    let result = result.map_err(|panic| format!("reading panics: {}", message(&*panic)))?;
    let most = PARSED * document.size() + CONSTANT;
    if largest > most || peak > 4 * most {
        return Err(format!("reading allocates {largest} bytes at once and {peak} in all"));
    }
    match result {
        Err(sentence) if sentence.trim().len() < 8 => Err(format!("it is refused by `{sentence}`")),
        Err(_) => Ok(false),
        Ok(value) => catch_unwind(AssertUnwindSafe(|| using(value)))
            .map(|()| true)
            .map_err(|panic| format!("it is taken, and panics when used: {}", message(&*panic))),
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or(panic.downcast_ref::<&str>().map(|text| text.to_string())).unwrap_or_default()
}
