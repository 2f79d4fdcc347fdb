//! The linear scan, real and complex: golden vectors, forms, finite differences, splits and hostile numbers.

mod arguments;
mod golden;
mod held;
mod identities;
mod segments;

mod real {
    use seqzoo_tests::operators::LinearScan;

    seqzoo_tests::ladder!(scans, LinearScan);

    #[test]
    fn what_needs_no_gradient_gets_none() {
        for name in ["x", "a"] {
            seqzoo_tests::ladder::scans::what_needs_no_gradient_gets_none::<LinearScan>(name);
        }
    }
}

mod complex {
    use seqzoo_tests::operators::ComplexLinearScan;

    seqzoo_tests::ladder!(scans, ComplexLinearScan);

    #[test]
    fn what_needs_no_gradient_gets_none() {
        for name in ["x", "x_im", "a", "a_im"] {
            seqzoo_tests::ladder::scans::what_needs_no_gradient_gets_none::<ComplexLinearScan>(name);
        }
    }
}
