//! Many pictures, few in memory: one batch is decoded on other threads while the device works on the one before.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        mpsc::{Receiver, sync_channel},
    },
    thread, vec,
};

use super::Picture;
use crate::{
    backend::Backend,
    error::{Error, Result},
    session::{Session, Source},
};

/// Bytes of decoded pixels with which a batch ends, however few its pictures are: those of one picture of 12 megapixels. Two batches are in
/// memory, and a decoder has as much again.
const MOST_BYTES: usize = 48_000_000;

/// Batches of decoded inputs, in order: of `batch` pictures, or of fewer where these are large. The next one is begun when one is taken, so
/// at most two are in memory.
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
            // Nobody listens any more after an error.
            if sender.send(one_batch(&mut inputs, batch, threads, open)).is_err() {
                return;
            }
        }
    });
    receiver
}

/// What the threads that decode a batch share.
struct Shared<'a, T> {
    inputs: &'a mut vec::IntoIter<T>,
    taken: usize,
    bytes: usize,
}

fn one_batch<T: Send>(
    inputs: &mut vec::IntoIter<T>,
    batch: usize,
    threads: usize,
    open: fn(T) -> Result<Picture>,
) -> Vec<Result<Picture>> {
    let threads = threads.min(batch).min(inputs.len());
    let shared = Mutex::new(Shared { inputs, taken: 0, bytes: 0 });
    let locked = || shared.lock().expect("nothing fails while it is held");
    let next = || {
        let mut shared = locked();
        let more = shared.taken < batch && shared.bytes < MOST_BYTES;
        let input = more.then(|| shared.inputs.next()).flatten()?;
        shared.taken += 1;
        Some((shared.taken, input))
    };
    let decode = || {
        let mut own = Vec::new();
        while let Some((place, input)) = next() {
            let picture = opened(input, open);
            locked().bytes += picture.as_ref().map_or(0, |picture| picture.0.as_raw().len());
            own.push((place, picture));
        }
        own
    };
    let mut pictures: Vec<_> = thread::scope(|scope| {
        let decoders: Vec<_> = (0..threads).map(|_| scope.spawn(decode)).collect();
        decoders.into_iter().flat_map(|decoder| decoder.join().expect("decoders report errors")).collect()
    });
    pictures.sort_by_key(|(place, _)| *place);
    pictures.into_iter().map(|(_, picture)| picture).collect()
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

    #[test]
    fn batches_of_large_pictures_are_small() {
        let open = |side: u32| Ok(Picture(image::RgbaImage::new(side, 1 << 20)));
        for threads in [1, 3] {
            // Of 4 MB each, then one of 80 MB, then small ones.
            let inputs: Vec<u32> = (0..20).map(|_| 1).chain([20, 1]).collect();
            let batches: Vec<Vec<usize>> = decoded(inputs.clone(), 100, threads, open)
                .into_iter()
                .map(|batch| batch.iter().map(|one| one.as_ref().map_or(0, |picture| picture.size().0)).collect())
                .collect();
            assert_eq!(batches.concat(), inputs.iter().map(|&side| side as usize).collect::<Vec<_>>());
            let least = MOST_BYTES.div_ceil(4 << 20);
            assert!((least..least + threads).contains(&batches[0].len()), "{batches:?}");
        }
        let small = decoded(vec![1; 10], 4, 2, |side| Ok(Picture(image::RgbaImage::new(side, 1))));
        assert_eq!(small.into_iter().map(|batch| batch.len()).collect::<Vec<_>>(), [4, 4, 2]);
    }
}
