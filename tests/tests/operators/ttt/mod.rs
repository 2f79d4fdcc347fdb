//! Test-time training: golden vectors, forms, finite differences, splits, identities and hostile numbers.

mod arguments;
mod golden;
mod hostile;
mod identities;

seqzoo_tests::ladder!(chunks, seqzoo_tests::operators::Ttt);

/// Cases of test-time training.
type Case = seqzoo_tests::ladder::Case<seqzoo_tests::operators::Ttt>;

/// The law, blocks that cut chunks, and blocks that are chunks.
const FORMS: [seqzoo::ops::Form; 3] = [
    seqzoo::ops::Form::Naive,
    seqzoo::ops::Form::Chunked { size: 2 },
    seqzoo::ops::Form::Chunked { size: 64 },
];
