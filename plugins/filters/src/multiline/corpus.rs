//! Traces as they are found in logs. Each case is the records that should come out of its lines.

use super::build;
use crate::test_kit::Rig;

/// The records of `cases`, as lines through the pattern, are themselves.
fn check(pattern: &str, cases: &[&[&str]]) {
    for records in cases {
        let text = records.join("\n");
        let lines: Vec<&str> = text.split('\n').collect();
        let mut rig = Rig::new(build, &format!("pattern = '{pattern}'"));
        let out = rig.feed(&lines);
        let mut got = rig.take(out);
        let out = rig.flush();
        got.extend(rig.take(out));
        assert_eq!(got, *records);
        rig.assert_settled();
    }
}

#[test]
fn java() {
    check(
        "java",
        &[
            &[
                "2024-05-01 12:00:00 ERROR o.s.Servlet - failed\njava.lang.IllegalStateException: no order\n\tat shop.Order.pay(Order.java:17) ~[app.jar:1.2]\n\tat java.base/java.lang.Thread.run(Thread.java:840)\nCaused by: java.net.ConnectException: refused\n\tat shop.Db.open(Db.java:3)\n\t... 12 more",
                "2024-05-01 12:00:01 INFO ok",
            ],
            &[
                "Exception in thread \"main\" java.lang.NullPointerException\n    at Main.main(Main.java:5)\n\tSuppressed: java.io.IOException: x\n\t\tat Main.close(Main.java:9)",
                "java.lang.OutOfMemoryError: heap\n\tat X.y(X.java:1)",
                "plain",
            ],
            // Causes within causes, and the root cause first.
            &[
                "ERROR up\na.AException: 1\n\tat a.A.a(A.java:1)\nCaused by: b.BException: 2\n\tat b.B.b(B.java:2)\n\t... 1 more\nCaused by: c.CError\n\tat c.C.c(C.java:3)\n\t... 2 more",
                "ERROR up\nc.CError: 3\n\tat c.C.c(C.java:3)\nWrapped by: a.AException: 1\n\tat a.A.a(A.java:1)",
                "ok",
            ],
            // An exception without a trace, and the next one: two events.
            &["a\nshop.OrderException", "shop.OrderException: again", "b"],
            &["WARN {\n  \"k\": 1\n}".split_once("\n}").unwrap().0, "}"],
            &["com.example is up", "Error: no dots in it"],
        ],
    );
}

#[test]
fn python() {
    check(
        "python",
        &[
            &[
                "ERROR:root:failed\nTraceback (most recent call last):\n  File \"a.py\", line 3, in f\n    g()\n    ~^^\n  File \"a.py\", line 7, in g\n    1 / 0\nZeroDivisionError: division by zero\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n  File \"a.py\", line 5, in <module>\n    f()\nRuntimeError: worse",
                "INFO:root:next",
            ],
            &[
                "Traceback (most recent call last):\n  File \"a.py\", line 1, in <module>\nKeyError: 'x'",
                "Traceback (most recent call last):\n  File \"b.py\", line 1, in <module>\nKeyError: 'y'",
            ],
            &[
                "  + Exception Group Traceback (most recent call last):\n  |   File \"g.py\", line 2, in <module>\n  | ExceptionGroup: both (2 sub-exceptions)\n  +-+---------------- 1 ----------------\n    | ValueError: 1\n    +------------------------------------",
                "after",
            ],
            &["one", "two", "three"],
        ],
    );
}

#[test]
fn go() {
    check(
        "go",
        &[
            &[
                "panic: runtime error: index out of range [5] with length 3\n\ngoroutine 1 [running]:\nmain.(*T).get(0xc00001c0a8, 0x5)\n\t/src/main.go:9 +0x1d\nmain.main()\n\t/src/main.go:5 +0x1d\nexit status 2",
                "starting",
            ],
            &[
                "2024/01/15 07:48:05 http: panic serving 127.0.0.1:55124: boom\ngoroutine 24 [running]:\nnet/http.(*conn).serve.func1()\n\t/go/src/net/http/server.go:1868 +0xb9\npanic({0x6be8a0?, 0x78f4f0?})\n\t/go/src/runtime/panic.go:920 +0x270\ncreated by net/http.(*Server).Serve in goroutine 1\n\t/go/src/net/http/server.go:3086 +0x5cb",
                "2024/01/15 07:48:06 next",
            ],
            &[
                "panic: runtime error: invalid memory address or nil pointer dereference\n[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x45f8a1]\n\ngoroutine 1 [running]:\nmain.main()\n\t/src/main.go:5 +0x1d\n\ngoroutine 18 [select]:\nmain.wait(0x1)\n\t/src/main.go:30 +0x1d\ncreated by main.main\n\t/src/main.go:3 +0x1d",
            ],
            &[
                "fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 [chan receive]:\nmain.main()\n\t/src/main.go:4 +0x1d",
                "panic: next",
            ],
            &[
                "runtime: goroutine stack exceeds 1000000000-byte limit",
                "fatal error: stack overflow\n\nruntime stack:\nruntime.throw({0x47f0f6?, 0x0?})\n\t/go/src/runtime/panic.go:1077 +0x5c\n\ngoroutine 1 [running]:\nmain.f(...)\n\t/src/main.go:3\n...additional frames elided...\ncreated by main.main in goroutine 1\n\t/src/main.go:9 +0x1d",
                "next",
            ],
            &[
                "SIGQUIT: quit\nPC=0x46d8e1 m=0 sigcode=0\n\ngoroutine 0 [idle]:\nruntime.futex()\n\t/go/src/runtime/sys_linux_amd64.s:557 +0x21\n\nrax    0xca\nrflags 0x286\ncs     0x33",
                "next 0x33",
            ],
            &["one", "goroutine leak found", "f(x)"],
        ],
    );
}
