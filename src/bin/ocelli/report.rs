//! `ocelli eval` and `ocelli recall` for people: a few aligned lines.

use crate::{
    metrics::Share,
    output::Run,
    results::{Evaluation, Retrieval},
};

/// Maximum number of lines of each table; `--json` has everything.
const LINES: usize = 10;

pub fn eval(result: &Evaluation, worst: &[usize]) -> String {
    let (classes, templates) = (result.classes.len(), result.templates.len());
    let mut text = head(&result.run, &format!("{}", result.run.pictures));
    let ending = if templates == 1 { "" } else { "s" };
    text += &format!("question  {classes} classes, {templates} template{ending} ({})\n", result.template_set);
    text += "\n            share     95 % interval\n";
    for (name, share) in [("top-1", result.top1), ("top-5", result.top5)] {
        let (of, range) = (format!("{} of {}", share.right, share.of), interval(share));
        text += &format!("{name:7} {:>9}  {range:>16}   {of}\n", percent(share.share));
    }
    if let Some(same) = &result.same_as {
        let Share { right, of, share, .. } = same.agreement.same;
        text += &format!("\nagainst {}\n", same.file);
        text += &format!("  same top-1 on {right} of {of} pictures, {}\n", percent(share));
        text += &format!("  accuracy {:+.2} points: ", same.agreement.points);
        text += &format!("{} right only here, ", same.agreement.right_only_here);
        text += &format!("{} right only there\n", same.agreement.right_only_there);
        if same.only_here + same.only_there > 0 {
            text += &format!("  left out: {} pictures only here, {} only there\n", same.only_here, same.only_there);
        }
    }
    let lines = result.confusions.iter().map(|c| format!("{:5}  {} → {}\n", c.count, c.truth, c.predicted));
    text += &table("most often confused (true → predicted)", result.confusions.len(), lines);
    let line = |&class: &usize| {
        let row = &result.classes[class];
        let share = percent(row.top1 as f64 / row.pictures as f64);
        format!("{share:>10}  {} ({} of {})\n", row.label, row.top1, row.pictures)
    };
    text += &table("worst classes", worst.len(), worst.iter().map(line));
    if result.passed_over > 0 {
        text += &format!("\npassed over: {} other files in the classes' folders\n", result.passed_over);
    }
    text
}

pub fn recall(result: &Retrieval) -> String {
    let mut text = head(&result.run, &format!("{} with {} captions", result.run.pictures, result.captions));
    let line = |name: &str, cells: [String; 3]| {
        let [a, b, c] = cells;
        format!("{name:14}  {a:>16}  {b:>16}  {c:>16}\n")
    };
    text += "\n";
    text += &line("recall", ["@1", "@5", "@10"].map(Into::into));
    for (name, recall) in [("text → picture", &result.text_to_image), ("picture → text", &result.image_to_text)] {
        let shares = [recall.at_1, recall.at_5, recall.at_10];
        text += &line(name, shares.map(|s| percent(s.share)));
        text += &line("  95 %", shares.map(interval));
    }
    text
}

fn head(run: &Run, pictures: &str) -> String {
    let Run { model, family, format, seconds, pictures_per_second, .. } = run;
    format!(
        "model     {model} ({family}, {format})\npictures  {pictures}; {seconds:.1} s, {pictures_per_second:.1} a second with \
         decoding\n"
    )
}

fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

fn interval(share: Share) -> String {
    format!("{:.2} – {:.2} %", 100.0 * share.low, 100.0 * share.high)
}

/// A heading and its first lines; nothing if there are none.
fn table(heading: &str, of: usize, lines: impl Iterator<Item = String>) -> String {
    if of == 0 {
        return String::new();
    }
    let more =
        if of > LINES { format!("       … and {} more: --json has them\n", of - LINES) } else { String::new() };
    format!("\n{heading}\n{}{more}", lines.take(LINES).collect::<String>())
}
