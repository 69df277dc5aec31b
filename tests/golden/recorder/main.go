// Recorder runs a script of operations on a real Go map and writes what the map did: a golden trace
// (../README.md), to hold gort's map against. It reads the runtime's map header and buckets through
// unsafe, so it must be built by a Go with bucket maps: 1.18 to 1.23.
//
//	go run . -type string -script churn -n 800 -seed 7 -o ../string_churn_800.jsonl
//	go run . -type int64 -ops my.ops -o my.jsonl      one operation a line: make N, set I, del I, clear, drop,
//	                                                  range N, next N, leave, snap
//	go run . -all .. -only '*_ranged_*'               the recordings of files.go
//
// runtime.go is what Go has in memory, table.go the map types, script.go the operations and the
// built-in scripts, record.go the trace. A map of more than 2^15 buckets counts its overflow buckets
// at random: scripts must stay below.
package main

import (
	"bufio"
	"flag"
	"log"
	"math/rand"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	log.SetFlags(0)
	typeName := flag.String("type", "int64", typeNames)
	kind := flag.String("script", "grow", scriptNames)
	ops := flag.String("ops", "", "file of operations, instead of a script")
	n := flag.Int("n", 100, "keys")
	seed := flag.Int64("seed", 1, "of keys and scripts")
	path := flag.String("o", "", "trace to write; default: standard output")
	all := flag.String("all", "", "directory for the recordings of files.go")
	only := flag.String("only", "*", "with -all: those whose name matches")
	flag.Parse()
	if v := strings.TrimPrefix(runtime.Version(), "go1."); v >= "24" && len(v) >= 2 && v[1] != '.' {
		log.Fatalf("%s has no bucket maps: use Go 1.18 to 1.23", runtime.Version())
	}
	if *all != "" {
		recordAll(*all, *only)
		return
	}
	debug.SetGCPercent(-1)
	runtime.GOMAXPROCS(1)
	r := rand.New(rand.NewSource(*seed))
	var s []operation
	var t table
	if *ops != "" {
		s = readScript(*ops)
		for _, op := range s {
			if (op.name == "set" || op.name == "del") && op.n >= *n {
				*n = op.n + 1
			}
		}
		t = newTable(*typeName, *n, r)
	} else {
		t = newTable(*typeName, keysFor(*kind, *n), r)
		s = writeScript(*kind, *n, t, r)
	}
	file := os.Stdout
	if *path != "" {
		var err error
		file, err = os.Create(*path)
		check(err)
	}
	buffered := bufio.NewWriter(file)
	record(t, s, *typeName == "nan", buffered)
	check(buffered.Flush())
	check(file.Close())
}
