//! The neural memory: golden vectors, forms, finite differences, splits, identities and hostile numbers.

mod arguments;
mod golden;
mod hostile;
mod identities;
mod segments;

seqzoo_tests::ladder!(chunks, seqzoo_tests::operators::NeuralMemory);

/// Cases of the neural memory.
type Case = seqzoo_tests::ladder::Case<seqzoo_tests::operators::NeuralMemory>;

/// The law, blocks that cut chunks, blocks that are chunks, and the kernel.
const FORMS: [seqzoo::ops::Form; 4] = [
    seqzoo::ops::Form::Naive,
    seqzoo::ops::Form::Kernel,
    seqzoo::ops::Form::Chunked { size: 2 },
    seqzoo::ops::Form::Chunked { size: 64 },
];

/// No kernel tells surprise.
const FORMS_WITH_SURPRISE: [seqzoo::ops::Form; 3] = [FORMS[0], FORMS[2], FORMS[3]];
