//! The server of the page.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use percept_http::server::Listener;

use crate::error::Error;
use crate::serve::site::Site;
use crate::work::Store;

/// Bytes of a request: a hundred actions at most, each of a few hundred bytes.
const MAX_BODY: usize = 1 << 20;

/// A server that is bound to its address.
#[derive(Debug)]
pub struct Server {
    listener: Listener,
    site: Arc<Site>,
}

impl Server {
    /// Takes an address, usually `127.0.0.1:0` (any free port). Who can reach the address can read and annotate.
    ///
    /// # Errors
    /// [`Error::Listen`].
    pub fn bind(store: Store, address: SocketAddr) -> Result<Self, Error> {
        let listen = |source| Error::Listen { address, source };
        Ok(Self {
            listener: Listener::bind(address)
                .map_err(listen)?
                .taking_posts(MAX_BODY),
            site: Arc::new(Site::new(store)),
        })
    }

    /// Where a browser finds it.
    pub fn url(&self) -> String {
        format!("http://{}/", self.listener.address())
    }

    /// Answers visitors until `stop` is set; see [`Listener::run`].
    ///
    /// # Errors
    /// [`Error::Listen`] when the system has no more descriptors for serving at all.
    pub fn run(&self, stop: &AtomicBool) -> Result<(), Error> {
        let site = Arc::clone(&self.site);
        let served = self.listener.run(stop, move |request| site.answer(request));
        served.map_err(|source| Error::Listen {
            address: self.listener.address(),
            source,
        })
    }
}
