//! `ocelli detect` and `segment` as users meet them, on tiny models whose answers the reference has given.

use std::{collections::BTreeSet, fs, path::Path};

use ocelli::found::{Mask, Rle};
use serde_json::{Value, json};

use crate::program::{fixture, json, list, number, ocelli, refused, write};

const DETECTORS: [&str; 2] = ["owlvit", "owlv2"];
const SEGMENTERS: [&str; 3] = ["clipseg", "clipseg-refined", "clipseg-rd16"];

fn golden(model: &str) -> Value {
    let text = fs::read_to_string(fixture(&format!("{model}/golden.json"))).expect("a fixture");
    serde_json::from_str(&text).expect("JSON")
}

/// Labels as `--labels` takes them, and the place of each among all: an empty one cannot be asked for.
fn labels(all: &[Value]) -> (String, Vec<u64>) {
    let all = all.iter().map(|label| label.as_str().expect("a label").replace('"', "\"\""));
    let (places, quoted): (Vec<u64>, Vec<String>) =
        (0..).zip(all).filter(|(_, label)| !label.is_empty()).map(|(at, label)| (at, format!("\"{label}\""))).unzip();
    (quoted.join(","), places)
}

/// label, token, score and edges of each detection, as far as rounding leaves them.
type Set = Vec<(u64, u64, f64, [f64; 4])>;

fn found(row: &Value, places: &[u64]) -> Set {
    let one = |found: &Value| {
        let [x, y, width, height] = ["x", "y", "width", "height"].map(|side| number(&found["box"][side]));
        let (index, token) = (found["index"].as_u64().expect("an index"), found["token"].as_u64().expect("a token"));
        (places[index as usize], token, number(&found["score"]), [x, y, x + width, y + height])
    };
    let mut set: Set = list(&row["detections"]).iter().map(one).collect();
    assert!(set.is_sorted_by(|a, b| a.2 >= b.2), "best first");
    set.sort_by_key(|one| (one.1, one.0));
    set
}

fn same(found: &Set, expected: &Set, side: f64) -> bool {
    let near = |a: &[f64; 4], b: &[f64; 4]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6 * side);
    let equal = found
        .iter()
        .zip(expected)
        .all(|(a, b)| (a.0, a.1) == (b.0, b.1) && (a.2 - b.2).abs() < 2e-6 && near(&a.3, &b.3));
    found.len() == expected.len() && equal
}

/// Detections are those of the reference's post-processing as sets, in pixels of landscape, portrait and square pictures.
#[test]
fn boxes_are_the_references() {
    for name in DETECTORS {
        let golden = golden(name);
        for case in list(&golden["detections"]) {
            let tokens = list(&golden["images"][case["image"].as_str().expect("a name")]["boxes"]).len() as u64;
            check(name, case, tokens);
        }
    }
}

fn check(name: &str, case: &Value, tokens: u64) {
    let (model, image) = (fixture(name), fixture(&format!("images/{}", case["image"].as_str().expect("a name"))));
    let (threshold, (asked, places)) = (case["threshold"].to_string(), labels(list(&case["labels"])));
    let all_asked = places.len() == list(&case["labels"]).len();
    let nobody: Vec<u64> = list(&case["found"])
        .iter()
        .filter(|one| one["label"].as_u64().is_some_and(|label| !places.contains(&label)))
        .filter_map(|one| one["token"].as_u64())
        .collect();
    let detect = |more: &[&str]| {
        let common = ["detect", "--model", &model, "--labels", &asked];
        let rows = json(&[&common[..], more, &[&image]].concat());
        assert_eq!((list(&rows).len(), &rows[0]["image"]), (1, &json!(image)));
        let mut set = found(&rows[0], &places);
        // What is most like the label that cannot be asked for is something else here.
        set.retain(|one| !nobody.contains(&one.1));
        set
    };
    let (width, height) = (number(&case["width"]), number(&case["height"]));
    let side = width.max(height);
    let mut expected: Set = list(&case["found"])
        .iter()
        .map(|one| {
            let edges: Vec<f64> = list(&one["box"]).iter().map(number).collect();
            let (label, token) = (one["label"].as_u64().expect("a label"), one["token"].as_u64().expect("a token"));
            (label, token, number(&one["score"]), edges.try_into().expect("four"))
        })
        .collect();
    expected.retain(|one| !nobody.contains(&one.1));
    assert!(!expected.is_empty());
    let raw = detect(&["--threshold", &threshold, "--no-clip"]);
    assert!(same(&raw, &expected, side), "{name} {image}: expected {expected:?}, found {raw:?}");

    let clipped = detect(&["--threshold", &threshold]);
    let cut = |&(label, token, score, [l, t, r, b]): &(u64, u64, f64, [f64; 4])| {
        (label, token, score, [l.clamp(0.0, width), t.clamp(0.0, height), r.clamp(0.0, width), b.clamp(0.0, height)])
    };
    let cut: Set = expected.iter().map(cut).collect();
    assert!(same(&clipped, &cut, side), "{name} {image}: expected {cut:?}, found {clipped:?}");
    let shares = detect(&["--threshold", &threshold, "--normalized"]);
    assert!(shares.iter().flat_map(|one| one.3).all(|edge| (0.0..=1.0 + 1e-9).contains(&edge)), "{shares:?}");

    let pairs = |set: &Set| set.iter().map(|one| (one.1, one.0)).collect::<BTreeSet<_>>();
    let several = detect(&["--threshold", &threshold, "--multi-label"]);
    let pair = |pair: &Value| (pair[0].as_u64().expect("a token"), pair[1].as_u64().expect("a label"));
    let mut every: BTreeSet<_> = list(&case["multi_label"]).iter().map(pair).collect();
    every.retain(|(token, label)| places.contains(label) && !nobody.contains(token));
    assert_eq!(pairs(&several), every, "{name} {image}");
    if let Some(nms) = case["nms"].as_object().filter(|_| all_asked) {
        let kept = detect(&["--threshold", &threshold, "--nms", &nms["iou"].to_string()]);
        let tokens: BTreeSet<u64> = list(&nms["tokens"]).iter().filter_map(Value::as_u64).collect();
        assert_eq!(kept.iter().map(|one| one.1).collect::<BTreeSet<_>>(), tokens, "{name} {image}");
        assert!(kept.len() < raw.len());
    }
    let all = detect(&["--threshold", "0", "--top-k", "100000", "--no-clip"]);
    assert_eq!(all.len() + nobody.len(), tokens as usize, "every token once");
    assert_eq!(all.iter().map(|one| one.1).collect::<BTreeSet<_>>().len(), all.len());
    let best = detect(&["--threshold", &threshold, "--top-k", "1"]);
    assert!(best.iter().all(|best| raw.iter().all(|one| one.2 <= best.2)) && best.len() <= 1);
}

/// A smaller square than the model's own: fewer tokens, and the reference's numbers for them.
#[test]
fn a_smaller_canvas_is_the_references() {
    let (golden, model) = (golden("owlv2"), fixture("owlv2"));
    let canvas = &golden["canvas"];
    let (side, label) = (canvas["side"].to_string(), golden["texts"][0]["text"].as_str().expect("a text"));
    for (image, case) in canvas["images"].as_object().expect("pictures") {
        let image = fixture(&format!("images/{image}"));
        let (width, height) = image::image_dimensions(&image).expect("a picture");
        let longer = f64::from(width.max(height));
        let expected: Set = list(&case["boxes"])
            .iter()
            .zip(list(&case["logits"]))
            .zip(0..)
            .map(|((numbers, logits), token)| {
                let [x, y, w, h] = [0, 1, 2, 3].map(|at| longer * number(&numbers[at]));
                let edges = [x - w / 2.0, y - h / 2.0, x + w / 2.0, y + h / 2.0];
                (0, token, 1.0 / (1.0 + (-number(&logits[0])).exp()), edges)
            })
            .collect();
        let ask = |canvas: &[&str]| {
            let detect = ["detect", "--model", &model, "--labels", label, "--threshold", "0", "--no-clip", &image];
            found(&json(&[&detect[..], canvas].concat())[0], &[0])
        };
        assert!(same(&ask(&["--canvas", &side]), &expected, longer), "{image}");
        assert!(ask(&[]).len() > expected.len());
    }
    let image = fixture("images/rgb-61x37.png");
    let why = refused(&["detect", "--model", &model, "--labels", "a cat", "--canvas", "28", &image]);
    assert!(why.contains("canvas: expected a multiple of 9"), "{why}");
}

#[test]
fn detections_are_drawn_and_written_as_a_data_set() {
    let folder = tempfile::tempdir().expect("a folder");
    let (model, image) = (fixture("owlv2"), fixture("images/rgb-61x37.png"));
    let [drawn, data] = ["drawn.png", "coco.json"].map(|name| folder.path().join(name).display().to_string());
    let ask = ["detect", "--model", &model, "--labels", "a cat,two dogs", "--threshold", "0", "--top-k", "3"];
    let more = ["--template", "a photo of {}", "--draw", &drawn, "--coco", &data, &image];
    let rows = json(&[&ask[..], &more].concat());
    let picture = |path: &str| image::open(path).expect("a picture").to_rgb8();
    assert_eq!(picture(&drawn).dimensions(), (61, 37));
    assert_ne!(picture(&drawn), picture(&image));
    let data: Value = serde_json::from_slice(&fs::read(&data).expect("a file")).expect("JSON");
    assert_eq!((&data["images"][0]["width"], &data["categories"][1]["name"]), (&json!(61), &json!("two dogs")));
    for (annotation, one) in list(&data["annotations"]).iter().zip(list(&rows[0]["detections"])) {
        assert_eq!(annotation["score"], one["score"]);
        assert_eq!(number(&annotation["bbox"][2]), number(&one["box"]["width"]));
        assert_eq!(annotation["category_id"].as_u64(), one["index"].as_u64().map(|index| index + 1));
    }
    assert_eq!(list(&data["annotations"]).len(), 3);
    // Another template asks something else.
    assert_ne!(json(&[&ask[..], &[&image]].concat())[0]["detections"][0]["score"], rows[0]["detections"][0]["score"]);
    let people = ocelli(&[&ask[..], &more].concat());
    let people = String::from_utf8_lossy(&people.stdout).into_owned();
    assert!(people.lines().count() == 4 && people.contains(" × ") && people.contains("sky blue"), "{people}");
}

/// Float32 of a NumPy file, and its shape as it is written.
fn numpy(path: &Path) -> (String, Vec<f32>) {
    let bytes = fs::read(path).expect("a file");
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
    let length = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    assert_eq!(length % 64, 0);
    let header = String::from_utf8_lossy(&bytes[10..length]);
    let shape = header.split("'shape': ").nth(1).and_then(|rest| rest.split(')').next()).expect("a shape");
    assert!(header.contains("'descr': '<f4'") && header.contains("'fortran_order': False"), "{header}");
    (format!("{shape})"), bytes[length..].as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect())
}

/// Mask logits, and what is decided by them in the picture's own size.
#[test]
fn masks_are_the_references() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in SEGMENTERS {
        let (golden, model) = (golden(name), fixture(name));
        let (prompts, places) = labels(list(&golden["prompts"]));
        for (image, case) in golden["images"].as_object().expect("pictures") {
            let image = fixture(&format!("images/{image}"));
            let logits = folder.path().join("logits.npy");
            let threshold = case["decided"]["threshold"].as_f64().unwrap_or(0.4).to_string();
            let ask = ["segment", "--model", &model, "--labels", &prompts, "--threshold", &threshold];
            let masks = folder.path().join("masks").display().to_string();
            let more = ["--logits", &logits.display().to_string(), "--masks", &masks, &image];
            let rows = json(&[&ask[..], &more].concat());
            let (shape, found) = numpy(&logits);
            let side = (found.len() / places.len()).isqrt();
            assert_eq!(shape, format!("({}, {side}, {side})", places.len()));
            // As the fixture has it: every so many rows, and columns in them.
            let every = (1 + side / 10) | 1;
            let kept = |at: &usize| (at / side % side).is_multiple_of(every) && (at % side).is_multiple_of(every);
            let found: Vec<f64> = (0..found.len()).filter(kept).map(|at| found[at].into()).collect();
            let expected: Vec<f64> = list(&case["logits"]).iter().flat_map(list).map(number).collect();
            assert_eq!(found.len(), expected.len());
            let most = 1e-5 * number(&golden["unrelated_distance"]["logits"]);
            assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < most), "{name} {image}");
            let found = list(&rows[0]["masks"]);
            assert_eq!(found.len(), places.len());
            found.iter().enumerate().for_each(|(at, one)| check_mask(&image, &masks, at, one, &case["decided"]));
        }
    }
}

fn check_mask(image: &str, masks: &str, index: usize, one: &Value, decided: &Value) {
    if !decided.is_null() {
        let decided = &decided["masks"][index];
        assert_eq!(one["area"], decided["area"], "{image}");
        let [x, y, width, height] = ["x", "y", "width", "height"].map(|side| number(&one["box"][side]) as u64);
        assert_eq!(json!([x, x + width - 1, y, y + height - 1]), decided["bounds"], "{image}");
    }
    let mask = mask(&one["rle"]);
    let picture = image::open(image).expect("a picture").to_rgb8();
    assert_eq!((mask.width as u32, mask.height as u32), picture.dimensions());
    assert_eq!(json!(mask.area()), one["area"]);
    let stem = Path::new(image).file_stem().and_then(|stem| stem.to_str()).expect("a name");
    let saved = image::open(format!("{masks}/{stem}-{index}.png")).expect("a mask").to_luma8();
    assert!(saved.pixels().map(|pixel| pixel.0[0] == 255).eq(mask.bits.iter().copied()));
}

fn mask(rle: &Value) -> Mask {
    let counts = list(&rle["counts"]).iter().map(|count| count.as_u64().expect("a run") as u32).collect();
    let size = [0, 1].map(|at| rle["size"][at].as_u64().expect("a side") as usize);
    Rle { size, counts }.mask().expect("runs that fit")
}

/// Report 12 of `find/reports.rs`.
#[test]
fn one_prompt_is_as_several() {
    let (model, image) = (fixture("clipseg-refined"), fixture("images/tall-23x97.png"));
    let ask = |labels: &str| json(&["segment", "--model", &model, "--labels", labels, &image])[0]["masks"].clone();
    let (one, two) = (ask("a cat"), ask("a cat,two dogs"));
    assert_eq!((list(&one).len(), list(&two).len()), (1, 2));
    assert_eq!(one[0], two[0]);
}

/// Report 6 of `find/reports.rs`: the text is cut, and the answer says so.
#[test]
fn a_text_of_forty_words_is_cut() {
    let (long, image) = (["a cat"; 20].join(" "), fixture("images/rgb-61x37.png"));
    let labels = format!("{long},a dog");
    for model in DETECTORS {
        let ask = ["detect", "--model", &fixture(model), "--labels", &labels, "--threshold", "0", &image];
        let rows = json(&ask);
        assert_eq!(rows[0]["cut"], json!([long]));
        assert_eq!(list(&rows[0]["detections"]).len(), 25, "{model}");
        let stderr = String::from_utf8_lossy(&ocelli(&ask).stderr).into_owned();
        assert!(stderr.contains("longer than the model takes") && stderr.lines().count() == 1, "{stderr}");
    }
}

#[test]
fn what_cannot_be_read_or_asked_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let bad = write(folder.path(), "bad.jpg", "no picture");
    let image = fixture("images/rgb-61x37.png");
    for (command, model, key) in [("detect", "owlv2", "detections"), ("segment", "clipseg", "masks")] {
        let model = fixture(model);
        let ask = ["--json", command, "--model", &model, "--labels", "a cat"];
        let output = ocelli(&[&ask[..], &[&image, &bad, &image]].concat());
        assert_eq!(output.status.code(), Some(3));
        let rows: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(rows[0][key], rows[2][key]);
        assert!(
            rows[1][key].is_null() && rows[1]["error"].as_str().is_some_and(|why| why.starts_with("expected a PNG"))
        );
        let ask = |more: &[&str]| refused(&[&[command, "--model", &model, "--labels", "a cat"], more].concat());
        assert!(ask(&[&bad]).contains("bad.jpg"));
        assert!(ask(&["--draw", "out.png", &image, &image]).contains("--draw: expected one picture, found 2"));
        assert!(ask(&["--template", "a photo", &image]).contains("{}"));
        for option in ["--draw", "--coco"] {
            let ask = [command, "--model", "no/such/model", "--labels", "a cat", option, "no/such/folder/file", &image];
            assert!(refused(&ask).contains("no/such/folder/file: expected a file to write in a folder that exists"));
        }
        assert!(!ocelli(&[command, "--model", &model, "--labels", "a", "--threshold", "1.5", &image]).status.success());
        let other = fixture(if command == "detect" { "clipseg" } else { "owlv2" });
        for other in [other, fixture("clip")] {
            let why = refused(&[command, "--model", &other, "--labels", "a cat", &image]);
            assert!(why.contains("expected a model that"), "{why}");
        }
    }
    let none = ["detect", "--model", &fixture("owlv2"), "--labels", "a cat", "--top-k", "0", &image];
    assert!(!ocelli(&none).status.success(), "no detections at all");
    let model = fixture("clipseg");
    let segment = |more: &[&str]| refused(&[&["segment", "--model", &model, "--labels", "a cat"], more].concat());
    assert!(segment(&["--logits", "out.npy", &image, &image]).contains("--logits: expected one picture"));
    assert!(segment(&["--logits", "no/such/folder/out.npy", &image]).contains("a folder that exists"));
    let masks = folder.path().join("masks").display().to_string();
    assert!(segment(&["--masks", &masks, &image, &image]).contains("names differ"));
}

/// Losses in boxes and in masks: none in f32, more in q4 than in q8; of the same pictures as one by one.
#[test]
fn compare_measures_boxes_and_masks() {
    let images = ["rgb-61x37.png", "tall-23x97.png"].map(|name| fixture(&format!("images/{name}")));
    let labels = ["--formats", "f32,q8,q4", "--labels", "a cat,two dogs,a tree"];
    for (model, lost) in [("owlv2", ["boxes", "ranks"]), ("clipseg", ["masks", "logits"])] {
        let model = fixture(model);
        let ask = |images: &[&str]| json(&[&["compare", &model], &labels[..], images].concat());
        let report = ask(&[&images[0], &images[1]]);
        let formats = list(&report["formats"]);
        for what in lost.into_iter().chain(["matrices"]) {
            let [f32, q8, q4] = [0, 1, 2].map(|at| number(&formats[at][what]["mean"]));
            assert!(f32 == 0.0 && q8 > 0.0 && q4 > q8, "{what}: {f32}, {q8}, {q4}");
            assert!(formats.iter().all(|row| number(&row[what]["mean"]) <= number(&row[what]["worst"])));
        }
        if lost[0] == "boxes" {
            assert_eq!((&formats[0]["first"]["right"], &formats[0]["first"]["of"]), (&json!(6), &json!(6)));
            // Each picture's best twenty of three labels, of which all or some are the same.
            assert_eq!(formats[1]["boxes"]["count"], 2 * 3 * 20);
            let worst = formats[2]["boxes"]["worst_name"].as_str().expect("a name");
            assert!(images.iter().any(|image| worst.starts_with(image.as_str())), "{worst}");
        } else {
            assert_eq!(formats[1]["masks"]["count"], 2 * 3);
        }
        let bad = ocelli(&[&["--json", "compare", &model], &labels[..], &[&images[0], "no.png", &images[1]]].concat());
        assert_eq!(bad.status.code(), Some(3));
        let found: Value = serde_json::from_slice(&bad.stdout).expect("JSON");
        assert_eq!((&found["formats"], &found["pictures"]), (&report["formats"], &json!(2)));
        let people = ocelli(&[&["compare", &model], &labels[..], &[&images[0], &images[1]]].concat());
        let people = String::from_utf8_lossy(&people.stdout);
        assert!(people.contains("2 pictures, 3 labels") && people.contains(lost[0]), "{people}");
    }
    let refused = refused(&["compare", &fixture("clipseg"), "--labels", "a", "--formats", "q8", &images[0]]);
    assert!(refused.contains("pictures: expected some that differ"), "{refused}");
}
