//! Groups whose elements a state can be: permutations, numbered.

use serde::{Deserialize, Serialize};

/// A group of permutations. Its elements are numbered in the order of their one-line notation, so that
/// 0 is the identity: 123, 132, 213, 231, 312, 321.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// Of two points, Z₂: 1 flips, 0 does not, and the running product is the parity of the ones.
    Parity,
    /// Of three points: the smallest group in which the order of the factors matters.
    S3,
    /// Of five points: the smallest symmetric group that is not solvable, so that its word problem is
    /// complete for NC¹.
    S5,
}

/// Which elements come as tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Generators {
    /// All of the group.
    #[default]
    All,
    /// The identity, and the swaps of two points: each is the identity or one reflection. Without the
    /// identity the sign of the product would be that of the position, which needs no memory.
    Swaps,
}

/// A permutation in one-line notation: the image of each point, counted from 0.
type Images = Vec<usize>;

impl Group {
    fn points(self) -> usize {
        match self {
            Self::Parity => 2,
            Self::S3 => 3,
            Self::S5 => 5,
        }
    }

    /// How many elements there are.
    pub fn order(self) -> usize {
        factorial(self.points())
    }

    /// The numbers of the elements that come as tokens.
    pub fn generators(self, generators: Generators) -> Vec<u32> {
        let moved = |element: u32| {
            let images = self.images(element);
            images.iter().enumerate().filter(|(point, image)| point != *image).count()
        };
        let all = 0..self.order() as u32;
        match generators {
            Generators::All => all.collect(),
            Generators::Swaps => all.filter(|element| moved(*element) <= 2).collect(),
        }
    }

    /// `y_t = x_t ∘ y_{t-1}`, from the identity on: the first token acts first, as in a recurrence
    /// `S_t = A_t S_{t-1}`.
    pub fn running_products(self, tokens: &[u32]) -> Vec<u32> {
        let mut product = self.images(0);
        let mut products = Vec::with_capacity(tokens.len());
        for token in tokens {
            let token = self.images(*token);
            for image in &mut product {
                *image = token[*image];
            }
            products.push(number(&product));
        }
        products
    }

    /// The element in one-line notation, or 0 and 1 for parity.
    pub fn name(self, element: u32) -> String {
        match self {
            Self::Parity => element.to_string(),
            _ => self.images(element).iter().map(|image| (image + 1).to_string()).collect(),
        }
    }

    /// The permutation that has the number `element`: the digits of the number in the factorial base say
    /// which of the points left comes next.
    fn images(self, element: u32) -> Images {
        let mut left: Vec<usize> = (0..self.points()).collect();
        let mut rest = element as usize;
        (0..self.points())
            .rev()
            .map(|after| {
                let digit = rest / factorial(after);
                rest %= factorial(after);
                left.remove(digit)
            })
            .collect()
    }
}

/// The number of a permutation: how many come before it.
fn number(images: &[usize]) -> u32 {
    let digit = |place: usize| images[place + 1..].iter().filter(|later| **later < images[place]).count();
    let count: usize =
        (0..images.len()).map(|place| digit(place) * factorial(images.len() - 1 - place)).sum();
    count as u32
}

fn factorial(number: usize) -> usize {
    (1..=number).product()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Group; 3] = [Group::Parity, Group::S3, Group::S5];

    #[test]
    fn every_element_has_its_number_and_0_is_the_identity() {
        for group in ALL {
            let mut previous = Images::new();
            for element in 0..group.order() as u32 {
                let images = group.images(element);
                assert!(images > previous, "in the order of the one-line notation");
                assert_eq!(number(&images), element);
                previous = images;
            }
            assert!(group.images(0).into_iter().eq(0..group.points()));
        }
    }

    #[test]
    fn names_are_one_line_notations() {
        let names: Vec<String> = (0..6).map(|element| Group::S3.name(element)).collect();
        assert_eq!(names, ["123", "132", "213", "231", "312", "321"]);
        assert_eq!((Group::Parity.name(0), Group::Parity.name(1)), ("0".into(), "1".into()));
        assert_eq!((Group::S5.name(0), Group::S5.name(119)), ("12345".into(), "54321".into()));
    }

    #[test]
    fn the_first_token_acts_first() {
        let (swap_12, swap_23) = (2, 1);
        // 1 goes to 2 and on to 3; 2 goes to 1; 3 goes to 2.
        assert_eq!(Group::S3.name(Group::S3.running_products(&[swap_12, swap_23])[1]), "312");
        // 1 stays and goes to 2; 2 goes to 3; 3 goes to 2 and on to 1.
        assert_eq!(Group::S3.name(Group::S3.running_products(&[swap_23, swap_12])[1]), "231");
    }

    #[test]
    fn swaps_are_the_identity_and_one_swap_for_every_two_points() {
        for (group, count) in ALL.into_iter().zip([1 + 1, 1 + 3, 1 + 10]) {
            let swaps = group.generators(Generators::Swaps);
            assert_eq!(swaps.len(), count);
            for swap in swaps {
                assert_eq!(group.running_products(&[swap, swap])[1], 0, "a swap undoes itself");
            }
            assert_eq!(group.generators(Generators::All).len(), group.order());
        }
        let names = Group::S3.generators(Generators::Swaps).into_iter().map(|swap| Group::S3.name(swap));
        assert!(names.eq(["123", "132", "213", "321"]));
    }
}
