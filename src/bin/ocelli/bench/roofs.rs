//! What a CPU can do at best, measured: the roofs over every step.

use std::{hint::black_box, time::Instant};

use ocelli::threads::Threads;
use pulp::{Arch, Simd, WithSimd};

use super::line::Roofs;

/// Sums at a time: enough to hide how long one takes, few enough for the registers of every CPU.
const SUMS: usize = 10;
const TURNS: usize = 200_000;
/// Of what is copied: more than caches hold.
const BYTES: usize = 128 << 20;

/// Multiplications and additions that touch no memory. Gives how many there were, so that nothing is left out.
struct Fma;

impl WithSimd for Fma {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let [scale, more] = black_box([0.999_9, 1e-4]).map(|x| simd.splat_f32s(x));
        let mut sums = [simd.splat_f32s(1.0); SUMS];
        for _ in 0..TURNS {
            for sum in &mut sums {
                *sum = simd.mul_add_e_f32s(*sum, scale, more);
            }
        }
        black_box(sums.map(|sum| simd.reduce_sum_f32s(sum)));
        (2 * SUMS * TURNS * S::F32_LANES) as f64
    }
}

/// The roofs of some threads together, in the vector instructions that Ocelli computes in. Takes about a second.
pub fn measure(threads: &Threads) -> Roofs {
    let flops = Arch::new().dispatch(Fma) * threads.count() as f64;
    let each = || threads.each(vec![(); threads.count()], u64::MAX, |()| _ = Arch::new().dispatch(Fma));
    let gflops = flops / least(each) / 1e6;
    let (from, mut to) = (vec![1u8; BYTES], vec![0u8; BYTES]);
    let part = BYTES.div_ceil(threads.count());
    let copy = || {
        let parts = to.chunks_mut(part).zip(from.chunks(part)).collect();
        threads.each(parts, u64::MAX, |(to, from): (&mut [u8], &[u8])| to.copy_from_slice(from));
    };
    Roofs { gflops, gbytes: 2.0 * BYTES as f64 / least(copy) / 1e6 }
}

/// The least milliseconds of several runs: of at least three, and of as many as half a second has.
pub fn least(mut work: impl FnMut()) -> f64 {
    let (start, mut best, mut runs) = (Instant::now(), f64::INFINITY, 0);
    while runs < 3 || start.elapsed().as_secs_f64() < 0.5 {
        let start = Instant::now();
        work();
        best = best.min(start.elapsed().as_secs_f64() * 1e3);
        runs += 1;
    }
    best
}
