//! `match`: which tags a block takes.

use super::error::LangError;
use super::glob::Glob;

/// Globs over tags: a tag is taken if one of the globs matches and none of those that begin with `!`. Where all begin
/// with `!`, everything else is taken. The order is without meaning. The default takes every tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagMatch {
    only: Vec<Glob>,
    except: Vec<Glob>,
}

// === impl TagMatch ===

impl TagMatch {
    /// Parses a list. An empty one takes every tag.
    pub fn parse<'a>(globs: impl IntoIterator<Item = &'a str>) -> Result<TagMatch, LangError> {
        let mut all = TagMatch::default();
        for glob in globs {
            all.add(glob)?;
        }
        Ok(all)
    }

    pub(super) fn add(&mut self, text: &str) -> Result<(), LangError> {
        let (list, glob) = match text.strip_prefix('!') {
            Some(glob) => (&mut self.except, glob),
            None => (&mut self.only, text),
        };
        if let Some(at) = glob.find(['{', '[']) {
            let at = at + (text.len() - glob.len());
            let help = "a list of globs says it: match = [\"app.a\", \"app.b\"]";
            return Err(LangError::new(at, 1, "there are no groups in globs, only `*` and `?`", help));
        }
        list.push(Glob::parse(glob).map_err(|error| LangError { at: text.len() - glob.len(), ..error })?);
        Ok(())
    }

    /// Whether records of this tag are taken.
    pub fn matches(&self, tag: &str) -> bool {
        let wanted = self.only.is_empty() || self.only.iter().any(|glob| glob.matches(tag));
        wanted && !self.except.iter().any(|glob| glob.matches(tag))
    }

    /// Whether a tag that begins with `prefix` may be taken. `false` is certain.
    pub fn may_match(&self, prefix: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|glob| glob.may_match(prefix))
    }

    /// Whether it takes every tag.
    pub fn matches_all(&self) -> bool {
        self.except.is_empty() && (self.only.is_empty() || self.only.iter().any(Glob::matches_all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exclusions_win() {
        let both = TagMatch::parse(["!kube.debug.*", "kube.*"]).unwrap();
        assert!(both.matches("kube.app"));
        assert!(!both.matches("kube.debug.app"));
        assert!(!both.matches("app"));
        let but = TagMatch::parse(["!a", "!b*"]).unwrap();
        assert!(but.matches("c"));
        assert!(!but.matches("a"));
        assert!(!but.matches("bb"));
        assert!(TagMatch::default().matches("") && TagMatch::default().matches_all());
        assert!(TagMatch::parse(["*"]).unwrap().matches_all());
        assert!(!but.matches_all() && !both.matches_all());
        assert!(both.may_match("kub") && both.may_match("kube.x") && both.may_match("") && but.may_match("a"));
        assert!(!both.may_match("app."));
    }

    #[test]
    fn says_what_is_no_glob() {
        assert_eq!(TagMatch::parse(["!app.{a,b}"]).unwrap_err().at, 5);
        assert_eq!(TagMatch::parse(["!"]).unwrap_err().at, 1);
    }
}
