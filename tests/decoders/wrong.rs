//! Usual mistakes: each changes what a config says, and must show in the logits of a prompt.

use ocelli::config::{Activation, Decoder, Generator, Head};

use crate::{
    Outcome,
    golden::{Golden, distance, on_cpu, prompt},
    taps::LOGITS,
};

/// A mistake, where a model can make it.
type Mistake = (&'static str, fn(&Generator) -> bool, fn(&mut Decoder));

const MISTAKES: [Mistake; 16] = [
    (
        "frequencies off by 1 %",
        |_| true,
        |d| {
            d.rope.theta *= 1.3;
            d.local_rope.theta *= 1.3;
        },
    ),
    ("one plus the weight, or not", |_| true, |d| d.one_plus ^= true),
    ("another epsilon", |_| true, |d| d.eps *= 30.0),
    ("a scale of the head's size", |g| g.decoder.post_norms, |d| d.scale = 1.0 / (d.head_size as f32).sqrt()),
    ("scores are not scaled", |_| true, |d| d.scale = 1.0),
    ("scores are not capped", |g| g.decoder.score_cap.is_some(), |d| d.score_cap = None),
    ("a window one longer", |g| has_window(&g.decoder), |d| d.windows.iter_mut().flatten().for_each(|w| *w += 1)),
    ("a window one shorter", |g| has_window(&g.decoder), |d| d.windows.iter_mut().flatten().for_each(|w| *w -= 1)),
    ("no window", |g| has_window(&g.decoder), |d| d.windows.fill(None)),
    ("windows in other blocks", |g| has_window(&g.decoder), |d| d.windows.rotate_right(1)),
    ("one rotation for all blocks", |g| g.decoder.rope != g.decoder.local_rope, |d| d.local_rope = d.rope),
    ("rotations are not scaled", |g| g.decoder.rope.factor != 1.0, |d| d.rope.factor = 1.0),
    ("heads are not normed", |g| g.decoder.head_norms, |d| d.head_norms = false),
    ("no norms behind attention and MLP", |g| g.decoder.post_norms, |d| d.post_norms = false),
    ("no bias", |g| g.decoder.bias, |d| d.bias = false),
    ("the other gelu", |g| g.decoder.activation == Activation::GeluTanh, |d| d.activation = Activation::Gelu),
];

fn has_window(d: &Decoder) -> bool {
    d.windows.iter().any(Option::is_some)
}

/// Those of how pictures come in.
type PictureMistake = (&'static str, fn(&Generator) -> bool, fn(&mut Generator));

const WITH_PICTURES: [PictureMistake; 5] = [
    ("a prompt that sees only what was before", |g| pictures(g).prefix, |g| pictures_mut(g).prefix = false),
    ("a prompt that sees all of itself", |g| !pictures(g).prefix, |g| pictures_mut(g).prefix = true),
    ("the tower's last norm, or none", |_| true, |g| pictures_mut(g).features.post_norm ^= true),
    // 3 squares of tokens become 1, or 1 becomes 3.
    (
        "more or fewer tokens are kept",
        |g| pictures(g).packed.is_some(),
        |g| pictures_mut(g).packed = pictures(g).packed.map(|most| 4 - most),
    ),
    ("one block fewer", |_| true, |g| pictures_mut(g).features.blocks -= 1),
];

fn pictures(g: &Generator) -> &ocelli::config::Pictures {
    g.pictures.as_ref().expect("a model with pictures")
}

fn pictures_mut(g: &mut Generator) -> &mut ocelli::config::Pictures {
    g.pictures.as_mut().expect("a model with pictures")
}

pub fn mistakes(model: &str) -> Outcome {
    let golden = Golden::of(model);
    let right = on_cpu(model, |_| ()).config.generator()?.clone();
    let off = |change: &dyn Fn(&mut Generator)| -> Result<f64, ocelli::Error> {
        let session = on_cpu(model, |config| {
            let Head::Generate(generator) = &mut config.head else { panic!("it writes") };
            change(generator);
        });
        let ids = prompt(&session, model, &golden.ids, &golden.images);
        let mut logits = pollster::block_on(session.taps_of_prompt(&ids))?.remove("logits").expect("a tap");
        if let Some(cap) = session.config.generator()?.decoder.logit_cap {
            logits.iter_mut().for_each(|logit| *logit = cap * (*logit / cap).tanh());
        }
        Ok(distance(&logits, &golden.taps["logits"]))
    };
    let judge = |what: &str, off: f64| {
        println!("{model}: {what}: {off:.1e}");
        assert!(off > 2.0 * LOGITS, "{what}: expected to be far away, found {off:.1e}");
    };
    assert!(off(&|_| ())? <= LOGITS);
    for (what, possible, change) in MISTAKES {
        if possible(&right) {
            judge(what, off(&|g| change(&mut g.decoder))?);
        }
    }
    judge("tokens are not scaled, or by another number", off(&|g| g.decoder.embedding_scale *= 1.002)?);
    for (what, possible, change) in WITH_PICTURES {
        if right.pictures.is_some() && possible(&right) {
            judge(what, off(&|g| change(g))?);
        }
    }
    if right.pictures.is_some() {
        // Rows of pictures are not scaled, whatever tokens are; and they come in their order.
        let session = on_cpu(model, |_| ());
        let mut ids = prompt(&session, model, &golden.ids, &golden.images);
        let first = ids.iter().position(|&id| id >= ocelli::kernels::PICTURE).expect("a picture's token");
        ids.swap(first, first + 1);
        let found = pollster::block_on(session.taps_of_prompt(&ids))?;
        judge("two rows of a picture exchanged", distance(&found["logits"], &golden.taps["logits"]));
    }
    // The reference's own, among them those that no config can say.
    let near: Vec<_> = golden.wrong.iter().filter(|(_, distance)| **distance <= 2.0 * LOGITS).collect();
    assert!(golden.wrong.len() > 5 && near.is_empty(), "mistakes that the bound would not show: {near:?}");
    Ok(())
}
