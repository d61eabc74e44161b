//! From the configuration to what is to be run: each block's common settings read, its plugin built.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use suiro_record::{PathRoot, Signal};
use suiro_sdk::lang::{Condition, TagMatch, Template};
use suiro_sdk::settings::{Diagnostic, Diagnostics, Reported, Section, enumerate, nearest};
use suiro_sdk::{FilterFactory, Input, OnParseError, Output, Parser, Registry};

use crate::config::{Block, Config, Service};
use crate::output::OutputSettings;

/// What is to be run.
pub struct Plan {
    /// The agent's own settings.
    pub service: Service,
    /// Inputs, in order.
    pub inputs: Vec<InputPlan>,
    /// Filters, in order.
    pub filters: Vec<Arc<FilterPlan>>,
    /// Outputs, in order.
    pub outputs: Vec<OutputPlan>,
}

/// An input.
pub struct InputPlan {
    /// Its name.
    pub name: Arc<str>,
    /// Its type.
    pub type_name: String,
    /// The plugin.
    pub input: Box<dyn Input>,
    /// `tag`: over the scope of its records. Default: the input's name, or what the input says.
    pub tag: Arc<Template>,
    /// `parser`: makes fields of its lines.
    pub parser: Option<Arc<dyn Parser>>,
    /// `on_parse_error`: `"keep"` (default) or `"drop"`.
    pub on_parse_error: OnParseError,
    /// `multiline`: joins its lines before they are parsed.
    pub multiline: Option<Arc<FilterPlan>>,
    /// `[[input.filter]]`
    pub filters: Vec<Arc<FilterPlan>>,
}

/// A filter.
pub struct FilterPlan {
    /// Its name.
    pub name: Arc<str>,
    /// Its type.
    pub type_name: String,
    /// `match`: tags it touches. Default: all.
    pub matches: TagMatch,
    /// `when`: records it touches. Default: all.
    pub when: Option<Condition>,
    /// `signal`: signals it touches. Default: all.
    pub signals: Option<Vec<Signal>>,
    /// The plugin.
    pub factory: Box<dyn FilterFactory>,
}

/// An output.
pub struct OutputPlan {
    /// Its name.
    pub name: Arc<str>,
    /// Its type.
    pub type_name: String,
    /// The plugin.
    pub output: Box<dyn Output>,
    /// Settings every output has.
    pub settings: OutputSettings,
    /// `[[output.filter]]`
    pub filters: Vec<Arc<FilterPlan>>,
}

struct Builder<'a> {
    registry: &'a Registry,
    /// Those of the configuration, by name; `None` for one that has a mistake of its own, reported already.
    parsers: BTreeMap<String, Option<Arc<dyn Parser>>>,
}

const SIGNALS: [(&str, Signal); 3] = [("logs", Signal::Logs), ("traces", Signal::Traces), ("metrics", Signal::Metrics)];

/// Reads `signal`: one or several of `logs`, `traces`, `metrics`.
pub fn read_signals(section: &Section) -> Option<Vec<Signal>> {
    let value = section.value("signal")?;
    Some(value.one_or_many().iter().filter_map(|value| value.choice(&SIGNALS).ok()).collect())
}

// === impl Plan ===

impl Plan {
    /// Builds what `config` asks for. Every mistake is reported; only without any is there a plan.
    pub fn build(config: Config, registry: &Registry, diagnostics: &Diagnostics) -> Result<Plan, Reported> {
        let broken = config.broken_parsers.into_iter().map(|name| (name, None));
        let mut builder = Builder { registry, parsers: broken.collect() };
        builder.named_parsers(&config.parsers);
        let inputs: Vec<_> = config.inputs.iter().map(|block| builder.input(block)).collect();
        let filters = builder.filters(&config.filters);
        let outputs: Vec<_> = config.outputs.iter().map(|block| builder.output(block, &config.service)).collect();
        let plan = Plan {
            inputs: inputs.into_iter().flatten().collect(),
            filters,
            outputs: outputs.into_iter().flatten().collect(),
            service: config.service,
        };
        // What is missing may only be mistyped: that is reported already.
        if diagnostics.errors() == 0 {
            plan.check_routes(diagnostics);
        }
        diagnostics.check()?;
        Ok(plan)
    }

    /// Warns of what can be seen not to work: records and outputs, or filters, that never meet.
    fn check_routes(&self, diagnostics: &Diagnostics) {
        if self.inputs.is_empty() {
            return;
        }
        if self.outputs.is_empty() {
            diagnostics.report(Diagnostic::warning(
                None,
                "there is no [[output]]: nothing takes what the inputs read",
                "all records will be dropped and counted as `unrouted`",
            ));
            return;
        }
        // With a filter that may retag nothing can be said.
        const RETAG: [&str; 6] = ["log_to_metrics", "log_to_span", "retag", "route_by_trace", "span_metrics", "wasm"];
        let may = |filter: &Arc<FilterPlan>| RETAG.contains(&filter.type_name.as_str());
        let retags = |filters: &[Arc<FilterPlan>]| filters.iter().any(may);
        if retags(&self.filters) {
            return;
        }
        for input in self.inputs.iter().filter(|input| !retags(&input.filters)) {
            if self.outputs.iter().any(|output| input.may_have_tag_of(&output.settings.matches)) {
                continue;
            }
            let tag = match input.tag.is_literal() {
                Some(tag) => format!("its tag is `{tag}`"),
                None => format!("its tags begin with `{}`", input.tag.literal_prefix()),
            };
            diagnostics.report(Diagnostic::warning(
                None,
                format!("no output takes what input `{}` reads: {tag}", input.name),
                "its records will be dropped and counted as `unrouted`; widen the `match` of an output",
            ));
        }
        if self.inputs.iter().any(|input| retags(&input.filters)) {
            return;
        }
        for filter in &self.filters {
            if !self.inputs.iter().any(|input| input.may_have_tag_of(&filter.matches)) {
                let message = format!("filter `{}` never has anything to do: no input has a tag it takes", filter.name);
                diagnostics.report(Diagnostic::warning(None, message, "widen its `match`"));
            }
        }
    }
}

// === impl InputPlan ===

impl InputPlan {
    /// Whether its records may have a tag that `matches` takes. Tags made of fields can only be judged by how they begin.
    fn may_have_tag_of(&self, matches: &TagMatch) -> bool {
        match self.tag.is_literal() {
            Some(tag) => matches.matches(tag),
            None => matches.may_match(self.tag.literal_prefix()),
        }
    }
}

// === impl Builder ===

impl Builder<'_> {
    fn named_parsers(&mut self, blocks: &[Block]) {
        for block in blocks {
            if let Some(entry) = self.registry.parsers.get(block.type_name.as_str()) {
                let built = (entry.build)(&block.section);
                let finished = block.section.finish();
                let parser = built.ok().filter(|_| finished.is_ok());
                self.parsers.insert(block.name.clone(), parser);
            }
        }
    }

    fn input(&mut self, block: &Block) -> Option<InputPlan> {
        let section = &block.section;
        let entry = self.registry.inputs.get(block.type_name.as_str())?;
        let tag = tag(section);
        let parser = self.parser(section);
        let choices = [("keep", OnParseError::Keep), ("drop", OnParseError::Drop)];
        let on_parse_error = section.choice("on_parse_error", &choices).unwrap_or_default();
        let multiline = section.value("multiline").and_then(|value| {
            let factory = suiro_filters::multiline_from_value(&value).ok()?;
            Some(Arc::new(FilterPlan::inner(format!("{}.multiline", block.name), "multiline", factory)))
        });
        let built = (entry.build)(section);
        let filters = self.filters(&block.filters);
        section.finish().ok()?;
        let input = built.ok()?;
        let default = || input.default_tag().map_or_else(|| literal(&block.name), str::to_owned);
        let tag = tag.or_else(|| Template::parse(&default()).ok())?;
        Some(InputPlan {
            name: block.name.as_str().into(),
            type_name: block.type_name.clone(),
            input,
            tag: Arc::new(tag),
            parser,
            on_parse_error,
            multiline,
            filters,
        })
    }

    /// `parser = "name"`: a `[[parser]]` of the configuration, or a type that needs no settings; or a table with `type`.
    fn parser(&mut self, section: &Section) -> Option<Arc<dyn Parser>> {
        let value = section.value("parser")?;
        // Asked for as a table, a string is a mistake that is reported.
        if value.as_str().is_none() {
            let inner = section.section("parser")?;
            let choices: Vec<(&str, &str)> = self.registry.parsers.keys().map(|name| (*name, *name)).collect();
            let type_name = match inner.value("type") {
                Some(value) => value.choice(&choices),
                None => Err(inner.missing("type", "\"json\"")),
            };
            let Ok(type_name) = type_name else {
                // Whose settings the others are, nobody knows.
                inner.keys().iter().for_each(|key| inner.known(key));
                return None;
            };
            let built = (self.registry.parsers.get(type_name)?.build)(&inner);
            return built.ok();
        }
        let name = value.text("the name of a parser").ok()?;
        if let Some(parser) = self.parsers.get(name) {
            return parser.clone();
        }
        if let Some((name, entry)) = self.registry.parsers.get_key_value(name) {
            // Built once per name, without settings.
            let (empty, _) = Section::from_text(name, "");
            if let Ok(parser) = (entry.build)(&empty) {
                self.parsers.insert((*name).to_owned(), Some(parser.clone()));
                return Some(parser);
            }
            value.error(
                format!("the parser `{name}` needs settings"),
                format!("write parser = {{ type = \"{name}\", ... }}, or a [[parser]] block with a name of its own"),
            );
            return None;
        }
        let names: BTreeSet<&str> =
            self.registry.parsers.keys().copied().chain(self.parsers.keys().map(String::as_str)).collect();
        let message = match nearest(name, names.iter().copied()) {
            Some(near) => format!("unknown parser `{name}`; did you mean `{near}`?"),
            None => format!("unknown parser `{name}`"),
        };
        value.error(message, format!("there are {}; a [[parser]] block adds one", enumerate(names, "and")));
        None
    }

    fn filters(&mut self, blocks: &[Block]) -> Vec<Arc<FilterPlan>> {
        blocks.iter().filter_map(|block| self.filter(block)).map(Arc::new).collect()
    }

    fn filter(&mut self, block: &Block) -> Option<FilterPlan> {
        let section = &block.section;
        let entry = self.registry.filters.get(block.type_name.as_str())?;
        let matches = section.get("match").unwrap_or_default();
        let when = section.get("when");
        let signals = read_signals(section);
        let built = (entry.build)(section);
        section.finish().ok()?;
        Some(FilterPlan {
            name: block.name.as_str().into(),
            type_name: block.type_name.clone(),
            matches,
            when,
            signals,
            factory: built.ok()?,
        })
    }

    fn output(&mut self, block: &Block, service: &Service) -> Option<OutputPlan> {
        let section = &block.section;
        let entry = self.registry.outputs.get(block.type_name.as_str())?;
        let settings = OutputSettings::read(section, &block.name, &service.data_dir);
        let built = (entry.build)(section);
        let filters = self.filters(&block.filters);
        section.finish().ok()?;
        let output = built.ok()?;
        if let Some(signals) = &settings.signals {
            let can = output.signals();
            for signal in signals.iter().filter(|signal| !can.contains(signal)) {
                let names = can.iter().map(|signal| signal.name());
                section.error_at(
                    "signal",
                    format!("`{}` can't express {}", block.type_name, signal.name()),
                    format!("it takes {}", enumerate(names, "and")),
                );
            }
        }
        Some(OutputPlan {
            name: block.name.as_str().into(),
            type_name: block.type_name.clone(),
            output,
            settings,
            filters,
        })
    }
}

// === impl FilterPlan ===

impl FilterPlan {
    /// A filter that belongs to an input and touches everything.
    pub fn inner(name: String, type_name: &str, factory: Box<dyn FilterFactory>) -> Self {
        FilterPlan {
            name: name.into(),
            type_name: type_name.to_owned(),
            matches: TagMatch::default(),
            when: None,
            signals: None,
            factory,
        }
    }
}

/// Reads an input's `tag`, which is made before anything is read: it can't ask for what only a record has.
fn tag(section: &Section) -> Option<Template> {
    let tag = section.get::<Template>("tag")?;
    if tag.is_literal() == Some("") {
        section.error_at("tag", "`tag` is empty", "leave it out: the input's name is the tag then");
    }
    let of_source = |root| matches!(root, PathRoot::Resource | PathRoot::Scope | PathRoot::Input | PathRoot::Signal);
    if let Some(path) = tag.required_paths().find(|path| !of_source(path.root())) {
        section.error_at(
            "tag",
            format!("`tag` names `{path}`, which is not known before a record is read"),
            format!("for a tag from a record's content use the filter `retag`, or give a default: {{{path}|none}}"),
        );
    }
    Some(tag)
}

/// A text as a template that says just that.
fn literal(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}
