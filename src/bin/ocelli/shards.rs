//! `ocelli embed --list`: embeddings of many pictures in a folder, shard by shard. A run that was cut short goes on with what is left.
//!
//! A shard is `000000.npy` (its rows), `000000.unreadable.jsonl` (pictures without a row, each with the reason) and
//! `000000.ids.jsonl` (the picture of each row). Each file appears whole, by a rename, and the last one makes the shard count. What was
//! done is known by ids, not by places, so that a list may grow or be sorted anew.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fs::{self, File, TryLockError},
    io::Write,
    path::{Path, PathBuf},
};

use indicatif::ProgressBar;
use ocelli::{Error, Result, pictures};
use serde::{Deserialize, Serialize};

use crate::{
    bad_input,
    device::Session,
    npy,
    stream::{self, Unreadable},
    text_file,
};

/// What all vectors of a folder have in common; those of another model must not come among them.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Made {
    model_hash: String,
    format: String,
    dim: usize,
}

/// A line about a picture.
#[derive(Serialize, Deserialize)]
struct Line {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

const MADE: &str = "model.json";
const IDS: &str = ".ids.jsonl";
const UNREADABLE: &str = ".unreadable.jsonl";

/// What a run did.
#[derive(Serialize)]
pub struct Done {
    pub embedded: usize,
    pub unreadable: usize,
    /// Pictures of the list that an earlier run has done.
    pub skipped: usize,
}

/// The pictures of a list, one path a line; the path is the picture's id.
pub fn listed(path: &Path) -> Result<Vec<PathBuf>> {
    let text = text_file::read(path)?;
    let mut seen = HashMap::new();
    let mut files = Vec::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.is_empty()) {
        if let Some(before) = seen.insert(line, number) {
            return Err(bad_input(format!(
                "{}: expected each picture once, found {line} in lines {before} and {number}: remove one",
                path.display()
            )));
        }
        files.push(line.into());
    }
    if files.is_empty() {
        return Err(bad_input(format!("{}: expected a path in each line, found none", path.display())));
    }
    Ok(files)
}

/// Embeds those of `files` that the folder does not have yet, `size` a shard.
pub async fn run(
    session: &Session,
    files: Vec<PathBuf>,
    out: &Path,
    size: usize,
    bar: &ProgressBar,
) -> Result<(Done, Vec<Unreadable>)> {
    let batch = session.image_batch()?;
    let mut shards = Shards::open(out, session)?;
    let all = files.len();
    let files: Vec<PathBuf> = files.into_iter().filter(|file| !shards.has(file)).collect();
    bar.set_length(files.len() as u64);
    let (mut shard, mut at, mut unreadable) = (Shard::default(), 0, Vec::new());
    for batch in stream::decoded(Path::new(""), &files, batch) {
        for embedding in pictures::embed(session, batch).await? {
            match embedding {
                Ok(vector) => shard.embedded(&files[at], vector),
                Err(error) => unreadable.push(shard.unreadable(stream::left_out(Path::new(""), &files, at, &error))),
            }
            at += 1;
            if shard.len() == size {
                shards.add(std::mem::take(&mut shard))?;
            }
        }
        bar.set_position(at as u64);
    }
    if shard.len() > 0 {
        shards.add(shard)?;
    }
    let done = Done { embedded: at - unreadable.len(), unreadable: unreadable.len(), skipped: all - at };
    Ok((done, unreadable))
}

#[derive(Default)]
struct Shard {
    vectors: Vec<Vec<f32>>,
    ids: Vec<Line>,
    unreadable: Vec<Line>,
}

impl Shard {
    fn len(&self) -> usize {
        self.ids.len() + self.unreadable.len()
    }
    fn embedded(&mut self, file: &Path, vector: Vec<f32>) {
        self.vectors.push(vector);
        self.ids.push(Line { id: file.display().to_string(), reason: None });
    }
    fn unreadable(&mut self, one: Unreadable) -> Unreadable {
        self.unreadable.push(Line { id: one.file.clone(), reason: Some(one.reason.clone()) });
        one
    }
}

struct Shards {
    folder: PathBuf,
    made: Made,
    /// Ids in the shards that count.
    ids: HashSet<String>,
    next: usize,
    /// Held while this run writes.
    _lock: File,
}

impl Shards {
    fn open(folder: &Path, session: &Session) -> Result<Self> {
        let bad = |what: &str| bad_input(format!("{}: {what}", folder.display()));
        fs::create_dir_all(folder).map_err(|e| bad(&e.to_string()))?;
        let lock = File::create(folder.join(".lock")).map_err(|e| bad(&e.to_string()))?;
        lock.try_lock().map_err(|e| match e {
            TryLockError::WouldBlock => bad("expected a folder that no other run writes to, found one: wait for it"),
            TryLockError::Error(e) => bad(&e.to_string()),
        })?;
        let made = Made {
            model_hash: session.model_hash.clone(),
            format: session.format.name().into(),
            dim: session.config.embedding,
        };
        let path = folder.join(MADE);
        if path.exists() {
            let there: Made = crate::json_file::read(&path, "what an earlier run wrote")?;
            if there != made {
                return Err(bad(&format!(
                    "expected vectors of model {} in {}, found {} in {}: choose another folder",
                    made.model_hash, made.format, there.model_hash, there.format
                )));
            }
        } else {
            write_whole(&path, &serde_json::to_vec(&made).map_err(bad_input)?)?;
        }
        let mut shards = Self { folder: folder.into(), made, ids: HashSet::new(), next: 0, _lock: lock };
        for name in shards.complete()? {
            for end in [UNREADABLE, IDS] {
                let path = folder.join(format!("{name}{end}"));
                shards.ids.extend(read_lines(&path)?.into_iter().map(|line| line.id));
            }
            let number: usize =
                name.parse().map_err(|_| bad(&format!("{name}{IDS}: expected a number as its name")))?;
            shards.next = shards.next.max(number + 1);
        }
        Ok(shards)
    }

    /// Names of the shards that count.
    fn complete(&self) -> Result<BTreeSet<String>> {
        let bad = |e: std::io::Error| bad_input(format!("{}: {e}", self.folder.display()));
        let mut names = BTreeSet::new();
        for entry in fs::read_dir(&self.folder).map_err(bad)? {
            let name = entry.map_err(bad)?.file_name();
            names.extend(name.to_str().and_then(|name| name.strip_suffix(IDS)).map(String::from));
        }
        Ok(names)
    }

    fn has(&self, file: &Path) -> bool {
        self.ids.contains(&file.display().to_string())
    }

    fn add(&mut self, shard: Shard) -> Result<()> {
        let path = |end: &str| self.folder.join(format!("{:06}{end}", self.next));
        write_whole(&path(".npy"), &npy::bytes(&shard.vectors, &[self.made.dim]))?;
        write_whole(&path(UNREADABLE), &lines(&shard.unreadable)?)?;
        write_whole(&path(IDS), &lines(&shard.ids)?)?;
        self.next += 1;
        Ok(())
    }
}

fn lines(lines: &[Line]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut bytes, line).map_err(bad_input)?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

fn read_lines(path: &Path) -> Result<Vec<Line>> {
    let bad = |what: String| bad_input(format!("{}: {what}", path.display()));
    let text = fs::read_to_string(path).map_err(|e| bad(e.to_string()))?;
    let line = |line| serde_json::from_str(line).map_err(|e| bad(format!("expected JSON lines with ids, found: {e}")));
    text.lines().map(line).collect()
}

/// Writes a file that is there whole or not at all.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let write = || {
        let mut file = File::create(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, path)
    };
    write().map_err(|e| {
        // Best effort: what is left of it never counts.
        let _ = fs::remove_file(&part);
        Error::BadInput(format!(
            "{}: {e}: what was written before stays, run the command again to go on",
            path.display()
        ))
    })
}
