//! Compiled modules, kept on disk: `data_dir/wasm-cache/<key>.cwasm`; and what was fetched, `<sha256>.fetched`.
//!
//! What was fetched is named by its own hash, which is compared at each use. Of what was compiled, the key is a hash of the module's bytes, the version of the runtime, and how it compiles. The file is what the runtime
//! serialised, and a SHA-256 of the key and that behind it. What is loaded is machine code, so a file is believed only
//! where nobody but this agent's user could have written it: the folder is that user's and has mode 0700, and the hash is
//! right. Everything else is compiled anew: the cache can be deleted at any time, and what was fetched is fetched again.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};
use wasmtime::{Engine, Module};

use crate::engine;
use crate::inspect::MAX_MODULE;
use crate::program::hex;

/// Files of each kind that are kept; the oldest go.
const KEPT: usize = 64;
/// Length of the hash at the end of a file.
const HASH: usize = 32;

/// The folder of compiled modules.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
}

// === impl Cache ===

impl Cache {
    /// The cache in the agent's folder. Nothing is created before there is something to keep.
    pub fn new(data_dir: &Path) -> Cache {
        Cache { folder: data_dir.join("wasm-cache") }
    }

    /// The module of these bytes: from the cache, or compiled and kept.
    pub(crate) fn module(&self, engine: &Engine, bytes: &[u8], sha256: &[u8; 32]) -> Result<Module, String> {
        let key = key(engine, sha256);
        let path = self.folder.join(format!("{}.cwasm", hex(&key)));
        if let Some(module) = self.load(engine, &path, &key) {
            return Ok(module);
        }
        let module = engine::compile(engine, bytes)?;
        if let Err(error) = module
            .serialize()
            .map_err(|error| error.to_string())
            .and_then(|code| self.keep(&path, &[&code, &hash_of(&key, &code)]).map_err(|error| error.to_string()))
        {
            tracing::warn!(folder = %self.folder.display(), "the compiled module is not kept: {error}; it is compiled again at the next start");
        }
        Ok(module)
    }

    /// What was fetched and has that hash.
    pub(crate) fn fetched(&self, sha256: &[u8; 32]) -> Option<Vec<u8>> {
        let file = std::fs::File::open(self.path_of_fetched(sha256)).ok()?;
        let mut bytes = Vec::new();
        file.take(MAX_MODULE as u64 + 1).read_to_end(&mut bytes).ok()?;
        if Sha256::digest(&bytes).as_slice() != sha256 {
            return None;
        }
        // What is in use is not among the oldest.
        let _ = std::fs::File::open(self.path_of_fetched(sha256)).and_then(|file| file.set_modified(SystemTime::now()));
        Some(bytes)
    }

    /// Keeps what was fetched and has that hash.
    pub(crate) fn keep_fetched(&self, sha256: &[u8; 32], bytes: &[u8]) {
        if let Err(error) = self.keep(&self.path_of_fetched(sha256), &[bytes]) {
            tracing::warn!(folder = %self.folder.display(), "what was fetched is not kept: {error}; it is fetched again at the next start");
        }
    }

    fn path_of_fetched(&self, sha256: &[u8; 32]) -> PathBuf {
        self.folder.join(format!("{}.fetched", hex(sha256)))
    }

    fn load(&self, engine: &Engine, path: &Path, key: &[u8; 32]) -> Option<Module> {
        if !is_private(&self.folder) {
            return None;
        }
        let file = std::fs::read(path).ok()?;
        let (code, hash) = file.split_at_checked(file.len().checked_sub(HASH)?)?;
        if hash != hash_of(key, code).as_slice() {
            return None;
        }
        deserialize(engine, code)
    }

    fn keep(&self, path: &Path, parts: &[&[u8]]) -> std::io::Result<()> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        if !is_private(&self.folder) {
            return Err(std::io::Error::other(
                "others may write to the folder: it must have mode 0700 and be the agent's",
            ));
        }
        let new = path.with_extension(format!("{}.new", std::process::id()));
        let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        parts.iter().try_for_each(|part| file.write_all(part))?;
        std::fs::rename(&new, path)?;
        self.thin_out(is_fetched(path))
    }

    fn thin_out(&self, fetched: bool) -> std::io::Result<()> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            if is_fetched(&entry.path()) == fetched {
                files.push((entry.metadata()?.modified()?, entry.path()));
            }
        }
        files.sort_unstable();
        let surplus = files.len().saturating_sub(KEPT);
        files.into_iter().take(surplus).try_for_each(|(_, path)| std::fs::remove_file(path))
    }
}

fn is_fetched(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "fetched")
}

/// Whether the folder is the agent's user's, and nobody else may do anything in it.
fn is_private(folder: &Path) -> bool {
    // The owner of one's own entry in /proc is the effective user.
    let (Ok(folder), Ok(own)) = (std::fs::symlink_metadata(folder), std::fs::metadata("/proc/self")) else {
        return false;
    };
    folder.is_dir() && folder.uid() == own.uid() && folder.mode() & 0o077 == 0
}

fn key(engine: &Engine, sha256: &[u8; 32]) -> [u8; 32] {
    let mut compiled_how = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut compiled_how);
    let mut key = Sha256::new();
    key.update(b"suiro wasm-cache 1\0");
    key.update(compiled_how.finish().to_le_bytes());
    key.update(sha256);
    key.finalize().into()
}

fn hash_of(key: &[u8; 32], code: &[u8]) -> [u8; HASH] {
    let mut hash = Sha256::new();
    hash.update(key);
    hash.update(code);
    hash.finalize().into()
}

/// Machine code that this agent wrote, as a module again.
#[allow(unsafe_code)]
fn deserialize(engine: &Engine, code: &[u8]) -> Option<Module> {
    // SAFETY: the bytes must be what `Module::serialize` gave, unchanged. `Cache::load` takes them only from a folder that
    // belongs to this process's user and that no other user may read, write or search, and only if the SHA-256 behind them
    // is that of the key and these bytes, so a torn or damaged file is refused. Files get there by `Cache::keep` alone. Who
    // could put another one there acts as this user, and could as well replace the agent's binary. That it was made by
    // the same version and configuration of the runtime is in the key, and checked by the runtime once more.
    unsafe { Module::deserialize(engine, code) }.ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::engine::Metering;

    #[test]
    fn keeps_modules_and_distrusts_what_it_finds() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path());
        let engine = engine::engine(Metering::Time).unwrap();
        let bytes = wat::parse_str(r#"(module (func (export "f") (result i32) i32.const 7))"#).unwrap();
        let sha256 = Sha256::digest(&bytes).into();
        cache.module(&engine, &bytes, &sha256).unwrap();
        let key = key(&engine, &sha256);
        let path = folder.path().join("wasm-cache").join(format!("{}.cwasm", hex(&key)));
        assert!(cache.load(&engine, &path, &key).is_some());
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        // Each byte counts: one that is damaged is compiled anew.
        let sound = std::fs::read(&path).unwrap();
        for at in [0, sound.len() / 2, sound.len() - 1] {
            let mut damaged = sound.clone();
            damaged[at] ^= 1;
            std::fs::write(&path, damaged).unwrap();
            assert!(cache.load(&engine, &path, &key).is_none(), "byte {at}");
        }
        for len in [0, 31, sound.len() - 1] {
            std::fs::write(&path, &sound[..len]).unwrap();
            assert!(cache.load(&engine, &path, &key).is_none(), "{len} bytes");
        }
        cache.module(&engine, &bytes, &sha256).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), sound);
        // A folder others may write to is not believed.
        let open = std::fs::Permissions::from_mode(0o770);
        std::fs::set_permissions(folder.path().join("wasm-cache"), open).unwrap();
        assert!(cache.load(&engine, &path, &key).is_none());
        cache.module(&engine, &bytes, &sha256).unwrap();
    }

    #[test]
    fn what_was_fetched_is_compared_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path());
        let hash = Sha256::digest("fetched").into();
        assert!(cache.fetched(&hash).is_none());
        cache.keep_fetched(&hash, b"fetched");
        assert_eq!(cache.fetched(&hash).unwrap(), b"fetched");
        std::fs::write(cache.path_of_fetched(&hash), "Fetched").unwrap();
        assert!(cache.fetched(&hash).is_none());
        // One kind does not push out the other.
        for n in 0..KEPT + 3 {
            cache.keep_fetched(&Sha256::digest(n.to_string()).into(), n.to_string().as_bytes());
        }
        let engine = engine::engine(Metering::Time).unwrap();
        let bytes = wat::parse_str("(module)").unwrap();
        cache.module(&engine, &bytes, &Sha256::digest(&bytes).into()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path().join("wasm-cache")).unwrap().count(), KEPT + 1);
    }

    #[test]
    fn the_oldest_go() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path());
        let engine = engine::engine(Metering::Time).unwrap();
        for n in 0..KEPT + 3 {
            let bytes = wat::parse_str(format!(r#"(module (func (export "f") (result i32) i32.const {n}))"#)).unwrap();
            cache.module(&engine, &bytes, &Sha256::digest(&bytes).into()).unwrap();
        }
        assert_eq!(std::fs::read_dir(folder.path().join("wasm-cache")).unwrap().count(), KEPT);
    }
}
