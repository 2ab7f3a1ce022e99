//! Boxes without words: what a detector's objectness says.

use std::collections::BTreeSet;

use ocelli::{
    backend::{Backend, Cpu},
    found::DetectOptions,
    session::Scene,
};

use crate::{
    Outcome,
    boxes::{BOXES, Image, LOGITS, apart, sigmoid},
    common::distance,
    golden::{Golden, TAP_IMAGE, embed, look, session},
};

/// Boxes of whatever is there, by objectness, are the reference's.
pub fn answers<B: Backend>(model: &str, device: &dyn Fn() -> B) -> Outcome {
    let (golden, session) = (Golden::<Image>::of(model), session(device(), model));
    let queries = embed(&session, &golden);
    let unit = golden.unrelated_distance["objectness"];
    let mut fewer = false;
    for (name, image) in &golden.images {
        let (scene, expected) = (look(&session, name), image.objectness.as_ref().expect("objectness"));
        let options = DetectOptions { threshold: 0.0, clip: false, ..DetectOptions::default() };
        let all = session.objects(&scene, &options)?;
        let away = |logits: &[f32]| distance(logits, expected) / unit;
        let mut by_token: Vec<(u32, f32)> = all.iter().map(|one| (one.token, one.logit)).collect();
        by_token.sort_unstable_by_key(|one| one.0);
        let logits: Vec<f32> = by_token.iter().map(|one| one.1).collect();
        let off = away(&logits);
        assert!(off <= LOGITS, "{name}: expected at most {LOGITS} of the unrelated distance, found {off:.2e}");
        let backwards: Vec<f32> = logits.iter().rev().copied().collect();
        let of_labels = pollster::block_on(session.detect(&scene, &session.queries(&queries)?))?;
        let of_labels: Vec<f32> = of_labels.iter().map(|hit| hit.logit).collect();
        for (what, wrong) in [("from the last", backwards), ("of labels", of_labels)] {
            assert!(away(&wrong) > 100.0 * LOGITS, "{name}: {what} passes");
        }
        let of = |options: &DetectOptions| session.objects(&scene, options).expect("as before");
        assert!(all.is_sorted_by(|a, b| a.logit >= b.logit), "{name}: best first");
        assert_eq!(
            all.iter().map(|one| one.token).collect::<BTreeSet<_>>().len(),
            expected.len(),
            "{name}: all tokens"
        );
        let longer = f64::from(scene.size.0.max(scene.size.1));
        for one in &all {
            let (b, token) = (one.bounds, one.token as usize);
            let shares = [b.x + b.width / 2.0, b.y + b.height / 2.0, b.width, b.height].map(|edge| edge / longer);
            assert!(apart(&shares, &image.boxes[token]) <= BOXES, "{name}: token {token}: {shares:?}");
            let score = sigmoid(&[expected[token]])[0];
            assert!((f64::from(one.score) - score).abs() < 1e-5, "{name}: token {token}: {} {score}", one.score);
        }
        assert_eq!(of(&DetectOptions { top_k: Some(3), ..options.clone() }), all[..3], "{name}: the best three");
        let threshold = sigmoid(&[f32::midpoint(all[2].logit, all[3].logit)])[0];
        assert_eq!(of(&DetectOptions { threshold, ..options.clone() }), all[..3], "{name}: above a threshold");
        let kept = of(&DetectOptions { nms: Some(0.3), ..options });
        assert!(kept[0] == all[0] && kept.iter().all(|one| all.contains(one)), "{name}: suppressed");
        fewer |= kept.len() < all.len();
    }
    assert!(fewer, "boxes overlap somewhere");
    Ok(())
}

/// Scenes that are none of this model's.
pub fn foreign(model: &str) -> Outcome {
    let session = session(Cpu::default(), model);
    let scene = look(&session, TAP_IMAGE);
    let code = |change: &dyn Fn(&mut Vec<Vec<f32>>)| {
        let mut features = scene.features.clone();
        change(&mut features);
        session.objects(&Scene::new(scene.size, features), &DetectOptions::default()).err().map(|e| e.code())
    };
    assert_eq!(code(&|_| ()), None);
    assert_eq!(code(&|features| features[3][7] = f32::NAN), Some("not-finite"));
    assert_eq!(code(&|features| drop(features.pop())), Some("bad-input"), "one of OWL-ViT's");
    assert_eq!(code(&|features| features.iter_mut().for_each(|part| part.truncate(4))), Some("bad-input"), "too short");
    Ok(())
}

/// OWL-ViT has no such head.
pub fn none(model: &str) -> Outcome {
    let session = session(Cpu::default(), model);
    let refused = session.objects(&look(&session, TAP_IMAGE), &DetectOptions::default()).expect_err("no objectness");
    assert_eq!(refused.code(), "wrong-model");
    let why = refused.to_string();
    assert!(why.contains("owlvit: expected a model with a head for objectness") && why.contains("load owlv2"), "{why}");
    Ok(())
}
