//! Upright rectangles.

use serde::Serialize;

/// An upright rectangle, in pixels of the upright picture or in shares of its sides: the left upper corner and the sides.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Bounds {
    /// Left edge.
    pub x: f64,
    /// Upper edge; y grows downwards.
    pub y: f64,
    /// From the left edge to the right one.
    pub width: f64,
    /// From the upper edge to the lower one.
    pub height: f64,
}

impl Bounds {
    /// Of what the box head says of a token (centre, width, height) before the sigmoid, whose shares are of `across` and `down`
    /// ([`crate::config::BoxScale::extent`]).
    ///
    /// # Panics
    /// If `raw` is shorter than four numbers.
    #[must_use]
    pub fn of_raw(raw: &[f32], [across, down]: [f64; 2]) -> Self {
        let [x, y, width, height] = [0, 1, 2, 3].map(|at| sigmoid(raw[at]));
        Self::of_edges([
            (x - width / 2.0) * across,
            (y - height / 2.0) * down,
            (x + width / 2.0) * across,
            (y + height / 2.0) * down,
        ])
    }

    /// By the left, upper, right and lower edge.
    #[must_use]
    pub fn of_edges([left, top, right, bottom]: [f64; 4]) -> Self {
        Self { x: left, y: top, width: right - left, height: bottom - top }
    }

    /// Width times height.
    #[must_use]
    pub fn area(self) -> f64 {
        self.width * self.height
    }

    /// The area that both cover; 0 if they only touch.
    #[must_use]
    pub fn intersection(self, other: Self) -> f64 {
        let width = (self.x + self.width).min(other.x + other.width) - self.x.max(other.x);
        let height = (self.y + self.height).min(other.y + other.height) - self.y.max(other.y);
        width.max(0.0) * height.max(0.0)
    }

    /// Intersection over union, 0 to 1; 0 if neither has an area.
    #[must_use]
    pub fn iou(self, other: Self) -> f64 {
        let both = self.intersection(other);
        if both > 0.0 { both / (self.area() + other.area() - both) } else { 0.0 }
    }

    /// The same, less the share of the rectangle around both that neither covers (GIoU), -1 to 1: of two that are apart the nearer ones
    /// have more. One of them has an area.
    #[must_use]
    pub fn generalized_iou(self, other: Self) -> f64 {
        let width = (self.x + self.width).max(other.x + other.width) - self.x.min(other.x);
        let height = (self.y + self.height).max(other.y + other.height) - self.y.min(other.y);
        let (around, union) = (width * height, self.area() + other.area() - self.intersection(other));
        self.iou(other) - (around - union) / around
    }

    /// The part within a picture of `width` × `height`; what lies outside ends up on the picture's edge, without an area.
    #[must_use]
    pub fn clipped(self, width: f64, height: f64) -> Self {
        Self::of_edges([
            self.x.clamp(0.0, width),
            self.y.clamp(0.0, height),
            (self.x + self.width).clamp(0.0, width),
            (self.y + self.height).clamp(0.0, height),
        ])
    }

    /// In shares of a picture's sides, `width` × `height`.
    #[must_use]
    pub fn shares_of(self, width: f64, height: f64) -> Self {
        Self { x: self.x / width, y: self.y / height, width: self.width / width, height: self.height / height }
    }
}

pub(super) fn sigmoid(x: f32) -> f64 {
    1.0 / (1.0 + (-f64::from(x)).exp())
}
