//! `ocelli recall`: which caption finds its picture, and which picture its captions.

use std::{collections::HashMap, time::Instant};

use ocelli::{Result, config::Task, threads};

use crate::{
    captioned::Captioned,
    cli::{RecallArgs, Setup},
    count_bar,
    device::Session,
    load_for, output, report,
    results::{Caption, CaptionsRow, Recall, Retrieval},
    retrieval::{self, Text},
    stream::{self, Unreadable},
};

pub async fn run(json: bool, setup: &Setup, RecallArgs { over }: RecallArgs) -> Result<Vec<Unreadable>> {
    output::check_out(json, over.out.as_deref())?;
    let mut asked = Captioned::read(over.manifest.as_deref(), over.images.as_deref())?;
    if let Some(limit) = over.limit {
        asked.limit(limit.get());
    }
    let show = !over.no_progress;
    let session = load_for(Task::Embed, setup, &over.model, over.format.format(), show).await?;
    let bar = count_bar("pictures", asked.files.len(), show);
    let (mut pictures, mut places) = (Vec::new(), Vec::new());
    let start = Instant::now();
    let each = |at: usize, embedding: Vec<f32>| {
        places.push(at);
        pictures.push(embedding);
    };
    let unreadable = stream::embed_files(&session, &asked.images, &asked.files, over.batch.get(), &bar, each).await?;
    let run = output::Run::new(&over, &session, &asked.images, pictures.len(), start.elapsed());
    bar.finish_and_clear();

    // The captions of pictures that could be read.
    let captions: Vec<&[String]> = places.iter().map(|&at| asked.captions[at].as_slice()).collect();
    let (index, texts) = texts(&session, &captions, show).await?;
    let ranks = retrieval::ranks(&pictures, &texts, threads::usual());
    let caption = |text: &String| Caption { text: text.clone(), rank: ranks.texts[index[text.as_str()]] };
    let row = |(picture, &at): (usize, &usize)| CaptionsRow {
        file: asked.files[at].display().to_string(),
        rank: ranks.pictures[picture],
        captions: captions[picture].iter().map(caption).collect(),
    };
    let results: Vec<CaptionsRow> = places.iter().enumerate().map(row).collect();
    // As often as a caption is written.
    let of_captions: Vec<usize> = results.iter().flat_map(|row| row.captions.iter().map(|c| c.rank)).collect();
    let result = Retrieval {
        command: "recall",
        run,
        captions: of_captions.len(),
        text_to_image: Recall::new(&of_captions),
        image_to_text: Recall::new(&ranks.pictures),
        unreadable,
        results,
    };
    output::result(json, over.out.as_deref(), &result, || report::recall(&result))?;
    Ok(result.unreadable)
}

/// Each different caption once, with the pictures that have it; and where it stands.
async fn texts<'a>(
    session: &Session,
    captions: &[&'a [String]],
    show: bool,
) -> Result<(HashMap<&'a str, usize>, Vec<Text>)> {
    let (mut index, mut different, mut owners) = (HashMap::new(), Vec::new(), Vec::<Vec<usize>>::new());
    for (picture, captions) in captions.iter().enumerate() {
        for caption in *captions {
            let at = *index.entry(caption.as_str()).or_insert(different.len());
            if at == different.len() {
                different.push(caption.as_str());
                owners.push(Vec::new());
            }
            owners[at].push(picture);
        }
    }
    let bar = count_bar("texts", different.len(), show);
    let mut embeddings = Vec::with_capacity(different.len());
    for chunk in different.chunks(crate::CHUNK) {
        embeddings.extend(session.embed_texts(chunk).await?);
        bar.inc(chunk.len() as u64);
    }
    bar.finish_and_clear();
    let texts = embeddings.into_iter().zip(owners).map(|(embedding, pictures)| Text { embedding, pictures });
    Ok((index, texts.collect()))
}
