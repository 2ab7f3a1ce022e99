//! Steps that take long, cut into several, so that a page's own drawing finds its place between them.

use std::ops::Range;

use super::{ActId, Field, Host, Kernel, MatrixRef, Operand, Run};
use crate::gpu::{Shader, Tier, Tuning};

/// A kernel that can compute some rows of its output and leave the others. The numbers of a row are the same whichever are computed
/// with it.
pub(super) trait ByRows: Kernel + Clone + 'static {
    /// Rows of a run that can be computed apart.
    fn count(&self, run: Run) -> u32;
    /// The `Params` of a run for some of them.
    fn params_of(&self, run: Run, rows: &Range<u32>) -> Vec<u8>;
    /// Size of the dispatch for so many of them.
    fn workgroups_of(&self, tier: Tier, run: Run, rows: u32) -> [u32; 3];
    /// The output, and which of its words they are.
    fn words_of(&self, run: Run, rows: &Range<u32>) -> (ActId, Vec<Range<usize>>);
}

/// Rows of a stretch: whole tiles of every shader, but at the end.
const TILE: u32 = 64;

/// A kernel as several of at most about `most` operations; none if it is short enough by itself.
pub(super) fn stretches<K: ByRows>(whole: &K, run: Run, most: u64) -> Vec<Box<dyn Kernel>> {
    let count = whole.count(run);
    let rows = most.saturating_mul(count.into()) / whole.flops(run).max(1);
    if rows >= count.into() || count <= TILE {
        return Vec::new();
    }
    // All of about the same length.
    let parts = count.div_ceil((rows as u32 / TILE * TILE).max(TILE));
    let each = count.div_ceil(parts).next_multiple_of(TILE);
    let stretch = |start| Stretch { whole: whole.clone(), rows: start..(start + each).min(count) };
    (0..count).step_by(each as usize).map(|start| Box::new(stretch(start)) as Box<dyn Kernel>).collect()
}

/// Some rows of a kernel.
struct Stretch<K> {
    whole: K,
    rows: Range<u32>,
}

impl<K: ByRows> Stretch<K> {
    /// Those of a run that may have fewer.
    fn rows(&self, run: Run) -> Range<u32> {
        let count = self.whole.count(run);
        self.rows.start.min(count)..self.rows.end.min(count)
    }
}

impl<K: ByRows> Kernel for Stretch<K> {
    fn variant(&self, tuning: &Tuning, run: Run) -> Tier {
        self.whole.variant(tuning, run)
    }
    fn shader(&self, tier: Tier) -> Shader {
        self.whole.shader(tier)
    }
    fn fields(&self) -> &'static [Field] {
        self.whole.fields()
    }
    fn params(&self, run: Run) -> Vec<u8> {
        self.whole.params_of(run, &self.rows(run))
    }
    fn workgroups(&self, tier: Tier, run: Run) -> [u32; 3] {
        self.whole.workgroups_of(tier, run, self.rows(run).len() as u32)
    }
    fn operands(&self) -> Vec<Operand> {
        self.whole.operands()
    }
    fn matrix(&self) -> Option<MatrixRef> {
        self.whole.matrix()
    }
    fn flops(&self, run: Run) -> u64 {
        self.whole.flops(run) * self.rows(run).len() as u64 / u64::from(self.whole.count(run).max(1))
    }
    /// All rows, of which the others are put back: devices that run the naive twin cut nothing.
    fn reference(&self, run: Run, host: &mut Host) {
        let (y, own) = self.whole.words_of(run, &self.rows(run));
        let mut before = host.acts[y.0].clone();
        self.whole.reference(run, host);
        for words in own {
            before[words.clone()].copy_from_slice(&host.acts[y.0][words]);
        }
        host.acts[y.0] = before;
    }
}
