//! Text-like filler: sentences of a small grammar. No digits and no hyphens, so that no value can stand in it.

use crate::task::Draws;

const WHO: [&str; 24] = [
    "the old miller",
    "a young clerk",
    "her neighbour",
    "the captain",
    "my grandmother",
    "the night watchman",
    "a travelling singer",
    "the school teacher",
    "our landlord",
    "a shy painter",
    "the new doctor",
    "his cousin",
    "the village baker",
    "a retired judge",
    "the gardener",
    "one of the sailors",
    "the librarian",
    "a tired farmer",
    "the youngest sister",
    "the clock maker",
    "a stranger",
    "the ferryman",
    "my first employer",
    "the innkeeper",
];

const DID: [&str; 20] = [
    "carried",
    "forgot",
    "painted",
    "repaired",
    "looked for",
    "wrote about",
    "sold",
    "cleaned",
    "described",
    "borrowed",
    "kept",
    "measured",
    "found",
    "admired",
    "gave away",
    "asked about",
    "remembered",
    "hid",
    "drew",
    "paid for",
];

const WHAT: [&str; 24] = [
    "a wooden box",
    "the broken lantern",
    "two loaves of bread",
    "an unfinished letter",
    "the heavy curtains",
    "a map of the coast",
    "the last apples",
    "some old coins",
    "a pair of boots",
    "the church bell",
    "a bundle of reeds",
    "the family portrait",
    "an empty bottle",
    "the red umbrella",
    "a basket of plums",
    "the second chapter",
    "a handful of seeds",
    "the silver spoon",
    "an honest answer",
    "the long ladder",
    "a jar of honey",
    "the travelling trunk",
    "a small debt",
    "the winter coats",
];

const WHERE: [&str; 16] = [
    "by the river",
    "at the market",
    "in the attic",
    "behind the station",
    "on the way home",
    "near the old bridge",
    "in the kitchen",
    "under the chestnut trees",
    "at the edge of town",
    "in a quiet street",
    "beside the well",
    "on the upper floor",
    "in front of the inn",
    "along the canal",
    "across the square",
    "in the reading room",
];

const WHEN: [&str; 16] = [
    "in the morning",
    "after the storm",
    "before supper",
    "late in the autumn",
    "every second day",
    "that winter",
    "at first",
    "some years later",
    "on market days",
    "once again",
    "as a child",
    "without a word",
    "for no clear reason",
    "toward evening",
    "in those days",
    "to our surprise",
];

/// Its sentences, without end, each with the space that follows it.
pub(in crate::task) fn essay(draws: &mut Draws) -> impl Iterator<Item = String> {
    std::iter::from_fn(move || Some(sentence(draws)))
}

fn sentence(draws: &mut Draws) -> String {
    let form = draws.below(4);
    let mut pick = |words: &[&'static str]| words[draws.below(words.len())];
    let clause = format!("{} {} {}", pick(&WHO), pick(&DID), pick(&WHAT));
    let text = match form {
        0 => format!("{clause} {}", pick(&WHERE)),
        1 => format!("{}, {clause}", pick(&WHEN)),
        2 => format!("{}, {clause} {}", pick(&WHEN), pick(&WHERE)),
        _ => format!("{clause}, and {} {} {}", pick(&WHO), pick(&DID), pick(&WHAT)),
    };
    let (first, rest) = text.split_at(1);
    format!("{}{rest}. ", first.to_ascii_uppercase())
}
