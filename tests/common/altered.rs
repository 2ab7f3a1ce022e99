//! A kernel of which a part is another's: a driver that computes something else, or a usual mistake.
#![allow(dead_code, reason = "each test program uses its part")]

use std::cell::Cell;

use ocelli::{
    gpu::{Shader, Tier, Tuning},
    kernels::{Field, Host, Kernel, MatrixRef, Operand, Run},
};

/// What is done in place of the kernel's own.
type Instead<Own> = Box<dyn Fn(Own) -> Own>;
pub type Reference = fn(&dyn Kernel, Run, &mut Host);

pub struct Altered {
    inner: Box<dyn Kernel>,
    shader: Instead<Shader>,
    workgroups: Instead<[u32; 3]>,
    reference: Reference,
}

impl Altered {
    fn of(inner: Box<dyn Kernel>) -> Self {
        Self {
            inner,
            shader: Box::new(|shader| shader),
            workgroups: Box::new(|workgroups| workgroups),
            reference: |inner, run, host| inner.reference(run, host),
        }
    }

    /// Its shader has other text, as a driver that computes something else would run it.
    pub fn miscompiled(inner: Box<dyn Kernel>, from: &'static str, to: &'static str) -> Box<dyn Kernel> {
        let shader = move |shader: Shader| {
            let source = shader.source().replace(from, to);
            // Pipelines are kept by what they are called.
            let variant = format!("{} {}", shader.variant, if source == shader.source() { "as it was" } else { to });
            Shader { files: vec![source.leak()], variant, ..shader }
        };
        Box::new(Self { shader: Box::new(shader), ..Self::of(inner) })
    }

    /// Runs once; after that nothing is computed.
    pub fn restless(inner: Box<dyn Kernel>) -> Box<dyn Kernel> {
        let ran = Cell::new(false);
        let workgroups = move |workgroups| if ran.replace(true) { [0; 3] } else { workgroups };
        Box::new(Self { workgroups: Box::new(workgroups), ..Self::of(inner) })
    }

    /// Its naive twin does something else.
    pub fn mistaken(inner: Box<dyn Kernel>, reference: Reference) -> Box<dyn Kernel> {
        Box::new(Self { reference, ..Self::of(inner) })
    }
}

impl Kernel for Altered {
    fn variant(&self, tuning: &Tuning, run: Run) -> Tier {
        self.inner.variant(tuning, run)
    }
    fn shader(&self, tier: Tier) -> Shader {
        (self.shader)(self.inner.shader(tier))
    }
    fn fields(&self) -> &'static [Field] {
        self.inner.fields()
    }
    fn params(&self, run: Run) -> Vec<u8> {
        self.inner.params(run)
    }
    fn workgroups(&self, tier: Tier, run: Run) -> [u32; 3] {
        (self.workgroups)(self.inner.workgroups(tier, run))
    }
    fn operands(&self) -> Vec<Operand> {
        self.inner.operands()
    }
    fn matrix(&self) -> Option<MatrixRef> {
        self.inner.matrix()
    }
    fn reference(&self, run: Run, host: &mut Host) {
        (self.reference)(self.inner.as_ref(), run, host);
    }
}
