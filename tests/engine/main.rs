//! What runs models: recordings, the choice of a tier, the CPU and its teams, packed weights, and the self-test of all that.

#[path = "../common/altered.rs"]
mod altered;
mod autotune;
#[path = "../common/mod.rs"]
mod common;
mod cpu;
mod plan;
#[path = "../common/program.rs"]
mod program;
mod quant;
mod team;
mod verify;
