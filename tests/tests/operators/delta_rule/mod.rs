//! The delta rule: golden vectors, forms, finite differences, splits, identities and hostile numbers.

mod golden;
mod hostile;
mod identities;
mod product;
mod segments;
mod splits;

mod forms {
    seqzoo_tests::ladder!(forms, seqzoo_tests::operators::DeltaRule);
}

mod differences {
    seqzoo_tests::ladder!(differences, seqzoo_tests::operators::DeltaRule);
}

mod kernel {
    seqzoo_tests::ladder!(kernel, seqzoo_tests::operators::DeltaRule);
}

/// Cases of the delta rule.
type Case = seqzoo_tests::ladder::Case<seqzoo_tests::operators::DeltaRule>;
