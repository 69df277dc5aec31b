package main

import (
	"fmt"
	"runtime"
	"strconv"
)

// As bench/workloads/map.h.

// Every key of as many full maps as there are repetitions is deleted, then all are cleared.
func removeAll[K comparable](run func(string, func() uint64), n, rep int, keys []K, value func(int) uint64) {
	onFullMaps := func(name string, f func(map[K]uint64)) {
		maps := make([]map[K]uint64, rep)
		for i := range maps {
			maps[i] = make(map[K]uint64)
			for j, k := range keys {
				maps[i][k] = value(j)
			}
		}
		run(name, func() (sum uint64) {
			for _, m := range maps {
				f(m)
				sum += uint64(n - len(m))
			}
			return sum
		})
	}
	onFullMaps("delete", func(m map[K]uint64) {
		for _, k := range keys {
			delete(m, k)
		}
	})
	onFullMaps("clear", func(m map[K]uint64) {
		for k := range m { // one call of the runtime's; Go 1.19 has no clear(m)
			delete(m, k)
		}
	})
}

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
	m = nil
	removeAll(run, n, rep, keys, func(i int) uint64 { return keys[i] })
}

func stringKeys(n int, r *random) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = "user:" + strconv.FormatUint(r.next()>>32, 10)
	}
	return keys
}

func mapString(n, ops int) {
	rep := repetitions(n, ops)
	r := random{1}
	keys := stringKeys(n, &r)
	others := stringKeys(n, &r)
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
	m = nil
	removeAll(run, n, rep, keys, func(i int) uint64 { return uint64(i) })
}
