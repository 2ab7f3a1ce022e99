//! Many pictures, few in memory: one batch is decoded on other threads while the device works on the one before.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::{Receiver, sync_channel},
    thread,
};

use super::Picture;
use crate::{
    backend::Backend,
    error::{Error, Result},
    session::{Session, Source},
};

/// Batches of decoded inputs, in order. The next one is begun when one is taken, so at most two are in memory.
///
/// # Panics
/// If `batch` or `threads` is 0.
pub fn decoded<T: Send + 'static>(
    inputs: Vec<T>,
    batch: usize,
    threads: usize,
    open: fn(T) -> Result<Picture>,
) -> Receiver<Vec<Result<Picture>>> {
    assert!(batch > 0 && threads > 0, "batch and threads: expected 1 or more, found 0");
    let (sender, receiver) = sync_channel(0);
    thread::spawn(move || {
        let mut inputs = inputs.into_iter();
        while inputs.len() > 0 {
            let count = batch.min(inputs.len());
            let share = count.div_ceil(threads);
            let part = |start: usize| inputs.by_ref().take(share.min(count - start)).collect();
            let parts: Vec<Vec<T>> = (0..count).step_by(share).map(part).collect();
            let pictures = thread::scope(|scope| {
                let decode = |part: Vec<T>| part.into_iter().map(|input| opened(input, open)).collect::<Vec<_>>();
                let parts: Vec<_> = parts.into_iter().map(|part| scope.spawn(move || decode(part))).collect();
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

/// A decoder's bug costs one picture.
fn opened<T>(input: T, open: fn(T) -> Result<Picture>) -> Result<Picture> {
    catch_unwind(AssertUnwindSafe(|| open(input)))
        .unwrap_or_else(|_| Err(Error::BadImage("expected a picture, found one at which the decoder fails".into())))
}

/// Embeds a batch. A picture that is not there, or that the model refuses (too large, no pixels), does not spoil the others.
///
/// # Errors
/// As [`Session::embed_images`], but for [`Error::BadImage`].
pub async fn embed<B: Backend>(session: &Session<B>, pictures: Vec<Result<Picture>>) -> Result<Vec<Result<Vec<f32>>>> {
    let sources: Vec<&dyn Source<B>> = pictures.iter().flatten().map(|picture| picture as &dyn Source<B>).collect();
    let embeddings = match session.embed_images(&sources).await {
        Ok(embeddings) => embeddings.into_iter().map(Ok).collect(),
        Err(Error::BadImage(_)) => one_by_one(session, &sources).await?,
        Err(error) => return Err(error),
    };
    let mut embeddings = embeddings.into_iter();
    let each = |picture: Result<Picture>| picture.and_then(|_| embeddings.next().expect("one for each picture"));
    Ok(pictures.into_iter().map(each).collect())
}

async fn one_by_one<B: Backend>(session: &Session<B>, sources: &[&dyn Source<B>]) -> Result<Vec<Result<Vec<f32>>>> {
    let mut all = Vec::with_capacity(sources.len());
    for source in sources {
        match session.embed_images(&[*source]).await {
            Ok(mut embeddings) => all.push(Ok(embeddings.remove(0))),
            Err(error @ Error::BadImage(_)) => all.push(Err(error)),
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decoder_that_panics_costs_one_picture() {
        let open = |input: u32| match input {
            3 => panic!("a bug"),
            4 => Err(Error::BadImage("four".into())),
            side => Ok(Picture(image::RgbaImage::new(side, 1))),
        };
        for (batch, threads) in [(1, 1), (2, 3), (4, 2), (100, 4)] {
            let all: Vec<_> = decoded((1..=9).collect(), batch, threads, open).into_iter().flatten().collect();
            let sizes: Vec<_> = all.iter().map(|one| one.as_ref().map_or(0, |picture| picture.size().0)).collect();
            assert_eq!(sizes, [1, 2, 0, 0, 5, 6, 7, 8, 9]);
            let error = |at: usize| all[at].as_ref().err().map(ToString::to_string).unwrap_or_default();
            assert!(error(2).contains("the decoder fails"), "{}", error(2));
            assert_eq!(error(3), "four");
        }
    }
}
