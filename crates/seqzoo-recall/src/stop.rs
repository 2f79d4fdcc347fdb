//! Stopping on Ctrl-C: the step at hand is finished and a checkpoint written.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

static ASKED: AtomicBool = AtomicBool::new(false);

/// One keystroke can arrive twice: from the terminal and from a parent that passes it on.
const ECHO: Duration = Duration::from_secs(1);

/// Listens for Ctrl-C and termination. Another one after a second ends the program at once.
pub fn listen() {
    let mut first: Option<Instant> = None;
    // An error means that a handler is set already, which is as good.
    let _ = ctrlc::set_handler(move || {
        let first = *first.get_or_insert_with(Instant::now);
        if ASKED.swap(true, Ordering::SeqCst) && first.elapsed() > ECHO {
            std::process::exit(130);
        }
    });
}

/// Whether the user asked to stop.
pub fn asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}
