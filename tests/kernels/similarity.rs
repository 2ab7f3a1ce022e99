use ocelli::{
    kernels::{ActId, Rule, Similarity},
    random::Random,
    reference,
};

use crate::case::{Build, Case, Step, output, poison, words};

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for rule in [Rule::Identity, Rule::Sigmoid, Rule::Softmax] {
        // One label, fewer and more labels than lanes.
        for (pictures, labels, dim) in [(1, 1, 1), (3, 7, 36), (2, 200, 33), (5, 64, 512)] {
            cases.push(case(pictures, labels, dim, rule));
        }
    }
    cases
}

fn case(pictures: usize, labels: usize, dim: usize, rule: Rule) -> Case {
    let mut random = Random::new((pictures + labels * dim) as u64);
    let images = reference::normalize(&random.floats(pictures * dim), dim);
    let texts = reference::normalize(&random.floats(labels * dim), dim);
    let right = Similarity {
        images: ActId(0),
        texts: ActId(1),
        y: output(2),
        pictures: pictures as u32,
        labels: labels as u32,
        dim: dim as u32,
        scale: 30.0,
        bias: -3.0,
        rule,
    };
    let build = |change: fn(&mut Similarity)| -> Build {
        let mut kernel = right.clone();
        change(&mut kernel);
        Box::new(move || Step { kernel: Box::new(kernel.clone()), weights: Vec::new() })
    };
    let mut wrong = vec![(
        "identity and sigmoid exchanged",
        build(|k| {
            k.rule = if k.rule == Rule::Identity { Rule::Sigmoid } else { Rule::Identity };
        }),
    )];
    if rule != Rule::Softmax && labels > 1 {
        // A softmax does not see the bias, nor does a sigmoid far from zero.
        wrong.push(("bias dropped", build(|k| k.bias = 0.0)));
    }
    if labels > 1 {
        wrong.push(("scale of 1", build(|k| k.scale = 1.0)));
    }
    let n = pictures * labels;
    let magnitude = if rule == Rule::Identity { 33.0 } else { 1.0 };
    Case {
        name: format!("similarity pictures={pictures} labels={labels} dim={dim} {rule:?}"),
        acts: vec![words(&images), words(&texts), poison(n)],
        rough: None,
        batch: 1,
        right: build(|_| ()),
        wrong,
        // Logits up to 33 from `dim` additions of products whose magnitudes sum to at most 1; exp turns an absolute error
        // of the logit into a relative one of a score up to 1.
        bound: Some((vec![magnitude; n], (dim as f64 * 30.0 / f64::from(magnitude) + 64.0) * 2f64.powi(-23))),
    }
}
