//! What has become of an upstream in its file since it was last imported or
//! exported: what a person has written there by hand is not to be lost.

use std::path::Path;

use super::ServerName;
use super::conf::Directive;
use super::import::{read_hash, read_server};
use super::upstream::{Server, Upstream};

/// The difference.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Drift {
    /// What the file says, nobody has taken over, and an export would replace.
    pub(super) lost: Vec<String>,
    /// Servers that the file does not have any more.
    returning: Vec<ServerName>,
}

impl Drift {
    /// From `known` to `block`, as far as `new` would not say the same.
    pub(super) fn of(block: &Directive, known: Option<&Upstream>, new: &Upstream) -> Drift {
        let mut drift = Drift::default();
        let mut there = Vec::new();
        for directive in block.inner() {
            let arguments = directive.arguments();
            match directive.name() {
                "server" => {
                    let name = arguments.first().map_or("", String::as_str);
                    there.push(name);
                    let says = read_server(arguments).ok();
                    if !has(Some(new), says.as_ref()) && !has(known, says.as_ref()) {
                        let stays = new.servers.iter().any(|s| s.server.as_str() == name);
                        let becomes = if stays { "would change" } else { "would go" };
                        drift.lost.push(format!("`server {}` {becomes}", arguments.join(" ")));
                    }
                }
                "hash" => {
                    let key = read_hash(arguments).ok();
                    let is = |upstream: &Upstream| Some(upstream.key) == key;
                    if !is(new) && !known.is_some_and(is) {
                        drift.lost.push(format!("`hash {}` would change", arguments.join(" ")));
                    }
                }
                _ => {}
            }
        }
        let gone = |server: &&Server| {
            !there.contains(&server.server.as_str()) && new.position(&server.server).is_some()
        };
        let known = known.map_or(&[][..], |known| &known.servers);
        drift.returning = known.iter().filter(gone).map(|s| s.server.clone()).collect();
        drift
    }

    /// What a person should know once the export is done all the same.
    pub(super) fn notes(&self, file: &Path) -> Vec<String> {
        let file = file.display();
        let mut notes = Vec::new();
        if !self.lost.is_empty() {
            let lost = self.lost.join(", ").replace("would go", "is gone");
            let lost = lost.replace("would change", "is changed");
            notes.push(format!("What {file} had and was not imported: {lost}."));
        }
        if !self.returning.is_empty() {
            let names: Vec<&str> = self.returning.iter().map(ServerName::as_str).collect();
            let names = names.join(", ");
            notes.push(format!(
                "{file} did not have {names}, as last imported or exported; now it does."
            ));
        }
        notes
    }
}

fn has(upstream: Option<&Upstream>, server: Option<&Server>) -> bool {
    upstream.zip(server).is_some_and(|(upstream, server)| upstream.servers.contains(server))
}
