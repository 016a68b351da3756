//! The fuzzer's corpus, every file of it: the seeds, and whatever once failed.

use std::fs;
use std::path::Path;

/// Runs `check` over a target's folder; a file that fails is named.
fn check_all(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 10, "{} has lost its seeds", folder.display());
    for file in files {
        let input = fs::read(&file).unwrap();
        let passed = std::panic::catch_unwind(|| check(&input));
        assert!(passed.is_ok(), "{} does not hold", file.display());
    }
}

#[test]
fn every_split_of_the_corpus_gives_the_same_frames() {
    check_all("codec", crate::codec::check);
}

#[test]
fn what_bare_clients_are_told_of_the_corpus_fits_and_has_its_fields() {
    check_all("bare", crate::bare::check);
}

#[test]
fn the_messages_of_the_corpus_keep_their_bounds_and_their_text() {
    check_all("message", crate::message::check);
}

#[test]
fn the_envelopes_of_the_corpus_panic_nowhere() {
    check_all("envelope", crate::envelope::check);
}

#[test]
fn the_proxy_headers_of_the_corpus_are_the_same_however_they_are_cut() {
    check_all("proxy_header", crate::proxy_header::check);
}
