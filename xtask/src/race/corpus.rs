//! The files the race reads: generated, the same bytes on every machine, kept under `target/race`.
//!
//! Each file is whole lines, as many as fit into the size asked for. Beside it lies a description (JSON) with the
//! length and CRC32C of the file; both are checked before a file is used again, so a half-written or edited file is
//! generated anew instead of skewing a figure. The generator is our own (splitmix64) because the `rand` crate promises
//! no stable output between versions. Change what is generated, and [`GENERATION`] must change too.

mod lines;

use std::{
    fs::{self, File},
    io::{BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::job::{Corpus, Job};
use crate::error::{Context, Error};

/// Version of the generator's output.
const GENERATION: u32 = 1;

/// A generated file and what is known of it.
#[derive(Clone, Debug)]
pub(crate) struct CorpusFile {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Length in bytes.
    pub(crate) bytes: u64,
    /// Lines, each one record.
    pub(crate) lines: u64,
    /// Lines whose level isn't debug (JSON only; else all lines).
    pub(crate) kept: u64,
}

#[derive(PartialEq, Serialize, Deserialize)]
struct Description {
    generation: u32,
    asked: u64,
    bytes: u64,
    crc32c: u32,
    lines: u64,
    kept: u64,
}

impl CorpusFile {
    /// Records that must arrive for `job` to be complete.
    pub(crate) fn expected(&self, job: Job) -> u64 {
        if job == Job::JsonFilterEs { self.kept } else { self.lines }
    }

    /// Reads it once, so that the run behind it finds it in memory. Some machines take pages back within seconds, and who
    /// comes first then pays for all: half a second of the kernel's per 256 MiB was seen, by whoever ran behind the slowest.
    pub(crate) fn warm(&self) -> Result<(), Error> {
        let mut file = File::open(&self.path).context(self.path.display())?;
        let mut block = vec![0; 1 << 20];
        while file.read(&mut block).context(self.path.display())? > 0 {}
        Ok(())
    }

    /// Mean length of a line, its newline included.
    pub(crate) fn mean_line(&self) -> f64 {
        self.bytes as f64 / self.lines.max(1) as f64
    }
}

/// Gives the file of `size` bytes for `corpus` in `folder`, generating it if it isn't there or isn't right.
pub(crate) fn provide(corpus: Corpus, size: u64, folder: &Path) -> Result<CorpusFile, Error> {
    let name = match corpus {
        Corpus::Text => "text",
        Corpus::Json => "json",
        Corpus::Apache => "apache",
    };
    let path = folder.join(format!("{name}-{}MiB.log", size >> 20));
    let note = path.with_extension("description.json");

    let known: Option<Description> = fs::read(&note).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let description = match known {
        Some(known) if known.generation == GENERATION && known.asked == size && intact(&path, &known) => known,
        _ => {
            let made = generate(corpus, size, &path)?;
            let text = serde_json::to_vec(&made).map_err(|error| Error::Message(error.to_string()))?;
            fs::write(&note, text).context(note.display())?;
            made
        }
    };
    Ok(CorpusFile { path, bytes: description.bytes, lines: description.lines, kept: description.kept })
}

/// Whether the file has the described length and content. Reading it also brings it into the page cache, where every
/// run of the race is to find it.
fn intact(path: &Path, known: &Description) -> bool {
    let Ok(mut file) = File::open(path) else { return false };
    let mut block = vec![0; 1 << 20];
    let (mut length, mut crc) = (0u64, 0u32);
    loop {
        match file.read(&mut block) {
            Ok(0) => return length == known.bytes && crc == known.crc32c,
            Ok(read) => {
                length += read as u64;
                crc = crc32c::crc32c_append(crc, &block[..read]);
            }
            Err(_) => return false,
        }
    }
}

fn generate(corpus: Corpus, size: u64, path: &Path) -> Result<Description, Error> {
    println!("generating {}", path.display());
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).context(path.display())?);
    let mut lines = lines::Lines::new(corpus);
    let mut line = Vec::with_capacity(1024);
    let mut made = Description { generation: GENERATION, asked: size, bytes: 0, crc32c: 0, lines: 0, kept: 0 };
    loop {
        line.clear();
        let kept = lines.next_into(&mut line);
        if made.bytes + line.len() as u64 > size {
            break;
        }
        made.bytes += line.len() as u64;
        made.crc32c = crc32c::crc32c_append(made.crc32c, &line);
        made.lines += 1;
        made.kept += u64::from(kept);
        file.write_all(&line).context(path.display())?;
    }
    file.flush().context(path.display())?;
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_file_is_generated_again() {
        let folder = tempfile::tempdir().unwrap();
        let first = provide(Corpus::Json, 1 << 20, folder.path()).unwrap();
        let good = fs::read(&first.path).unwrap();
        assert_eq!(good.len() as u64, first.bytes);

        let mut bad = good.clone();
        bad[1000] ^= 1;
        fs::write(&first.path, &bad).unwrap();
        provide(Corpus::Json, 1 << 20, folder.path()).unwrap();
        assert!(fs::read(&first.path).unwrap() == good, "one flipped bit went unnoticed");

        fs::write(&first.path, &good[..good.len() - 1]).unwrap();
        let again = provide(Corpus::Json, 1 << 20, folder.path()).unwrap();
        assert!(fs::read(&first.path).unwrap() == good);
        assert_eq!((again.lines, again.kept), (first.lines, first.kept));
    }

    #[test]
    fn counts_agree_with_the_file() {
        let folder = tempfile::tempdir().unwrap();
        for corpus in [Corpus::Text, Corpus::Json, Corpus::Apache] {
            let made = provide(corpus, 1 << 20, folder.path()).unwrap();
            let text = fs::read_to_string(&made.path).unwrap();
            assert!(text.ends_with('\n'));
            assert_eq!(text.lines().count() as u64, made.lines);
            let debug = text.lines().filter(|line| line.contains(r#""level":"debug""#)).count() as u64;
            assert_eq!(made.kept, made.lines - debug);
        }
    }
}
