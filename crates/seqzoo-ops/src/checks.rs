//! Argument checks: every message is a sentence with the argument, the shape found and the one wanted.

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
