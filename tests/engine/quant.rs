//! Packing and quantisation: what comes back is what went in, within half a step.

use std::path::{Path, PathBuf};

use half::f16;
use ocelli::{
    Checkpoint, model,
    quant::{Format, Loss, Matrix, Order, PACKING, Packed, pack, pad_scales, pad_values, quantize_row},
    quantize::losses,
};
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
            prop_assert_eq!(pad_values(format, &values.repeat(rows), row.len()).into_owned(), packed.values);
            prop_assert_eq!(pad_scales(format, &scales.repeat(rows), row.len()).into_owned(), packed.scales);
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
    for name in [
        "text_model.encoder.layers.1.mlp.fc1.weight",
        "vision_model.encoder.layers.10.self_attn.q_proj.weight",
        "text_model.embeddings.token_embedding.weight",
    ] {
        assert_eq!(Format::Q4.of_matrix(name), Format::Q4, "{name}");
        assert_eq!(Format::F16.of_matrix(name), Format::F16, "{name}");
    }
    for name in [
        "vision_model.embeddings.patch_embedding.weight",
        "vision_model.encoder.layers.0.self_attn.out_proj.weight",
        "text_model.encoder.layers.0.mlp.fc2.weight",
        "vision_model.head.attention.in_proj_weight",
        "text_model.head.weight",
        "text_projection.weight",
        "box_head.dense0.weight",
        "class_head.dense0.weight",
        "decoder.reduces.1.weight",
        "decoder.layers.1.mlp.fc1.weight",
    ] {
        assert_eq!(Format::Q4.of_matrix(name), Format::Q8, "{name}");
        assert_eq!(Format::F16.of_matrix(name), Format::F16, "{name}");
    }
}

/// What browsers keep of a model is met again by the format's name and this version alone.
#[test]
fn other_bytes_are_another_version() {
    let weights: Vec<f32> = (0..210u32).map(|i| i.wrapping_mul(2_654_435_761) as i32 as f32 / 2f32.powi(31)).collect();
    let found = [Format::F16, Format::Q8, Format::Q4].map(|format| {
        let Packed { values, scales } = pack(format, &weights, 70).expect("small weights");
        let bytes = [values, scales].concat();
        // FNV-1a
        bytes.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, &b| (hash ^ u64::from(b)).wrapping_mul(0x100_0000_01b3))
    });
    let expected = [0xff8b_f1aa_832e_d75d, 0x6287_abd7_3c23_77ed, 0x558f_ca73_73fe_b5a4];
    assert_eq!((PACKING, found), (1, expected), "packed bytes have changed: raise quant::PACKING, and write both here");
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

/// What a matrix may lose, as its relative RMS error. The promise is 0.6 % for q8 and 9 % for q4. Weights drawn from a bell
/// curve lose 0.40 % and 8.1 %, trained ones, whose tails are longer, up to 0.44 % and 8.9 %; of q8 more is asked here than
/// is promised, for plain rounding in blocks of 32 would keep the promise (0.46 to 0.62 %).
fn bound(format: Format) -> f64 {
    match format {
        Format::Q8 => 0.0045,
        Format::Q4 => 0.09,
        other => panic!("{other:?} is not bounded here"),
    }
}

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Highest step on each side.
fn highest(format: Format) -> f32 {
    if format == Format::Q8 { 127.0 } else { 7.0 }
}

/// Rounds to steps of `scale`.
fn rounded(block: &[f32], scale: f32, format: Format) -> impl Iterator<Item = f32> {
    let (scale, highest) = (f16::from_f32(scale).to_f32(), highest(format));
    let step = move |w: f32| if scale == 0.0 { 0.0 } else { (w / scale).round().clamp(-highest, highest) * scale };
    block.iter().map(move |&w| step(w))
}

/// A bad way to quantise a row.
type Wrong = fn(&[f32], Format) -> Vec<f32>;

/// The usual way: blocks of 32, and a scale that takes the peak to the highest step.
fn plain(row: &[f32], format: Format) -> Vec<f32> {
    row.chunks(32).flat_map(|block| rounded(block, peak(block) / highest(format), format)).collect()
}

/// Each block with the scale of the next one, in a ring.
fn shifted(row: &[f32], format: Format) -> Vec<f32> {
    let blocks = || row.chunks(block(format));
    let next = blocks().skip(1).chain(blocks().take(1));
    blocks().zip(next).flat_map(|(block, next)| rounded(block, peak(next) / highest(format), format)).collect()
}

fn wrong_rms(weights: &[f32], cols: usize, format: Format, wrong: Wrong) -> f64 {
    let mut loss = Loss::default();
    weights.chunks_exact(cols).for_each(|row| loss.add_row(row, &wrong(row, format)));
    loss.relative_rms()
}

/// The default model's matrices. It is shipped in q8: a step of its own size of noise makes of them what they were, or
/// something alike, which no q8 finds too easy.
fn default_model() -> Vec<(String, usize, Vec<f32>)> {
    let checkpoint = Checkpoint::open(&root("www/models/ocelli-tiny")).expect("the default model");
    let mut seed = 1u32;
    let mut noise = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        seed as f32 / u32::MAX as f32 - 0.5
    };
    let mut matrices = Vec::new();
    for entry in model::entries(&checkpoint).expect("sound").into_iter().filter(|e| e.matrix) {
        let tensor = checkpoint.matrix(&entry.name, &entry.shape).expect("sound");
        let (rows, cols, blocks) = (tensor.rows, tensor.cols, Format::Q8.scales(tensor.cols));
        let scales = checkpoint.scales(&tensor, blocks).expect("in q8");
        let [values, halves] = [&tensor, &scales].map(|tensor| {
            let slices = tensor.slices(0..rows, usize::MAX);
            checkpoint.read(slices[0].file, slices[0].bytes.clone()).expect("sound")
        });
        let values = pad_values(Format::Q8, &values, cols).into_owned();
        let packed = Packed { values, scales: pad_scales(Format::Q8, &halves, cols).into_owned() };
        let scales = checkpoint.rows_f32(&scales, 0..rows).expect("sound");
        let matrix = Matrix { format: Format::Q8, rows, cols, order: Order::Rows, packed };
        let weights = (0..rows).flat_map(|row| {
            let steps = &scales[row * blocks..];
            matrix.row(row).into_iter().enumerate().map(|(k, w)| w + noise() * steps[k / 16]).collect::<Vec<_>>()
        });
        matrices.push((entry.name, cols, weights.collect()));
    }
    assert!(matrices.len() > 50, "{}", matrices.len());
    matrices
}

/// Every matrix of every fixture, and of the default model.
#[test]
fn every_matrix_keeps_its_promise() {
    let mut matrices = default_model();
    for name in ["clip", "clip-eos", "siglip", "siglip-bf16", "siglip2", "naflex", "open-clip", "open-clip-siglip"] {
        let checkpoint = Checkpoint::open(&root("tests/fixtures").join(name)).expect("a sound fixture");
        for entry in model::entries(&checkpoint).expect("sound").into_iter().filter(|e| e.matrix) {
            let tensor = checkpoint.tensor(&entry.name, &entry.shape).expect("sound");
            let weights = checkpoint.rows_f32(&tensor, 0..tensor.rows).expect("sound");
            matrices.push((entry.name, tensor.cols, weights));
        }
        // The same by way of the library.
        for (matrix, loss) in losses(&checkpoint, Format::Q4).expect("sound") {
            let (format, found) = (Format::Q4.of_matrix(&matrix), loss.relative_rms());
            assert!(found > 0.0 && found <= bound(format), "{name}: {matrix}: {found} in {format:?}");
        }
    }
    let mut worst = [0.0f64; 2];
    for (name, cols, weights) in &matrices {
        for (worst, format) in worst.iter_mut().zip(QUANTIZED) {
            if format.of_matrix(name) != format {
                continue;
            }
            let mut loss = Loss::default();
            loss.add(format, weights, *cols).expect("small weights");
            let (found, bound) = (loss.relative_rms(), bound(format));
            assert!(found > 0.0 && found <= bound, "{name}: {format:?}: expected at most {bound}, found {found}");
            *worst = worst.max(found);
            // The bound has met what it must refuse, where a row has blocks enough to tell.
            if *cols >= 128 {
                for (what, wrong) in [("plain rounding", plain as Wrong), ("scales of the next block", shifted)] {
                    let found = wrong_rms(weights, *cols, format, wrong);
                    assert!(found > bound, "{name}: {format:?}: {what}: {found} is within {bound}");
                }
            }
        }
    }
    println!("{} matrices: at most {:.5} in q8, {:.4} in q4", matrices.len(), worst[0], worst[1]);
}

#[test]
fn losses_grow_with_fewer_bits() {
    let source = Checkpoint::open(&root("tests/fixtures/siglip")).expect("sound");
    let matrices = model::entries(&source).expect("sound").into_iter().filter(|e| e.matrix);
    let names: Vec<String> = matrices.map(|e| e.name).collect();
    let rms = |format| {
        let losses = losses(&source, format).expect("sound");
        assert_eq!(losses.iter().map(|(name, _)| name).collect::<Vec<_>>(), names.iter().collect::<Vec<_>>());
        losses.into_iter().map(|(_, loss)| loss.relative_rms()).collect::<Vec<_>>()
    };
    assert!(rms(Format::F32).iter().all(|&rms| rms == 0.0));
    let (f16, q8, q4) = (rms(Format::F16), rms(Format::Q8), rms(Format::Q4));
    for at in 0..names.len() {
        assert!(f16[at] > 0.0 && f16[at] < 5e-4 && q8[at] > 5.0 * f16[at], "{}: {} {}", names[at], f16[at], q8[at]);
        let four_bits = Format::Q4.of_matrix(&names[at]) == Format::Q4;
        assert_eq!(q4[at] > q8[at], four_bits, "{}: {} {}", names[at], q4[at], q8[at]);
    }
}
