//! What can be set.

use std::net::SocketAddr;
use std::path::PathBuf;

use suiro_sdk::aws::AccountSettings;
use suiro_sdk::datagrams::receive_buffer;
use suiro_sdk::serve::{ServerSettings, listen};
use suiro_sdk::settings::{Data, Reported, Section};

use super::decode::Format;
use super::sampling::Rules;

const LISTEN: &str = "127.0.0.1:2000";

/// The input's settings.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Where segments come.
    pub(crate) udp: Option<SocketAddr>,
    /// Where requests come.
    pub(crate) tcp: Option<SocketAddr>,
    pub(crate) format: Format,
    /// Bytes the system keeps for datagrams nobody has read yet; `None`: as many as are good.
    pub(crate) receive_buffer: Option<usize>,
    pub(crate) sampling: Sampling,
    pub(crate) server: ServerSettings,
}

/// Who answers requests.
#[derive(Clone, Debug)]
pub(crate) enum Sampling {
    /// X-Ray.
    Proxy(Box<AccountSettings>),
    /// We.
    Local(Rules),
}

// === impl Settings ===

impl Settings {
    pub(crate) fn read(section: &Section) -> Result<Settings, Reported> {
        let address = |key: &str| {
            let off = matches!(section.value(key).as_ref().map(|value| value.data()), Some(Data::Bool(false)));
            (!off).then(|| listen(section, key, LISTEN))
        };
        let (udp, tcp) = (address("udp"), address("tcp"));
        if udp.is_none() && tcp.is_none() {
            section.error("this input listens nowhere", "leave one of `udp` and `tcp` out, or set it to an address");
        }
        let formats = [("spans", Format::Spans), ("segments", Format::Segments)];
        let format = section.choice("format", &formats).unwrap_or(Format::Spans);
        let receive_buffer = receive_buffer(section);
        let server = ServerSettings::read(section, tcp.as_slice());
        let account = AccountSettings::read(section);
        let sampling = read_sampling(section, account);
        warn_of_strangers(section, udp, tcp);
        section.finish()?;
        Ok(Settings { udp, tcp, format, receive_buffer, sampling: sampling?, server: server? })
    }
}

fn read_sampling(section: &Section, account: Result<AccountSettings, Reported>) -> Result<Sampling, Reported> {
    let is_local = section.choice("sampling", &[("proxy", false), ("local", true)]).unwrap_or(false);
    let rules = section.get::<PathBuf>("sampling_rules");
    match (is_local, rules) {
        (false, None) => Ok(Sampling::Proxy(Box::new(account?))),
        (false, Some(_)) => {
            let help = "set sampling = \"local\", or leave it out";
            Err(section.error_at("sampling_rules", "`sampling_rules` are asked for nowhere: X-Ray answers", help))
        }
        (true, Some(path)) => {
            let rules = Rules::read_file(&path);
            rules.map(Sampling::Local).map_err(|why| section.error_at("sampling_rules", why, ""))
        }
        (true, None) if section.has("sampling_rules") => Err(section.error_at("sampling_rules", "this is no path", "")),
        (true, None) => Err(section.missing("sampling_rules", "\"sampling-rules.json\"")),
    }
}

/// Nobody shows credentials here, and requests leave with the agent's.
fn warn_of_strangers(section: &Section, udp: Option<SocketAddr>, tcp: Option<SocketAddr>) {
    let open = |address: &SocketAddr| !address.ip().is_loopback();
    if let Some(address) = udp.filter(open) {
        let message = format!("others can send segments: {address} isn't a loopback address");
        section.warning_at("udp", message, "listen on 127.0.0.1, or let only your applications reach this port");
    }
    if let Some(address) = tcp.filter(open) {
        let message = format!("others can have requests to X-Ray signed: {address} isn't a loopback address");
        section.warning_at("tcp", message, "listen on 127.0.0.1, or let only your applications reach this port");
    }
}
