//! The dialogue: the menu, the questions of login and registration, then the
//! commands. The same for a terminal and for a script; only [`Input`] differs.

use std::time::Duration;

use super::command::{self, Command};
use super::network::Network;
use super::printer::{Line, Printer};
use super::session::{Answer, Ask, Secret, Who};
use super::text::safe;
use super::view::Facts;
use crate::protocol::bounds;

/// How long a logout waits for what has not been answered.
const SETTLE_PATIENCE: Duration = Duration::from_secs(10);
/// A script is held back while so many of its requests wait for answers.
const SCRIPT_WINDOW: usize = 256;

/// What is asked for, so that the input can prompt, complete and remember.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question<'a> {
    /// A choice from the menu, an id or a name.
    Plain(&'a str),
    /// A password: not shown, never remembered.
    Password(&'a str),
    /// A command of the main loop.
    Command(&'a str),
}

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Typed {
    /// A line, without its end.
    Line(String),
    /// Ctrl+C on an empty line.
    Interrupted,
    /// The end of the input, or Ctrl+D.
    End,
}

/// Where lines come from.
pub trait Input {
    /// Asks for one line.
    fn ask(&mut self, question: Question<'_>) -> Typed;
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Nothing went wrong.
    Well,
    /// For a script: something did.
    Badly,
}

/// The dialogue.
pub struct Front<'a> {
    input: &'a mut dyn Input,
    network: &'a Network,
    printer: &'a dyn Printer,
    /// Whether a person sits there, who can try again.
    interactive: bool,
    /// Whether a login takes the account over without asking.
    takeover: bool,
    ended: Ended,
    registered: Option<u32>,
}

/// Where the dialogue goes on.
enum Next {
    Menu,
    Commands,
    Leave,
}

impl<'a> Front<'a> {
    /// A dialogue that has not begun.
    pub fn new(
        input: &'a mut dyn Input,
        network: &'a Network,
        printer: &'a dyn Printer,
        interactive: bool,
        takeover: bool,
    ) -> Front<'a> {
        let (ended, registered) = (Ended::Well, None);
        Front { input, network, printer, interactive, takeover, ended, registered }
    }

    /// Leads the dialogue to its end.
    pub fn run(mut self) -> Ended {
        let mut next = Next::Menu;
        loop {
            next = match next {
                Next::Menu => self.menu(),
                Next::Commands => self.commands(),
                Next::Leave => return self.ended,
            };
        }
    }

    fn menu(&mut self) -> Next {
        if self.interactive {
            self.say("1. login\n2. register\n3. quit");
        }
        match self.input.ask(Question::Plain("choice: ")) {
            Typed::Line(line) => match line.trim() {
                "1" | "login" => self.login(),
                "2" | "register" => self.register(),
                "3" | "quit" => Next::Leave,
                "" => Next::Menu,
                other => {
                    self.problem(format!(
                        "{:?} is not on the menu: write 1 (login), 2 (register) or 3 (quit).",
                        safe(other)
                    ));
                    Next::Menu
                }
            },
            Typed::Interrupted | Typed::End => Next::Leave,
        }
    }

    fn login(&mut self) -> Next {
        let prompt = match self.registered {
            Some(id) => format!("id or name [{id}]: "),
            None => "id or name: ".to_owned(),
        };
        let who = match self.input.ask(Question::Plain(&prompt)) {
            Typed::Line(line) => match (line.trim(), self.registered) {
                ("", Some(id)) => Who::Id(id),
                (text, _) => match text.parse() {
                    Ok(id) => Who::Id(id),
                    Err(_) => Who::Name(text.to_owned()),
                },
            },
            other => return self.broken_off(&other, "the id or name"),
        };
        let password = match self.input.ask(Question::Password("password: ")) {
            Typed::Line(line) => Secret(line),
            other => return self.broken_off(&other, "the password"),
        };
        if let Err(sentence) = bounds::check_password(&password.0) {
            return self.login_failed(&format!("{sentence}."));
        }
        self.log_in(who, password, self.takeover)
    }

    fn log_in(&mut self, who: Who, password: Secret, takeover: bool) -> Next {
        let again = (who.clone(), password.clone());
        self.network.ask(Ask::LogIn { who, password, takeover });
        match self.network.answer() {
            Answer::LoggedIn => Next::Commands,
            Answer::Refused(reason) => self.login_failed(&reason),
            Answer::OnlineElsewhere(reason) if !self.interactive => {
                self.login_failed(&format!("{reason} With --takeover it is taken over."))
            }
            Answer::OnlineElsewhere(_) => {
                let question = "This account is online elsewhere: take it over? (y/n) ";
                match self.input.ask(Question::Plain(question)) {
                    Typed::Line(line) if is_yes(&line) => self.log_in(again.0, again.1, true),
                    Typed::Line(_) => Next::Menu,
                    other => self.broken_off(&other, "the answer"),
                }
            }
            Answer::Registered(_) | Answer::LoggedOut { .. } => Next::Menu,
        }
    }

    fn login_failed(&mut self, reason: &str) -> Next {
        self.problem(format!("Login failed: {reason}"));
        // A script would go on as somebody who is not there.
        if self.interactive { Next::Menu } else { Next::Leave }
    }

    fn register(&mut self) -> Next {
        let name = match self.input.ask(Question::Plain("name: ")) {
            Typed::Line(line) => line.trim().to_owned(),
            other => return self.broken_off(&other, "the name"),
        };
        let name_fits = bounds::check_name("name", &name);
        // A script's next line is the password in any case.
        if self.interactive
            && let Err(sentence) = &name_fits
        {
            return self.registration_failed(&format!("{sentence}."));
        }
        let password = match self.input.ask(Question::Password("password: ")) {
            Typed::Line(line) => line,
            other => return self.broken_off(&other, "the password"),
        };
        if let Err(sentence) = name_fits.and_then(|()| bounds::check_password(&password)) {
            return self.registration_failed(&format!("{sentence}."));
        }
        // Nobody sees what is typed: a slip would lock its maker out.
        if self.interactive {
            match self.input.ask(Question::Password("password again: ")) {
                Typed::Line(again) if again == password => {}
                Typed::Line(_) => return self.registration_failed("the two passwords differ."),
                other => return self.broken_off(&other, "the password"),
            }
        }
        self.network.ask(Ask::Register { name: name.clone(), password: Secret(password) });
        match self.network.answer() {
            Answer::Registered(id) => {
                self.registered = Some(id);
                let name = safe(&name).into_owned();
                self.say(&format!("Registered: {name} has the id {id}. Log in with it."));
            }
            Answer::Refused(reason) => return self.registration_failed(&reason),
            Answer::LoggedIn | Answer::OnlineElsewhere(_) | Answer::LoggedOut { .. } => {}
        }
        Next::Menu
    }

    fn registration_failed(&mut self, reason: &str) -> Next {
        self.problem(format!("Registration failed: {reason}"));
        Next::Menu
    }

    fn commands(&mut self) -> Next {
        let view = self.network.view();
        let prompt = format!("{}> ", safe(&view.read(|facts| facts.name.clone())));
        loop {
            let typed = self.input.ask(Question::Command(&prompt));
            if !view.read(|facts| facts.logged_in) {
                return self.session_lost(&typed);
            }
            let line = match typed {
                Typed::Line(line) => line,
                Typed::Interrupted | Typed::End => return self.log_out(Next::Leave),
            };
            if line.trim().is_empty() {
                continue;
            }
            match command::parse(&line) {
                Ok(Command::LoginOut) => return self.log_out(Next::Menu),
                Ok(Command::Quit) => return self.log_out(Next::Leave),
                Ok(Command::Wait(time)) => {
                    view.wait(time, |facts| !facts.logged_in);
                }
                Ok(command) => {
                    if !self.interactive {
                        self.hold_back(&command);
                    }
                    self.network.ask(Ask::Do(command));
                }
                Err(sentence) => self.problem(safe(&sentence).into_owned()),
            }
        }
    }

    /// A script does not read answers before it goes on, so it is held back:
    /// where too many are open, and before a command that shows what the ones
    /// before it have changed.
    fn hold_back(&self, command: &Command) {
        let window = if *command == Command::ShowGroupList { 1 } else { SCRIPT_WINDOW };
        let room = |facts: &Facts| facts.unanswered() < window || !facts.logged_in;
        // An outage may take as long as it likes; it ends with the session.
        while !self.network.view().wait(SETTLE_PATIENCE, room) {}
    }

    fn log_out(&mut self, next: Next) -> Next {
        let waiting = self.network.view().read(Facts::unanswered);
        if waiting > 0 && self.interactive {
            self.say(&format!("Waiting for {waiting} answers (Ctrl+C leaves at once)..."));
        }
        self.network.ask(Ask::LogOut { patience: SETTLE_PATIENCE });
        if let Answer::LoggedOut { unanswered: 1.. } = self.network.answer() {
            self.ended = Ended::Badly;
        }
        next
    }

    /// The session ended by itself; the reason has been printed.
    fn session_lost(&mut self, typed: &Typed) -> Next {
        if !self.interactive {
            self.ended = Ended::Badly;
            return Next::Leave;
        }
        match typed {
            Typed::Line(line) if !line.trim().is_empty() => {
                self.problem("That line was not sent: log in first.".to_owned());
                Next::Menu
            }
            Typed::Line(_) => Next::Menu,
            Typed::Interrupted | Typed::End => Next::Leave,
        }
    }

    /// A question of login or registration was not answered.
    fn broken_off(&mut self, typed: &Typed, missing: &str) -> Next {
        match typed {
            Typed::End if !self.interactive => {
                self.problem(format!("The input ended before {missing}."));
                Next::Leave
            }
            Typed::End => Next::Leave,
            _ => Next::Menu,
        }
    }

    fn say(&self, text: &str) {
        let lines: Vec<Line> = text.lines().map(Line::plain).collect();
        self.printer.print(&lines);
    }

    fn problem(&mut self, text: String) {
        if !self.interactive {
            self.ended = Ended::Badly;
        }
        self.printer.print(&[Line::problem(text)]);
    }
}

fn is_yes(line: &str) -> bool {
    ["y", "yes"].contains(&line.trim().to_lowercase().as_str())
}
