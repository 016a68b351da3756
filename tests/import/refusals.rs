//! What is refused, with which exit code, and that no password is shown.

use crate::old::Old;
use crate::support::server::ServerPlan;
use crate::support::services::{Database, free_port};
use crate::tool::Target;

#[test]
fn a_server_that_runs_on_the_file_keeps_an_import_out() {
    let target = Target::sqlite();
    let _server = target.serve();
    let old = Old::small();
    target.apply(&old).refused(2, "in use by another ChatServer");
    target.dry_run(&old).refused(2, "in use by another ChatServer");
}

#[test]
fn a_server_that_runs_on_mysql_keeps_an_import_out_unless_it_is_forced() {
    let (target, old) = (Target::mysql(), Old::small());
    let mut server = target.serve();
    target.apply(&old).refused(2, "runs on the target");
    let report = target.dry_run(&old).done();
    assert!(report.stdout.contains("runs on the target"), "{report:?}");
    assert_eq!(report.counts("users"), [3, 3, 0], "nothing was written before");
    let flags = ["--import-apply", "--import-force"];
    assert_eq!(target.import(&old.url(), &flags).done().counts("users"), [3, 3, 0]);
    // One that was killed left its row, which says nothing once it stands still.
    server.kill9();
    let again = target.apply(&old).done();
    assert_eq!(again.counts("users"), [3, 0, 3]);
    assert!(!again.stdout.contains("runs on the target"), "{again:?}");
}

#[test]
fn a_database_that_is_none_of_a_cpp_chat_server_is_refused() {
    let target = Target::sqlite();
    let nothing = Database::shared();
    target.import(&nothing.url(), &[]).refused(2, "has no database");
    let ours = Target::mysql();
    ours.serve();
    target.import(&ours.url(), &[]).refused(2, "a database of this program");
    let mut old = Old::empty();
    old.run("DROP TABLE User");
    target.dry_run(&old).refused(2, "no table User");
    let mut old = Old::empty();
    old.run("ALTER TABLE User DROP COLUMN password");
    target.dry_run(&old).refused(2, "has not the columns id, name, password");
    assert!(!target.exists());
}

#[test]
fn a_database_on_which_a_server_was_started_in_vain_can_still_be_moved() {
    let old = Old::small();
    let refusal = ServerPlan::new().flag("--database", old.url()).start_in_vain();
    assert_eq!(refusal.code, Some(2), "{refusal:?}");
    assert_eq!(Target::sqlite().dry_run(&old).done().counts("users"), [3, 3, 0]);
}

#[test]
fn nothing_is_imported_into_tables_of_another_program() {
    let mut old = Old::small();
    let before = old.checksum();
    let (from, into) = (old.url(), Old::empty());
    for database in [from.clone(), into.url()] {
        let flags = ["--import-from", &from, "--import-apply", "--database", &database];
        Target::sqlite().run(&flags, &[]).refused(2, "tables that are not this program's");
    }
    assert_eq!(old.checksum(), before);
}

#[test]
fn a_database_that_does_not_answer_is_exit_code_3() {
    let nobody = format!("mysql://root:hunter2@127.0.0.1:{}/chat", free_port());
    let outcome = Target::sqlite().import(&nobody, &["--log", "trace"]);
    let outcome = outcome.refused(3, "nothing listens at");
    assert!(!outcome.stderr.contains("hunter2"), "{outcome:?}");
    assert!(outcome.stderr.contains("--import-from holds a password"), "{outcome:?}");
}

#[test]
fn a_password_beside_the_url_is_used_and_not_shown() {
    let mut old = Old::small();
    let url = old.reader_url("hunter2 @:/");
    let target = Target::sqlite();
    let flags = ["--import-from", &url, "--log", "trace"];
    let password = [("CHAT_IMPORT_PASSWORD", "hunter2 @:/")];
    let outcome = target.run(&flags, &password).done();
    assert_eq!(outcome.counts("users"), [3, 3, 0], "who may only read may import");
    assert!(outcome.stderr.contains("[") && !outcome.stderr.contains("can read"), "{outcome:?}");
    assert!(!format!("{outcome:?}").contains("hunter2"), "{outcome:?}");
    let wrong = target.run(&flags, &[("CHAT_IMPORT_PASSWORD", "not hunter2")]);
    let wrong = wrong.refused(2, "denied access to the user");
    assert!(!format!("{wrong:?}").contains("hunter2"), "{wrong:?}");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "hunter2 @:/\n").unwrap();
    let file = file.path().to_str().unwrap();
    target.run(&["--import-from", &url, "--import-password-file", file], &[]).done();
    let twice = url.replace('@', ":hunter2@");
    let outcome = target.run(&[], &[("CHAT_IMPORT_FROM", &twice), password[0]]);
    let outcome = outcome.refused(2, "take it out of --import-from");
    assert!(!format!("{outcome:?}").contains("hunter2"), "{outcome:?}");
    target.run(&["127.0.0.1", "0"], &password).refused(2, "no --import-from");
}

#[test]
fn flags_that_make_no_sense_are_refused() {
    let target = Target::sqlite();
    let url = "mysql://root@127.0.0.1:1/chat";
    for flags in [
        &["--import-apply"][..],
        &["--import-from", url, "127.0.0.1", "6000"],
        &["--import-from", url, "--import-charset", "klingon"],
        &[],
    ] {
        assert_eq!(target.run(flags, &[]).code, Some(2), "{flags:?}");
    }
    target.run(&["--import-from", "sqlite:old.db"], &[]).refused(2, "--import-from names no");
}

#[test]
fn a_sqlite_file_of_somebody_else_is_not_touched() {
    let (old, target) = (Old::small(), Target::sqlite());
    let file = target.file();
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    rusqlite::Connection::open(&file).unwrap().execute("CREATE TABLE t (x)", ()).unwrap();
    let before = std::fs::read(&file).unwrap();
    for outcome in [target.dry_run(&old), target.apply(&old)] {
        outcome.refused(2, "tables that are not this program's");
    }
    assert_eq!(std::fs::read(&file).unwrap(), before);
    // An empty file is no database yet, and a dry run leaves it so.
    std::fs::write(&file, b"").unwrap();
    target.dry_run(&old).done();
    assert_eq!(std::fs::metadata(&file).unwrap().len(), 0);
}
