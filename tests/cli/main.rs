//! The program as its users meet it: JSON for machines, one line on stderr and a non-zero exit for bad input.

mod bench;
mod classify;
mod defaults;
mod eval;
mod eval_found;
mod eval_text;
mod found;
mod locate;
#[path = "../common/program.rs"]
mod program;
mod quantize;
mod shards;
mod task;
mod written;
