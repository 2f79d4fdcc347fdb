//! Linear attention: golden vectors, forms, finite differences, splits and hostile numbers, and Mamba-2
//! as its parametrisation.

mod forms;
mod golden;
mod hostile;
mod segments;
mod splits;
mod ssd;

mod differences {
    seqzoo_tests::ladder!(differences, seqzoo_tests::operators::LinearAttention);
}

mod kernel {
    seqzoo_tests::ladder!(kernel, seqzoo_tests::operators::LinearAttention);
}

/// Cases of linear attention.
type Case = seqzoo_tests::ladder::Case<seqzoo_tests::operators::LinearAttention>;
