//! Asking OpenSearch (or Elasticsearch: nothing here is one's own) what it has.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use ureq::http::Response;
use ureq::typestate::WithBody;
use ureq::{Body, RequestBuilder};

/// Documents of one answer; the server allows 10,000.
const PAGE: usize = 2000;
const ANSWER_LIMIT: u64 = 64 * 1024 * 1024;

/// One index of the server.
pub(crate) struct Index {
    url: String,
    name: String,
    http: ureq::Agent,
}

/// One document as stored.
pub(crate) struct Hit {
    pub(crate) id: String,
    /// Its text: integers beyond 64 bits are whole only here.
    pub(crate) text: String,
    pub(crate) source: Value,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "_scroll_id")]
    scroll: String,
    hits: Hits,
}

#[derive(Deserialize)]
struct Hits {
    hits: Vec<RawHit>,
}

#[derive(Deserialize)]
struct RawHit {
    #[serde(rename = "_id")]
    id: String,
    #[serde(rename = "_source")]
    source: Box<RawValue>,
}

// === impl Index ===

impl Index {
    /// Makes the index. The mapping names the fields whose type must not be left to the first record that has them.
    pub(crate) fn create(url: &str, name: &str, mapping: Value) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        let index = Self { url: url.to_owned(), name: name.to_owned(), http: config.into() };
        let body = json!({ "settings": { "number_of_replicas": 0 }, "mappings": { "properties": mapping } });
        index.call(index.http.put(format!("{url}/{name}")), Some(&body));
        index
    }

    fn call(&self, request: RequestBuilder<WithBody>, body: Option<&Value>) -> Vec<u8> {
        let request = request.header("content-type", "application/json");
        let answer = match body {
            Some(body) => request.send(body.to_string()),
            None => request.send_empty(),
        };
        self.read(answer)
    }

    fn read(&self, answer: Result<Response<Body>, ureq::Error>) -> Vec<u8> {
        let mut answer = answer.unwrap_or_else(|error| panic!("{}: {error}", self.url));
        let bytes = answer.body_mut().with_config().limit(ANSWER_LIMIT).read_to_vec().expect("the answer can be read");
        assert!(answer.status().is_success(), "{}: {}", answer.status(), String::from_utf8_lossy(&bytes));
        bytes
    }

    /// Makes what was written so far visible, and returns all of it, in no order.
    pub(crate) fn all(&self) -> Vec<Hit> {
        let Self { url, name, http } = self;
        self.call(http.post(format!("{url}/{name}/_refresh")), None);
        let query = json!({ "size": PAGE, "sort": ["_doc"] });
        let mut page = self.call(http.post(format!("{url}/{name}/_search?scroll=1m")), Some(&query));
        let mut hits = Vec::new();
        loop {
            let answer: Answer = serde_json::from_slice(&page).expect("an answer to a search");
            if answer.hits.hits.is_empty() {
                return hits;
            }
            hits.extend(answer.hits.hits.into_iter().map(|hit| Hit {
                id: hit.id,
                source: serde_json::from_str(hit.source.get()).expect("a document is JSON"),
                text: hit.source.get().to_owned(),
            }));
            let next = json!({ "scroll": "1m", "scroll_id": answer.scroll });
            page = self.call(http.post(format!("{url}/_search/scroll")), Some(&next));
        }
    }

    /// Documents taken in so far, those that are not visible yet as well.
    pub(crate) fn taken(&self) -> u64 {
        self.indexing("index_total")
    }

    /// Documents refused for their id or their content so far.
    pub(crate) fn failed(&self) -> u64 {
        self.indexing("index_failed")
    }

    fn indexing(&self, counter: &str) -> u64 {
        let bytes = self.read(self.http.get(format!("{}/{}/_stats/indexing", self.url, self.name)).call());
        let stats: Value = serde_json::from_slice(&bytes).expect("statistics are JSON");
        stats["_all"]["primaries"]["indexing"][counter].as_u64().expect("a counter of the index")
    }
}
