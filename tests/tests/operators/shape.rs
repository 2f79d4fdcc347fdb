//! Extents of the cases.

pub struct Shape {
    pub batch: usize,
    pub time: usize,
    pub key_heads: usize,
    pub heads: usize,
    pub key: usize,
    pub value: usize,
}

/// The usual awkward shape: three sequences, four value heads on two key heads, K != V.
pub fn shape(time: usize) -> Shape {
    Shape { batch: 3, time, key_heads: 2, heads: 4, key: 5, value: 3 }
}
