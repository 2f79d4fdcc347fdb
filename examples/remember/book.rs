//! Text in words: sentences about nothing (those of the pass key of landmark attention, in random order), and facts that
//! are asked for later.

use seqzoo::training::Random;
use std::collections::HashMap;
use std::sync::LazyLock;

/// What the text is about: nothing. The memory soon knows these, and is no longer surprised.
const SENTENCES: [&[&str]; 5] = [
    &["the", "grass", "is", "green", "."],
    &["the", "sky", "is", "blue", "."],
    &["the", "sun", "is", "yellow", "."],
    &["here", "we", "go", "."],
    &["there", "and", "back", "again", "."],
];
const NAMES: [&str; 16] = [
    "Anna", "Boris", "Clara", "David", "Edith", "Felix", "Greta", "Hugo", "Irene", "Jonas", "Karin", "Leo",
    "Maria", "Nils", "Olga", "Paul",
];
const CITIES: [&str; 16] = [
    "Athens", "Berlin", "Cairo", "Dakar", "Essen", "Florence", "Geneva", "Havana", "Istanbul", "Jena",
    "Kyoto", "Lima", "Madrid", "Nairobi", "Oslo", "Paris",
];
const OTHERS: [&str; 5] = ["lives", "in", "where", "does", "?"];

/// Somebody lives somewhere: their numbers in the lists.
#[derive(Clone, Copy, Debug)]
pub struct Fact {
    name: usize,
    city: usize,
}

/// A text with facts.
pub struct Text {
    /// The words, by their numbers in the vocabulary.
    pub words: Vec<u32>,
    /// The facts, and where their cities stand.
    pub facts: Vec<(Fact, usize)>,
}

/// All words.
pub static VOCABULARY: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let mut words = [&NAMES[..], &CITIES, &OTHERS].concat();
    for word in SENTENCES.concat() {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words
});

static NUMBERS: LazyLock<HashMap<&str, u32>> =
    LazyLock::new(|| VOCABULARY.iter().copied().zip(0..).collect());

/// The number of a word in the vocabulary.
fn number(word: &str) -> u32 {
    NUMBERS[word]
}

fn numbers(words: &[&str]) -> Vec<u32> {
    words.iter().map(|word| number(word)).collect()
}

impl Fact {
    /// `count` facts about different people in different cities.
    fn draw(count: usize, random: &mut Random) -> Vec<Self> {
        let [names, cities] = [NAMES.len(), CITIES.len()].map(|all| shuffled(all, random));
        names.into_iter().zip(cities).take(count).map(|(name, city)| Self { name, city }).collect()
    }

    pub fn name(self) -> &'static str {
        NAMES[self.name]
    }

    pub fn city(self) -> &'static str {
        CITIES[self.city]
    }

    fn sentence(self) -> Vec<u32> {
        numbers(&[self.name(), "lives", "in", self.city(), "."])
    }

    /// `where does Anna live`, in the words that there are.
    pub fn question(self) -> Vec<u32> {
        numbers(&["where", "does", self.name(), "?"])
    }

    pub fn answer(self) -> u32 {
        number(self.city())
    }
}

/// The numbers below `count` in random order.
fn shuffled(count: usize, random: &mut Random) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        numbers.swap(last, random.below(last + 1));
    }
    numbers
}

/// A sentence about nothing.
fn sentence(random: &mut Random) -> Vec<u32> {
    numbers(SENTENCES[random.below(SENTENCES.len())])
}

impl Text {
    /// Some `length` words, in which a fact stands at each of `places` (shares of the length), moved to the end of a sentence.
    pub fn draw(length: usize, places: &[f64], random: &mut Random) -> Self {
        let (mut words, mut facts) = (Vec::with_capacity(length), Vec::new());
        let mut waiting = Fact::draw(places.len(), random).into_iter().zip(places).peekable();
        while words.len() < length || waiting.peek().is_some() {
            let due = waiting.next_if(|(_, place)| words.len() as f64 >= **place * length as f64);
            match due {
                Some((fact, _)) => {
                    words.extend(fact.sentence());
                    facts.push((fact, words.len() - 2));
                }
                None => words.extend(sentence(random)),
            }
        }
        Self { words, facts }
    }
}

/// A text with questions at its end: what the model learns from.
pub struct Lesson {
    pub words: Vec<u32>,
    /// Where an answer is wanted, and which.
    pub answers: Vec<(usize, u32)>,
}

impl Lesson {
    /// `length` words with `count` facts, all of which are asked for.
    pub fn draw(length: usize, count: usize, random: &mut Random) -> Self {
        let questions = 5 * count;
        let (text, excess) = loop {
            let mut places: Vec<f64> = (0..count).map(|_| random.unit()).collect();
            places.sort_by(f64::total_cmp);
            let text = Text::draw(length - questions, &places, random);
            // Too many words are left out from the front, where no fact may stand.
            let excess = text.words.len() + questions - length;
            if text.facts[0].1 >= excess + 4 {
                break (text, excess);
            }
        };
        let mut words = text.words[excess..].to_vec();
        let mut answers = Vec::with_capacity(count);
        for index in shuffled(count, random) {
            let (fact, _) = text.facts[index];
            words.extend(fact.question());
            answers.push((words.len() - 1, fact.answer()));
            words.push(fact.answer());
        }
        Self { words, answers }
    }
}
