//! The settings of `tail`.
//!
//! | setting | what it does |
//! | --- | --- |
//! | `path` | one or many paths with `*`, `?`, `[a-z]`, `**`; relative ones start at the configuration file. `*` does not cross folders and does not match a leading dot |
//! | `exclude` | the same, of what is not read; a pattern without a `/` is compared with the file's name |
//! | `read_from` | `"beginning"` (default) or `"end"`: where a file that is there at the start and has no checkpoint is begun. A file that comes later is always read from its beginning |
//! | `max_line` | a longer line is cut here, marked, and counted; default 1 MiB |
//! | `scan_interval` | how often files are looked for where the system does not tell; default 5 s, and 1 s where it can't tell at all |
//! | `rotate_wait` | how long a file that was renamed or deleted must have said nothing before it is let go of; default 5 s |
//! | `encoding` | `"utf-8"`, the only one there is |

use std::path::{Path, PathBuf};
use std::time::Duration;

use glob::{MatchOptions, Pattern};
use suiro_sdk::settings::{ByteSize, Reported, Section, Value};

/// How patterns match: like a shell's.
pub(crate) const MATCHING: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// Where a file without a checkpoint is begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ReadFrom {
    #[default]
    Beginning,
    End,
}

/// The settings.
#[derive(Clone, Debug)]
pub(crate) struct TailSettings {
    pub(crate) paths: Vec<String>,
    pub(crate) patterns: Vec<Pattern>,
    pub(crate) exclude: Vec<Exclude>,
    pub(crate) read_from: ReadFrom,
    pub(crate) max_line: usize,
    pub(crate) scan_interval: Option<Duration>,
    pub(crate) rotate_wait: Duration,
}

/// What is not read.
#[derive(Clone, Debug)]
pub(crate) enum Exclude {
    Name(Pattern),
    Path(Pattern),
}

// === impl TailSettings ===

impl TailSettings {
    pub(crate) fn read(section: &Section) -> Result<Self, Reported> {
        let folder = section.resolve_path("");
        let mut paths = Vec::new();
        let mut patterns = Vec::new();
        match section.value("path") {
            None => {
                section.missing("path", r#"["/var/log/app/*.log"]"#);
            }
            Some(value) => {
                let items = value.one_or_many();
                if items.is_empty() {
                    value.error("`path` names no file", r#"for example: path = ["/var/log/app/*.log"]"#);
                }
                for item in items {
                    if let Ok((path, pattern)) = read_pattern(&item, &folder) {
                        paths.push(path);
                        patterns.push(pattern);
                    }
                }
            }
        }
        let exclude = section.value("exclude").map(|value| value.one_or_many()).unwrap_or_default();
        let exclude = exclude.iter().filter_map(|item| read_exclude(item, &folder).ok()).collect();
        let read_from = [("beginning", ReadFrom::Beginning), ("end", ReadFrom::End)];
        let read_from = section.choice("read_from", &read_from).unwrap_or_default();
        let (least, most) = (ByteSize(64), ByteSize::mib(64));
        let max_line = section.within("max_line", least..=most).unwrap_or(ByteSize::mib(1)).as_usize();
        let short = Duration::from_millis(10);
        let day = Duration::from_secs(86_400);
        let scan_interval = section.within("scan_interval", short..=day);
        let rotate_wait = section.within("rotate_wait", Duration::ZERO..=day).unwrap_or(Duration::from_secs(5));
        section.choice("encoding", &[("utf-8", ())]);
        section.finish()?;
        Ok(TailSettings { paths, patterns, exclude, read_from, max_line, scan_interval, rotate_wait })
    }

    /// Whether the configuration says not to read `path`.
    pub(crate) fn excludes(&self, path: &Path) -> bool {
        let name = path.file_name().map(Path::new).unwrap_or(path);
        self.exclude.iter().any(|exclude| match exclude {
            Exclude::Name(pattern) => pattern.matches_path(name),
            Exclude::Path(pattern) => pattern.matches_path_with(path, MATCHING),
        })
    }

    /// Whether the configuration says to read `path`.
    pub(crate) fn wants(&self, path: &Path) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches_path_with(path, MATCHING)) && !self.excludes(path)
    }
}

/// A pattern from the root on. The folder of the configuration is no pattern, whatever its name.
fn absolute(text: &str, folder: &Path) -> String {
    if Path::new(text).is_absolute() || folder == Path::new("") {
        text.to_owned()
    } else {
        let text = text.strip_prefix("./").unwrap_or(text);
        let folder: PathBuf = folder.components().collect();
        format!("{}/{text}", Pattern::escape(&folder.to_string_lossy()).trim_end_matches('/'))
    }
}

fn read_pattern(value: &Value, folder: &Path) -> Result<(String, Pattern), Reported> {
    let text = value.text("a path such as \"/var/log/app/*.log\"")?;
    if text.is_empty() {
        return Err(value.error(format!("{} is empty", value.name()), "name a file, or files: \"/var/log/app/*.log\""));
    }
    let path = absolute(text, folder);
    let pattern = compile(value, text, &path)?;
    Ok((path, pattern))
}

fn read_exclude(value: &Value, folder: &Path) -> Result<Exclude, Reported> {
    let text = value.text("a pattern such as \"*.gz\"")?;
    if text.contains('/') {
        Ok(Exclude::Path(compile(value, text, &absolute(text, folder))?))
    } else {
        Ok(Exclude::Name(compile(value, text, text)?))
    }
}

fn compile(value: &Value, text: &str, path: &str) -> Result<Pattern, Reported> {
    Pattern::new(path).map_err(|error| {
        // The error counts in the whole path; the user wrote the end of it.
        let at = (error.pos + text.len()).saturating_sub(path.len()).min(text.len().saturating_sub(1));
        let at = (0..=at).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        let help =
            "`*` stands for any part of a name, `**` for any folders, `[a-c]` for one character; write `[*]` for a `*`";
        value.error_in_string(at, 1, format!("{} is no pattern: {}", value.name(), error.msg), help)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<TailSettings, String> {
        let (section, diagnostics) = Section::from_text("[[input]] tail", text);
        TailSettings::read(&section).map_err(|_| diagnostics.render(false))
    }

    #[test]
    fn defaults_and_words() {
        let settings = read("path = '/var/log/*.log'").unwrap();
        assert_eq!((settings.read_from, settings.max_line), (ReadFrom::Beginning, 1 << 20));
        assert_eq!((settings.scan_interval, settings.rotate_wait), (None, Duration::from_secs(5)));
        let settings = read(
            "path = ['/a/*.log', '/b/**/x']\nexclude = ['*.gz', '/a/no/*']\nread_from = 'end'\nmax_line = '64KiB'\n\
             scan_interval = '2s'\nrotate_wait = '1m'\nencoding = 'utf-8'",
        )
        .unwrap();
        assert_eq!(settings.paths, ["/a/*.log", "/b/**/x"]);
        assert_eq!((settings.read_from, settings.max_line), (ReadFrom::End, 64 << 10));
        assert!(settings.wants(Path::new("/a/x.log")) && settings.wants(Path::new("/b/c/d/x")));
        assert!(!settings.wants(Path::new("/a/b/x.log")) && !settings.wants(Path::new("/a/.x.log")));
        assert!(settings.excludes(Path::new("/a/x.log.gz")) && settings.excludes(Path::new("/a/no/x")));
    }

    #[test]
    fn mistakes_name_the_setting_and_the_fix() {
        for (text, says) in [
            ("", "missing setting `path`"),
            ("path = []", "names no file"),
            ("path = ''", "is empty"),
            ("path = 5", "must be a path"),
            ("path = '/a/[x'", "is no pattern"),
            ("path = '/a/***'", "is no pattern"),
            ("path = '/a'\nread_from = 'start'", "`beginning` or `end`"),
            ("path = '/a'\nmax_line = '1GiB'", "`max_line` must be from"),
            ("path = '/a'\nencoding = 'utf-16'", "utf-8"),
            ("path = '/a'\nexclud = '*.gz'", "exclude"),
        ] {
            let message = read(text).unwrap_err();
            assert!(message.contains(says), "{text}: {message}");
        }
    }

    #[test]
    fn relative_paths_start_at_the_configuration() {
        assert_eq!(absolute("logs/*.log", Path::new("/etc/su[i]ro")), "/etc/su[[]i[]]ro/logs/*.log");
        assert_eq!(absolute("./a", Path::new("/etc/")), "/etc/a");
        assert_eq!(absolute("/a", Path::new("/etc")), "/a");
        assert_eq!(absolute("a", Path::new("")), "a");
    }
}
