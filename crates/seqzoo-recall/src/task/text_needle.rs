//! A needle in written text.

use super::grid::{Grid, NeedleTests};
use super::hidden::{Counts, Hidden, Needles, one};
use super::law::Law;
use super::text::{self, BYTES, Hay, NAME, NAMES, Names, SEPARATOR, TextHaystack, ValueKind};
use super::{Coordinates, Draws, Example, LengthSegment, Slice, Split};
use crate::error::ensure;
use serde::{Deserialize, Serialize};

/// RULER's needles: keys and their values in sentences that lie somewhere in text, asked for at the end. A token is a
/// byte.
///
/// ```text
/// A special magic number is hidden within the following text. Make sure to memorize it. I will quiz you about the …
/// The old miller sold a map of the coast. One of the special magic numbers for brave-otter is: 5093184. Before …
/// What is the special magic number for brave-otter mentioned in the provided text? The special magic number for
/// brave-otter mentioned in the provided text is 5093184.
/// ```
///
/// Keys are an adjective and a noun. No key comes twice in an example, and no value is a key. The answer holds the
/// values of the keys asked for, in the order of the question, those of one key in the order of the text, joined as in
/// ` 1, 2, and 3.`: with the full stop, so that the beginning of a value is not taken for the value. An example counts
/// as right only if all bytes of the answer are (exact match), and its input ends before the last of them.
///
/// The input has exactly the bytes of its segment's length: the haystack takes what prompt, needles and question leave,
/// which is the same for all examples of a segment, and its last sentence is cut. Needles lie between its sentences.
/// Where one needle is asked for, tests place it where the sentence begins that is nearest to the depth, counted in
/// bytes of the haystack. All other needles lie before any sentence or at the end, each as likely.
///
/// The tasks of RULER are settings: S1 (`noise`, `numbers`), S2 (`essay`, `numbers`), S3 (`essay`, `uuids`), MK-1
/// (`essay`, `needles = 4`), MK-2 (`needles`, `numbers`), MV (`essay`, `values = 4`), MQ (`essay`, `needles = 4`,
/// `queries = 4`).
///
/// Unlike RULER's, needles come in a fresh order in every example (there always in the same), lie between any two
/// sentences of the noise (there between lines of five), and no length has to be searched for. Word lists and
/// essays are small ones of our own.
///
/// Source: Hsieh et al. 2024, <https://arxiv.org/abs/2404.06654> (sec. 3, app. B), and the text of its code
/// (`scripts/data/synthetic/niah.py`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextNeedle {
    /// What surrounds the needles.
    pub haystack: TextHaystack,
    /// What they say.
    pub value_kind: ValueKind,
    /// How many keys are hidden, those of a haystack of needles not counted.
    #[serde(default = "one")]
    pub needles: usize,
    /// How many values every key has, each in a needle of its own.
    #[serde(default = "one")]
    pub values: usize,
    /// How many of the keys are asked for, in one question.
    #[serde(default = "one")]
    pub queries: usize,
    /// The training segments. Lengths hold the question.
    pub train: Vec<LengthSegment>,
    /// The test segments.
    pub test: NeedleTests,
}

impl TextNeedle {
    fn grid(&self) -> Grid<'_> {
        Grid { train: &self.train, test: &self.test }
    }

    fn counts(&self) -> Counts {
        Counts { needles: self.needles, values: self.values, queries: self.queries }
    }

    /// The kind of value, its verb and its article as the question needs them.
    fn words(&self) -> (&'static str, &'static str, &'static str) {
        match self.counts().asks_one() {
            true => (self.value_kind.singular(), "is", "A"),
            false => (self.value_kind.plural(), "are", "Some"),
        }
    }

    fn prompt(&self) -> String {
        let (noun, verb, article) = self.words();
        format!(
            "{article} special magic {noun} {verb} hidden within the following text. Make sure to memorize it. I will quiz \
             you about the {noun} afterwards.\n"
        )
    }

    fn needle_opening(&self) -> String {
        format!("One of the special magic {} for ", self.value_kind.plural())
    }

    fn needle(&self, key: &str, value: &str) -> String {
        format!("{}{key} is: {value}.", self.needle_opening())
    }

    fn question(&self, keys: &str) -> String {
        let (noun, verb, _) = self.words();
        let all = if self.counts().asks_one() { "" } else { " all" };
        format!(
            "What {verb}{all} the special magic {noun} for {keys} mentioned in the provided text? The special magic \
             {noun} for {keys} mentioned in the provided text {verb}"
        )
    }

    fn answer(values: &str) -> String {
        format!(" {values}.")
    }

    /// The bytes of a needle and of what separates it from the text.
    fn needle_length(&self) -> usize {
        self.needle("", "").len() + NAME + self.value_kind.length() + SEPARATOR
    }

    /// The bytes of an input without filler.
    fn least_length(&self) -> usize {
        let needles = self.counts().all().saturating_mul(self.needle_length());
        let keys = text::list_length(self.queries, NAME);
        let values = text::list_length(self.queries.saturating_mul(self.values), self.value_kind.length());
        let fixed = self.prompt().len() + self.question("").len() + Self::answer("").len() - 1;
        [needles, keys, keys, values].into_iter().fold(fixed, usize::saturating_add)
    }

    /// The needles in the haystack itself, the last one cut, in an input of `length` bytes.
    fn distractors(&self, length: usize) -> usize {
        match self.haystack {
            TextHaystack::Needles => {
                length.saturating_sub(self.least_length()).div_ceil(self.needle_length())
            }
            TextHaystack::Noise | TextHaystack::Essay => 0,
        }
    }

    /// The names in an input of `length` bytes: keys, and values that are words.
    fn names(&self, length: usize) -> usize {
        let (keys, distractors) = (self.needles, self.distractors(length));
        let values = match self.value_kind {
            ValueKind::Words => keys.saturating_mul(self.values).saturating_add(distractors),
            ValueKind::Numbers | ValueKind::Uuids => 0,
        };
        keys.saturating_add(distractors).saturating_add(values)
    }

    /// Keys with their values: those of the first key, of the second, and so on.
    fn pairs(&self, draws: &mut Draws, names: &mut Names) -> Vec<(String, String)> {
        let mut pairs = Vec::with_capacity(self.counts().all());
        for _ in 0..self.needles {
            let key = names.take();
            for _ in 0..self.values {
                pairs.push((key.clone(), self.value_kind.draw(draws, names)));
            }
        }
        pairs
    }

    fn hay(&self, draws: &mut Draws, names: &mut Names, length: usize) -> Hay {
        match self.haystack {
            TextHaystack::Noise => Hay::new(text::grass_sentences(), length),
            TextHaystack::Essay => Hay::new(text::essay(draws), length),
            TextHaystack::Needles => {
                let needle = || {
                    let (key, value) = (names.take(), self.value_kind.draw(draws, names));
                    self.needle(&key, &value) + "\n"
                };
                Hay::new(std::iter::repeat_with(needle), length)
            }
        }
    }
}

impl Law for TextNeedle {
    fn vocabulary(&self) -> usize {
        BYTES
    }

    fn segments(&self, split: Split) -> Vec<(Slice, usize)> {
        self.grid().segments(split)
    }

    fn example(&self, at: Coordinates) -> Example {
        let Slice { length, depth, .. } = self.grid().slice(at.split, at.segment as usize);
        let mut draws = Draws::new(at);
        let mut names = Names::draw(&mut draws, self.names(length));
        let pairs = self.pairs(&mut draws, &mut names);
        let hay = self.hay(&mut draws, &mut names, length - self.least_length());

        let hidden = pairs.into_iter().enumerate().map(|(index, (key, value))| {
            let anywhere = draws.below(hay.places());
            let depth = depth.filter(|_| index == 0);
            Hidden { key, value, place: depth.map_or(anywhere, |depth| hay.nearest(depth)) }
        });
        let needles = Needles::new(hidden.collect(), &mut draws);
        let sentences =
            needles.in_order().map(|Hidden { key, value, place }| (*place, self.needle(key, value)));
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        for (key, its) in needles.asked(self.counts()) {
            keys.push(key.as_str());
            values.extend(its.into_iter().map(String::as_str));
        }

        let text = self.prompt() + &hay.hiding(sentences);
        let prompt = format!("{text}{}", self.question(&text::list(&keys)));
        text::example(&prompt, text.len(), &Self::answer(&text::list(&values)))
    }

    fn whole(&self) -> bool {
        true
    }

    fn chance(&self, slice: Slice) -> Vec<(&'static str, f64)> {
        let asked = (self.queries * self.values) as i32;
        let any = ("guessing any value", self.value_kind.count().powi(-asked));
        // Needles of the haystack have one value.
        let rivals = if self.values == 1 { self.distractors(slice.length) } else { 0 };
        [any].into_iter().chain(self.counts().chance(rivals)).collect()
    }

    /// The text, long filler as a count of bytes; so are the needles of a haystack of needles.
    fn picture(&self, example: &Example) -> String {
        let opening = self.needle_opening();
        text::picture(example, |text, question| {
            let starts = text.match_indices(&opening).filter(|(start, _)| {
                let key = text[start + opening.len()..].split(' ').next();
                self.haystack != TextHaystack::Needles || key.is_some_and(|key| question.contains(key))
            });
            let end = |start| text[start..].find(['.', '\n']).map_or(text.len(), |length| start + length + 1);
            starts.map(|(start, _)| start..end(start)).collect()
        })
    }

    fn check(&self) -> Result<(), String> {
        self.counts().check()?;
        self.grid().check(self.counts().asks_one(), self.least_length(), "bytes")?;
        for length in self.grid().lengths() {
            let names = self.names(length);
            ensure!(
                names <= NAMES,
                "a segment has length {length}, for which {names} different names are wanted, but there are only {NAMES}"
            );
        }
        Ok(())
    }
}
