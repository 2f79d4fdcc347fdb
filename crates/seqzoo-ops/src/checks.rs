//! Argument checks: every message is a sentence with the argument, the shape found and the one wanted.

use crate::segments::Segments;
use burn::tensor::{Bool, Tensor};

/// Panics unless tokens that a memory stores and reads fit each other: `query` and `key` `[B, T, HK, K]`, `value`
/// `[B, T, H, V]`, `HK` dividing `H`, `resets` `[B, T]`, and none of time, heads and channels 0.
#[track_caller]
pub fn stored_tokens(
    query: &Tensor<4>,
    key: &Tensor<4>,
    value: &Tensor<4>,
    resets: Option<&Tensor<2, Bool>>,
) {
    let [batch, time, key_heads, key_dim] = query.dims();
    let [_, _, heads, value_dim] = value.dims();
    not_empty("query", "time", time);
    not_empty("query", "channel", key_dim);
    not_empty("value", "head", heads);
    not_empty("value", "channel", value_dim);
    shape("key", &key.dims(), &[("B", batch), ("T", time), ("HK", key_heads), ("K", key_dim)]);
    shape("value", &value.dims(), &[("B", batch), ("T", time), ("H", heads), ("V", value_dim)]);
    divides("query", key_heads, "value", heads);
    if let Some(resets) = resets {
        shape("resets", &resets.dims(), &[("B", batch), ("T", time)]);
    }
}

/// The axis that the states of an operator have in front: `B`, or `N` where `segments` are given. Panics unless these are
/// segments of a batch of `batch` rows of `time` tokens.
#[track_caller]
pub fn sequences(batch: usize, time: usize, segments: Option<&Segments>) -> (&'static str, usize) {
    let Some(segments) = segments else { return ("B", batch) };
    segments.check(batch, time);
    ("N", segments.count())
}

/// Panics unless `found` is the shape given by `wanted`, a list of (axis name, extent).
#[track_caller]
pub fn shape(argument: &str, found: &[usize], wanted: &[(&str, usize)]) {
    if !fits(found, wanted) {
        let extents: Vec<usize> = wanted.iter().map(|(_, extent)| *extent).collect();
        let axes: Vec<&str> = wanted.iter().map(|(axis, _)| *axis).collect();
        panic!(
            "The argument `{argument}` has the shape {found:?}, but [{}] = {extents:?} is wanted.",
            axes.join(", ")
        );
    }
}

/// Whether `found` is the shape given by `wanted`.
pub fn fits(found: &[usize], wanted: &[(&str, usize)]) -> bool {
    found.iter().eq(wanted.iter().map(|(_, extent)| extent))
}

/// Panics unless `found`, the extent of an axis of `argument`, is at least one.
#[track_caller]
pub fn not_empty(argument: &str, axis: &str, found: usize) {
    assert!(
        found > 0,
        "The argument `{argument}` has no elements on its {axis} axis (extent 0), but at least 1 is wanted."
    );
}

/// Panics unless `found`, the channels of `argument`, are as many as wanted.
#[track_caller]
pub fn channels(argument: &str, found: usize, wanted: usize) {
    assert!(
        found == wanted,
        "The argument `{argument}` has {found} channels on its last axis, but {wanted} are wanted."
    );
}

/// Panics unless `grouped` heads divide `heads`.
#[track_caller]
pub fn divides(argument: &str, grouped: usize, of: &str, heads: usize) {
    assert!(
        grouped > 0 && heads.is_multiple_of(grouped),
        "The argument `{argument}` has {grouped} heads, which do not divide the {heads} heads of `{of}`; \
         grouped heads share a memory only in equal groups."
    );
}
