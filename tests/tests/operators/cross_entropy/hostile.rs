//! Large logits, classes that are taken away, narrow types, and nothing to learn from.

use super::*;
use burn::tensor::{DType, FloatDType};
use seqzoo_tests::values;

const ALL: [Form; 3] = [Form::Naive, BLOCKS[0], BLOCKS[1]];

#[test]
fn logits_of_ten_thousand_are_as_exact_as_small_ones() {
    let mut inputs = Inputs::single(30, &autodiff());
    let mut case = Case::of([9, 4, 50], &mut inputs, &autodiff());
    // Whole numbers, so that the logits are exact in either type: they are up to 10,000, and differ by 1 at least.
    let whole = |tensor: Tensor<2>, by: f64| (tensor * by).round();
    case.hidden = whole(case.hidden, 8.0);
    case.weight = whole(case.weight, 100.0);
    case.bias = case.bias.map(|bias| (bias * 3000.0).round() + 5000.0);
    let double = Case {
        hidden: case.hidden.clone().cast(FloatDType::F64),
        weight: case.weight.clone().cast(FloatDType::F64),
        bias: case.bias.clone().map(|bias| bias.cast(FloatDType::F64)),
        cotangent: case.cotangent.clone().cast(FloatDType::F64),
        ..case.clone()
    };
    for reduction in REDUCTIONS {
        let wanted = double.outcome(reduction, Form::Naive);
        for form in ALL {
            case.outcome(reduction, form).assert_close(&wanted, 5e-6);
        }
    }
}

#[test]
fn a_bias_of_minus_infinity_takes_a_class_away() {
    let case = Case::random([9, 4, 21], 31, &autodiff());
    let last = |bias: Tensor<1>, number: f64| {
        Tensor::cat(vec![bias.narrow(0, 0, 20), Tensor::full([1], number, (&autodiff(), DType::F64))], 0)
    };
    let numbers: Vec<i64> = (0..9).map(|i| (i * 3) % 20).collect();
    let case = Case { targets: targets(&numbers, &autodiff()), ..case };
    let without = Case {
        weight: case.weight.clone().narrow(1, 0, 20),
        bias: case.bias.clone().map(|bias| bias.narrow(0, 0, 20)),
        ..case.clone()
    };
    let masked = Case { bias: case.bias.clone().map(|bias| last(bias, f64::NEG_INFINITY)), ..case };
    for (reduction, form) in REDUCTIONS.into_iter().flat_map(|reduction| ALL.map(|form| (reduction, form))) {
        let wanted = without.outcome(reduction, form);
        let found = masked.outcome(reduction, form);
        let gap = |name: &str| {
            let pairs = found.values(name).iter().zip(wanted.values(name));
            pairs.fold(0.0f64, |gap, (a, b)| gap.max((a - b).abs()))
        };
        assert!(gap("loss") < EXACT && gap("d_hidden") < EXACT);
        assert_eq!(found.values("d_bias")[20], 0.0);
        let columns = found.values("d_weight").chunks(21).map(|row| row[20]);
        assert!(columns.into_iter().all(|number| number == 0.0));
    }
    // As a target its loss is infinite, in all forms.
    let asked = Case { targets: targets(&[20; 9], &autodiff()), ..masked };
    for form in ALL {
        assert_eq!(values(asked.run(Reduction::Mean, form)), [f64::INFINITY]);
    }
}

#[test]
fn narrow_inputs_are_summed_in_f32() {
    for narrow in [FloatDType::BF16, FloatDType::F16] {
        let wide = Case::of([9, 16, 70], &mut Inputs::single(32, &autodiff()), &autodiff());
        let rounded = Case {
            hidden: wide.hidden.clone().cast(narrow),
            weight: wide.weight.clone().cast(narrow),
            bias: wide.bias.clone().map(|bias| bias.cast(narrow)),
            ..wide.clone()
        };
        // The rounded numbers in f32: the same losses, to the bit.
        let same = Case {
            hidden: rounded.hidden.clone().cast(FloatDType::F32),
            weight: rounded.weight.clone().cast(FloatDType::F32),
            bias: rounded.bias.clone().map(|bias| bias.cast(FloatDType::F32)),
            ..wide
        };
        for (reduction, form) in
            REDUCTIONS.into_iter().flat_map(|reduction| ALL.map(|form| (reduction, form)))
        {
            let loss = rounded.run(reduction, form);
            assert_eq!(loss.dtype(), DType::F32);
            assert_eq!(loss.into_data(), same.run(reduction, form).into_data());
            rounded.outcome(reduction, form).assert_close(&same.outcome(reduction, form), 8e-3);
        }
        let hidden = rounded.hidden.clone().require_grad();
        let loss = Case { hidden: hidden.clone(), ..rounded }.run(Reduction::Mean, Form::Auto);
        assert_eq!(hidden.grad(&loss.backward()).unwrap().dtype(), DType::from(narrow));
    }
}

#[test]
fn where_no_position_counts_loss_and_gradients_are_zero() {
    let case = Case::random([5, 4, 6], 33, &autodiff());
    let options = CrossEntropyOptions { ignore_index: Some(IGNORED), ..Default::default() };
    let case = Case { targets: targets(&[IGNORED; 5], &autodiff()), options, ..case };
    for (reduction, form) in REDUCTIONS.into_iter().flat_map(|reduction| ALL.map(|form| (reduction, form))) {
        let outcome = case.outcome(reduction, form);
        for name in ["loss", "d_hidden", "d_weight", "d_bias"] {
            assert!(outcome.values(name).iter().all(|number| *number == 0.0), "{name} of {form:?}");
        }
    }
}

#[test]
fn no_positions_have_the_loss_zero() {
    let case = Case::random([4, 3, 6], 34, &autodiff());
    let case = Case {
        hidden: Tensor::zeros([0, 3], (&autodiff(), DType::F64)),
        targets: Tensor::zeros([0], &autodiff()),
        cotangent: Tensor::zeros([0], (&autodiff(), DType::F64)),
        ..case
    };
    for form in ALL {
        for reduction in [Reduction::Mean, Reduction::Sum] {
            let outcome = case.outcome(reduction, form);
            assert_eq!(outcome.values("loss"), [0.0]);
            assert!(outcome.values("d_hidden").is_empty());
            assert!(outcome.values("d_weight").iter().all(|number| *number == 0.0));
        }
        assert_eq!(case.run(Reduction::Each, form).dims(), [0]);
    }
}

#[test]
fn what_a_position_that_does_not_count_holds_changes_no_loss() {
    let case = Case::random([7, 3, 5], 35, &plain()).ignoring();
    let spoilt = Case { hidden: case.hidden.clone().slice_fill([1..2, 0..3], f64::NAN), ..case.clone() };
    for (reduction, form) in REDUCTIONS.into_iter().flat_map(|reduction| ALL.map(|form| (reduction, form))) {
        assert_eq!(spoilt.run(reduction, form).into_data(), case.run(reduction, form).into_data());
    }
}
