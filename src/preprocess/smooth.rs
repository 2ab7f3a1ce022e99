//! OWLv2's resize (`Owlv2ImageProcessorPil.resize`), in floats: SciPy's Gaussian blur, as wide as the picture shrinks, and its linear
//! interpolation. Both mirror the picture at its edges (… c b a b c …). Here they are one filter, so that a pass along each axis does.

/// The first of the `source` pixels that output `at` of `full` is made of, and the weights from there on, which add up to 1.
pub fn weights(source: usize, full: usize, at: usize) -> (usize, Vec<f64>) {
    let scale = source as f64 / full as f64;
    let blur = gaussian(((scale - 1.0) / 2.0).max(0.0));
    let center = (at as f64 + 0.5) * scale - 0.5;
    let (left, share) = (center.floor(), center - center.floor());
    // Of two neighbours, each blurred.
    let mut taps = vec![0.0; blur.len() + 1];
    for (tap, weight) in blur.iter().enumerate() {
        taps[tap] += (1.0 - share) * weight;
        taps[tap + 1] += share * weight;
    }
    let start = left as isize - (blur.len() / 2) as isize;
    let places = || (start..).zip(&taps).filter(|(_, weight)| **weight != 0.0).map(|(at, w)| (mirror(at, source), *w));
    let first = places().map(|(at, _)| at).min().expect("a Gaussian has weights");
    let last = places().map(|(at, _)| at).max().expect("a Gaussian has weights");
    let mut weights = vec![0.0; last - first + 1];
    places().for_each(|(at, weight)| weights[at - first] += weight);
    (first, weights)
}

/// SciPy's `_gaussian_kernel1d`, cut off at four standard deviations.
fn gaussian(sigma: f64) -> Vec<f64> {
    if sigma < 1e-15 {
        return vec![1.0];
    }
    let radius = (4.0 * sigma + 0.5) as i32;
    let weight = |x: i32| (-0.5 / (sigma * sigma) * f64::from(x).powi(2)).exp();
    let weights: Vec<f64> = (-radius..=radius).map(weight).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|w| w / sum).collect()
}

/// Which of `count` pixels stands at a place that may be beyond them: SciPy's mode "mirror".
fn mirror(at: isize, count: usize) -> usize {
    let period = (2 * count as isize - 2).max(1);
    let at = at.rem_euclid(period);
    at.min(period - at) as usize
}

/// The first source pixel of an output, and the weights from there on, as bits of f32.
type Output<'a> = (usize, &'a [i32]);

/// The reference: both passes over a whole picture of RGBA words, on the CPU. Three f32 from 0 to 255 a pixel, as words.
pub fn resize(pixels: &[u32], [width, height]: [usize; 2], [across, down]: [&[Output]; 2]) -> Vec<u32> {
    let floats: Vec<_> = pixels.iter().map(|pixel| [0, 8, 16].map(|shift| (pixel >> shift & 255) as f32)).collect();
    let (w, h) = (across.len(), down.len());
    let rows = resample(&floats, across, 1, width, height);
    let columns = resample(&rows, down, w, 1, w);
    (0..w * h).flat_map(|i| columns[i % w * h + i / w].map(f32::to_bits)).collect()
}

/// One pass over lines of pixels, as [`super::resample`].
fn resample(source: &[[f32; 3]], outputs: &[Output], step: usize, line: usize, lines: usize) -> Vec<[f32; 3]> {
    let mut out = Vec::with_capacity(lines * outputs.len());
    for l in 0..lines {
        for &(first, weights) in outputs {
            let mut sums = [0.0; 3];
            for (i, &weight) in weights.iter().enumerate() {
                let pixel = source[l * line + (first + i) * step];
                let weight = f64::from(bytemuck::cast::<i32, f32>(weight));
                sums.iter_mut().zip(pixel).for_each(|(sum, x)| *sum += f64::from(x) * weight);
            }
            out.push(sums.map(|sum| sum as f32));
        }
    }
    out
}

/// Opaque RGBA words of pixels in three floats each, to the nearest level.
#[must_use]
pub fn bytes(floats: &[u32]) -> Vec<u32> {
    let byte = |word: u32| f32::from_bits(word).round() as u8;
    floats.as_chunks::<3>().0.iter().map(|&[r, g, b]| u32::from_le_bytes([byte(r), byte(g), byte(b), 255])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrored_places() {
        let row = |count| (-7..9).map(|at| mirror(at, count)).collect::<Vec<_>>();
        assert_eq!(row(4), [1, 0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1, 2]);
        assert_eq!(row(2), [1, 0].repeat(8));
        assert_eq!(row(1), [0; 16]);
    }

    #[test]
    fn weights_add_up_to_one_and_stay_within() {
        for (source, full) in [(1, 48), (2, 48), (7, 48), (48, 48), (49, 48), (211, 48), (5000, 24), (3, 1), (1000, 1)]
        {
            for at in 0..full {
                let (first, weights) = weights(source, full, at);
                assert!(first + weights.len() <= source, "{source} -> {full}: {at}");
                assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{source} -> {full}: {at}");
            }
        }
        assert_eq!(weights(48, 48, 47), (47, vec![1.0]));
    }
}
