//! The programs in the README and in the book, compiled and run with the dependencies that the README gives.
//!
//! `cargo test --workspace` gives Burn the features that the other packages want as well;
//! `cargo test --package seqzoo-docs --doc` gives it those of a reader.

/// A document's programs, as documentation tests.
#[cfg(doctest)]
macro_rules! programs {
    ($($name:ident: $path:literal),* $(,)?) => {
        $(#[doc = include_str!($path)]
        struct $name;)*
    };
}

#[cfg(doctest)]
programs! {
    Readme: "../README.md",
    CrateReadme: "../crates/seqzoo/README.md",
    Contributing: "../CONTRIBUTING.md",
    Introduction: "src/introduction.md",
    SequenceMixers: "src/sequence_mixers.md",
    Contract: "src/contract.md",
    Models: "src/models.md",
    Checkpoints: "src/checkpoints.md",
    OwnLayer: "src/own_layer.md",
    LandmarkAttention: "src/landmark_attention.md",
    AttentionVariants: "src/attention_variants.md",
    LinearAttention: "src/linear_attention.md",
    DeltaRule: "src/delta_rule.md",
    MixtureOfMemories: "src/mixture_of_memories.md",
    NeuralMemory: "src/neural_memory.md",
    Serving: "src/serving.md",
    StateSpaces: "src/state_spaces.md",
    Kernels: "src/kernels.md",
    Recall: "src/recall.md",
    RecallTasks: "src/recall_tasks.md",
    RecallSweeps: "src/recall_sweeps.md",
    Results: "src/results.md",
    Upstream: "src/upstream.md",
    Notation: "src/notation.md",
}
