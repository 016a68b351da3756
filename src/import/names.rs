//! Names that this program can have: 1 to 50 characters, none of them a control
//! character, no white space at an end, and each name once.

use rustc_hash::{FxHashMap, FxHashSet};

use super::oddity::{Oddities, Oddity};
use crate::protocol::bounds::MAX_NAME_CHARS;

/// What a row was called.
pub struct Named {
    pub id: u32,
    pub name: Vec<u8>,
}

/// Gives each row its name, in the rows' order. `what` is what they are, for
/// people: "user". `there` is what the target has by id: whoever got a name by
/// an earlier import keeps it, whatever came to the old table since. Then those
/// come that need no mending, and of equals the lower id.
pub fn settle(
    what: &str,
    rows: &[Named],
    there: &FxHashMap<u32, String>,
    oddities: &mut Oddities,
) -> Vec<String> {
    let mended: Vec<(String, bool)> = rows.iter().map(|row| mend(what, row, oddities)).collect();
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|&index| rows[index].id);
    let mut taken: FxHashSet<String> = FxHashSet::default();
    let mut names = vec![String::new(); rows.len()];
    order.retain(|&index| {
        let (wanted, id) = (&mended[index].0, rows[index].id);
        let kept = there.get(&id).filter(|name| is_made_of(name, wanted, id));
        if let Some(name) = kept {
            names[index].clone_from(name);
            taken.insert(name.clone());
        }
        kept.is_none()
    });
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
        let free = made_of(wanted, id).find(|name| !taken.contains(name));
        names[index] = free.expect("only so many rows have names");
        taken.insert(names[index].clone());
    }
    for ((name, row), (wanted, _)) in names.iter().zip(rows).zip(&mended) {
        if name != wanted {
            let id = row.id;
            oddities.note(Oddity::DuplicateName, || format!("{what} {id} {wanted:?} → {name:?}"));
        }
    }
    names
}

/// The name itself, then with the id behind it, again and again.
fn made_of(wanted: &str, id: u32) -> impl Iterator<Item = String> {
    (0..).map(move |times| {
        let suffix = format!("-{id}").repeat(times);
        let room = MAX_NAME_CHARS.saturating_sub(suffix.len());
        format!("{}{suffix}", cut(wanted, room).trim_end())
    })
}

/// Whether an import may have given this name to who wanted that one.
fn is_made_of(name: &str, wanted: &str, id: u32) -> bool {
    let longest = |made: &String| made.chars().count() <= MAX_NAME_CHARS;
    made_of(wanted, id).take_while(longest).any(|made| made == name)
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
        let names = settle("user", &rows, &FxHashMap::default(), &mut oddities);
        for name in &names {
            assert_eq!(check_name("name", name), Ok(()));
        }
        (names, oddities)
    }

    #[test]
    fn whoever_got_a_name_by_an_earlier_import_keeps_it() {
        let rows: Vec<Named> =
            [(5, "bob"), (7, "bob"), (21, "bob"), (33, "bob"), (40, "bob-33"), (50, "eve")]
                .map(|(id, name)| Named { id, name: name.into() })
                .into();
        let there = [(21, "bob"), (33, "bob-33"), (7, "bob-7-7"), (50, "another"), (60, "bob-5")]
            .map(|(id, name)| (id, name.to_owned()));
        let names = settle("user", &rows, &there.into_iter().collect(), &mut Oddities::default());
        // What somebody else is called there is a conflict, which is not for here.
        assert_eq!(names, ["bob-5", "bob-7-7", "bob", "bob-33", "bob-33-40", "eve"]);
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
