//! Picture files one after the other, and those among them that are left out.

use std::{
    path::{Path, PathBuf},
    sync::mpsc::Receiver,
};

use indicatif::ProgressBar;
use ocelli::{
    Error, Result,
    pictures::{self, Picture},
    threads,
};
use serde::Serialize;

use crate::{bad_input, device::Session};

/// A picture that is left out, and why.
#[derive(Debug, Clone, Serialize)]
pub struct Unreadable {
    /// Its place among those asked for.
    #[serde(skip)]
    pub at: usize,
    pub file: String,
    pub reason: String,
}

/// Batches of decoded files, in order.
pub fn decoded(folder: &Path, files: &[PathBuf], batch: usize) -> Receiver<Vec<Result<Picture>>> {
    let paths: Vec<PathBuf> = files.iter().map(|file| folder.join(file)).collect();
    pictures::decoded(paths, batch, threads::usual(), |path| Picture::open(&path))
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
    let (mut unreadable, mut at) = (Vec::new(), 0);
    for batch in decoded(folder, files, batch) {
        for embedding in pictures::embed(session, batch).await? {
            match embedding {
                Ok(embedding) => each(at, embedding),
                Err(error) => unreadable.push(left_out(folder, files, at, &error)),
            }
            at += 1;
        }
        bar.set_position(at as u64);
    }
    not_all(unreadable, files.len())
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
    let mut unreadable = Vec::new();
    for (at, picture) in decoded(folder, files, batch).into_iter().flatten().enumerate() {
        let refused = match picture {
            Ok(picture) => match each(at, picture).await {
                Err(error @ Error::BadImage(_)) => Some(error),
                done => done.map(|()| None)?,
            },
            Err(error) => Some(error),
        };
        unreadable.extend(refused.map(|error| left_out(folder, files, at, &error)));
        bar.inc(1);
    }
    not_all(unreadable, files.len())
}

/// Without the file's name in the reason, which may have it too.
pub fn left_out(folder: &Path, files: &[PathBuf], at: usize, error: &Error) -> Unreadable {
    let path = format!("{}: ", folder.join(&files[at]).display());
    let reason = error.to_string();
    let reason = reason.strip_prefix(&path).map_or_else(|| reason.clone(), Into::into);
    Unreadable { at, file: files[at].display().to_string(), reason }
}

/// Without a single picture there is nothing to go on with.
fn not_all(unreadable: Vec<Unreadable>, files: usize) -> Result<Vec<Unreadable>> {
    match &unreadable[..] {
        [Unreadable { file, reason, .. }, ..] if unreadable.len() == files => Err(bad_input(match files {
            1 => format!("{file}: {reason}"),
            _ => format!("pictures: expected some that can be read, found none of {files}: {file}: {reason}"),
        })),
        _ => Ok(unreadable),
    }
}
