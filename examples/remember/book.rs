//! Text in words: sentences about nothing, and facts that are asked for later.

use seqzoo::training::Random;
use std::collections::HashMap;
use std::sync::LazyLock;

const ADJECTIVES: [&str; 8] = ["old", "green", "quiet", "tall", "bright", "small", "cold", "warm"];
const NOUNS: [&str; 12] =
    ["river", "house", "tree", "cat", "road", "garden", "stone", "boat", "bird", "cloud", "field", "door"];
const VERBS: [&str; 8] = ["sees", "finds", "passes", "likes", "leaves", "hides", "follows", "knows"];
const NAMES: [&str; 16] = [
    "Anna", "Boris", "Clara", "David", "Edith", "Felix", "Greta", "Hugo", "Irene", "Jonas", "Karin", "Leo",
    "Maria", "Nils", "Olga", "Paul",
];
const CITIES: [&str; 16] = [
    "Athens", "Berlin", "Cairo", "Dakar", "Essen", "Florence", "Geneva", "Havana", "Istanbul", "Jena",
    "Kyoto", "Lima", "Madrid", "Nairobi", "Oslo", "Paris",
];
const OTHERS: [&str; 7] = ["the", ".", "lives", "in", "where", "does", "?"];

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
pub static VOCABULARY: LazyLock<Vec<&str>> =
    LazyLock::new(|| [&ADJECTIVES[..], &NOUNS, &VERBS, &NAMES, &CITIES, &OTHERS].concat());

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
    let mut pick = |words: &[&'static str]| words[random.below(words.len())];
    let words = ["the", pick(&ADJECTIVES), pick(&NOUNS), pick(&VERBS), "the", pick(&NOUNS), "."];
    numbers(&words)
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
        let mut places: Vec<f64> = (0..count).map(|_| 0.9 * random.unit()).collect();
        places.sort_by(f64::total_cmp);
        let text = Text::draw(length - questions, &places, random);
        // From the front, where no fact may stand, as many words are left out as there are too many.
        let excess = text.words.len() + questions - length;
        let mut words = text.words;
        let mut answers = Vec::with_capacity(count);
        for index in shuffled(count, random) {
            let (fact, _) = text.facts[index];
            words.extend(fact.question());
            answers.push((words.len() - 1 - excess, fact.answer()));
            words.push(fact.answer());
        }
        words.drain(..excess);
        Self { words, answers }
    }
}
