//! A text as bytes: training batches, and every tenth block of it held out.

use burn::tensor::{Device, Int, Tensor, TensorData};
use seqzoo::training::Random;
use std::path::Path;

/// The repository's own documents.
const DOCUMENTS: &[&str] = &[
    include_str!("../../README.md"),
    include_str!("../../CONTRIBUTING.md"),
    include_str!("../../docs/src/introduction.md"),
    include_str!("../../docs/src/sequence_mixers.md"),
    include_str!("../../docs/src/contract.md"),
    include_str!("../../docs/src/models.md"),
    include_str!("../../docs/src/linear_attention.md"),
    include_str!("../../docs/src/recall.md"),
    include_str!("../../crates/seqzoo-ops/src/linear_attention/README.md"),
    include_str!("../../LICENSE-APACHE"),
];

/// Bytes to learn from and bytes to be scored on.
pub struct Text {
    train: Vec<u8>,
    held_out: Vec<u8>,
}

impl Text {
    /// Reads `path`, or this repository's documents.
    pub fn read(path: Option<&Path>, length: usize) -> Result<Self, String> {
        let bytes = match path {
            Some(path) => std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?,
            None => DOCUMENTS.join("\n").into_bytes(),
        };
        if bytes.len() < 20 * (length + 1) {
            return Err(format!(
                "the text has {} bytes, but at least {} are wanted for sequences of {length}; \
                 give a longer text or a smaller --length",
                bytes.len(),
                20 * (length + 1)
            ));
        }
        // Whole blocks are held out all over the text, so that both parts are of a kind.
        let (mut train, mut held_out) = (Vec::new(), Vec::new());
        for (index, block) in bytes.chunks(2 * (length + 1)).enumerate() {
            if index % 10 == 9 { held_out.extend(block) } else { train.extend(block) }
        }
        Ok(Self { train, held_out })
    }

    /// All bytes.
    pub fn len(&self) -> usize {
        self.train.len() + self.held_out.len()
    }

    /// The entropy of the held-out bytes under their own frequencies, in bits per byte: the least
    /// that a model without memory can reach.
    pub fn unigram_entropy(&self) -> f64 {
        let mut counts = [0usize; 256];
        for byte in &self.held_out {
            counts[usize::from(*byte)] += 1;
        }
        let total = self.held_out.len() as f64;
        let shares = counts.iter().filter(|count| **count > 0).map(|count| *count as f64 / total);
        shares.map(|share| -share * share.log2()).sum()
    }

    /// `batch` sequences from random places, and the bytes that follow each of theirs.
    pub fn batch(
        &self,
        random: &mut Random,
        batch: usize,
        length: usize,
        device: &Device,
    ) -> (Tensor<2, Int>, Tensor<2, Int>) {
        let rows = (0..batch).map(|_| random.below(self.train.len() - length));
        let rows: Vec<&[u8]> = rows.map(|start| &self.train[start..start + length + 1]).collect();
        pair(&rows, device)
    }

    /// The held-out text in order, in pieces of `length`.
    pub fn held_out(&self, length: usize, device: &Device) -> Vec<(Tensor<2, Int>, Tensor<2, Int>)> {
        let starts = (0..self.held_out.len() - 1).step_by(length);
        starts
            .map(|start| {
                let end = self.held_out.len().min(start + length + 1);
                pair(&[&self.held_out[start..end]], device)
            })
            .collect()
    }
}

/// All bytes but the last, and all but the first.
fn pair(rows: &[&[u8]], device: &Device) -> (Tensor<2, Int>, Tensor<2, Int>) {
    let time = rows[0].len() - 1;
    let part = |from: usize| {
        let values: Vec<i64> =
            rows.iter().flat_map(|row| row[from..from + time].iter().map(|byte| i64::from(*byte))).collect();
        Tensor::from_data(TensorData::new(values, [rows.len(), time]), device)
    };
    (part(0), part(1))
}
