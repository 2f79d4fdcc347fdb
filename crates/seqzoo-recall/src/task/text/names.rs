//! Names to remember: an adjective and a noun.

use crate::task::Draws;

const ADJECTIVES: [&str; 64] = [
    "agile", "alert", "ample", "azure", "basic", "blunt", "brave", "brief", "brisk", "broad", "brown",
    "cheap", "civic", "clean", "clear", "close", "crisp", "curly", "daily", "dense", "dizzy", "dusty",
    "eager", "early", "empty", "equal", "exact", "faint", "fancy", "fresh", "funny", "giant", "grand",
    "great", "gusty", "handy", "happy", "harsh", "heavy", "humid", "ideal", "jolly", "large", "light",
    "local", "loyal", "lucky", "merry", "misty", "noble", "noisy", "plain", "plush", "proud", "quick",
    "quiet", "rapid", "ready", "royal", "rusty", "salty", "sharp", "shiny", "silky",
];

const NOUNS: [&str; 64] = [
    "acorn", "anvil", "apron", "arrow", "badge", "basin", "beach", "bench", "berry", "bison", "board",
    "brick", "brush", "cabin", "camel", "canal", "candy", "canoe", "cedar", "chair", "chalk", "cliff",
    "clock", "cloud", "clove", "crane", "creek", "crown", "daisy", "eagle", "easel", "ferry", "field",
    "flute", "frost", "gecko", "glove", "goose", "grape", "heron", "hotel", "house", "koala", "ladle",
    "lemon", "lilac", "llama", "maple", "medal", "melon", "motor", "otter", "panda", "paper", "pearl",
    "piano", "plate", "queen", "robin", "salad", "shelf", "spoon", "tiger", "whale",
];

/// How many names there are.
pub(in crate::task) const NAMES: usize = ADJECTIVES.len() * NOUNS.len();

/// The bytes of a name: all are equally long, so that every length is known before a name is drawn.
pub(in crate::task) const NAME: usize = 11;

/// Names of one example, none of which comes twice.
pub(in crate::task) struct Names(std::vec::IntoIter<usize>);

impl Names {
    /// `count` of them, in random order.
    pub(in crate::task) fn draw(draws: &mut Draws, count: usize) -> Self {
        Self(draws.distinct(count, NAMES).into_iter())
    }

    /// The next one.
    pub(in crate::task) fn take(&mut self) -> String {
        let index = self.0.next().expect("as many names are drawn as are taken");
        format!("{}-{}", ADJECTIVES[index / NOUNS.len()], NOUNS[index % NOUNS.len()])
    }
}
