//! `ocelli task`: what Florence-2 was trained to be asked, with typed answers.

use ocelli::{
    Result,
    config::{AnswerForm, PromptRule, TaskInput},
    found::{Answer, Bounds, Region, Shape, locations, parse},
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
    /// Of tasks that are answered in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// Of those that are answered in parts of the picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    regions: Option<Vec<Found>>,
    finish: Finish,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
}

/// A part of a picture, in its pixels.
#[derive(Serialize)]
struct Found {
    label: String,
    /// The smallest box around it; none of a polygon without corners.
    #[serde(rename = "box")]
    bounds: Option<Bounds>,
    /// x and y of four corners.
    #[serde(skip_serializing_if = "Option::is_none")]
    quad: Option<[i32; 8]>,
    /// x and y of the corners of each.
    #[serde(skip_serializing_if = "Option::is_none")]
    polygons: Option<Vec<Vec<i32>>>,
}

impl From<Region> for Found {
    fn from(Region { label, shape }: Region) -> Self {
        let bounds = shape.bounds();
        let (quad, polygons) = match shape {
            Shape::Edges(_) => (None, None),
            Shape::Quad(corners) => (Some(corners), None),
            Shape::Polygons(polygons) => (None, Some(polygons)),
        };
        Self { label, bounds, quad, polygons }
    }
}

impl Answered {
    /// Line by line, for people.
    fn lines(&self) -> Vec<String> {
        let line = |found: &Found| {
            let place = found.bounds.map_or_else(|| "nowhere".into(), |bounds| place(bounds, 0));
            let corners = found.polygons.as_ref().map_or(0, |polygons| polygons.iter().map(|p| p.len() / 2).sum());
            let corners = if corners > 0 { format!(", {corners} corners") } else { String::new() };
            format!("{}  {place}{corners}", found.label)
        };
        let regions = self.regions.iter().flatten().map(line);
        self.text.iter().cloned().chain(regions).collect()
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
    let writer = Writer::load(setup, &args.model, true).await?;
    if writer.session.config.generator()?.prompt != PromptRule::Florence {
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
    let region = args.region.as_deref().map(|edges| {
        let edges = edges.try_into().expect("four, as the option has it");
        locations(edges, size)
    });
    let input = region.as_deref().or(args.text.as_deref()).unwrap_or_default();
    let mut seen = writer.see(&[picture])?;
    let prompt = writer.ask(&format!("{}{input}", args.task.token()), &seen)?;
    let written = writer.write(&mut seen, &prompt, options, &Form::Any, |_| Ok(())).await?;
    let spelled = writer.spelled(&written.tokens)?;
    let form = args.task.answer();
    let (text, regions) = match parse(form, if form == AnswerForm::Text { &written.text } else { &spelled }, size) {
        Answer::Text(text) => (Some(text), None),
        Answer::Regions(regions) => (None, Some(regions.into_iter().map(Found::from).collect())),
    };
    Ok(Answered { text, regions, finish: written.finish, score: written.score })
}
