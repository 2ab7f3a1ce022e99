//! Packing and quantisation: what comes back is what went in, within half a step.

use half::f16;
use ocelli::quant::{Format, Matrix, pad_scales, pad_values, quantize_row};
use proptest::prelude::*;

const QUANTIZED: [Format; 2] = [Format::Q8, Format::Q4];

fn block(format: Format) -> usize {
    format.block().expect("a format with scales")
}

fn peak(block: &[f32]) -> f32 {
    block.iter().fold(0.0f32, |a, w| a.max(w.abs()))
}

/// The largest error that a block may have in q8: half a step of the coarsest scale that the search may choose
/// (peak / 120), and what rounding that scale to f16 (2^-11 of it, or 2^-25 below f16's normal range) does to up to 127
/// steps.
fn half_step(block: &[f32]) -> f32 {
    peak(block) / 120.0 * (0.5 + 127.0 / 2048.0) + 127.0 * 2f32.powi(-25)
}

/// The largest squared error that a block may have in q4. The search tries peak / 8 with the sign that makes the peak -8,
/// where only weights at the other end may be more than half a step off, by at most one; it may only do better.
fn worst_squares(block: &[f32]) -> f32 {
    let step = peak(block) / 8.0;
    let errors = block.iter().map(|w| if w.abs() > 7.5 * step { step } else { 0.5 * step });
    errors.map(|e| (e + peak(block) / 2048.0 + 8.0 * 2f32.powi(-25)).powi(2)).sum()
}

fn squares(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum()
}

fn matrix(format: Format, data: &[f32], cols: usize) -> Matrix {
    Matrix::new(format, data, cols).expect("small weights")
}

/// Waves that no block length divides.
fn waves(length: usize) -> Vec<f32> {
    (0..length).map(|i| (i as f32 * 12.9898).sin() * (i as f32 * 4.1414).cos()).collect()
}

fn weights() -> impl Strategy<Value = Vec<f32>> {
    // Also a block of very small weights, whose scale is below f16's normal range, and one of zeros.
    (prop::collection::vec(-8.0f32..8.0, 1..100), prop::sample::select(vec![1.0, 1e-3, 1e-6, 0.0]))
        .prop_map(|(row, size)| row.into_iter().map(|w| w * size).collect())
}

proptest! {
    #[test]
    fn q8_stays_within_half_a_step(row in weights()) {
        let back = matrix(Format::Q8, &row, row.len()).row(0);
        prop_assert_eq!(back.len(), row.len());
        for (block, found) in row.chunks(block(Format::Q8)).zip(back.chunks(block(Format::Q8))) {
            let bound = half_step(block);
            for (w, f) in block.iter().zip(found) {
                prop_assert!((w - f).abs() <= bound, "{} became {}, expected within {}", w, f, bound);
            }
        }
    }

    #[test]
    fn q4_stays_within_its_squares(row in weights()) {
        let back = matrix(Format::Q4, &row, row.len()).row(0);
        prop_assert_eq!(back.len(), row.len());
        for (block, found) in row.chunks(block(Format::Q4)).zip(back.chunks(block(Format::Q4))) {
            let (off, bound) = (squares(block, found), worst_squares(block));
            prop_assert!(off <= bound, "{:?} became {:?}: {} and {}", block, found, off, bound);
        }
    }

    #[test]
    fn rows_come_back(rows in 1usize..5, cols in 1usize..140, seed in any::<u32>()) {
        let data: Vec<f32> = (0..rows * cols).map(|i| ((i as f32 + seed as f32 % 97.0) * 0.37).sin()).collect();
        // q4: a step of 1 / 5.5, cut off at 7 of them: see `worst_squares` for a sharp bound.
        for (format, bound) in [(Format::F32, 0.0), (Format::F16, 2f32.powi(-11)), (Format::Q8, 0.006), (Format::Q4, 0.19)] {
            let matrix = matrix(format, &data, cols);
            prop_assert_eq!(matrix.packed.values.len(), rows * format.row_bytes(cols));
            prop_assert_eq!(matrix.packed.scales.len(), rows * format.scale_bytes(cols));
            for r in 0..rows {
                let alone = Matrix::new(format, &data[r * cols..(r + 1) * cols], cols).expect("small weights");
                prop_assert_eq!(matrix.row(r), alone.row(0), "{:?}: a row does not depend on its neighbours", format);
                for (found, w) in matrix.row(r).iter().zip(&data[r * cols..]) {
                    prop_assert!((found - w).abs() <= bound, "{:?}: {} became {}", format, w, found);
                }
            }
        }
    }

    /// Stored rows and rows quantised on the way in are packed alike.
    #[test]
    fn stored_and_fresh_are_the_same(rows in 1usize..4, row in weights()) {
        let data = row.repeat(rows);
        for format in QUANTIZED {
            let (values, scales) = quantize_row(format, &row).expect("small weights");
            prop_assert_eq!(values.len(), format.file_row_bytes(row.len()));
            prop_assert_eq!(scales.len(), format.scales(row.len()));
            let scales: Vec<u8> = scales.iter().flat_map(|s| s.to_le_bytes()).collect();
            let packed = matrix(format, &data, row.len()).packed;
            prop_assert_eq!(pad_values(format, &values.repeat(rows), row.len()), packed.values);
            prop_assert_eq!(pad_scales(format, &scales.repeat(rows), row.len()), packed.scales);
        }
    }
}

/// The layout of q4, byte by byte: two's complement, the first of two weights in the low bits, -8 to 7.
#[test]
fn half_bytes_lie_as_documented() {
    let row: Vec<f32> = (-8..8).rev().map(|q| q as f32 * 0.5).chain([1.0, -3.5, 2.0]).collect();
    let (values, scales) = quantize_row(Format::Q4, &row).expect("small weights");
    assert_eq!(scales, [f16::from_f32(0.5)]);
    assert_eq!(values, [0x67, 0x45, 0x23, 0x01, 0xef, 0xcd, 0xab, 0x89, 0x92, 0x04]);
    assert_eq!(matrix(Format::Q4, &row, row.len()).row(0), row);
    // The longer end is the positive one: the scale takes its sign.
    let turned: Vec<f32> = row.iter().map(|w| -w).collect();
    let (same, scales) = quantize_row(Format::Q4, &turned).expect("small weights");
    assert_eq!((same, scales), (values, vec![f16::from_f32(-0.5)]));
    assert_eq!(matrix(Format::Q4, &turned, row.len()).row(0), turned);
}

#[test]
fn the_search_beats_the_peak() {
    for (format, highest, share) in [(Format::Q8, 127.0, 0.9), (Format::Q4, 7.0, 0.8)] {
        let row = waves(64 * block(format));
        let searched = squares(&row, &matrix(format, &row, row.len()).row(0));
        let by_peak: Vec<f32> = row
            .chunks(block(format))
            .flat_map(|block| {
                let scale = f16::from_f32(peak(block) / highest).to_f32();
                block.iter().map(move |w| (w / scale).round() * scale)
            })
            .collect();
        assert!(searched < share * squares(&row, &by_peak), "{format:?}: {searched} and {}", squares(&row, &by_peak));
    }
}

#[test]
fn four_bits_are_for_many_weights() {
    for name in ["text_model.encoder.layers.0.mlp.fc1.weight", "text_model.embeddings.token_embedding.weight"] {
        assert_eq!(Format::Q4.of_matrix(name), Format::Q4, "{name}");
        assert_eq!(Format::F16.of_matrix(name), Format::F16, "{name}");
    }
    for name in [
        "vision_model.embeddings.patch_embedding.weight",
        "vision_model.head.attention.in_proj_weight",
        "text_model.head.weight",
        "text_projection.weight",
    ] {
        assert_eq!(Format::Q4.of_matrix(name), Format::Q8, "{name}");
        assert_eq!(Format::F16.of_matrix(name), Format::F16, "{name}");
    }
}

#[test]
fn zeros_stay_zeros_and_giants_are_refused() {
    for format in QUANTIZED {
        assert!(matrix(format, &[0.0; 50], 50).row(0).iter().all(|&w| w == 0.0));
    }
    for format in [Format::F16, Format::Q8, Format::Q4] {
        let error = Matrix::new(format, &[1e9, 0.0, 0.0], 3).expect_err("too large for f16");
        assert!(error.to_string().contains("65504"), "{error}");
    }
    assert!(Matrix::new(Format::F32, &[1e9], 1).is_ok());
}
