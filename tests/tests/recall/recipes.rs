//! Training recipes: which examples each step sees, and at what rate.

use seqzoo_recall::experiment::{DataLaw, Experiment, SHIPPED, runs};
use seqzoo_recall::task::Task;
use std::collections::HashSet;

#[test]
fn every_shipped_experiment_can_be_run() {
    for shipped in SHIPPED {
        let experiment = Experiment::shipped(shipped.name).unwrap().unwrap().sized().unwrap();
        assert_eq!(experiment.name, shipped.name);
        let runs = runs(&experiment);
        let keys: HashSet<String> = runs.iter().map(|run| run.key()).collect();
        assert_eq!(keys.len(), runs.len(), "{}: two runs are the same", shipped.name);
    }
    assert_eq!(Experiment::shipped("quick").unwrap().unwrap().data_law(), DataLaw::Clean);
    let mut paper = Experiment::shipped("paper").unwrap().unwrap();
    assert_eq!(paper.data_law(), DataLaw::ZoologyCompatible);
    let Task::Mqar(task) = &mut paper.task else { panic!("{:?}", paper.task) };
    task.power_a = 1.0;
    assert_eq!(paper.data_law(), DataLaw::Custom, "uniform slots are not Zoology's law");
}

#[test]
fn fresh_data_is_never_seen_twice_and_segments_take_turns() {
    let experiment = Experiment::shipped("quick").unwrap().unwrap();
    let mut seen = HashSet::new();
    for step in 0..300 {
        let plan = experiment.training.plan(&experiment.task, step);
        assert_eq!(plan.segment, step % 3);
        for index in plan.first..plan.first + plan.count {
            assert!(seen.insert((plan.segment, index)));
        }
    }
}

#[test]
fn equal_shares_of_tokens_give_longer_segments_fewer_examples() {
    let experiment = Experiment::shipped("small").unwrap().unwrap();
    let count = |step| experiment.training.plan(&experiment.task, step).count;
    assert_eq!([count(0), count(1), count(2), count(3)], [64, 64, 64, 32]);
}

#[test]
fn a_fixed_set_is_walked_in_order_every_epoch_and_the_rate_moves_once_per_epoch() {
    let experiment = Experiment::shipped("paper").unwrap().unwrap();
    let (task, training) = (&experiment.task, &experiment.training);
    let per_epoch = 391 + 4 * 79;
    assert_eq!(training.steps(task), 32 * per_epoch);
    let first = training.plan(task, 0);
    assert_eq!((first.segment, first.first, first.count, first.rate), (0, 0, 256, 1.0));
    let short = training.plan(task, 390);
    assert_eq!((short.segment, short.first, short.count), (0, 390 * 256, 160));
    let next = training.plan(task, 391);
    assert_eq!((next.segment, next.first), (1, 0));
    let last = training.plan(task, per_epoch - 1);
    assert!(last.evaluate && last.segment == 4 && last.rate == 1.0);
    let again = training.plan(task, per_epoch);
    assert_eq!((again.segment, again.first), (0, 0));
    assert!((again.rate - 0.5 * (1.0 + (std::f64::consts::PI / 32.0).cos())).abs() < 1e-12);
}

#[test]
fn warm_up_rises_to_one_and_the_cosine_falls_to_nothing() {
    let experiment = Experiment::shipped("tiny").unwrap().unwrap();
    let rate = |step| experiment.training.plan(&experiment.task, step).rate;
    assert!(
        (rate(0) - 0.01).abs() < 1e-12 && (rate(49) - 0.5).abs() < 1e-12 && (rate(99) - 1.0).abs() < 1e-12
    );
    assert!((1..100).all(|step| rate(step) > rate(step - 1)));
    assert!((101..2000).all(|step| rate(step) < rate(step - 1)));
    assert!(rate(1999) < 1e-4);
}

#[test]
fn the_key_of_a_run_is_what_its_result_depends_on() {
    let experiment = Experiment::shipped("quick").unwrap().unwrap();
    let run = runs(&experiment).remove(0);
    let mut renamed = run.clone();
    renamed.contestant = "another name".into();
    renamed.model.widths.push(7);
    assert_eq!(run.key(), renamed.key());
    let mut other = run.clone();
    other.seed += 1;
    assert_ne!(run.key(), other.key());
    let mut other = run.clone();
    other.training.weight_decay = 0.5;
    assert_ne!(run.key(), other.key());
}

#[test]
fn an_experiment_that_cannot_be_run_says_what_to_change() {
    let text = SHIPPED[0].text;
    let problem = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        Experiment::parse(&text.replacen(from, to, 1)).unwrap_err()
    };
    assert!(problem("seeds = [0]", "seeds = []").contains("`seeds` is empty"));
    assert!(problem("learning_rates = [", "learning_rates = [-1.0, ").contains("a number above 0"));
    assert!(problem("name = \"quick\"", "name = \"../quick\"").contains("becomes a directory"));
    assert!(problem("steps = ", "stepz = ").contains("stepz"));
    assert!(problem("num_heads = 1", "num_heads = 3").contains("num_heads = 3 does not divide d_model = 64"));
    assert!(problem("num_heads = 1", "heads = 1").contains("there is no option `heads`; its options are"));
    assert!(problem("\"softmax_attention\"", "\"softmax\"").contains("the layers are softmax_attention"));
    assert!(
        problem("name = \"linear attention\"", "name = \"retention\"").contains("two contestants are called")
    );
    assert!(
        problem("pairs = 16\nat_least", "pairs = 17\nat_least")
            .contains("17 pairs, which no test segment has")
    );
    assert!(problem("examples = 32", "examples = 0").contains("1 to 1048576 examples of every segment"));
    assert!(problem("warmup = 0.05", "warmup = 5").contains("a fraction of the steps"));
    assert!(problem("widths = [64]", "widths = []").contains("model.widths"));
    assert!(problem("kind = \"mqar\"", "kind = \"mqra\"").contains("mqra"));
}
