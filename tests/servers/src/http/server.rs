//! The listener, its connections, and their end.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::{Service, connection};
use crate::fault::Faults;

/// A server. Dropping it ends it and every connection.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) faults: Faults,
    /// Requests whose head was read.
    pub(super) requests: AtomicU64,
    stopped: AtomicBool,
    connections: Mutex<HashMap<u64, TcpStream>>,
}

// === impl Server ===

impl Server {
    /// Listens on a free port of 127.0.0.1.
    pub(crate) fn start(service: Arc<impl Service>) -> io::Result<Server> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            faults: Faults::default(),
            requests: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            connections: Mutex::default(),
        });
        let own = Arc::clone(&shared);
        let accepting =
            thread::Builder::new().name("accept".to_owned()).spawn(move || own.accept(&listener, &service))?;
        Ok(Server { address, shared, accepting: Some(accepting) })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    pub(crate) fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop();
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

// === impl Shared ===

impl Shared {
    fn accept(self: &Arc<Self>, listener: &TcpListener, service: &Arc<impl Service>) {
        for (number, stream) in (0..).zip(listener.incoming()) {
            if self.stopped.load(Ordering::SeqCst) {
                return;
            }
            let Ok(stream) = stream else { continue };
            let Ok(clone) = stream.try_clone() else { continue };
            self.connections.lock().unwrap_or_else(PoisonError::into_inner).insert(number, clone);
            let (shared, service) = (Arc::clone(self), Arc::clone(service));
            let serve = move || {
                connection::serve(stream, &shared, &*service);
                shared.connections.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
            };
            if thread::Builder::new().name("connection".to_owned()).spawn(serve).is_err() {
                self.connections.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
            }
        }
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        for (_, stream) in self.connections.lock().unwrap_or_else(PoisonError::into_inner).drain() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
