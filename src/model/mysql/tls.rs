//! TLS to MySQL: the URL's parameters `ssl-mode` and `ssl-ca`, named as in
//! MySQL's own clients. The driver does not know them; they are taken out of
//! the URL before it reads that.

use std::path::{Path, PathBuf};

use mysql::SslOpts;

/// What the URL asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// No TLS.
    Disabled,
    /// Encrypted, to whoever answers.
    Required,
    /// To whoever has a certificate of the CA.
    VerifyCa,
    /// To this very host.
    VerifyIdentity,
}

/// How the connection is secured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tls {
    mode: Mode,
    ca: Option<PathBuf>,
}

/// Takes the parameters out of a URL. Errors: what is wrong, without a piece
/// of the URL but these parameters.
pub(super) fn split_off(url: &str) -> Result<(String, Tls), String> {
    let (mut mode, mut ca) = (None, None);
    let Some((base, query)) = url.split_once('?') else {
        return Ok((url.to_owned(), Tls { mode: Mode::Disabled, ca }));
    };
    let mut others = Vec::new();
    for parameter in query.split('&') {
        match parameter.split_once('=') {
            Some(("ssl-mode", value)) => mode = Some(Mode::named(value)?),
            Some(("ssl-ca", value)) => ca = Some(PathBuf::from(value)),
            _ => others.push(parameter),
        }
    }
    let mode = mode.unwrap_or(Mode::Disabled);
    if ca.is_some() && !matches!(mode, Mode::VerifyCa | Mode::VerifyIdentity) {
        return Err("ssl-ca checks nothing without ssl-mode=verify-ca or \
                    ssl-mode=verify-identity: add one of them"
            .into());
    }
    if let Some(file) = &ca {
        check_ca(file)?;
    }
    let rest = others.join("&");
    let url = if rest.is_empty() { base.to_owned() } else { format!("{base}?{rest}") };
    Ok((url, Tls { mode, ca }))
}

impl Mode {
    fn named(text: &str) -> Result<Mode, String> {
        match text {
            "disabled" => Ok(Mode::Disabled),
            "required" => Ok(Mode::Required),
            "verify-ca" => Ok(Mode::VerifyCa),
            "verify-identity" => Ok(Mode::VerifyIdentity),
            _ => Err("ssl-mode is one of disabled, required, verify-ca and verify-identity".into()),
        }
    }
}

fn check_ca(file: &Path) -> Result<(), String> {
    let name = file.display();
    let bytes =
        std::fs::read(file).map_err(|err| format!("ssl-ca names the file {name}: {err}"))?;
    let is_pem = String::from_utf8_lossy(&bytes).contains("-----BEGIN CERTIFICATE-----");
    if is_pem {
        Ok(())
    } else {
        Err(format!("the file {name} of ssl-ca holds no certificate in PEM"))
    }
}

impl Tls {
    /// What the driver is told; `None`: no TLS.
    pub(super) fn options(&self) -> Option<SslOpts> {
        let options = SslOpts::default();
        let options = match self.mode {
            Mode::Disabled => return None,
            Mode::Required => options.with_danger_accept_invalid_certs(true),
            Mode::VerifyCa => options.with_danger_skip_domain_validation(true),
            Mode::VerifyIdentity => options,
        };
        Some(options.with_root_cert_path(self.ca.clone().map(std::borrow::Cow::Owned)))
    }

    /// Whether there is any.
    pub(super) fn is_on(&self) -> bool {
        self.mode != Mode::Disabled
    }

    /// Whether the host's name is compared with the certificate's.
    pub(super) fn checks_name(&self) -> bool {
        self.mode == Mode::VerifyIdentity
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameters_are_taken_out_and_the_others_stay() {
        let (url, tls) = split_off("mysql://u@h/d?a=1&ssl-mode=required&b=2").unwrap();
        assert_eq!((&*url, tls.mode), ("mysql://u@h/d?a=1&b=2", Mode::Required));
        let (url, tls) = split_off("mysql://u@h/d?ssl-mode=verify-ca").unwrap();
        assert_eq!((&*url, tls.mode), ("mysql://u@h/d", Mode::VerifyCa));
        let (url, tls) = split_off("mysql://u@h/d").unwrap();
        assert!(url == "mysql://u@h/d" && tls.options().is_none());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (query, why) in [
            ("ssl-mode=preferred", "one of"),
            ("ssl-ca=/x", "ssl-mode=verify-ca"),
            ("ssl-mode=required&ssl-ca=/x", "ssl-mode=verify-ca"),
            ("ssl-mode=verify-ca&ssl-ca=/no/such", "/no/such"),
            ("ssl-mode=verify-ca&ssl-ca=/dev/null", "PEM"),
        ] {
            let refused = split_off(&format!("mysql://h/d?{query}")).unwrap_err();
            assert!(refused.contains(why), "{query}: {refused}");
        }
    }
}
