//! What Florence-2 writes, read as the reference reads it (`tools/make_florence_answers.py`): 200 texts, half of them broken, in every form.

use ocelli::{
    config::{AnswerForm, VisionTask, locations},
    found::{Answer, Region, Shape, parse},
    text::Request,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::common;

#[derive(Deserialize)]
struct Fixture {
    answers: Vec<Written>,
    prompts: std::collections::BTreeMap<String, String>,
    kinds: std::collections::BTreeMap<String, String>,
    places: Vec<Place>,
}

#[derive(Deserialize)]
struct Written {
    text: String,
    size: (u32, u32),
    results: std::collections::BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Place {
    size: (u32, u32),
    r#box: [f32; 4],
    bins: [u32; 4],
    back: [i32; 4],
}

fn fixture() -> Fixture {
    let bytes = std::fs::read(common::fixtures().join("florence/answers.json")).expect("a fixture");
    serde_json::from_slice(&bytes).expect("a sound fixture")
}

const FORMS: [(&str, AnswerForm); 7] = [
    ("pure_text", AnswerForm::Text),
    ("description_with_bboxes", AnswerForm::Boxes),
    ("bboxes", AnswerForm::Proposals),
    ("phrase_grounding", AnswerForm::Phrases),
    ("polygons", AnswerForm::Polygons),
    ("description_with_bboxes_or_polygons", AnswerForm::BoxesOrPolygons),
    ("ocr", AnswerForm::Quads),
];

/// An answer as the reference hands it out.
fn shown(form: AnswerForm, answer: &Answer) -> Value {
    let regions = match answer {
        Answer::Text(text) => return json!(text),
        Answer::Regions(regions) => regions,
    };
    let of = |wanted: fn(&Shape) -> Option<Value>| {
        let found = regions.iter().filter_map(|Region { label, shape }| Some((wanted(shape)?, label)));
        found.map(|(shape, label)| (shape, json!(label))).unzip::<_, _, Vec<_>, Vec<_>>()
    };
    let (boxes, box_labels) = of(|shape| match shape {
        Shape::Edges(edges) => Some(json!(edges)),
        _ => None,
    });
    let (quads, quad_labels) = of(|shape| match shape {
        Shape::Quad(corners) => Some(json!(corners)),
        _ => None,
    });
    let (polygons, polygon_labels) = of(|shape| match shape {
        Shape::Polygons(polygons) => Some(json!(polygons)),
        _ => None,
    });
    match form {
        AnswerForm::Quads => json!({"quad_boxes": quads, "labels": quad_labels}),
        AnswerForm::Polygons => json!({"polygons": polygons, "labels": polygon_labels}),
        AnswerForm::BoxesOrPolygons => json!({
            "bboxes": boxes, "bboxes_labels": box_labels, "polygons": polygons, "polygons_labels": polygon_labels,
        }),
        _ => json!({"bboxes": boxes, "labels": box_labels}),
    }
}

/// In how many answers of a form a reader differs from the reference.
fn differing(fixture: &Fixture, name: &str, read: &dyn Fn(&Written) -> Value) -> usize {
    let differs = |one: &&Written| {
        let (found, expected) = (read(one), &one.results[name]);
        let differs = found != *expected;
        if differs {
            println!("{name}: {:?}\n  expected {expected}\n  found    {found}", one.text);
        }
        differs
    };
    fixture.answers.iter().filter(differs).count()
}

#[test]
fn answers_are_the_references() {
    let fixture = fixture();
    assert!(fixture.answers.len() >= 200);
    for (name, form) in FORMS {
        let read = |one: &Written| shown(form, &parse(form, &one.text, one.size));
        assert_eq!(differing(&fixture, name, &read), 0, "{name}");
    }
}

/// A reader with a usual mistake differs, in every form but words.
#[test]
fn mistakes_are_seen() {
    let fixture = fixture();
    for (name, form) in FORMS.into_iter().filter(|(_, form)| *form != AnswerForm::Text) {
        let turned = |one: &Written| shown(form, &parse(form, &one.text, (one.size.1, one.size.0)));
        let whole = |one: &Written| {
            let larger = (one.size.0 * 1000 / 999, one.size.1 * 1000 / 999);
            shown(form, &parse(form, &one.text, larger))
        };
        for (what, wrong) in [("x and y exchanged", &turned as &dyn Fn(&Written) -> Value), ("in 999 parts", &whole)] {
            assert!(differing(&fixture, name, wrong) > 10, "{name}: {what}");
        }
    }
    // One form read as another.
    let others = [
        ("description_with_bboxes", AnswerForm::Phrases),
        ("phrase_grounding", AnswerForm::Boxes),
        ("bboxes", AnswerForm::Boxes),
    ];
    for (name, form) in others {
        let read = |one: &Written| shown(form, &parse(form, &one.text, one.size));
        assert!(differing(&fixture, name, &read) > 10, "{name} as {form:?}");
    }
}

#[test]
fn places_are_the_references_both_ways() {
    for Place { size, r#box, bins, back } in fixture().places {
        let expected: String = bins.iter().map(|bin| format!("<loc_{bin}>")).collect();
        assert_eq!(locations(r#box, size), expected, "{box:?} of {size:?}", box = r#box);
        let Answer::Regions(found) = parse(AnswerForm::Proposals, &expected, size) else { panic!("a box") };
        assert_eq!(found, [Region { label: String::new(), shape: Shape::Edges(back) }]);
    }
}

#[test]
fn tasks_are_the_processors() {
    let Fixture { prompts, kinds, .. } = fixture();
    assert_eq!(VisionTask::all().count(), prompts.len());
    for task in VisionTask::all() {
        assert_eq!(task.prompt("{input}"), prompts[task.token()]);
        let form = FORMS.iter().find(|(name, _)| kinds[task.token()] == *name).expect("a form").1;
        assert_eq!(task.answer(), form, "{task:?}");
        assert_eq!(VisionTask::of_prompt(&format!("{} a cat ", task.token())), Some((task, "a cat")));
    }
    assert_eq!(VisionTask::of_prompt("What is this?"), None);
}

#[test]
fn a_shape_has_a_box_around_it() {
    let bounds = |shape: Shape| shape.bounds().map(|b| [b.x, b.y, b.width, b.height]);
    assert_eq!(bounds(Shape::Edges([1, 2, 30, 40])), Some([1.0, 2.0, 29.0, 38.0]));
    assert_eq!(bounds(Shape::Quad([5, 1, 9, 2, 8, 7, 4, 6])), Some([4.0, 1.0, 5.0, 6.0]));
    assert_eq!(bounds(Shape::Polygons(vec![vec![5, 1, 9, 2], vec![0, 3, 1, 8]])), Some([0.0, 1.0, 9.0, 7.0]));
    assert_eq!(bounds(Shape::Polygons(vec![Vec::new()])), None);
}

/// What the package asks, as JSON: a box becomes places.
#[test]
fn tasks_are_asked_with_what_comes_with_them() {
    let ask = |request: Value| Request::parse(&request.to_string());
    let asked = |request: Value| ask(request).expect("a sound request");
    let (edges, size) = ([5.5, 4.0, 35.5, 24.0], (61, 37));
    let boxed = json!({ "x": 5.5, "y": 4, "width": 30, "height": 20 });
    let region = asked(json!({ "task": "region-to-ocr", "box": boxed, "size": [61, 37] }));
    let places = locations(edges, size);
    assert_eq!(region, Request::Task(VisionTask::RegionToOcr, places.clone()));
    assert_ne!(places, locations([5.5, 4.0, 30.0, 20.0], size), "width and height are no edges");
    let words = asked(json!({ "task": "phrase-grounding", "text": "a cat", "box": null, "size": [61, 37] }));
    assert_eq!(words, Request::Task(VisionTask::PhraseGrounding, "a cat".into()));
    let none = asked(json!({ "task": "ocr", "size": [61, 37] }));
    assert_eq!(none, Request::Task(VisionTask::Ocr, String::new()));
    for (wrong, said) in [
        (json!({ "task": "find" }), "expected caption, detailed-caption"),
        (json!({ "task": "region-to-ocr", "size": [61, 37] }), "box: expected x, y, width and height"),
        (json!({ "task": "region-to-ocr", "box": { "x": 1, "y": 2, "width": 3 }, "size": [61, 37] }), "box: expected"),
        (json!({ "task": "region-to-ocr", "box": boxed }), "size: expected width and height"),
    ] {
        let error = ask(wrong).expect_err(said).to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn regions_as_json() {
    let region = |shape| Answer::Regions(vec![Region { label: "a".into(), shape }]);
    let json = |answer: Answer| serde_json::to_value(answer).expect("plain data");
    let bounds = json!({ "x": 1.0, "y": 2.0, "width": 3.0, "height": 4.0 });
    assert_eq!(json(Answer::Text("a".into())), json!({ "text": "a" }));
    let edges = json(region(Shape::Edges([1, 2, 4, 6])));
    assert_eq!(edges, json!({ "regions": [{ "label": "a", "box": bounds }] }));
    let corners = [1, 2, 4, 2, 4, 6, 1, 6];
    let quad = json(region(Shape::Quad(corners)));
    assert_eq!(quad, json!({ "regions": [{ "label": "a", "box": bounds, "quad": corners }] }));
    let polygons = json(region(Shape::Polygons(vec![corners.to_vec()])));
    assert_eq!(polygons, json!({ "regions": [{ "label": "a", "box": bounds, "polygons": [corners] }] }));
    assert_ne!(quad, polygons);
}
