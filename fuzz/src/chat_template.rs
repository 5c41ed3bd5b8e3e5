//! Sources of chat templates: compiled or refused, rendered or refused, the same text twice.

use percept_data::{ChatTemplate, Message, Role};

/// Pieces of Jinja.
pub const PIECES: &[&str] = &[
    "{%",
    "%}",
    "{{",
    "}}",
    "{#",
    "#}",
    "-",
    " ",
    "\n",
    "for m in messages",
    "endfor",
    "if",
    "else",
    "elif",
    "endif",
    "set x =",
    "m",
    ".content",
    "['role']",
    "[0]",
    "messages",
    "loop.index0",
    "loop.last",
    "|",
    "trim",
    "tojson",
    "length",
    "== 'user'",
    "is string",
    "is defined",
    "not",
    "add_generation_prompt",
    "namespace(a=1)",
    "raise_exception('no')",
    "strftime_now('%d')",
    "macro f(x)",
    "endmacro",
    "f(1)",
    "range(100)",
    "~",
    "+ 1",
    "* 3",
    "generation",
    "endgeneration",
    "'a'",
    "[1:]",
    "[::-1]",
    "%Z",
];

/// Compiles the data and renders a conversation.
pub fn fuzz(data: &[u8]) {
    let source = crate::text(data);
    let Ok(template) = ChatTemplate::new(&source, "<s>", "</s>") else {
        return;
    };
    let turns = [
        Message::text(Role::System, "be brief"),
        Message::text(Role::User, "1+1?"),
        Message::text(Role::Assistant, "2"),
    ];
    for open in [false, true] {
        let [once, twice] = [0; 2].map(|_| template.render(&turns, open).ok());
        assert_eq!(once, twice);
    }
}
