//! Partitions: clouds of their own, each with domains of its own. A region's name says which it is in.
//!
//! The table, and the exceptions in [`host`], are those of the SDKs' own data (botocore 1.44, `partitions.json` and the
//! rule sets of the services named here).

use super::error::AccountError;
use super::service::Service;

/// A partition, or the part of a table that regions find by the beginning of their name.
struct Partition {
    /// Regions begin with it.
    prefix: &'static str,
    domain: &'static str,
    /// Of endpoints that speak IPv6 too.
    dual_stack: &'static str,
}

/// The longer prefix stands before the shorter one.
const PARTITIONS: [Partition; 8] = [
    Partition { prefix: "cn-", domain: "amazonaws.com.cn", dual_stack: "api.amazonwebservices.com.cn" },
    Partition { prefix: "us-gov-", domain: "amazonaws.com", dual_stack: "api.aws" },
    Partition { prefix: "us-iso-", domain: "c2s.ic.gov", dual_stack: "api.aws.ic.gov" },
    Partition { prefix: "us-isob-", domain: "sc2s.sgov.gov", dual_stack: "api.aws.scloud" },
    Partition { prefix: "eu-isoe-", domain: "cloud.adc-e.uk", dual_stack: "api.cloud-aws.adc-e.uk" },
    Partition { prefix: "us-isof-", domain: "csp.hci.ic.gov", dual_stack: "api.aws.hci.ic.gov" },
    Partition { prefix: "eusc-", domain: "amazonaws.eu", dual_stack: "api.amazonwebservices.eu" },
    Partition { prefix: "", domain: "amazonaws.com", dual_stack: "api.aws" },
];

/// The host of `service` in `region`.
pub(super) fn host(service: Service, region: &str, fips: bool, dual_stack: bool) -> Result<String, AccountError> {
    let Some(partition) = PARTITIONS.iter().find(|partition| region.starts_with(partition.prefix)) else {
        return Err(AccountError(format!("the region {region} is in no partition that is known")));
    };
    let name = service.host;
    if name == "s3" {
        if fips && partition.prefix == "cn-" {
            return Err(AccountError(format!("S3 has no FIPS endpoint in {region}: set `fips = false`")));
        }
        let fips = if fips { "-fips" } else { "" };
        let dual_stack = if dual_stack { ".dualstack" } else { "" };
        return Ok(format!("s3{fips}{dual_stack}.{region}.{}", partition.domain));
    }
    // In GovCloud the plain endpoints of some are the validated ones.
    let plain_is_fips = partition.prefix == "us-gov-"
        && (matches!(name, "kinesis" | "monitoring" | "sts") || (name == "logs" && !dual_stack));
    let fips = if fips && !plain_is_fips { "-fips" } else { "" };
    let domain = if dual_stack { partition.dual_stack } else { partition.domain };
    Ok(format!("{name}{fips}.{region}.{domain}"))
}

/// Whether a text can be a region: it becomes part of a host's name.
pub(super) fn is_region(text: &str) -> bool {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    !text.is_empty() && text.len() <= 63 && text.bytes().all(plain) && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What botocore's rule sets say of these.
    #[test]
    fn hosts_are_those_of_the_sdks() {
        let cases = [
            (
                Service::LOGS,
                "us-east-1",
                [
                    "logs.us-east-1.amazonaws.com",
                    "logs-fips.us-east-1.amazonaws.com",
                    "logs.us-east-1.api.aws",
                    "logs-fips.us-east-1.api.aws",
                ],
            ),
            (
                Service::LOGS,
                "us-gov-west-1",
                [
                    "logs.us-gov-west-1.amazonaws.com",
                    "logs.us-gov-west-1.amazonaws.com",
                    "logs.us-gov-west-1.api.aws",
                    "logs-fips.us-gov-west-1.api.aws",
                ],
            ),
            (
                Service::MONITORING,
                "us-gov-west-1",
                [
                    "monitoring.us-gov-west-1.amazonaws.com",
                    "monitoring.us-gov-west-1.amazonaws.com",
                    "monitoring.us-gov-west-1.api.aws",
                    "monitoring.us-gov-west-1.api.aws",
                ],
            ),
            (
                Service::XRAY,
                "us-gov-west-1",
                [
                    "xray.us-gov-west-1.amazonaws.com",
                    "xray-fips.us-gov-west-1.amazonaws.com",
                    "xray.us-gov-west-1.api.aws",
                    "xray-fips.us-gov-west-1.api.aws",
                ],
            ),
            (
                Service::S3,
                "eu-central-1",
                [
                    "s3.eu-central-1.amazonaws.com",
                    "s3-fips.eu-central-1.amazonaws.com",
                    "s3.dualstack.eu-central-1.amazonaws.com",
                    "s3-fips.dualstack.eu-central-1.amazonaws.com",
                ],
            ),
            (
                Service::KINESIS,
                "cn-north-1",
                [
                    "kinesis.cn-north-1.amazonaws.com.cn",
                    "kinesis-fips.cn-north-1.amazonaws.com.cn",
                    "kinesis.cn-north-1.api.amazonwebservices.com.cn",
                    "kinesis-fips.cn-north-1.api.amazonwebservices.com.cn",
                ],
            ),
            (
                Service::FIREHOSE,
                "us-iso-east-1",
                [
                    "firehose.us-iso-east-1.c2s.ic.gov",
                    "firehose-fips.us-iso-east-1.c2s.ic.gov",
                    "firehose.us-iso-east-1.api.aws.ic.gov",
                    "firehose-fips.us-iso-east-1.api.aws.ic.gov",
                ],
            ),
            (
                Service::STS,
                "us-isob-east-1",
                [
                    "sts.us-isob-east-1.sc2s.sgov.gov",
                    "sts-fips.us-isob-east-1.sc2s.sgov.gov",
                    "sts.us-isob-east-1.api.aws.scloud",
                    "sts-fips.us-isob-east-1.api.aws.scloud",
                ],
            ),
            (
                Service::XRAY,
                "eusc-de-east-1",
                [
                    "xray.eusc-de-east-1.amazonaws.eu",
                    "xray-fips.eusc-de-east-1.amazonaws.eu",
                    "xray.eusc-de-east-1.api.amazonwebservices.eu",
                    "xray-fips.eusc-de-east-1.api.amazonwebservices.eu",
                ],
            ),
        ];
        for (service, region, hosts) in cases {
            for (at, (fips, dual_stack)) in
                [(false, false), (true, false), (false, true), (true, true)].into_iter().enumerate()
            {
                assert_eq!(host(service, region, fips, dual_stack).unwrap(), hosts[at]);
            }
        }
        assert!(host(Service::S3, "cn-north-1", true, false).unwrap_err().to_string().contains("`fips = false`"));
    }

    #[test]
    fn a_region_is_part_of_a_host() {
        for region in ["eu-central-1", "us-gov-west-1", "local"] {
            assert!(is_region(region));
        }
        for text in ["", "eu central", "eu.evil.example/", "EU-WEST-1", "-x", "x-", &"x".repeat(64)] {
            assert!(!is_region(text), "{text}");
        }
    }
}
