//! Shares of an experiment's runs, for several machines.

use super::Unit;
use std::collections::BTreeSet;
use std::fmt::{Display, Formatter};
use std::str::FromStr;

/// More shares are taken for a mistake.
const MAX_SHARDS: usize = 1 << 16;

/// One of so many shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: usize,
    count: usize,
}

impl Shard {
    /// The units of this share. They are dealt in the order of their keys, which are hashes: shares differ by one at
    /// most, mix light and heavy contestants, and are the same on every machine.
    pub fn of(self, units: Vec<Unit>) -> Vec<Unit> {
        let keys: BTreeSet<String> = units.iter().map(Unit::key).collect();
        let dealt = keys.into_iter().skip(self.index - 1).step_by(self.count);
        let mine: BTreeSet<String> = dealt.collect();
        units.into_iter().filter(|unit| mine.contains(&unit.key())).collect()
    }
}

impl Display for Shard {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers =
            text.split_once('/').and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        match numbers {
            Some((index, count)) if (1..=count).contains(&index) && count <= MAX_SHARDS => {
                Ok(Self { index, count })
            }
            _ => Err(format!("a share such as 3/16 is wanted, from 1 on and of at most {MAX_SHARDS}")),
        }
    }
}
