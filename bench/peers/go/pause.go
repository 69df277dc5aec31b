package main

import (
	"fmt"
	"runtime"
)

// As bench/workloads/pause.h.

type pauseNode struct {
	left, right *pauseNode
	data        [6]uint64
}

const (
	pauseDepth = 9
	swapDepth  = 6
)

func pauseTree(depth int, id *uint64) *pauseNode {
	node := &pauseNode{}
	node.data[0] = *id
	*id++
	if depth > 0 {
		node.left = pauseTree(depth-1, id)
		node.right = pauseTree(depth-1, id)
	}
	return node
}

func timedPauseTree(depth int, id *uint64, l *latencies) *pauseNode {
	start := nowNS()
	node := &pauseNode{}
	l.record(nowNS() - start)
	node.data[0] = *id
	*id++
	if depth > 0 {
		node.left = timedPauseTree(depth-1, id, l)
		node.right = timedPauseTree(depth-1, id, l)
	}
	return node
}

func (n *pauseNode) sum() uint64 {
	sum := n.data[0]
	if n.left != nil {
		sum = mix(sum, n.left.sum())
		sum = mix(sum, n.right.sum())
	}
	return sum
}

func replaceSubtrees(trees []*pauseNode, thread, threads, ops int, l *latencies) {
	mine := uint64(len(trees) / threads)
	r := random{uint64(thread) + 2}
	id := uint64(thread) << 40
	for made := 0; made < ops; made += 1<<(pauseDepth-swapDepth) - 1 {
		node := trees[int(r.below(mine))*threads+thread]
		way := r.next()
		for d := 0; d < swapDepth; d++ {
			if way&1 != 0 {
				node = node.left
			} else {
				node = node.right
			}
			way >>= 1
		}
		fresh := timedPauseTree(pauseDepth-swapDepth-1, &id, l)
		if way&1 != 0 {
			node.left = fresh
		} else {
			node.right = fresh
		}
	}
}

func pause(mib, threads, ops int) {
	const treeBytes = 64 * (1<<(pauseDepth+1) - 1)
	count := (mib << 20) / treeBytes / threads * threads
	trees := make([]*pauseNode, count)
	id := uint64(1)
	for i := range trees {
		trees[i] = pauseTree(pauseDepth, &id)
	}
	runtime.GC()
	full := stats(0) // the heap is nothing but what lives
	all := make([]latencies, threads)
	m := runThreads(threads, func(t int) {
		l := new(latencies)
		replaceSubtrees(trees, t, threads, ops, l)
		all[t] = *l
	})
	s := stats(full.collections)
	var l latencies
	for t := range all {
		l.add(&all[t])
	}
	var checksum uint64
	for _, tree := range trees {
		checksum = mix(checksum, tree.sum())
	}
	newLine("pause", fmt.Sprintf("%dMiB/%d", mib, threads)).result(ops*threads, m, checksum).
		add("collections", s.collections-full.collections).pauses(s).
		add("alloc_p50_ns", l.quantile(0.5)).add("alloc_p99_ns", l.quantile(0.99)).
		add("alloc_p999_ns", l.quantile(0.999)).add("alloc_p9999_ns", l.quantile(0.9999)).
		add("alloc_max_ns", int64(l.max)).add("metadata_kb", full.metadataKB).print()
}
