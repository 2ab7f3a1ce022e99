//! `ocelli eval-vqa`: how right answers to questions about pictures are.

use std::{collections::BTreeMap, time::Instant};

use ocelli::{Result, pictures::Picture, scores::fill};

use crate::{
    cli::{EvalVqaArgs, Setup},
    count_bar,
    generate::Writer,
    metrics::Share,
    output,
    questions::{Question, Questions},
    report,
    results::{AnswerRow, Answers, KindRow},
    stream::{self, Unreadable},
    vqa::{self, YesNo},
};

pub async fn run(json: bool, setup: &Setup, args: EvalVqaArgs) -> Result<Vec<Unreadable>> {
    let over = &args.over;
    output::check_out(json, over.out.as_deref())?;
    // A template without a place for the question is refused before anything is loaded.
    fill(args.template.as_deref(), "")?;
    let mut asked = Questions::read(over.manifest.as_deref(), args.answers.as_deref(), over.images.as_deref())?;
    if let Some(limit) = over.limit {
        asked.limit(limit.get());
    }
    let show = !over.no_progress;
    let writer = Writer::load(setup, &over.model, args.brief.loaded(over), show).await?;
    let rule = writer.session.config.generator()?.prompt;
    let bar = count_bar("pictures", asked.files.len(), show);
    let start = Instant::now();
    let mut rows = Vec::new();
    let each = async |at: usize, picture: Picture| {
        let questions = &asked.questions[at];
        let request = |q: &Question| Ok(rule.question(&fill(args.template.as_deref(), &q.text)?));
        let requests = questions.iter().map(request).collect::<Result<Vec<String>>>()?;
        let replies = writer.replies(picture, &requests, args.brief.max_tokens).await?;
        let image = asked.files[at].display().to_string();
        rows.extend(questions.iter().zip(replies).map(|(question, answer)| row(&image, question, answer)));
        Ok(())
    };
    let unreadable = stream::each_file(&asked.images, &asked.files, over.batch.get(), &bar, each).await?;
    let pictures = asked.files.len() - unreadable.len();
    let run = output::Run::new(over, &writer.session, &asked.images, pictures, start.elapsed());
    bar.finish_and_clear();
    let result = evaluation(run, args.template, rows, unreadable);
    output::result(json, over.out.as_deref(), &result, || report::answers(&result))?;
    Ok(result.unreadable)
}

fn row(image: &str, question: &Question, answer: String) -> AnswerRow {
    let plain = vqa::plain(&answer);
    let truths: Vec<String> = question.answers.iter().map(|text| vqa::plain(text)).collect();
    AnswerRow {
        image: image.into(),
        question: question.text.clone(),
        kind: question.kind.clone(),
        accuracy: vqa::accuracy(&plain, &truths),
        exact: truths.contains(&plain),
        yes_no: vqa::truth(&truths).map(|truth| (truth, vqa::said(&plain))),
        answer,
    }
}

fn evaluation(
    run: output::Run,
    template: Option<String>,
    results: Vec<AnswerRow>,
    unreadable: Vec<Unreadable>,
) -> Answers {
    let mut kinds: BTreeMap<&str, Vec<&AnswerRow>> = BTreeMap::new();
    for row in &results {
        if let Some(kind) = &row.kind {
            kinds.entry(kind).or_default().push(row);
        }
    }
    let kind = |(kind, rows): (&str, Vec<&AnswerRow>)| {
        let rows = || rows.iter().copied();
        KindRow { kind: kind.into(), accuracy: mean(rows()), exact: exact(rows()) }
    };
    let yes_no: Vec<(bool, Option<bool>)> = results.iter().filter_map(|row| row.yes_no).collect();
    Answers {
        command: "eval-vqa",
        run,
        template,
        questions: results.len(),
        accuracy: mean(results.iter()),
        counted: results.iter().filter(|row| row.accuracy.is_some()).count(),
        exact: exact(results.iter()),
        yes_no: YesNo::of(&yes_no),
        types: kinds.into_iter().map(kind).collect(),
        unreadable,
        results,
    }
}

fn mean<'a>(rows: impl Iterator<Item = &'a AnswerRow>) -> Option<f64> {
    let counted: Vec<f64> = rows.filter_map(|row| row.accuracy).collect();
    (!counted.is_empty()).then(|| counted.iter().sum::<f64>() / counted.len() as f64)
}

fn exact<'a>(rows: impl Iterator<Item = &'a AnswerRow>) -> Share {
    let right: Vec<bool> = rows.map(|row| row.exact).collect();
    Share::new(right.iter().filter(|right| **right).count(), right.len())
}
