//! Positions: how many tokens a state has seen.

/// The largest number that a state may hold. Up to it every integer is an `f64`, in which angles of positions are
/// computed, and survives any reader of JSON.
pub(crate) const MAX_NUMBER: u64 = 1 << 53;

/// `position` after `time` more tokens.
#[track_caller]
pub(crate) fn advanced(position: u64, time: usize) -> u64 {
    let next = position.saturating_add(time as u64);
    assert!(
        next <= MAX_NUMBER,
        "The argument `state` has the position {position}, but at most {MAX_NUMBER} tokens can be counted."
    );
    next
}
