//! Reading the settings of `modify`.

use suiro_record::{Path, PathRoot, Value as Tree};
use suiro_sdk::lang::Template;
use suiro_sdk::settings::{Data, Reported, Secret, Section, Value};
use suiro_sdk::{FilterFactory, Stateless};

use super::digest::Digest;
use super::{Assign, Modify, Step};

/// Reads the settings.
pub fn build(settings: &Section) -> Result<Box<dyn FilterFactory>, Reported> {
    let mut reader = Reader { settings, steps: Vec::new(), failed: None };
    reader.pairs("rename", true, target, |from, to| Step::Rename { from, to });
    reader.pairs("copy", false, target, |from, to| Step::Copy { from, to });
    reader.pairs("set", true, assign, |path, value| Step::Set { path, value });
    reader.pairs("add", true, assign, |path, value| Step::Add { path, value });
    let salt = settings.get::<Secret>("salt");
    let digest = Digest::new(salt.as_ref().map(Secret::expose));
    reader.paths("hash", |path| Step::Hash { path, digest: digest.clone() });
    reader.paths("remove", |path| Step::Remove { path });
    let Reader { steps, failed, .. } = reader;
    if salt.is_some() && !settings.has("hash") {
        settings.error_at("salt", "`salt` is for `hash`, which is not set", "hash = [\"user.email\"]");
    }
    if steps.is_empty() && !settings.failed() && failed.is_none() {
        settings.error("`modify` changes nothing", "set one of `rename`, `copy`, `set`, `add`, `hash`, `remove`");
    }
    settings.finish()?;
    failed.map_or(Ok(()), Err)?;
    Ok(Box::new(Stateless(Modify::new(steps))))
}

struct Reader<'s> {
    settings: &'s Section,
    steps: Vec<Step>,
    failed: Option<Reported>,
}

impl Reader<'_> {
    /// A table of paths and what is to be done with each. `changes`: the keys name what is changed.
    fn pairs<T>(
        &mut self,
        key: &str,
        changes: bool,
        read: impl Fn(&Value) -> Result<T, Reported>,
        step: impl Fn(Path, T) -> Step,
    ) {
        let Some(Ok(entries)) = self.settings.value(key).map(|value| value.entries()) else { return };
        for entry in entries {
            let value = read(&entry.value);
            let report = |message, help| self.settings.diagnostics().error(&entry.key_place, message, help);
            let path = match Path::parse(&entry.key) {
                Err(error) => Err(report(format!("`{}` isn't a path: {error}", entry.key), String::new())),
                Ok(path) if changes && key != "rename" => match refusal(&path) {
                    Some((message, help)) => Err(report(message, help.to_owned())),
                    None => Ok(path),
                },
                Ok(path) => Ok(path),
            };
            match (path, value) {
                (Ok(path), Ok(value)) => self.steps.push(step(path, value)),
                (Err(reported), _) | (_, Err(reported)) => self.failed = Some(reported),
            }
        }
    }

    /// A list of paths of fields that are changed.
    fn paths(&mut self, key: &str, step: impl Fn(Path) -> Step) {
        let Some(value) = self.settings.value(key) else { return };
        for item in value.one_or_many() {
            match target(&item) {
                Ok(path) if path.root() == PathRoot::Time => {
                    self.failed =
                        Some(item.error(format!("`@time` can't be changed by `{key}`: every record has a time"), ""));
                }
                Ok(path) => self.steps.push(step(path)),
                Err(reported) => self.failed = Some(reported),
            }
        }
    }
}

/// A path that is to be changed.
fn target(value: &Value) -> Result<Path, Reported> {
    let path = value.read::<Path>()?;
    match refusal(&path) {
        Some((message, help)) => Err(value.error(message, help)),
        None => Ok(path),
    }
}

/// Why what a path names can't be changed.
fn refusal(path: &Path) -> Option<(String, &'static str)> {
    let help = match path.root() {
        PathRoot::Body | PathRoot::Time | PathRoot::Header(_) => return None,
        PathRoot::Tag => "tags are given by the filter `retag`",
        PathRoot::Input | PathRoot::Signal => "",
        PathRoot::Resource | PathRoot::Scope => "it belongs to many records; set a field of the record's own",
    };
    Some((format!("`{path}` can't be changed"), help))
}

fn assign(value: &Value) -> Result<Assign, Reported> {
    Ok(match value.data() {
        Data::String(_) => {
            let template = value.read::<Template>()?;
            match template.is_literal() {
                Some(text) => Assign::Fixed(Tree::from(text)),
                None => Assign::Text(template),
            }
        }
        Data::Integer(number) => Assign::Fixed(Tree::Int(number)),
        Data::Float(number) if !number.is_finite() => return Err(value.expected("a number that JSON has")),
        Data::Float(number) => Assign::Fixed(Tree::Float(number)),
        Data::Bool(yes) => Assign::Fixed(Tree::Bool(yes)),
        Data::List => {
            let items = value.items()?.iter().map(assign).collect::<Result<Vec<_>, _>>()?;
            match items.iter().map(fixed).collect() {
                Some(items) => Assign::Fixed(Tree::Array(items)),
                None => Assign::List(items),
            }
        }
        Data::Table => {
            let entries = value.entries()?;
            let members = entries
                .into_iter()
                .map(|entry| Ok((entry.key, assign(&entry.value)?)))
                .collect::<Result<Vec<_>, _>>()?;
            match members.iter().map(|(key, item)| Some((key.clone(), fixed(item)?))).collect() {
                Some(members) => Assign::Fixed(Tree::Object(members)),
                None => Assign::Map(members),
            }
        }
        Data::Datetime | Data::Broken => {
            return Err(value.expected("a text, a number, a boolean, a list or a table; write dates in quotes"));
        }
    })
}

fn fixed(item: &Assign) -> Option<Tree> {
    match item {
        Assign::Fixed(value) => Some(value.clone()),
        _ => None,
    }
}
