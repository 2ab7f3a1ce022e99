//! `ocelli eval-detect` and `eval-segment` as users meet them: a model is asked for what it has found itself.

use std::fs;

use serde_json::{Value, json};

use crate::program::{fixture, json, list, number, ocelli, refused, write};

/// COCO's annotations of three pictures: of the first, what the detector finds itself, of each label its two best boxes.
fn own_boxes(model: &str, names: &[&str]) -> Value {
    let files = ["large-211x140.png", "rgb-61x37.png", "tall-23x97.png"];
    let picture = |(at, file): (usize, &&str)| {
        let (width, height) = image::image_dimensions(fixture(&format!("images/{file}"))).expect("a picture");
        json!({ "id": 10 * (at + 1), "file_name": file, "width": width, "height": height })
    };
    let mut annotations = Vec::new();
    for (label, name) in names.iter().enumerate() {
        let path = fixture(&format!("images/{}", files[0]));
        let ask = ["detect", "--model", model, "--labels", name, "--threshold", "0", "--top-k", "2", &path];
        for one in list(&json(&ask)[0]["detections"]) {
            let bbox = ["x", "y", "width", "height"].map(|side| number(&one["box"][side]));
            annotations
                .push(json!({ "id": annotations.len() + 1, "image_id": 10, "category_id": 7 - label, "bbox": bbox,
                "area": bbox[2] * bbox[3], "iscrowd": 0, "segmentation": [] }));
        }
    }
    let frequency = |at: usize| if at == 0 { "r" } else { "f" };
    let category = |(at, name): (usize, &&str)| json!({ "id": 7 - at, "name": name, "frequency": frequency(at) });
    let pictures: Vec<Value> = files.iter().enumerate().map(picture).collect();
    let categories: Vec<Value> = names.iter().enumerate().map(category).collect();
    json!({ "images": pictures, "annotations": annotations, "categories": categories })
}

#[test]
fn eval_detect_counts() {
    let folder = tempfile::tempdir().expect("a folder");
    let (model, images) = (fixture("owlv2"), fixture("images"));
    let templates = write(folder.path(), "templates.json", "[\"{}\"]");
    let eval = |annotations: &Value, more: &[&str]| {
        let path = write(folder.path(), "annotations.json", &annotations.to_string());
        let ask = ["eval-detect", "--model", &model, "--annotations", &path, "--images", &images];
        json(&[&ask[..], &["--templates", &templates, "--as-written"], more].concat())
    };
    let three = own_boxes(&model, &["a cat", "two dogs"]);
    let mut own = three.clone();
    own["images"].as_array_mut().expect("pictures").truncate(1);
    let results = folder.path().join("results.json").display().to_string();
    let perfect = eval(&own, &["--results", &results]);
    for key in ["ap", "ap50", "ap75"] {
        assert!((number(&perfect[key]) - 1.0).abs() < 1e-9, "{perfect}");
    }
    let counted = (&perfect["rule"], &perfect["pictures"], &perfect["ap_rare"]);
    assert_eq!(counted, (&json!("coco"), &json!(1), &Value::Null));
    let first = &perfect["categories"][0];
    assert_eq!((&first["id"], &first["name"], &first["things"]), (&json!(6), &json!("two dogs"), &json!(2)));
    let results: Value = serde_json::from_slice(&fs::read(&results).expect("a file")).expect("JSON");
    assert_eq!((&results[0]["image_id"], list(&results).len()), (&json!(10), 25 * 2));

    // Wrong on purpose: boxes moved, names exchanged, one detection of a picture only.
    let change = |change: &dyn Fn(&mut Value)| {
        let mut other = own.clone();
        other["annotations"].as_array_mut().expect("a list").iter_mut().for_each(change);
        number(&eval(&other, &[])["ap"])
    };
    assert!(change(&|one| one["bbox"][0] = json!(number(&one["bbox"][0]) + number(&one["bbox"][2]))) < 0.6);
    assert!(change(&|one| one["category_id"] = json!(13 - one["category_id"].as_u64().expect("an id"))) < 1.0);
    assert!(number(&eval(&own, &["--top-k", "1"])["ap"]) < 0.6);

    // In the other pictures nothing is annotated: all that is found there is wrong by COCO's rule. By LVIS's nobody knows, unless a
    // picture names what is not there.
    assert!(number(&eval(&three, &[])["ap"]) < 1.0);
    let mut lvis = three.clone();
    for image in lvis["images"].as_array_mut().expect("a list") {
        image["neg_category_ids"] = json!([]);
        image["not_exhaustive_category_ids"] = json!([]);
    }
    // LVIS names pictures by their addresses.
    let last = lvis["images"][1].as_object_mut().expect("a picture");
    last.remove("file_name");
    last.insert("coco_url".into(), json!("http://images.example/val2017/rgb-61x37.png"));
    let found = eval(&lvis, &[]);
    assert_eq!((&found["rule"], number(&found["ap"]), &found["ap_common"]), (&json!("lvis"), 1.0, &Value::Null));
    lvis["images"][1]["neg_category_ids"] = json!([7]);
    let found = eval(&lvis, &[]);
    assert!(number(&found["ap_rare"]) < 1.0 && number(&found["ap_frequent"]) == 1.0, "{found}");

    // A picture of another size and one that is not there are left out with what is in them.
    let mut wrong = three;
    wrong["images"][1]["width"] = json!(60);
    wrong["images"][2]["file_name"] = json!("no.png");
    let path = write(folder.path(), "wrong.json", &wrong.to_string());
    let ask = ["--json", "eval-detect", "--model", &model, "--annotations", &path, "--images", &images];
    let output = ocelli(&[&ask[..], &["--templates", &templates, "--as-written"]].concat());
    assert_eq!(output.status.code(), Some(3));
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&found["pictures"], number(&found["ap"]), list(&found["unreadable"]).len()), (&json!(1), 1.0, 2));
    let why = found["unreadable"][0]["reason"].as_str().expect("a reason");
    assert!(why.starts_with("expected 60 × 37 pixels"), "{why}");
}

#[test]
fn eval_segment_counts() {
    let folder = tempfile::tempdir().expect("a folder");
    let (model, images) = (fixture("clipseg"), fixture("images"));
    let path = fixture("images/exact-48x48.png");
    let names = ["a cat", "two dogs"];
    let rows = json(&["segment", "--model", &model, "--labels", &names.join(","), "--threshold", "0.3", &path]);
    let masks = list(&rows[0]["masks"]);
    let annotation = |(at, one): (usize, &Value)| json!({ "id": at + 1, "image_id": 1, "category_id": at + 1, "bbox": [0, 0, 1, 1], "segmentation": one["rle"] });
    let own = json!({
        "images": [{ "id": 1, "file_name": "exact-48x48.png", "width": 48, "height": 48 },
            { "id": 2, "file_name": "rgb-61x37.png", "width": 61, "height": 37 }],
        "categories": [{ "id": 1, "name": names[0] }, { "id": 2, "name": names[1] }],
        "annotations": masks.iter().enumerate().map(annotation).collect::<Vec<_>>(),
    });
    let eval = |annotations: &Value, images: &str| {
        let path = write(folder.path(), "annotations.json", &annotations.to_string());
        json(&["eval-segment", "--model", &model, "--annotations", &path, "--images", images])
    };
    let found = eval(&own, &images);
    // A union has one pixel more than it has.
    let ious = masks.iter().map(|one| number(&one["area"]) / (1.0 + number(&one["area"])));
    assert!((number(&found["miou"]) - ious.sum::<f64>() / 2.0).abs() < 1e-12, "{found}");
    assert!(number(&found["best_miou"]) >= number(&found["miou"]) && number(&found["ap"]) > 0.9, "{found}");
    assert_eq!((&found["layout"], &found["prompts"], &found["pictures"]), (&json!("coco"), &json!(2), &json!(1)));
    let mut exchanged = own.clone();
    for (at, one) in exchanged["annotations"].as_array_mut().expect("a list").iter_mut().enumerate() {
        one["category_id"] = json!(2 - at);
    }
    assert!(number(&eval(&exchanged, &images)["miou"]) < number(&found["miou"]));

    // PhraseCut's layout, whose pictures are named by their ids.
    let pictures = tempfile::tempdir().expect("a folder");
    fs::copy(&path, pictures.path().join("5.jpg")).expect("a copy");
    let half = |left: f64| json!([[[[left, 0], [left + 24.0, 0], [left + 24.0, 48], [left, 48]]]]);
    let task = |phrase: &str, left: f64| json!({ "image_id": 5, "phrase": phrase, "Polygons": half(left) });
    let tasks = json!([task("a cat", 0.0), task("two dogs", 24.0)]);
    let found = eval(&tasks, &pictures.path().display().to_string());
    assert_eq!(
        (&found["layout"], &found["prompts"], &found["categories"]),
        (&json!("phrasecut"), &json!(2), &Value::Null)
    );
    assert!((0.0..1.0).contains(&number(&found["miou"])) && number(&found["best_miou"]) >= number(&found["miou"]));
}

#[test]
fn wrong_annotations_are_refused_before_the_model_is_loaded() {
    let folder = tempfile::tempdir().expect("a folder");
    let image = json!({ "id": 1, "file_name": "a.png", "width": 4, "height": 4 });
    let annotation = json!({ "id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1] });
    let category = json!({ "id": 1, "name": "cat" });
    let file = |images: &[&Value], annotations: &[&Value], categories: &[&Value]| json!({ "images": images, "annotations": annotations, "categories": categories });
    let missing = json!({ "id": 1, "image_id": 2, "category_id": 1, "bbox": [0, 0, 1, 1] });
    let nameless = json!({ "id": 1, "width": 4, "height": 4 });
    for (annotations, expected) in [
        (json!([]), "expected"),
        (json!({ "images": [] }), "expected COCO's or LVIS's annotations"),
        (file(&[], &[&annotation], &[&category]), "images: expected at least one"),
        (file(&[&image, &image], &[], &[&category]), "ids that differ, found 1 again"),
        (
            file(&[&image], &[&missing], &[&category]),
            "annotations[0].image_id: expected one of the file's ids, found 2",
        ),
        (file(&[&nameless], &[], &[&category]), "expected `file_name` or `coco_url`"),
    ] {
        let path = write(folder.path(), "annotations.json", &annotations.to_string());
        for command in ["eval-detect", "eval-segment"] {
            let why = refused(&[command, "--model", "no/such/model", "--annotations", &path]);
            assert!(why.contains(expected) && why.contains("annotations.json"), "{command}: {why}");
        }
    }
    assert!(
        refused(&["eval-detect", "--model", "no", "--images", &fixture("images")]).contains("expected --annotations")
    );
    let good = write(folder.path(), "good.json", &file(&[&image], &[&annotation], &[&category]).to_string());
    assert!(refused(&["eval-detect", "--model", "no/such/model", "--annotations", &good]).contains("config.json"));
    let results =
        ["eval-detect", "--model", "no/such/model", "--annotations", &good, "--results", "no/such/folder/file"];
    assert!(refused(&results).contains("no/such/folder/file: expected a file to write in a folder that exists"));
    assert!(refused(&["eval-segment", "--model", "no", "--annotations", &good]).contains("expected segmentations"));
}
