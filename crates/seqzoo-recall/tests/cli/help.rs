//! What the binary says of itself.

use super::tool::Workplace;

#[test]
fn help_names_every_command_and_flag() {
    let said = Workplace::new(1).recall(&["--help"]);
    assert_eq!(said.code, Some(0));
    insta::assert_snapshot!("help", said.out);
}

#[test]
fn list_names_everything_that_has_a_name() {
    let said = Workplace::new(1).recall(&["list"]);
    assert_eq!(said.code, Some(0));
    insta::assert_snapshot!("list", said.out);
}

#[test]
fn show_prints_examples_that_a_person_can_read() {
    let workplace = Workplace::new(1);
    let said = workplace.recall(&["show", "mqar"]);
    assert_eq!(said.code, Some(0));
    insta::assert_snapshot!("show", said.out);
    let said = workplace.recall(&["show", "states.toml", "--seed", "0"]);
    assert_eq!(said.code, Some(0));
    insta::assert_snapshot!("show_state_tracking", said.out);
    let parity = workplace.recall(&["show", "state_tracking"]);
    assert!(parity.out.contains("length 40: test example 0 of seed 0"), "{}{}", parity.out, parity.err);
    let twice = workplace.recall(&["show", "small.toml", "--examples", "2", "--seed", "9", "--json"]);
    assert_eq!(twice.out.lines().count(), 4);
    for line in twice.out.lines() {
        let example: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(example["tokens"].as_array().unwrap().len(), 16);
    }
}
