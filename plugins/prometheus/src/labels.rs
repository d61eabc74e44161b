//! Label sets: what Prometheus knows of a series beside its name.
//!
//! - A point's attributes; those whose names become the same label are joined with `;`, in the order of their names.
//! - `job` and `instance`, of the resource's `service.namespace`/`service.name` and `service.instance.id`. An attribute of
//!   that name is called `exported_job` then, as Prometheus does.
//! - `otel_scope_name`, `otel_scope_version`, of the instrumentation scope.
//! - What else is known of the resource is the series `target_info`, which has the labels `job` and `instance` too.

use std::borrow::Cow;

use suiro_record::{Scope, Value};

use crate::name::label_name;
use crate::point::{Point, value_text};

/// A label's name and value.
pub(crate) type Pair<'p> = (Cow<'p, str>, Cow<'p, str>);

/// What a resource and an instrumentation scope give to all their points.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Shared {
    pub(crate) job: Option<String>,
    pub(crate) instance: Option<String>,
    scope: Vec<(&'static str, String)>,
    /// The labels of `target_info`, sorted; empty if there is nothing to tell.
    pub(crate) target_info: Vec<(String, String)>,
}

// === impl Shared ===

impl Shared {
    pub(crate) fn read(scope: &Scope) -> Shared {
        let text = |value: &Value| value.to_text().into_owned();
        let of = |attributes: &[(String, Value)], key: &str| {
            attributes
                .iter()
                .rev()
                .find(|(k, _)| k == key)
                .map(|(_, value)| text(value))
                .filter(|text| !text.is_empty())
        };
        let resource = |key: &str| of(&scope.resource, key);
        let job = match (resource("service.namespace"), resource("service.name")) {
            (Some(namespace), Some(name)) => Some(format!("{namespace}/{name}")),
            (_, name) => name,
        };
        let instance = resource("service.instance.id");
        let named = [("otel_scope_name", "name"), ("otel_scope_version", "version")];
        let about_scope = named.into_iter().filter_map(|(label, key)| Some((label, of(&scope.scope, key)?))).collect();
        let mut target_info = Vec::new();
        for (key, value) in &scope.resource {
            if !matches!(key.as_str(), "service.namespace" | "service.name" | "service.instance.id") {
                target_info.push((label_name(key), key.as_str(), Cow::Owned(text(value))));
            }
        }
        let mut target_info = joined(target_info);
        // Without a job or an instance nobody could join it with anything.
        if job.is_none() && instance.is_none() {
            target_info.clear();
        }
        if !target_info.is_empty() {
            for (label, value) in [("job", &job), ("instance", &instance)] {
                target_info.retain(|(name, _)| name != label);
                target_info.extend(value.as_ref().map(|value| (Cow::Borrowed(label), Cow::Borrowed(value.as_str()))));
            }
            target_info.sort();
        }
        let target_info = target_info.into_iter().map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
        Shared { job, instance, scope: about_scope, target_info }
    }

    /// The labels of a point, sorted by name.
    pub(crate) fn labels<'p>(&'p self, point: &Point<'p>) -> Vec<Pair<'p>> {
        let mut labels = Vec::new();
        for attribute in point.attributes.into_iter().flat_map(|node| node.children()) {
            let key = attribute.key().unwrap_or_default();
            let mut name = label_name(key);
            let taken = (name == "job" && self.job.is_some()) || (name == "instance" && self.instance.is_some());
            if taken {
                name = Cow::Owned(format!("exported_{name}"));
            }
            labels.push((name, key, value_text(attribute)));
        }
        let mut labels = joined(labels);
        let own = [("job", &self.job), ("instance", &self.instance)];
        labels.extend(own.into_iter().filter_map(|(name, value)| Some((name.into(), value.as_deref()?.into()))));
        for (name, value) in &self.scope {
            if !labels.iter().any(|(label, _)| label == name) {
                labels.push(((*name).into(), value.as_str().into()));
            }
        }
        labels.retain(|(_, value)| !value.is_empty());
        labels.sort_unstable();
        labels
    }
}

/// Labels of the same name joined into one.
fn joined<'p>(mut labels: Vec<(Cow<'p, str>, &'p str, Cow<'p, str>)>) -> Vec<Pair<'p>> {
    labels.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    let mut out: Vec<Pair<'p>> = Vec::with_capacity(labels.len() + 2);
    let mut last_key = "";
    for (name, key, value) in labels {
        match out.last_mut() {
            // The same attribute twice: the last one counts.
            Some((last, old)) if *last == name && last_key == key => *old = value,
            Some((last, old)) if *last == name => *old = Cow::Owned(format!("{old};{value}")),
            _ => out.push((name, value)),
        }
        last_key = key;
    }
    out
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use suiro_record::{Batch, Row, Source};

    use super::*;

    fn labels(scope: Scope, attributes: &str) -> String {
        let shared = Shared::read(&scope);
        let mut batch = Batch::new("t".into(), Arc::new(scope), 0);
        let json = format!(r#"{{"name":"a","kind":"gauge","value":1,"attributes":{attributes}}}"#);
        batch.heap_mut().extend_from_slice(json.as_bytes());
        let root = batch.parse_json(0..json.len()).unwrap();
        let row = Row::new(root, 0, 0, 1);
        let point = Point::read(&batch, &row).unwrap();
        let pair = |(name, value): (Cow<'_, str>, Cow<'_, str>)| format!("{name}={value}");
        shared.labels(&point).into_iter().map(pair).collect::<Vec<_>>().join(",")
    }

    #[test]
    fn of_attributes_resource_and_scope() {
        let scope = || Scope::new(Arc::new(Source::new("in".into(), 1)));
        let attributes = r#"{"http.method":"GET","a.b":"1","a_b":"2","n":5,"e":"","job":"x","flag":true}"#;
        assert_eq!(labels(scope(), attributes), "a_b=1;2,flag=true,http_method=GET,job=x,n=5");
        let mut rich =
            scope().with("service.name", "cart").with("service.namespace", "shop").with("service.instance.id", "i1");
        assert!(Shared::read(&rich).target_info.is_empty());
        rich = rich.with("host.name", "h").with("host_name", "g").with("job", "no");
        rich.scope.push(("name".to_owned(), "lib".into()));
        assert_eq!(
            labels(rich.clone(), r#"{"job":"x"}"#),
            "exported_job=x,instance=i1,job=shop/cart,otel_scope_name=lib"
        );
        let info = Shared::read(&rich).target_info;
        let want = [("host_name", "h;g"), ("instance", "i1"), ("job", "shop/cart")];
        assert_eq!(info, want.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }
}
