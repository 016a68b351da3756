//! What matters of a server's answer to somebody who comes or goes.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;

/// An answer; pushes are none.
#[derive(Debug, Deserialize)]
pub(super) struct Answer<'a> {
    pub msgid: u32,
    pub errno: u8,
    #[serde(borrow)]
    errmsg: Option<Cow<'a, str>>,
    /// Seconds.
    pub retry_after: Option<u64>,
    pub token: Option<&'a str>,
}

impl Answer<'_> {
    /// `None`: something else, which somebody sent.
    pub fn read(payload: &[u8]) -> Option<Answer<'_>> {
        serde_json::from_slice(payload).ok()
    }
}

impl fmt::Display for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "errno {}", self.errno)?;
        self.errmsg.as_ref().map_or(Ok(()), |why| write!(f, ", {why}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_from_what_others_send() {
        let put_off =
            br#"{"msgid":2,"errno":12,"errmsg":"too \"many\"","retry_after":3,"other":[{}]}"#;
        let answer = Answer::read(put_off).unwrap();
        assert_eq!((answer.msgid, answer.errno, answer.retry_after), (2, 12, Some(3)));
        assert_eq!(answer.to_string(), "errno 12, too \"many\"");
        let granted = br#"{"msgid":2,"errno":0,"id":1,"friends":[],"token":"a1"}"#;
        assert_eq!(Answer::read(granted).unwrap().token, Some("a1"));
        assert!(Answer::read(br#"{"msgid":6,"id":1,"msg":"x"}"#).is_none());
        assert!(Answer::read(b"nonsense").is_none());
    }
}
