// The workloads of bench/workloads/ and bench/workloads/map.h in Go: the same command lines, the
// same work on the same data, the same line of output. One program, all workloads.
package main

import (
	"fmt"
	"os"
	"strconv"
)

const usage = `usage: %s binary_trees DEPTH | ring scan16|scan64|scan256|noscan64 THREADS OPS |
       scaling KIND THREADS ROUNDS |
       graph NODES COLLECTIONS | pause MIB THREADS OPS | drop MIB |
       larson THREADS ROUNDS | gcbench DEPTH | window KEPT MESSAGES | growth MIB |
       map int64|string KEYS OPS | map_slices int64|string KEYS |
       map_latency KEYS
`

func fail() {
	fmt.Fprintf(os.Stderr, usage, os.Args[0])
	os.Exit(2)
}

// A positive number, or the end of the program.
func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		fmt.Fprintf(os.Stderr, "not a positive number: %s\n", text)
		os.Exit(2)
	}
	return n
}

func main() {
	args := os.Args[1:]
	if len(args) == 0 {
		fail()
	}
	n := len(args) - 1
	switch {
	case args[0] == "binary_trees" && n == 1:
		binaryTrees(number(args[1]))
	case args[0] == "ring" && n == 3:
		ring(args[1], number(args[2]), number(args[3]))
	case args[0] == "scaling" && n == 3:
		scaling(args[1], number(args[2]), number(args[3]))
	case args[0] == "slices" && n == 2: // a process of scaling()
		slices(args[1], number(args[2]))
	case args[0] == "graph" && n == 2:
		graph(number(args[1]), number(args[2]))
	case args[0] == "pause" && n == 3:
		pause(number(args[1]), number(args[2]), number(args[3]))
	case args[0] == "drop" && n == 1:
		drop(number(args[1]))
	case args[0] == "larson" && n == 2:
		larson(number(args[1]), number(args[2]))
	case args[0] == "gcbench" && n == 1:
		gcBench(number(args[1]))
	case args[0] == "window" && n == 2:
		window(number(args[1]), number(args[2]))
	case args[0] == "growth" && n == 1:
		growth(number(args[1]))
	case args[0] == "map" && n == 3 && args[1] == "int64":
		mapInt64(number(args[2]), number(args[3]))
	case args[0] == "map" && n == 3 && args[1] == "string":
		mapString(number(args[2]), number(args[3]))
	case args[0] == "map_slices" && n == 2:
		mapSlices(args[1], number(args[2]))
	case args[0] == "map_latency" && n == 1:
		mapLatency(number(args[1]))
	default:
		fail()
	}
}
