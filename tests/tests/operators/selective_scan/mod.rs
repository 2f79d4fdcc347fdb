//! The selective scan: golden vectors.

mod golden;
