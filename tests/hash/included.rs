//! `export` to a part of a configuration, which nginx judges as a whole.

use std::fs;

use crate::confs::{UPSTREAM, listing, read, refused, tool, whole};
use crate::support::services::{Service, Variant};
use crate::tool::Tool;
use crate::upstreams::{Client, Upstream};

#[test]
fn an_included_file_comes_back_if_the_whole_is_refused() {
    let tool = tool();
    let before = format!("{UPSTREAM}\n");
    fs::write(tool.path("chat.conf"), &before).unwrap();
    let include = format!("    include {}/chat.*;", tool.path("").display());
    for (main, part) in [
        (whole(&tool, &format!("{include}\n{UPSTREAM}")), "duplicate upstream"),
        (whole(&tool, UPSTREAM), "main.conf does not include it"),
    ] {
        fs::write(tool.path("main.conf"), main).unwrap();
        let run = tool.run("export chat.conf --force --conf main.conf");
        refused(&run, part);
        assert!(run.err.contains("chat.conf is left as it was"), "{}", run.err);
        assert_eq!(read(&tool, "chat.conf"), before);
        let run = tool.run("export chat.new --conf main.conf");
        assert_eq!(run.code, Some(1), "{run:?}");
        assert_eq!(listing(&tool), ["chat.conf", "main.conf"], "what was not there goes again");
    }
    fs::write(tool.path("main.conf"), whole(&tool, &include)).unwrap();
    assert_eq!(tool.run("export chat.conf --force --conf main.conf").code, Some(0));
    assert!(read(&tool, "chat.conf").contains("server 127.0.0.1:6002 weight=2"));
    assert_eq!(listing(&tool), ["chat.conf", "main.conf"]);
}

#[test]
fn a_part_of_a_running_nginx_is_replaced_and_reloaded() {
    let servers = [Upstream::start(), Upstream::start()];
    let nginx = Service::nginx_as(Variant::Hash, &[servers[0].address()]);
    // Its upstream moves into a file of its own.
    let (tool, conf) = (Tool::new(), nginx.conf());
    let text = fs::read_to_string(conf).unwrap();
    let begin = text.find("    upstream ").unwrap();
    let end = begin + text[begin..].find("    }\n").unwrap() + "    }\n".len();
    let part = tool.path("chat.conf");
    fs::write(&part, &text[begin..end]).unwrap();
    let include = format!("    include {};\n", part.display());
    fs::write(conf, text.replace(&text[begin..end], &include)).unwrap();
    nginx.reload();
    tool.answer(&format!("import {}", conf.display()));
    tool.answer(&format!("del 127.0.0.1 {}", servers[0].address().port()));
    tool.answer(&format!("add 127.0.0.1 {} 160", servers[1].address().port()));
    tool.answer(&format!("export chat.conf --reload --conf {}", conf.display()));
    nginx.reload();
    let client = Client::connect([127, 0, 0, 1].into(), nginx.address());
    assert_eq!(client.server, servers[1].address().to_string());
    let export = format!("export chat.conf --reload --conf {}", conf.display());
    assert!(tool.answer(&export).ends_with("clients who are connected stay where they are.\n"));
    let text = fs::read_to_string(conf).unwrap();
    fs::write(conf, text + "\nworker_shutdown_timeout 50s;\n").unwrap();
    let said = tool.answer(&export);
    assert!(said.contains("stay where they are for 50s, then worker_shutdown_timeout"), "{said}");
}

#[test]
fn an_included_file_may_need_what_stands_around_it() {
    let tool = tool();
    let part = format!(
        "{UPSTREAM}\nserver {{ listen 127.0.0.1:1; proxy_pass chat_servers; access_log {}/log chat; }}\n\
         server {{ listen 127.0.0.1:2; proxy_pass others; }}\n",
        tool.path("").display()
    );
    fs::write(tool.path("chat.conf"), &part).unwrap();
    let around = "log_format chat $remote_addr;\nupstream others { server 127.0.0.1:9; }";
    let main = whole(&tool, &format!("{around}\ninclude chat.conf;"));
    fs::write(tool.path("main.conf"), main).unwrap();
    let run = tool.run("export chat.conf --force");
    refused(&run, "if the file needs what stands around it");
    assert!(!run.err.contains(".check"), "{}", run.err);
    assert!(!run.err.contains(".new"), "{}", run.err);
    assert_eq!(read(&tool, "chat.conf"), part);
    let run = tool.run("export chat.conf --force --conf main.conf");
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(read(&tool, "chat.conf").contains("server 127.0.0.1:6002 weight=2"));
    let said = tool.answer("export chat.conf --force --conf main.conf");
    assert!(said.contains("said so already"), "{said}");
    fs::write(tool.path("main.conf"), whole(&tool, around)).unwrap();
    refused(
        &tool.run("export chat.conf --force --conf main.conf"),
        "main.conf does not include it",
    );
    let run = tool.run("export chat.conf --conf chat.conf");
    assert_eq!(run.code, Some(1), "a part is no configuration: {run:?}");
}

#[test]
fn an_included_file_may_name_a_certificate_beside_the_whole() {
    let tool = tool();
    fs::create_dir(tool.path("parts")).unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["chat.example".to_owned()]).unwrap();
    fs::write(tool.path("chat.pem"), made.cert.pem()).unwrap();
    fs::write(tool.path("chat.key"), made.signing_key.serialize_pem()).unwrap();
    let part = format!(
        "{UPSTREAM}\nserver {{ listen 127.0.0.1:1 ssl; proxy_pass chat_servers;\n\
         ssl_certificate chat.pem; ssl_certificate_key chat.key; }}\n"
    );
    fs::write(tool.path("parts/chat.conf"), &part).unwrap();
    fs::write(tool.path("main.conf"), whole(&tool, "include parts/chat.conf;")).unwrap();
    refused(&tool.run("export --force parts/chat.conf"), "chat.pem");
    let run = tool.run("export --force parts/chat.conf --conf main.conf");
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(read(&tool, "parts/chat.conf").contains("server 127.0.0.1:6002 weight=2"));
}

#[test]
fn the_including_file_is_not_where_the_upstream_is_written() {
    let tool = tool();
    fs::write(tool.path("chat.conf"), UPSTREAM).unwrap();
    fs::write(tool.path("main.conf"), whole(&tool, "include chat.conf;")).unwrap();
    let dir = fs::canonicalize(tool.path("")).unwrap();
    let advice = format!("export {0}/chat.conf --conf {0}/main.conf\n", dir.display());
    refused(&tool.run("export main.conf"), &advice);
}
