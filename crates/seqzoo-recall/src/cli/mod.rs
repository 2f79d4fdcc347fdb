//! The command line (minimal for now).
use crate::{experiment::*, machine::Machine, progress::Reporter, results::*};
/// x
pub fn probe() {
    let mut e = tier("quick").unwrap();
    if let Ok(only) = std::env::var("ONLY") {
        e.contestants.retain(|c| c.name.contains(&only));
    }
    if let Ok(lr) = std::env::var("LR") {
        e.learning_rates = vec![lr.parse().unwrap()];
    }
    let (name, device) = crate::device::find(None).unwrap();
    let dir = std::path::PathBuf::from(std::env::var("OUT").unwrap_or("/tmp/q".into()));
    let store = Store::create(&dir, &e, true).unwrap();
    for run in runs(&e) {
        let r = crate::train::train(
            &run,
            &store.run(&run).unwrap(),
            &device,
            &Machine::here(&name, 2),
            &Reporter::new(),
        )
        .unwrap();
        eprintln!(
            "{} {:?} tok/s {} wall {} step {}us state {:?}",
            r.contestant,
            r.accuracy,
            r.training_tokens_per_second,
            r.wall_seconds,
            r.step_microseconds,
            r.state
        );
    }
}
