//! What `ocelli bench` says: lines for people as they come, JSON at the end; and ratios that a later run compares with.

use std::{collections::BTreeMap, path::Path};

use ocelli::Result;
use serde::{Deserialize, Serialize};

use super::line::{Line, Raced, Roofs};
use crate::{
    bad_input,
    cli::BenchArgs,
    json_file,
    output::{print, print_json},
};

#[derive(Serialize)]
pub struct Report {
    version: &'static str,
    device: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    roofs: Roofs,
    /// Of one thread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roofs_of_one: Option<Roofs>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub races: Vec<Raced>,
    lines: Vec<Line>,
    #[serde(skip)]
    json: bool,
}

/// How much of the roof each line reached: what can be compared from day to day, as times cannot.
#[derive(Debug, Serialize, Deserialize)]
struct Ratios {
    device: String,
    version: String,
    /// [`Line::roof_share`] by [`Line::name`].
    ratios: BTreeMap<String, f64>,
}

impl Report {
    pub fn new(json: bool, device: String, roofs: Roofs) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            device,
            threads: None,
            roofs,
            roofs_of_one: None,
            races: Vec::new(),
            lines: Vec::new(),
            json,
        }
    }

    /// A line for people.
    pub fn say(&self, line: impl FnOnce() -> String) -> Result<()> {
        if self.json { Ok(()) } else { print(&line()) }
    }

    pub fn say_roofs(&self, name: &str, Roofs { gflops, gbytes }: Roofs) -> Result<()> {
        self.say(|| format!("{name:8} {gflops:.1} GFLOP/s, a copy {gbytes:.1} GB/s\n"))
    }

    pub fn heading(&self) -> Result<()> {
        self.say(Line::heading)
    }

    pub fn line(&mut self, line: Line) -> Result<()> {
        self.say(|| line.text())?;
        self.lines.push(line);
        Ok(())
    }

    /// Prints the JSON, writes the ratios, and compares with earlier ones, as the arguments say.
    pub fn end(&self, args: &BenchArgs) -> Result<()> {
        if self.json {
            print_json(self)?;
        }
        let ratios = Ratios {
            device: self.device.clone(),
            version: self.version.into(),
            ratios: self.lines.iter().map(|line| (line.name(), line.roof_share)).collect(),
        };
        if let Some(path) = &args.ratios {
            json_file::write(path, &ratios)?;
        }
        args.against.as_deref().map_or(Ok(()), |path| ratios.against(path, args.tolerance, |line| self.say(|| line)))
    }
}

impl Ratios {
    /// Compares with an earlier run on the same device.
    fn against(&self, path: &Path, tolerance: f64, mut say: impl FnMut(String) -> Result<()>) -> Result<()> {
        let earlier: Self = json_file::read(path, "ratios as --ratios writes them")?;
        let at = path.display();
        if earlier.device != self.device {
            return Err(bad_input(format!(
                "{at}: expected ratios of {:?}, found those of {:?}",
                self.device, earlier.device
            )));
        }
        let mut changes: Vec<_> = self
            .ratios
            .iter()
            .filter_map(|(name, now)| Some((now / earlier.ratios.get(name)?, name.as_str())))
            .collect();
        changes.sort_by(|a, b| a.0.total_cmp(&b.0));
        let Some(&(median, _)) = changes.get(changes.len() / 2) else {
            return Err(bad_input(format!("{at}: expected a line of this run, found none")));
        };
        say(format!(
            "\nNow as a share of version {}'s: {median:.2} in the median of {} lines\n",
            earlier.version,
            changes.len()
        ))?;
        for (change, name) in &changes {
            say(format!("{change:6.2}  {name}\n"))?;
        }
        match changes.iter().filter(|(change, _)| *change < 1.0 - tolerance).count() {
            0 => Ok(()),
            slower => Err(bad_input(format!(
                "{at}: expected at least {:.2} of each earlier ratio, found less in {slower} of {} lines",
                1.0 - tolerance,
                changes.len()
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratios(device: &str, ratios: &[(&str, f64)]) -> Ratios {
        let ratios = ratios.iter().map(|(name, ratio)| ((*name).into(), *ratio)).collect();
        Ratios { device: device.into(), version: "1".into(), ratios }
    }

    /// What is as fast passes; what is slower, another device, and lines that have nothing in common do not.
    #[test]
    fn earlier_ratios() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ratios.json");
        json_file::write(&path, &ratios("d", &[("a", 0.5), ("b", 0.2), ("gone", 0.9)])).expect("written");
        let compare = |now: Ratios| {
            let mut said = String::new();
            let result = now.against(&path, 0.1, |line| {
                said += &line;
                Ok(())
            });
            result.map(|()| said).map_err(|error| error.to_string())
        };
        let said = compare(ratios("d", &[("a", 0.46), ("b", 0.4), ("new", 0.1)])).expect("as fast");
        assert!(said.contains("2.00 in the median of 2 lines") && said.contains("  0.92  a\n"), "{said}");
        let wrong = |now, expected: &str| {
            let error = compare(now).expect_err("wrong");
            assert!(error.contains(expected), "{error}");
        };
        wrong(ratios("d", &[("a", 0.44), ("b", 0.2)]), "less in 1 of 2 lines");
        wrong(ratios("e", &[("a", 0.5)]), "expected ratios of \"e\", found those of \"d\"");
        wrong(ratios("d", &[("c", 0.5)]), "found none");
        std::fs::write(&path, "[]").expect("written");
        wrong(ratios("d", &[("a", 0.5)]), "expected ratios as --ratios writes them");
    }
}
