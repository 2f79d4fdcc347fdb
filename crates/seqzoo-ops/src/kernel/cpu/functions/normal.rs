//! The normal distribution, and with it GELU.

use super::super::lanes::Real;
use pulp::Simd;
use std::f64::consts::{PI, SQRT_2};

/// `erfc(t) e^(t²)` as a polynomial of `(t - c) / (t + c)`, the highest power first.
struct Tail {
    centre: f64,
    coefficients: &'static [f64],
}

/// `erfc` off by `1.5e-8` at most, in single precision: the polynomial that does least harm where it is large. Far out, where
/// `erfc` is next to nothing, the relative error grows to `5e-6`.
const SINGLE: Tail = Tail {
    centre: 2.0,
    coefficients: &[
        -0.000_198_396_228_370_256_72,
        -0.001_075_020_642_019_808_3,
        -0.000_762_456_038_501_113_7,
        0.007_091_013_714_671_135,
        0.003_753_507_044_166_326_5,
        -0.078_988_410_532_474_52,
        0.241_652_533_411_979_68,
        -0.427_186_757_326_126_1,
        0.255_395_650_863_647_46,
    ],
};

/// `erfc` off by `4e-16`: the polynomial that meets it in Chebyshev's points.
const DOUBLE: Tail = Tail {
    centre: 3.0,
    coefficients: &[
        6.646_003_368_689_025e-10,
        -8.071_883_327_726_64e-11,
        -7.136_721_636_442_837_6e-9,
        -1.737_924_501_954_243_3e-9,
        4.442_600_546_121_827e-8,
        3.241_886_018_411_057_4e-8,
        -2.324_633_520_123_170_4e-7,
        -2.973_225_010_850_484e-7,
        1.251_232_555_764_626_6e-6,
        2.121_891_124_038_841_5e-6,
        -7.977_655_029_951_705e-6,
        -1.286_118_453_967_758_4e-5,
        6.405_644_028_865_662e-5,
        4.525_546_113_479_974_4e-5,
        -0.000_597_061_931_538_900_3,
        0.000_707_746_415_182_294_9,
        0.004_269_136_331_440_5,
        -0.024_392_499_316_729_776,
        0.071_665_837_198_031_57,
        -0.150_115_936_500_851_1,
        0.245_603_801_712_330_3,
        -0.326_233_560_043_036_4,
        0.179_001_151_181_389_96,
    ],
};

/// Beyond it `Φ` is 0 or 1 in any type.
const FAR: f64 = 40.0;

/// The probability `Φ(x)` that a standard normal number is below `x`, and its density `φ(x)`; both off by `1.5e-7` at
/// most, and by `3e-16` in double precision.
#[inline(always)]
pub(crate) fn normal<S: Simd, E: Real>(simd: S, x: E::Vector<S>) -> [E::Vector<S>; 2] {
    let tail = if size_of::<E>() == size_of::<f32>() { SINGLE } else { DOUBLE };
    let splat = |number: f64| E::splat(simd, E::from_f64(number));
    let zero = splat(0.0);
    let far = E::lesser(simd, E::if_less(simd, x, zero, E::minus(simd, zero, x), x), splat(FAR));
    let power = E::exp(simd, E::times(simd, E::times(simd, far, far), splat(-0.5)));
    // Of x instead of t = x / √2, with the centre moved alike.
    let centre = splat(tail.centre * SQRT_2);
    let place = E::over(simd, E::minus(simd, far, centre), E::plus(simd, far, centre));
    let mut p = zero;
    for coefficient in tail.coefficients {
        p = E::mul_add(simd, p, place, splat(*coefficient));
    }
    let below = E::times(simd, E::times(simd, power, splat(0.5)), p);
    let above = E::minus(simd, splat(1.0), below);
    [E::if_less(simd, x, zero, below, above), E::times(simd, power, splat(1.0 / (2.0 * PI).sqrt()))]
}

/// `GELU(x) = x Φ(x)`.
#[inline(always)]
pub(crate) fn gelu<S: Simd, E: Real>(simd: S, x: E::Vector<S>) -> E::Vector<S> {
    let [below, _] = normal::<S, E>(simd, x);
    E::times(simd, x, below)
}

/// `GELU(x)` and its slope, `Φ(x) + x φ(x)`.
#[inline(always)]
pub(crate) fn gelu_and_slope<S: Simd, E: Real>(simd: S, x: E::Vector<S>) -> [E::Vector<S>; 2] {
    let [below, density] = normal::<S, E>(simd, x);
    [E::times(simd, x, below), E::mul_add(simd, x, density, below)]
}

/// `GELU(x)`, its slope, and the slope of that, `(2 - x²) φ(x)`.
#[inline(always)]
pub(crate) fn gelu_and_slopes<S: Simd, E: Real>(simd: S, x: E::Vector<S>) -> [E::Vector<S>; 3] {
    let [below, density] = normal::<S, E>(simd, x);
    let sloped = E::times(simd, x, density);
    // In an order in which nothing overflows where the density is 0.
    let bend = E::minus(simd, E::plus(simd, density, density), E::times(simd, x, sloped));
    [E::times(simd, x, below), E::plus(simd, sloped, below), bend]
}
