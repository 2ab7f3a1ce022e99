//! Ranks of captions and pictures among each other: pure functions, and no matrix of all scores.
//!
//! The protocol of COCO and Flickr30k: each caption asks for its picture, and each picture is found by the best of its own
//! captions. A tie counts against the model: what is not right and scores the same stands before what is right, so that a
//! model that gives everything one embedding comes last, not first. Equal captions of several pictures are one text that is
//! right for all of these pictures; as candidates they count as often as they are written.

use crate::metrics::dot;

/// Texts that one pass over the pictures compares: they stay in the processor's cache.
const TILE: usize = 16;

/// A text, the pictures that it describes (ascending, a picture as often as it has the text).
pub struct Text {
    pub embedding: Vec<f32>,
    pub pictures: Vec<usize>,
}

/// What [`ranks`] finds; all ranks start at 1.
#[derive(Debug, PartialEq, Eq)]
pub struct Ranks {
    /// For each text: pictures that it does not describe and that score at least as high as its best one, plus 1.
    pub texts: Vec<usize>,
    /// For each picture: others' captions that score at least as high as its own best one, plus 1.
    pub pictures: Vec<usize>,
}

/// Ranks in both directions, on `threads` threads. Every picture needs a text, every text a picture.
pub fn ranks(pictures: &[Vec<f32>], texts: &[Text], threads: usize) -> Ranks {
    // Of each picture its own best caption, of each text its own best picture.
    let mut best_caption = vec![f32::NEG_INFINITY; pictures.len()];
    let mut best_picture = vec![f32::NEG_INFINITY; texts.len()];
    for (text, best) in texts.iter().zip(&mut best_picture) {
        for &own in &text.pictures {
            let score = dot(&text.embedding, &pictures[own]);
            *best = best.max(score);
            best_caption[own] = best_caption[own].max(score);
        }
    }
    let share = texts.len().div_ceil(threads.max(1)).max(1);
    let parts: Vec<(Vec<usize>, Vec<usize>)> = std::thread::scope(|scope| {
        let (best_caption, work) = (&best_caption, texts.chunks(share).zip(best_picture.chunks(share)));
        let running: Vec<_> =
            work.map(|(texts, best)| scope.spawn(move || count(pictures, best_caption, texts, best))).collect();
        running.into_iter().map(|thread| thread.join().expect("arithmetic does not panic")).collect()
    });
    let mut ranks = Ranks { texts: Vec::with_capacity(texts.len()), pictures: vec![1; pictures.len()] };
    for (above_texts, above_pictures) in parts {
        ranks.texts.extend(above_texts.into_iter().map(|above| above + 1));
        ranks.pictures.iter_mut().zip(above_pictures).for_each(|(rank, above)| *rank += above);
    }
    ranks
}

/// For some texts: foreign pictures above each, and how often they stand above each picture's own best caption.
fn count(
    pictures: &[Vec<f32>],
    best_caption: &[f32],
    texts: &[Text],
    best_picture: &[f32],
) -> (Vec<usize>, Vec<usize>) {
    let (mut above_texts, mut above_pictures) = (vec![0; texts.len()], vec![0; pictures.len()]);
    for (tile, texts) in texts.chunks(TILE).enumerate() {
        for (picture, embedding) in pictures.iter().enumerate() {
            for (at, text) in texts.iter().enumerate() {
                let score = dot(&text.embedding, embedding);
                let at = tile * TILE + at;
                let (high_for_text, high_for_picture) = (score >= best_picture[at], score >= best_caption[picture]);
                if (high_for_text || high_for_picture) && text.pictures.binary_search(&picture).is_err() {
                    above_texts[at] += usize::from(high_for_text);
                    above_pictures[picture] += if high_for_picture { text.pictures.len() } else { 0 };
                }
            }
        }
    }
    (above_texts, above_pictures)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(embedding: &[f32], pictures: &[usize]) -> Text {
        Text { embedding: embedding.to_vec(), pictures: pictures.to_vec() }
    }

    #[test]
    fn by_hand() {
        // Scores (rows: texts)      picture 0   1    2
        //   0 of picture 0               0.9  0.5  0.1     text rank 1
        //   1 of picture 0               0.2  0.8  0.3     text rank 3
        //   2 of picture 1               0.4  0.6  0.7     text rank 2
        //   3 of picture 2               0.3  0.9  0.5     text rank 2
        // Pictures: 0 by 0.9: none above, 1; 1 by 0.6: texts 1 and 3 above, 3; 2 by 0.5: text 2 above, 2
        let pictures = [vec![1.0, 0.0, 0.0], vec![0.0, 1.0, 0.0], vec![0.0, 0.0, 1.0]];
        let texts = [
            text(&[0.9, 0.5, 0.1], &[0]),
            text(&[0.2, 0.8, 0.3], &[0]),
            text(&[0.4, 0.6, 0.7], &[1]),
            text(&[0.3, 0.9, 0.5], &[2]),
        ];
        for threads in [1, 2, 3, 9] {
            let found = ranks(&pictures, &texts, threads);
            assert_eq!(found, Ranks { texts: vec![1, 3, 2, 2], pictures: vec![1, 3, 2] }, "{threads} threads");
        }
        // Wrong on purpose: with the owners of two captions exchanged, the ranks must change.
        let [a, b, c, d] = texts;
        let exchanged = [Text { pictures: vec![2], ..a }, b, c, Text { pictures: vec![0], ..d }];
        assert_eq!(ranks(&pictures, &exchanged, 1), Ranks { texts: vec![3, 3, 2, 3], pictures: vec![3, 3, 4] });
    }

    #[test]
    fn a_tie_counts_against_the_model() {
        // One embedding for everything: last place everywhere, not first.
        let pictures = vec![vec![1.0, 0.0]; 5];
        let texts: Vec<Text> = (0..5).map(|own| text(&[1.0, 0.0], &[own])).collect();
        assert_eq!(ranks(&pictures, &texts, 2), Ranks { texts: vec![5; 5], pictures: vec![5; 5] });
        // Two copies of one picture with captions of their own: neither is first.
        let pictures = [vec![1.0, 0.0], vec![1.0, 0.0], vec![0.0, 1.0]];
        let texts = [text(&[0.9, 0.1], &[0]), text(&[0.8, 0.1], &[1]), text(&[0.0, 1.0], &[2])];
        assert_eq!(ranks(&pictures, &texts, 1), Ranks { texts: vec![2, 2, 1], pictures: vec![1, 2, 1] });
    }

    #[test]
    fn a_caption_of_several_pictures_is_right_for_all_of_them() {
        let pictures = [vec![1.0, 0.0, 0.0], vec![0.0, 1.0, 0.0], vec![0.0, 0.0, 1.0]];
        // Shared by 0 and 1: its best own picture is first although the other is second.
        let texts = [text(&[0.8, 0.9, 0.1], &[0, 1]), text(&[0.3, 0.2, 0.7], &[2])];
        assert_eq!(ranks(&pictures, &texts, 1), Ranks { texts: vec![1, 1], pictures: vec![1, 1, 1] });
        // As a foreign candidate it counts as often as it is written.
        let texts = [text(&[0.1, 0.2, 0.9], &[0, 1]), text(&[0.3, 0.2, 0.7], &[2])];
        let found = ranks(&pictures, &texts, 1);
        assert_eq!(found, Ranks { texts: vec![2, 1], pictures: vec![2, 2, 3] });
    }

    #[test]
    fn many_equal_the_matrix() {
        // Against the obvious version with all scores, over more texts than a tile and with equal scores in between.
        let mut seed = 7_u32;
        let mut next = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 29) as f32 - 3.0
        };
        let pictures: Vec<Vec<f32>> = (0..37).map(|_| (0..11).map(|_| next()).collect()).collect();
        let texts: Vec<Text> =
            (0..111).map(|at| text(&(0..11).map(|_| next()).collect::<Vec<_>>(), &[at % 37])).collect();
        let score = |t: &Text, p: usize| dot(&t.embedding, &pictures[p]);
        let by_text = texts.iter().map(|t| {
            let own = t.pictures[0];
            1 + (0..37).filter(|&p| p != own && score(t, p) >= score(t, own)).count()
        });
        let by_picture = (0..37).map(|p| {
            let best = texts.iter().filter(|t| t.pictures[0] == p).map(|t| score(t, p)).fold(f32::MIN, f32::max);
            1 + texts.iter().filter(|t| t.pictures[0] != p && score(t, p) >= best).count()
        });
        let expected = Ranks { texts: by_text.collect(), pictures: by_picture.collect() };
        assert_eq!(ranks(&pictures, &texts, 4), expected);
    }
}
