//! `ocelli bench`: how fast this device is, step by step and from end to end, beside what it can do at best.

mod cpu;
mod gpu;
mod line;
mod measure;
mod peak;
mod report;
mod roofs;
mod shapes;

use ocelli::Result;

use crate::cli::{BenchArgs, On, Setup};

pub async fn run(json: bool, setup: &Setup, args: &BenchArgs) -> Result<()> {
    match setup.backend {
        On::Cpu => cpu::run(json, setup, args).await,
        On::Gpu | On::Auto => gpu::run(json, args).await,
    }
}
