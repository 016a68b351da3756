//! `bin/ChatClient <ip> <port>`.
fn main() {}
