//! Names that a C++ ChatServer wrote under a "set names" of its own.

use crate::old::Old;
use crate::tool::{Target, log_in};

#[test]
fn what_was_written_as_gbk_is_read_as_it_was_typed() {
    // The client sends UTF-8, the server says that it is GBK, and the database
    // keeps what those bytes would be in it.
    let mut old = Old::empty();
    old.run("SET NAMES gbk");
    old.run("INSERT INTO User VALUES (1, '张三你好', 'pw', 'offline')");
    let target = Target::sqlite();
    let garbled = target.dry_run(&old).done();
    assert_eq!(garbled.oddities("names beyond ASCII"), 1, "the report shows them");
    assert!(!garbled.stdout.contains("张三"), "{}", garbled.stdout);
    let flags = ["--import-charset", "gbk", "--import-apply"];
    target.import(&old.url(), &flags).done();
    log_in(&target.serve(), 1, "张三你好", "pw");
}
