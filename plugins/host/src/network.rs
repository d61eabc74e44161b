//! Network interfaces: `/proc/net/dev`, two lines of headings, then a line an interface:
//!
//! ```text
//! <name>: <bytes> <packets> <errs> <drop> <fifo> <frame> <compressed> <multicast>   received
//!         <bytes> <packets> <errs> <drop> ...                                       sent
//! ```

use suiro_sdk::lang::TagMatch;

use crate::point::{Collection, Metric, text};
use crate::read::{Reader, numbers};

static IO: Metric = Metric::counter("system.network.io", "By", "Bytes received and sent");
static PACKETS: Metric = Metric::counter("system.network.packet.count", "{packet}", "Packets received and sent");
static ERRORS: Metric = Metric::counter("system.network.errors", "{error}", "Network errors");
static DROPPED: Metric = Metric::counter(
    "system.network.packet.dropped",
    "{packet}",
    "Packets that were dropped although there was no error",
);

/// An interface: bytes, packets, errors, drops; received and sent.
#[derive(Debug, PartialEq)]
struct Interface<'a> {
    name: &'a str,
    received: [u64; 4],
    sent: [u64; 4],
}

fn parse(dev: &str) -> Vec<Interface<'_>> {
    let lines = dev.lines().filter_map(|line| {
        // An alias has a colon in its name.
        let (name, columns) = line.rsplit_once(':')?;
        let columns: Vec<u64> = numbers(columns).collect();
        let received = columns.first_chunk()?;
        let sent = columns.get(8..)?.first_chunk()?;
        Some(Interface { name: name.trim(), received: *received, sent: *sent })
    });
    lines.collect()
}

pub(crate) fn collect(reader: &mut Reader, wanted: &TagMatch, to: &mut Collection) {
    let path = format!("{}/net/dev", reader.own());
    let Some(dev) = reader.text("network interfaces", &path) else { return };
    let interfaces = parse(&dev);
    interfaces.iter().filter(|interface| wanted.matches(interface.name)).for_each(|interface| add(interface, to));
}

fn add(interface: &Interface<'_>, to: &mut Collection) {
    for (direction, values) in [("receive", interface.received), ("transmit", interface.sent)] {
        for (metric, value) in [&IO, &PACKETS, &ERRORS, &DROPPED].into_iter().zip(values) {
            // The conventions name the interface of packets otherwise than that of bytes.
            let key = if std::ptr::eq(metric, &PACKETS) { "system.device" } else { "network.interface.name" };
            to.host(metric, [(key, text(interface.name)), ("network.io.direction", text(direction))], value);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tests::shown;

    #[test]
    fn reads_interfaces() {
        let dev = "Inter-|   Receive          |  Transmit\n face |bytes packets errs drop fifo frame compressed multicast|bytes\n\
                   \x20   lo: 1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\n  eth0:1:100 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0 99\n  odd: 1 2 3\n";
        let interfaces = parse(dev);
        assert_eq!(interfaces.iter().map(|one| one.name).collect::<Vec<_>>(), ["lo", "eth0:1"]);
        let mut to = Collection::new(1, None, Vec::new());
        add(&interfaces[1], &mut to);
        assert_eq!(
            shown(&to),
            [
                "system.network.io{eth0:1,receive} 100",
                "system.network.packet.count{eth0:1,receive} 2",
                "system.network.errors{eth0:1,receive} 3",
                "system.network.packet.dropped{eth0:1,receive} 4",
                "system.network.io{eth0:1,transmit} 5",
                "system.network.packet.count{eth0:1,transmit} 6",
                "system.network.errors{eth0:1,transmit} 7",
                "system.network.packet.dropped{eth0:1,transmit} 8",
            ]
        );
    }

    proptest! {
        #[test]
        fn takes_anything(text in r"([a-zé]{0,3}:?( ?[0-9]{0,21}| x){0,18}\n){0,4}") {
            let mut to = Collection::new(1, None, Vec::new());
            parse(&text).iter().for_each(|interface| add(interface, &mut to));
        }
    }
}
