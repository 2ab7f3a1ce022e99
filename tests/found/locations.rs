//! Boxes and masks that a model writes as words: big_vision's rules on sound answers and on broken ones, and its decoder as PyTorch
//! computes it (`tools/make_mask_decoder_fixture.py`).

#[path = "../../src/random.rs"]
#[allow(dead_code, reason = "of the generator only floats are needed")]
mod random;

use std::{collections::HashMap, fs};

use ocelli::{
    Error, Result,
    checkpoint::TensorFile,
    found::{Bounds, CODES, Located, Locations, Mask, MaskDecoder, Rle, Square, upsample},
};
use safetensors::{Dtype, tensor::TensorView};
use serde::Deserialize;

const CAT: &str = "<loc0100><loc0200><loc0300><loc0500> cat";
const DOG: &str = "<loc0000><loc0001><loc1023><loc1022> dog";

fn edges(text: &str) -> Vec<[u16; 4]> {
    Locations::parse(text).found.into_iter().map(|one| one.edges).collect()
}

fn codes(of: impl Fn(usize) -> usize) -> String {
    (0..CODES).map(|at| format!("<seg{:03}>", of(at))).collect()
}

#[test]
fn boxes_are_said_from_the_top() {
    let Locations { found, rejected } = Locations::parse(&format!("{CAT} ; {DOG}"));
    assert!(rejected.is_empty());
    let labels: Vec<&str> = found.iter().map(|one| one.label.as_str()).collect();
    assert_eq!(labels, ["cat", "dog"]);
    assert_eq!(found[0].edges, [100, 200, 300, 500]);
    let size = (640, 480);
    let Bounds { x, y, width, height } = found[0].bounds(size);
    let near = |found: f64, expected: f64| (found - expected).abs() < 1e-9;
    let right = |x, y, width, height, last: f64| {
        near(x, 200.0 / last * 640.0)
            && near(y, 100.0 / last * 480.0)
            && near(width, 300.0 / last * 640.0)
            && near(height, 200.0 / last * 480.0)
    };
    assert!(right(x, y, width, height, 1023.0));
    // Shares of 1024, or x first.
    assert!(!right(x, y, width, height, 1024.0));
    assert!(!right(y, x, height, width, 1023.0));
    // The last place is the edge itself.
    let whole = found[1].bounds(size);
    assert!(near(whole.y + whole.height, 480.0) && near(whole.y, 0.0));
}

/// A thing that is wrong is left out, and those beside it are as if it were not there.
#[test]
fn what_is_wrong_leaves_its_neighbours() {
    let sixteen = codes(|at| at);
    for wrong in [
        // A fifth token: a reader that takes the first four, or the last, has a box.
        "<loc0100><loc0200><loc0300><loc0500><loc0600> cat",
        "<loc0200><loc0300><loc0500> cat",
        "<loc0100><loc0200><loc0300><loc0500><loc0100><loc0200><loc0300><loc0500> cat",
        // No height, no width, and the two edges exchanged.
        "<loc0300><loc0200><loc0300><loc0500> cat",
        "<loc0100><loc0500><loc0300><loc0500> cat",
        "<loc0300><loc0200><loc0100><loc0500> cat",
        "<loc0100><loc0500><loc0300><loc0200> cat",
        // Beyond the last place, and other numbers of digits.
        "<loc0100><loc0200><loc1024><loc0500> cat",
        "<loc100><loc0200><loc0300><loc0500> cat",
        "<loc0100><loc0200><loc0300><loc+500> cat",
        "<loc0100><loc0200><loc0300><loc00500> cat",
        // In the wrong place, or cut off.
        "cat <loc0100><loc0200><loc0300><loc0500>",
        "<loc0100><loc0200><loc0300><loc0500> cat <loc0100>",
        "<loc0100><loc0200><loc0300><loc05",
        "<loc0100><loc0200><loc0300><loc0500",
        "<loc0100><loc0200><loc0300><loc0500> cat <seg000>",
        "no cats",
        &format!("<loc0100><loc0200><loc0300><loc0500>{} cat", codes(|at| at).replace("<seg015>", "")),
        &format!("<loc0100><loc0200><loc0300><loc0500>{sixteen}<seg016> cat"),
        &format!("<loc0100><loc0200><loc0300><loc0500>{} cat", codes(|at| 113 + at)),
        &format!("<loc0100><loc0200><loc0300><loc0500>{} cat", codes(|at| 300 + at)),
        &format!("{sixteen}<loc0100><loc0200><loc0300><loc0500> cat"),
    ] {
        let Locations { found, rejected } = Locations::parse(&format!("{CAT} ; {wrong} ; {DOG}"));
        assert_eq!(rejected, [wrong]);
        let neighbours = Locations::parse(&format!("{CAT};{DOG}"));
        assert_eq!(found, neighbours.found, "{wrong}");
    }
}

#[test]
fn spaces_names_and_ends_vary() {
    let box_alone = "<loc0100><loc0200><loc0300><loc0500>";
    for text in [box_alone, &format!(" {box_alone} \n"), &format!("{box_alone} ;"), &format!("; ;{box_alone}")] {
        let found = Locations::parse(text);
        let expected = Located { label: String::new(), edges: [100, 200, 300, 500], codes: None };
        assert_eq!(found, Locations { found: vec![expected], rejected: vec![] }, "{text:?}");
    }
    assert_eq!(Locations::parse(""), Locations::default());
    assert_eq!(edges("<loc0001> <loc0002> <loc0003> <loc0004> a b"), [[1, 2, 3, 4]]);
    let one = Locations::parse(&format!("{box_alone}{} two red cats", codes(|at| 127 - at))).found.remove(0);
    assert_eq!(one.label, "two red cats");
    assert_eq!(one.codes, Some([127, 126, 125, 124, 123, 122, 121, 120, 119, 118, 117, 116, 115, 114, 113, 112]));
}

#[derive(Deserialize)]
struct Case {
    codes: [u8; CODES],
    /// Row by row: `[64, 64]`.
    scores: Vec<f32>,
    /// Taken from them before they are resized, so that half are above 0.
    shift: f32,
    masks: Vec<Sized>,
}

#[derive(Deserialize)]
struct Sized {
    width: usize,
    height: usize,
    /// Run lengths over rows, not columns.
    counts: Vec<usize>,
}

fn cases() -> Vec<Case> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/found/mask_decoder.json");
    serde_json::from_slice(&fs::read(path).expect("a fixture")).expect("JSON")
}

/// The weights of the fixture: a sequence for each name.
fn weights(name: &str, shape: &[usize]) -> Vec<f32> {
    let seed = name.bytes().fold(0u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
    let scale = match shape {
        [_] => 0.1,
        [_, _] => 1.0,
        [_, rest @ ..] => 2.5 / (rest.iter().product::<usize>() as f64).sqrt(),
        [] => unreachable!("a weight has a shape"),
    };
    let floats = random::Random::new(seed).floats(shape.iter().product());
    floats.into_iter().map(|x| (f64::from(x) * scale) as f32).collect()
}

fn decoder(change: impl Fn(&str, &[usize], Vec<f32>) -> Vec<f32>) -> MaskDecoder {
    MaskDecoder::load(|name, shape| Ok(change(name, shape, weights(name, shape)))).expect("weights")
}

/// The largest difference to the reference, as a share of its largest number.
fn error(decoder: &MaskDecoder, codes: &[u8; CODES], case: &Case) -> f32 {
    let square = decoder.decode(codes);
    assert_eq!(square.side, 64);
    let most = case.scores.iter().fold(0f32, |most, x| most.max(x.abs()));
    square.scores.iter().zip(&case.scores).fold(0f32, |worst, (a, b)| worst.max((a - b).abs())) / most
}

#[test]
fn masks_are_those_of_the_reference() {
    let right = decoder(|_, _, weights| weights);
    // Kernels are mirrored, a transposed kernel's sides exchanged, a layer left out, a bias too.
    let mirrored = |kind: &'static str| {
        decoder(move |_, shape, weights| match shape {
            [_, _, side, _] if *side > 1 && (*side == 4) == (kind == "transposed") => {
                weights.chunks_exact(side * side).flat_map(|kernel| kernel.iter().rev().copied()).collect()
            }
            _ => weights,
        })
    };
    let without = |part: &'static str| {
        decoder(move |name, _, weights| if name == part { vec![0.0; weights.len()] } else { weights })
    };
    let wrong = [
        mirrored("plain"),
        mirrored("transposed"),
        without("decoder.3.net.4.weight"),
        without("decoder.0.bias"),
        without("decoder.12.bias"),
    ];
    for case in &cases() {
        let found = error(&right, &case.codes, case);
        assert!(found < 1e-5, "{found}");
        for (at, wrong) in wrong.iter().enumerate() {
            let found = error(wrong, &case.codes, case);
            assert!(found > 1e-3, "wrong variant {at}: {found}");
        }
        // Codes column by column.
        let turned = std::array::from_fn(|at| case.codes[at % 4 * 4 + at / 4]);
        assert!(error(&right, &turned, case) > 1e-2);
    }
}

#[test]
fn masks_are_resized_as_pillow_does() {
    let mut seen = 0;
    for case in cases() {
        let square = Square { side: 64, scores: case.scores.iter().map(|x| x - case.shift).collect() };
        for sized in &case.masks {
            let (width, height) = (sized.width, sized.height);
            let found = square.mask(width, height);
            let mut expected = Vec::new();
            for (turn, &run) in sized.counts.iter().enumerate() {
                expected.extend(std::iter::repeat_n(turn % 2 == 1, run));
            }
            assert_eq!((found.width, found.height), (width, height));
            assert_eq!(found.bits, expected, "{width} × {height}");
            // Without smoothing, where it shrinks.
            let sharp: Vec<bool> = upsample(&square.scores, 64, width, height).iter().map(|&x| x > 0.0).collect();
            if width > 1 && width < 40 && height < 40 {
                assert_ne!(sharp, expected, "{width} × {height}");
                seen += 1;
            }
        }
    }
    assert!(seen > 1);
}

/// The mask is in its box, which begins and ends at whole pixels, and nowhere else.
#[test]
fn masks_lie_in_their_boxes() {
    // All inside: no weight but the last bias.
    let full = decoder(|name, _, weights| vec![if name == "decoder.12.bias" { 1.0 } else { 0.0 }; weights.len()]);
    let one = |edges| Located { label: String::new(), edges, codes: Some([0; CODES]) };
    let mask = |edges, size| one(edges).mask(&one(edges).square(&full).expect("it has codes"), size);
    let bounds = |edges, size| mask(edges, size).map(|mask: Mask| (mask.area(), mask.bounds()));
    let (area, found) = bounds([100, 200, 300, 500], (640, 480)).expect("a mask");
    // 100 / 1023 · 480 = 46.9, 200 / 1023 · 640 = 125.1, 300 / 1023 · 480 = 140.8, 500 / 1023 · 640 = 312.8: towards zero.
    assert_eq!(found, Some(Bounds::of_edges([125.0, 46.0, 312.0, 140.0])));
    assert_eq!(area, (312 - 125) * (140 - 46));
    for side in 1..300 {
        let (area, _) = bounds([0, 0, 1023, 1023], (side, 7)).expect("a mask");
        assert_eq!(area, side as usize * 7, "{side}: the last column, too");
    }
    assert_eq!(bounds([99, 200, 100, 500], (640, 480)), None, "less than a pixel");
    assert_eq!(Located { codes: None, ..one([0, 0, 9, 9]) }.square(&full), None);
    let Rle { size, .. } = mask([0, 0, 9, 9], (640, 480)).expect("a mask").rle();
    assert_eq!(size, [480, 640]);
}

/// What becomes of a tensor's shape and numbers; without a shape there is none.
type Change<'a> = &'a dyn Fn(&str, &mut Vec<usize>, &mut Vec<f32>);

/// `masks.safetensors`; with a message for what is not as it should be.
#[test]
fn weights_come_from_a_file() {
    let mut all: HashMap<String, (Vec<usize>, Vec<f32>)> = HashMap::new();
    let keep = |name: &str, shape: &[usize]| {
        let floats = weights(name, shape);
        all.insert(name.into(), (shape.to_vec(), floats.clone()));
        Ok(floats)
    };
    MaskDecoder::load(keep).expect("weights");
    let file = |change: Change| -> Result<MaskDecoder> {
        let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = all
            .iter()
            .map(|(name, (shape, floats))| {
                let (mut shape, mut floats) = (shape.clone(), floats.clone());
                change(name, &mut shape, &mut floats);
                (name.clone(), shape, floats.iter().flat_map(|x| x.to_le_bytes()).collect())
            })
            .filter(|(_, shape, _): &(_, Vec<usize>, _)| !shape.is_empty())
            .collect();
        let views = bytes.iter().map(|(name, shape, bytes)| {
            (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).expect("a tensor"))
        });
        let file = TensorFile::parse(MaskDecoder::FILE, safetensors::serialize(views, None).expect("a file"))?;
        MaskDecoder::load(|name, shape| file.floats(name, shape))
    };
    let case = &cases()[0];
    let decoder = file(&|_, _, _| {}).expect("a decoder");
    assert!(error(&decoder, &case.codes, case) < 1e-5);
    let says = |change: Change| match file(change) {
        Ok(_) => panic!("expected an error"),
        Err(error @ Error::BadCheckpoint(_)) => error.to_string(),
        Err(other) => panic!("expected a bad checkpoint, found {other}"),
    };
    let missing = says(&|name, shape, floats| {
        if name == "decoder.6.bias" {
            (*shape, *floats) = (vec![], vec![]);
        }
    });
    assert_eq!(missing, "masks.safetensors: decoder.6.bias: expected a tensor of [64], found none");
    let shape = says(&|name, shape, _| {
        if name == "decoder.6.weight" {
            shape.swap(0, 1);
        }
    });
    assert_eq!(
        shape,
        "masks.safetensors: decoder.6.weight: expected floats of [128, 64, 4, 4], found F32 of [64, 128, 4, 4]"
    );
    let infinite = says(&|name, _, floats| {
        if name == "decoder.12.bias" {
            floats[0] = f32::NAN;
        }
    });
    assert_eq!(infinite, "masks.safetensors: decoder.12.bias: expected finite numbers, found NaN at element 0");
    let page = TensorFile::parse(MaskDecoder::FILE, b"<!doctype html>".to_vec()).err().expect("no tensors").to_string();
    assert!(page.contains("masks.safetensors: expected a safetensors header, found a web page"), "{page}");
}
