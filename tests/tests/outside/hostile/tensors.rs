//! Well-formed safetensors files that say absurd things.

use super::tree::{Syntax, changed};
use proptest::prelude::*;
use proptest::sample::Index;
use safetensors::{Dtype, SafeTensors, serialize, tensor::TensorView};
use serde_json::Value;
use std::collections::HashMap;

/// `valid` with a header that says something else, or with tensors of other types, shapes, names and numbers in a
/// file that is in itself sound.
pub fn tensors(valid: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![header(valid.clone()), sound(valid)]
}

/// The same data under a changed header; now and then with a length of the header that is not its own.
fn header(valid: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let length = u64::from_le_bytes(valid[..8].try_into().unwrap()) as usize;
    let tree: Value = serde_json::from_slice(&valid[8..8 + length]).unwrap();
    let data = valid[8 + length..].to_vec();
    let lengths = prop::sample::select(vec![0, 1, 99_999_999, 100_000_001, 1 << 40, u64::MAX - 7, u64::MAX]);
    (changed(tree, Syntax::Json), prop::option::weighted(0.1, lengths)).prop_map(move |(header, length)| {
        let length = length.unwrap_or(header.len() as u64);
        [&length.to_le_bytes()[..], &header, &data].concat()
    })
}

struct Entry {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

#[derive(Clone, Debug)]
enum Change {
    Retype(Dtype),
    Reshape(Vec<usize>),
    Rename(String),
    Remove,
    Fill(u8),
    Describe(&'static str, String),
}

fn change() -> impl Strategy<Value = Change> {
    let types =
        [Dtype::F64, Dtype::BF16, Dtype::F16, Dtype::U8, Dtype::BOOL, Dtype::I64, Dtype::I8, Dtype::F8_E4M3];
    let shapes = [
        vec![],
        vec![0],
        vec![1],
        vec![0, 1 << 60],
        vec![1 << 40, 0, 1 << 20],
        vec![2, 3],
        vec![1, 1, 1, 1],
        vec![3, 3, 16, 4],
        vec![1, 3, 16],
        vec![16, 16],
        vec![1; 70],
        vec![1; 300],
    ];
    let entries = ["format", "version", "layer", "numbers", "seqzoo"];
    let texts = [
        "",
        "1",
        "2",
        "{}",
        "{\"position\":0}",
        "{\"position\":18446744073709551615}",
        "{\"position\":-1}",
        "[[[[",
    ];
    prop_oneof![
        prop::sample::select(types.to_vec()).prop_map(Change::Retype),
        prop::sample::select(shapes.to_vec()).prop_map(Change::Reshape),
        prop::sample::select(vec!["memory", "keys", "x", "", "a\u{0}b", "position"])
            .prop_map(|name| Change::Rename(name.into())),
        Just(Change::Remove),
        any::<u8>().prop_map(Change::Fill),
        (prop::sample::select(entries.to_vec()), prop::sample::select(texts.to_vec()))
            .prop_map(|(name, text)| Change::Describe(name, text.into())),
    ]
}

/// A file that any reader of the format accepts.
fn sound(valid: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec((any::<Index>(), change()), 1..3).prop_map(move |changes| {
        let (_, header) = SafeTensors::read_metadata(&valid).unwrap();
        let mut metadata: HashMap<String, String> = header.metadata().clone().unwrap_or_default();
        let file = SafeTensors::deserialize(&valid).unwrap();
        let mut entries: Vec<Entry> = file
            .iter()
            .map(|(name, view)| Entry {
                name: name.into(),
                dtype: view.dtype(),
                shape: view.shape().to_vec(),
                bytes: view.data().to_vec(),
            })
            .collect();
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        for (at, change) in changes {
            apply(&mut entries, &mut metadata, at, change);
        }
        let views = entries.iter().map(|entry| {
            (entry.name.clone(), TensorView::new(entry.dtype, entry.shape.clone(), &entry.bytes).unwrap())
        });
        serialize(views, Some(metadata)).unwrap()
    })
}

fn apply(entries: &mut Vec<Entry>, metadata: &mut HashMap<String, String>, at: Index, change: Change) {
    if let Change::Describe(name, text) = change {
        metadata.insert(name.into(), text);
        return;
    }
    if entries.is_empty() {
        return;
    }
    let at = at.index(entries.len());
    // safetensors writes no two tensors of one name: it panics.
    if matches!(&change, Change::Rename(name) if entries.iter().any(|entry| entry.name == *name)) {
        return;
    }
    let entry = &mut entries[at];
    match change {
        Change::Retype(dtype) => entry.dtype = dtype,
        Change::Reshape(shape) => entry.shape = shape,
        Change::Rename(name) => entry.name = name,
        Change::Remove => drop(entries.remove(at)),
        Change::Fill(byte) => entry.bytes.fill(byte),
        Change::Describe(..) => unreachable!("described above"),
    }
    if let Some(entry) = entries.get_mut(at) {
        let count: usize = entry.shape.iter().product();
        entry.bytes.resize(count * entry.dtype.bitsize() / 8, 0);
    }
}
