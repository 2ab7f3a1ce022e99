//! `ocelli eval`, `recall` and the `eval-` commands for people: a few aligned lines.

use crate::{
    metrics::Share,
    output::Run,
    results::{AnswerRow, Answers, CaptionScores, DetectionScores, Evaluation, Retrieval, SegmentationScores},
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

pub fn detection(result: &DetectionScores) -> String {
    let DetectionScores { run, rule, template_set, ap, ap50, ap75, by_frequency, categories, .. } = result;
    let mut text = head(run, &format!("{}", run.pictures));
    text += &format!("question  {} categories, templates {template_set}; counted as {rule}\n\n", categories.len());
    let mut line = |name: &str, ap: Option<f64>| text += &format!("{name:12} {:>9}\n", some(ap));
    [("AP", *ap), ("AP50", *ap50), ("AP75", *ap75)].into_iter().for_each(|(name, ap)| line(name, ap));
    if let Some(by) = by_frequency {
        let rows = [("AP rare", by.ap_rare), ("AP common", by.ap_common), ("AP frequent", by.ap_frequent)];
        rows.into_iter().for_each(|(name, ap)| line(name, ap));
    }
    let mut worst: Vec<_> = categories.iter().filter(|row| row.ap.is_some()).collect();
    worst.sort_by(|a, b| a.ap.partial_cmp(&b.ap).expect("precision is a number"));
    let lines = worst.iter().map(|row| format!("{:>10}  {} ({} there)\n", some(row.ap), row.name, row.things));
    text + &table("worst categories", worst.len(), lines)
}

pub fn segmentation(result: &SegmentationScores) -> String {
    let SegmentationScores { run, layout, prompts, threshold, categories, .. } = result;
    let mut text = head(run, &format!("{}", run.pictures));
    text += &format!("question  {prompts} prompts; counted as {layout}\n\n");
    let mut line = |name: String, share: f64| text += &format!("{name:22} {:>9}\n", percent(share));
    line(format!("mIoU at {threshold}"), result.miou);
    line(format!("mIoU at {:.2}, the best", result.best_threshold), result.best_miou);
    line(format!("foreground at {threshold}"), result.foreground_iou);
    line("AP".into(), result.ap);
    let mut worst: Vec<_> = categories.iter().collect();
    worst.sort_by(|a, b| a.iou.total_cmp(&b.iou));
    let lines = worst.iter().map(|row| format!("{:>10}  {} ({})\n", percent(row.iou), row.name, row.pictures));
    text + &table("worst categories", worst.len(), lines)
}

pub fn answers(result: &Answers) -> String {
    let Answers { run, questions, accuracy, counted, exact, yes_no, types, results, .. } = result;
    let mut text = head(run, &format!("{} with {questions} questions", run.pictures));
    text += &format!("\n{:22} {:>9}   over {counted} questions\n", "VQA accuracy", some(*accuracy));
    text += &format!("{:22} {:>9}   {} of {}\n", "exact match", percent(exact.share), exact.right, exact.of);
    if let Some(yes_no) = yes_no {
        let shares = format!("yes {}, no {}", percent(yes_no.yes.share), percent(yes_no.no.share));
        text += &format!("{:22} {:>9}   {shares}\n", "yes or no, balanced", some(yes_no.balanced));
        text += &format!("{:22} {:>9}\n", "rate of yes", percent(yes_no.rate_of_yes));
    }
    for row in types {
        text += &format!("{:22} {:>9}   exact {}\n", row.kind, some(row.accuracy), percent(row.exact.share));
    }
    let wrong: Vec<&AnswerRow> = results.iter().filter(|row| !row.exact).collect();
    let lines = wrong.iter().map(|row| format!("  {}: {} → {}\n", row.image, row.question, row.answer));
    text + &table("answers that nobody gave", wrong.len(), lines)
}

pub fn captions(result: &CaptionScores) -> String {
    let CaptionScores { run, captions, bleu, cider_d, results, .. } = result;
    let mut text = head(run, &format!("{} with {captions} captions", run.pictures)) + "\n";
    for (at, share) in bleu.iter().enumerate() {
        text += &format!("BLEU-{:7} {:>9}\n", at + 1, percent(*share));
    }
    text += &format!("{:12} {:>9}\n", "CIDEr-D", cider_d.map_or("none".into(), |score| format!("{score:.4}")));
    let mut worst: Vec<_> = results.iter().collect();
    worst.sort_by(|a, b| a.cider_d.total_cmp(&b.cider_d));
    let lines = worst.iter().map(|row| format!("{:10.4}  {}: {}\n", row.cider_d, row.file, row.caption));
    text + &table("least like those of people", worst.len(), lines)
}

/// A share that may not be there.
fn some(share: Option<f64>) -> String {
    share.map_or("none".into(), percent)
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
