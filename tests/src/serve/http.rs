//! The listener: hyper speaks HTTP, this hands it what [`Site`] answers.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::fs::File;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::io::ReaderStream;

use super::Site;
use super::answer::{Answer, Content};

/// Connections at a time; one more waits.
pub const MAX_CONNECTIONS: usize = 64;
/// How long a request's head may take to come.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The pause after a connection could not be taken in.
const RETRY: Duration = Duration::from_millis(50);
/// Nothing may be fetched, and no script run but what stands in our own pages.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// A store on a port.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    site: Arc<Site>,
}

impl Server {
    /// Listens on loopback; port 0 is any that is free.
    ///
    /// # Errors
    /// When the port is taken.
    pub async fn bind(site: Site, port: u16) -> anyhow::Result<Server> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.with_context(|| {
            format!("cannot listen on 127.0.0.1:{port}: give another --port, or 0 for any")
        })?;
        Ok(Server { listener, site: Arc::new(site) })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves for ever; to be aborted.
    pub async fn serve(self) {
        let seats = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let Ok(seat) = Arc::clone(&seats).acquire_owned().await else { return };
            let Ok((stream, _)) = self.listener.accept().await else {
                tokio::time::sleep(RETRY).await; // Out of descriptors: they come back.
                continue;
            };
            let site = Arc::clone(&self.site);
            tokio::spawn(async move {
                // A browser that goes away is no trouble of ours.
                let _ = converse(stream, site).await;
                drop(seat);
            });
        }
    }
}

async fn converse(stream: TcpStream, site: Arc<Site>) -> hyper::Result<()> {
    let service = service_fn(move |request: Request<Incoming>| {
        let site = Arc::clone(&site);
        async move { Ok::<_, Infallible>(respond(site, request).await) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    builder.serve_connection(TokioIo::new(stream), service).await
}

async fn respond(site: Arc<Site>, request: Request<Incoming>) -> Response<Body> {
    let head = request.method() == Method::HEAD;
    let method = request.method().as_str().to_owned();
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next().filter(|_| hosts.next().is_none());
    let host = host.and_then(|host| host.to_str().ok()).map(str::to_owned);
    // Whoever names a host in the request's line speaks to a proxy.
    let path =
        if request.uri().authority().is_some() { String::new() } else { request.uri().path().to_owned() };
    // Reading many results takes its time.
    let answering = tokio::task::spawn_blocking(move || site.answer(&method, host.as_deref(), &path));
    let answer = answering.await.unwrap_or_else(|_| Answer::error(500, "the list could not be made"));
    let Answer { status, kind, body, location } = answer;
    let (status, length, body) = match body {
        Content::Text(text) => (status, text.len() as u64, full(text)),
        Content::File(path) => match open(&path).await {
            Ok((length, body)) => (status, length, body),
            Err(_) => (404, 0, full("it is not there any more\n".to_owned())),
        },
    };
    let body = if head { Empty::new().map_err(|never| match never {}).boxed_unsync() } else { body };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == 200 {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    if let Some(location) = location.and_then(|to| HeaderValue::from_str(&to).ok()) {
        headers.insert(header::LOCATION, location);
    }
    response
}

fn full(text: String) -> Body {
    Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync()
}

/// A file as far as it is long now: a log may grow while it is read.
async fn open(path: &std::path::Path) -> std::io::Result<(u64, Body)> {
    use tokio::io::AsyncReadExt;
    let file = File::open(path).await?;
    let length = file.metadata().await?.len();
    let stream = ReaderStream::new(file.take(length)).map_ok(Frame::data);
    Ok((length, BodyExt::boxed_unsync(StreamBody::new(stream.boxed()))))
}
