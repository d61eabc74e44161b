//! `sql`: what was asked of a database.
//!
//! Only of the databases that OpenTelemetry calls relational; `url` is the span's name, which says more than an address
//! would.

use std::borrow::Cow;

use super::attributes::Known;
use super::json::{Members, joined};
use super::span::Span;

/// Values of `db.system`, and those that `db.system.name` has instead.
const RELATIONAL: [&str; 14] = [
    "db2",
    "derby",
    "hive",
    "mariadb",
    "mssql",
    "mysql",
    "oracle",
    "postgresql",
    "sqlite",
    "teradata",
    "other_sql",
    "ibm.db2",
    "microsoft.sql_server",
    "oracle.db",
];

/// Whether there is such a block.
pub(super) fn applies(span: &Span<'_>) -> bool {
    span.attributes.get(Known::DbSystem).is_some_and(|system| RELATIONAL.iter().any(|known| system.str_eq(known)))
}

pub(super) fn write(span: &Span<'_>, out: &mut Members<'_>) {
    let attributes = &span.attributes;
    out.map("sql", |sql| {
        sql.text("url", &span.name);
        let server = attributes.text(Known::ConnectionString).unwrap_or(Cow::Borrowed("localhost"));
        let database = attributes.text(Known::DbName).unwrap_or_default();
        sql.text("connection_string", &joined(&[&server, "/", &database]));
        sql.some_text("database_type", attributes.text(Known::DbSystem));
        sql.some_text("user", attributes.text(Known::DbUser));
        sql.some_text("sanitized_query", attributes.text(Known::DbStatement));
    });
}
