//! A line that is typed without a trace on the screen: a password.
//!
//! The line editor would show how long it is, by its cursor at least. So it
//! is given an empty line, and the keys are kept here.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rustyline::{Cmd, KeyCode, KeyEvent, Modifiers};

/// The line, while there is one.
#[derive(Default)]
pub struct HiddenLine(Mutex<Option<String>>);

impl HiddenLine {
    /// From now on keys are kept here.
    pub fn begin(&self) {
        *self.lock() = Some(String::new());
    }

    /// The line is over: what was typed, if it had begun.
    pub fn end(&self) -> Option<String> {
        self.lock().take()
    }

    /// What the editor does instead of its own for a key; `None`: its own.
    pub fn press(&self, key: KeyEvent) -> Option<Cmd> {
        let mut line = self.lock();
        let line = line.as_mut()?;
        match key {
            KeyEvent(KeyCode::Enter, _) => return None,
            KeyEvent(KeyCode::Backspace, _) => drop(line.pop()),
            KeyEvent(KeyCode::Char(c), Modifiers::NONE | Modifiers::SHIFT) => line.push(c),
            KeyEvent(KeyCode::Char(c), Modifiers::CTRL) => match c {
                // The end of a line and a job's stop, as ever.
                'J' | 'M' | 'Z' => return None,
                // Leaving, but only from an empty line.
                'C' | 'D' if line.is_empty() => return None,
                'C' | 'U' | 'W' => line.clear(),
                'H' => drop(line.pop()),
                _ => {}
            },
            // A pasted password comes as keys between two of these.
            _ => {}
        }
        Some(Cmd::Noop)
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        // Each change is complete in itself: a panic elsewhere spoils nothing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: impl IntoIterator<Item = KeyEvent>) -> String {
        let line = HiddenLine::default();
        line.begin();
        for key in keys {
            assert_eq!(line.press(key), Some(Cmd::Noop), "{key:?}");
        }
        line.end().unwrap()
    }

    fn keys(text: &str) -> Vec<KeyEvent> {
        text.chars().map(|c| KeyEvent::new(c, Modifiers::NONE)).collect()
    }

    #[test]
    fn what_is_typed_is_kept_and_can_be_corrected() {
        assert_eq!(typed(keys("s3crét 密")), "s3crét 密");
        assert_eq!(typed(keys("ab\x7fc\x08d")), "ad");
        assert_eq!(typed(keys("wrong\x15right")), "right");
        assert_eq!(typed(keys("wrong\x03right\x04\t\x1b")), "right");
        assert_eq!(typed(keys("\x7f")), "");
    }

    #[test]
    fn a_paste_is_typed_and_its_marks_are_not() {
        let mut pasted = keys("pass");
        pasted.insert(0, KeyEvent(KeyCode::BracketedPasteStart, Modifiers::NONE));
        pasted.push(KeyEvent(KeyCode::BracketedPasteEnd, Modifiers::NONE));
        assert_eq!(typed(pasted), "pass");
    }

    #[test]
    fn ends_of_lines_and_leaving_are_the_editors() {
        let line = HiddenLine::default();
        line.begin();
        for key in ['\r', '\n', '\x03', '\x04', '\x1a'] {
            assert_eq!(line.press(KeyEvent::new(key, Modifiers::NONE)), None, "{key:?}");
        }
    }

    #[test]
    fn other_lines_are_left_alone() {
        let line = HiddenLine::default();
        assert_eq!(line.press(KeyEvent::new('a', Modifiers::NONE)), None);
        line.begin();
        assert_eq!(line.end().as_deref(), Some(""));
        assert_eq!(line.press(KeyEvent::new('a', Modifiers::NONE)), None);
        assert_eq!(line.end(), None);
    }
}
