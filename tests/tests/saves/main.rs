//! What is saved is whole: whatever ends a save, and whoever else reads and writes.

mod files;
mod interrupted;
mod kinds;
mod shared;
mod training;
