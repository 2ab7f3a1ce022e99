//! Polygons as masks, pixel for pixel as COCO's tools draw them.

use super::Mask;
use crate::error::{Error, Result};

/// Steps a pixel along a polygon's edges.
const FINE: f64 = 5.0;

/// How far outside of its picture a polygon may reach, as a multiple of the picture's sides.
pub const FARTHEST: f64 = 8.0;

impl Mask {
    /// All pixels in any of the polygons, whose points are x and y in pixels: `rleFrPoly` and `rleMerge` of COCO's `maskApi.c`, which
    /// look at edges in steps of a fifth of a pixel.
    ///
    /// # Errors
    /// [`Error::BadInput`] for a point that is no number, or farther outside than [`FARTHEST`].
    pub fn from_polygons(polygons: &[Vec<[f64; 2]>], width: usize, height: usize) -> Result<Self> {
        let most = [width, height].map(|side| side as f64 * FARTHEST);
        let near = |point: &[f64; 2]| point[0].abs() <= most[0] && point[1].abs() <= most[1];
        if let Some([x, y]) = polygons.iter().flatten().find(|point| !near(point)) {
            return Err(Error::BadInput(format!(
                "polygon: expected points of a picture of {width} × {height} pixels, found {x}, {y}: is it another picture's?"
            )));
        }
        let mut all = Self { width, height, bits: vec![false; width * height] };
        for polygon in polygons.iter().filter(|polygon| !polygon.is_empty()) {
            // Down each column in turn, what is inside changes at these places.
            let mut changes = vec![false; width * height + 1];
            crossings(polygon, width, height).into_iter().for_each(|at| changes[at] ^= true);
            let mut inside = false;
            for (at, change) in changes.into_iter().take(width * height).enumerate() {
                inside ^= change;
                all.bits[at % height * width + at / height] |= inside;
            }
        }
        Ok(all)
    }
}

/// Where the outline passes from one column of pixels' centres to the next: the first pixel below it, `x · height + y`.
fn crossings(polygon: &[[f64; 2]], width: usize, height: usize) -> Vec<usize> {
    let centre = |fine: i64| (fine as f64 + 0.5) / FINE - 0.5;
    let crossing = |pair: &[[i64; 2]]| {
        let [[before_x, before_y], [x, y]] = [pair[0], pair[1]];
        let column = centre(if x < before_x { x } else { x - 1 });
        let whole = column.floor() == column && column >= 0.0 && column <= width as f64 - 1.0;
        (x != before_x && whole).then(|| {
            let row = centre(y.min(before_y)).clamp(0.0, height as f64).ceil();
            column as usize * height + row as usize
        })
    };
    outline(polygon).windows(2).filter_map(crossing).collect()
}

/// Points along the outline, a step of a fifth of a pixel apart on the longer axis of each edge.
fn outline(polygon: &[[f64; 2]]) -> Vec<[i64; 2]> {
    // C's cast, towards zero.
    let fine: Vec<[i64; 2]> = polygon.iter().map(|point| point.map(|at| (FINE * at + 0.5) as i64)).collect();
    let mut points = Vec::new();
    for (at, &from) in fine.iter().enumerate() {
        let to = fine[(at + 1) % fine.len()];
        let long = if (to[0] - from[0]).abs() >= (to[1] - from[1]).abs() { 0 } else { 1 };
        // Both ways along an edge have the same points: in the order of the longer axis.
        let back = from[long] > to[long];
        let [start, end] = if back { [to, from] } else { [from, to] };
        let steps = end[long] - start[long];
        let slope = (end[1 - long] - start[1 - long]) as f64 / steps.max(1) as f64;
        for step in 0..=steps {
            let step = if back { steps - step } else { step };
            let mut point = [start[long] + step; 2];
            point[1 - long] = (start[1 - long] as f64 + slope * step as f64 + 0.5) as i64;
            points.push(point);
        }
    }
    points
}
