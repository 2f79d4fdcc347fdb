//! What is refused, and in which words.

use super::*;
use seqzoo_tests::said;

fn case() -> Case {
    Case::random([4, 3, 6], 40, &plain())
}

fn complaint(case: &Case) -> String {
    said(|| case.run(Reduction::Mean, Form::Auto))
}

#[test]
fn shapes_that_disagree_are_named() {
    let weight = case().weight.transpose();
    let text = complaint(&Case { weight: weight.clone(), ..case() });
    assert!(text.contains("`head` has the shape [6, 3], but [D, V] = [3, 3] is wanted"), "{text}");
    let text = complaint(&Case { weight: weight.narrow(1, 0, 2), embedding: true, ..case() });
    assert!(text.contains("`head` has the shape [6, 2], but [V, D] = [6, 3] is wanted"), "{text}");
    let text = complaint(&Case { bias: Some(Tensor::zeros([5], &plain())), ..case() });
    assert!(text.contains("`bias` has the shape [5], but [V] = [6] is wanted"), "{text}");
    let text = complaint(&Case { targets: targets(&[1, 2], &plain()), ..case() });
    assert!(text.contains("`targets` has the shape [2], but [N] = [4] is wanted"), "{text}");
}

#[test]
fn a_target_that_is_no_class_is_named() {
    for (numbers, said) in [
        ([0, 5, 6, 1], "the class 6 at position 2, but classes from 0 to 5 are wanted"),
        ([0, 5, -1, 1], "the class -1 at position 2"),
        ([IGNORED, 0, 0, 0], "the class -100 at position 0"),
    ] {
        let text = complaint(&Case { targets: targets(&numbers, &plain()), ..case() });
        assert!(text.contains(said), "{text}");
    }
    // Any number may be the one that is ignored, a class as well.
    for ignored in [-1, 3, 77] {
        let options = CrossEntropyOptions { ignore_index: Some(ignored), ..Default::default() };
        let case = Case { targets: targets(&[0, ignored, 2, 5], &plain()), options, ..case() };
        let without = Case {
            hidden: Tensor::cat(
                vec![case.hidden.clone().narrow(0, 0, 1), case.hidden.clone().narrow(0, 2, 2)],
                0,
            ),
            targets: targets(&[0, 2, 5], &plain()),
            options: CrossEntropyOptions::default(),
            ..case.clone()
        };
        let gap = case.run(Reduction::Mean, Form::Auto) - without.run(Reduction::Mean, Form::Auto);
        assert!(gap.into_scalar::<f64>().abs() < EXACT);
    }
}

#[test]
fn options_out_of_their_range_are_named() {
    let with = |change: fn(&mut CrossEntropyOptions)| {
        let mut case = case();
        change(&mut case.options);
        complaint(&case)
    };
    let text = with(|options| options.label_smoothing = 1.5);
    assert!(text.contains("`label_smoothing` is 1.5, but a finite number from 0 to 1 is wanted"), "{text}");
    let text = with(|options| options.z_loss = f64::NAN);
    assert!(text.contains("`z_loss` is NaN, but a finite number of at least 0 is wanted"), "{text}");
    let text = with(|options| options.logit_cap = Some(0.0));
    assert!(text.contains("`logit_cap` is 0, but a finite number above 0 is wanted"), "{text}");
}

#[test]
fn no_channels_and_no_classes_are_refused() {
    let text = complaint(&Case { hidden: Tensor::zeros([4, 0], &plain()), ..case() });
    assert!(text.contains("`hidden` has no elements on its channel axis"), "{text}");
    let text = complaint(&Case { weight: Tensor::zeros([3, 0], &plain()), ..case() });
    assert!(text.contains("`head` has no elements on its class axis"), "{text}");
}

#[test]
fn a_head_can_be_cut_to_its_first_classes() {
    let case = case();
    let whole = || Head::linear(case.weight.clone()).with_bias(case.bias.clone());
    let tied = || Head::embedding(case.weight.clone().transpose()).with_bias(case.bias.clone());
    for head in [whole(), tied()] {
        assert_eq!((head.channels(), head.classes()), (3, 6));
        let few = targets(&[0, 1, 2, 1], &plain());
        let found = cross_entropy(case.hidden.clone(), head.first(3), few.clone(), Default::default());
        let cut = Case {
            weight: case.weight.clone().narrow(1, 0, 3),
            bias: case.bias.clone().map(|bias| bias.narrow(0, 0, 3)),
            targets: few,
            ..case.clone()
        };
        let gap = found - cut.run(Reduction::Mean, Form::Naive);
        assert!(gap.into_scalar::<f64>().abs() < EXACT);
    }
}
