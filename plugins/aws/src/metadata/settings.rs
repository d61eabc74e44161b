//! Settings that the filters share.
//!
//! | setting | default | |
//! | --- | --- | --- |
//! | `fields` | all | patterns of the attributes that are added |
//! | `override` | false | whether attributes that are there are replaced |
//! | `endpoint` | the service's | where metadata is asked for |
//! | `timeout` | 1s | for one question |
//! | `wait` | 5s | how long the start waits for the first answer |
//! | `refresh` | 1h | how often it is asked again |

use std::net::IpAddr;
use std::time::Duration;

use suiro_sdk::http::Endpoint;
use suiro_sdk::lang::Glob;
use suiro_sdk::settings::Section;

/// What a filter does with what it knows, and when it asks.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// Which attributes; empty: all.
    pub(super) fields: Vec<Glob>,
    /// Attributes that are there are replaced.
    pub(super) replace: bool,
    pub(super) wait: Duration,
    /// `None`: what is known does not change.
    pub(super) refresh: Option<Duration>,
}

/// Where a service is asked, and how long.
#[derive(Clone, Debug)]
pub(super) struct Service {
    /// As configured.
    pub(super) endpoint: Option<Endpoint>,
    pub(super) timeout: Duration,
}

// === impl Settings ===

impl Settings {
    /// Of a filter that knows all it will from the start.
    pub(super) fn read(settings: &Section) -> Settings {
        Settings {
            fields: settings.list::<Glob>("fields"),
            replace: settings.flag("override"),
            wait: Duration::from_secs(5),
            refresh: None,
        }
    }

    /// Of a filter that asks a service.
    pub(super) fn read_asking(settings: &Section) -> (Settings, Service) {
        let own = Settings::read(settings);
        let wait = settings.within("wait", Duration::ZERO..=Duration::from_secs(300)).unwrap_or(own.wait);
        let refresh = settings.within("refresh", Duration::from_secs(1)..=Duration::from_secs(7 * 86_400));
        let timeout = settings.within("timeout", Duration::from_millis(10)..=Duration::from_secs(60));
        let endpoint = settings.get::<Endpoint>("endpoint");
        let service = Service { endpoint, timeout: timeout.unwrap_or(Duration::from_secs(1)) };
        (Settings { wait, refresh: refresh.or(Some(Duration::from_secs(3600))), ..own }, service)
    }

    /// Whether an attribute is added.
    pub(super) fn takes(&self, name: &str) -> bool {
        self.fields.is_empty() || self.fields.iter().any(|pattern| pattern.matches(name))
    }
}

/// An address of a metadata service that the environment names: of this machine or its link, by plain http.
pub(super) fn local_endpoint(text: &str) -> Result<Endpoint, String> {
    let wrong = |why: &str| format!("`{text}` is no address of a metadata service: {why}");
    let endpoint = Endpoint::parse(text).map_err(|(why, _)| wrong(&why))?;
    let host = endpoint.url().host_str().unwrap_or_default();
    let local = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => address.is_link_local() || address.is_loopback(),
        // fd00:ec2::/32 is where AWS's services are.
        Ok(IpAddr::V6(address)) => {
            address.is_loopback() || address.is_unicast_link_local() || address.segments()[..2] == [0xfd00, 0x0ec2]
        }
        Err(_) => false,
    };
    if local && !endpoint.is_https() {
        Ok(endpoint)
    } else {
        Err(wrong("it is neither link-local nor the loopback; set `endpoint` if it is meant"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_leads_nowhere_else() {
        for text in ["http://169.254.170.2/v4/abc", "http://127.0.0.1:8080/v4/abc", "http://[fd00:ec2::23]/v4/x"] {
            assert!(local_endpoint(text).is_ok(), "{text}");
        }
        for text in [
            "http://10.0.0.1/v4/x",
            "http://example.com/",
            "https://169.254.170.2/v4",
            "file:///etc/passwd",
            "http://[fd00:ec3::1]/",
            "",
        ] {
            assert!(local_endpoint(text).is_err(), "{text}");
        }
    }
}
