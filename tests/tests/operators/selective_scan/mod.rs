//! The selective scan: golden vectors.

mod arguments;
mod golden;
mod hostile;
mod identities;
mod segments;

mod ladder {
    use seqzoo_tests::operators::SelectiveScan;

    seqzoo_tests::ladder!(scans, SelectiveScan);

    #[test]
    fn what_needs_no_gradient_gets_none() {
        for name in ["u", "delta", "A", "B", "C", "delta_bias", "D", "z"] {
            seqzoo_tests::ladder::scans::what_needs_no_gradient_gets_none::<SelectiveScan>(name);
        }
    }
}
