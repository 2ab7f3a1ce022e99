//! The program as its users meet it: JSON for machines, one line on stderr and a non-zero exit for bad input.

use std::path::Path;

use crate::program::{fixture, has_gpu, json, ocelli, refused};

#[test]
fn classify_ranks_best_first() {
    let (model, image) = (fixture("siglip"), fixture("images/rgb-61x37.png"));
    let result =
        json(&["classify", "--model", &model, "--labels", "a cat, a dog,a tree", "--score", "softmax", &image, &image]);
    let rankings = result.as_array().expect("one ranking a picture");
    assert_eq!(rankings.len(), 2);
    assert_eq!(rankings[0]["image"], image.as_str());
    assert_eq!(rankings[0]["results"], rankings[1]["results"]);
    let results = rankings[0]["results"].as_array().expect("results");
    let score = |i: usize| results[i]["score"].as_f64().expect("a number");
    assert_eq!(results.len(), 3);
    assert!(score(0) >= score(1) && score(1) >= score(2));
    assert!(((0..3).map(score).sum::<f64>() - 1.0).abs() < 1e-5);
    for r in results {
        let index = r["index"].as_u64().expect("an index") as usize;
        assert_eq!(r["label"], ["a cat", "a dog", "a tree"][index]);
    }
    let people = ocelli(&["classify", "--model", &model, "--labels", "a cat,a dog", &image]);
    assert_eq!(String::from_utf8_lossy(&people.stdout).lines().count(), 3);
}

/// OpenAI's own file as the model: open_clip's numbers, and after `quantize` nearly so. PyTorch's files as safetensors' own.
#[test]
fn pytorch_files_embed_as_the_reference() {
    let golden = std::fs::read(fixture("pytorch/openai.json")).expect("a fixture");
    let golden: serde_json::Value = serde_json::from_slice(&golden).expect("JSON");
    let folder = tempfile::tempdir().expect("a folder");
    let copy = |from: &str, to: &str| {
        std::fs::copy(fixture(from), folder.path().join(to)).expect("a copy");
    };
    let numbers = |embedding: &serde_json::Value| -> Vec<f64> {
        embedding.as_array().expect("numbers").iter().map(|x| x.as_f64().expect("a number")).collect()
    };
    copy("pytorch/openai.pt", "ViT-B-32.pt");
    copy("pytorch/tokenizer.json", "tokenizer.json");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let image = fixture(&format!("images/{}", golden["image"].as_str().expect("a name")));
    let texts = ["a photo of a cat", "TWO DOGS IN THE SNOW"];
    let embed = |model: &str, format: &str| {
        let common = ["embed", "--model", model, "--format", format];
        let pictures = json(&[&common[..], &[&image]].concat());
        let words = json(&[&common[..], &["--text", texts[0], "--text", texts[1]]].concat());
        (pictures["embeddings"].clone(), words["embeddings"].clone())
    };
    let distance = |a: &serde_json::Value, b: &serde_json::Value| -> f64 {
        numbers(a).iter().zip(numbers(b)).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
    };
    let (pictures, words) = embed(&path("ViT-B-32.pt"), "none");
    // What rounding in f32 moves, as everywhere.
    assert!(distance(&pictures[0], &golden["image_embedding"]) < 1e-4);
    for (found, expected) in
        words.as_array().expect("two").iter().zip(golden["text_embeddings"].as_array().expect("two"))
    {
        assert!(distance(found, expected) < 1e-4);
    }
    assert!(distance(&words[0], &golden["text_embeddings"][1]) > 1e-2, "another text is another embedding");

    json(&["quantize", &path("ViT-B-32.pt"), &path("f16"), "--format", "f16"]);
    assert_eq!(embed(&path("f16"), "none"), embed(&path("ViT-B-32.pt"), "f16"));

    for file in ["config.json", "preprocessor_config.json", "tokenizer_config.json", "tokenizer.json"] {
        copy(&format!("clip-eos/{file}"), file);
    }
    for file in ["clip-eos.bin", "clip-eos-legacy.bin", "clip-eos-training.bin"] {
        copy(&format!("pytorch/{file}"), "pytorch_model.bin");
        assert_eq!(embed(&path(""), "none"), embed(&fixture("clip-eos"), "none"), "{file}");
    }
}

#[test]
fn embed_prints_unit_vectors() {
    let model = fixture("clip");
    for arguments in [
        vec!["embed", "--model", &model, "--text", "a cat", "--text", "a dog"],
        vec![
            "embed",
            "--model",
            &model,
            "--format",
            "q8",
            &fixture("images/tiny-7x5.png"),
            &fixture("images/one-1x1.png"),
        ],
    ] {
        let result = json(&arguments);
        assert_eq!(result["dim"], 36);
        let embeddings = result["embeddings"].as_array().expect("embeddings");
        assert_eq!(embeddings.len(), 2);
        for e in embeddings {
            let squares: f64 =
                e.as_array().expect("numbers").iter().map(|x| x.as_f64().expect("a number").powi(2)).sum();
            assert!((squares - 1.0).abs() < 1e-5, "{squares}");
        }
    }
}

/// Both backends through the program: nearly the same numbers, by other sums.
#[test]
fn a_gpu_says_what_the_cpu_says() {
    if !has_gpu() {
        return;
    }
    let (model, image) = (fixture("clip"), fixture("images/rgb-61x37.png"));
    let on = |setup: &[&str]| -> Vec<f64> {
        let found = json(&[setup, &["embed", "--model", &model, &image]].concat())["embeddings"][0].take();
        serde_json::from_value(found).expect("numbers")
    };
    let [gpu, cpu] = [on(&["--backend", "gpu", "--tier", "plain"]), on(&["--backend", "cpu"])];
    let distance = gpu.iter().zip(&cpu).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    assert!(distance > 0.0 && distance < 1e-4, "{distance}");
}

/// The others are done, the broken one is named on stderr and in the JSON, and the exit code is 3.
#[test]
fn one_bad_picture_is_passed_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let bad = folder.path().join("bad.jpg");
    std::fs::write(&bad, "no picture").expect("a file");
    let (model, bad) = (fixture("clip"), bad.display().to_string());
    let good = ["rgb-61x37.png", "tall-23x97.png"].map(|name| fixture(&format!("images/{name}")));
    let passed_over = |arguments: &[&str]| -> serde_json::Value {
        let output = ocelli(&[&["--json"], arguments].concat());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {stderr}");
        let lines: Vec<&str> = stderr.lines().collect();
        assert_eq!(lines.len(), 2, "{stderr}");
        assert!(lines[0].starts_with(&format!("ocelli: {bad}: expected a PNG")), "{stderr}");
        assert_eq!(lines[1], "ocelli: left out: 1 that could not be read");
        serde_json::from_slice(&output.stdout).expect("JSON on stdout")
    };
    let classify = ["classify", "--model", &model, "--labels", "a cat,a dog"];
    let found = passed_over(&[&classify[..], &[&good[0], &bad, &good[1]]].concat());
    let whole = json(&[&classify[..], &[&good[0], &good[1]]].concat());
    assert_eq!((&found[0], &found[2]), (&whole[0], &whole[1]));
    assert_eq!((&found[1]["image"], &found[1]["results"]), (&bad.clone().into(), &serde_json::Value::Null));
    assert!(found[1]["error"].as_str().is_some_and(|why| why.starts_with("expected a PNG")), "{found}");
    let people = ocelli(&[&classify[..], &[&good[0], &bad]].concat());
    assert_eq!(String::from_utf8_lossy(&people.stdout).lines().count(), 3);

    let embed = ["embed", "--model", &model];
    let found = passed_over(&[&embed[..], &[&good[0], &bad, &good[1]]].concat());
    let whole = json(&[&embed[..], &[&good[0], &good[1]]].concat());
    let [there, here] = [&whole["embeddings"], &found["embeddings"]];
    assert_eq!(here, &serde_json::json!([there[0], null, there[1]]));
    assert_eq!(
        (&found["unreadable"][0]["file"], &whole["unreadable"]),
        (&bad.clone().into(), &serde_json::Value::Null)
    );

    let compare = ["compare", &model, "--formats", "q8", "--labels", "a,b"];
    let found = passed_over(&[&compare[..], &[&good[0], &bad, &good[1]]].concat());
    let whole = json(&[&compare[..], &[&good[0], &good[1]]].concat());
    assert_eq!((&found["formats"], &found["pictures"]), (&whole["formats"], &2.into()));
    assert_eq!(found["unreadable"][0]["file"], bad.as_str());

    // Where none can be read, there is nothing to print.
    assert!(refused(&[&classify[..], &[&bad, &bad]].concat()).contains("found none of 2"));
}

#[test]
fn lists_of_labels_are_read_as_people_write_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let (model, image) = (fixture("clip"), fixture("images/rgb-61x37.png"));
    let file = folder.path().join("labels.txt");
    let classify = |how: [&str; 2]| json(&["classify", "--model", &model, how[0], how[1], &image]);
    let expected = classify(["--labels", "a dog,a cat"]);
    for text in ["\u{feff}a dog\r\na cat\r\n", "a dog\ra cat\r", "\n a dog \n\n\na cat"] {
        std::fs::write(&file, text).expect("a file");
        assert_eq!(classify(["--labels-file", &file.display().to_string()]), expected, "{text:?}");
    }
    let quoted = classify(["--labels", "\"a dog, running\",a cat"]);
    let results = quoted[0]["results"].as_array().expect("results");
    assert!(results.len() == 2 && results.iter().any(|result| result["label"] == "a dog, running"), "{quoted}");
    std::fs::write(&file, b"\xff\xfea\0 \0d\0o\0g\0").expect("a file");
    let path = file.display().to_string();
    assert!(refused(&["classify", "--model", &model, "--labels-file", &path, &image]).contains("found UTF-16"));
}

#[test]
fn tokenize_needs_no_gpu() {
    let result = json(&["tokenize", "--model", &fixture("siglip"), "", "a cat"]);
    let ids = result["ids"].as_array().expect("ids");
    assert!(ids.iter().all(|i| i.as_array().is_some_and(|i| i.len() == 12)));
}

#[test]
fn preprocess_writes_what_the_tower_sees() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("square.png").display().to_string();
    json(&["preprocess", "--model", &fixture("siglip"), &fixture("images/rgba-40x53.png"), &out]);
    let open = |path: &str| image::open(Path::new(path)).expect("a picture").to_rgb8();
    assert_eq!(open(&out), open(&fixture("siglip/pixels/rgba-40x53.png")));
    // Transparent pixels on white are others, and opaque ones stay as they are.
    for (picture, same) in [("rgba-40x53.png", false), ("rgb-61x37.png", true)] {
        let model = fixture("siglip");
        json(&["preprocess", "--model", &model, "--alpha", "white", &fixture(&format!("images/{picture}")), &out]);
        assert_eq!(open(&out) == open(&fixture(&format!("siglip/pixels/{picture}"))), same, "{picture}");
    }
}

#[test]
fn info_counts() {
    assert!(json(&["info"])["adapter"].as_str().is_some_and(|name| !name.is_empty()));
    for (model, tasks) in [("clip", vec!["classify", "embed"]), ("owlv2", vec!["detect"]), ("clipseg", vec!["segment"])]
    {
        assert_eq!(json(&["info", "--model", &fixture(model)])["model"]["tasks"], serde_json::json!(tasks), "{model}");
    }
    let (detector, image) = (fixture("owlv2"), fixture("images/rgb-61x37.png"));
    let refusal = refused(&["classify", "--model", &detector, "--labels", "a cat,a dog", &image]);
    assert!(refusal.contains("owlv2: expected a model that can "), "{refusal}");
    assert!(refusal.contains("found one that can detect: load clip, siglip or siglip2"), "{refusal}");
    let info = json(&["info", "--model", &fixture("clip")]);
    assert_eq!(info["model"]["family"], "clip");
    // 7 a block, 3 blocks; resize in two passes, patchify, patches, norm, norm of one row, projection, length; and of the last block
    // the one token, its norm and its query.
    assert_eq!(info["model"]["dispatches_per_image"], 21 + 8 + 3);
}

#[test]
fn bad_input_is_one_line() {
    let (clip, image) = (fixture("clip"), fixture("images/one-1x1.png"));
    assert!(refused(&["tokenize", "--model", "no/such/folder", "x"]).contains("config.json"));
    assert!(refused(&["classify", "--model", &clip, "--labels", " , ", &image]).contains("labels"));
    assert!(refused(&["classify", "--model", &clip, "--labels-file", "no.txt", &image]).contains("no.txt"));
    let folder = tempfile::tempdir().expect("a folder");
    let to = folder.path().join("to").display().to_string();
    assert!(refused(&["quantize", "no/such/folder", &to, "--format", "q8"]).contains("config.json"));
    let classify = |more: &[&str]| refused(&[&["classify", "--model", &clip, "--labels", "a"], more].concat());
    assert!(classify(&["no.png"]).contains("no.png"));
    assert!(classify(&[&fixture("clip/config.json")]).contains("expected a PNG"));
    assert!(classify(&["--score", "best", &image]).contains("best"));
    assert!(!ocelli(&["--alpha", "black", "info"]).status.success());
    assert!(classify(&["--template", "a photo", &image]).contains("{}"));
}
