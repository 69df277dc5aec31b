package main

import (
	"fmt"
	"runtime"
	"strconv"
)

// As bench/workloads/map.h.

func runMapCase(name string, ops int, f func() uint64) {
	runtime.GC()
	var checksum uint64
	m := measure(func() { checksum = f() })
	newLine("map", name).result(ops, m, checksum).print()
}

func repetitions(keys, ops int) int {
	if ops < keys {
		return 1
	}
	return ops / keys
}

func mapInt64(n, ops int) {
	rep := repetitions(n, ops)
	r := random{1}
	keys := make([]uint64, n)
	misses := make([]uint64, n)
	for i := range keys {
		keys[i] = r.next()
	}
	for i := range misses {
		misses[i] = r.next()
	}
	run := func(name string, f func() uint64) {
		runMapCase(fmt.Sprintf("int64/%d/%s", n, name), n*rep, f)
	}
	var m map[uint64]uint64
	run("insert", func() uint64 {
		for i := 0; i < rep; i++ {
			m = make(map[uint64]uint64)
			for _, k := range keys {
				m[k] = k
			}
		}
		return uint64(len(m))
	})
	r.shuffle(n, func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	run("hit", func() (sum uint64) {
		for i := 0; i < rep; i++ {
			for _, k := range keys {
				sum += m[k]
			}
		}
		return sum
	})
	run("miss", func() (found uint64) {
		for i := 0; i < rep; i++ {
			for _, k := range misses {
				if _, ok := m[k]; ok {
					found++
				}
			}
		}
		return found
	})
	run("iterate", func() (sum uint64) {
		for i := 0; i < rep; i++ {
			for _, v := range m {
				sum += v
			}
		}
		return sum
	})
	run("churn", func() uint64 {
		for i := 0; i < rep; i++ {
			for j, k := range keys {
				delete(m, k)
				keys[j] = k + 1
				m[k+1] = k
			}
		}
		return uint64(len(m))
	})
}

func mapString(n, ops int) {
	rep := repetitions(n, ops)
	r := random{1}
	makeKeys := func() []string {
		keys := make([]string, n)
		for i := range keys {
			keys[i] = "user:" + strconv.FormatUint(r.next()>>32, 10)
		}
		return keys
	}
	keys := makeKeys()
	others := makeKeys()
	run := func(name string, f func() uint64) {
		runMapCase(fmt.Sprintf("string/%d/%s", n, name), n*rep, f)
	}
	var m map[string]uint64
	run("insert", func() uint64 {
		for i := 0; i < rep; i++ {
			m = make(map[string]uint64)
			for j, k := range keys {
				m[k] = uint64(j)
			}
		}
		return uint64(len(m))
	})
	r.shuffle(n, func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	run("hit", func() (sum uint64) {
		for i := 0; i < rep; i++ {
			for _, k := range keys {
				sum += m[k]
			}
		}
		return sum
	})
	run("miss", func() (found uint64) {
		for i := 0; i < rep; i++ {
			for _, k := range others {
				if _, ok := m[k]; ok {
					found++
				}
			}
		}
		return found
	})
	run("iterate", func() (sum uint64) {
		for i := 0; i < rep; i++ {
			for _, v := range m {
				sum += v
			}
		}
		return sum
	})
	run("churn", func() uint64 {
		for i := 0; i < rep; i++ {
			for j, k := range keys {
				delete(m, k)
				m[others[j]] = uint64(j)
				keys[j], others[j] = others[j], k
			}
		}
		return uint64(len(m))
	})
}
