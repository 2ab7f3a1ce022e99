//! Folders that `ocelli quantize` wrote, damaged: what is stored beside what, and in which type.

use std::sync::LazyLock;

use ocelli::quant::{Format, Matrix};
use proptest::{prelude::*, test_runner::RngSeed};

use super::{files as files_of, written::one_file, *};

/// What a model file may look like: the four JSON files and the tensors.
type Files = ([Vec<u8>; 4], Vec<u8>);

fn written(format: Format) -> Files {
    (files_of("siglip").0, one_file(&fixture("siglip"), format))
}

static Q8: LazyLock<Files> = LazyLock::new(|| written(Format::Q8));
static Q4: LazyLock<Files> = LazyLock::new(|| written(Format::Q4));

/// Opens and reads everything.
fn load((json, weights): Files, format: Option<Format>) -> Result<Vec<Matrix>, Error> {
    let InMemory { weights, host, .. } = InMemory::load(&checkpoint(json, weights)?, format)?;
    Ok(weights.into_iter().chain(host).collect())
}

/// Not of the first block, which has 8 bits in q4 too.
const FC1: &str = "text_model.encoder.layers.1.mlp.fc1.weight";
const BIAS: &str = "text_model.encoder.layers.1.mlp.fc1.bias";

/// The header of a written folder changed, and the sentence with which it is refused.
fn refusal(files: &Files, change: impl FnOnce(&mut serde_json::Map<String, Value>)) -> String {
    let (json, mut weights) = files.clone();
    with_header(&mut weights, change);
    let Err(error) = load((json, weights), None) else { panic!("expected this to be refused") };
    assert_eq!(error.code(), "bad-checkpoint", "{error}");
    error.to_string()
}

#[test]
fn written_folders_load_as_written() {
    for (files, format) in [(&*Q8, Format::Q8), (&*Q4, Format::Q4)] {
        let stored = load(files.clone(), None).expect("sound");
        let fresh = load(files_of("siglip"), Some(format)).expect("unquantised");
        assert_eq!(stored.len(), fresh.len());
        for (stored, fresh) in stored.iter().zip(&fresh) {
            assert_eq!((stored.format, stored.rows, stored.cols), (fresh.format, fresh.rows, fresh.cols));
            assert!(stored.packed == fresh.packed);
        }
        let kept: Vec<Format> = stored.iter().map(|w| w.format).collect();
        assert!(kept.contains(&format) && kept.contains(&Format::Q8) && kept.contains(&Format::F32), "{kept:?}");
    }
}

#[test]
fn half_bytes_have_a_shape_of_their_own() {
    let (h, _) = header(&Q4.1);
    assert_eq!(h["__metadata__"]["ocelli.format"], "q4");
    // 36 columns, two weights a byte; blocks of 32 and of 4
    let rows = h[FC1]["shape"][0].as_u64().expect("a number");
    assert_eq!((&h[FC1]["dtype"], &h[FC1]["shape"]), (&json!("U8"), &json!([rows, 18])));
    let scales = &h[format!("{FC1}.scales")];
    assert_eq!((&scales["dtype"], &scales["shape"]), (&json!("F16"), &json!([rows, 2])));
    assert_eq!(h["vision_model.embeddings.patch_embedding.weight"]["dtype"], "I8");

    let message = refusal(&Q4, |h| h[FC1]["shape"] = json!([18, rows]));
    assert!(message.contains(FC1) && message.contains(&format!("[{rows}, 18] (two weights a byte)")), "{message}");
    assert!(message.contains(&format!("found [18, {rows}]")), "{message}");
    let message = refusal(&Q4, |h| h[FC1]["dtype"] = "I8".into());
    assert!(message.contains(&format!("expected shape [{rows}, 36], found [{rows}, 18]")), "{message}");
    // Where nothing says q4, U8 is a foreign type.
    for format in [json!("q8"), json!("f16")] {
        let message = refusal(&Q4, |h| h["__metadata__"]["ocelli.format"] = format);
        assert!(message.contains("U8") && message.contains("or I8"), "{message}");
    }
    let message = refusal(&Q4, |h| drop(h.remove("__metadata__")));
    assert!(message.contains("expected F64, F32, F16 or BF16, found"), "{message}");
}

#[test]
fn scales_lie_beside_their_matrix() {
    let scales = format!("{FC1}.scales");
    for files in [&*Q8, &*Q4] {
        let blocks = header(&files.1).0[&scales]["shape"].clone();
        let message = refusal(files, |h| {
            let info = h.remove(&scales).expect("scales");
            h.insert("somebody.else".into(), info);
        });
        assert!(message.contains(&scales) && message.contains("found none"), "{message}");
        let message = refusal(files, |h| h[&scales]["shape"] = json!([blocks[1], blocks[0]]));
        assert!(message.contains(&scales) && message.contains(&blocks.to_string().replace(',', ", ")), "{message}");
        let message = refusal(files, |h| h[&scales]["dtype"] = "BF16".into());
        assert!(message.contains("expected F16, found BF16"), "{message}");
    }
}

#[test]
fn only_matrices_are_quantised() {
    for (files, dtype) in [(&*Q8, "I8"), (&*Q4, "I8"), (&*Q4, "U8")] {
        let message = refusal(files, |h| {
            let offset = |at: usize| h[BIAS]["data_offsets"][at].as_u64().expect("an offset");
            let length = offset(1) - offset(0);
            h[BIAS]["dtype"] = dtype.into();
            h[BIAS]["shape"] = json!([length]);
        });
        assert!(message.contains(&format!("{BIAS}: expected F64, F32, F16 or BF16, found {dtype}")), "{message}");
    }
}

#[test]
fn scales_are_finite() {
    for files in [&*Q8, &*Q4] {
        let (json, mut weights) = files.clone();
        let (h, data) = header(&weights);
        let at = h[format!("{FC1}.scales")]["data_offsets"][0].as_u64().expect("an offset") as usize;
        let at = weights.len() - data.len() + at;
        weights[at..at + 2].copy_from_slice(&half::f16::NAN.to_le_bytes());
        let Err(error) = load((json, weights), None) else { panic!("a NaN") };
        assert!(error.to_string().contains(&format!("{FC1}.scales: expected finite numbers")), "{error}");
    }
}

/// The same cases every time; `OCELLI_FULL=1` tries many more, and others each time.
pub fn configuration() -> ProptestConfig {
    let failure_persistence = None;
    if std::env::var_os("OCELLI_FULL").is_some() {
        return ProptestConfig { cases: 20_000, failure_persistence, ..ProptestConfig::default() };
    }
    ProptestConfig { cases: 500, failure_persistence, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(configuration())]

    /// Any bytes in the data, which `tests/fuzz` leaves alone: an error, or finite weights.
    #[test]
    fn damaged_data_never_panic(
        four in any::<bool>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let (json, mut weights) = if four { Q4.clone() } else { Q8.clone() };
        let data = 8 + u64::from_le_bytes(weights[..8].try_into().expect("eight bytes")) as usize;
        for (at, byte) in changes {
            let at = data + at.index(weights.len() - data);
            weights[at] = byte;
        }
        if let Ok(weights) = load((json, weights), None) {
            for weight in &weights {
                prop_assert!(weight.row(weight.rows - 1).iter().all(|w| w.is_finite()), "{:?}", weight.format);
            }
        }
    }
}
