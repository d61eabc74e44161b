//! Spans in datagrams, as Jaeger's clients send them to an agent beside them.

use std::sync::Arc;

use suiro_record::Source;
use suiro_sdk::datagrams::Decode;
use suiro_sdk::spans::Spans;

use crate::decode::{DecodeError, Form, decode};
use crate::thrift::Protocol;

/// Makes spans of the messages of one protocol.
pub(crate) struct Messages {
    protocol: Protocol,
    source: Arc<Source>,
}

// === impl Messages ===

impl Messages {
    pub(crate) fn new(protocol: Protocol) -> Self {
        Messages { protocol, source: Arc::new(Source::new("".into(), 0)) }
    }
}

impl Decode for Messages {
    type Error = DecodeError;

    fn begin(&mut self, source: Arc<Source>) {
        self.source = source;
    }

    fn decode(&mut self, datagram: &[u8], base: u64, spans: &mut Spans<'_>) -> Result<(), DecodeError> {
        let mark = spans.mark();
        let decoded = decode(datagram, self.protocol, Form::Message, &self.source, base, spans);
        decoded.map(drop).inspect_err(|_| spans.cut(mark))
    }
}
