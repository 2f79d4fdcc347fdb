//! The diagonal state space: forms, finite differences, splits and hostile numbers.

mod arguments;
mod continuous;

mod ladder {
    use seqzoo_tests::operators::DiagonalSsm;

    seqzoo_tests::ladder!(scans, DiagonalSsm);

    #[test]
    fn what_needs_no_gradient_gets_none() {
        for name in ["u", "lambda", "lambda_im", "w", "w_im"] {
            seqzoo_tests::ladder::scans::what_needs_no_gradient_gets_none::<DiagonalSsm>(name);
        }
    }
}
