//! Learning rates of the experiment, and of a contestant.

use seqzoo_recall::experiment::{Experiment, runs};

fn rates(experiment: &Experiment, contestant: &str) -> Vec<f64> {
    let runs = runs(experiment).into_iter().filter(|run| run.contestant == contestant);
    runs.map(|run| run.learning_rate).collect()
}

#[test]
fn a_contestant_may_learn_at_rates_of_its_own() {
    let mut experiment = Experiment::shipped("quick").unwrap().unwrap();
    let held = experiment.clone();
    let [first, second] = [0, 1].map(|index| experiment.contestants[index].name.clone());
    experiment.contestants[0].learning_rates = vec![0.003, 0.1];
    experiment.check().unwrap();
    assert_eq!(rates(&experiment, &first), [0.003, 0.1]);
    assert_eq!(rates(&experiment, &second), [0.003]);

    // More runs than before are the same experiment, fewer are not.
    assert_eq!(experiment.departs_from(&held), None);
    assert_eq!(held.departs_from(&experiment), Some("`contestants`"));
    experiment.contestants[0].learning_rates = vec![0.1];
    assert_eq!(experiment.departs_from(&held), Some("`contestants`"));
}
