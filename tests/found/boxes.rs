//! Boxes and masks as transformers, torchvision, torch and COCO's tools make them, of the numbers in `fixtures/found`; and what must
//! hold of any mask.

use ocelli::{
    config::BoxScale,
    found::{Bounds, DetectOptions, Detection, Hit, Mask, Rle, detections, upsample},
};
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    detections: Vec<Boxes>,
    enlarged: Vec<Enlarged>,
    masks: Vec<Runs>,
    polygons: Vec<Polygons>,
    nearest: Vec<Nearest>,
}

#[derive(Deserialize)]
struct Boxes {
    size: (u32, u32),
    /// `[tokens][labels]`
    logits: Vec<Vec<f32>>,
    /// Before the sigmoid.
    boxes: Vec<[f32; 4]>,
    /// label, score, left, top, right, bottom
    owlvit: Vec<(usize, f64, f64, f64, f64, f64)>,
    owlv2: Vec<(usize, f64, f64, f64, f64, f64)>,
    /// Tokens, best first.
    nms: Vec<u32>,
    /// Tokens and labels, best first.
    nms_by_label: Vec<(u32, usize)>,
}

#[derive(Deserialize)]
struct Enlarged {
    side: usize,
    size: (usize, usize),
    threshold: f64,
    logits: Vec<f32>,
    large: Vec<f64>,
    rle: String,
}

#[derive(Deserialize)]
struct Runs {
    /// Height and width.
    size: [usize; 2],
    counts: Vec<u32>,
    compressed: String,
    area: usize,
    #[serde(rename = "box")]
    bounds: [f64; 4],
}

#[derive(Deserialize)]
struct Polygons {
    size: (usize, usize),
    polygons: Vec<Vec<[f64; 2]>>,
    rle: String,
}

#[derive(Deserialize)]
struct Nearest {
    size: (usize, usize),
    rle: String,
    to: (usize, usize),
    found: String,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("../fixtures/found/found.json")).expect("a fixture")
}

impl Boxes {
    /// All labels of all tokens.
    fn all(&self) -> Vec<Hit> {
        let hit = |token: usize| {
            let labels = self.logits[token].iter().enumerate();
            labels.map(move |(label, &logit)| Hit { token: token as u32, label: label as u32, logit })
        };
        (0..self.logits.len()).flat_map(hit).collect()
    }

    fn detect(&self, scale: BoxScale, options: &DetectOptions) -> Vec<Detection> {
        detections(&self.all(), self.boxes.as_flattened(), self.size, scale, options)
    }
}

/// Detections and the reference's as sets: label, score and edges of each.
fn same(found: &[Detection], expected: &[(usize, f64, f64, f64, f64, f64)]) -> bool {
    let equal = |one: &Detection, &(label, score, left, top, right, bottom): &(usize, f64, f64, f64, f64, f64)| {
        let Bounds { x, y, width, height } = one.bounds;
        let near = |pair: (f64, f64)| (pair.0 - pair.1).abs() < 1e-4;
        let edges = [x, y, x + width, y + height].into_iter().zip([left, top, right, bottom]);
        one.label == label && (f64::from(one.score) - score).abs() < 1e-6 && edges.into_iter().all(near)
    };
    found.len() == expected.len()
        && found.iter().all(|one| expected.iter().filter(|other| equal(one, other)).count() == 1)
}

fn raw() -> DetectOptions {
    DetectOptions { clip: false, ..DetectOptions::default() }
}

#[test]
fn boxes_as_transformers_post_processes_them() {
    for case in fixture().detections {
        let [sides, longer] = [BoxScale::Sides, BoxScale::LongerSide].map(|scale| case.detect(scale, &raw()));
        assert!(same(&sides, &case.owlvit) && same(&longer, &case.owlv2), "{:?}", case.size);
        // Wrong on purpose: each scaled as the other, clipped, all labels, another threshold.
        let square = case.size.0 == case.size.1;
        assert_eq!((same(&longer, &case.owlvit), same(&sides, &case.owlv2)), (square, square));
        for options in [
            DetectOptions::default(),
            DetectOptions { multi_label: true, ..raw() },
            DetectOptions { threshold: 0.2, ..raw() },
            DetectOptions { normalized: true, ..raw() },
        ] {
            assert!(!same(&case.detect(BoxScale::Sides, &options), &case.owlvit), "{options:?}");
        }
        assert!(sides.is_sorted_by(|a, b| a.logit >= b.logit), "best first");
    }
}

#[test]
fn overlapping_boxes_are_suppressed_as_torchvision_does() {
    for case in fixture().detections {
        let options = |multi_label| DetectOptions { threshold: 0.0, nms: Some(0.5), multi_label, ..raw() };
        let pairs = |found: &[Detection]| found.iter().map(|one| (one.token, one.label)).collect::<Vec<_>>();
        for scale in [BoxScale::Sides, BoxScale::LongerSide] {
            let found = case.detect(scale, &options(false));
            assert_eq!(found.iter().map(|one| one.token).collect::<Vec<_>>(), case.nms);
            assert_eq!(pairs(&case.detect(scale, &options(true))), case.nms_by_label);
            // The first few of them, not some of the first few.
            let few = case.detect(scale, &DetectOptions { top_k: Some(5), ..options(false) });
            assert_eq!(few, found[..5]);
            let all = case.detect(scale, &DetectOptions { nms: None, ..options(false) });
            assert!(found[..] != all[..found.len()]);
        }
        // A threshold drops the end of the list, whether before or after.
        let high = case.detect(BoxScale::Sides, &DetectOptions { threshold: 0.3, ..options(false) });
        assert!(!high.is_empty() && high.len() < case.nms.len());
        assert!(high.iter().map(|one| one.token).eq(case.nms[..high.len()].iter().copied()));
    }
}

#[test]
fn every_token_is_listed_once() {
    for case in fixture().detections {
        let options = DetectOptions { threshold: 0.0, top_k: Some(100_000), ..raw() };
        let mut tokens: Vec<u32> = case.detect(BoxScale::Sides, &options).iter().map(|one| one.token).collect();
        tokens.sort_unstable();
        assert!(tokens.into_iter().eq(0..case.logits.len() as u32));
        let all = case.detect(BoxScale::Sides, &DetectOptions { multi_label: true, ..options });
        assert_eq!(all.len(), case.logits.len() * case.logits[0].len());
    }
}

#[test]
fn boxes_end_at_the_picture() {
    for case in fixture().detections {
        for scale in [BoxScale::Sides, BoxScale::LongerSide] {
            let all = DetectOptions { threshold: 0.0, ..DetectOptions::default() };
            let (width, height) = (f64::from(case.size.0), f64::from(case.size.1));
            let found = case.detect(scale, &all);
            let unclipped = case.detect(scale, &DetectOptions { clip: false, ..all.clone() });
            assert_ne!(found, unclipped);
            let shares = case.detect(scale, &DetectOptions { normalized: true, ..all });
            for ((one, raw), share) in found.iter().zip(&unclipped).zip(&shares) {
                let Bounds { x, y, width: w, height: h } = one.bounds;
                assert!(x >= 0.0 && y >= 0.0 && w >= 0.0 && h >= 0.0, "{one:?}");
                assert!(x + w <= width + 1e-9 && y + h <= height + 1e-9, "{one:?}");
                let within = raw.bounds.intersection(Bounds { x: 0.0, y: 0.0, width, height });
                assert!((one.bounds.area() - within).abs() < 1e-6, "{one:?}");
                let Bounds { x: left, y: top, width: across, height: down } = share.bounds;
                for (share, pixels, side) in [(left, x, width), (top, y, height), (across, w, width), (down, h, height)]
                {
                    assert!((share * side - pixels).abs() < 1e-9 && share <= 1.0 + 1e-9);
                }
            }
        }
    }
}

/// One token's logits, all at the same place.
fn at_one_token(logits: &[f32], options: &DetectOptions) -> Vec<(usize, f32)> {
    let hits: Vec<Hit> = (0..).zip(logits).map(|(label, &logit)| Hit { token: 0, label, logit }).collect();
    let found = detections(&hits, &[0.0; 4], (10, 10), BoxScale::Sides, options);
    found.iter().map(|one| (one.label, one.logit)).collect()
}

#[test]
fn several_examples_share_a_label_and_negatives_find_nothing() {
    // Label 0 has two examples, label 1 one, and the last query is not meant.
    let options = |multi_label| DetectOptions {
        owners: vec![Some(0), Some(0), Some(1), None],
        threshold: 0.5,
        multi_label,
        ..DetectOptions::default()
    };
    assert_eq!(at_one_token(&[1.0, 2.0, 1.5, 0.5], &options(false)), [(0, 2.0)]);
    assert_eq!(at_one_token(&[1.0, 2.0, 1.5, 0.5], &options(true)), [(0, 2.0), (1, 1.5)]);
    // The negative is more likely than one label, or than all.
    assert_eq!(at_one_token(&[1.0, 2.0, 1.5, 1.8], &options(true)), [(0, 2.0)]);
    assert_eq!(at_one_token(&[1.0, 2.0, 1.5, 1.8], &options(false)), [(0, 2.0)]);
    for multi_label in [false, true] {
        assert_eq!(at_one_token(&[1.0, 2.0, 1.5, 3.0], &options(multi_label)), []);
        // Queries that were added as padding.
        let owners = vec![Some(0)];
        let found = at_one_token(&[1.0, f32::MIN], &DetectOptions { owners, ..options(multi_label) });
        assert_eq!(found, [(0, 1.0)]);
    }
}

/// Two names for one thing at the picture's edge, found by two tokens.
#[test]
fn two_names_for_one_thing_give_one_box() {
    let hits = [Hit { token: 0, label: 1, logit: 2.0 }, Hit { token: 1, label: 0, logit: 3.0 }];
    // Centre near the right edge, so that both boxes leave the picture.
    let boxes = [3.0, 0.0, 0.0, 0.0, 2.9, 0.1, 0.1, 0.0];
    let find = |options| detections(&hits, &boxes, (40, 30), BoxScale::LongerSide, &options);
    assert_eq!(find(DetectOptions::default()).len(), 2);
    let [one] = find(DetectOptions { nms: Some(0.5), ..DetectOptions::default() })[..] else { panic!("one box") };
    assert_eq!((one.label, one.token), (0, 1));
    assert!(one.bounds.width > 0.0 && one.bounds.x + one.bounds.width == 40.0, "{one:?}");
    assert_eq!(find(DetectOptions { nms: Some(0.5), multi_label: true, ..DetectOptions::default() }).len(), 2);
}

#[test]
fn labels_have_thresholds_of_their_own() {
    let options = |multi_label| DetectOptions {
        threshold: 0.5,
        thresholds: vec![None, Some(0.9), Some(0.1)],
        multi_label,
        ..DetectOptions::default()
    };
    // σ(2) = 0.88, σ(3) = 0.95, σ(-2) = 0.12, σ(-3) = 0.05
    assert_eq!(at_one_token(&[1.0, 2.0, -2.0, -1.0], &options(true)), [(0, 1.0), (2, -2.0)]);
    assert_eq!(at_one_token(&[1.0, 3.0, -3.0, 1.0], &options(true)), [(1, 3.0), (0, 1.0), (3, 1.0)]);
    // The best label decides, also if its own threshold drops it: as in the reference, whose argmax comes first.
    assert_eq!(at_one_token(&[1.0, 2.0, -2.0], &options(false)), []);
    // Of equal ones the first.
    assert_eq!(at_one_token(&[1.0, 0.0, 0.0, 1.0], &options(false)), [(0, 1.0)]);
    // A score is above its threshold, or it is not.
    assert_eq!(at_one_token(&[0.0], &options(false)), []);
    assert_eq!(at_one_token(&[f32::MIN], &DetectOptions { threshold: 0.0, ..options(true) }), []);
}

fn rle(mask: &Mask) -> String {
    mask.rle().compressed()
}

#[test]
fn masks_are_enlarged_as_torch_does() {
    for Enlarged { side, size: (width, height), threshold, logits, large, rle: expected } in fixture().enlarged {
        let near = |found: &[f32]| found.iter().zip(&large).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-5);
        let found = upsample(&logits, side, width, height);
        assert!(found.len() == large.len() && near(&found), "{side} to {width} × {height}");
        assert_eq!(rle(&Mask::from_logits(&logits, side, width, height, threshold)), expected);
        // Wrong on purpose: turned, cut by another threshold, the score enlarged instead of the logit.
        let turned: Vec<f32> = (0..side * side).map(|at| logits[at % side * side + at / side]).collect();
        assert!(!near(&upsample(&turned, side, width, height)));
        assert_ne!(rle(&Mask::from_logits(&turned, side, width, height, threshold)), expected);
        assert_ne!(rle(&Mask::from_logits(&logits, side, width, height, threshold + 0.25)), expected);
        if side < width.min(height) {
            let scores: Vec<f32> = logits.iter().map(|x| 1.0 / (1.0 + (-x).exp())).collect();
            let bits = upsample(&scores, side, width, height).iter().map(|&x| f64::from(x) > threshold).collect();
            assert_ne!(rle(&Mask { width, height, bits }), expected);
        }
        let all = |threshold| Mask::from_logits(&logits, side, width, height, threshold).area();
        assert_eq!((all(0.0), all(1.0)), (width * height, 0));
    }
}

#[test]
fn a_score_at_the_threshold_is_not_above_it() {
    // σ(0) = 0.5
    let area = |logit: f32| Mask::from_logits(&[logit; 4], 2, 5, 3, 0.5).area();
    assert_eq!((area(0.0), area(1e-6), area(-1e-6)), (0, 15, 0));
}

#[test]
fn run_lengths_are_coco_s() {
    let mut others = 0;
    for Runs { size, counts, compressed, area, bounds } in fixture().masks {
        let rle = Rle { size, counts };
        let mask = rle.mask().expect("runs that fit");
        assert_eq!(mask.rle(), rle);
        assert_eq!(rle.compressed(), compressed);
        assert_eq!(Rle::of_compressed(&compressed, size).expect("COCO's string"), rle);
        assert_eq!(mask.area(), area);
        let [x, y, width, height] = bounds;
        assert_eq!(mask.bounds().unwrap_or_default(), Bounds { x, y, width, height });
        assert_eq!(mask.bounds().is_none(), area == 0);
        // Row by row is another mask.
        let turned = Rle { size: [size[1], size[0]], counts: rle.counts.clone() }.mask().expect("as many pixels");
        others += usize::from(turned.bits != mask.bits);
    }
    assert!(others > 4, "{others}");
}

#[test]
fn broken_run_lengths_are_refused() {
    let wrong = |text: &str| Rle::of_compressed(text, [4, 4]).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(wrong("0 0").contains("another letter"));
    assert!(wrong("~").contains("another letter"));
    assert!(wrong("PPPPPPPPPPPP1").contains("without end"));
    assert!(wrong("P").contains("the end amid"));
    assert!(wrong("O").contains("below zero"));
    let error = Rle { size: [2, 3], counts: vec![1, 4] }.mask().expect_err("too few pixels").to_string();
    assert!(error.contains("expected 2 × 3 pixels, found 5"), "{error}");
    assert!(Rle { size: [usize::MAX, 3], counts: vec![1, 4] }.mask().is_err());
}

#[test]
fn polygons_are_drawn_as_coco_draws_them() {
    for Polygons { size: (width, height), polygons, rle: expected } in fixture().polygons {
        let mask = Mask::from_polygons(&polygons, width, height).expect("polygons nearby");
        assert_eq!(rle(&mask), expected, "{width} × {height}");
        let moved: Vec<Vec<[f64; 2]>> =
            polygons.iter().map(|ring| ring.iter().map(|[x, y]| [x + 0.5, *y]).collect()).collect();
        assert_ne!(rle(&Mask::from_polygons(&moved, width, height).expect("polygons nearby")), expected);
    }
    for point in [[f64::NAN, 1.0], [1.0, f64::INFINITY], [1e9, 0.0]] {
        let error = Mask::from_polygons(&[vec![[0.0, 0.0], point]], 4, 4).expect_err("far away").to_string();
        assert!(error.contains("4 × 4"), "{error}");
    }
    assert_eq!(Mask::from_polygons(&[vec![]], 3, 2).expect("nothing").area(), 0);
}

#[test]
fn masks_are_made_smaller_as_torch_does() {
    for Nearest { size: (width, height), rle: text, to, found } in fixture().nearest {
        let mask = Rle::of_compressed(&text, [height, width]).and_then(|rle| rle.mask()).expect("a mask");
        assert_eq!(rle(&mask.nearest(to.0, to.1)), found, "{width} × {height}");
        assert_eq!(mask.nearest(width, height), mask);
    }
}

/// Twice the area within a ring, positive if it runs clockwise on the screen.
fn signed(ring: &[[f64; 2]]) -> f64 {
    let next = ring.iter().cycle().skip(1);
    ring.iter().zip(next).map(|([ax, ay], [bx, by])| ax * by - bx * ay).sum()
}

#[test]
fn outlines_by_hand() {
    let mask = |rows: &[&str]| Mask {
        width: rows[0].len(),
        height: rows.len(),
        bits: rows.iter().flat_map(|row| row.bytes().map(|letter| letter == b'#')).collect(),
    };
    assert_eq!(mask(&["##", "##"]).polygons(0.0), [[[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]]]);
    // A hole runs the other way round.
    let ring = mask(&["###", "#.#", "###"]).polygons(0.0);
    assert_eq!(ring.iter().map(|ring| signed(ring)).collect::<Vec<_>>(), [18.0, -2.0]);
    // Pixels that touch at a corner are two.
    assert_eq!(mask(&["#.", ".#"]).polygons(0.0).len(), 2);
    assert_eq!(mask(&["..", ".."]).polygons(0.0).len(), 0);
    // A staircase becomes a line, a speck nothing.
    let stairs: Vec<String> = (1..=20).map(|count| "#".repeat(count) + &".".repeat(20 - count)).collect();
    let stairs = mask(&stairs.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(stairs.polygons(0.0)[0].len(), 42);
    assert!(stairs.polygons(1.0)[0].len() <= 5, "{:?}", stairs.polygons(1.0));
    assert_eq!(mask(&["...", ".#.", "..."]).polygons(1.0).len(), 0);
}

/// Masks of all kinds: noise, and blobs that a threshold cuts out of something smooth.
fn any_mask() -> impl Strategy<Value = Mask> {
    let noise = (1..20_usize, 1..20_usize).prop_flat_map(|(width, height)| {
        prop::collection::vec(any::<bool>(), width * height).prop_map(move |bits| Mask { width, height, bits })
    });
    let smooth = (prop::collection::vec(-3.0..3.0_f32, 25), 5..70_usize, 5..70_usize)
        .prop_map(|(logits, width, height)| Mask::from_logits(&logits, 5, width, height, 0.5));
    prop_oneof![noise, smooth]
}

proptest! {
    #[test]
    fn run_lengths_come_back(mask in any_mask()) {
        let rle = mask.rle();
        prop_assert_eq!(&rle.mask().expect("its own runs"), &mask);
        prop_assert_eq!(&Rle::of_compressed(&rle.compressed(), rle.size).expect("its own string"), &rle);
        prop_assert_eq!(rle.counts.iter().skip(1).step_by(2).sum::<u32>() as usize, mask.area());
    }

    #[test]
    fn any_string_is_runs_or_an_error(text in "[0-o]{0,40}", other in "\\PC{0,10}") {
        for text in [&text, &other] {
            if let Ok(rle) = Rle::of_compressed(text, [7, 5]) {
                prop_assert_eq!(rle.mask().is_ok(), rle.counts.iter().map(|&run| u64::from(run)).sum::<u64>() == 35);
            }
        }
    }

    #[test]
    fn any_polygons_are_drawn_or_refused(rings in prop::collection::vec(prop::collection::vec([-99.0..99.0_f64, -99.0..99.0], 0..9), 0..4)) {
        let mask = Mask::from_polygons(&rings, 11, 8);
        let near = rings.iter().flatten().all(|[x, y]| x.abs() <= 88.0 && y.abs() <= 64.0);
        prop_assert_eq!(mask.is_ok(), near);
    }

    #[test]
    fn outlines_have_the_mask_s_area(mask in any_mask()) {
        let rings = mask.polygons(0.0);
        prop_assert_eq!(rings.iter().map(|ring| signed(ring)).sum::<f64>() / 2.0, mask.area() as f64);
        // Drawn again as COCO draws, without the holes and with them taken out, it is the same mask.
        let part = |holes: bool| {
            let part: Vec<_> = rings.iter().filter(|ring| (signed(ring) < 0.0) == holes).cloned().collect();
            Mask::from_polygons(&part, mask.width, mask.height).expect("its own polygons")
        };
        // Something within a hole is outlined by itself; noise has that, and then the holes hide it.
        let (whole, holes) = (part(false), part(true));
        for at in 0..mask.bits.len() {
            prop_assert!(mask.bits[at] <= whole.bits[at]);
            prop_assert!(mask.bits[at] || !whole.bits[at] || holes.bits[at]);
        }
    }

    #[test]
    fn simpler_outlines_stay_near(mask in any_mask(), tolerance in 0.5..3.0_f64) {
        let [exact, simple] = [mask.polygons(0.0), mask.polygons(tolerance)];
        let points = |rings: &[Vec<[f64; 2]>]| rings.iter().map(Vec::len).sum::<usize>();
        prop_assert!(points(&simple) <= points(&exact));
        // No ring moves by more than the tolerance along its whole length.
        let length = |ring: &[[f64; 2]]| {
            let next = ring.iter().cycle().skip(1);
            ring.iter().zip(next).map(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1])).sum::<f64>()
        };
        let most: f64 = exact.iter().map(|ring| length(ring)).sum::<f64>() * tolerance;
        let area: f64 = simple.iter().map(|ring| signed(ring)).sum::<f64>() / 2.0;
        prop_assert!((area - mask.area() as f64).abs() <= most, "{} {} {}", area, mask.area(), most);
    }
}

#[test]
fn what_is_not_above_the_least_logit_changes_nothing() {
    let hit = |at: u32| Hit { token: at / 4, label: at % 4, logit: (at as f32 * 0.37).sin() * 6.0 };
    let hits: Vec<Hit> = (0..400).map(hit).collect();
    let boxes = vec![0.0; 400];
    for (threshold, thresholds, owners) in [
        (0.0, vec![], vec![]),
        (0.3, vec![], vec![]),
        (0.9, vec![None, Some(0.2)], vec![]),
        (0.9, vec![], vec![Some(0), None, Some(1), Some(0)]),
        (1.0, vec![], vec![]),
    ] {
        let options = DetectOptions { threshold, thresholds, owners, multi_label: true, ..DetectOptions::default() };
        let find = |hits: &[Hit]| detections(hits, &boxes, (10, 10), BoxScale::Sides, &options);
        let above: Vec<Hit> = hits.iter().copied().filter(|hit| hit.logit > options.least_logit()).collect();
        assert_eq!(find(&above), find(&hits), "{options:?}");
        assert_eq!(above.len() < hits.len(), threshold > 0.0 && options.owners.is_empty(), "{options:?}");
    }
}
