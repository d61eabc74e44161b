//! Where credentials and metadata come from.

use serde_json::{Value, json};

use super::{Client, between, send, with_stream};
use crate::{Aws, AwsOptions, Role, Task};

/// Scenario: a role is assumed, its credentials used, and expired.
/// Guarantees: they are good with their token, until they expire; a role that needs an external id is not had without.
#[test]
fn roles_give_credentials_that_expire() {
    let role = Role { arn: "arn:aws:iam::123456789012:role/other".to_owned(), external_id: Some("x".to_owned()) };
    let aws = Aws::with(AwsOptions { roles: vec![role], ..AwsOptions::default() }).unwrap();
    let sts = Client::of(&aws, "sts");
    let ask = "Action=AssumeRole&Version=2011-06-15&RoleSessionName=me&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fother";
    assert_eq!((sts.form(ask).status, sts.form(ask).code().as_str()), (403, "AccessDenied"));
    let said = sts.form(&format!("{ask}&ExternalId=x"));
    assert_eq!(said.status, 200, "{said:?}");
    let logs = Client {
        key: between(&said.body, "<AccessKeyId>", "<").to_owned(),
        secret: between(&said.body, "<SecretAccessKey>", "<").to_owned(),
        token: Some(between(&said.body, "<SessionToken>", "<").to_owned()),
        ..Client::of(&aws, "logs")
    };
    with_stream(&logs);
    let create = |client: &Client| client.json("Logs_20140328.CreateLogGroup", &json!({ "logGroupName": "h" })).code();
    assert_eq!(create(&Client { token: None, ..logs.clone() }), "UnrecognizedClientException");
    aws.expire_sessions();
    assert_eq!(create(&logs), "ExpiredTokenException");

    let web = |token: &str| {
        let body = format!("{}&WebIdentityToken={token}", ask.replace("AssumeRole&", "AssumeRoleWithWebIdentity&"));
        let head = format!(
            "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/x-www-form-urlencoded\r\n\
             content-length: {}\r\n",
            body.len()
        );
        send(&sts.address, &head, body.as_bytes()).unwrap()
    };
    assert_eq!(web("wrong").code(), "InvalidIdentityToken");
    assert!(web("suiro-web-identity").body.contains("<AssumeRoleWithWebIdentityResult><Credentials>"));
}

/// Scenario: the instance's metadata, with and without a token.
/// Guarantees: version 2 only; lists, values, the identity, and credentials that are good.
#[test]
fn an_instance_tells_of_itself_for_a_token() {
    let aws = Aws::start().unwrap();
    let address = aws.url().trim_start_matches("http://").to_owned();
    let ask = |method: &str, path: &str, headers: &str| {
        send(&address, &format!("{method} /latest/{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}"), b"")
            .unwrap()
    };
    assert_eq!(ask("GET", "meta-data/instance-id", "").status, 401);
    assert_eq!(ask("PUT", "api/token", "").status, 400);
    let token = ask("PUT", "api/token", "x-aws-ec2-metadata-token-ttl-seconds: 60\r\n").body;
    let get = |path: &str| ask("GET", path, &format!("x-aws-ec2-metadata-token: {token}\r\n")).body;
    assert_eq!(get("meta-data/placement/region"), "eu-central-1");
    assert_eq!(get("meta-data/tags/instance"), "Name\nteam");
    let identity: Value = serde_json::from_str(&get("dynamic/instance-identity/document")).unwrap();
    assert_eq!((&identity["region"], &identity["accountId"]), (&json!("eu-central-1"), &json!("123456789012")));
    let role = get("meta-data/iam/security-credentials/");
    let credentials: Value = serde_json::from_str(&get(&format!("meta-data/iam/security-credentials/{role}"))).unwrap();
    let text = |name: &str| credentials[name].as_str().unwrap().to_owned();
    let (key, secret, token) = (text("AccessKeyId"), text("SecretAccessKey"), Some(text("Token")));
    with_stream(&Client { key, secret, token, ..Client::of(&aws, "logs") });
}

/// Scenario: a task's metadata and credentials.
/// Guarantees: credentials want the container's token where it has one.
#[test]
fn a_task_tells_of_itself() {
    let task = Task { id: "t".to_owned(), token: Some("secret".to_owned()), ..Task::default() };
    let aws = Aws::with(AwsOptions { task: Some(task), instance: None, ..AwsOptions::default() }).unwrap();
    let address = aws.url().trim_start_matches("http://").to_owned();
    let get = |path: &str, headers: &str| {
        send(&address, &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}"), b"").unwrap()
    };
    assert_eq!(get("/v4/t/task", "").value()["LaunchType"], "FARGATE");
    assert_eq!(get("/v4/t", "").value()["LogDriver"], "awsfirelens");
    assert_eq!((get("/v4/other", "").status, get("/latest/meta-data/", "").status), (404, 404));
    assert_eq!(get("/v2/credentials/t", "").status, 401);
    assert_eq!(
        (get("/v1/credentials", "").status, get("/v1/credentials", "authorization: secret\r\n").status),
        (401, 200)
    );
    let role = "arn:aws:iam::123456789012:role/suiro-task";
    assert_eq!(get("/v2/credentials/t", "authorization: secret\r\n").value()["RoleArn"], role);
}

/// Scenario: an OTLP request to each of the endpoints, and one to a service that is not looked into.
/// Guarantees: signed ones are kept; logs want a group and a stream that are there.
#[test]
fn signed_requests_of_other_services_are_kept() {
    let aws = Aws::start().unwrap();
    let logs = Client::of(&aws, "logs");
    let headers = [("content-type", "application/x-protobuf"), ("x-aws-log-group", "g"), ("x-aws-log-stream", "s")];
    assert_eq!(logs.ask("POST", "/v1/logs", &headers, b"x").status, 404);
    with_stream(&logs);
    assert_eq!(logs.ask("POST", "/v1/logs", &headers, b"x").status, 200);
    for (service, path) in
        [("xray", "/v1/traces"), ("monitoring", "/v1/metrics"), ("aps", "/workspaces/ws-1/api/v1/remote_write")]
    {
        let client = Client::of(&aws, service);
        assert_eq!(client.ask("POST", path, &headers[..1], b"x").status, 200);
        let wrong = Client { secret: "wrong".to_owned(), ..client };
        assert_eq!(wrong.ask("POST", path, &headers[..1], b"x").status, 403);
    }
    let taken = aws.taken();
    let kept: Vec<&str> = taken.signed.iter().map(|request| request.service.as_str()).collect();
    assert_eq!(kept, ["logs", "xray", "monitoring", "aps"]);
}
