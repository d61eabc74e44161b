//! The tag of a source: rendered once, over what is known of the source before anything is read of it.

use std::sync::Arc;

use suiro_record::Scope;

use crate::input::StartError;
use crate::lang::Template;

/// The tag for records of `scope`. An error if it names something that only a record has.
pub fn render(template: &Template, scope: &Arc<Scope>) -> Result<Arc<str>, StartError> {
    if let Some(tag) = template.is_literal() {
        return Ok(tag.into());
    }
    let mut tag = Vec::new();
    if let Err(missing) = template.render_scope(scope, crate::time::now(), &mut tag) {
        let names: Vec<_> = scope.resource.iter().map(|(name, _)| format!("`{{@{name}}}`")).collect();
        let known = if names.is_empty() { "this input knows no fields".to_owned() } else { names.join(", ") };
        return Err(StartError(format!(
            "`tag` names `{}`, which is not known before a record is read; {known}; \
             for a tag from a record's content use the filter `retag`, or give a default: `{{{}|none}}`",
            missing.path.as_str(),
            missing.path.as_str(),
        )));
    }
    Ok(String::from_utf8_lossy(&tag).into())
}

#[cfg(test)]
mod tests {
    use suiro_record::Source;

    use super::*;

    #[test]
    fn a_tag_speaks_of_the_source_only() {
        let scope = Arc::new(Scope::new(Arc::new(Source::new("in".into(), 1))).with("file.name", "a.log"));
        let tag = |text: &str| render(&Template::parse(text).unwrap(), &scope);
        assert_eq!(&*tag("app").unwrap(), "app");
        assert_eq!(&*tag("app.{@file.name}.{level|none}").unwrap(), "app.a.log.none");
        let error = tag("app.{level}").unwrap_err().to_string();
        assert!(error.contains("`level`") && error.contains("`{@file.name}`") && error.contains("retag"), "{error}");
    }
}
