//! Work on all cores.

use rayon::prelude::*;

/// Numbers of states to move below which the threads are not worth waking.
const FEW: usize = 1 << 15;

/// Calls `work` with every number below `count` and a scratch of its thread; on all cores if that is `steps` numbers of
/// states to move or more. Nobody may depend on which thread takes which.
pub(crate) fn each<T>(
    count: usize,
    steps: usize,
    scratch: impl Fn() -> T + Sync + Send,
    work: impl Fn(&mut T, usize) + Sync + Send,
) {
    if count < 2 || steps < FEW {
        let mut scratch = scratch();
        (0..count).for_each(|index| work(&mut scratch, index));
    } else {
        (0..count).into_par_iter().with_max_len(1).for_each_init(scratch, work);
    }
}
