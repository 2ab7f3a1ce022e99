//! A kernel that computes something else.

use ocelli::{
    gpu::{Shader, Tier, Tuning},
    kernels::{Field, Host, Kernel, MatrixRef, Operand, Run},
};

/// A kernel whose shader has other text, as a driver that computes something else would run it.
pub struct Miscompiled {
    pub inner: Box<dyn Kernel>,
    pub from: &'static str,
    pub to: &'static str,
}

impl Kernel for Miscompiled {
    fn variant(&self, tuning: &Tuning, run: Run) -> Tier {
        self.inner.variant(tuning, run)
    }
    fn shader(&self, tier: Tier) -> Shader {
        let shader = self.inner.shader(tier);
        let source = shader.source().replace(self.from, self.to);
        // Pipelines are kept by what they are called.
        let variant = format!("{} {}", shader.variant, if source == shader.source() { "as it was" } else { self.to });
        Shader { files: vec![source.leak()], variant, ..shader }
    }
    fn fields(&self) -> &'static [Field] {
        self.inner.fields()
    }
    fn params(&self, run: Run) -> Vec<u8> {
        self.inner.params(run)
    }
    fn workgroups(&self, tier: Tier, run: Run) -> [u32; 3] {
        self.inner.workgroups(tier, run)
    }
    fn operands(&self) -> Vec<Operand> {
        self.inner.operands()
    }
    fn matrix(&self) -> Option<MatrixRef> {
        self.inner.matrix()
    }
    fn reference(&self, run: Run, host: &mut Host) {
        self.inner.reference(run, host);
    }
}
