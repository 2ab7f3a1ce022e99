//! `ocelli eval` and `ocelli recall` as users meet them, and the data that they ship with.

use std::{collections::HashSet, fs, path::Path};

use serde_json::{Value, json};

use crate::program::{self, fixture, json, ocelli, refused, root};

const NAMES: [&str; 8] = ["dog", "pizza", "castle", "guitar", "bicycle", "octopus", "rocket", "cactus"];

fn tiny() -> String {
    root().join("www/models/ocelli-tiny").display().to_string()
}

fn samples() -> String {
    root().join("www/samples").display().to_string()
}

fn write(folder: &Path, name: &str, value: &Value) -> String {
    program::write(folder, name, &value.to_string())
}

fn data(name: &str) -> Value {
    let text = fs::read_to_string(root().join("data").join(name)).expect("a file");
    serde_json::from_str(&text).expect("JSON")
}

/// All samples under their names, with eight more names to choose from.
fn labelled() -> Value {
    let more = ["cat", "elephant", "banana", "airplane", "umbrella", "key", "violin", "tractor"];
    let classes: Vec<Value> = NAMES.iter().chain(&more).map(|name| json!({ "name": name })).collect();
    let pictures: Vec<Value> = NAMES.iter().map(|n| json!({ "file": format!("{n}.png"), "class": n })).collect();
    json!({ "images": samples(), "templates": ["a picture of a {}"], "classes": classes, "pictures": pictures })
}

#[test]
fn eval_counts_right_and_wrong() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = tiny();
    let manifest = write(folder.path(), "all.json", &labelled());
    let all = json(&["eval", "--model", &model, "--manifest", &manifest, "--batch", "3"]);
    assert_eq!((&all["top1"]["right"], &all["top1"]["of"]), (&json!(8), &json!(8)), "{all}");
    assert_eq!(all["confusions"], json!([]));
    assert!(all["pictures_per_second"].as_f64().is_some_and(|speed| speed > 0.0));
    assert_eq!(all["results"].as_array().expect("results").len(), 8);

    // The cosines are those of `ocelli classify`.
    let dog = &all["results"][0];
    let (labels, image) = (NAMES.join(","), format!("{}/dog.png", samples()));
    let classify = ["classify", "--model", &model, "--labels", &labels, "--score", "cosine"];
    let classified = json(&[&classify[..], &["--template", "a picture of a {}", &image]].concat());
    let [here, there] = [&dog["top"][0]["cosine"], &classified[0]["results"][0]["score"]];
    assert!((here.as_f64().expect("a number") - there.as_f64().expect("a number")).abs() < 1e-5, "{here} {there}");

    // Wrong on purpose: the dog under another name, a picture that is none, and one that is not there.
    let mut wrong = labelled();
    let pictures = wrong["pictures"].as_array_mut().expect("pictures");
    pictures[0]["class"] = json!("cat");
    pictures.insert(3, json!({ "file": "README.md", "class": "dog" }));
    pictures.push(json!({ "file": "no.png", "class": "dog" }));
    let manifest_wrong = write(folder.path(), "wrong.json", &wrong);
    let out = folder.path().join("wrong-result.json").display().to_string();
    let output = ocelli(&["eval", "--model", &model, "--manifest", &manifest_wrong, "--json", &out]);
    assert_eq!(output.status.code(), Some(3), "some could not be read");
    let [text, left_out] = [&output.stdout, &output.stderr].map(|out| String::from_utf8_lossy(out).into_owned());
    for line in ["87.50 %", "52.91 – 97.76 %", "7 of 8", "1  cat → dog", "0.00 %  cat"] {
        assert!(text.contains(line), "{line:?} in {text}");
    }
    for line in ["README.md: expected a PNG", "no.png: ", "left out: 2"] {
        assert!(left_out.contains(line), "{line:?} in {left_out}");
    }
    let result: Value = serde_json::from_slice(&fs::read(&out).expect("a result")).expect("JSON");
    assert_eq!(result["confusions"], json!([{ "truth": "cat", "predicted": "dog", "count": 1 }]));
    assert_eq!(result["unreadable"][0]["file"], "README.md");
    assert_eq!(result["unreadable"][1]["file"], "no.png");
    assert_eq!(result["results"][3]["file"], "guitar.png", "neighbours keep their places");
    assert_eq!(result["results"][0]["top"].as_array().expect("five").len(), 5);

    // Compared with itself; and refused where a picture's class is another one.
    let again = ["eval", "--model", &model, "--manifest", &manifest_wrong, "--same-as", &out, "--limit", "5"];
    let same = &json(&again)["same_as"];
    assert_eq!((&same["same"]["share"], &same["points"]), (&json!(1.0), &json!(0.0)), "{same}");
    assert!(same["only_there"].as_u64().is_some_and(|n| n >= 3), "{same}");
    let other = refused(&["eval", "--model", &model, "--manifest", &manifest, "--same-as", &out]);
    assert!(other.contains("dog.png: expected the class \"dog\", found \"cat\""), "{other}");
}

#[test]
fn eval_reads_folders_and_template_sets() {
    let folder = tempfile::tempdir().expect("a folder");
    for (at, name) in ["dog", "octopus"].iter().enumerate() {
        let class = folder.path().join(format!("n{at}"));
        fs::create_dir(&class).expect("a folder");
        for copy in ["b.PNG", "a.png"] {
            fs::copy(root().join(format!("www/samples/{name}.png")), class.join(copy)).expect("a copy");
        }
    }
    fs::write(folder.path().join("n0/notes.txt"), "").expect("a file");
    // Two classes of one name are told apart by their folders; the first of equal ones is the answer.
    let classes = json!([{ "name": "dog", "names": ["puppy"], "folder": "n0" }, { "name": "octopus", "folder": "n1" },
        { "name": "octopus", "folder": "n2" }]);
    fs::create_dir(folder.path().join("n2")).expect("a folder");
    fs::copy(root().join("www/samples/octopus.png"), folder.path().join("n2/c.png")).expect("a copy");
    let manifest = write(folder.path(), "folders.json", &json!({ "classes": classes, "templates": "openai-7" }));
    let result = json(&["eval", "--model", &tiny(), "--manifest", &manifest]);
    let files: Vec<&str> =
        result["results"].as_array().expect("results").iter().filter_map(|r| r["file"].as_str()).collect();
    assert_eq!(files, ["n0/a.png", "n0/b.PNG", "n1/a.png", "n1/b.PNG", "n2/c.png"]);
    assert_eq!((&result["passed_over"], &result["template_set"]), (&json!(1), &json!("openai-7")));
    assert_eq!(result["top1"]["right"], 4);
    assert_eq!(
        result["confusions"],
        json!([{ "truth": "octopus (n2)", "predicted": "octopus (n1)", "count": 1 }]),
        "{result}"
    );
}

/// Folders as they are: one for each class, with what Macs, cameras and older systems leave in them.
#[test]
fn eval_reads_folders_without_a_manifest() {
    let folder = tempfile::tempdir().expect("a folder");
    let copy = |name: &str, to: &std::path::PathBuf| {
        fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
        fs::copy(root().join(format!("www/samples/{name}.png")), to).expect("a copy");
    };
    let at = |path: &str| folder.path().join(path);
    for to in ["dog/a.PNG", "dog/b.jfif", "dog/c.jpe", "dog/deep/er/d.png", "dog/dir.jpg/e.png"] {
        copy("dog", &at(to));
    }
    copy("octopus", &at("octopus/a b.png"));
    copy("octopus", &at("octopus/é.png"));
    let mut expected: Vec<std::path::PathBuf> =
        ["dog/a.PNG", "dog/b.jfif", "dog/c.jpe", "dog/deep/er/d.png", "dog/dir.jpg/e.png", "octopus/a b.png"]
            .map(Into::into)
            .into();
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::{ffi::OsStrExt, fs::symlink};
        let name = std::ffi::OsStr::from_bytes(b"octopus/caf\xe9.png");
        copy("octopus", &folder.path().join(name));
        expected.push(name.into());
        symlink(at("dog"), at("dog/deep/circle")).expect("a link");
    }
    expected.push("octopus/é.png".into());
    for other in ["dog/._a.PNG", "dog/.DS_Store", "dog/notes.txt", "octopus/Thumbs.db"] {
        fs::write(at(other), "no picture").expect("a file");
    }
    for hidden in [".git", "__MACOSX"] {
        fs::create_dir(at(hidden)).expect("a folder");
    }
    let images = folder.path().display().to_string();
    let result = json(&["eval", "--model", &tiny(), "--images", &images]);
    let files: Vec<&str> =
        result["results"].as_array().expect("results").iter().filter_map(|r| r["file"].as_str()).collect();
    let shown: Vec<String> = expected.iter().map(|file| file.display().to_string()).collect();
    assert_eq!(files, shown);
    assert_eq!((&result["passed_over"], &result["unreadable"]), (&json!(4), &json!([])));
    assert_eq!((&result["top1"]["right"], &result["manifest"]), (&json!(files.len()), &Value::Null));
    let labels: Vec<&Value> = result["classes"].as_array().expect("classes").iter().map(|c| &c["label"]).collect();
    assert_eq!(labels, ["dog", "octopus"]);
    assert!(
        refused(&["eval", "--model", &tiny(), "--images", &at("octopus").display().to_string()])
            .contains("at least two")
    );
    assert!(refused(&["recall", "--model", &tiny(), "--images", &images]).contains("--manifest"));
}

#[test]
fn recall_both_ways() {
    let folder = tempfile::tempdir().expect("a folder");
    let caption = |name: &str| json!([format!("a picture of a {name}"), format!("an icon of a {name}")]);
    let mut pictures: Vec<Value> =
        NAMES.iter().map(|n| json!({ "file": format!("{n}.png"), "captions": caption(n) })).collect();
    let ask = |pictures: &[Value], images: &str| {
        let manifest = write(folder.path(), "captions.json", &json!({ "pictures": pictures }));
        json(&["recall", "--model", &tiny(), "--manifest", &manifest, "--images", images])
    };
    let right = ask(&pictures, &samples());
    assert_eq!((&right["captions"], &right["text_to_image"]["at_1"]["of"]), (&json!(16), &json!(16)));
    assert_eq!(right["text_to_image"]["at_1"]["right"], 16);
    assert_eq!(right["image_to_text"]["at_1"]["right"], 8);

    // Wrong on purpose: dog and pizza exchange their captions.
    pictures[0]["captions"] = caption("pizza");
    pictures[1]["captions"] = caption("dog");
    let wrong = ask(&pictures, &samples());
    assert_eq!(wrong["text_to_image"]["at_1"]["right"], 12);
    assert_eq!(wrong["image_to_text"]["at_1"]["right"], 6);

    // Two copies of a picture: a tie counts against the model, a shared caption is right for both.
    for (file, name) in [("1.png", "dog"), ("2.png", "dog"), ("3.png", "castle")] {
        fs::copy(root().join(format!("www/samples/{name}.png")), folder.path().join(file)).expect("a copy");
    }
    let images = folder.path().display().to_string();
    let three = |first: &str, second: &str| {
        [("1.png", first), ("2.png", second), ("3.png", "a picture of a castle")]
            .map(|(file, caption)| json!({ "file": file, "captions": [caption] }))
    };
    let ranks = |result: &Value| -> Vec<u64> {
        let results = result["results"].as_array().expect("results").iter();
        results.map(|r| r["captions"][0]["rank"].as_u64().expect("a rank")).collect()
    };
    assert_eq!(ranks(&ask(&three("a picture of a dog", "an icon of a dog"), &images)), [2, 2, 1]);
    let shared = ask(&three("a picture of a dog", "a picture of a dog"), &images);
    assert_eq!(ranks(&shared), [1, 1, 1]);
    assert_eq!((&shared["captions"], &shared["image_to_text"]["at_1"]["right"]), (&json!(3), &json!(3)));
}

#[test]
fn wrong_manifests_are_refused_before_the_model_is_loaded() {
    type Change = dyn Fn(&mut Value);
    let folder = tempfile::tempdir().expect("a folder");
    let eval = |manifest: &str, more: &[&str]| {
        refused(&[&["eval", "--model", "no/such/model", "--manifest", manifest], more].concat())
    };
    let with = |change: &Change| {
        let mut manifest = labelled();
        change(&mut manifest);
        eval(&write(folder.path(), "manifest.json", &manifest), &[])
    };
    let cases: [(&Change, &str); 9] = [
        (&|m| m["clases"] = json!([]), "unknown field `clases`"),
        (&|m| m["classes"] = json!([{ "name": "dog" }]), "expected at least two"),
        (&|m| m["classes"][1]["name"] = json!("dog"), "found \"dog\" again"),
        (&|m| m["pictures"][2]["class"] = json!("Dog"), "pictures[2], \"castle.png\": expected one of the 16 classes"),
        (&|m| m["pictures"][1]["file"] = json!("dog.png"), "found \"dog.png\" again"),
        (&|m| m["pictures"] = json!([]), "pictures: expected at least one"),
        (&|m| m["pictures"] = json!(null), "found neither for \"dog\""),
        (&|m| m["templates"] = json!(["a photo"]), "expected {} where the label goes"),
        (&|m| m["templates"] = json!("openai-8"), "openai-7, openai-80, plain"),
    ];
    for (change, expected) in cases {
        let found = with(change);
        assert!(found.contains(expected) && found.contains("manifest.json"), "expected {expected:?}, found {found}");
    }
    assert!(with(&|m| m["images"] = json!("nowhere")).contains("--images"));
    let manifest = write(folder.path(), "good.json", &labelled());
    assert!(eval("no.json", &[]).contains("no.json"));
    assert!(eval(&fixture("clip/config.json"), &[]).contains("docs/EVALUATION.md"));
    assert!(eval(&manifest, &["--templates", "none.json"]).contains("plain"));
    assert!(eval(&manifest, &["--same-as", &manifest]).contains("expected what an earlier"));
    assert!(eval(&manifest, &["--json", "no/such/folder/out.json"]).contains("folder that exists"));
    assert!(eval(&manifest, &["out.json"]).contains("--json"));
    // A good one fails at the model only.
    assert!(eval(&manifest, &[]).contains("config.json"));
    // ImageNet's folders are looked for first.
    let imagenet = root().join("data/imagenet.json").display().to_string();
    assert!(eval(&imagenet, &["--images", &samples()]).contains("n01440764"));

    let recall = |manifest: &Value| {
        refused(&["recall", "--model", "no", "--manifest", &write(folder.path(), "captions.json", manifest)])
    };
    assert!(recall(&json!({ "pictures": [{ "file": "a.png", "captions": [] }] })).contains("expected one caption"));
    assert!(recall(&labelled()).contains("captions"));
    assert!(recall(&json!({ "pictures": [] })).contains("expected at least one"));
}

#[test]
fn pictures_that_cannot_be_read_at_all_are_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut manifest = labelled();
    manifest["images"] = json!(".");
    let found = refused(&["eval", "--model", &tiny(), "--manifest", &write(folder.path(), "m.json", &manifest)]);
    assert!(found.contains("found none of 8") && found.contains("dog.png"), "{found}");
}

#[test]
fn imagenet_has_a_thousand_classes() {
    let manifest = data("imagenet.json");
    let classes = manifest["classes"].as_array().expect("classes");
    let folder = |c: &Value| c["folder"].as_str().expect("a folder").to_string();
    assert_eq!(classes.len(), 1000);
    assert_eq!(classes.iter().map(folder).collect::<HashSet<_>>().len(), 1000);
    assert!(classes.iter().all(|c| folder(c).len() == 9 && folder(c).starts_with('n')));
    assert!(
        classes.windows(2).all(|pair| folder(&pair[0]) < folder(&pair[1])),
        "classes are in the order of their ids"
    );
    for (at, name, id) in
        [(0, "tench", "n01440764"), (207, "Golden Retriever", "n02099601"), (999, "toilet paper", "n15075141")]
    {
        assert_eq!((&classes[at]["name"], &classes[at]["folder"]), (&json!(name), &json!(id)));
    }
    assert!(data("templates.json").get(manifest["templates"].as_str().expect("a set")).is_some());
}

#[test]
fn templates_have_one_place_for_the_name() {
    let sets = data("templates.json");
    for (name, count) in [("plain", 1), ("openai-7", 7), ("openai-80", 80)] {
        let texts: Vec<&str> = sets[name].as_array().expect("a set").iter().filter_map(Value::as_str).collect();
        assert_eq!(texts.iter().collect::<HashSet<_>>().len(), count, "{name}");
        for text in texts {
            assert_eq!(text.matches("{}").count(), 1, "{name}: {text}");
            assert_eq!(text.matches(['{', '}']).count(), 2, "{name}: {text}");
        }
    }
}
