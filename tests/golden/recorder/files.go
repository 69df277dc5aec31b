package main

import (
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
)

// The recordings: type, script, -n; each also gives the file its name.
var recordings = []struct {
	typeName, script string
	n                int
}{
	{"int64", "grow", 300},
	{"int64", "hint", 200},
	{"int64", "delete", 200},
	{"int64", "churn", 400},
	{"int64", "clear", 200},
	{"int64", "random", 150},
	{"seq", "grow", 500},
	{"int32", "churn", 300},
	{"int32", "delete", 200},
	{"string", "grow", 200},
	{"string", "churn", 400},
	{"string", "random", 150},
	{"string", "clear", 100},
	{"big", "churn", 300},
	{"big", "clear", 200},
	{"big", "random", 150},
	{"ptr", "churn", 300},
	{"ptr", "delete", 150},
	{"ptr", "random", 150},

	{"int64", "ranged", 60},
	{"int64", "ranging", 60},
	{"int64", "rangesame", 100},
	{"int64", "same", 50},
	{"int64", "stall", 60},
	{"int32", "ranging", 40},
	{"uint8", "random", 120},
	{"uint16", "ranged", 40},
	{"float", "random", 80},
	{"float", "ranging", 40},
	{"nan", "stall", 60},
	{"nan", "ranged", 30},
	{"nan", "ranging", 30},
	{"string", "ranged", 30},
	{"string", "rangesame", 100},
	{"string", "rangeclear", 40},
	{"strstr", "delete", 60},
	{"strstr", "ranging", 30},
	{"strbig", "ranged", 20},
	{"struct", "ranged", 30},
	{"array", "random", 60},
	{"big", "ranged", 20},
	{"ptr", "ranged", 100},
	{"ptr", "ranging", 60},
	{"ptr", "rangesame", 100},
	{"ptr", "rangeclear", 40},
	{"ptr", "same", 50},
	{"ptr", "stall", 60},
	{"bigkey", "ranged", 60},
	{"bigkey", "ranging", 30},
	{"bigkey", "same", 50},
	{"ptrkey", "ranged", 30},
	{"ptrkey", "stall", 60},
	{"ptrkey", "clear", 60},
	{"uint8", "clear", 100},
	{"strbig", "delete", 60},
	{"bigkey", "random", 60},
	{"int64", "same", 100},
	{"int64", "stall", 150},
}

// recordAll makes each recording in a process of its own: what one leaves behind in the heap must not
// be measured in the next.
func recordAll(directory, only string) {
	self, err := os.Executable()
	check(err)
	for i, r := range recordings {
		name := fmt.Sprintf("%s_%s_%d.jsonl", r.typeName, r.script, r.n)
		if matches, err := filepath.Match(only, name); err != nil || !matches {
			continue
		}
		command := exec.Command(self, "-type", r.typeName, "-script", r.script, "-n", fmt.Sprint(r.n),
			"-seed", fmt.Sprint(i+1), "-o", filepath.Join(directory, name))
		command.Stderr = os.Stderr
		if err := command.Run(); err != nil {
			log.Fatalf("%s: %v", name, err)
		}
	}
}
