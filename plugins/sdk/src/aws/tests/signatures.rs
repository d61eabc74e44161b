//! Signatures of the examples AWS published: its test suite for version 4, and the documentation of S3.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use jiff::Timestamp;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};

use crate::aws::sign::Seal;
use crate::http::Signable;

/// The key of the test suite, and that of S3's examples.
const SUITE: (&str, &str) = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
const S3: (&str, &str) = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");

struct Example {
    key: (&'static str, &'static str),
    token: Option<&'static str>,
    service: &'static str,
    time: &'static str,
    method: Method,
    url: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
    signed: &'static str,
    signature: &'static str,
}

fn suite(method: Method, url: &'static str, signature: &'static str) -> Example {
    Example {
        key: SUITE,
        token: None,
        service: "service",
        time: "2015-08-30T12:36:00Z",
        method,
        url,
        headers: &[],
        body: "",
        signed: "host;x-amz-date",
        signature,
    }
}

fn s3(url: &'static str, signature: &'static str) -> Example {
    Example {
        key: S3,
        service: "s3",
        time: "2013-05-24T00:00:00Z",
        signed: "host;x-amz-content-sha256;x-amz-date",
        ..suite(Method::GET, url, signature)
    }
}

fn sign(example: &Example) -> HeaderMap {
    let mut credentials = Credentials::builder()
        .access_key_id(example.key.0)
        .secret_access_key(example.key.1)
        .provider_name("published examples");
    credentials.set_session_token(example.token.map(str::to_owned));
    let credentials = credentials.build();
    let headers = example.headers.iter();
    let headers: HeaderMap =
        headers.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect();
    let url = Url::parse(example.url).unwrap();
    let time = SystemTime::from(example.time.parse::<Timestamp>().unwrap());
    let seal = Seal { credentials: &credentials, region: "us-east-1", service: example.service, time };
    let body = example.body.as_bytes();
    seal.sign(Signable { method: &example.method, url: &url, headers: &headers, body }).unwrap()
}

#[test]
fn signatures_are_those_of_the_published_examples() {
    let examples = [
        suite(
            Method::GET,
            "https://example.amazonaws.com/",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        suite(
            Method::GET,
            "https://example.amazonaws.com/?Param2=value2&Param1=value1",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        suite(
            Method::POST,
            "https://example.amazonaws.com/",
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
        Example {
            headers: &[("content-type", "application/x-www-form-urlencoded"), ("user-agent", "not signed")],
            body: "Param1=value1",
            signed: "content-type;host;x-amz-date",
            ..suite(
                Method::POST,
                "https://example.amazonaws.com/",
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            )
        },
        s3(
            "https://examplebucket.s3.amazonaws.com/?lifecycle",
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        s3(
            "https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ];
    for example in &examples {
        let added = sign(example);
        let (id, date) = (example.key.0, &example.time.replace('-', "")[..8]);
        let expected = format!(
            "AWS4-HMAC-SHA256 Credential={id}/{date}/us-east-1/{}/aws4_request, SignedHeaders={}, Signature={}",
            example.service, example.signed, example.signature
        );
        assert_eq!(added["authorization"], *expected, "{}", example.url);
        assert!(added["authorization"].is_sensitive());
        assert_eq!(added["x-amz-date"], *example.time.replace(['-', ':'], ""));
    }
}

/// The path of S3 is signed as it is sent; that of all others is encoded once more.
#[test]
fn paths_are_encoded_once_for_s3_and_twice_for_others() {
    let signature = |service, url| {
        let added = sign(&Example { service, ..s3(url, "") });
        added["authorization"].to_str().unwrap().rsplit_once('=').unwrap().1.to_owned()
    };
    // What a canonical request written by hand (Python's hashlib and hmac) gives.
    assert_eq!(
        signature("s3", "https://examplebucket.s3.amazonaws.com/a%20b//d"),
        "d8038362594d275ac6dfe79dd75dc455ace56592bb4ca0e47582afd541933ec5"
    );
    assert_eq!(
        signature("xray", "https://xray.us-east-1.amazonaws.com/a%20b//c"),
        "8669debe0cdda1945b946de154b41ab2f819b68b9ba2ea1ddc6cd3a843173fa8"
    );
}

#[test]
fn what_is_special() {
    let names = |service, token| {
        let example = Example { service, token, ..suite(Method::POST, "https://example.amazonaws.com/", "") };
        let added = sign(&example);
        let mut names: Vec<&str> = added.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names.join(" ")
    };
    assert_eq!(names("logs", None), "authorization x-amz-date");
    assert_eq!(names("logs", Some("token")), "authorization x-amz-date x-amz-security-token");
    assert_eq!(names("aoss", None), "authorization x-amz-content-sha256 x-amz-date");
    assert_eq!(names("s3", Some("token")), "authorization x-amz-content-sha256 x-amz-date x-amz-security-token");
}
