//! What comes from outside: any bytes are a value or an error with a sentence. They are never a panic, a death of the
//! process, or an allocation larger than the file (and a constant).
//!
//! Each kind of document is tried for `SEQZOO_FUZZ_SECONDS` (2 where the variable is not set), in a process of its own. The
//! documents are the same in every run, as far as the time allows; `SEQZOO_FUZZ_SEED` (0 where it is not set) gives others.

mod allocations;
mod configurations;
mod documents;
mod experiments;
mod hostile;
mod models;
mod published;
mod results;
mod states;
mod trial;

#[global_allocator]
static ALLOCATIONS: allocations::Counted = allocations::Counted;
