//! Numbered schema changes: what both stores agree on about them.
//!
//! Each store has a list of its own, numbered from 1 without a gap. What has
//! been applied stands in the table `SchemaMigration`. A change that has been
//! released is never edited: the next number corrects it.

use super::StoreError;

/// One step of the schema.
pub(super) struct Migration {
    /// Its place in the list, from 1.
    pub number: i64,
    /// What it does, in order. Where the database commits each statement by
    /// itself (MySQL), every one can be repeated after a crash in between.
    pub statements: &'static [&'static str],
}

/// The steps that a database still lacks whose newest applied one is
/// `applied` (0: none). Errors: `Misconfigured` if the database is newer than
/// this program.
pub(super) fn pending(
    all: &'static [Migration],
    applied: i64,
) -> Result<impl Iterator<Item = &'static Migration>, StoreError> {
    let newest = all.last().map_or(0, |migration| migration.number);
    if applied > newest {
        return Err(StoreError::Misconfigured(format!(
            "the database has schema {applied}, this program knows only up to {newest}: \
             a newer ChatServer has used it. Start that version, or use another database"
        )));
    }
    Ok(all.iter().filter(move |migration| migration.number > applied))
}

#[cfg(test)]
mod tests {
    use super::*;

    static LIST: [Migration; 2] =
        [Migration { number: 1, statements: &[] }, Migration { number: 2, statements: &[] }];

    fn numbers(applied: i64) -> Vec<i64> {
        pending(&LIST, applied).unwrap().map(|migration| migration.number).collect()
    }

    #[test]
    fn only_what_is_missing_is_pending() {
        assert_eq!(numbers(0), [1, 2]);
        assert_eq!(numbers(1), [2]);
        assert_eq!(numbers(2), [] as [i64; 0]);
    }

    #[test]
    fn a_database_newer_than_the_program_is_refused() {
        let Err(StoreError::Misconfigured(text)) = pending(&LIST, 3).map(drop) else {
            panic!("schema 3 was accepted")
        };
        assert!(text.contains("schema 3") && text.contains("up to 2"), "{text}");
    }
}
