//! A tensor in many parts.

use burn::tensor::Tensor;

/// The parts of these lengths that `tensor` has along its first axis, in order.
///
/// It is halved again and again: the gradient of a part is as large as what the part was taken from, so that parts taken
/// one by one would cost as many times the whole.
pub(crate) fn cut<const D: usize>(tensor: Tensor<D>, lengths: &[usize]) -> Vec<Tensor<D>> {
    let (first, second) = match lengths {
        [] => return Vec::new(),
        [_] => return vec![tensor],
        _ => lengths.split_at(lengths.len() / 2),
    };
    let [own, rest] = [first, second].map(|lengths| lengths.iter().sum());
    let mut parts = cut(tensor.clone().narrow(0, 0, own), first);
    parts.extend(cut(tensor.narrow(0, own, rest), second));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn parts_are_in_order() {
        let rows: Vec<f32> = (0..9).map(|row| row as f32).collect();
        let rows = Tensor::<1>::from_floats(rows.as_slice(), &Device::default());
        let parts = cut(rows, &[2, 3, 1, 3]).into_iter();
        let parts: Vec<Vec<f32>> = parts.map(|part| part.into_data().try_to_vec().unwrap()).collect();
        assert_eq!(parts, [vec![0.0, 1.0], vec![2.0, 3.0, 4.0], vec![5.0], vec![6.0, 7.0, 8.0]]);
    }
}
