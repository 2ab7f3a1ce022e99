//! Masks as polygons.

use super::Mask;

/// Corners of pixels, the last one joined to the first.
type Ring = Vec<[f64; 2]>;

impl Mask {
    /// Its outlines through the corners of pixels: clockwise on the screen around what is inside, the other way round around holes, so
    /// that the signed areas add up to the mask's; fill them by the even-odd rule. Pixels that touch at a corner only are apart.
    ///
    /// Points are left out as long as the outline moves by at most `tolerance` pixels (Douglas and Peucker's way); parts that become a
    /// line vanish. At 0 all that stays is exact.
    #[must_use]
    pub fn polygons(&self, tolerance: f64) -> Vec<Vec<[f64; 2]>> {
        // Every ring runs along the upper edge of some pixel.
        let mut seen = vec![false; self.bits.len()];
        let mut rings = Vec::new();
        for at in 0..self.bits.len() {
            let (x, y) = (at % self.width, at / self.width);
            if !seen[at] && self.inside(x as isize, y as isize) && !self.inside(x as isize, y as isize - 1) {
                rings.push(simplified(self.follow([x, y], &mut seen), tolerance));
            }
        }
        rings.retain(|ring| ring.len() > 2);
        rings
    }

    fn inside(&self, x: isize, y: isize) -> bool {
        let within = |at: isize, side: usize| usize::try_from(at).ok().filter(|&at| at < side);
        within(x, self.width).zip(within(y, self.height)).is_some_and(|(x, y)| self.bits[y * self.width + x])
    }

    /// The ring from a corner on, along the upper edge of the pixel to the right, with what is inside on the right hand.
    fn follow(&self, start: [usize; 2], seen: &mut [bool]) -> Ring {
        // Right, down, left, up.
        const STEPS: [[isize; 2]; 4] = [[1, 0], [0, 1], [-1, 0], [0, -1]];
        // From a corner to the pixel ahead on the right hand.
        const RIGHT: [[isize; 2]; 4] = [[0, 0], [-1, 0], [-1, -1], [0, -1]];
        let start = start.map(|at| at as isize);
        let ([mut x, mut y], mut heading, mut ring) = (start, 0, Vec::new());
        loop {
            ring.push([x as f64, y as f64]);
            // Straight on to the next turn.
            let turn = loop {
                if heading == 0 {
                    seen[y as usize * self.width + x as usize] = true;
                }
                x += STEPS[heading][0];
                y += STEPS[heading][1];
                let pixel = |heading: usize| self.inside(x + RIGHT[heading][0], y + RIGHT[heading][1]);
                // The pixel ahead on the left hand is on the right hand for who turns left.
                match (pixel(heading), pixel((heading + 3) % 4)) {
                    (false, _) => break 1,
                    (true, true) => break 3,
                    (true, false) => {}
                }
            };
            heading = (heading + turn) % 4;
            if [x, y] == start && heading == 0 {
                return ring;
            }
        }
    }
}

/// A ring with fewer points, none of which was farther than `tolerance` from its line.
fn simplified(ring: Ring, tolerance: f64) -> Ring {
    if tolerance <= 0.0 {
        return ring;
    }
    // Two halves between the first point and the one that is farthest from it.
    let far = |p: &[f64; 2]| (p[0] - ring[0][0]).hypot(p[1] - ring[0][1]);
    let (middle, _) = ring.iter().enumerate().max_by(|a, b| far(a.1).total_cmp(&far(b.1))).expect("a ring has points");
    let closed: Ring = ring.iter().chain(&ring[..1]).copied().collect();
    let mut keep = vec![false; closed.len()];
    keep[0] = true;
    keep[middle] = true;
    let mut spans = vec![(0, middle), (middle, ring.len())];
    while let Some((first, last)) = spans.pop() {
        let off = |at: usize| distance(closed[at], closed[first], closed[last]);
        let Some(farthest) = (first + 1..last).max_by(|&a, &b| off(a).total_cmp(&off(b))) else { continue };
        if off(farthest) > tolerance {
            keep[farthest] = true;
            spans.extend([(first, farthest), (farthest, last)]);
        }
    }
    ring.into_iter().zip(keep).filter_map(|(point, keep)| keep.then_some(point)).collect()
}

/// From a point to the stretch between two others.
fn distance([x, y]: [f64; 2], [ax, ay]: [f64; 2], [bx, by]: [f64; 2]) -> f64 {
    let (dx, dy) = (bx - ax, by - ay);
    let length = dx * dx + dy * dy;
    let share = if length > 0.0 { (((x - ax) * dx + (y - ay) * dy) / length).clamp(0.0, 1.0) } else { 0.0 };
    (x - ax - share * dx).hypot(y - ay - share * dy)
}
