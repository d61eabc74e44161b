//! Stack traces, as languages print them.

use super::super::stack::{Frame, Language};

fn frames(language: Language, text: &str) -> Vec<(String, u32, String)> {
    let shown = |frame: &Frame<'_>| (frame.path.to_owned(), frame.line, frame.label.to_owned());
    language.parse(text).0.kept.iter().map(shown).collect()
}

/// Kind, message, frames.
fn chain(language: Language, text: &str) -> Vec<(String, String, usize)> {
    let (_, chain) = language.parse(text);
    chain.iter().map(|one| (one.kind.to_owned(), one.message.to_string(), one.frames.kept.len())).collect()
}

fn frame(path: &str, line: u32, label: &str) -> (String, u32, String) {
    (path.to_owned(), line, label.to_owned())
}

#[test]
fn languages_by_name() {
    for (name, language) in [
        ("java", Language::Java),
        ("php", Language::Java),
        ("python", Language::Python),
        ("nodejs", Language::JavaScript),
        ("webjs", Language::JavaScript),
        ("javascript", Language::JavaScript),
        ("dotnet", Language::DotNet),
        ("go", Language::Go),
        ("rust", Language::Other),
        ("", Language::Other),
    ] {
        assert_eq!(Language::of(name), language, "{name}");
    }
}

#[test]
fn java_with_causes() {
    let text = "java.lang.IllegalStateException: state is not legal\n\
        \tat shop.Cart.add(Cart.java:163)\n\
        \tat java.base/java.lang.Thread.run(Thread.java:834)\n\
        \tat sun.reflect.Native.invoke0(Native Method)\n\
        \tSuppressed: java.io.IOException: close\n\
        \t\tat shop.Cart.close(Cart.java:7)\n\
        Caused by: java.lang.IllegalArgumentException: bad: argument\r\n\
        on two lines\n\
        \tat shop.Item.<init>(Item.java:20)\n\
        \t... 16 more\n\
        Caused by: java.lang.NullPointerException\n\
        \tat shop.Item.price(Item.java)\n";
    assert_eq!(
        frames(Language::Java, text),
        [
            frame("Cart.java", 163, "shop.Cart.add"),
            frame("Thread.java", 834, "java.lang.Thread.run"),
            frame("Native Method", 0, "sun.reflect.Native.invoke0"),
        ]
    );
    assert_eq!(
        chain(Language::Java, text),
        [
            ("java.lang.IllegalArgumentException".into(), "bad: argument\non two lines".into(), 1),
            ("java.lang.NullPointerException".into(), String::new(), 1),
        ]
    );
}

#[test]
fn python_with_causes() {
    let text = "Traceback (most recent call last):\n\
        \x20 File \"/app/inner.py\", line 3, in load\n\
        \x20   return data[key]\n\
        \x20          ~~~~^^^^^\n\
        KeyError: 'a, b'\n\
        of two lines\n\
        \n\
        The above exception was the direct cause of the following exception:\n\
        \n\
        Traceback (most recent call last):\n\
        \x20 File \"/app/main.py\", line 9, in <module>\n\
        \x20   run()\n\
        \x20 File \"/app/main.py\", line 5, in run\n\
        \x20   raise ValueError(\"no\") from error\n\
        ValueError: no\n";
    assert_eq!(frames(Language::Python, text), [frame("/app/main.py", 5, "run"), frame("/app/main.py", 9, "<module>")]);
    assert_eq!(chain(Language::Python, text), [("KeyError".into(), "'a, b'\nof two lines".into(), 1)]);
    let during = text.replace(
        "The above exception was the direct cause of the following exception:",
        "During handling of the above exception, another exception occurred:",
    );
    assert_eq!(chain(Language::Python, &during).len(), 1);
}

#[test]
fn javascript() {
    let text = "TypeError: Cannot read property 'value' of null\n\
        \x20   at speedy (/home/gbusey/file.js:6:11)\n\
        \x20   at Object.<anonymous> (C:\\app\\file.js:9:7)\n\
        \x20   at async file:///app/main.mjs:2:5\n\
        \x20   at Array.forEach (native)\n\
        \x20   at new Promise (<anonymous>)\n\
        \x20   at node.js:906:3\n\
        not a frame\n";
    assert_eq!(
        frames(Language::JavaScript, text),
        [
            frame("/home/gbusey/file.js", 6, "speedy"),
            frame("C:\\app\\file.js", 9, "Object.<anonymous>"),
            frame("file:///app/main.mjs", 2, ""),
            frame("native", 0, "Array.forEach"),
            frame("<anonymous>", 0, "new Promise"),
            frame("node.js", 906, ""),
        ]
    );
}

#[test]
fn dotnet() {
    let text = "System.FormatException: Input string was not in a correct format\n\
        \x20  at System.Number.ParseDouble(ReadOnlySpan`1 value, NumberStyles options)\n\
        \x20  at Shop.Program.Main(String[] args) in C:\\src\\Program.cs:line 15\n\
        \x20  --- End of stack trace from previous location ---\n";
    assert_eq!(
        frames(Language::DotNet, text),
        [
            frame("", 0, "System.Number.ParseDouble(ReadOnlySpan`1 value, NumberStyles options)"),
            frame("C:\\src\\Program.cs", 15, "Shop.Program.Main(String[] args)"),
        ]
    );
}

#[test]
fn go() {
    let text = "goroutine 1 [running]:\n\
        main.(*Cart).Add(0xc000010000, 0x2)\n\
        \t/app/cart.go:20 +0x1d\n\
        created by main.main in goroutine 7\n\
        \t/app/main.go:9 +0x55\n";
    assert_eq!(
        frames(Language::Go, text),
        [
            frame("/app/cart.go", 20, "main.(*Cart).Add(0xc000010000, 0x2)"),
            frame("/app/main.go", 9, "created by main.main in goroutine 7"),
        ]
    );
}

#[test]
fn others_keep_their_lines() {
    assert_eq!(
        frames(Language::Other, "boom\n\n  cart.rb:7:in `add'\n"),
        [frame("", 0, "boom"), frame("", 0, "cart.rb:7:in `add'")]
    );
}

#[test]
fn long_ones_are_counted() {
    let text = format!("x\n{}", "\tat a.b(C.java:1)\n".repeat(2000));
    let frames = Language::Java.parse(&text).0;
    assert_eq!((frames.kept.len(), frames.more), (1500, 500));
    let text = format!("x\n{}", "Caused by: a.B: c\n".repeat(1000));
    assert_eq!(Language::Java.parse(&text).1.len(), 50);
}

proptest::proptest! {
    /// Whatever is printed, nothing panics.
    #[test]
    fn anything_is_survived(
        parts in proptest::collection::vec(
            proptest::sample::select(vec![
                "\tat ", "(", ")", ":", "/", "Caused by: ", "\n", "  File \"", "\", line ", ", in ", " in ", ":line ",
                "Traceback", "    at ", "   at ", "\t", "7", "é", "a", " ", "\r\n",
                "During handling of the above exception, another exception occurred:",
            ]),
            0..40,
        ),
    ) {
        let text = parts.concat();
        for language in
            [Language::Java, Language::Python, Language::JavaScript, Language::DotNet, Language::Go, Language::Other]
        {
            let _ = language.parse(&text);
        }
    }
}
