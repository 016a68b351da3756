//! Statements over lists of rows' numbers: in a few fixed sizes, so that each
//! stays prepared.

use std::sync::LazyLock;

use mysql::Value;

/// Numbers in one statement, largest first; 1 is among them, so that nothing
/// is filled up for a single row. From 1,000 on MariaDB would make a subquery
/// of the list.
pub(super) const FORM_IDS: [usize; 4] = [512, 64, 8, 1];

/// So many numbers fill one statement.
pub(super) const LARGEST_FORM: usize = FORM_IDS[0];

/// One statement in all its sizes, made by [`id_forms!`].
pub(super) type IdForms = LazyLock<[String; FORM_IDS.len()]>;

/// The sizes of a statement that has `{}` in place of its list.
macro_rules! id_forms {
    ($sql:literal) => {
        std::sync::LazyLock::new(|| {
            crate::model::mysql::ids::FORM_IDS
                .map(|count| format!($sql, vec!["?"; count].join(", ")))
        })
    };
}
pub(super) use id_forms;

/// Deals the numbers out to statements: which form, and its list. That is the
/// smallest that takes all that is left, filled up with the first number, and
/// the largest while there are more.
pub(super) fn by_form(mut ids: &[i64]) -> impl Iterator<Item = (usize, Vec<Value>)> {
    std::iter::from_fn(move || {
        let first = *ids.first()?;
        let form = FORM_IDS.iter().rposition(|&count| count >= ids.len()).unwrap_or(0);
        let (now, later) = ids.split_at(ids.len().min(FORM_IDS[form]));
        let filling = std::iter::repeat_n(first, FORM_IDS[form] - now.len());
        ids = later;
        Some((form, now.iter().copied().chain(filling).map(Value::from).collect()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which forms so many numbers are dealt out to. All arrive.
    fn forms(count: i64) -> Vec<usize> {
        let ids: Vec<i64> = (1..=count).collect();
        let mut arrived = Vec::new();
        let mut sizes = Vec::new();
        for (form, list) in by_form(&ids) {
            assert_eq!(list.len(), FORM_IDS[form]);
            sizes.push(list.len());
            arrived.extend(list.into_iter().map(mysql::from_value::<i64>));
        }
        // What fills a list up is in it already.
        arrived.sort_unstable();
        arrived.dedup();
        assert_eq!(arrived, ids);
        sizes
    }

    #[test]
    fn numbers_are_dealt_out_to_few_statements() {
        assert_eq!(forms(0), [] as [usize; 0]);
        assert_eq!(forms(1), [1]);
        assert_eq!(forms(2), [8]);
        assert_eq!(forms(8), [8]);
        assert_eq!(forms(9), [64]);
        assert_eq!(forms(512), [512]);
        assert_eq!(forms(513), [512, 1]);
        assert_eq!(forms(1200), [512, 512, 512]);
    }
}
