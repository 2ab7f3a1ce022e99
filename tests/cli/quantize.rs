//! `ocelli quantize` and `compare`: what formats weigh, and what they lose.

use serde_json::Value;

use crate::program::{fixture, json, ocelli, refused, root};

/// Sizes shrink from format to format, and what was written in q4 embeds as what is quantised on the way in.
#[test]
fn quantize_writes_every_format() {
    let folder = tempfile::tempdir().expect("a folder");
    let to = |format: &str| folder.path().join(format).display().to_string();
    let from = fixture("siglip");
    let sizes = ["f16", "q8", "q4"].map(|format| {
        let sizes = json(&["quantize", &from, &to(format), "--format", format]);
        sizes["bytes"]["after"].as_u64().expect("bytes")
    });
    assert!(sizes[0] > sizes[1] && sizes[1] > sizes[2], "{sizes:?}");
    assert!(refused(&["quantize", &to("q4"), &to("again"), "--format", "q8"]).contains("stored as q4"));
    let embed = |model: &str, format: &str| json(&["embed", "--model", model, "--text", "a cat", "--format", format]);
    let expected = embed(&from, "q4");
    assert_eq!(embed(&to("q4"), "none"), expected);
    assert_eq!(embed(&to("q4"), "q4"), expected);
    assert_ne!(embed(&from, "q8"), expected);
    assert!(refused(&["embed", "--model", &to("q4"), "--text", "a cat", "--format", "q8"]).contains("stored as q4"));
}

/// Losses grow from format to format, f32 loses nothing, and bytes are those that `quantize` writes.
#[test]
fn compare_measures_each_format() {
    let (model, folder) = (fixture("siglip"), tempfile::tempdir().expect("a folder"));
    let images = ["rgb-61x37.png", "tall-23x97.png", "grey-50x31.png"].map(|name| fixture(&format!("images/{name}")));
    let ask = |more: &[&str]| {
        let images = images.iter().map(String::as_str);
        json(&[&["compare", &model], more].concat().into_iter().chain(images).collect::<Vec<_>>())
    };
    let labels = ["--labels", "a cat,two dogs,a tree", "--template", "a photo of {}"];
    let report = ask(&labels);
    let formats = report["formats"].as_array().expect("formats");
    assert_eq!((&report["pictures"], &report["labels"]), (&3.into(), &3.into()));
    let names: Vec<&str> = formats.iter().map(|row| row["format"].as_str().expect("a name")).collect();
    assert_eq!(names, ["f32", "f16", "q8", "q4"]);
    let check = |formats: &[Value]| {
        for what in ["matrices", "pictures", "labels"] {
            let number = |row: &Value, which: &str| row[what][which].as_f64().expect("a number");
            if number(&formats[0], "worst") != 0.0 {
                return Err(format!("{what}: expected f32 to lose nothing"));
            }
            for pair in formats.windows(2) {
                let (before, mean, worst) =
                    (number(&pair[0], "mean"), number(&pair[1], "mean"), number(&pair[1], "worst"));
                if !(mean > before && mean <= worst) {
                    return Err(format!("{what}: expected more than {before}, found {mean} and {worst}"));
                }
            }
        }
        Ok(())
    };
    check(formats).expect("losses grow");
    assert!(
        check(&[&formats[..2], &[formats[3].clone(), formats[2].clone()]].concat()).is_err(),
        "q8 and q4 exchanged"
    );
    for (at, row) in formats.iter().enumerate() {
        assert_eq!(row["top1"]["of"], 3);
        assert!(at == 3 || row["top1"]["right"] == 3, "f32 agrees with itself, and f16 and q8 here: {row}");
        assert!(
            at == 0 || row["matrices"]["worst_name"].as_str().is_some_and(|name| name.ends_with("weight")),
            "{row}"
        );
        assert!(at == 0 || images.iter().any(|image| row["pictures"]["worst_name"] == image.as_str()), "{row}");
        if at > 0 {
            let to = folder.path().join(names[at]);
            json(&["quantize", &model, &to.display().to_string(), "--format", names[at], "--no-goldens"]);
            let index = std::fs::read(to.join("model.safetensors.index.json")).expect("an index");
            let index: Value = serde_json::from_slice(&index).expect("JSON");
            assert_eq!(row["bytes"], index["metadata"]["total_size"], "{}", names[at]);
        }
    }
    // Alone, a format says the same; and without labels there are a hundred.
    assert_eq!(ask(&[&labels[..], &["--formats", "q4"]].concat())["formats"], serde_json::json!([formats[3]]));
    assert_eq!(ask(&["--formats", "q8"])["labels"], 100);
    let people = ocelli(&[&["compare", &model, "--formats", "q4"], &labels[..], &[&images[0], &images[1]]].concat());
    let people = String::from_utf8_lossy(&people.stdout);
    assert!(people.contains("2 pictures, 3 labels") && people.lines().any(|l| l.starts_with("q4 ")), "{people}");
}

#[test]
fn compare_refuses_what_it_cannot_measure() {
    let (model, image) = (fixture("clip"), fixture("images/rgb-61x37.png"));
    let compare = |more: &[&str]| refused(&[&["compare", "--formats", "q8"], more].concat());
    assert!(compare(&[&model, &image]).contains("pictures: expected at least two, found 1"));
    assert!(compare(&[&model, "--labels", "a cat", &image, &image]).contains("labels: expected at least two, found 1"));
    let stored = root().join("www/models/ocelli-tiny-q4").display().to_string();
    assert!(compare(&[&stored, &image, &image]).contains("expected an original checkpoint, found one stored as q4"));
    assert!(compare(&["no/such/folder", &image, &image]).contains("config.json"));
    assert!(compare(&[&model, "--labels", "a,b", &image, &image]).contains("pictures: expected some that differ"));
    assert!(compare(&[&model, "--labels", "a,b", &image, "no.png"]).contains("no.png"));
}
