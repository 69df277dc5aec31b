package main

import (
	"fmt"
	"runtime"
)

// As bench/workloads/growth.h.

const growthTreeNodes = 2<<pauseDepth - 1

func sumTrees(trees []*pauseNode) (sum uint64) {
	for _, tree := range trees {
		sum = mix(sum, tree.sum())
	}
	return sum
}

func growthLine(what string, mib, ops int, m measurement, checksum uint64, before int64) {
	s := stats(before)
	newLine("growth", fmt.Sprintf("%s/%dMiB", what, mib)).result(ops, m, checksum).
		add("collections", s.collections-before).pauses(s).print()
}

func growth(mib int) {
	count := (mib << 20) / (64 * growthTreeNodes)
	trees := make([]*pauseNode, count)
	id := uint64(1)
	for i := range trees {
		trees[i] = pauseTree(pauseDepth, &id)
	}
	runtime.GC()

	before := stats(0).collections
	rounds := 1024 / mib
	if rounds < 3 {
		rounds = 3
	} else if rounds > 64 {
		rounds = 64
	}
	m := measure(func() {
		for i := 0; i < rounds; i++ {
			runtime.GC()
		}
	})
	growthLine("collect", mib, rounds*count*growthTreeNodes, m, sumTrees(trees), before)

	r := random{1}
	for i := 0; i < count; i++ {
		trees[r.below(uint64(count))] = pauseTree(pauseDepth, &id)
	}
	before = stats(0).collections
	planted := count + count/2
	if planted < 8192 {
		planted = 8192
	}
	m = measure(func() {
		for i := 0; i < planted; i++ {
			trees[r.below(uint64(count))] = pauseTree(pauseDepth, &id)
		}
	})
	growthLine("allocate", mib, planted*growthTreeNodes, m, sumTrees(trees), before)
}
