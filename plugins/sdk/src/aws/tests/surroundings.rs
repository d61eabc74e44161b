//! Where accounts find what they need. The SDK reads the process's own environment, so each case runs in a process whose
//! environment is the case's: this test binary, again, with a script.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use jiff::fmt::rfc2822::DateTimePrinter;
use jiff::{SignedDuration, Timestamp};
use reqwest::header::{DATE, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use tempfile::TempDir;

use crate::aws::{Account, AccountSettings, Service};
use crate::http::Signable;
use crate::http::test_kit::{Received, Reply, Server};
use crate::settings::Section;

/// A case: variables, settings, and what its process does with its account.
struct Case {
    folder: TempDir,
    variables: Vec<(String, String)>,
    settings: String,
}

// === impl Case ===

impl Case {
    fn new(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let case = Case { folder, variables: Vec::new(), settings: settings.to_owned() };
        let config = case.path("config");
        let credentials = case.path("credentials");
        case.with("AWS_CONFIG_FILE", &config)
            .with("AWS_SHARED_CREDENTIALS_FILE", &credentials)
            .with("AWS_EC2_METADATA_DISABLED", "true")
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    fn file(self, name: &str, text: &str) -> Self {
        std::fs::write(self.path(name), text).unwrap();
        self
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// Runs the steps, and gives what each came to.
    async fn run(&self, steps: &str) -> Vec<String> {
        let report = self.path("report");
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "aws::tests::surroundings::in_a_process_of_its_own", "--ignored", "--quiet"])
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("SUIRO_TEST_SETTINGS", &self.settings)
            .env("SUIRO_TEST_STEPS", steps)
            .env("SUIRO_TEST_REPORT", &report)
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let report = std::fs::read_to_string(report).unwrap_or_else(|_| panic!("no report: {said}"));
        assert!(!report.contains("pa55"), "{report}");
        report.lines().map(str::to_owned).collect()
    }
}

#[tokio::test]
#[ignore = "a part of the other tests, which start it with a script"]
async fn in_a_process_of_its_own() {
    let Ok(steps) = std::env::var("SUIRO_TEST_STEPS") else { return };
    let settings = std::env::var("SUIRO_TEST_SETTINGS").unwrap();
    let (section, diagnostics) = Section::from_text("[[output]] x", &settings);
    let read = AccountSettings::read(&section);
    assert!(section.finish().is_ok(), "{}", diagnostics.render(false));
    let account = Account::new(read.unwrap());
    let mut report = String::new();
    for step in steps.split(' ') {
        if let Some(line) = take(&account, step).await {
            report.push_str(&line);
            report.push('\n');
        }
    }
    std::fs::write(Path::new(&std::env::var("SUIRO_TEST_REPORT").unwrap()), report).unwrap();
}

async fn take(account: &Account, step: &str) -> Option<String> {
    let (what, argument) = step.split_once(':').unwrap_or((step, ""));
    let seconds = || argument.parse::<u64>().unwrap();
    match what {
        "region" => Some(account.region().await.unwrap_or_else(|error| error.to_string())),
        "endpoint" => {
            let service = if argument == "s3" { Service::S3 } else { Service::LOGS };
            Some(account.endpoint(service).await.map_or_else(|error| error.to_string(), |url| url.to_string()))
        }
        "sign" => Some(signed(account).await),
        // The clock of the services moves on.
        "later" => {
            let now = Timestamp::try_from(SystemTime::now() + Duration::from_secs(seconds())).unwrap();
            let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&now).unwrap();
            let headers = HeaderMap::from_iter([(DATE, HeaderValue::from_str(&date).unwrap())]);
            account.learn("RequestTimeTooSkewed", &headers);
            None
        }
        // Time passes here.
        "wait" => {
            tokio::time::pause();
            tokio::time::advance(Duration::from_secs(seconds())).await;
            tokio::time::resume();
            None
        }
        // A tool gives the profile another key.
        "keys" => {
            let file = std::env::var("AWS_SHARED_CREDENTIALS_FILE").unwrap();
            std::fs::write(file, keys(&std::env::var("AWS_PROFILE").unwrap_or("default".to_owned()), argument))
                .unwrap();
            None
        }
        "refused" => {
            account.learn("ExpiredTokenException", &HeaderMap::new());
            None
        }
        other => panic!("no step {other}"),
    }
}

/// A profile in the file of credentials.
fn keys(profile: &str, id: &str) -> String {
    format!("[{profile}]\naws_access_key_id = {id}\naws_secret_access_key = pa55\n")
}

/// Who signed, for which region, and with which token.
async fn signed(account: &Account) -> String {
    let url = Url::parse("https://logs.example/").unwrap();
    let headers = HeaderMap::new();
    let request = Signable { method: &Method::POST, url: &url, headers: &headers, body: b"x" };
    let added = match account.sign("logs", request).await {
        Ok(added) => added,
        Err(error) => return error.to_string(),
    };
    let header = |name: &str| added.get(name).map_or("none", |value| value.to_str().unwrap()).to_owned();
    let authorization = header("authorization");
    let mut scope = authorization.split_once("Credential=").unwrap().1.split('/');
    let (id, region) = (scope.next().unwrap(), scope.nth(1).unwrap());
    format!("{id} {region} {}", header("x-amz-security-token"))
}

#[tokio::test]
async fn the_environment_is_asked_first() {
    let case = Case::new("")
        .with("AWS_REGION", "eu-west-1")
        .with("AWS_ACCESS_KEY_ID", "AKIDENV")
        .with("AWS_SECRET_ACCESS_KEY", "pa55")
        .with("AWS_SESSION_TOKEN", "token");
    assert_eq!(case.run("sign region").await, ["AKIDENV eu-west-1 token", "eu-west-1"]);
    let case = Case::new("region = 'us-east-2'").with("AWS_REGION", "eu-west-1").with("AWS_ACCESS_KEY_ID", "AKIDENV");
    let [error] = &case.run("sign").await[..] else { panic!() };
    assert!(error.starts_with("no credentials: environment: AWS_SECRET_ACCESS_KEY is not set; "), "{error}");
}

#[tokio::test]
async fn who_has_none_is_named_with_the_reason() {
    let case = Case::new("").with("AWS_DEFAULT_REGION", "eu-west-1");
    let [error] = &case.run("sign").await[..] else { panic!() };
    for part in [
        "no credentials: environment: AWS_ACCESS_KEY_ID is not set; profile `default`: it is not in ~/.aws/config",
        "; web identity: AWS_WEB_IDENTITY_TOKEN_FILE is not set; ",
        "container (ECS, EKS): neither AWS_CONTAINER_CREDENTIALS_RELATIVE_URI nor ",
        "; instance (IMDS): IMDS disabled by AWS_EC2_METADATA_DISABLED",
        "; set `credentials` or `profile`, or give the task or instance a role",
    ] {
        assert!(error.contains(part), "{error}");
    }
    let [error, again] = &Case::new("").run("region sign").await[..] else { panic!() };
    assert!(error.starts_with("no region: AWS_REGION and AWS_DEFAULT_REGION are not set; "), "{error}");
    assert!(error.ends_with("set `region`"), "{error}");
    assert_eq!(error, again);
}

#[tokio::test]
async fn a_profile_has_credentials_and_a_region() {
    let files = |case: Case| {
        case.file(
            "config",
            "[default]\nregion = us-west-1\n[profile dev]\nregion = eu-north-1\n\
             [profile asks]\nregion = eu-south-1\ncredential_process = echo '{\"Version\":1,\"AccessKeyId\":\"AKIDPROC\",\
             \"SecretAccessKey\":\"pa55\",\"SessionToken\":\"t\",\"Expiration\":\"2099-01-01T00:00:00Z\"}'\n\
             [profile broken]\nregion = eu-south-1\ncredential_process = false\n",
        )
        .file(
            "credentials",
            "[default]\naws_access_key_id = AKIDDEFAULT\naws_secret_access_key = pa55\n\
             [dev]\naws_access_key_id = AKIDDEV\naws_secret_access_key = pa55\n",
        )
    };
    assert_eq!(files(Case::new("")).run("sign").await, ["AKIDDEFAULT us-west-1 none"]);
    assert_eq!(files(Case::new("").with("AWS_PROFILE", "dev")).run("sign").await, ["AKIDDEV eu-north-1 none"]);
    // A profile that is set is asked, whatever the environment has.
    let case = Case::new("profile = 'dev'").with("AWS_ACCESS_KEY_ID", "AKIDENV").with("AWS_SECRET_ACCESS_KEY", "pa55");
    assert_eq!(files(case).run("sign").await, ["AKIDDEV eu-north-1 none"]);
    assert_eq!(files(Case::new("profile = 'asks'")).run("sign").await, ["AKIDPROC eu-south-1 t"]);
    for (profile, words) in
        [("nobody", "profile `nobody`: profile `nobody` was not defined"), ("broken", "profile `broken`: ")]
    {
        let case = files(Case::new(&format!("profile = '{profile}'\nregion = 'eu-west-1'")));
        let [error] = &case.run("sign").await[..] else { panic!() };
        assert!(error.contains(words) && error.ends_with("or set `profile`"), "{error}");
    }
}

/// Scenario: a tool replaces the keys of a profile that no setting names, and the service takes the old ones no longer; or
/// the file comes only after the first request.
/// Guarantees: the file is read again, and the new keys sign.
#[tokio::test]
async fn keys_that_are_replaced_in_the_files_are_picked_up() {
    for profile in ["default", "dev"] {
        let case = || Case::new("region = 'eu-west-1'").with("AWS_PROFILE", profile);
        let signed = case()
            .file("credentials", &keys(profile, "AKIDOLD"))
            .run("sign keys:AKIDNEW sign wait:10 refused sign keys:AKIDTHIRD wait:10 refused sign")
            .await;
        let ids: Vec<&str> = signed.iter().map(|line| line.split_once(' ').unwrap().0).collect();
        assert_eq!(ids, ["AKIDOLD", "AKIDOLD", "AKIDNEW", "AKIDTHIRD"]);
        let [none, some] = &case().run("sign keys:AKIDLATE wait:2 sign").await[..] else { panic!() };
        assert!(none.starts_with("no credentials: "), "{none}");
        assert_eq!(some, "AKIDLATE eu-west-1 none");
    }
    // The region was read of the file, too.
    let case =
        Case::new("").file("config", "[default]\nregion = us-west-1\n").file("credentials", &keys("default", "A"));
    assert_eq!(case.run("sign keys:B wait:10 refused sign").await, ["A us-west-1 none", "B us-west-1 none"]);
}

/// An instance's metadata: version 2 only, a session before anything else.
fn instance(request: &Received) -> Reply {
    let has_session = request.header("x-aws-ec2-metadata-token") == Some("session");
    match (request.method.as_str(), request.target.as_str()) {
        ("PUT", "/latest/api/token") if request.header("x-aws-ec2-metadata-token-ttl-seconds").is_some() => {
            Reply::text(200, "session").with("x-aws-ec2-metadata-token-ttl-seconds", "21600")
        }
        (_, _) if !has_session => Reply::text(401, ""),
        (_, "/latest/meta-data/placement/region") => Reply::text(200, "ap-south-1"),
        (_, "/latest/meta-data/iam/security-credentials/") => Reply::text(200, "the-role"),
        (_, "/latest/meta-data/iam/security-credentials/the-role") => {
            Reply::text(200, given("AKIDINSTANCE", 3600).replace('{', "{\"Code\":\"Success\","))
        }
        _ => Reply::text(404, ""),
    }
}

/// Credentials as metadata give them, for so many seconds.
fn given(id: &str, seconds: i64) -> String {
    let expiration = Timestamp::now() + SignedDuration::from_secs(seconds);
    format!(
        "{{\"AccessKeyId\":\"{id}\",\"SecretAccessKey\":\"pa55\",\"Token\":\"token-{id}\",\"Expiration\":\"{}\"}}",
        expiration.strftime("%Y-%m-%dT%H:%M:%SZ")
    )
}

#[tokio::test]
async fn an_instance_has_a_role_and_a_region() {
    let server = Server::start(instance).await.unwrap();
    let case = |settings| {
        Case::new(settings)
            .with("AWS_EC2_METADATA_DISABLED", "false")
            .with("AWS_EC2_METADATA_SERVICE_ENDPOINT", &server.url)
    };
    assert_eq!(case("").run("region sign").await, ["ap-south-1", "AKIDINSTANCE ap-south-1 token-AKIDINSTANCE"]);
    let server = Server::start(|request| match request.method.as_str() {
        "PUT" => Reply::text(200, "session").with("x-aws-ec2-metadata-token-ttl-seconds", "21600"),
        _ => Reply::text(404, ""),
    })
    .await
    .unwrap();
    let case = Case::new("region = 'eu-west-1'")
        .with("AWS_EC2_METADATA_DISABLED", "false")
        .with("AWS_EC2_METADATA_SERVICE_ENDPOINT", &server.url);
    let [error] = &case.run("sign").await[..] else { panic!() };
    assert!(error.contains("instance (IMDS): received 404 from IMDS"), "{error}");
}

/// Metadata that do not answer cost a second or two, once; until the back-off is over, their failure is the answer.
#[tokio::test]
async fn silent_metadata_hold_up_nobody_for_long() {
    let server = Server::start(|_| Reply::Silent).await.unwrap();
    let case = Case::new("region = 'eu-west-1'")
        .with("AWS_EC2_METADATA_DISABLED", "false")
        .with("AWS_EC2_METADATA_SERVICE_ENDPOINT", &server.url);
    let began = std::time::Instant::now();
    let errors = case.run("sign sign sign sign sign sign sign sign").await;
    assert!(errors.iter().all(|error| error.contains("instance (IMDS): ") && error == &errors[0]), "{errors:?}");
    // Eight look-ups of a second each, or one; the machine may be busy.
    let alone = server.connections();
    assert!(began.elapsed() < Duration::from_secs(30));
    case.run("sign wait:2 sign").await;
    assert_eq!(server.connections() - alone, 2 * alone);
}

/// A container's credentials, and its task's metadata; each answer has another key.
async fn container(seconds: i64, fail_after: usize) -> (Server, Case) {
    let count = Arc::new(Mutex::new(0));
    let server = Server::start(move |request| match request.target.as_str() {
        "/v4/task" => Reply::text(200, r#"{"TaskARN":"arn:aws:ecs:ca-central-1:111122223333:task/default/1"}"#),
        "/credentials" if request.header("authorization") == Some("Bearer pa55") => {
            let mut count = count.lock().unwrap();
            *count += 1;
            if *count > fail_after {
                Reply::text(403, r#"{"code":"AccessDenied","message":"the role is gone"}"#)
            } else {
                Reply::text(200, given(&format!("AKID{count}"), seconds))
            }
        }
        _ => Reply::text(404, ""),
    })
    .await
    .unwrap();
    let case = Case::new("")
        .with("ECS_CONTAINER_METADATA_URI_V4", &format!("{}/v4", server.url))
        .with("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("{}/credentials", server.url))
        .with("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Bearer pa55");
    (server, case)
}

#[tokio::test]
async fn a_task_has_a_role_and_a_region_and_is_asked_again_before_they_expire() {
    let (_server, case) = container(3600, usize::MAX).await;
    let signed = case.run("region sign sign later:3000 sign later:3400 sign sign later:3590 sign").await;
    let (one, two) = ("AKID1 ca-central-1 token-AKID1", "AKID2 ca-central-1 token-AKID2");
    assert_eq!(signed[..6], ["ca-central-1", one, one, one, two, two]);
}

/// They serve until they expire, whoever is not there any more; a service that refuses them is believed.
#[tokio::test]
async fn credentials_serve_on_while_nobody_has_new_ones() {
    let (_server, case) = container(3600, 1).await;
    let signed = case.run("sign later:3400 sign later:3500 sign wait:10 refused sign").await;
    assert_eq!(signed[..3], ["AKID1 ca-central-1 token-AKID1"; 3]);
    assert!(signed[3].contains("container (ECS, EKS): "), "{}", signed[3]);
    assert!(signed[3].ends_with("mend the role of the task or pod, or set `credentials`"), "{}", signed[3]);
}

#[tokio::test]
async fn refused_credentials_are_asked_for_anew_and_not_too_often() {
    let (_server, case) = container(3600, usize::MAX).await;
    let signed = case.run("sign refused sign wait:10 refused sign refused sign").await;
    let ids: Vec<&str> = signed.iter().map(|line| line.split_once(' ').unwrap().0).collect();
    assert_eq!(ids, ["AKID1", "AKID1", "AKID2", "AKID2"]);
}

/// The clock here may be wrong; it is for the service to say.
#[tokio::test]
async fn credentials_that_come_expired_are_used() {
    let (_server, case) = container(-60, usize::MAX).await;
    assert_eq!(case.run("sign sign").await, ["AKID1 ca-central-1 token-AKID1"; 2]);
}

const ROLE: &str = "region = 'eu-central-1'\n\
    credentials = { access_key_id = 'AKIDBASE', secret_access_key = 'pa55' }\n\
    assume_role = { arn = 'arn:aws:iam::123456789012:role/telemetry', external_id = 'e x', session_name = 'me' }";

fn assumed(action: &str) -> String {
    format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>\
         <AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/telemetry/me</Arn>\
         <AssumedRoleId>AROA:me</AssumedRoleId></AssumedRoleUser>\
         <Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>pa55</SecretAccessKey>\
         <SessionToken>role-token</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
         </{action}Result><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></{action}Response>"
    )
}

#[tokio::test]
async fn a_role_is_assumed() {
    let server =
        Server::start(|_| Reply::text(200, assumed("AssumeRole")).with("content-type", "text/xml")).await.unwrap();
    // `endpoint` is the service's, not that of STS.
    let case = Case::new(&format!("{ROLE}\nendpoint = 'http://127.0.0.1:1'")).with("AWS_ENDPOINT_URL_STS", &server.url);
    assert_eq!(case.run("sign sign").await, ["ASIAROLE eu-central-1 role-token"; 2]);
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    let body = requests[0].text();
    for part in [
        "Action=AssumeRole",
        "RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Ftelemetry",
        "ExternalId=e%20x",
        "RoleSessionName=me",
    ] {
        assert!(body.contains(part), "{body}");
    }
    let authorization = requests[0].header("authorization").unwrap();
    assert!(
        authorization.contains("Credential=AKIDBASE/") && authorization.contains("/eu-central-1/sts/"),
        "{authorization}"
    );
}

#[tokio::test]
async fn a_role_that_is_denied_is_named() {
    let server = Server::start(|_| {
        let error = "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
                     <Code>AccessDenied</Code><Message>you may not</Message></Error></ErrorResponse>";
        Reply::text(403, error).with("content-type", "text/xml")
    })
    .await
    .unwrap();
    let case = Case::new(ROLE).with("AWS_ENDPOINT_URL_STS", &server.url);
    let errors = case.run("sign sign").await;
    for error in &errors {
        assert!(error.starts_with("the role arn:aws:iam::123456789012:role/telemetry can't be assumed: "), "{error}");
        assert!(error.contains("AccessDenied") && error.contains("you may not"), "{error}");
        assert!(error.contains("mend `assume_role`"), "{error}");
    }
    assert_eq!(server.requests().len(), 1);
    // Who should assume it has nothing itself.
    let case = Case::new("region = 'eu-west-1'\nassume_role = { arn = 'arn:aws:iam::1:role/x' }");
    let [error] = &case.run("sign").await[..] else { panic!() };
    assert!(error.starts_with("no credentials: environment: ") && error.contains("assume the role arn:"), "{error}");
}

#[tokio::test]
async fn a_pod_has_the_role_of_its_service_account() {
    let server =
        Server::start(|_| Reply::text(200, assumed("AssumeRoleWithWebIdentity")).with("content-type", "text/xml"))
            .await
            .unwrap();
    let case = Case::new("region = 'eu-central-1'").file("token", "a.web.token");
    let token = case.path("token");
    let case = case
        .with("AWS_WEB_IDENTITY_TOKEN_FILE", &token)
        .with("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/pod")
        .with("AWS_ENDPOINT_URL_STS", &server.url);
    assert_eq!(case.run("sign").await, ["ASIAROLE eu-central-1 role-token"]);
    assert!(server.requests()[0].text().contains("WebIdentityToken=a.web.token"));
}

#[tokio::test]
async fn a_profile_names_a_role_of_another_profile() {
    let server =
        Server::start(|_| Reply::text(200, assumed("AssumeRole")).with("content-type", "text/xml")).await.unwrap();
    let case = Case::new("profile = 'far'")
        .file(
            "config",
            "[profile far]\nregion = eu-central-1\nrole_arn = arn:aws:iam::123456789012:role/far\nsource_profile = base\n",
        )
        .file("credentials", "[base]\naws_access_key_id = AKIDBASE\naws_secret_access_key = pa55\n")
        .with("AWS_ENDPOINT_URL_STS", &server.url);
    assert_eq!(case.run("sign").await, ["ASIAROLE eu-central-1 role-token"]);
    assert!(server.requests()[0].text().contains("role%2Ffar"));
}

/// EKS Pod Identity: the container's protocol, with a token from a file.
#[tokio::test]
async fn a_pod_has_an_identity() {
    let (_server, case) = container(3600, usize::MAX).await;
    let case = case.file("pod-token", "Bearer pa55");
    let token = case.path("pod-token");
    let mut case = case.with("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &token);
    case.variables.retain(|(name, _)| name != "AWS_CONTAINER_AUTHORIZATION_TOKEN");
    assert_eq!(case.run("sign").await, ["AKID1 ca-central-1 token-AKID1"]);
}

#[tokio::test]
async fn endpoints_are_as_the_environment_says() {
    let region = "region = 'us-east-1'";
    let case = Case::new(region).with("AWS_USE_FIPS_ENDPOINT", "true").with("AWS_USE_DUALSTACK_ENDPOINT", "true");
    assert_eq!(
        case.run("endpoint:logs endpoint:s3").await,
        ["https://logs-fips.us-east-1.api.aws/", "https://s3-fips.dualstack.us-east-1.amazonaws.com/"]
    );
    let case = Case::new(&format!("{region}\nfips = false")).with("AWS_USE_FIPS_ENDPOINT", "true");
    assert_eq!(case.run("endpoint:logs").await, ["https://logs.us-east-1.amazonaws.com/"]);
    let everywhere = |settings: &str| {
        Case::new(settings)
            .with("AWS_ENDPOINT_URL", "http://127.0.0.1:1/all")
            .with("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", "http://127.0.0.1:2")
    };
    assert_eq!(
        everywhere(region).run("endpoint:logs endpoint:s3").await,
        ["http://127.0.0.1:2/", "http://127.0.0.1:1/all"]
    );
    let ignored = everywhere(region).with("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
    assert_eq!(ignored.run("endpoint:logs").await, ["https://logs.us-east-1.amazonaws.com/"]);
    let set = everywhere(&format!("{region}\nendpoint = 'http://127.0.0.1:3'"));
    assert_eq!(set.run("endpoint:logs").await, ["http://127.0.0.1:3/"]);
}
