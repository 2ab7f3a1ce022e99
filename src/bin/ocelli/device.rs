//! What a command runs on: the GPU or the CPU; and which tiers the GPU's kernels run in: the one asked for, those that were best on it
//! before, or those that autotuning finds now.

use ocelli::{
    Error, Gpu, Power, Result, autotune,
    backend::{Cpu, Device},
    gpu::{Tier, Tuning},
};

use crate::cli::{On, Setup};

/// A model on whichever device was chosen.
pub type Session = ocelli::Session<Device>;

/// A device, how its kernels are tuned, and why it was chosen.
pub struct Chosen {
    pub device: Device,
    pub tuning: Tuning,
    pub why: String,
}

/// The device that the user asked for, or the one that suits this machine.
pub async fn choose(setup: &Setup) -> Result<Chosen> {
    let threads = setup.threads.map(Into::into);
    let (device, why) = match setup.backend {
        On::Gpu => (Device::Gpu(Gpu::new(Power::High).await?), "asked for".into()),
        On::Cpu => (Device::Cpu(Cpu::new(threads)?), "asked for".into()),
        // Who asks for a tier means a GPU.
        On::Auto if setup.tier != AUTO => (Device::Gpu(Gpu::new(Power::High).await?), "a tier was asked for".into()),
        On::Auto => match Device::choose(threads).await? {
            (device, Some(why)) => (device, why),
            (device, None) => (device, "there is a GPU".into()),
        },
    };
    let tuning = match &device {
        Device::Gpu(gpu) => tune(gpu, &setup.tier).await?,
        Device::Cpu(_) if setup.tier != AUTO => {
            return Err(Error::BadInput(format!(
                "--tier {}: expected a GPU, found the CPU, which has no tiers: leave --tier out",
                setup.tier
            )));
        }
        Device::Cpu(_) => Tuning::all(Tier::Plain),
    };
    Ok(Chosen { device, tuning, why })
}

/// The word that leaves a choice to the program.
const AUTO: &str = "auto";

/// The tuning for the tier of this name; `auto` finds one.
pub async fn tune(gpu: &Gpu, tier: &str) -> Result<Tuning> {
    if tier != AUTO {
        let tuning = Tuning::all(Tier::parse(tier)?);
        gpu.check_tuning(&tuning)?;
        return Ok(tuning);
    }
    autotune::kept(gpu).await
}
