//! One of several GPUs, natively.

use super::{Gpu, device::instance};
use crate::error::{Error, Result};

/// A GPU of this machine, or a program that emulates one.
pub struct Adapter {
    /// As the driver calls it.
    pub name: String,
    /// Its PCI bus id, such as `0000:41:00.0`; empty where the driver does not tell.
    pub pci: String,
    adapter: wgpu::Adapter,
}

impl Adapter {
    /// All of this machine, in the driver's order.
    pub async fn all() -> Vec<Self> {
        let named = |adapter: wgpu::Adapter| {
            let info = adapter.get_info();
            Self { name: info.name, pci: info.device_pci_bus_id, adapter }
        };
        instance().enumerate_adapters(wgpu::Backends::PRIMARY).await.into_iter().map(named).collect()
    }

    /// The one with this number.
    ///
    /// # Errors
    /// [`Error::NoGpu`] that lists those that there are.
    pub async fn nth(number: usize) -> Result<Self> {
        let mut all = Self::all().await;
        if number >= all.len() {
            return Err(missing(&format!("gpu:{number}"), &all));
        }
        Ok(all.swap_remove(number))
    }

    /// The one at this PCI bus id, as Vulkan or as `nvidia-smi` writes it.
    ///
    /// # Errors
    /// [`Error::BadInput`] if it is no such id, [`Error::NoGpu`] that lists those that there are.
    pub async fn at(pci: &str) -> Result<Self> {
        let wanted = Bus::parse(pci).ok_or_else(|| {
            Error::BadInput(format!("pci:{pci}: expected a PCI bus id such as 0000:41:00.0, found something else"))
        })?;
        let mut all = Self::all().await;
        match all.iter().position(|adapter| Bus::parse(&adapter.pci) == Some(wanted)) {
            Some(at) => Ok(all.swap_remove(at)),
            None => Err(missing(&format!("pci:{pci}"), &all)),
        }
    }

    /// Asks it for a device.
    ///
    /// # Errors
    /// [`Error::NoGpu`] with the reason that was given.
    pub async fn open(&self) -> Result<Gpu> {
        Gpu::on(&self.adapter).await
    }
}

fn missing(wanted: &str, all: &[Adapter]) -> Error {
    let one = |(at, adapter): (usize, &Adapter)| match &adapter.pci[..] {
        "" => format!("gpu:{at} ({})", adapter.name),
        pci => format!("gpu:{at} ({}, pci:{pci})", adapter.name),
    };
    let all: Vec<String> = all.iter().enumerate().map(one).collect();
    let found = if all.is_empty() { "no GPU at all".into() } else { all.join(", ") };
    Error::NoGpu(format!("{wanted}: expected such a GPU on this machine, found {found}: name one of those"))
}

/// Domain, bus, device, function. Vulkan writes the domain with four digits, `nvidia-smi` with eight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bus([u32; 4]);

impl Bus {
    fn parse(text: &str) -> Option<Self> {
        let (rest, function) = text.rsplit_once('.')?;
        let mut parts = rest.rsplit(':');
        let mut hex = || u32::from_str_radix(parts.next()?, 16).ok();
        let (device, bus, domain) = (hex()?, hex()?, hex()?);
        (parts.next().is_none()).then_some(Self([domain, bus, device, u32::from_str_radix(function, 16).ok()?]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bus_has_several_spellings() {
        let of = |text: &str| Bus::parse(text);
        assert_eq!(of("00000000:41:00.0"), Some(Bus([0, 0x41, 0, 0])));
        assert_eq!(of("0000:C1:1f.7"), of("00000000:c1:1F.7"));
        assert_ne!(of("0000:41:00.0"), of("0001:41:00.0"));
        assert_ne!(of("0000:41:00.0"), of("0000:14:00.0"));
        for wrong in ["", "41:00.0", "0000:41:00", "0:0000:41:00.0", "0000:zz:00.0", "GPU-1234"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }
}
