//! What surrounds a needle.

use super::{Coordinates, Draws, Split};
use serde::{Deserialize, Serialize};

/// The tokens of the cycle.
const CYCLE: usize = 8;
/// The symbols of the chain.
const CHAIN: usize = 32;
/// How many symbols may follow each, the next half as often as the one before.
const SUCCESSORS: usize = 4;

/// What surrounds a needle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Haystack {
    /// Eight tokens, again and again: nothing in it is worth keeping.
    Cycle,
    /// Text-like: a fixed Markov chain of 32 symbols. Each is followed by one of four, with the probabilities 8,
    /// 4, 2 and 1 in 15.
    Chain,
}

impl Haystack {
    /// The size of its alphabet.
    pub(super) fn symbols(self) -> usize {
        match self {
            Self::Cycle => CYCLE,
            Self::Chain => CHAIN,
        }
    }

    /// Its symbols, without end.
    pub(super) fn filler<'a>(self, draws: &'a mut Draws) -> Box<dyn Iterator<Item = u32> + 'a> {
        match self {
            Self::Cycle => Box::new((0..CYCLE as u32).cycle()),
            Self::Chain => {
                let chain = chain();
                let mut symbol = draws.below(CHAIN);
                Box::new(std::iter::from_fn(move || {
                    let said = symbol;
                    let die = draws.below(15);
                    let which = [8, 12, 14].iter().filter(|bound| die >= **bound).count();
                    symbol = chain[symbol][which];
                    Some(said as u32)
                }))
            }
        }
    }
}

/// The successors of every symbol of the chain, the most frequent first: the same in all examples.
fn chain() -> [[usize; SUCCESSORS]; CHAIN] {
    std::array::from_fn(|symbol| {
        let at = Coordinates { seed: 0, split: Split::Train, segment: symbol as u64, index: u64::MAX };
        let successors = Draws::new(at).distinct(SUCCESSORS, CHAIN);
        std::array::from_fn(|rank| successors[rank])
    })
}
