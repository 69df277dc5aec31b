module gort/tests/golden/recorder

go 1.18
