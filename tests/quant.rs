//! Packing and quantisation: what comes back is what went in, within half a step.

use half::f16;
use ocelli::quant::{BLOCK, Format, Matrix, pack_q8, quantize_row};
use proptest::prelude::*;

/// The largest error that a block may have: half a step of the coarsest scale that the search may choose (peak / 120),
/// and what rounding that scale to f16 (2^-11 of it, or 2^-25 below f16's normal range) does to up to 127 steps.
fn half_step(block: &[f32]) -> f32 {
    let peak = block.iter().fold(0.0f32, |a, w| a.max(w.abs()));
    peak / 120.0 * (0.5 + 127.0 / 2048.0) + 127.0 * 2f32.powi(-25)
}

proptest! {
    #[test]
    fn q8_stays_within_half_a_step(row in prop::collection::vec(-8.0f32..8.0, 1..100)) {
        let matrix = Matrix::new(Format::Q8, &row, row.len()).expect("small weights");
        let back = matrix.row(0);
        prop_assert_eq!(back.len(), row.len());
        for (block, found) in row.chunks(BLOCK).zip(back.chunks(BLOCK)) {
            let bound = half_step(block);
            for (w, f) in block.iter().zip(found) {
                prop_assert!((w - f).abs() <= bound, "{} became {}, expected within {}", w, f, bound);
            }
        }
    }

    #[test]
    fn rows_come_back(rows in 1usize..5, cols in 1usize..70, seed in any::<u32>()) {
        let data: Vec<f32> = (0..rows * cols).map(|i| ((i as f32 + seed as f32 % 97.0) * 0.37).sin()).collect();
        for (format, bound) in [(Format::F32, 0.0), (Format::F16, 2f32.powi(-11)), (Format::Q8, 0.006)] {
            let matrix = Matrix::new(format, &data, cols).expect("small weights");
            prop_assert_eq!(matrix.packed.values.len(), rows * format.row_bytes(cols));
            prop_assert_eq!(matrix.packed.scales.len(), rows * format.scale_bytes(cols));
            for r in 0..rows {
                for (found, w) in matrix.row(r).iter().zip(&data[r * cols..]) {
                    prop_assert!((found - w).abs() <= bound, "{:?}: {} became {}", format, w, found);
                }
            }
        }
    }

    /// A stored q8 tensor and one quantised on the way in are packed alike.
    #[test]
    fn stored_and_fresh_q8_are_the_same(row in prop::collection::vec(-2.0f32..2.0, 1..80)) {
        let (values, scales) = quantize_row(&row).expect("small weights");
        let bytes: Vec<u8> = values.iter().map(|&q| q as u8).collect();
        let scales: Vec<f32> = scales.iter().map(|s| s.to_f32()).collect();
        let fresh = Matrix::new(Format::Q8, &row, row.len()).expect("small weights");
        prop_assert_eq!(pack_q8(&bytes, &scales, row.len()), fresh.packed);
    }
}

#[test]
fn the_search_beats_the_peak() {
    let row: Vec<f32> = (0..64 * BLOCK).map(|i| (i as f32 * 12.9898).sin() * (i as f32 * 4.1414).cos()).collect();
    let squares = |back: &[f32]| row.iter().zip(back).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
    let searched = squares(&Matrix::new(Format::Q8, &row, row.len()).expect("small weights").row(0));
    let by_peak: Vec<f32> = row
        .chunks(BLOCK)
        .flat_map(|block| {
            let scale = f16::from_f32(block.iter().fold(0.0f32, |a, w| a.max(w.abs())) / 127.0).to_f32();
            block.iter().map(move |w| (w / scale).round() * scale)
        })
        .collect();
    assert!(searched < 0.9 * squares(&by_peak), "{searched} and {}", squares(&by_peak));
}

#[test]
fn zeros_stay_zeros_and_giants_are_refused() {
    assert!(Matrix::new(Format::Q8, &[0.0; 20], 20).expect("zeros").row(0).iter().all(|&w| w == 0.0));
    for format in [Format::F16, Format::Q8] {
        let error = Matrix::new(format, &[1e9, 0.0, 0.0], 3).expect_err("too large for f16");
        assert!(error.to_string().contains("65504"), "{error}");
    }
    assert!(Matrix::new(Format::F32, &[1e9], 1).is_ok());
}
