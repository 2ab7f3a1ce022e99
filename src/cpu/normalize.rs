//! Unit length in f32.

use pulp::{Simd, WithSimd};

use super::{dispatch, math::sum};

/// y = x / ‖x‖, for each row of x and y, `[rows, dim]`.
pub fn normalize(x: &[f32], dim: usize, y: &mut [f32]) {
    for (x, y) in x.chunks_exact(dim).zip(y.chunks_exact_mut(dim)) {
        dispatch(Row { x, y });
    }
}

struct Row<'a> {
    x: &'a [f32],
    y: &'a mut [f32],
}

impl WithSimd for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        // By the largest number first: the squares of a long row must not overflow, nor those of a short one vanish.
        let peak = self.x.iter().fold(0.0f32, |peak, x| if x.abs() > peak { x.abs() } else { peak }).max(1e-30);
        let length = sum(self.x, |x| (x / peak) * (x / peak)).sqrt().max(1e-30);
        self.y.iter_mut().zip(self.x).for_each(|(y, x)| *y = x / peak / length);
    }
}
