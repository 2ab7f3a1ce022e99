//! A square of position embeddings for another number of patches a side than the file has.

/// Rows of an item before its patches: the class token's.
const LEAD: usize = 1;

/// The top left `to` × `to` patches of a table of `from` × `from`, `[1 + from², dim]`: what scenic does for smaller pictures, whose
/// padding is at the bottom and the right.
pub fn top_left(table: &[f32], dim: usize, from: usize, to: usize) -> Vec<f32> {
    let (class, patches) = table.split_at(LEAD * dim);
    let rows = patches.chunks_exact(from * dim).take(to);
    class.iter().chain(rows.flat_map(|row| &row[..to * dim])).copied().collect()
}

/// A table of `from` × `from` patches, `[1 + from², dim]`, at `to` × `to`: `interpolate(…, mode="bicubic", align_corners=False)` in
/// PyTorch, which has a = -0.75, clamps at the edges, and never antialiases.
pub fn bicubic(table: &[f32], dim: usize, from: usize, to: usize) -> Vec<f32> {
    let (class, patches) = table.split_at(LEAD * dim);
    let axis: Vec<[(usize, f64); 4]> = (0..to).map(|at| taps(from, to, at)).collect();
    let mut out = class.to_vec();
    for down in &axis {
        for across in &axis {
            for d in 0..dim {
                let at = |y: usize, x: usize| f64::from(patches[(y * from + x) * dim + d]);
                let line = |y: usize| across.iter().map(|&(x, w)| w * at(y, x)).sum::<f64>();
                out.push(down.iter().map(|&(y, w)| w * line(y)).sum::<f64>() as f32);
            }
        }
    }
    out
}

/// Which four of `from` entries make entry `at` of `to`, and how much of each.
fn taps(from: usize, to: usize, at: usize) -> [(usize, f64); 4] {
    const A: f64 = -0.75;
    let near = |x: f64| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = |x: f64| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    let place = (at as f64 + 0.5) * from as f64 / to as f64 - 0.5;
    let t = place - place.floor();
    let weights = [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)];
    std::array::from_fn(|i| {
        let entry = place.floor() as isize + i as isize - 1;
        (entry.clamp(0, from as isize - 1) as usize, weights[i])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `interpolate(torch.tensor([[[[0.0, 1.0], [4.0, 9.0]]]]), (3, 3), mode="bicubic")`, and of the squares of 0 to 8, `(2, 2)`.
    #[test]
    fn as_torch_has_it() {
        let table = [7.0, 0.0, 1.0, 4.0, 9.0];
        assert_eq!(top_left(&table, 1, 2, 1), [7.0, 0.0]);
        assert_eq!(bicubic(&table, 1, 2, 2), table);
        let larger =
            [7.0, -0.403_887, -0.020_833, 0.362_220, 1.739_584, 3.5, 5.260_417, 3.883_054, 7.020_833, 10.158_613];
        let squares: Vec<f32> = [7.0].into_iter().chain((0u8..9).map(|x| f32::from(x).powi(2))).collect();
        let smaller = [7.0, 1.430_756, 6.522_369, 32.397_37, 53.180_756];
        for (found, expected) in [(bicubic(&table, 1, 2, 3), &larger[..]), (bicubic(&squares, 1, 3, 2), &smaller[..])] {
            assert_eq!(found.len(), expected.len());
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5), "{found:?}");
        }
    }
}
