//! `ocelli task` with a tiny Florence-2: each kind of input and of answer, and what is refused.

use serde_json::Value;

use crate::program::{fixture, json, list, ocelli, refused};

fn ask(task: &str, more: &[&str]) -> Value {
    let (model, picture) = (fixture("florence"), fixture("images/rgb-61x37.png"));
    let fixed = ["task", "--model", &model, "--task", task, "--max-tokens", "48", &picture];
    let rows = json(&[&fixed[..], more].concat());
    list(&rows)[0].clone()
}

#[test]
fn words_and_regions_go_in_and_come_out() {
    let caption = ask("caption", &[]);
    assert!(caption["text"].is_string() && caption["regions"].is_null(), "{caption}");
    let objects = ask("object-detection", &[]);
    assert!(objects["text"].is_null() && objects["score"].is_number(), "{objects}");
    assert_eq!(objects, ask("<OD>", &[]));
    for region in list(&objects["regions"]) {
        assert!(region["label"].is_string() && region["box"]["width"].is_number(), "{region}");
    }
    let polygons = ask("referring-segmentation", &["--text", "a black cat"]);
    assert!(list(&polygons["regions"]).iter().all(|region| region["polygons"].is_array()), "{polygons}");
    let part = ask("region-to-segmentation", &["--region", "5,4,35,24"]);
    assert_ne!(part, ask("region-to-segmentation", &["--region", "20,4,50,24"]), "another region");
    assert_eq!(part, ask("region-to-segmentation", &["--region", "5.0, 4, 35, 24"]), "the same one");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let (model, picture) = (fixture("florence"), fixture("images/rgb-61x37.png"));
    // What no argument may be is refused in more lines than one.
    let ask = |more: &[&str]| {
        let output = ocelli(&[&["task", "--model", &model, &picture, "--task"][..], more].concat());
        assert!(!output.status.success() && output.stdout.is_empty(), "{more:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let four = "expected left, top, right and bottom edge";
    for (more, said) in [
        (&["find"][..], "expected caption, detailed-caption"),
        (&["caption", "--text", "a cat"], "caption: expected nothing beside it"),
        (&["phrase-grounding"], "phrase-grounding: expected --text"),
        (&["region-to-ocr"], "region-to-ocr: expected --region"),
        (&["region-to-ocr", "--region", "1,2,3"], four),
        (&["region-to-ocr", "--region", "1,2,3,4,5"], four),
        (&["region-to-ocr", "--region", "1,2,3,right"], four),
        (&["caption", "--beams", "4"], "beams: expected 1 to 3, found 4"),
    ] {
        let error = ask(more);
        assert!(error.contains(said), "{more:?}: {error}");
    }
    let other = fixture("decoders/smolvlm");
    let error = refused(&["task", "--model", &other, "--task", "caption", &picture]);
    assert!(error.contains("expected florence2, which knows tasks, found smolvlm"), "{error}");
    let error = refused(&["generate", "--model", &other, "--image", &picture, "--prompt", "a", "--beams", "3"]);
    assert!(error.contains("leave beams out"), "{error}");
}
