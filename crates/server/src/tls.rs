//! TLS: the certificate and its key, which are read again on SIGHUP.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::signals::ReloadSignal;

/// The files of a certificate with its chain, and of its key, both in PEM.
#[derive(Debug, Clone)]
pub struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Why connections cannot be made with these files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("TLS_CERT: cannot read certificates in PEM from {path}: {source}")]
    Certificate { path: PathBuf, source: pem::Error },
    #[error("TLS_CERT: there is no certificate in {0}")]
    NoCertificate(PathBuf),
    #[error("TLS_KEY: cannot read a private key in PEM from {path}: {source}")]
    Key { path: PathBuf, source: pem::Error },
    #[error("TLS_CERT and TLS_KEY: {} and {} are no pair: {source}", files.certificate.display(), files.key.display())]
    Pair { files: Files, source: rustls::Error },
    #[error("TLS: {0}")]
    Setup(#[from] rustls::Error),
}

/// The pair that new connections are made with.
#[derive(Debug)]
pub struct Pair {
    files: Files,
    current: RwLock<Arc<CertifiedKey>>,
}

impl Pair {
    /// Reads it for the first time.
    pub fn read(files: Files) -> Result<Arc<Self>, TlsError> {
        let current = RwLock::new(Arc::new(read(&files)?));
        Ok(Arc::new(Self { files, current }))
    }

    /// How connections are made with whatever is the pair at that moment: TLS 1.2 and 1.3.
    pub fn config(self: &Arc<Self>) -> Result<ServerConfig, TlsError> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    /// Reads it again with each signal. One that is broken is not taken: the old one stays.
    pub async fn reload_on(self: Arc<Self>, mut signal: ReloadSignal) {
        loop {
            signal.next().await;
            match read(&self.files) {
                Ok(pair) => {
                    *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pair);
                    log::info!("new connections get the certificate that was read again");
                }
                Err(error) => log::error!("the certificate stays as it was: {error}"),
            }
        }
    }
}

impl ResolvesServerCert for Pair {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

fn read(files: &Files) -> Result<CertifiedKey, TlsError> {
    let Files { certificate, key } = files;
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(|chain| chain.collect::<Result<Vec<_>, _>>())
        .map_err(|source| TlsError::Certificate { path: certificate.clone(), source })?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate(certificate.clone()));
    }
    let key = PrivateKeyDer::from_pem_file(key)
        .map_err(|source| TlsError::Key { path: key.clone(), source })?;
    CertifiedKey::from_der(chain, key, &default_provider())
        .map_err(|source| TlsError::Pair { files: files.clone(), source })
}
