//! What the tasks of written text share: a token is a byte.

mod bytes;
mod essay;
mod grass;
mod hay;
mod haystack;
mod list;
mod names;
mod picture;
mod value;

pub(super) use bytes::{BYTES, example};
pub(super) use essay::essay;
pub(super) use grass::{grass, grass_sentences};
pub(super) use hay::{Hay, SEPARATOR};
pub use haystack::TextHaystack;
pub(super) use list::{list, list_length};
pub(super) use names::{NAME, NAMES, Names};
pub(super) use picture::picture;
pub use value::ValueKind;
