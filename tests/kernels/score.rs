use ocelli::{
    kernels::{ActId, Rule, Score},
    random::Random,
};

use crate::case::{Build, Case, Step, output, poison, words};

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for rule in [Rule::Identity, Rule::Sigmoid, Rule::Softmax] {
        // One label, fewer and more labels than lanes.
        for (pictures, labels) in [(1, 1), (3, 7), (2, 200), (5, 64)] {
            cases.push(case(pictures, labels, rule));
        }
    }
    cases
}

fn case(pictures: usize, labels: usize, rule: Rule) -> Case {
    let n = pictures * labels;
    let cosines = Random::new(n as u64).floats(n);
    let right = Score {
        cosines: ActId(0),
        y: output(1),
        pictures: pictures as u32,
        labels: labels as u32,
        scale: 30.0,
        bias: -3.0,
        rule,
    };
    let build = |change: fn(&mut Score)| -> Build {
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
    let magnitude = if rule == Rule::Identity { 33.0 } else { 1.0 };
    Case {
        name: format!("score pictures={pictures} labels={labels} {rule:?}"),
        acts: vec![words(&cosines), poison(n)],
        batch: 1,
        right: build(|_| ()),
        wrong,
        // Logits up to 33; exp turns an absolute error of the logit into a relative one of a score up to 1.
        bound: Some((vec![magnitude; n], 96.0 * 2f64.powi(-23))),
        rough: None,
    }
}
