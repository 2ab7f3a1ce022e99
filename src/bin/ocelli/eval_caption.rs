//! `ocelli eval-caption`: how near captions are to those of people.

use std::time::Instant;

use ocelli::{Result, pictures::Picture};

use crate::{
    captioned::Captioned,
    cli::{EvalCaptionArgs, Setup},
    count_bar,
    generate::Writer,
    output, report,
    results::{CaptionScores, WordingRow},
    stream::{self, Unreadable},
    wording::{self, Case},
};

pub async fn run(json: bool, setup: &Setup, args: EvalCaptionArgs) -> Result<Vec<Unreadable>> {
    let over = &args.over;
    output::check_out(json, over.out.as_deref())?;
    let mut asked = Captioned::read(over.manifest.as_deref(), over.images.as_deref())?;
    if let Some(limit) = over.limit {
        asked.limit(limit.get());
    }
    let show = !over.no_progress;
    let writer = Writer::load(setup, &over.model, args.brief.loaded(over), show).await?;
    let rule = writer.session.config.generator()?.prompt;
    let request = [args.prompt.unwrap_or_else(|| rule.caption().into())];
    let bar = count_bar("pictures", asked.files.len(), show);
    let start = Instant::now();
    let mut said = Vec::new();
    let each = async |at: usize, picture: Picture| {
        let mut replies = writer.replies(picture, &request, args.brief.max_tokens).await?;
        said.push((at, replies.remove(0)));
        Ok(())
    };
    let unreadable = stream::each_file(&asked.images, &asked.files, over.batch.get(), &bar, each).await?;
    let run = output::Run::new(over, &writer.session, &asked.images, said.len(), start.elapsed());
    bar.finish_and_clear();

    // A picture that could not be read is in no score, and its captions make no word frequent.
    let case = |(at, caption): &(usize, String)| Case {
        candidate: wording::words(caption),
        references: asked.captions[*at].iter().map(|text| wording::words(text)).collect(),
    };
    let cases: Vec<Case> = said.iter().map(case).collect();
    let cider = wording::cider(&cases);
    let [request] = request;
    let result = CaptionScores {
        command: "eval-caption",
        run,
        prompt: request,
        captions: cases.iter().map(|case| case.references.len()).sum(),
        bleu: wording::bleu(&cases),
        cider_d: (cases.len() > 1).then(|| cider.iter().sum::<f64>() / cases.len() as f64),
        unreadable,
        results: said
            .into_iter()
            .zip(cider)
            .map(|((at, caption), cider_d)| WordingRow {
                file: asked.files[at].display().to_string(),
                caption,
                cider_d,
            })
            .collect(),
    };
    output::result(json, over.out.as_deref(), &result, || report::captions(&result))?;
    Ok(result.unreadable)
}
