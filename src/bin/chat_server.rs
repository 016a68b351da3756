//! `bin/ChatServer <ip> <port> [flags]`.
fn main() {}
