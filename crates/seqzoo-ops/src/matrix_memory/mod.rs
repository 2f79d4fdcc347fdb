//! The common ground of operators whose state is a matrix per head, in all of their forms.
//!
//! A token writes its key with its value into the memory, which may decay, and reads it with its query. Linear
//! attention writes the value itself; the delta rule first reads the memory with the key, to know what to correct.

pub(crate) mod chunked;
pub(crate) mod decay;
pub(crate) mod kernel;
pub(crate) mod problem;
