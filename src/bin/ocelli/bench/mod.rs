//! `ocelli bench`: how fast this device is, step by step and from end to end, beside what it can do at best.

mod cpu;
mod gpu;
mod peak;
mod roofs;
mod shapes;
mod text;

use ocelli::Result;

use crate::cli::{BenchArgs, On, Setup};

pub async fn run(json: bool, setup: &Setup, args: &BenchArgs) -> Result<()> {
    match setup.backend {
        On::Cpu => cpu::run(json, setup, args),
        On::Gpu | On::Auto => gpu::run(json, args).await,
    }
}

/// Whether a step is measured: of blocks that are all alike only those of the second, which in q4 has 4 bits.
fn measured(label: &str, block_only: bool) -> bool {
    let block = label.contains(".block.");
    if block { label.contains(".block.1.") } else { !block_only }
}
