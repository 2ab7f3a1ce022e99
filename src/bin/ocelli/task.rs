//! `ocelli task`: what Florence-2 was trained to be asked, with typed answers.

use ocelli::{
    Result,
    config::{AnswerForm, TaskInput, locations},
    found::{Answer, Region, Shape, parse},
    pictures::Picture,
    session::{Finish, Form, Options},
};
use serde::Serialize;

use crate::{
    ask::place,
    bad_input,
    cli::{Setup, TaskArgs},
    generate::{Writer, each},
    stream::Unreadable,
};

/// What is said of a picture.
#[derive(Serialize)]
struct Answered {
    /// Words, or parts of the picture in its pixels.
    #[serde(flatten)]
    answer: Answer,
    finish: Finish,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
}

impl Answered {
    /// Line by line, for people.
    fn lines(&self) -> Vec<String> {
        let line = |region: &Region| {
            let place = region.shape.bounds().map_or_else(|| "nowhere".into(), |bounds| place(bounds, 0));
            let corners: usize = match &region.shape {
                Shape::Polygons(polygons) => polygons.iter().map(|p| p.len() / 2).sum(),
                _ => 0,
            };
            let corners = if corners > 0 { format!(", {corners} corners") } else { String::new() };
            format!("{}  {place}{corners}", region.label)
        };
        match &self.answer {
            Answer::Text(text) => vec![text.clone()],
            Answer::Regions(regions) => regions.iter().map(line).collect(),
        }
    }
}

pub async fn run(json: bool, setup: &Setup, args: TaskArgs) -> Result<Vec<Unreadable>> {
    let task = args.task;
    match (task.input(), &args.text, &args.region) {
        (TaskInput::None, None, None) | (TaskInput::Words, Some(_), None) | (TaskInput::Region, None, Some(_)) => {}
        (TaskInput::None, ..) => return Err(bad_input(format!("{}: expected nothing beside it", task.name()))),
        (TaskInput::Words, ..) => return Err(bad_input(format!("{}: expected --text and no --region", task.name()))),
        (TaskInput::Region, ..) => return Err(bad_input(format!("{}: expected --region L,T,R,B", task.name()))),
    }
    let writer = Writer::load(setup, &args.model, args.loaded, true).await?;
    if !writer.session.config.generator()?.prompt.knows_tasks() {
        let found = writer.session.config.family.name();
        return Err(bad_input(format!(
            "--model: expected florence2, which knows tasks, found {found}: see caption and ask"
        )));
    }
    let (stops, max_tokens) = (writer.stops(false)?, Some(args.max_tokens));
    let options = Options { max_tokens, stops, beams: args.beams, ..Options::default() };
    let lines = |answered: &Answered| answered.lines().iter().map(|line| format!("  {line}\n")).collect();
    each(json, &args.images, lines, async |picture| answer(&writer, picture, &args, options.clone()).await).await
}

async fn answer(writer: &Writer, picture: Picture, args: &TaskArgs, options: Options) -> Result<Answered> {
    let size = (picture.size().0 as u32, picture.size().1 as u32);
    let region = args.region.map(|edges| locations(edges, size));
    let input = region.as_deref().or(args.text.as_deref()).unwrap_or_default();
    let mut seen = writer.see(&[picture])?;
    let prompt = writer.ask(&format!("{}{input}", args.task.token()), &seen)?;
    let written = writer.write(&mut seen, &prompt, options, &Form::Any, |_| Ok(())).await?;
    let spelled = writer.spelled(&written.tokens)?;
    let form = args.task.answer();
    let said = if form == AnswerForm::Text { &written.text } else { &spelled };
    Ok(Answered { answer: parse(form, said, size), finish: written.finish, score: written.score })
}
