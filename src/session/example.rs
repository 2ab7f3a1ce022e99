//! A query by an example: the token of a scene that stands best for what the picture, or a part of it, shows.

use super::{Scene, Session};
use crate::{
    backend::Backend,
    config::BoxScale,
    error::{Error, Result},
    found::Bounds,
    model::EPS,
};

/// A query that was made of a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// Of unit length: for [`Session::queries`].
    pub query: Vec<f32>,
    /// Whose class embedding it is.
    pub token: u32,
}

impl<B: Backend> Session<B> {
    /// What a scene shows as a query; with a `region` (left, top, right and bottom in pixels of the upright picture) what is there.
    ///
    /// OWLv2 takes of a whole picture the token with the highest objectness. Otherwise, of the tokens whose boxes overlap the region
    /// nearly as well as the best of all, it is the one least like the mean of the picture (`embed_image_query` in transformers'
    /// `modeling_owlvit.py` and `modeling_owlv2.py`).
    ///
    /// # Errors
    /// [`Error::WrongModel`] for a model without boxes, [`Error::BadInput`] for a scene of another model or a region without area.
    pub fn example(&self, scene: &Scene, region: Option<[f64; 4]>) -> Result<Example> {
        let scale = self.config.boxes()?.scale;
        self.check_boxes(scene)?;
        let dim = self.config.embedding;
        let token = match (region, scene.objectness()) {
            (None, Some(objectness)) => first_best(objectness.iter().map(|&x| f64::from(x))),
            _ => most_telling(scene, shares(region, scene.size, scale)?, dim),
        };
        let class = &scene.class_embeddings()[token * dim..][..dim];
        let length = class.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt() as f32 + EPS;
        Ok(Example { query: class.iter().map(|x| x / length).collect(), token: token as u32 })
    }
}

/// A region, or else the whole picture, in shares of the square that the tower saw.
fn shares(region: Option<[f64; 4]>, size: (u32, u32), scale: BoxScale) -> Result<Bounds> {
    let (width, height) = (f64::from(size.0), f64::from(size.1));
    let edges = region.unwrap_or([0.0, 0.0, width, height]);
    let [left, top, right, bottom] = edges;
    let [left, right] = [left, right].map(|x| x.clamp(0.0, width));
    let [top, bottom] = [top, bottom].map(|y| y.clamp(0.0, height));
    let inside = Bounds::of_edges([left, top, right, bottom]);
    // Not so of what is no number, either.
    if !(inside.width > 0.0 && inside.height > 0.0) {
        return Err(Error::BadInput(format!(
            "box: expected left, top, right and bottom of a part of the picture's {width} × {height} pixels, found {edges:?}"
        )));
    }
    let [across, down] = scale.extent(size);
    Ok(inside.shares_of(across, down))
}

/// Of the tokens whose boxes overlap nearly as well as the best, the one whose class embedding is least like the mean of all.
fn most_telling(scene: &Scene, region: Bounds, dim: usize) -> usize {
    let boxes: Vec<Bounds> = scene.boxes().chunks_exact(4).map(|raw| Bounds::of_raw(raw, [1.0; 2])).collect();
    let mut overlaps: Vec<f64> = boxes.iter().map(|bounds| region.iou(*bounds)).collect();
    if overlaps.iter().all(|&iou| iou == 0.0) {
        overlaps = boxes.iter().map(|bounds| region.generalized_iou(*bounds)).collect();
    }
    let best = overlaps[first_best(overlaps.iter().copied())];
    // A share of a negative number is above it, and would leave none over.
    let least = if best < 0.0 { best * 1.2 } else { best * 0.8 };
    let tokens: Vec<&[f32]> = scene.class_embeddings().chunks_exact(dim).collect();
    let mean: Vec<f64> =
        (0..dim).map(|d| tokens.iter().map(|t| f64::from(t[d])).sum::<f64>() / tokens.len() as f64).collect();
    let unlike = |token: usize| -tokens[token].iter().zip(&mean).map(|(&x, m)| f64::from(x) * m).sum::<f64>();
    let near: Vec<usize> = (0..tokens.len()).filter(|&token| overlaps[token] >= least).collect();
    near[first_best(near.iter().map(|&token| unlike(token)))]
}

/// The place of the largest number, the first of equal ones.
fn first_best(numbers: impl Iterator<Item = f64>) -> usize {
    numbers.enumerate().fold((0, f64::NEG_INFINITY), |best, (at, x)| if x > best.1 { (at, x) } else { best }).0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The logit of a share.
    fn raw(shares: [f64; 4]) -> [f32; 4] {
        shares.map(|x| (x / (1.0 - x)).ln() as f32)
    }

    fn scene(boxes: &[[f64; 4]], class: Vec<f32>) -> Scene {
        let scale = vec![0.0; 2 * boxes.len()];
        Scene::new((10, 20), vec![boxes.iter().flat_map(|b| raw(*b)).collect(), class, scale])
    }

    #[test]
    fn of_good_boxes_the_one_least_like_the_mean() {
        let boxes = [[0.5, 0.5, 0.9, 0.9], [0.5, 0.5, 0.85, 0.9], [0.2, 0.2, 0.1, 0.1]];
        let scene = scene(&boxes, vec![1.0, 0.0, 0.0, 1.0, 9.0, 0.0]);
        let of = |edges| most_telling(&scene, Bounds::of_edges(edges), 2);
        assert_eq!(of([0.0, 0.0, 1.0, 1.0]), 1);
        assert_eq!(of([0.15, 0.15, 0.25, 0.25]), 2);
    }

    #[test]
    fn without_any_overlap_the_nearest_box() {
        let scene = scene(&[[0.3, 0.3, 0.1, 0.1], [0.8, 0.8, 0.1, 0.1]], vec![1.0, 2.0]);
        let of = |edges| most_telling(&scene, Bounds::of_edges(edges), 1);
        assert_eq!(of([0.9, 0.9, 1.0, 1.0]), 1);
        assert_eq!(of([0.0, 0.0, 0.1, 0.1]), 0);
    }

    #[test]
    fn regions_in_shares_of_the_square() {
        let of = |region, scale| shares(region, (10, 20), scale);
        let is = |region, scale, edges| assert_eq!(of(region, scale).expect("a region"), Bounds::of_edges(edges));
        is(None, BoxScale::Sides, [0.0, 0.0, 1.0, 1.0]);
        is(None, BoxScale::LongerSide, [0.0, 0.0, 0.5, 1.0]);
        is(Some([5.0, 5.0, 99.0, 10.0]), BoxScale::LongerSide, [0.25, 0.25, 0.5, 0.5]);
        for wrong in [[5.0, 5.0, 5.0, 10.0], [5.0, 5.0, 4.0, 10.0], [12.0, 5.0, 14.0, 10.0], [f64::NAN, 0.0, 5.0, 10.0]]
        {
            assert!(of(Some(wrong), BoxScale::Sides).is_err(), "{wrong:?}");
        }
    }
}
