//! Many pictures, few in memory: one batch is decoded on other threads while the GPU works on the one before.

use std::{
    num::NonZero,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, sync_channel},
    thread,
};

use indicatif::ProgressBar;
use ocelli::{Error, Result, backend::Device, session::Source};
use serde::Serialize;

use crate::{bad_input, device::Session, picture::Picture};

/// A picture that is left out, and why.
#[derive(Debug, Clone, Serialize)]
pub struct Unreadable {
    /// Its place among those asked for.
    #[serde(skip)]
    pub at: usize,
    pub file: String,
    pub reason: String,
}

/// Threads that the machine runs at once.
pub fn threads() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Hands the embedding of each file to `each`, in order and with its place; returns those that could not be read.
/// At most two batches are in memory.
pub async fn embed_files(
    session: &Session,
    folder: &Path,
    files: &[PathBuf],
    batch: usize,
    bar: &ProgressBar,
    mut each: impl FnMut(usize, Vec<f32>),
) -> Result<Vec<Unreadable>> {
    let work = async |pictures: Vec<(usize, Picture)>| {
        let mut refused = Vec::new();
        for ((at, _), embedding) in pictures.iter().zip(embed(session, &pictures).await?) {
            match embedding {
                Ok(embedding) => each(*at, embedding),
                Err(error) => refused.push((*at, error)),
            }
        }
        Ok(refused)
    };
    in_batches(folder, files, batch, bar, work).await
}

/// Hands each picture to `each`, in order and with its place; returns those that could not be read, and those that it refuses.
/// At most two batches are in memory.
pub async fn each_file(
    folder: &Path,
    files: &[PathBuf],
    batch: usize,
    bar: &ProgressBar,
    mut each: impl AsyncFnMut(usize, Picture) -> Result<()>,
) -> Result<Vec<Unreadable>> {
    let work = async |pictures: Vec<(usize, Picture)>| {
        let mut refused = Vec::new();
        for (at, picture) in pictures {
            match each(at, picture).await {
                Ok(()) => bar.inc(1),
                Err(error @ Error::BadImage(_)) => refused.push((at, error)),
                Err(error) => return Err(error),
            }
        }
        Ok(refused)
    };
    in_batches(folder, files, batch, bar, work).await
}

/// Hands batches of decoded pictures with their places to `work`, which says which of them it refuses.
async fn in_batches(
    folder: &Path,
    files: &[PathBuf],
    batch: usize,
    bar: &ProgressBar,
    mut work: impl AsyncFnMut(Vec<(usize, Picture)>) -> Result<Vec<(usize, Error)>>,
) -> Result<Vec<Unreadable>> {
    let paths = files.iter().map(|file| folder.join(file)).collect();
    let (mut unreadable, mut at) = (Vec::new(), 0);
    for batch in decode(paths, batch) {
        let mut pictures = Vec::with_capacity(batch.len());
        for decoded in batch {
            match decoded {
                Ok(picture) => pictures.push((at, picture)),
                Err(error) => unreadable.push((at, error.to_string())),
            }
            at += 1;
        }
        unreadable.extend(work(pictures).await?.into_iter().map(|(at, error)| (at, error.to_string())));
        bar.set_position(at as u64);
    }
    if at < files.len() {
        return Err(Error::BadImage(format!("{}: the decoder stopped here or just behind", files[at].display())));
    }
    if unreadable.len() == files.len() {
        let (_, reason) = &unreadable[0];
        let none = if at == 1 {
            String::new()
        } else {
            format!("pictures: expected some that can be read, found none of {at}: ")
        };
        return Err(bad_input(none + reason));
    }
    unreadable.sort_unstable_by_key(|(at, _)| *at);
    // The reason names the file too.
    let named = unreadable.into_iter().map(|(at, reason)| {
        let path = format!("{}: ", folder.join(&files[at]).display());
        let reason = reason.strip_prefix(&path).map_or_else(|| reason.clone(), Into::into);
        Unreadable { at, file: files[at].display().to_string(), reason }
    });
    Ok(named.collect())
}

/// Embeds a batch. A picture that the model refuses (too large, no pixels) does not spoil the others.
async fn embed(session: &Session, pictures: &[(usize, Picture)]) -> Result<Vec<Result<Vec<f32>>>> {
    let sources: Vec<&dyn Source<Device>> =
        pictures.iter().map(|(_, picture)| picture as &dyn Source<Device>).collect();
    match session.embed_images(&sources).await {
        Ok(embeddings) => return Ok(embeddings.into_iter().map(Ok).collect()),
        Err(Error::BadImage(_)) => {}
        Err(error) => return Err(error),
    }
    let mut all = Vec::with_capacity(sources.len());
    for source in sources {
        match session.embed_images(&[source]).await {
            Ok(mut embeddings) => all.push(Ok(embeddings.remove(0))),
            Err(error @ Error::BadImage(_)) => all.push(Err(error)),
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

/// Batches of decoded files, in order. The next one is begun when one is taken.
fn decode(paths: Vec<PathBuf>, batch: usize) -> Receiver<Vec<Result<Picture>>> {
    let (sender, receiver) = sync_channel(0);
    thread::spawn(move || {
        for batch in paths.chunks(batch) {
            let pictures = thread::scope(|scope| {
                let parts: Vec<_> = batch
                    .chunks(batch.len().div_ceil(threads()))
                    .map(|part| scope.spawn(|| part.iter().map(|path| Picture::open(path)).collect::<Vec<_>>()))
                    .collect();
                parts.into_iter().flat_map(|part| part.join().expect("decoders report errors")).collect()
            });
            // Nobody listens any more after an error.
            if sender.send(pictures).is_err() {
                return;
            }
        }
    });
    receiver
}
