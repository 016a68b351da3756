//! Names that this program can have: 1 to 50 characters, none of them a control
//! character, no white space at an end, and each name once.

use rustc_hash::FxHashSet;

use super::oddity::{Oddities, Oddity};
use crate::protocol::bounds::MAX_NAME_CHARS;

/// What a row was called.
pub struct Named {
    pub id: u32,
    pub name: Vec<u8>,
}

/// Gives each row its name, in the rows' order. `what` is what they are, for
/// people: "user". The same rows always get the same names: those that need no
/// mending come first, and of equals the lower id.
pub fn settle(what: &str, rows: &[Named], oddities: &mut Oddities) -> Vec<String> {
    let mended: Vec<(String, bool)> = rows.iter().map(|row| mend(what, row, oddities)).collect();
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|&index| rows[index].id);
    let mut taken: FxHashSet<String> = FxHashSet::default();
    let mut names = vec![String::new(); rows.len()];
    order.retain(|&index| {
        let (name, is_own) = &mended[index];
        let is_first = *is_own && taken.insert(name.clone());
        if is_first {
            names[index].clone_from(name);
        }
        !is_first
    });
    for index in order {
        let (wanted, id) = (&mended[index].0, rows[index].id);
        let name = free_name(wanted, id, &taken);
        if name != *wanted {
            oddities.note(Oddity::DuplicateName, || format!("{what} {id} {wanted:?} → {name:?}"));
        }
        taken.insert(name.clone());
        names[index] = name;
    }
    names
}

/// The name itself, or with the id behind it.
fn free_name(wanted: &str, id: u32, taken: &FxHashSet<String>) -> String {
    let mut name = wanted.to_owned();
    let mut suffix = String::new();
    while taken.contains(&name) {
        suffix += &format!("-{id}");
        let room = MAX_NAME_CHARS.saturating_sub(suffix.len());
        name = format!("{}{suffix}", cut(wanted, room).trim_end());
    }
    name
}

/// A name within the bounds, and whether it is the row's own.
fn mend(what: &str, row: &Named, oddities: &mut Oddities) -> (String, bool) {
    let id = row.id;
    let old = String::from_utf8_lossy(&row.name).into_owned();
    let mut note = |oddity| oddities.note(oddity, || format!("{what} {id} {old:?}"));
    let mut name = old.clone();
    if std::str::from_utf8(&row.name).is_err() {
        note(Oddity::NotUtf8);
    }
    if name.trim() != name {
        note(Oddity::SpaceAtEnd);
    }
    if name.trim().contains(char::is_control) {
        note(Oddity::ControlCharacters);
    }
    name = name.replace(char::is_control, " ").trim().to_owned();
    if name.chars().count() > MAX_NAME_CHARS {
        note(Oddity::LongName);
        name = cut(&name, MAX_NAME_CHARS).trim_end().to_owned();
    }
    if name.is_empty() {
        note(Oddity::EmptyName);
        name = format!("{what}-{id}");
    }
    let is_own = name.as_bytes() == row.name;
    (name, is_own)
}

/// The first so many characters.
pub fn cut(text: &str, chars: usize) -> &str {
    text.char_indices().nth(chars).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::bounds::check_name;

    fn names(old: &[(u32, &str)]) -> (Vec<String>, Oddities) {
        let rows: Vec<Named> = old
            .iter()
            .map(|(id, name)| Named { id: *id, name: name.as_bytes().to_vec() })
            .collect();
        let mut oddities = Oddities::default();
        let names = settle("user", &rows, &mut oddities);
        for name in &names {
            assert_eq!(check_name("name", name), Ok(()));
        }
        (names, oddities)
    }

    #[test]
    fn a_name_within_the_bounds_stays() {
        let long = "字".repeat(50);
        let (found, oddities) = names(&[(1, "zhang san"), (2, "😀"), (3, &long)]);
        assert_eq!(found, ["zhang san", "😀", &long]);
        assert_eq!(oddities.iter().count(), 0);
    }

    #[test]
    fn what_is_out_of_bounds_is_mended() {
        let long = "字".repeat(60);
        let (found, oddities) = names(&[(1, " a\tb\n"), (2, &long), (3, " \0 "), (4, "")]);
        assert_eq!(found, ["a b", &"字".repeat(50), "user-3", "user-4"]);
        for (oddity, count) in [
            (Oddity::SpaceAtEnd, 2),
            (Oddity::ControlCharacters, 2),
            (Oddity::LongName, 1),
            (Oddity::EmptyName, 2),
        ] {
            assert_eq!(oddities.count(oddity), count, "{oddity:?}");
        }
    }

    #[test]
    fn of_equal_names_the_one_that_was_right_stays_and_else_the_lower_id() {
        let (found, oddities) = names(&[(9, "bob"), (3, " bob"), (5, "bob")]);
        assert_eq!(found, ["bob-9", "bob-3", "bob"]);
        assert_eq!(oddities.count(Oddity::DuplicateName), 2);
        let long = "x".repeat(50);
        let (found, _) = names(&[(1, &long), (2, &long)]);
        assert_eq!(found[1], format!("{}-2", "x".repeat(48)));
        let (found, _) = names(&[(1, "bob"), (2, "bob"), (3, "bob-2")]);
        assert_eq!(found, ["bob", "bob-2-2", "bob-2"], "a name that is right stays");
    }
}
