//! Bytes without a meaning, and valid files with bytes flipped, cut, inserted and spliced.

use proptest::prelude::*;
use proptest::sample::Index;

/// Bytes without a meaning.
pub fn random() -> impl Strategy<Value = Vec<u8>> {
    let likely = prop::sample::select(b"{}[]\":,0129.-eE \n\\utrfalsn=#\x00\xff\x80".to_vec());
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        prop::collection::vec(likely, 0..300),
        (0usize..100_000, prop::sample::select(b"[{\"-(\\".to_vec()))
            .prop_map(|(depth, open)| vec![open; depth]),
    ]
}

#[derive(Clone, Debug)]
enum Damage {
    Flip(Index, u8),
    Cut(Index),
    Remove(Index, usize),
    Insert(Index, Vec<u8>),
    Repeat(Index, usize),
    Splice(Index, Index, Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        4 => (any::<Index>(), 1u8..).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        1 => any::<Index>().prop_map(Damage::Cut),
        1 => (any::<Index>(), 1usize..40).prop_map(|(at, count)| Damage::Remove(at, count)),
        2 => (any::<Index>(), prop::collection::vec(any::<u8>(), 1..9)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        1 => (any::<Index>(), 1usize..200).prop_map(|(at, count)| Damage::Repeat(at, count)),
        1 => (any::<Index>(), any::<Index>(), any::<Index>())
            .prop_map(|(at, other, from)| Damage::Splice(at, other, from)),
    ]
}

/// `valid` with damage; `others` are what may be spliced in.
pub fn damaged(valid: Vec<u8>, others: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(damage(), 1..4).prop_map(move |all| {
        let mut bytes = valid.clone();
        for damage in all {
            apply(&mut bytes, damage, &others);
        }
        bytes
    })
}

fn apply(bytes: &mut Vec<u8>, damage: Damage, others: &[Vec<u8>]) {
    // Half of the positions are near the front, where headers are.
    let place = |at: Index, count: usize| {
        let near = at.index(2 * count.max(1));
        if near < count { near } else { (near - count) % count.clamp(1, 400) }
    };
    let length = bytes.len();
    match damage {
        Damage::Flip(at, bits) if length > 0 => bytes[place(at, length)] ^= bits,
        Damage::Flip(..) => {}
        Damage::Cut(at) => bytes.truncate(place(at, length)),
        Damage::Remove(at, count) => {
            let at = place(at, length);
            bytes.drain(at..length.min(at + count));
        }
        Damage::Insert(at, new) => {
            let at = place(at, length);
            bytes.splice(at..at, new);
        }
        Damage::Repeat(at, count) => {
            let at = place(at, length);
            let again = bytes[at..length.min(at + count)].to_vec();
            bytes.splice(at..at, again);
        }
        Damage::Splice(at, other, from) => {
            let other = &others[other.index(others.len())];
            bytes.truncate(place(at, length));
            bytes.extend_from_slice(&other[from.index(other.len() + 1)..]);
        }
    }
}
