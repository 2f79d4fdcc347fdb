//! Landmark attention in experiments: landmarks are inserted, and tests may read chosen blocks alone.

use super::tool::Workplace;

const CONTESTANTS: &str = r#"
[[contestants]]
name = "all blocks"
layers = [{ kind = "base_conv" }, { kind = "landmark_attention", num_heads = 2, block = 5 }]

[[contestants]]
name = "one block"
layers = [{ kind = "base_conv" }, { kind = "landmark_attention", num_heads = 2, block = 5 }]
retrieval = { top_k = 1 }

[[contestants]]
name = "many blocks"
layers = [{ kind = "base_conv" }, { kind = "landmark_attention", num_heads = 2, block = 5 }]
retrieval = { top_k = 9, choice = "OverHeads" }
"#;

/// The task and the recipe of `small.toml`, for these contestants.
fn workplace() -> Workplace {
    let workplace = Workplace::new(20);
    let text = workplace.read("small.toml");
    let (recipe, _) = text.split_once("[[contestants]]").unwrap();
    workplace.write("landmarks.toml", &format!("{recipe}{CONTESTANTS}"));
    workplace
}

#[test]
fn chosen_blocks_are_counted_and_all_of_them_are_what_training_reads() {
    let workplace = workplace();
    let said = workplace.recall(&["run", "landmarks.toml", "--out", "out"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    for words in ["blocks read per token", "blocks loaded per example"] {
        assert!(said.out.contains(words), "{words}: {}", said.out);
    }
    assert!(workplace.read("out/report.html").contains("Blocks that were chosen"));
    let results = workplace.results("out");
    let of = |name: &str| results.iter().find(|result| result.contestant == name).unwrap();
    let (all, one, many) = (of("all blocks"), of("one block"), of("many blocks"));
    assert!(all.key != one.key && one.key != many.key);
    for ((all, one), many) in all.slices.iter().zip(&one.slices).zip(&many.slices) {
        assert!(all.blocks.is_none());
        // Of four blocks, three have one before them: four tokens and a landmark each, two heads.
        let read = one.blocks.unwrap().read / one.examples as u64;
        assert_eq!(read, 2 * 3 * (4 + 1));
        assert!(many.blocks.unwrap().read > one.blocks.unwrap().read);
        assert_eq!(many.accuracy, all.accuracy);
    }
    assert!(results.iter().all(|result| result.cleared.is_none()), "such a model takes no resets");
}

#[test]
fn blocks_are_chosen_where_there_are_any() {
    let workplace = workplace();
    let text = workplace.read("landmarks.toml");
    for (from, to, sentence) in [
        (
            "top_k = 1",
            "top_k = 0",
            "the contestant `one block`: its `retrieval.top_k` must be from 1 to 1024",
        ),
        (
            "landmark_attention\", num_heads = 2, block = 5",
            "softmax_attention\", num_heads = 2",
            "has no layer `landmark_attention`",
        ),
        ("top_k = 1", "top = 1", "unknown field `top`"),
    ] {
        workplace.write("wrong.toml", &text.replace(from, to));
        let said = workplace.recall(&["run", "wrong.toml", "--out", "out"]);
        assert_eq!(said.code, Some(2), "{}", said.err);
        assert!(said.err.contains(sentence), "{}", said.err);
    }
}
