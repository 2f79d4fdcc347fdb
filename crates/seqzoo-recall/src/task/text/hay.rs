//! Filler of an exact number of bytes, and where a needle may be put into it.

/// The bytes between two sentences.
pub(in crate::task) const SEPARATOR: usize = 1;

/// Filler.
pub(in crate::task) struct Hay {
    text: String,
    /// Where sentences begin, the end included.
    boundaries: Vec<usize>,
}

impl Hay {
    /// The first `length` bytes of `sentences`, each of which ends in its separator. The last sentence is cut to fit,
    /// and the last byte ends its line.
    pub(in crate::task) fn new(mut sentences: impl Iterator<Item = String>, length: usize) -> Self {
        let mut text = String::with_capacity(length);
        let mut boundaries = vec![0];
        while text.len() < length {
            let Some(sentence) = sentences.next() else { break };
            text += &sentence[..sentence.len().min(length - text.len())];
            boundaries.push(text.len());
        }
        if text.pop().is_some() {
            text.push('\n');
        }
        Self { text, boundaries }
    }

    /// How many places there are for a needle.
    pub(in crate::task) fn places(&self) -> usize {
        self.boundaries.len()
    }

    /// The place nearest to `depth` per cent of the bytes; of two that are equally near the first.
    pub(in crate::task) fn nearest(&self, depth: usize) -> usize {
        let distance = |place: &usize| (100 * self.boundaries[*place]).abs_diff(depth * self.text.len());
        (0..self.places()).min_by_key(distance).unwrap_or(0)
    }

    /// The filler with needles at these places, which do not fall. What separates a needle from the sentence before it
    /// also separates it from the one after it; at the start it ends a line.
    pub(in crate::task) fn hiding(&self, needles: impl Iterator<Item = (usize, String)>) -> String {
        let mut text = String::new();
        let mut laid = 0;
        for (place, needle) in needles {
            let offset = self.boundaries[place];
            text += &self.text[laid..offset];
            laid = offset;
            text += &needle;
            text.push(self.text[..offset].chars().next_back().unwrap_or('\n'));
        }
        text + &self.text[laid..]
    }
}
