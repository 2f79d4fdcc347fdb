//! Stacked MQAR: answers alone compete, and the embedding that the task gives is left as it is.

use super::interrupt::wait_for_checkpoint;
use super::tool::Workplace;
use burn::tensor::Device;
use seqzoo::models::LanguageModel;
use seqzoo_recall::task::{StackedMqar, StackedSegment, Task};

const TASK: &str = r#"task = { kind = "stacked_mqar", keys = 8, values = 8, train = [{ pairs = 2 }, { pairs = 4 }], test = [{ pairs = 2, examples = 40 }, { pairs = 4, examples = 40 }] }"#;

/// `stacked.toml`: layers alone, and decay for everything that learns.
fn workplace(steps: usize) -> Workplace {
    let workplace = Workplace::new(steps);
    let text = workplace.read("small.toml");
    let task = text.lines().find(|line| line.starts_with("task")).unwrap();
    let layer = r#"{ kind = "gated_linear_attention", num_heads = 2, conv_size = 3 }"#;
    assert!(text.contains(layer));
    let text = text
        .replace(task, TASK)
        .replace(r#"{ kind = "base_conv" }, "#, "")
        .replace(layer, r#"{ kind = "delta_net", num_heads = 1, conv_size = "none" }"#)
        .replace("\"gated\"", "\"delta\"")
        .replace("num_heads = 2 }", "num_heads = 1, rotary = false }")
        .replace("decay = \"matrices\"", "decay = \"all\"")
        .replace("widths = [16]", "widths = [32]")
        .replace("evaluate_every = 10", "evaluate_every = 50");
    workplace.write("stacked.toml", &text);
    workplace
}

/// The table that the task gives to runs with the seed 3.
fn table() -> Vec<f32> {
    let segments: Vec<_> = [2, 4].map(|pairs| StackedSegment { pairs, examples: 0 }).into();
    let task = StackedMqar { keys: 8, values: 8, passes: 1, train: segments.clone(), test: segments };
    Task::StackedMqar(task).embedding(32, 3).unwrap()
}

#[test]
fn one_layer_learns_it_and_resumes_to_the_same_numbers_with_the_same_embedding() {
    let workplace = workplace(300);
    let mut child = workplace.start(&["run", "stacked.toml", "--out", "out", "--keep-models"]);
    wait_for_checkpoint(&workplace.path("out"));
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success(), "the run was to be killed before its end");
    let said = workplace.recall(&["run", "stacked.toml", "--out", "out", "--resume", "--keep-models"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.contains("continued from step"), "{}", said.err);
    assert!(said.out.contains("state cleared"), "{}", said.out);
    assert_eq!(workplace.recall(&["run", "stacked.toml", "--out", "whole"]).code, Some(0));

    let results = workplace.results("out");
    assert_eq!(results, workplace.results("whole"), "to the last digit");
    for result in &results {
        // A value of the context is guessed right in 1 of 2 or 4 cases, any value in 1 of 8.
        assert!(result.accuracy > 0.6, "{}: {}", result.contestant, result.accuracy);
        assert!(result.cleared.is_some_and(|share| share < 0.35), "{:?}", result.cleared);
    }
    let mut models = 0;
    for run in std::fs::read_dir(workplace.path("out/runs")).unwrap() {
        let model = LanguageModel::load(run.unwrap().path().join("model"), &Device::default()).unwrap();
        let embedding: Vec<f32> = model.embedding.weight.val().into_data().try_to_vec().unwrap();
        assert!(embedding == table(), "neither the optimizer nor its decay has touched it");
        models += 1;
    }
    assert_eq!(models, 2);
}

#[test]
fn an_odd_width_is_refused_with_a_sentence() {
    let workplace = workplace(5);
    let text = workplace.read("stacked.toml").replace("widths = [32]", "widths = [33]");
    workplace.write("odd.toml", &text);
    let said = workplace.recall(&["run", "odd.toml"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("the contestant `delta`: its width is 33, but an even one"), "{}", said.err);
}
